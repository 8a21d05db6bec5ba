// What broken brokers do to the console: a clear word in it, the packet marked, and nothing to the client beside it.
import assert from "node:assert/strict";
import net from "node:net";
import { config, finish, open, patience, soon, squeeze } from "./common.mjs";

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

// A page that takes nothing any more, as under a debugger, while the others go on.
let pour;
const steady = await answers(connack, (s) => {
  const message = Buffer.from([0x30, 0xf4, 3, 0, 1, 0x74, ...new Uint8Array(497)]);
  const many = Buffer.concat(Array(1000).fill(message));
  pour = () => { while (!s.destroyed && s.write(many)); };
  s.on("drain", pour);
});
const stuck = await open();
await connect(stuck, steady.url, "relay");
await stuck.waitForSelector('#console[data-state="connected"]');
await stuck.locator("#tab-packets").click();
let release;
const released = new Promise((done) => { release = done; });
await stuck.route("**/held", async (route) => {
  await released;
  await route.fulfill({ body: "" });
});
const held = stuck.evaluate(() => {
  const request = new XMLHttpRequest();
  request.open("GET", "/held", false); // nothing else runs in the page until this is answered
  request.send();
});
pour();

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

// A packet as large as MQTT allows, sent for as long as somebody takes it. The page does not wait for its end.
const chunk = Buffer.alloc(1 << 20);
const flood = await answers([...connack, 0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0x74], (s) => {
  const pour = () => { while (!s.destroyed && s.write(chunk)); };
  s.on("drain", pour);
  pour();
});
const large = await open();
await connect(large, flood.url, "relay");
await large.waitForSelector('#console[data-state="ended"]');
await soon.match(() => large.textContent("#console-problem"), /a packet of 268\.4 MB.*at most.*largest packet/);
await large.context().close();
flood.close();

// Nothing listens, and nobody is there: the same.
for (const [url, said] of [["mqtt://127.0.0.1:1", /refused/], ["mqtt://nowhere.invalid", /resolved|name/i]]) {
  const victim = await open();
  await connect(victim, url, "relay");
  await victim.waitForFunction(() => document.getElementById("console-problem").textContent.trim() !== "");
  await soon.match(() => victim.textContent("#console-problem"), said, url);
  await victim.context().close();
}

// The policy of the server: an address that is typed is refused at once, and a name that turns out to be such an address when it
// is dialled.
for (const [context, said, urls] of [
  [{ expected: [403] }, /policy/, ["mqtt://169.254.169.254:80", "mqtt://[fe80::1]:1883", "mqtts://10.1.2.3", config.forbidden]],
  [{ expected: [403], locale: "zh-CN" }, /策略/, ["mqtt://169.254.169.254:80", config.forbidden]],
]) {
  const victim = await open(context);
  for (const url of urls) {
    await connect(victim, url, "relay");
    await victim.waitForSelector('#console[data-state="ended"]');
    await soon.match(async () => squeeze(await victim.textContent("#console-problem")), said, url);
    await soon.ok(() => victim.locator("#retry-now").isVisible());
  }
  await victim.context().close();
}

// The server has ended the connection of the page that takes nothing, which says so once it can.
for (let tries = 0; !/relays_total\{by="client",why="stalled"\} [1-9]/.test(await (await fetch(config.base + "/metrics")).text()); tries++) {
  assert.ok(tries < patience / 100, "the connection goes on");
  await new Promise((done) => setTimeout(done, 100));
}
release();
await held;
await stuck.waitForFunction(() => /took nothing|did not take what/.test(document.getElementById("attempts").textContent));
await stuck.context().close();
steady.close();

// The one beside them never noticed.
assert.equal(await bystander.getAttribute("#console", "data-state"), "connected");
assert.equal(await bystander.locator("#attempts li").count(), lines, "it was never connected again");
await bystander.locator("#subscribe-filter").fill("bystander");
await bystander.locator("#subscribe button[type=submit]").click();
await bystander.waitForSelector(".sub.is-granted");
await finish();
