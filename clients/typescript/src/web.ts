import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { redflagOver, transportOptions, type Redflag, type Settings } from "./redflag.js";

/** Connects from a page, by gRPC-Web. The server must know the page's origin (`redflag serve --allow-origin`). */
export function connect(settings: Settings): Redflag {
  return redflagOver(createGrpcWebTransport(transportOptions(settings)));
}
