// People sign in with a provider, see their own runs anywhere, and administrators everything.
import assert from "node:assert/strict";
import { config, ended, finish, look, open, soon, squeeze } from "./common.mjs";

const problems = [];

// signIn goes from wherever the server asks for it, through the provider, to where the person wanted to go.
async function signIn(page, name) {
  await page.locator("a.primary", { hasText: "Sign in with Our Login" }).click();
  await page.locator('[name="login"]').fill(name);
  await page.locator('[name="password"]').fill("anything");
  await page.locator("button", { hasText: "Sign in" }).click();
  await page.waitForURL((url) => url.href.startsWith(config.base) && !url.pathname.startsWith("/sign-in"));
}

async function diagnose(page) {
  await page.goto(config.base + "/");
  await page.locator('[name="target.url"]').fill(config.open);
  await page.locator(".ask [data-submit]").click();
  await page.waitForURL(/\/runs\/[a-z2-7]+$/);
  await ended(page);
  return page.url();
}

// Bob is led to the provider and comes back to what he asked for; he is no administrator.
const bob = await open({ expected: [403] });
await bob.goto(config.base + "/console");
assert.equal(new URL(bob.url()).pathname, "/sign-in");
problems.push(...await look(bob, "sign in"));
await signIn(bob, "bob");
assert.equal(new URL(bob.url()).pathname, "/console");
await soon.match(async () => squeeze(await bob.textContent(".top-who")), /bob@here\.test/, "who he is comes from the provider's UserInfo endpoint");
assert.equal(await bob.locator(".who-admin").count(), 0);
const run = await diagnose(bob);
assert.equal((await bob.goto(config.base + "/admin")).status(), 403);

// Who has the link reads the report without signing in, and nothing else.
const reader = await open({ expected: [401] });
await reader.goto(run);
await soon.equal(() => reader.locator("#verdict").count(), 1);
assert.equal(await reader.locator("#delete").count(), 0);
await reader.goto(config.base + "/");
assert.equal(new URL(reader.url()).pathname, "/sign-in");

// In another browser Bob has the same run, and it is his.
const laptop = await open();
await laptop.goto(run);
await laptop.locator(".who-in").click();
await signIn(laptop, "bob");
assert.equal(laptop.url(), run);
await soon.equal(() => laptop.locator("#delete").count(), 1);

// Ada sees all runs and who did what, and sets limits: a wrong one is said beside its field, and costs nothing.
const ada = await open({ expected: [400] });
await ada.goto(config.base + "/admin");
await signIn(ada, "ada");
assert.equal(new URL(ada.url()).pathname, "/admin");
await soon.match(async () => squeeze(await ada.textContent(".admin-table")), /bob@here\.test/);
problems.push(...await look(ada, "admin"));
await ada.locator('.admin-parts a[href="/admin/audit"]').click();
await soon.match(async () => squeeze(await ada.textContent(".admin-table")), /bob@here\.test/);
problems.push(...await look(ada, "audit"));
await ada.locator('.admin-parts a[href="/admin/limits"]').click();
await ada.locator('[name="max-runs"]').fill("7");
await ada.locator('[name="retention"]').fill("soon");
await ada.locator("form.card button").click();
await soon.match(() => ada.textContent(".field-error"), /duration/);
await soon.equal(() => ada.locator('[name="max-runs"]').inputValue(), "7", "what was typed stays");
problems.push(...await look(ada, "wrong limit"));
await ada.locator('[name="retention"]').fill("7d");
await ada.locator("form.card button").click();
await soon.match(() => ada.textContent("[role=status]"), /\S/);
await ada.reload();
await soon.equal(() => ada.locator('[name="retention"]').inputValue(), "7d");
const short = await diagnose(ada);
const until = Date.parse(await ada.locator(".share-kept time").getAttribute("datetime"));
assert.ok(until - Date.now() < 7.1 * 86400e3, "the limit holds for new reports");
await ada.goto(run);
await soon.equal(() => ada.locator("#verdict").count(), 1);

// Out: nothing of it is left in the browser.
await bob.goto(short);
assert.equal(await bob.locator("#delete").count(), 0, "others' runs are not his");
await bob.locator(".who button, .who-out").first().click();
await bob.waitForURL(/sign-in/);
problems.push(...await look(bob, "signed out"));
await bob.goto(config.base + "/console");
assert.equal(new URL(bob.url()).pathname, "/sign-in");

assert.deepEqual(problems, []);
await finish();
