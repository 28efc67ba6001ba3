import { createGrpcTransport } from "@connectrpc/connect-node";

import { redflagOver, transportOptions, type Redflag, type Settings } from "./redflag.js";

/** Connects from Node, by gRPC. */
export function connect(settings: Settings): Redflag {
  return redflagOver(createGrpcTransport(transportOptions(settings)));
}
