// Makes the pictures of README.md from a running server:
//   go run ./cmd/mqttdoctor --open=false &  node .readme/make.mjs http://127.0.0.1:8080
// It needs Chromium and playwright-core (npm ci in .ci, or MQTTDOCTOR_NODE_MODULES).
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const modules = process.env.MQTTDOCTOR_NODE_MODULES ?? fileURLToPath(new URL("../.ci/node_modules", import.meta.url));
const { chromium } = createRequire(modules + "/")("playwright-core");
const base = process.argv[2] ?? "http://127.0.0.1:8080";
const file = (name) => fileURLToPath(new URL(name, import.meta.url));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

async function picture(name, visit, { width = 1120, height = 900, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, locale: "en-US", timezoneId: "Europe/Berlin", reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  await visit(page);
  await page.evaluate(() => document.activeElement?.blur());
  await page.screenshot({ path: file(name), animations: "disabled" });
  await context.close();
}

// A diagnosis of the demo broker, as a first visitor starts it.
const { scenarios } = await (await fetch(base + "/api/v1/demo")).json();
async function diagnosis(scenario) {
  const { target } = scenarios.find((s) => s.id === scenario);
  const started = await fetch(base + "/api/v1/runs", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ target }) });
  const { id } = await started.json();
  return async (page) => {
    await page.goto(`${base}/runs/${id}`);
    await page.waitForSelector('#run:not([data-state="running"])', { timeout: 60000 });
  };
}

const expired = await diagnosis("expired-certificate");
await picture("home.png", (page) => page.goto(base + "/"));
await picture("report.png", expired);
await picture("report.zh.png", expired, { locale: "zh-CN", timezoneId: "Asia/Shanghai" });
await picture("phone.png", expired, { width: 390, height: 844, colorScheme: "dark" });
await picture("console.png", async (page) => {
  await page.goto(base + "/console");
  const { target } = scenarios.find((s) => s.id === "healthy");
  await page.fill('[name="target.url"]', target.url);
  await page.click("#connect-now");
  await page.waitForSelector('#console[data-state="connected"]', { timeout: 20000 });
  await page.fill("#subscribe-filter", "site/#");
  await page.press("#subscribe-filter", "Enter");
  await page.waitForSelector("#subscriptions li");
  for (const [topic, payload] of [["site/1/temperature", '{"celsius": 21.4}'], ["site/1/state", "online"], ["site/2/temperature", '{"celsius": 19.8}']]) {
    await page.fill("#publish-topic", topic);
    await page.fill("#publish-payload", payload);
    await page.click("#publish-now");
    await page.waitForTimeout(200);
  }
  await page.evaluate(() => scrollTo(0, 0));
}, { width: 1280, height: 800 });
await browser.close();
