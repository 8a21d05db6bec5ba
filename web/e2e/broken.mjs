// What broken brokers do to the console: a clear word in it, the packet marked, and nothing to the client beside it.
import assert from "node:assert/strict";
import net from "node:net";
import { config, finish, open } from "./common.mjs";

async function connect(page, url, way) {
  await page.goto(config.base + "/console");
  await page.locator("#panel-client summary").click();
  await page.locator('[name="target.protocol"]').selectOption("3.1.1");
  await page.locator('[name="target.url"]').fill(url);
  await page.locator(`.chip:has([value="${way}"])`).click();
  await page.locator("#connect-now").click();
}

// answers is a peer that says the same to everybody, whatever it is told, and then perhaps closes.
const answers = (bytes, then = () => {}) => new Promise((done) => {
  const server = net.createServer((s) => {
    s.on("error", () => {});
    s.once("data", () => { s.write(Buffer.from(bytes)); then(s); });
  });
  server.listen(0, "127.0.0.1", () => done({ url: `mqtt://127.0.0.1:${server.address().port}`, close: () => server.close() }));
});

const bystander = await open();
await connect(bystander, config.open, "relay");
await bystander.waitForSelector('#console[data-state="connected"]');
const lines = await bystander.locator("#attempts li").count();

const connack = [0x20, 2, 0, 0];
for (const [what, bytes, then, said, mark] of [
  ["a packet whose length has no end", [...connack, 0x30, 0xff, 0xff, 0xff, 0xff, 1], undefined, /could not be read as MQTT/, "malformed"],
  ["a PUBLISH with QoS 3", [...connack, 0x36, 5, 0, 1, 0x61, 0, 1], undefined, /could not be read as MQTT/, "malformed"],
  ["a broker that goes", connack, (s) => s.end(), /closed|broke/i, "closed"],
  ["a broker that resets", connack, (s) => setTimeout(() => s.resetAndDestroy(), 50), /reset|broke/i, "closed"],
]) {
  const broken = await answers(bytes, then);
  const victim = await open();
  await connect(victim, broken.url, "relay");
  await victim.waitForFunction(() => document.getElementById("console-problem").textContent.trim() !== "");
  const problem = await victim.textContent("#console-problem");
  assert.match(problem, said, what);
  await victim.locator("#tab-packets").click();
  await victim.waitForFunction((type) => [...document.querySelectorAll(".packet-row")].some((row) => row.textContent.includes(type)), mark);
  await victim.context().close();
  broken.close();
}

// Nothing listens, and nobody is there: the same.
for (const [url, said] of [["mqtt://127.0.0.1:1", /refused/], ["mqtt://nowhere.invalid", /resolved|name/i]]) {
  const victim = await open();
  await connect(victim, url, "relay");
  await victim.waitForFunction(() => document.getElementById("console-problem").textContent.trim() !== "");
  assert.match(await victim.textContent("#console-problem"), said, url);
  await victim.context().close();
}

// The one beside them never noticed.
assert.equal(await bystander.getAttribute("#console", "data-state"), "connected");
assert.equal(await bystander.locator("#attempts li").count(), lines, "it was never connected again");
await bystander.locator("#subscribe-filter").fill("bystander");
await bystander.locator("#subscribe button[type=submit]").click();
await bystander.waitForSelector(".sub.is-granted");
await finish();
