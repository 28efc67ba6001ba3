// Opens a page in Chromium that calls redflag, which is another origin to it, by gRPC-Web.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

// The name that serve-args allows, and one that it does not. Both lead to the server below.
const OURS = "http://console.localhost";
const OTHER = "http://other.localhost";

const FILES = { "/": ["page.html", "text/html"], "/page.js": ["build/page.js", "text/javascript"] };
const server = createServer(async (request, response) => {
  const [file, type] = FILES[request.url] ?? [];
  if (!file) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": type }).end(await readFile(new URL(file, import.meta.url)));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  headless: true,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    `--host-resolver-rules=MAP *.localhost:80 127.0.0.1:${server.address().port}`,
  ],
});
try {
  assert.equal(await smoke(OURS), "");
  assert.match(await smoke(OTHER), /Failed to fetch/, "a page of another origin can't call");
} finally {
  await browser.close();
  server.close();
}

async function smoke(origin) {
  const page = await browser.newPage();
  await page.goto(origin);
  assert.equal(await page.evaluate(() => location.origin), origin);
  return page.evaluate((keys) => window.smoke(keys), {
    server: process.env.REDFLAG_SERVER,
    key: process.env.REDFLAG_API_KEY,
    readKey: process.env.REDFLAG_READ_KEY,
  });
}
