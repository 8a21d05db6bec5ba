// What the browser scripts share: the browser, and a page that fails on whatever a user must not meet.
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import fs from "node:fs";

export const config = JSON.parse(process.env.E2E);
export const require = createRequire(config.modules + "/");
const { chromium } = require("playwright-core");
export const axeSource = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// patience bounds every wait, in milliseconds: far more than anything takes, for a busy machine is no reason to fail.
export const patience = 120000;

// soon has the methods of assert, with a function in place of the first value, which is asked again until the assertion holds: a page
// takes its time. What must never be seen, not for a moment, is asserted at once instead.
export const soon = new Proxy({}, {
  get: (_, name) => async (value, ...rest) => {
    for (const end = Date.now() + patience; ;) {
      try {
        return assert[name](await value(), ...rest);
      } catch (error) {
        if (Date.now() > end) throw error;
        await new Promise((done) => setTimeout(done, 50));
      }
    }
  },
});

export const browser = await chromium.launch({
  timeout: patience,
  executablePath: config.chromium,
  args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

const complaints = [];

// open makes a context of its own (no cookies of others) with one page, watched for errors. expected are the status codes
// that the test provokes: the browser reports those as errors. noisy: it talks to other servers, and fails to.
export async function open({ expected = [], routes, noisy = false, ...options } = {}) {
  const context = await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  if (routes) await routes(page);
  page.on("console", (message) => {
    const provoked = noisy || expected.some((status) => message.text().includes(`status of ${status}`));
    if (message.type() === "error" && !provoked) complaints.push(`console: ${message.text()} at ${message.location().url}`);
  });
  page.on("pageerror", (error) => complaints.push(`script: ${error.stack}`));
  page.on("request", (request) => {
    const own = [config.base, config.provider, "data:"].some((start) => start && request.url().startsWith(start));
    if (!noisy && !own) complaints.push(`foreign request: ${request.url()}`);
  });
  page.on("response", async (response) => {
    const type = response.headers()["content-type"] ?? "";
    if (!/html|json|javascript|markdown/.test(type)) return;
    const text = await response.text().catch(() => "");
    if (text.includes(config.password)) complaints.push(`the password is in the source of ${response.url()}`);
  });
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => {
    if (String(payload).includes(config.password)) complaints.push(`the password is in a frame of ${socket.url()}`);
  }));
  if (options.javaScriptEnabled !== false) {
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
    });
  }
  return page;
}

// report is what a page says of a run, without what depends on who reads it.
export const report = async (page) => ({
  verdict: squeeze(await page.locator("#verdict h2").textContent()),
  tone: squeeze(await page.locator("#verdict .eyebrow").textContent()),
  path: (await page.locator(".station").allTextContents()).map(squeeze),
  steps: (await page.locator(".groups .step-row").allTextContents()).map(squeeze),
});

export const squeeze = (text) => text.replace(/\s+/g, " ").trim();

export const ended = (page) => page.waitForSelector('#run:not([data-state="running"])');

// look lists what axe objects to on a page as it stands, and whether it runs over the edge.
export async function look(page, name) {
  const found = await page.evaluate(async (source) => {
    if (!window.axe) (0, eval)(source);
    // What fades in is judged when it is there. An animation of what went away meanwhile may never finish.
    const fades = document.getAnimations().filter((a) => a.effect.getComputedTiming().iterations < 2);
    for (const fade of fades) fade.finish();
    const result = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target + " " + (n.failureSummary ?? "").slice(0, 200)).slice(0, 3).join(" | ")}`);
  }, axeSource);
  const problems = found.map((f) => `${name}: ${f}`);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) problems.push(`${name}: runs ${over} px over the edge`);
  return problems;
}

// only reads pages over HTTP as a program would, for their source.
export async function source(path, headers = {}) {
  const response = await fetch(config.base + path, { headers });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

// finish closes the browser and fails where anything was complained about.
export async function finish() {
  await browser.close();
  assert.deepEqual(complaints, []);
}

// A browser that does not answer any more ends the script, too.
setTimeout(() => fail(new Error("the script hangs")), 6 * patience).unref();
process.on("unhandledRejection", fail);
process.on("uncaughtException", fail);
async function fail(error) {
  console.error(error);
  setTimeout(() => process.exit(1), 20000);
  if (config.shots) {
    fs.mkdirSync(config.shots, { recursive: true });
    let i = 0;
    for (const context of browser.contexts()) for (const page of context.pages()) {
      await page.screenshot({ path: `${config.shots}/failed-${++i}.png`, fullPage: true }).catch(() => {});
    }
  }
  for (const complaint of complaints) console.error(complaint);
  await browser.close().catch(() => {});
  process.exit(1);
}
