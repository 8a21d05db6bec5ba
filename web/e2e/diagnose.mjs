// From an address to a shared report, as a user goes.
import assert from "node:assert/strict";
import fs from "node:fs";
import { config, ended, finish, open, patience, report, soon, source, squeeze } from "./common.mjs";

const field = (page, name) => page.locator(`[name="${name}"]`);
const submit = (page) => page.locator(".ask [data-submit]").click();

// A mistake costs nothing: messages stand beside their fields, and what was typed stays, the password too.
const page = await open({ expected: [400] });
await page.goto(config.base + "/");
await soon.equal(() => page.getAttribute("html", "lang"), "en");
const user = config.silent.replace("mqtt://", `mqtt://${config.username}:${config.password}@`);
await field(page, "target.url").fill(user);
await field(page, "target.url").press("Tab");
await soon.equal(() => field(page, "target.url").inputValue(), config.silent, "the login was taken out of the address");
await soon.equal(() => field(page, "target.username").inputValue(), config.username);
await soon.equal(() => field(page, "target.password").inputValue(), config.password);
await soon.match(() => page.textContent("#url-hint"), /moved from the address.*Will connect to mqtt:/s);
await page.locator("#panel-advanced summary").click();
await field(page, "plan.timeout_s").fill("many");
await field(page, "plan.resolvers").focus();
await page.waitForSelector('[id="error-plan.timeout_s"]');
await soon.match(() => page.textContent('[id="error-plan.timeout_s"]'), /number/, "said as soon as the field is left");
await soon.equal(() => page.locator(".field-error:visible").count(), 1, "and of nothing else");
await field(page, "plan.timeout_s").fill("3");
await soon.equal(() => page.locator(".field-error:visible").count(), 0);
await field(page, "plan.timeout_s").fill("many");
await field(page, "target.topics.publish").evaluate((e) => { e.value = "a/#"; });
await submit(page);
await page.waitForSelector("#form-problems .problems");
await soon.equal(() => page.locator("#form-problems li").count(), 2);
await soon.ok(() => page.locator('[id="error-plan.timeout_s"]').isVisible());
await soon.ok(() => page.locator('[id="error-target.topics.publish"]').isVisible(), "the panel with the mistake opens");
await soon.equal(() => field(page, "target.password").inputValue(), config.password);
await field(page, "target.topics.publish").fill("");
await field(page, "plan.timeout_s").fill("4"); // long enough for a page to come that is slow to
await page.locator(".chip", { hasText: "Connecting times out" }).click();

// Steps arrive one by one, before the run ends. The connection is cut in between, and taken up again without a gap.
const cuts = [];
await page.routeWebSocket(/\/live\?/, (socket) => {
  const server = socket.connectToServer();
  const after = Number(new URL(socket.url()).searchParams.get("after"));
  const cut = { after, seqs: [] };
  cuts.push(cut);
  server.onMessage((message) => {
    if (cut.over) return;
    cut.seqs.push(JSON.parse(message).seq);
    socket.send(message);
    if (cuts.length > 1 || cut.seqs.length < 2) return;
    cut.over = true;
    socket.close({ code: 1012 });
  });
});
await page.addInitScript(() => {
  window.seen = [];
  window.moved = 0;
  new PerformanceObserver((list) => { for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.moved += shift.value; })
    .observe({ type: "layout-shift", buffered: true });
  const note = () => {
    const run = document.getElementById("run");
    const steps = document.querySelectorAll(".step").length;
    if (!run) return;
    const last = window.seen.at(-1);
    if (!last || last.steps !== steps || last.state !== run.dataset.state) {
      window.seen.push({ at: performance.now(), steps, state: run.dataset.state, title: document.title, icon: document.getElementById("favicon").href });
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    note();
    new MutationObserver(note).observe(document.documentElement, { subtree: true, childList: true, attributes: true });
  });
});
await submit(page);
await page.waitForURL(/\/runs\/[a-z2-7]+$/);
const url = page.url();
await page.waitForSelector("#progress-bar");
await soon.ok(() => page.locator("[data-cancel]").isVisible(), "a run under way can be canceled");
await ended(page);
const seen = await page.evaluate(() => window.seen);
assert.ok(await page.evaluate(() => window.moved) < 0.1, "what one reads does not move away while steps come");
const during = seen.filter((s) => s.state === "running");
assert.ok(new Set(during.map((s) => s.steps)).size >= 2, `steps came while it ran: ${JSON.stringify(seen)}`);
assert.match(during.at(-1).title, /%/);
assert.match(during.at(-1).icon, /running/);
assert.match(seen.at(-1).title, /^Does not work/);
assert.match(seen.at(-1).icon, /broken/);
const all = cuts.flatMap((c) => c.seqs);
assert.ok(cuts.length >= 2, "the cut was noticed");
assert.equal(cuts[1].after, cuts[0].seqs.at(-1), "it went on where it was cut");
assert.deepEqual(all, Array.from(all, (_, i) => all[0] + i), "no event is missing or comes twice");
const mine = await report(page);
assert.ok(mine.steps.length >= 3);
await soon.ok(async () => await page.locator("#share-url").inputValue() === url);
await page.reload();
await soon.deepEqual(() => report(page), mine, "the stored page is the streamed one");

// The link in another browser.
const other = await open();
await other.goto(url);
await soon.deepEqual(() => report(other), mine);
assert.equal(await other.locator("#delete").count(), 0, "a stranger cannot delete");
await soon.equal(() => page.locator("#delete").count(), 1, "the owner can");

// The wizard: what is set is marked, an answer fills in what it decides, and another symptom undoes that.
const asks = await open();
await asks.goto(config.base + "/");
const symptom = (name) => asks.locator(".chip", { hasText: name }).click();
const pressed = () => asks.locator('[data-question]:not([hidden]) [aria-pressed="true"]').allTextContents();
await soon.deepEqual(() => pressed(), ["Standard"]);
await asks.locator("#panel-advanced summary").click();
await field(asks, "plan.depth").selectOption("deep");
await soon.match(async () => (await pressed()).join(), /^Everything/);
await field(asks, "plan.depth").selectOption("standard");
await symptom("Connection drops");
await soon.deepEqual(() => pressed(), [], "nothing is answered in the reader's place");
await asks.locator("[data-question]:not([hidden]) button", { hasText: "Every few hours" }).click();
await soon.equal(() => field(asks, "plan.watch_s").inputValue(), "28800");
await symptom("Checkup");
await soon.equal(() => field(asks, "plan.watch_s").inputValue(), "", "a checkup does not watch for eight hours");
await soon.deepEqual(() => pressed(), ["Standard"]);
await symptom("Connection drops");
await asks.locator("[data-question]:not([hidden]) button", { hasText: "Every few hours" }).click();
await field(asks, "plan.watch_s").selectOption("60");
await symptom("Checkup");
await soon.equal(() => field(asks, "plan.watch_s").inputValue(), "60", "what the reader chose stays");
await asks.context().close();

// Without scripts.
const plain = await open({ javaScriptEnabled: false });
await plain.goto(url);
await soon.deepEqual(() => report(plain), mine);

// In Chinese: by the browser's languages, and by choice.
const chinese = await open({ locale: "zh-CN" });
await chinese.goto(url);
await soon.equal(() => chinese.getAttribute("html", "lang"), "zh-Hans");
await soon.match(() => chinese.textContent("#verdict .eyebrow"), /无法使用/);
await chinese.locator("a.lang").click();
await soon.deepEqual(() => report(chinese), mine);
await chinese.goto(config.base + "/");
await soon.equal(() => chinese.getAttribute("html", "lang"), "en", "the choice is remembered");

// The theme button.
await page.locator("[data-theme-form] button").click();
await page.waitForFunction(() => document.documentElement.dataset.theme === "light");
await page.reload();
await soon.equal(() => page.getAttribute("html", "data-theme"), "light");

// Exports.
for (const [ending, type] of [[".md", /markdown/], [".json", /json/], [".html", /html/]]) {
  const file = await source(new URL(url).pathname + ending);
  assert.equal(file.status, 200);
  assert.match(file.headers.get("content-type"), type);
  assert.ok(!file.text.includes(config.password));
}
const file = await open();
const html = await source(new URL(url).pathname + ".html");
await file.setContent(html.text);
await soon.deepEqual(async () => (await report(file)).verdict, mine.verdict, "the file shows the same");

// Wrong password, all without scripts: the form comes back as it was but for the password, which is asked for again.
const bare = await open({ javaScriptEnabled: false, expected: [400] });
await bare.goto(config.base + "/");
await field(bare, "target.url").fill(config.broker.replace("mqtt://", "mqtt://meter@") + "0000");
await bare.locator("#panel-login summary").click();
await field(bare, "target.password").fill(config.password);
await submit(bare);
await soon.match(() => bare.textContent("#form-problems"), /One entry/);
await soon.equal(() => field(bare, "target.username").inputValue(), config.username);
await soon.equal(() => field(bare, "target.password").inputValue(), "");
await soon.ok(() => bare.locator('[id="lost-target.password"]').isVisible());
assert.ok(!(await bare.content()).includes(config.password));
await field(bare, "target.url").fill(config.broker);
await field(bare, "target.password").fill(config.password);
await submit(bare);
await bare.waitForURL(/\/runs\//);
for (const end = Date.now() + patience; Date.now() < end && (await bare.locator('#run[data-state="running"]').count());) {
  await bare.waitForTimeout(300);
  await bare.reload();
}
const refused = await report(bare);
assert.match(refused.verdict, /user name or the password/i);

// Run again with the settings of before: the password is still held for its owner, a stranger has to enter it.
await bare.locator(".run-acts button", { hasText: "Run again" }).click();
await bare.waitForURL((u) => u.href !== bare.url && /\/runs\//.test(u.href));
const asked = await open({ javaScriptEnabled: false });
await asked.goto(bare.url());
await asked.locator("#again-top summary").click();
await soon.ok(() => asked.locator("#again-top input[type=password]").isVisible());
await asked.goto(config.base + "/?from=" + new URL(bare.url()).pathname.split("/").pop());
assert.equal(await field(asked, "target.username").inputValue(), "", "a link does not show the user name unless its owner chose so");
await soon.ok(() => asked.locator('[id="lost-target.password"]').isVisible());

// A healthy broker, and a run that is canceled.
const healthy = await open();
await healthy.goto(config.base + "/");
await field(healthy, "target.url").fill(config.open.replace("mqtt://", ""));
await submit(healthy);
await healthy.waitForURL(/\/runs\//);
await ended(healthy);
await soon.match(async () => (await report(healthy)).tone, /Healthy/);
await healthy.goto(config.base + "/");
await field(healthy, "target.url").fill(config.silent);
await submit(healthy);
await healthy.waitForURL(/\/runs\//);
await healthy.locator("[data-cancel] button").click();
await healthy.waitForSelector('#run[data-state="canceled"]');
await soon.match(async () => (await report(healthy)).tone, /Canceled/);

// Deleted is gone.
await healthy.locator("#delete summary").click();
const gone = healthy.url();
await healthy.locator("#delete form button").click();
await healthy.waitForSelector(".notice");
assert.equal((await source(new URL(gone).pathname)).status, 404);

fs.writeFileSync(config.state, JSON.stringify({ url, mine }));
console.log(squeeze(`${mine.tone}: ${mine.verdict} (${mine.steps.length} steps, ${seen.length} changes seen, ${cuts.length} connections)`));
await finish();
