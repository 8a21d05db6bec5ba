// The console's packets in a report: attached by who made it, read by who has its link, removed.
import assert from "node:assert/strict";
import { axeSource, config, finish, open, soon, squeeze } from "./common.mjs";

const at = (state) => `#console[data-state="${state}"]`;

async function start(page) {
  return page.evaluate(async () => {
    const response = await fetch("/api/v1/runs", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ target: { url: "mqtt://127.0.0.1:1" } }) });
    return response.json();
  });
}

async function connect(page, url, way = "relay") {
  await page.locator('[name="target.url"]').fill(url);
  await page.locator(`.chip:has([value="${way}"])`).click();
  await page.locator("#connect-now").click();
}

async function message(page, topic, payload, packets = 6) {
  await page.locator("#subscribe-filter").fill(topic);
  await page.locator("#subscribe button[type=submit]").click();
  await page.waitForSelector(".sub.is-granted");
  await page.locator("#publish-topic").fill(topic);
  await page.locator("#publish-payload").fill(payload);
  await page.locator("#publish-now").click();
  await page.locator("#tab-messages").click();
  await page.waitForSelector(`.message-row.is-in:has-text("${payload}")`);
  await page.locator("#tab-packets").click();
  await page.waitForSelector('.packet-row:has-text("SUBACK")');
  await page.waitForFunction((n) => document.querySelectorAll(".packet-row").length >= n, packets);
}

// The axe checker looks at what is open.
async function accessible(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((x) => x.target).join(" ")}`), []);
}

const page = await open();
await page.goto(config.base + "/console");
const run = await start(page);
const other = await start(page);

// Through the server, without payloads, to a report of this browser.
await page.goto(`${config.base}/console?run=${run.id}`);
await connect(page, config.open);
await page.waitForSelector(at("connected"));
await message(page, "attached/relay", "PAYLOAD-relay");
await page.locator("#packets-attach").click();
await page.waitForSelector(`#attach-mine option[value="${run.id}"]`, { state: "attached" });
await soon.equal(() => page.locator("#attach-mine").inputValue(), run.id, "the report that the console was opened from is chosen");
await accessible(page);
await page.locator("#attach-now").click();
await page.waitForSelector("#attach-note a");
await soon.match(() => page.textContent("#attach-note"), /^\d+ packets are attached\. Open the report$/);
await page.locator("#attach-close").click();
await soon.ok(() => page.locator("#packets-attach").evaluate((b) => b === document.activeElement), "the focus is back where it was");

const reader = await open(); // somebody else, with the link
await reader.goto(`${config.base}/runs/${run.id}`);
await reader.locator("#trace summary").first().click();
await soon.match(async () => squeeze(await reader.textContent("#trace")), /→ ?from the client ?CONNECT.*The client publishes 13 bytes to attached\/relay/);
assert.doesNotMatch(await reader.content(), /PAYLOAD-relay/);
assert.equal(await reader.locator("#trace form").count(), 0, "only its maker removes it");
await reader.locator(".trace-packet", { hasText: "SUBACK" }).locator("summary").click();
await soon.match(async () => squeeze(await reader.locator(".trace-packet", { hasText: "SUBACK" }).textContent()), /Granted QoS 1 \(1\)/);
await accessible(reader);
await reader.goto(`${config.base}/runs/${run.id}?lang=zh`);
await soon.match(() => reader.textContent("#trace-title"), /报文/);
await soon.match(() => reader.textContent(".trace-list"), /attached\/relay/);
assert.doesNotMatch(await reader.textContent(".trace-list"), /The client|The broker/);

// Directly, with payloads, to another report by its link.
const direct = await open({ expected: [401] });
await direct.goto(config.base + "/console");
await connect(direct, config.open_ws, "direct");
await direct.waitForSelector(at("connected"));
await message(direct, "attached/cleared", "PAYLOAD-cleared");
await direct.locator("#packets-clear").click();
await message(direct, "attached/direct", "PAYLOAD-direct", 4);
await direct.locator("#packets-attach").click();
await direct.locator("#attach-now").click();
await soon.match(() => direct.textContent("#attach-link-error"), /34 characters/);
await direct.locator("#attach-link").fill(other.url);
await direct.locator("#attach-payloads").check();
const refused = direct.waitForResponse((r) => r.request().method() === "PUT");
await direct.locator("#attach-now").click();
assert.equal((await refused).status(), 401);
await direct.locator("#attach-token").fill(other.delete_token);
await direct.locator("#attach-now").click();
await direct.waitForSelector("#attach-note a");
await page.goto(`${config.base}/runs/${other.id}`);
await page.locator("#trace summary").first().click();
await page.locator(".trace-packet.is-out", { hasText: "publishes" }).locator("summary").click();
await soon.match(() => page.locator(".trace-packet.is-out pre").textContent(), /PAYLOAD-direct/);
assert.doesNotMatch(await page.textContent("#trace"), /PAYLOAD-cleared|attached\/cleared|that passed (is|are) not here/, "what was cleared is neither there nor missed");
await page.locator("#trace form button").click();
await page.waitForURL(`**/runs/${other.id}`);
await soon.equal(() => page.locator("#trace").count(), 0);
await finish();
