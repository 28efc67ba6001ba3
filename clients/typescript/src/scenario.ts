/** What the client must be able to do with a live server, from Node and from a page. */
import { create, equals, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type CallOptions, type Interceptor } from "@connectrpc/connect";

import { RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { Health, HealthCheckResponse_ServingStatus } from "../gen/health/v1/health_pb.js";
import { FlagEntityRequestSchema, FlagEntityResponseSchema } from "../gen/redflag/v1/alert_service_pb.js";
import {
  AlertEventType,
  AlertSchema,
  EntityType,
  Severity,
  StatusClass,
  type Alert,
} from "../gen/redflag/v1/resources_pb.js";
import { problem, type Problem, type Redflag, type Settings } from "./redflag.js";

export interface Keys {
  server: string;
  key: string;
  readKey: string;
}

/** Throws what goes wrong first. */
export async function run(connect: (settings: Settings) => Redflag, keys: Keys): Promise<void> {
  const scenario = new Scenario(connect, keys);
  await scenario.health();
  await scenario.kinds();
  await scenario.customStatuses();
  await scenario.changes();
  await scenario.pages();
  await scenario.errors();
  await scenario.wrongKeys();
  await scenario.deadlines();
  await scenario.retries();
}

class Scenario {
  readonly #connect: (settings: Settings) => Redflag;
  readonly #keys: Keys;
  readonly #redflag: Redflag;

  constructor(connect: (settings: Settings) => Redflag, keys: Keys) {
    this.#connect = connect;
    this.#keys = keys;
    this.#redflag = connect(keys);
  }

  async health(): Promise<void> {
    const health = createClient(Health, this.#redflag.transport);
    for (const service of ["", "redflag.v1.AlertService", "redflag.v1.AlertStatusService"]) {
      const { status } = await health.check({ service });
      same(status, HealthCheckResponse_ServingStatus.SERVING, `health of "${service}"`);
    }
  }

  async kinds(): Promise<void> {
    const kinds = [
      ["bln", EntityType.BALANCE, "affectedBalances"],
      ["txn", EntityType.TRANSACTION, "affectedTransactions"],
      ["idt", EntityType.IDENTITY, "affectedIdentities"],
    ] as const;
    for (const [prefix, type, affected] of kinds) {
      const entityId = `${prefix}_${crypto.randomUUID()}`;
      const flagged = await this.#flag({ entityId, severity: Severity.HIGH, metadata: { rule: "limit", hits: 3 } });
      same([flagged.type, flagged[affected]], [type, [entityId]], "what was flagged");
      same([flagged.status, flagged.statusClass], ["FLAGGED", StatusClass.OPEN], "a new alert's status");
      same([flagged.version, flagged.metadata], [1n, { rule: "limit", hits: 3 }], "a new alert");
      const { alert } = await this.#redflag.alerts.getAlert({ anomalyId: flagged.anomalyId });
      check(equals(AlertSchema, given(alert), flagged), "an alert reads as it was flagged");
    }
  }

  async customStatuses(): Promise<void> {
    const { statuses } = this.#redflag;
    const key = `REVIEW_${crypto.randomUUID().slice(0, 8)}`.toUpperCase();
    const wanted = { name: "In review", key, colour: "#3b82f6" };
    const made = given((await statuses.createAlertStatus(wanted)).alertStatus);
    same([made.key, made.colour, made.class], [key, "#3B82F6", StatusClass.IN_PROGRESS], "a new status");
    await refused(Code.AlreadyExists, "STATUS_DUPLICATE_KEY", () => statuses.createAlertStatus(wanted));

    const listed = await statuses.listAlertStatuses({});
    check(listed.alertStatuses.some((status) => status.key === key), "the new status is listed");
    check(listed.allowedColours.includes(made.colour), "its colour is allowed");
    same(listed.builtin.map((status) => status.key).sort(), ["FLAGGED", "INVESTIGATING", "RESOLVED"], "built in");

    const { alertStatus: changed } = await statuses.updateAlertStatus({
      alertStatus: { key, name: "Second look", colour: "ignored" },
      updateMask: { paths: ["name"] },
    });
    same([changed?.name, changed?.colour], ["Second look", made.colour], "only what the mask names changed");

    const { anomalyId } = await this.#flag({ entityId: "bln_status" });
    const moved = await this.#update({ anomalyId, status: key }, ["status"]);
    same([moved.status, moved.statusClass], [key, StatusClass.IN_PROGRESS], "moved to the new status");
    await refused(Code.FailedPrecondition, "STATUS_IN_USE", () => statuses.deleteAlertStatus({ key }));
    const closed = await this.#update({ anomalyId, status: "RESOLVED" }, ["status"]);
    same(closed.statusClass, StatusClass.CLOSED, "the class of RESOLVED");
    await statuses.deleteAlertStatus({ key });
    await refused(Code.NotFound, "STATUS_NOT_FOUND", () => statuses.deleteAlertStatus({ key }));
  }

  async changes(): Promise<void> {
    const { alerts } = this.#redflag;
    const { anomalyId, description } = await this.#flag({ entityId: "txn_changes", title: "Before", assignedTo: "ana" });
    const changed = await this.#update({ anomalyId, title: "After", description: "Not this" }, ["title", "assigned_to"]);
    same([changed.title, changed.assignedTo], ["After", ""], "what the mask names is set or cleared");
    same([changed.description, changed.version], [description, 2n], "what the mask does not name stays");

    const { alert: escalated } = await alerts.escalateAlert({ anomalyId, to: ["bo", "cy"] });
    same([escalated?.escalatedTo, escalated?.assignedTo], [["bo", "cy"], "bo"], "escalated");

    const { events } = await alerts.listAlertEvents({ anomalyId });
    const told = [AlertEventType.FLAGGED, AlertEventType.ASSIGNED, AlertEventType.ESCALATED];
    same(events.map((event) => event.type), told, "the history");
    same(events.map((event) => event.sequence), [1n, 2n, 3n], "its order");
    const [, update] = events;
    same(update?.note, "Smoke test", "why it was changed");
    check(update?.actor?.keyId.startsWith("key_"), "who changed it");
    const title = update?.changes.find((change) => change.field === "title");
    same([title?.before?.kind.value, title?.after?.kind.value], ["Before", "After"], "the title before and after");
  }

  async pages(): Promise<void> {
    const entityId = `idt_${crypto.randomUUID()}`;
    const flagged: string[] = [];
    for (let i = 0; i < 3; i++) flagged.unshift((await this.#flag({ entityId })).anomalyId);
    const wanted = { entityIds: [entityId], pageSize: 2, includeTotal: true };
    const first = await this.#redflag.alerts.listAlerts(wanted);
    check(first.nextPageToken, "there is a second page");
    same(first.totalSize, 3n, "the total");
    const second = await this.#redflag.alerts.listAlerts({ ...wanted, pageToken: first.nextPageToken });
    same([first.alerts.length, second.alerts.length, second.nextPageToken], [2, 1, ""], "the second page is the last");
    same([...first.alerts, ...second.alerts].map((alert) => alert.anomalyId), flagged, "newest first");
  }

  async errors(): Promise<void> {
    const { alerts } = this.#redflag;
    const invalid = await refused(Code.InvalidArgument, "GEN_VALIDATION_ERROR", () =>
      alerts.flagEntity({ entityId: "bln_1", title: "x".repeat(201) }),
    );
    same(Object.keys(invalid.fields).sort(), ["description", "title"], "the fields at fault");
    check(invalid.fields["title"]?.includes("200"), "the limit is told");
    const unknown = await refused(Code.InvalidArgument, "ALERT_INVALID_ENTITY_ID", () =>
      alerts.flagEntity({ entityId: "acc_1", description: "d" }),
    );
    same(Object.keys(unknown.fields), ["entity_id"], "the field at fault");
    await refused(Code.InvalidArgument, "ALERT_UNKNOWN_STATUS", () => alerts.listAlerts({ statuses: ["NOPE"] }));
    await refused(Code.NotFound, "ALERT_NOT_FOUND", () => alerts.getAlert({ anomalyId: "ano_missing" }));
  }

  async wrongKeys(): Promise<void> {
    const flag = { entityId: "bln_1", description: "d" };
    const stranger = this.#connect({ ...this.#keys, key: "rf_wrong" });
    await refused(Code.Unauthenticated, "AUTH_INVALID_API_KEY", () => stranger.alerts.flagEntity(flag));
    const reader = this.#connect({ ...this.#keys, key: this.#keys.readKey });
    await reader.alerts.listAlerts({ pageSize: 1 });
    const denied = await refused(Code.PermissionDenied, "AUTH_INSUFFICIENT_PERMISSIONS", () =>
      reader.alerts.flagEntity(flag),
    );
    check(Object.values(denied.details).includes("alerts:write"), "the missing scope is told");
  }

  async deadlines(): Promise<void> {
    // An answer can come within any deadline; but a watch of the server's health has no end.
    const watch = createClient(Health, this.#redflag.transport).watch({}, { timeoutMs: 50 });
    let seen = 0;
    try {
      for await (const _ of watch) seen++;
      throw new Error("the watch ended");
    } catch (thrown) {
      same(problem(thrown).code, Code.DeadlineExceeded, "a watch ends at its deadline");
    }
    check(seen <= 1, "health did not change");

    // The server keeps deadlines too. Set by hand, since the client would not wait for its answer.
    const flag = { entityId: "bln_deadline", description: "Too late" };
    for (let tries = 0; tries < 200; tries++) {
      try {
        await this.#redflag.alerts.flagEntity(flag, { headers: { "grpc-timeout": "1n" }, timeoutMs: 0 });
      } catch (thrown) {
        const { code, reason } = problem(thrown);
        same([code, reason], [Code.DeadlineExceeded, "GEN_DEADLINE_EXCEEDED"], "the server's deadline");
        return;
      }
    }
    throw new Error("the server kept no deadline");
  }

  async retries(): Promise<void> {
    const { alerts } = this.#redflag;
    const flag = { entityId: "bln_again", description: "Sent twice", requestId: `smoke-${crypto.randomUUID()}` };
    let replayed: string | null = null;
    let requestId: string | null = null;
    const options: CallOptions = {
      onHeader(headers) {
        replayed = headers.get("idempotency-replayed");
        requestId = headers.get("x-request-id");
      },
    };
    const first = await alerts.flagEntity(flag, options);
    same(replayed, null, "the first answer is no repeat");
    check(requestId, "every call has a tracing id");
    const second = await alerts.flagEntity(flag, options);
    same(replayed, "true", "the second answer is a repeat");
    check(equals(FlagEntityResponseSchema, first, second), "both answers are the same");
    await refused(Code.FailedPrecondition, "IDEMPOTENCY_KEY_REUSED", () =>
      alerts.flagEntity({ ...flag, description: "Something else" }),
    );

    // The client does the same by itself when an answer is lost.
    let lost = 0;
    const waitABit = { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(300) } };
    const began = performance.now();
    const loseFirst: Interceptor = (next) => async (request) => {
      const answer = await next(request);
      if (lost++ === 0) throw new ConnectError("lost", Code.Unavailable, undefined, [waitABit]);
      return answer;
    };
    const lossy = this.#connect({ ...this.#keys, interceptors: [loseFirst] });
    const entityId = `txn_${crypto.randomUUID()}`;
    await lossy.alerts.flagEntity({ entityId, description: "Its first answer is lost" }, options);
    same([lost, replayed], [2, "true"], "a lost answer is asked for again");
    check(performance.now() - began >= 300, "not before the time that it was told");
    same((await alerts.listAlerts({ entityIds: [entityId] })).alerts.length, 1, "and makes no second alert");

    // Two calls are two changes, be it with one message.
    const flagTwice = create(FlagEntityRequestSchema, { entityId: `bln_${crypto.randomUUID()}`, description: "Twice" });
    for (let i = 0; i < 2; i++) await alerts.flagEntity(flagTwice);
    const twice = await alerts.listAlerts({ entityIds: [flagTwice.entityId] });
    same([twice.alerts.length, flagTwice.requestId], [2, ""], "the client leaves the caller's message as it is");
  }

  async #flag(fields: Exclude<MessageInitShape<typeof FlagEntityRequestSchema>, { $typeName: string }>): Promise<Alert> {
    return given((await this.#redflag.alerts.flagEntity({ description: "Over its limit", ...fields })).alert);
  }

  async #update(alert: Exclude<MessageInitShape<typeof AlertSchema>, { $typeName: string }>, paths: string[]) {
    const updated = await this.#redflag.alerts.updateAlert({ alert, updateMask: { paths }, note: "Smoke test" });
    return given(updated.alert);
  }
}

async function refused(code: Code, reason: string, call: () => Promise<unknown>): Promise<Problem> {
  let thrown: unknown;
  try {
    await call();
  } catch (error) {
    thrown = error;
  }
  check(thrown, `${reason} was expected`);
  const found = problem(thrown);
  same([Code[found.code], found.reason, found.domain], [Code[code], reason, "redflag.dev"], String(thrown));
  check(ConnectError.from(thrown).metadata.get("x-request-id"), `${reason} has a tracing id`);
  return found;
}

function check(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(`does not hold: ${what}`);
}

function given<T>(value: T | undefined): T {
  check(value !== undefined, "the answer has what it is about");
  return value;
}

function same(got: unknown, wanted: unknown, what: string): void {
  const [left, right] = [json(got), json(wanted)];
  if (left !== right) throw new Error(`${what}: got ${left}, not ${right}`);
}

/** As JSON, with the names of objects in order. */
function json(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner === "bigint") return `${inner}n`;
    if (inner !== null && typeof inner === "object" && !Array.isArray(inner)) {
      return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
    }
    return inner;
  });
}
