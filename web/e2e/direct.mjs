// What the console says of a WebSocket that does not open directly, and the ways from it to a diagnosis and back.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import http from "node:http";
import net from "node:net";
import { config, finish, open, soon, squeeze } from "./common.mjs";

const listen = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(`127.0.0.1:${server.address().port}/mqtt`)));
const upgrading = (answer) => http.createServer((_, response) => response.writeHead(404).end()).on("upgrade", answer);
const bare = await listen(upgrading(({ headers }, socket) => {
  const accept = crypto.createHash("sha1").update(headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64"); // RFC 6455 1.3
  socket.on("error", () => {}).write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
}));
const refusing = await listen(upgrading((_, socket) => socket.on("error", () => {}).end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")));
const closing = await listen(net.createServer((socket) => socket.on("error", () => {}).destroy()));

const page = await open({ noisy: true });
// A browser that is busy tells of the end of a WebSocket a moment after its error.
await page.addInitScript(() => {
  const listen = WebSocket.prototype.addEventListener;
  WebSocket.prototype.addEventListener = function (type, listener, ...rest) {
    return listen.call(this, type, type === "close" ? (event) => setTimeout(() => listener.call(this, event), 300) : listener, ...rest);
  };
});
for (const [url, said] of [
  [`ws://${bare}`, /subprotocol “mqtt” the WebSocket opens/],
  [`ws://${refusing}`, /another path.*an origin that is not allowed/],
  [`ws://${closing}`, /does not tell which/],
  [`wss://${closing}`, /does not trust the certificate.*Open https:/],
]) {
  await page.goto(config.base + "/console");
  await page.locator('[name="target.url"]').fill(url);
  await page.locator('.chip:has([value="direct"])').click();
  await page.locator("#connect-now").click();
  await page.waitForFunction((pattern) => new RegExp(pattern).test(document.getElementById("console-problem").textContent.replace(/\s+/g, " ")), said.source);
  await soon.match(async () => squeeze(await page.textContent("#console-problem")), /code 1006/);
}

// One click has the server look at the same address; the report's button leads back, with the address filled in.
await page.locator("#console-problem button").click();
await page.waitForURL("**/runs/*");
await page.waitForSelector('#run:not([data-state="running"])');
await page.locator('a[href^="/console?run="]').first().click();
await page.waitForURL("**/console?run=*");
await soon.equal(() => page.locator('[name="target.url"]').inputValue(), `wss://${closing}`);
await finish();
process.exit(); // the servers above hold connections open
