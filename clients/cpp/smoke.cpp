// Calls everything that a client needs on the server that REDFLAG_SERVER names, and checks every answer.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>
#include <set>
#include <sstream>

#include "client.hpp"

namespace {

using namespace redflag::v1;
using redflag::Client;
using redflag::Error;
using redflag::Options;
using Alerts = AlertService::Stub;
using Statuses = AlertStatusService::Stub;

// What failed, and where.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void Check(bool holds, const char* what, int line) {
  if (!holds) throw Failure("line " + std::to_string(line) + ": " + what);
}
#define CHECK(condition) Check(static_cast<bool>(condition), #condition, __LINE__)

template <typename A, typename B>
void CheckEqual(const A& actual, const B& expected, const char* what, int line) {
  if (actual == expected) return;
  std::ostringstream text;
  text << "line " << line << ": " << what << " is " << actual << ", not " << expected;
  throw Failure(text.str());
}
#define CHECK_EQUAL(actual, expected) CheckEqual(actual, expected, #actual, __LINE__)

// The error that `call` fails with.
Error Refused(const std::function<void()>& call, int line) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  throw Failure("line " + std::to_string(line) + ": the call should fail");
}
#define REFUSED(call) Refused([&] { call; }, __LINE__)

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::invalid_argument(std::string(name) + " is not set");
  return value;
}

// What tells this run's alerts, statuses and changes from those of others on the same server.
const std::string& Run() {
  static const std::string run = std::to_string(std::random_device()());
  return run;
}

// An entity of this kind, such as "bln", that only this run flags.
std::string Entity(const std::string& kind, const std::string& purpose = "1") {
  return kind + "_cpp-" + Run() + "-" + purpose;
}

FlagEntityRequest Flagging(const std::string& entity) {
  FlagEntityRequest request;
  request.set_entity_id(entity);
  request.set_description("Account balance has exceeded the maximum allowed limit.");
  return request;
}

Alert Flag(const Client& client, const std::string& entity) {
  return client.Call(&Alerts::FlagEntity, Flagging(entity)).message.alert();
}

Alert Get(const Client& client, const std::string& id) {
  GetAlertRequest request;
  request.set_anomaly_id(id);
  return client.Call(&Alerts::GetAlert, request).message.alert();
}

void ServesAccordingToHealth(const Client& client) {
  CHECK(client.IsServing());
  for (const char* service : {"redflag.v1.AlertService", "redflag.v1.AlertStatusService"}) {
    CHECK(client.IsServing(service));
  }
  CHECK_EQUAL(REFUSED(client.IsServing("redflag.v1.NoService")).code(), grpc::NOT_FOUND);
}

void FlagsEveryKindOfEntity(const Client& client) {
  const Alert balance = Flag(client, Entity("bln"));
  CHECK_EQUAL(balance.type(), ENTITY_TYPE_BALANCE);
  CHECK_EQUAL(balance.affected_balances(0), Entity("bln"));
  const Alert transaction = Flag(client, Entity("txn"));
  CHECK_EQUAL(transaction.type(), ENTITY_TYPE_TRANSACTION);
  CHECK_EQUAL(transaction.affected_transactions(0), Entity("txn"));
  const Alert identity = Flag(client, Entity("idt"));
  CHECK_EQUAL(identity.type(), ENTITY_TYPE_IDENTITY);
  CHECK_EQUAL(identity.affected_identities(0), Entity("idt"));

  CHECK_EQUAL(balance.anomaly_id().rfind("ano_", 0), 0u);
  CHECK_EQUAL(balance.status(), "FLAGGED");
  CHECK_EQUAL(balance.status_class(), STATUS_CLASS_OPEN);
  CHECK_EQUAL(balance.version(), 1);
  CHECK_EQUAL(Get(client, balance.anomaly_id()).SerializeAsString(), balance.SerializeAsString());
}

void KeepsStatuses(const Client& client) {
  CreateAlertStatusRequest create;
  create.set_name("Cpp review " + Run());
  create.set_colour("#3b82f6");
  const AlertStatus created = client.Call(&Statuses::CreateAlertStatus, create).message.alert_status();
  CHECK_EQUAL(created.key(), "CPP_REVIEW_" + Run());
  CHECK_EQUAL(created.colour(), "#3B82F6");
  CHECK_EQUAL(created.class_(), STATUS_CLASS_IN_PROGRESS);
  const Error again = REFUSED(client.Call(&Statuses::CreateAlertStatus, create));
  CHECK_EQUAL(again.code(), grpc::ALREADY_EXISTS);
  CHECK_EQUAL(again.reason(), "STATUS_DUPLICATE_KEY");

  const auto has_it = [&](const ListAlertStatusesResponse& list) {
    const auto& all = list.alert_statuses();
    return std::any_of(all.begin(), all.end(), [&](const auto& status) { return status.key() == created.key(); });
  };
  auto listed = client.Call(&Statuses::ListAlertStatuses, ListAlertStatusesRequest()).message;
  CHECK(has_it(listed));
  CHECK_EQUAL(listed.builtin_size(), 3);
  CHECK_EQUAL(listed.allowed_colours_size(), 15);

  UpdateAlertStatusRequest update;
  update.mutable_alert_status()->set_key("cpp_review_" + Run());
  update.mutable_alert_status()->set_name("Second look");
  update.mutable_update_mask()->add_paths("name");
  const AlertStatus renamed = client.Call(&Statuses::UpdateAlertStatus, update).message.alert_status();
  CHECK_EQUAL(renamed.name(), "Second look");
  CHECK_EQUAL(renamed.colour(), created.colour());

  const std::string id = Flag(client, Entity("bln", "status")).anomaly_id();
  UpdateAlertRequest move;
  move.mutable_alert()->set_anomaly_id(id);
  move.mutable_alert()->set_status(created.key());
  CHECK_EQUAL(client.Call(&Alerts::UpdateAlert, move).message.alert().status(), created.key());

  DeleteAlertStatusRequest remove;
  remove.set_key(created.key());
  const Error in_use = REFUSED(client.Call(&Statuses::DeleteAlertStatus, remove));
  CHECK_EQUAL(in_use.code(), grpc::FAILED_PRECONDITION);
  CHECK_EQUAL(in_use.reason(), "STATUS_IN_USE");
  move.mutable_alert()->set_status("RESOLVED");
  CHECK(client.Call(&Alerts::UpdateAlert, move).message.alert().has_closed_at());
  client.Call(&Statuses::DeleteAlertStatus, remove);
  listed = client.Call(&Statuses::ListAlertStatuses, ListAlertStatusesRequest()).message;
  CHECK(!has_it(listed));
}

void UpdatesWhatTheMaskNames(const Client& client) {
  FlagEntityRequest flag = Flagging(Entity("txn", "mask"));
  flag.set_title("Refund");
  flag.set_severity(SEVERITY_HIGH);
  const Alert before = client.Call(&Alerts::FlagEntity, flag).message.alert();
  UpdateAlertRequest update;
  update.mutable_alert()->set_anomaly_id(before.anomaly_id());
  update.mutable_alert()->set_title("Third refund within an hour");
  update.mutable_alert()->set_description("The mask does not name this.");
  update.mutable_update_mask()->add_paths("title");
  update.mutable_update_mask()->add_paths("severity");
  update.set_expected_version(1);
  const Alert after = client.Call(&Alerts::UpdateAlert, update).message.alert();
  CHECK_EQUAL(after.title(), "Third refund within an hour");
  CHECK_EQUAL(after.description(), before.description());
  CHECK_EQUAL(after.severity(), SEVERITY_UNSPECIFIED);
  CHECK_EQUAL(after.version(), 2);

  const Error late = REFUSED(client.Call(&Alerts::UpdateAlert, update));
  CHECK_EQUAL(late.code(), grpc::ABORTED);
  CHECK_EQUAL(late.reason(), "ALERT_VERSION_CONFLICT");
  CHECK_EQUAL(late.metadata().at("current_version"), "2");
}

void EscalatesAndTellsTheHistory(const Client& client) {
  const std::string id = Flag(client, Entity("bln", "history")).anomaly_id();
  EscalateAlertRequest escalate;
  escalate.set_anomaly_id(id);
  escalate.add_to("ana");
  escalate.add_to("ben");
  escalate.set_note("Needs a second pair of eyes.");
  Options options;
  options.actor = "carl";
  const auto answer = client.Call(&Alerts::EscalateAlert, escalate, options);
  const Alert& escalated = answer.message.alert();
  CHECK_EQUAL(escalated.escalated_to_size(), 2);
  CHECK_EQUAL(escalated.assigned_to(), "ana");

  ListAlertEventsRequest list;
  list.set_anomaly_id(id);
  const auto history = client.Call(&Alerts::ListAlertEvents, list).message;
  CHECK_EQUAL(history.events_size(), 2);
  const AlertEvent& first = history.events(0);
  const AlertEvent& second = history.events(1);
  CHECK_EQUAL(first.type(), ALERT_EVENT_TYPE_FLAGGED);
  CHECK_EQUAL(first.sequence(), 1);
  CHECK_EQUAL(second.type(), ALERT_EVENT_TYPE_ESCALATED);
  CHECK_EQUAL(second.sequence(), 2);
  CHECK_EQUAL(second.note(), "Needs a second pair of eyes.");
  CHECK_EQUAL(second.actor().on_behalf_of(), "carl");
  CHECK_EQUAL(second.request_id(), answer.request_id);
  CHECK(second.position() > first.position());
  CHECK_EQUAL(second.hash().size(), 64u);
  const auto head = client.Call(&AuditService::Stub::GetAuditHead, GetAuditHeadRequest()).message;
  CHECK(head.position() >= second.position());
  const auto& changes = second.changes();
  const auto change = std::find_if(changes.begin(), changes.end(),
                                   [](const FieldChange& change) { return change.field() == "escalated_to"; });
  CHECK(change != changes.end());
  CHECK_EQUAL(change->before().list_value().values_size(), 0);
  CHECK_EQUAL(change->after().list_value().values(1).string_value(), "ben");
}

void ListsPageByPage(const Client& client) {
  std::set<std::string> made;
  for (int i = 0; i < 3; ++i) made.insert(Flag(client, Entity("bln", "list")).anomaly_id());
  ListAlertsRequest list;
  list.add_entity_ids(Entity("bln", "list"));
  list.set_page_size(2);
  list.set_include_total(true);
  const auto first = client.Call(&Alerts::ListAlerts, list).message;
  CHECK_EQUAL(first.alerts_size(), 2);
  CHECK_EQUAL(first.total_size(), 3);
  CHECK(!first.next_page_token().empty());
  list.set_page_token(first.next_page_token());
  const auto second = client.Call(&Alerts::ListAlerts, list).message;
  CHECK_EQUAL(second.alerts_size(), 1);
  CHECK(second.next_page_token().empty());
  std::set<std::string> read;
  for (const auto& page : {first, second}) {
    for (const Alert& alert : page.alerts()) read.insert(alert.anomaly_id());
  }
  CHECK(read == made);

  list.add_statuses("FLAGGED");
  CHECK_EQUAL(REFUSED(client.Call(&Alerts::ListAlerts, list)).reason(), "GEN_INVALID_PAGE_TOKEN");
}

void TellsWhatIsWrong(const Client& client) {
  FlagEntityRequest flag;
  flag.set_entity_id(Entity("bln", "wrong"));
  flag.set_title(std::string(201, 't'));
  const Error error = REFUSED(client.Call(&Alerts::FlagEntity, flag));
  CHECK_EQUAL(error.code(), grpc::INVALID_ARGUMENT);
  CHECK_EQUAL(error.reason(), "GEN_VALIDATION_ERROR");
  CHECK_EQUAL(error.domain(), "redflag.dev");
  std::set<std::string> fields;
  for (const auto& violation : error.violations()) {
    fields.insert(violation.field);
    CHECK(!violation.description.empty());
  }
  CHECK(fields == (std::set<std::string>{"title", "description"}));

  const Error no_entity = REFUSED(Flag(client, "acc_1"));
  CHECK_EQUAL(no_entity.code(), grpc::INVALID_ARGUMENT);
  CHECK_EQUAL(no_entity.reason(), "ALERT_INVALID_ENTITY_ID");
  CHECK_EQUAL(no_entity.violations().at(0).field, "entity_id");

  const Error missing = REFUSED(Get(client, "ano_01a20eef-9179-7586-b9c7-d9b74672a884"));
  CHECK_EQUAL(missing.code(), grpc::NOT_FOUND);
  CHECK_EQUAL(missing.reason(), "ALERT_NOT_FOUND");
}

void GivesUpAtTheDeadline(const Client& client) {
  Options options;
  // Past already: one that is merely short, the server may still meet.
  options.deadline = -std::chrono::milliseconds(1);
  const Error error = REFUSED(client.Call(&Alerts::ListAlerts, ListAlertsRequest(), options));
  CHECK_EQUAL(error.code(), grpc::DEADLINE_EXCEEDED);
  CHECK(client.Call(&Alerts::ListAlerts, ListAlertsRequest()).message.alerts_size() > 0);
}

void RefusesKeys(const Client& client) {
  const auto list = [](const Client& client) { client.Call(&Alerts::ListAlerts, ListAlertsRequest()); };
  const Error wrong = REFUSED(list(client.WithKey("rf_wrong")));
  CHECK_EQUAL(wrong.code(), grpc::UNAUTHENTICATED);
  CHECK_EQUAL(wrong.reason(), "AUTH_INVALID_API_KEY");
  const Error expired = REFUSED(list(client.WithKey(Variable("REDFLAG_EXPIRED_KEY"))));
  CHECK_EQUAL(expired.code(), grpc::UNAUTHENTICATED);
  CHECK_EQUAL(expired.reason(), "AUTH_EXPIRED_API_KEY");
}

void LetsAReaderOnlyRead(const Client& client) {
  const std::string id = Flag(client, Entity("idt", "reader")).anomaly_id();
  const Client reader = client.WithKey(Variable("REDFLAG_READ_KEY"));
  CHECK_EQUAL(Get(reader, id).anomaly_id(), id);
  const Error error = REFUSED(Flag(reader, Entity("idt", "reader")));
  CHECK_EQUAL(error.code(), grpc::PERMISSION_DENIED);
  CHECK_EQUAL(error.reason(), "AUTH_INSUFFICIENT_PERMISSIONS");
}

void HidesOtherOrganizations(const Client& client) {
  const std::string id = Flag(client, Entity("idt", "hidden")).anomaly_id();
  const Client other = client.WithKey(Variable("REDFLAG_OTHER_KEY"));
  CHECK_EQUAL(REFUSED(Get(other, id)).reason(), "ALERT_NOT_FOUND");
}

void DoesAChangeOnce(const Client& client) {
  FlagEntityRequest flag = Flagging(Entity("txn", "retry"));
  flag.set_request_id("cpp-" + Run());
  const auto first = client.Call(&Alerts::FlagEntity, flag);
  CHECK(!first.replayed);
  const auto second = client.Call(&Alerts::FlagEntity, flag);
  CHECK(second.replayed);
  CHECK_EQUAL(second.message.alert().SerializeAsString(), first.message.alert().SerializeAsString());
  flag.set_description("Another change.");
  const Error reused = REFUSED(client.Call(&Alerts::FlagEntity, flag));
  CHECK_EQUAL(reused.code(), grpc::FAILED_PRECONDITION);
  CHECK_EQUAL(reused.reason(), "IDEMPOTENCY_KEY_REUSED");
}

// The events of an alert.
ListAlertEventsResponse History(const Client& client, const std::string& id) {
  ListAlertEventsRequest list;
  list.set_anomaly_id(id);
  return client.Call(&Alerts::ListAlertEvents, list).message;
}

void NamesEveryChange(const Client& client) {
  const FlagEntityRequest flag = Flagging(Entity("bln", "named"));
  std::set<std::string> ids, names;
  for (int i = 0; i < 2; ++i) {
    const std::string id = client.Call(&Alerts::FlagEntity, flag).message.alert().anomaly_id();
    ids.insert(id);
    names.insert(History(client, id).events(0).idempotency_key());
  }
  CHECK_EQUAL(ids.size(), 2u);
  CHECK_EQUAL(names.size(), 2u);
  CHECK_EQUAL(names.count(""), 0u);
}

// Lets every call through to the real server, and loses the first answer on the way back.
class Lossy final : public AlertService::Service {
 public:
  explicit Lossy(const Client& client) : client_(client) {}

  grpc::Status FlagEntity(grpc::ServerContext* context, const FlagEntityRequest* request,
                          FlagEntityResponse* response) override {
    const auto answer = client_.Call(&Alerts::FlagEntity, *request);
    if (++calls_ == 1) return grpc::Status(grpc::UNAVAILABLE, "lost");
    context->AddInitialMetadata("idempotency-replayed", answer.replayed ? "true" : "false");
    *response = answer.message;
    return grpc::Status::OK;
  }

 private:
  const Client& client_;
  std::atomic<int> calls_ = 0;
};

void AsksAgainForALostAnswer(const Client& client) {
  Lossy lossy(client);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&lossy);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const Client through("http://127.0.0.1:" + std::to_string(port), "rf_unused");
  const std::string entity = Entity("txn", "lost");
  CHECK(through.Call(&Alerts::FlagEntity, Flagging(entity)).replayed);
  ListAlertsRequest list;
  list.add_entity_ids(entity);
  CHECK_EQUAL(client.Call(&Alerts::ListAlerts, list).message.alerts_size(), 1);
}

void SpeaksTlsOnlyToHttps(const Client&) {
  const std::string url = Variable("REDFLAG_SERVER");
  const std::string address = url.substr(url.find("://") + 3);
  // The server speaks no TLS: a client that answers has sent its key in plain text.
  const Client tls("https://" + address, Variable("REDFLAG_API_KEY"));
  CHECK_EQUAL(REFUSED(tls.Call(&Alerts::ListAlerts, ListAlertsRequest())).code(), grpc::UNAVAILABLE);
  for (const std::string& wrong : {address, "ftp://" + address, std::string()}) {
    bool refused = false;
    try {
      Client(wrong, "rf_unused");
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    CHECK(refused);
  }
}

}  // namespace

int main() {
  const std::pair<const char*, void (*)(const Client&)> checks[] = {
      {"health", ServesAccordingToHealth},
      {"flag every kind of entity", FlagsEveryKindOfEntity},
      {"custom statuses", KeepsStatuses},
      {"update with a field mask", UpdatesWhatTheMaskNames},
      {"escalate, history", EscalatesAndTellsTheHistory},
      {"list two pages", ListsPageByPage},
      {"error details", TellsWhatIsWrong},
      {"deadline exceeded", GivesUpAtTheDeadline},
      {"wrong and expired keys", RefusesKeys},
      {"read-only key", LetsAReaderOnlyRead},
      {"another organization's key", HidesOtherOrganizations},
      {"idempotent retry", DoesAChangeOnce},
      {"names of changes", NamesEveryChange},
      {"lost answer", AsksAgainForALostAnswer},
      {"TLS and other schemes", SpeaksTlsOnlyToHttps},
  };
  int passed = 0, failed = 0;
  try {
    const Client client(Variable("REDFLAG_SERVER"), Variable("REDFLAG_API_KEY"));
    for (const auto& [name, check] : checks) {
      try {
        check(client);
        std::cout << "ok      " << name << std::endl;
        ++passed;
      } catch (const Error& error) {
        std::cout << "FAILED  " << name << ": " << error.what() << " (" << error.reason() << ")" << std::endl;
        ++failed;
      } catch (const Failure& failure) {
        std::cout << "FAILED  " << name << ": smoke.cpp " << failure.what() << std::endl;
        ++failed;
      }
    }
  } catch (const std::invalid_argument& wrong) {
    std::cerr << "smoke: " << wrong.what() << std::endl;
    return 2;
  }
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed == 0 ? 0 : 1;
}
