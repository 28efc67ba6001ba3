#include "client.hpp"

#include <iomanip>
#include <random>
#include <sstream>

#include <grpcpp/support/error_details.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace redflag {
namespace {

// gRPC's own retries. UNAVAILABLE may come after a change was made: the request is sent again under the name that it had.
constexpr char kConfig[] = R"({"methodConfig": [{
  "name": [{"service": "redflag.v1.AlertService"}, {"service": "redflag.v1.AlertStatusService"},
           {"service": "redflag.v1.AuditService"}],
  "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
                  "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}
}]})";

std::shared_ptr<grpc::Channel> Connect(const std::string& url) {
  const std::string plain = "http://", tls = "https://";
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kConfig);
  if (url.rfind(plain, 0) == 0) {
    return grpc::CreateCustomChannel(url.substr(plain.size()), grpc::InsecureChannelCredentials(), arguments);
  }
  if (url.rfind(tls, 0) == 0) {
    return grpc::CreateCustomChannel(url.substr(tls.size()), grpc::SslCredentials({}), arguments);
  }
  throw std::invalid_argument("not http:// or https://: " + url);
}

}  // namespace

Error::Error(const grpc::Status& status) : std::runtime_error(status.error_message()), code_(status.error_code()) {
  google::rpc::Status rich;
  if (!grpc::ExtractErrorDetails(status, &rich).ok()) return;
  for (const auto& detail : rich.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad_request;
    if (detail.UnpackTo(&info)) {
      reason_ = info.reason();
      domain_ = info.domain();
      metadata_ = {info.metadata().begin(), info.metadata().end()};
    } else if (detail.UnpackTo(&bad_request)) {
      for (const auto& violation : bad_request.field_violations()) {
        violations_.push_back({violation.field(), violation.description()});
      }
    }
  }
}

Client::Client(const std::string& url, std::string key) : Client(Connect(url), std::move(key)) {}

Client::Client(std::shared_ptr<grpc::Channel> channel, std::string key)
    : channel_(std::move(channel)),
      key_(std::move(key)),
      stubs_(v1::AlertService::NewStub(channel_), v1::AlertStatusService::NewStub(channel_),
             v1::AuditService::NewStub(channel_), grpc::health::v1::Health::NewStub(channel_)) {}

Client Client::WithKey(std::string key) const { return Client(channel_, std::move(key)); }

bool Client::IsServing(const std::string& service) const {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  const auto answer = Call(&grpc::health::v1::Health::Stub::Check, request);
  return answer.message.status() == grpc::health::v1::HealthCheckResponse::SERVING;
}

std::string Client::NewName() {
  std::random_device random;
  std::ostringstream name;
  for (int i = 0; i < 4; ++i) name << std::hex << std::setw(8) << std::setfill('0') << random();
  return name.str();
}

void Client::Prepare(grpc::ClientContext& context, const Options& options) const {
  context.set_deadline(std::chrono::system_clock::now() + options.deadline);
  context.AddMetadata("authorization", "Bearer " + key_);
  if (!options.actor.empty()) context.AddMetadata("x-redflag-actor", options.actor);
}

std::string Client::Metadata(const grpc::ClientContext& context, const char* name) {
  const auto& metadata = context.GetServerInitialMetadata();
  const auto found = metadata.find(name);
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

}  // namespace redflag
