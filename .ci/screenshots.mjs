// Takes pictures of every page in every state, in both languages and themes, on a phone, a laptop and a large screen, and with more
// contrast:
//
//   go run ./cmd/mqttdoctor serve --design --open=false --listen 127.0.0.1:8099 --data /tmp/shots-data &
//   node .ci/screenshots.mjs http://127.0.0.1:8099 /tmp/shots [name …]
//
// Names choose pages; without any, all are taken. It needs chromium and the packages of .ci/package.json.
import fs from "node:fs";
import { createRequire } from "node:module";

const modules = process.env.MQTTDOCTOR_NODE_MODULES ?? new URL("./node_modules", import.meta.url).pathname;
const { chromium } = createRequire(modules + "/")("playwright-core");
const [base, out, ...only] = process.argv.slice(2);
if (!base || !out) {
  console.error("usage: node screenshots.mjs BASE FOLDER [name …]");
  process.exit(2);
}

const sample = (name) => (page) => page.goto(`${base}/design?sample=${encodeURIComponent(name)}`);
const demo = (id) => async (page) => {
  await page.goto(base + "/");
  await page.locator(`form[action="/demo/${id}"] button`).click();
  await page.waitForSelector('#run:not([data-state="running"])', { timeout: 60000 });
};
const field = (page, name) => page.locator(`[name="${name}"]`);

const pages = {
  home: (page) => page.goto(base + "/"),
  "home-panels": async (page) => {
    await page.goto(base + "/");
    await field(page, "target.url").fill("wss://meter:secret@broker.example.com");
    await field(page, "target.url").press("Tab");
    await page.evaluate(() => { for (const panel of document.querySelectorAll(".panel")) panel.open = true; });
  },
  "home-errors": async (page) => {
    await page.goto(base + "/");
    await field(page, "target.url").fill("mqtts://broker.example.com:99999");
    await page.locator("#panel-client summary").click();
    await field(page, "target.keepalive_s").fill("often");
    await page.locator(".ask [data-submit]").click();
    await page.waitForSelector(".problems");
  },
  causes: (page) => page.goto(base + "/causes"),
  guides: (page) => page.goto(base + "/guides"),
  guide: (page) => page.goto(base + "/guides/refused?url=mqtt://broker.example.com"),
  import: (page) => page.goto(base + "/import"),
  runs: (page) => page.goto(base + "/runs"),
  request: (page) => page.goto(base + "/requests/new"),
  compare: (page) => page.goto(base + "/compare?a=x&b=y"),
  console: (page) => page.goto(base + "/console"),
  "not-found": (page) => page.goto(base + "/nothing-here"),
  design: (page) => page.goto(base + "/design"),
  "demo-healthy": demo("healthy-tls"),
  "demo-expired": demo("expired-certificate"),
  "demo-password": demo("wrong-password"),
  "demo-drop": demo("silent-drop"),
  "report-open": async (page) => {
    await sample("broken")(page);
    await page.evaluate(() => { for (const fold of document.querySelectorAll("details:not(.again)")) fold.open = true; });
  },
};

fs.mkdirSync(out, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
// The gallery lists every state there is: a state that is added is taken too.
const gallery = await browser.newPage();
await gallery.goto(base + "/design");
for (const link of await gallery.locator('.sample a[href^="/design?sample="]').evaluateAll((links) => links.map((a) => a.href))) {
  const name = new URL(link).searchParams.get("sample");
  pages["sample-" + name.replaceAll(/\W+/g, "-")] = sample(name);
}
await gallery.close();

for (const [name, visit] of Object.entries(pages)) {
  if (only.length && !only.includes(name)) continue;
  const ways = ["en", "zh"].flatMap((lang) => ["light", "dark"].flatMap((colorScheme) => [1280, 360, 1920].map((width) => ({ lang, colorScheme, width }))));
  ways.push({ lang: "en", colorScheme: "light", width: 1280, contrast: "more" }, { lang: "en", colorScheme: "dark", width: 360, contrast: "more" },
    { lang: "en", colorScheme: "light", width: 3840 });
  for (const { lang, colorScheme, width, contrast } of ways) {
    const context = await browser.newContext({ locale: lang === "zh" ? "zh-CN" : "en-US", colorScheme, contrast, viewport: { width, height: width > 2000 ? 1800 : 800 },
      timezoneId: lang === "zh" ? "Asia/Shanghai" : "Europe/Berlin" });
    const page = await context.newPage();
    await visit(page);
    await page.evaluate(() => document.activeElement?.blur());
    await page.screenshot({ path: `${out}/${name}-${lang}-${colorScheme}-${width}${contrast ? "-contrast" : ""}.png`, fullPage: true, animations: "disabled" });
    await context.close();
  }
  console.log(name);
}
await browser.close();
