// The console: both ways to a broker, what goes wrong on them, and what stays in the page.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import { promisify } from "node:util";
import { config, finish, look, open, patience, require, soon, squeeze } from "./common.mjs";

const at = (state) => `#console[data-state="${state}"]`;
const field = (page, name) => page.locator(`[name="${name}"]`);
const status = async (page) => squeeze(await page.textContent("#console-status"));

async function connect(page, url, way = "relay") {
  await field(page, "target.url").fill(url);
  await page.locator(`.chip:has([value="${way}"])`).click();
  await page.locator("#connect-now").click();
}

async function subscribe(page, filter) {
  await page.locator("#subscribe-filter").fill(filter);
  await page.locator("#subscribe button[type=submit]").click();
}

async function publish(page, topic, payload, qos = "1") {
  await page.locator("#publish-topic").fill(topic);
  await page.locator("#publish-payload").fill(payload);
  await page.locator("#publish-qos").selectOption(qos);
  await page.locator("#publish-now").click();
}

// broker ends the broker that may be restarted ("down"), or starts it anew ("up").
async function broker(what) {
  const response = await fetch(`${config.control}/${what}`, { method: "POST" });
  assert.ok(response.ok, await response.text());
}

// A broker that answers a SUBSCRIBE with so many messages, as fast as they are taken.
async function torrent(count) {
  const { generate, parser } = require("mqtt-packet");
  const server = net.createServer((socket) => {
    const parse = parser({ protocolVersion: 5 });
    const send = (packet) => socket.write(generate(packet, { protocolVersion: 5 }));
    let next = 0;
    const pour = () => { while (next < count && send({ cmd: "publish", topic: `load/${next % 100}`, payload: JSON.stringify({ n: next++ }), qos: 0 })); };
    parse.on("packet", ({ cmd, messageId }) => {
      if (cmd === "connect") send({ cmd: "connack", reasonCode: 0, sessionPresent: false });
      if (cmd === "pingreq") send({ cmd: "pingresp" });
      if (cmd !== "subscribe") return;
      send({ cmd: "suback", messageId, granted: [0] });
      socket.on("drain", pour);
      pour();
    });
    socket.on("data", (data) => parse.parse(data)).on("error", () => {});
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `mqtt://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

// seen judges the page as it stands, in both themes.
const problems = [];
async function seen(page, name) {
  for (const theme of ["dark", "light"]) {
    await page.evaluate((theme) => { document.documentElement.dataset.theme = theme; }, theme);
    problems.push(...await look(page, `${name}, ${theme}`));
  }
}

// Through the server, to plain MQTT: subscribe, publish, read.
const page = await open({ expected: [400] });
await page.goto(config.base + "/console");
await page.locator("#connect-now").click();
await soon.ok(() => page.locator('[id="error-target.url"]').isVisible(), "an empty address is named beside its field");
await connect(page, config.restart);
await page.waitForSelector(at("connected"));
await soon.match(() => status(page), /through this server with MQTT 5/);
await soon.equal(() => page.locator("#connect-card").getAttribute("open"), null, "the form folds away");
await subscribe(page, "site/#");
await page.waitForSelector(".sub.is-granted");
await publish(page, "site/1/temp", '{"t": 21.5}');
await page.waitForSelector(".message-row.is-in");
await soon.match(() => page.textContent("#publish-done"), /The broker has it/);
await page.locator(".message-row.is-in").click();
await soon.match(() => page.textContent("#message"), /site\/1\/temp.*t: 21.5/s);
await publish(page, "site/1/temp", '{"t": 22.5}');
await page.waitForFunction(() => document.querySelectorAll(".message-row.is-in").length === 2);
await page.locator(".message-row.is-in").last().click();
await page.locator('.part[data-key="changes"]').click();
await soon.match(async () => squeeze(await page.textContent(".changes")), /t ?21.5 22.5/);
await page.locator('.part[data-key="plot"]').click();
await page.waitForSelector(".message-plot canvas");
await soon.match(async () => squeeze(await page.textContent(".message-plot table")), /t22.521.522.522/);

// Variables, repetition, properties, what is kept, and what is wrong.
await page.locator("#publish details:has(#publish-times) summary").click();
await page.locator("#publish-times").fill("3");
await publish(page, "site/1/n", '{"n": {{counter}}, "id": "{{uuid}}", "r": {{random:5:5}}}');
await page.waitForFunction(() => document.querySelectorAll(".message-row.is-in").length === 5);
const sent = await page.locator(".message-row.is-in .row-text").allTextContents();
assert.match(sent.at(-1), /^{"n": 3, "id": "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "r": 5}$/);
await page.locator("#publish-times").fill("");
await page.locator("#publish-every").fill("0.05");
await publish(page, "site/1/n", "tick");
await page.waitForSelector("#publish-stop:not([hidden])");
await page.waitForFunction(() => document.querySelectorAll(".message-row.is-in").length >= 7);
await page.locator("#publish-stop").click();
await page.waitForFunction(() => /messages? sent\.$/.test(document.getElementById("publish-done").textContent));
await page.locator("#publish-every").fill("");
await page.locator("#publish-format").selectOption("json");
await publish(page, "site/1/n", "{");
await soon.match(() => page.textContent("#publish-check"), /no JSON/);
await page.locator("#publish-format").selectOption("hex");
await page.locator("#publish details:has(#publish-content-type) summary").click();
await page.locator("#publish-content-type").fill("a/b");
await page.locator("#publish-response-topic").fill("answer/here");
await page.locator("#publish-user").fill("k: v");
await publish(page, "site/1/p", "01 ff");
await page.locator(".message-row.is-in", { hasText: "site/1/p" }).click();
await soon.match(async () => squeeze(await page.textContent("#message .facts")), /Content Typea\/b.*Response Topicanswer\/here.*kv/);
await page.locator("#publish-keep").click();
await soon.equal(() => page.locator("#kept-list .kept").count(), 1);
await soon.ok(async () => (await page.locator("#history-list .kept").count()) >= 4);
await page.locator("#publish-collection").fill("start");
await page.locator("#publish-topic").fill("site/1/second");
await page.locator("#publish-keep").click();
await page.locator("#publish-topic").fill("site/1/third");
await page.locator("#publish-keep").click();
await page.locator("#clear").click();
await page.getByRole("button", { name: "Send all messages of start" }).click();
await page.waitForFunction(() => document.getElementById("publish-done").textContent === "2 messages sent.");
await soon.deepEqual(() => page.locator(".message-row:not(.is-in) .row-topic").allTextContents(), ["Sent site/1/second", "Sent site/1/third"]);
await page.locator("#clear").click();
for (const name of ["content-type", "response-topic", "user"]) await page.locator(`#publish-${name}`).fill("");
await page.locator("#publish-format").selectOption("text");
await publish(page, "site/1/temp", "21");
await publish(page, "site/1/temp", "22");
await page.waitForFunction(() => document.querySelectorAll(".message-row.is-in").length === 2);

await page.locator(".message-row.is-in").last().click();
await seen(page, "a message");

// The same as a command, which says what the page says, and as code.
await page.locator("#copy-as > summary").click();
await page.waitForFunction(() => /^mosquitto_pub -h 127.0.0.1 .*-t site\/1\/temp -m 22$/s.test(document.getElementById("copy-as-text").textContent));
await page.locator("#publish-payload").fill("it's 23°");
await page.waitForFunction(() => document.getElementById("copy-as-text").textContent.includes("23°"));
const [command] = await page.locator("#copy-as-text").allTextContents();
try {
  await promisify(execFile)("sh", ["-c", command])
  await page.waitForSelector(".message-row.is-in:has-text(\"it's 23°\")");
} catch (error) {
  if (error.code !== 127) throw error; // there is no mosquitto_pub here; what shells make of the line is tested apart
  await publish(page, "site/1/temp", "it's 23°");
}
await page.locator("#copy-as-what").selectOption("paho-python");
await page.waitForFunction(() => /import paho.mqtt.client/.test(document.getElementById("copy-as-text").textContent));
await page.locator("#copy-as > summary").click();
await page.waitForFunction(() => document.querySelectorAll(".message-row.is-in").length === 3);
await page.locator("#clear").click();
await publish(page, "site/1/temp", "21");
await publish(page, "site/1/temp", "22");
await page.waitForFunction(() => document.querySelectorAll(".message-row.is-in").length === 2);

// The topic tree, by keyboard.
await page.locator("#tab-messages").focus();
await page.keyboard.press("ArrowRight");
await page.waitForSelector("#topic-tree .topic-row");
await page.locator("#topic-tree").focus();
for (const key of ["ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
await page.waitForFunction(() => /site\/1\/temp/.test(document.querySelector("#topic h3")?.textContent));
await soon.match(async () => squeeze(await page.textContent("#topic")), /messages here ?2/);
await seen(page, "a topic");
await page.locator("#topic .message-acts button").first().click();
await soon.match(() => page.textContent("#under"), /Only site\/1\/temp/);
await page.locator("#under button").click();
await publish(page, "site/+", "x");
await soon.match(() => page.textContent("#publish-error"), /one topic/);
await subscribe(page, "a/#/b");
await soon.match(() => page.textContent("#subscribe-error"), /last level/);

// Every packet, with what answers it, and its export.
await page.locator("#tab-packets").click();
await page.waitForSelector(".packet-row:has-text(\"PUBACK\")");
for (const [kind, ...types] of [["connection", "CONNECT", "CONNACK"], ["messages", "PUBLISH", "PUBACK"], ["subscriptions", "SUBSCRIBE", "SUBACK"]]) {
  await page.locator("#packets-kind").selectOption(kind);
  for (const type of types) await page.waitForSelector(`.packet-row:has-text("${type}")`);
}
await page.locator(".packet-row", { hasText: "SUBACK" }).click();
await soon.match(() => page.textContent("#packet"), /granted the subscriptions.*Answers this SUBSCRIBE/s);
await seen(page, "a packet");
await page.locator("#packet .packet-round button").click();
await soon.match(() => page.textContent("#packet h3"), /SUBSCRIBE/);
await page.waitForFunction(() => document.querySelectorAll(".packet-row").length === 2);
await page.locator("#packets-kind").selectOption("all");
const downloading = page.waitForEvent("download");
await page.locator("#packets-pcapng").click();
assert.equal((await downloading).suggestedFilename(), "mqttdoctor-trace.pcapng");
await page.locator("#tab-messages").click();

// What a broker would end the connection over is said before it is sent; what it grants or refuses, after.
await page.locator("#subscribe details summary").click();
await page.locator("#subscribe-id").fill("0");
await subscribe(page, "x/1");
await soon.match(() => page.textContent("#subscribe-id-error"), /from 1 to 268,435,455/);
await page.locator("#subscribe-id").fill("12");
await page.locator("#subscribe-share").fill("workers");
await page.locator("#subscribe-nl").check();
await subscribe(page, "x/1");
await soon.match(() => page.textContent("#subscribe-error"), /no local/);
await page.locator("#subscribe-share").fill("");
await page.locator("#subscribe-rh").selectOption("2");
await page.locator("#subscribe-qos").selectOption("2");
await subscribe(page, "x/1");
await page.waitForSelector(".sub.is-granted:has-text('Granted QoS 2 · no local · no retained · identifier 12')");
await page.locator(".sub", { hasText: "x/1" }).getByRole("button", { name: /^Unsubscribe/ }).click();
for (const name of ["id", "share"]) await page.locator(`#subscribe-${name}`).fill("");
await page.locator("#subscribe-nl").uncheck();
await page.locator("#subscribe-rh").selectOption("0");
await page.locator("#subscribe-qos").selectOption("1");
await page.locator("#subscribe details summary").click();

// The broker restarts: attempts are shown as they happen, each with its reason and the wait before it, and the subscriptions
// are there again, which the broker has forgotten.
const came = async (count) => page.waitForFunction((n) => document.querySelectorAll(".message-row.is-in").length === n, count);
await subscribe(page, "second/#");
await page.waitForFunction(() => document.querySelectorAll(".sub.is-granted").length === 2);
await broker("down");
await page.waitForSelector(at("waiting"));
await page.waitForFunction(() => /Attempt 3 follows/.test(document.getElementById("attempts").textContent));
await soon.match(() => status(page), /Attempt \d+ follows/);
await soon.match(() => page.textContent("#console-problem"), /refused the connection/);
const attempts = (await page.locator("#attempts li").allTextContents()).map(squeeze);
const waits = attempts.map((line) => /^[\d:.]+ ?(.+?) Attempt (\d) follows in ([\d.]+) (m?s)\.$/.exec(line)).filter(Boolean).slice(0, 2); // more, where this takes long
assert.deepEqual(waits.map(([, , n]) => n), ["2", "3"], attempts.join("\n"));
assert.match(waits[0][1], /The broker (closed|reset) the connection/);
assert.match(waits[1][1], /refused the connection/);
const [first, second] = waits.map(([, , , wait, unit]) => Number(wait) * (unit === "s" ? 1000 : 1));
assert.ok(second > first, "the second wait is longer");
await soon.equal(() => page.locator(".sub.is-waiting").count(), 2, "a subscription without a connection is not called granted");
await seen(page, "waiting for the next attempt");
await broker("up");
await page.waitForSelector(at("connected")); // by itself
await page.waitForFunction(() => document.querySelectorAll(".sub.is-granted").length === 2);
await publish(page, "site/1/temp", "22");
await came(3);
await publish(page, "second/1", "again");
await came(4);
await broker("down");
await page.waitForSelector(at("waiting"));
await broker("up");
await page.locator("#retry-now").click();
await page.waitForSelector(at("connected"));
await page.waitForFunction(() => document.querySelectorAll(".sub.is-granted").length === 2);
await publish(page, "site/1/temp", "23");
await came(5);
await page.locator("#disconnect").click();
await page.waitForSelector(at("idle"));

// Directly, to the broker's own WebSocket listener, with each version.
for (const [version, name] of [["3.1", "MQTT 3.1"], ["3.1.1", "MQTT 3.1.1"], ["5", "MQTT 5"]]) {
  const direct = await open();
  await direct.goto(config.base + "/console");
  await direct.locator("#panel-client summary").click();
  await field(direct, "target.protocol").selectOption(version);
  await connect(direct, config.open_ws, "direct");
  await direct.waitForSelector(at("connected"));
  await soon.match(() => status(direct), new RegExp(`directly with ${name.replaceAll(".", "\\.")}(?!\\.)`));
  await subscribe(direct, `v/${version}`);
  await direct.waitForSelector(".sub.is-granted");
  for (const qos of ["0", "1", "2"]) await publish(direct, `v/${version}`, "q" + qos, qos);
  await direct.waitForFunction(() => document.querySelectorAll(".message-row.is-in").length === 3);
  await direct.locator("#tab-packets").click();
  await direct.waitForFunction(() => document.querySelectorAll(".packet-row").length >= 10);
  assert.deepEqual(await direct.locator(".packet-wrong").count(), 0, "nothing is wrong with what a healthy broker says");
  await soon.ok(() => direct.locator("#packets-pcapng").isDisabled());
  await direct.context().close();
}

// A browser opens no plain MQTT.
const wrong = await open();
await wrong.goto(config.base + "/console");
await connect(wrong, config.open, "direct");
await soon.match(() => wrong.textContent('[id="error-target.url"]'), /cannot open mqtt:/);

// A wrong password is refused in words, and not tried again; it is nowhere but in the CONNECT.
const denied = await open();
await denied.goto(config.base + "/console");
await denied.locator("#panel-login summary").click();
await field(denied, "target.username").fill(config.username);
await field(denied, "target.password").fill(config.password);
await connect(denied, config.broker);
await denied.waitForSelector(at("ended"));
await soon.match(() => denied.textContent("#console-problem"), /refused the connection: (Not authorized|Bad User Name)/);
assert.equal(await denied.evaluate((password) => JSON.stringify({ ...localStorage, ...sessionStorage }).includes(password), config.password), false);

// Saved connections: without secrets, with them where that is ticked, and what other clients wrote.
const kept = () => denied.evaluate(() => localStorage.getItem("mqttdoctor.console.connections"));
await denied.locator("#saved > summary").click();
await denied.locator("#saved-name").fill("Meter");
await denied.locator("#saved-save").click();
await soon.match(() => denied.textContent("#saved-note"), /Saved in this browser: Meter/);
assert.ok((await kept()).includes(config.username) && !(await kept()).includes(config.password));
await denied.locator("#saved-secrets").check();
await denied.locator("#saved-name").fill("Meter with secrets");
await denied.locator("#saved-save").click();
assert.ok((await kept()).includes(config.password));
await denied.locator("#saved-secrets").uncheck();
await denied.locator("#saved-file").setInputFiles({ name: "data.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify([
  { clientId: "x", name: "From MQTTX", host: "127.0.0.1", port: Number(new URL(config.open_ws.replace("ws:", "http:")).port), protocol: "ws", path: "/", mqttVersion: "3.1.1", password: "canary-mqttx", subscriptions: [{ topic: "kept/#", qos: 1 }] }])) });
await denied.waitForFunction(() => /1 connection read from MQTTX. Passwords/.test(document.getElementById("saved-note").textContent));
assert.doesNotMatch(await kept(), /canary-mqttx/);
const exporting = denied.waitForEvent("download");
await denied.locator("#saved-export").click();
const exported = fs.readFileSync(await (await exporting).path(), "utf8");
assert.ok(exported.includes("From MQTTX") && !exported.includes(config.password), "an exported file has no secrets");
await denied.reload();
await denied.locator("#saved > summary").click();
await denied.locator("#saved-list .kept-take", { hasText: "Meter with secrets" }).click();
await soon.equal(() => field(denied, "target.password").inputValue(), config.password);
await denied.locator("#saved-list .kept-take", { hasText: "From MQTTX" }).click();
await soon.equal(() => field(denied, "target.password").inputValue(), "");
await denied.locator("#connect-now").click();
await denied.waitForSelector(at("connected"));
await soon.match(() => status(denied), /with MQTT 3\.1\.1/);
await denied.waitForSelector(".sub.is-granted:has-text('kept/#')");

await denied.locator("#disconnect").click();

// A burst: every message arrives and is counted, the page draws few of them, and goes on answering.
const burst = 50_000;
const flood = await torrent(burst);
await denied.evaluate(() => {
  let last = performance.now();
  window.longest = 0;
  setInterval(() => {
    const now = performance.now();
    window.longest = Math.max(window.longest, now - last);
    last = now;
  }, 10);
});
await field(denied, "target.protocol").selectOption("5");
const begun = Date.now();
await connect(denied, flood.url);
await denied.waitForFunction((n) => document.getElementById("count-messages").textContent === n, burst.toLocaleString("en"), { timeout: 2 * patience });
console.log(`${burst} messages in ${Date.now() - begun} ms, the page away for ${Math.round(await denied.evaluate(() => window.longest))} ms at most`);
assert.ok(await denied.locator("#messages-note").isHidden(), "nothing was dropped");
assert.ok((await denied.locator("#view-messages .row").count()) < 100, "a row for what is seen alone");
await denied.locator("#search").fill('"n":49999');
await denied.waitForFunction(() => document.querySelectorAll(".message-row").length === 1);
await denied.locator("#search").fill("");
await denied.locator("#tab-topics").click();
await denied.waitForFunction(() => document.getElementById("count-topics").textContent === "100");
await denied.locator("#disconnect").click();
flood.close();

// What a first page does not show, in Chinese: the fault of a connection, saved connections, the command.
const chinese = await open({ locale: "zh-CN" });
await chinese.goto(config.base + "/console");
await chinese.locator("#saved > summary").click();
await chinese.locator("#saved-name").fill("一号");
await field(chinese, "target.url").fill(config.restart);
await chinese.locator("#saved-save").click();
await broker("down");
await connect(chinese, config.restart);
await chinese.waitForSelector(at("ended"));
await soon.match(() => chinese.textContent("#console-problem"), /拒绝/);
await chinese.locator("#copy-as > summary").click();
await chinese.locator("#copy-as-what").selectOption("mosquitto_sub");
await chinese.waitForFunction(() => /^mosquitto_sub/.test(document.getElementById("copy-as-text").textContent));
await seen(chinese, "no connection");

assert.deepEqual(problems, []);
console.log(await status(page));
await finish();
