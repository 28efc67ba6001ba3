/**
 * redflag from TypeScript, over any of Connect's transports: what sends the API key, names every change, and tries again
 * where that is safe. `node.ts` and `web.ts` join it with a transport.
 */
import { clone, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Client, type Interceptor, type Transport } from "@connectrpc/connect";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { AlertService } from "../gen/redflag/v1/alert_service_pb.js";
import { AlertStatusService } from "../gen/redflag/v1/alert_status_service_pb.js";

/** Where redflag is, and as whom to call it. */
export interface Settings {
  /** Such as `http://localhost:8080`. */
  server: string;
  /** An API key, `rf_…`. */
  key: string;
  /** How long a call may take with all its tries, unless it has a `timeoutMs` of its own. Default: 10 seconds. */
  timeoutMs?: number;
  /** Nearer to the server than the client's own. */
  interceptors?: Interceptor[];
}

/** A connection to one redflag as one key. */
export interface Redflag {
  alerts: Client<typeof AlertService>;
  statuses: Client<typeof AlertStatusService>;
  transport: Transport;
}

/** The services over `transport`. */
export function redflagOver(transport: Transport): Redflag {
  return {
    alerts: createClient(AlertService, transport),
    statuses: createClient(AlertStatusService, transport),
    transport,
  };
}

/** What a transport to redflag needs. */
export function transportOptions({ server, key, timeoutMs = 10_000, interceptors = [] }: Settings) {
  return {
    baseUrl: server,
    defaultTimeoutMs: timeoutMs,
    interceptors: [authorize(key), nameChanges, tryAgain, ...interceptors],
  };
}

const authorize =
  (key: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };

/** Gives every change a name, so that it happens once however often it is sent. */
const nameChanges: Interceptor = (next) => (request) => {
  if (request.stream || !("requestId" in request.message) || request.message.requestId !== "") return next(request);
  // A copy: the caller may make another change with the same message.
  const message = clone(request.method.input, request.message);
  return next({ ...request, message: Object.assign(message, { requestId: crypto.randomUUID() }) });
};

const TRIES = 5;
const AWAY = [Code.Unavailable, Code.ResourceExhausted];

/** Sends a call again, as it was, when the server was away or busy. */
const tryAgain: Interceptor = (next) => async (request) => {
  for (let tries = 1; ; tries++) {
    try {
      return await next(request);
    } catch (error) {
      if (request.stream || tries === TRIES || !AWAY.includes(ConnectError.from(error).code)) throw error;
      // Several clients that were refused at once must not come back at once.
      await sleep(toldWait(error) + 100 * 2 ** tries * (0.5 + Math.random() / 2), request.signal);
    }
  }
};

/** How many milliseconds the server told us to wait. */
function toldWait(error: unknown): number {
  const delay = detail(ConnectError.from(error), RetryInfoSchema)?.retryDelay;
  return delay ? durationMs(delay) : 0;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** What an error says to programs. */
export interface Problem {
  code: Code;
  /** One of `ErrorReason`, without its prefix. Empty when redflag did not send it. */
  reason: string;
  domain: string;
  details: Record<string, string>;
  /** What is wrong with which field. */
  fields: Record<string, string>;
}

/** Reads the details of whatever a call has thrown. */
export function problem(thrown: unknown): Problem {
  const error = ConnectError.from(thrown);
  const info = detail(error, ErrorInfoSchema);
  const violations = detail(error, BadRequestSchema)?.fieldViolations ?? [];
  return {
    code: error.code,
    reason: info?.reason ?? "",
    domain: info?.domain ?? "",
    details: info?.metadata ?? {},
    fields: Object.fromEntries(violations.map(({ field, description }) => [field, description])),
  };
}

function detail<Desc extends DescMessage>(error: ConnectError, schema: Desc): MessageShape<Desc> | undefined {
  return error.findDetails(schema)[0];
}
