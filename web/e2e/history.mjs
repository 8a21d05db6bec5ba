// "Same as last time?": nothing changed, and after the broker has gone exactly what did.
import assert from "node:assert/strict";
import { config, ended, finish, look, open, soon, squeeze } from "./common.mjs";

const page = await open();
await page.goto(config.base + "/");
// Other ports of this machine are those of other tests, which come and go.
const first = await page.evaluate(async (url) => {
  const response = await fetch("/api/v1/runs", { method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ target: { url, username: "meter", password: "x" }, plan: { depth: "quick", exclude: ["peer.transports"] } }) });
  return response.json();
}, config.gate);
await page.goto(`${config.base}/runs/${first.id}`);
await ended(page);
assert.equal(await page.locator("#history").count(), 0, "one run has no history");

const again = async () => {
  const from = page.url();
  await page.locator('.run-acts form[action$="/rerun"] button').click();
  await page.waitForURL((to) => /\/runs\/[a-z2-7]{34}$/.test(to.pathname) && to.href !== from);
  await ended(page);
  await page.waitForSelector("#history"); // it comes with the end of the run, without loading again
};
await again();
const second = new URL(page.url()).pathname.split("/").pop();
const answer = () => page.locator("#history .history-answer").textContent().then(squeeze);
await soon.match(() => answer(), /^Yes\. Nothing has changed|^Nothing has changed in what both|^The result is the same/);
await soon.equal(() => page.locator("#history .history-line").count(), 2);
await soon.equal(() => page.locator("#history .tone-healthy, #history .tone-attention").count(), 2);
assert.deepEqual(await look(page, "history"), []);

await fetch(config.shut, { method: "POST" });
await again();
await soon.equal(() => answer(), "No. This is what changed:");
const changes = (await page.locator("#history .change").allTextContents()).map(squeeze);
assert.ok(changes.some((c) => /^new\s*Nothing listens on port/.test(c)), changes.join("\n"));
assert.ok(changes.some((c) => c.startsWith("Step") && c.includes("Passed → Failed")), changes.join("\n"));
// One finding, and one step for each address: what could not be looked at any more is told apart.
assert.equal(changes.filter((c) => c.startsWith("new")).length, 1, changes.join("\n"));
assert.ok(changes.filter((c) => c.startsWith("Step")).length <= 2, changes.join("\n"));
assert.equal(changes.filter((c) => c.startsWith("gone")).length, 0, changes.join("\n"));
await soon.ok(async () => (await page.locator("#history .compare-unseen summary").textContent()).includes("one of the two runs only"));

// The list of the target and of all, and the comparison.
await page.locator("#history .history-more a").click();
await soon.equal(() => page.locator(".history-line").count(), 3);
assert.deepEqual(await look(page, "runs of a target"), []);
await page.locator("#runs-verdict").selectOption("broken");
await page.locator(".admin-search button").click();
await soon.equal(() => page.locator(".history-line").count(), 1);
await page.goto(config.base + "/runs");
assert.deepEqual(await look(page, "own runs"), []);
await page.goto(`${config.base}/compare?a=${first.id}&b=${second}`);
await page.locator("#compare-timings").waitFor();
assert.deepEqual(await look(page, "comparison"), []);

// Who has the link sees one report.
const other = await open();
await other.goto(`${config.base}/runs/${second}`);
await ended(other);
assert.equal(await other.locator("#history").count(), 0);
assert.ok(!(await other.content()).includes(first.id));
await finish();
