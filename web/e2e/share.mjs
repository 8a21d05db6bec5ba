// A report that is shared: what its link shows, how long, who looked, two of them side by side, one from elsewhere, and its end.
import assert from "node:assert/strict";
import { config, ended, finish, look, open, report, soon, source, squeeze } from "./common.mjs";

const field = (page, name) => page.locator(`[name="${name}"]`);
const box = (what) => `[name="show"][value="${what}"]`;
const problems = [];

// diagnose goes from the form to the end of a run and returns its address.
async function diagnose(page, { url, topic, password }) {
  await page.goto(config.base + "/");
  await field(page, "target.url").fill(url);
  await page.evaluate(() => { for (const panel of document.querySelectorAll("details")) panel.open = true; });
  await field(page, "target.username").fill(config.username);
  await field(page, "target.password").fill(password);
  await field(page, "target.topics.publish").fill(topic);
  await page.locator(".ask [data-submit]").click();
  await page.waitForURL(/\/runs\/[a-z2-7]+$/);
  await ended(page);
  return page.url();
}

const owner = await open();
const bad = await diagnose(owner, { url: config.broker, topic: "plant/CANARY-topic", password: config.password });
await soon.match(() => owner.content(), /plant\/CANARY-topic/);

// By default the user name stays with the owner; he is told what a link shows, and that nobody has looked.
await soon.ok(async () => !(await owner.locator(box("user")).isChecked()) && !(await owner.locator(box("payloads")).isChecked()));
await soon.ok(async () => await owner.locator(box("host")).isChecked() && await owner.locator(box("topics")).isChecked());
await soon.match(() => owner.textContent(".share-views"), /Nobody else/);
const reader = await open();
await reader.goto(bad);
await soon.match(async () => squeeze(await reader.textContent(".hidden-notice")), /user name/);
await soon.match(() => reader.content(), /plant\/CANARY-topic/);
assert.equal(await reader.locator(".share-form").count(), 0, "who has the link does not choose what it shows");
problems.push(...await look(reader, "report with the user hidden"));

// Topics hidden, host hidden, a week: at once, in the page and in each export; another time the reader is back.
await owner.reload();
await soon.match(async () => squeeze(await owner.textContent(".share-views")), /once/);
await owner.locator(box("topics")).uncheck();
await owner.locator(box("host")).uncheck();
await owner.locator("#share-keep").selectOption("7");
await owner.locator(".share-save button").click();
await owner.waitForURL(/shared/);
await soon.match(() => owner.textContent(".share-save [role=status]"), /Saved/);
await soon.ok(async () => !(await owner.locator(box("topics")).isChecked()));
const until = Date.parse(await owner.locator(".share-kept time").getAttribute("datetime"));
assert.ok(Math.abs(until - Date.now() - 7 * 86400e3) < 3600e3, `kept until ${new Date(until)}`);
await soon.match(() => owner.content(), /plant\/CANARY-topic/, "the owner sees everything");
problems.push(...await look(owner, "saved"));
await reader.reload();
assert.doesNotMatch(await reader.content(), /CANARY-topic/);
assert.ok(!(await reader.content()).includes(new URL(config.broker).host));
await soon.match(async () => squeeze(await reader.textContent(".hidden-notice")), /host and addresses.*topics/);
assert.equal(await reader.locator('form[action$="/rerun"]').count(), 0, "nobody runs again what he cannot see");
for (const kind of [".json", ".md", ".html"]) {
  const { status, text } = await source(new URL(bad).pathname + kind);
  assert.equal(status, 200);
  assert.ok(!text.includes("CANARY-topic") && !text.includes(config.username) && !text.includes(new URL(config.broker).host), kind);
}
const chinese = await open({ locale: "zh-CN", viewport: { width: 360, height: 740 }, colorScheme: "dark" });
await chinese.goto(bad);
await soon.match(async () => squeeze(await chinese.textContent(".hidden-notice")), /主题/);
problems.push(...await look(chinese, "hidden, Chinese, narrow"));

// What fits works; both side by side say what changed, and it in words.
const good = await diagnose(owner, { url: config.open, topic: "plant/a", password: config.password });
await owner.locator('a[href^="/compare?a="]').click();
await field(owner, "b").fill("not a link");
await owner.locator(".compare-form button").click();
await soon.match(() => owner.textContent("#compare-error-b"), /\S/);
await field(owner, "b").fill(bad);
await owner.locator(".compare-form button").click();
await owner.waitForSelector(".compare-sides");
const sides = (await owner.locator(".compare-verdict").allTextContents()).map(squeeze);
assert.notEqual(sides[0], sides[1]);
await soon.ok(async () => await owner.locator(".compare-finding").count() >= 1, "the cause that went away is named");
problems.push(...await look(owner, "compared"));

// A report from elsewhere: as it was, and marked.
const file = await (await owner.request.get(bad + ".json")).body();
const helpdesk = await open({ expected: [400] });
await helpdesk.goto(config.base + "/import");
await helpdesk.locator("#import-file").setInputFiles({ name: "report.json", mimeType: "application/json", buffer: Buffer.from('{"a":1}') });
await helpdesk.locator(".compare-form [type=submit]").click();
await helpdesk.waitForSelector("#import-error");
problems.push(...await look(helpdesk, "no report"));
await helpdesk.locator("#import-file").setInputFiles({ name: "report.json", mimeType: "application/json", buffer: file });
await soon.match(() => helpdesk.textContent("[data-file-chosen]"), /^report\.json, [\d.]+ /);
await helpdesk.locator(".compare-form [type=submit]").click();
await helpdesk.waitForURL(/\/runs\/[a-z2-7]+$/);
await soon.deepEqual(async () => (await report(helpdesk)).verdict, await (async () => { await owner.goto(bad); return (await report(owner)).verdict; })());
await soon.match(async () => squeeze(await helpdesk.locator(".notice").allTextContents().then((all) => all.join(" "))), /mport/);
problems.push(...await look(helpdesk, "imported"));

// Deleted: nobody has it any more, the owner neither, and not what was made of it.
await owner.locator("#delete summary").click();
await owner.locator("#delete form button").click();
await owner.waitForURL((url) => !url.pathname.startsWith(new URL(bad).pathname));
for (const path of ["", ".json", ".md", ".html"]) assert.equal((await source(new URL(bad).pathname + path)).status, 404, path);
const late = await open({ expected: [404] });
await late.goto(bad);
await soon.match(() => late.textContent("main"), /\S/);
problems.push(...await look(late, "gone"));
await owner.goto(good);
await soon.equal(() => owner.locator("#verdict").count(), 1, "the other one is still there");

assert.deepEqual(problems, []);
await finish();
