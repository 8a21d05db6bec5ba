// A helpdesk asks a technician: one at a desk, the other one on a phone with the password. Both watch the same run, and the
// helpdesk repeats a step of it with a password that it never gets to see.
import assert from "node:assert/strict";
import { config, ended, finish, look, open, report, soon, squeeze } from "./common.mjs";

const problems = [];
const shot = async (page, name) => {
  if (!config.shots) return;
  await page.screenshot({ path: `${config.shots}/help-${name}.png`, fullPage: true });
};
const check = async (page, name) => {
  problems.push(...await look(page, name));
  await shot(page, name);
};

const desk = await open();
const phone = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark", locale: "zh-CN" });

// What is typed at the helpdesk stays there where it is secret.
await desk.goto(config.base + "/");
await desk.locator('[name="target.url"]').fill(config.broker);
await desk.locator("#panel-login summary").click();
await desk.locator('[name="target.password"]').fill("desk-" + config.password);
let sent = "";
desk.on("request", (request) => { if (request.url().endsWith("/requests/new")) sent = request.postData() ?? ""; });
await desk.locator("[data-ask]").click();
await desk.waitForURL("**/requests/new");
assert.ok(sent.includes("target.url") && !sent.includes(config.password), "the form takes the password along");
await desk.locator("#ask-note").fill("<b>Hall 3</b>\nPlease use the meter's own name.");
await desk.locator("#ask-from").fill("Ada of the helpdesk");
await check(desk, "ask");
await desk.locator(".form-end button").click();
await desk.waitForURL(/\/requests\/[a-z2-7]{34}/);
await soon.equal(() => desk.locator(".help-stage.is-now").textContent().then(squeeze), "Link made");
await check(desk, "waiting");
const link = await desk.locator("#share-url").inputValue();
await soon.match(() => desk.locator("#chat").textContent(), new RegExp(link.split("/").pop()));

// The technician opens it; the helpdesk sees that without doing anything.
await phone.goto(link);
await desk.waitForSelector('.help-stage.is-now:has-text("Opened")');
await check(desk, "opened");
await soon.match(() => phone.locator(".help-note").textContent(), /<b>Hall 3<\/b>/, "a note is text");
assert.equal(await phone.locator('[name="target.tls.key_pem"]').count(), 0, "what was not asked for is not asked for");
await check(phone, "technician");
await phone.locator('[name="target.username"]').fill("meter");
await phone.locator('[name="target.password"]').fill(config.password);
await phone.locator("[data-submit]").click();
await phone.waitForURL(/\/runs\//);

await desk.waitForSelector(".help-run a");
await check(desk, "running");
await desk.locator(".help-run a").first().click();
await desk.waitForURL(phone.url());
await Promise.all([ended(desk), ended(phone)]);
await check(phone, "technician-run");
await phone.goto(phone.url() + "?lang=en");
const [seen, had] = [await report(desk), await report(phone)];
assert.deepEqual(seen.path, had.path);
assert.equal(seen.verdict, had.verdict);
assert.equal(seen.tone, had.tone);
assert.doesNotMatch(await desk.locator("main").textContent(), /\bmeter\b/, "the user name is shown to the helpdesk");
await soon.match(() => phone.locator("main").textContent(), /\bmeter\b/);
await check(desk, "helper-run");

// The helpdesk repeats one step, and the technician's page tells him.
const step = desk.locator(".groups .step:has(.step-again)").last();
await step.locator("summary.step-row").click();
await check(desk, "helper-step-open");
await step.locator(".step-again button").click();
await desk.waitForURL((url) => url.pathname.startsWith("/runs/") && url.href !== phone.url().replace("?lang=en", ""));
await ended(desk);
await desk.locator('.notice:has-text("Only a part was repeated")').waitFor();
await phone.locator('.help-banner a.button').waitFor();
await check(desk, "helper-step");
await check(phone, "technician-newer");
await phone.locator(".help-banner a.button").click();
await phone.waitForURL(desk.url());
await soon.match(() => phone.locator("main").textContent(), /\bmeter\b/, "the repeated run is not the technician's");

// Not let, the helpdesk asks, and the technician decides.
await phone.goto(link);
await phone.locator('[name="may_repeat"]').uncheck();
await phone.locator('[name="target.username"]').fill("meter");
await phone.locator('[name="target.password"]').fill(config.password);
await phone.locator("[data-submit]").click();
await phone.waitForURL(/\/runs\//);
await ended(phone);
await desk.goto(link);
await desk.waitForFunction(() => document.querySelectorAll(".help-run").length === 3 && !document.querySelector(".help-run.tone-running"));
await check(desk, "results");
await desk.locator(".help-run a").first().click();
await desk.waitForURL(phone.url());
await desk.locator('.run-acts button:has-text("Ask to run it again")').click();
await desk.waitForURL(/\/requests\//);
await phone.locator(".help-wish button").waitFor();
await check(phone, "wish");
const asked = phone.url();
await phone.locator(".help-wish button").click();
await phone.waitForURL((url) => url.href !== asked && url.pathname.startsWith("/runs/"));
await ended(phone);
await desk.waitForFunction(() => document.querySelectorAll(".help-run").length === 4);

// Deleted, the link leads nowhere.
await desk.locator(".help-delete button").click();
await desk.waitForURL("**/?request_deleted");
const gone = await open({ expected: [404] });
assert.equal((await gone.goto(link)).status(), 404);
assert.deepEqual(problems, []);
await finish();
