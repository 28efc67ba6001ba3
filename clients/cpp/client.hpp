// A client of redflag: the generated stubs, with the key on every call, a deadline, retries that change nothing twice, and
// errors as exceptions.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "grpc/health/v1/health.grpc.pb.h"
#include "redflag/v1/alert_service.grpc.pb.h"
#include "redflag/v1/alert_status_service.grpc.pb.h"
#include "redflag/v1/audit_service.grpc.pb.h"

namespace redflag {

// A field that breaks a rule, and the rule.
struct FieldViolation {
  std::string field;
  std::string description;
};

// Why a call failed. Programs read `reason()`, one of `redflag.v1.ErrorReason` without its prefix.
class Error : public std::runtime_error {
 public:
  explicit Error(const grpc::Status& status);

  grpc::StatusCode code() const { return code_; }
  // Empty when the failure did not come from redflag itself, such as a deadline that passed on this side.
  const std::string& reason() const { return reason_; }
  const std::string& domain() const { return domain_; }
  // What the reason is about, such as `current_version`.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // The fields at fault, if any.
  const std::vector<FieldViolation>& violations() const { return violations_; }

 private:
  grpc::StatusCode code_;
  std::string reason_;
  std::string domain_;
  std::map<std::string, std::string> metadata_;
  std::vector<FieldViolation> violations_;
};

// What a call answered.
template <typename Message>
struct Answer {
  Message message;
  // What the log of the server has the call under.
  std::string request_id;
  // Whether a change with this `request_id` was made before, and this is the answer that it got.
  bool replayed = false;
};

// How to call.
struct Options {
  std::chrono::microseconds deadline = std::chrono::seconds(10);
  // On whose behalf, for the history.
  std::string actor = {};
};

// Whether a request is for a change, which a `request_id` can name.
template <typename Request, typename = void>
struct IsChange : std::false_type {};
template <typename Request>
struct IsChange<Request, std::void_t<decltype(std::declval<Request>().set_request_id(""))>> : std::true_type {};

class Client {
 public:
  // Connects when first called. `url` is http://HOST:PORT, or https:// where something ends TLS for redflag; anything else
  // throws `std::invalid_argument`.
  Client(const std::string& url, std::string key);

  // The same connection with another key.
  Client WithKey(std::string key) const;

  // Calls a method of a service, such as `client.Call(&AlertService::Stub::GetAlert, request)`; throws `Error`.
  // A change that has no `request_id` is sent under one, so that it happens once however often gRPC sends it.
  template <typename Stub, typename Request, typename Response>
  Answer<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                        const Request& request, const Options& options = {}) const {
    grpc::ClientContext context;
    Prepare(context, options);
    Answer<Response> answer;
    Stub& stub = *std::get<std::unique_ptr<Stub>>(stubs_);
    const grpc::Status status = (stub.*method)(&context, Named(request), &answer.message);
    if (!status.ok()) throw Error(status);
    answer.request_id = Metadata(context, "x-request-id");
    answer.replayed = Metadata(context, "idempotency-replayed") == "true";
    return answer;
  }

  // Whether the server, or the service of this name, serves; needs no key.
  bool IsServing(const std::string& service = "") const;

 private:
  Client(std::shared_ptr<grpc::Channel> channel, std::string key);

  template <typename Request>
  static Request Named(Request request) {
    if constexpr (IsChange<Request>::value) {
      if (request.request_id().empty()) request.set_request_id(NewName());
    }
    return request;
  }

  // A name that nobody has used.
  static std::string NewName();
  void Prepare(grpc::ClientContext& context, const Options& options) const;
  // What the server sent before its answer under this name, or nothing.
  static std::string Metadata(const grpc::ClientContext& context, const char* name);

  std::shared_ptr<grpc::Channel> channel_;
  std::string key_;
  std::tuple<std::unique_ptr<v1::AlertService::Stub>, std::unique_ptr<v1::AlertStatusService::Stub>,
             std::unique_ptr<v1::AuditService::Stub>, std::unique_ptr<grpc::health::v1::Health::Stub>>
      stubs_;
};

}  // namespace redflag
