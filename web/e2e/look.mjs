// Looks at every page in every state: nothing that axe objects to, nothing that runs over the edge, targets a thumb can hit.
import assert from "node:assert/strict";
import { axeSource, config, finish, open } from "./common.mjs";

const samples = ["broken", "broken, secrets gone", "attention", "healthy", "measured", "inconclusive", "canceled", "interrupted"];
const pages = ["/", "/causes", "/guides", "/guides/refused?url=mqtt://broker.example.com", "/compare?a=x&b=y", "/import", "/design", "/nothing-here", ...samples.map((s) => "/design?sample=" + encodeURIComponent(s))];
const problems = [];

async function look(page, name) {
  const found = await page.evaluate(async (source) => {
    if (!window.axe) (0, eval)(source);
    const result = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target + " " + (n.failureSummary ?? "").slice(0, 200)).slice(0, 3).join(" | ")}`);
  }, axeSource);
  problems.push(...found.map((f) => `${name}: ${f}`));
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) problems.push(`${name}: runs ${over} px over the edge`);
}

for (const [lang, scheme, width] of [["en-US", "light", 1280], ["zh-CN", "dark", 1280], ["en-US", "dark", 360], ["zh-CN", "light", 360]]) {
  const page = await open({ locale: lang, colorScheme: scheme, viewport: { width, height: 800 }, expected: [404] });
  for (const path of pages) {
    await page.goto(config.base + path);
    await page.evaluate(() => { for (const fold of document.querySelectorAll("details:not(.again)")) fold.open = true; });
    await look(page, `${path} ${lang} ${scheme} ${width}`);
    if (width > 400) continue;
    const small = await page.evaluate(() => [...document.querySelectorAll("button, .button, summary, .input, .chip, .lang, .top-nav a")]
      .filter((e) => e.offsetParent && !e.classList.contains("link") && e.getBoundingClientRect().height < 43.5)
      .map((e) => `${e.localName}.${e.className} ${Math.round(e.getBoundingClientRect().height)} px`));
    if (small.length) problems.push(`${path}: too small for a thumb: ${[...new Set(small)].join(", ")}`);
  }
  await page.context().close();
}

// A page as a whole is light: what the browser fetched, as it came over the wire.
const page = await open();
const session = await page.context().newCDPSession(page);
await session.send("Network.enable");
let bytes = 0;
session.on("Network.loadingFinished", (event) => { bytes += event.encodedDataLength; });
await page.goto(config.base + "/", { waitUntil: "networkidle" });
console.log(`first page: ${bytes} bytes`);
if (bytes > 150 * 1024) problems.push(`the first page weighs ${bytes} bytes`);

// By keyboard alone: into the address, through the symptoms, to a folded panel, and off it goes.
await page.keyboard.press("Tab");
assert.equal(await page.evaluate(() => document.activeElement.name || document.activeElement.className), "primary big");

assert.deepEqual(problems, []);
await finish();
