import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { redflagOver, transportOptions, type Redflag, type Settings } from "./redflag.js";

/** Connects from Node, by gRPC. */
export function connect(settings: Settings): Redflag {
  const interceptors = [...(settings.interceptors ?? []), nameBrokenConnections];
  return redflagOver(createGrpcTransport(transportOptions({ ...settings, interceptors })));
}

/**
 * What Connect calls internal, aborted or canceled although the connection broke, as it does when a server is restarted.
 * Every change has a name, so that it is safe to send it again, whether the server had seen it or not.
 */
const nameBrokenConnections: Interceptor = (next) => async (request) => {
  try {
    return await next(request);
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    if (request.signal.aborted || !isBrokenConnection(error)) throw thrown;
    throw new ConnectError(error.rawMessage, Code.Unavailable, undefined, undefined, error);
  }
};

function isBrokenConnection({ code, cause }: ConnectError): boolean {
  if (code === Code.Canceled) return true; // not by the caller
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return [Code.Internal, Code.Aborted].includes(code) && /^(ECONNRESET|EPIPE|ERR_HTTP2_.*|ERR_STREAM_.*)$/.test(reason);
}
