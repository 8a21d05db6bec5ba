// Looks at every page in every state: nothing that axe objects to, nothing that runs over the edge, targets a thumb can hit.
import assert from "node:assert/strict";
import { config, finish, look as judge, open, soon } from "./common.mjs";

const problems = [];

// The gallery lists every state there is: a state that is added is looked at.
const gallery = await open();
await gallery.goto(config.base + "/design");
const samples = await gallery.locator('.sample a[href^="/design?sample="]').evaluateAll((links) => links.map((a) => a.getAttribute("href")));
assert.ok(samples.length >= 19, `the gallery lists ${samples.length} pages`);
await gallery.context().close();
const pages = ["/", "/causes", "/console", "/guides", "/guides/refused?url=mqtt://broker.example.com", "/compare?a=x&b=y", "/import", "/runs", "/requests/new", "/design",
  "/nothing-here", ...samples];

async function look(page, name) {
  problems.push(...await judge(page, name));
  // What a part cuts off cannot be read, unless it says so with dots.
  const cut = await page.evaluate(() => [...document.querySelectorAll("main *")].filter((e) => {
    const style = getComputedStyle(e);
    return /hidden|clip/.test(style.overflowX) && style.textOverflow !== "ellipsis" && !e.closest(".sr-only, .plot, input, progress, svg")
      && e.offsetWidth > 1 && e.scrollWidth > e.clientWidth + 1;
  }).map((e) => `${e.localName}.${e.className} by ${e.scrollWidth - e.clientWidth} px`));
  if (cut.length) problems.push(`${name}: cut off: ${cut.slice(0, 5).join(", ")}`);
}

// Each page is seen in both languages, both themes, wide and narrow; every other one the other way round.
const ways = [["en-US", "light", 1280, 0], ["zh-CN", "dark", 360, 0], ["zh-CN", "dark", 1280, 1], ["en-US", "light", 360, 1]];
await Promise.all(ways.map(async ([lang, scheme, width, odd]) => {
  const page = await open({ locale: lang, colorScheme: scheme, viewport: { width, height: 800 }, expected: [404],
    routes: (p) => p.routeWebSocket(/sample/, () => {}) }); // samples of runs under way have no run to follow
  for (const path of pages.filter((_, i) => i % 2 === odd)) {
    await page.goto(config.base + path);
    await page.evaluate(() => { for (const fold of document.querySelectorAll("details:not(.again)")) fold.open = true; });
    await look(page, `${path} ${lang} ${scheme} ${width}`);
    // What buttons ask back, one at a time.
    const pops = await page.evaluate(() => [...document.querySelectorAll("details.again")].filter((fold) => {
      fold.open = true;
      const box = fold.querySelector(".pop").getBoundingClientRect();
      const inside = [...fold.querySelectorAll(".pop *")].every((e) => e.getBoundingClientRect().right <= box.right + 1);
      const over = box.left < 0 || box.right > document.documentElement.clientWidth || box.width < 200 || !inside;
      fold.open = false;
      return over;
    }).map((fold) => fold.id));
    if (pops.length) problems.push(`${path} ${lang} ${width}: out of the page: ${pops.join(", ")}`);
    // On the page of causes, and where no address is known, commands keep their places in braces.
    const leftover = await page.evaluate(() => document.body.innerText.match(/\[object|\bundefined\b|\bNaN\b|%!|<nil>/));
    if (leftover) problems.push(`${path} ${lang}: ${leftover[0]}`);
    if (width > 400) continue;
    const small = await page.evaluate(() => [...document.querySelectorAll("button, .button, summary, .input, .chip, .lang, .top-nav a")]
      .filter((e) => e.offsetParent && !e.classList.contains("link") && e.getBoundingClientRect().height < 43.5)
      .map((e) => `${e.localName}.${e.className} ${Math.round(e.getBoundingClientRect().height)} px`));
    if (small.length) problems.push(`${path}: too small for a thumb: ${[...new Set(small)].join(", ")}`);
  }
  await page.context().close();
}));

// The reader's system asks for more contrast: in the dark too, and where a theme was chosen.
for (const colorScheme of ["light", "dark"]) {
  const page = await open({ colorScheme, contrast: "more" });
  await page.goto(config.base + samples[0]);
  for (const theme of ["auto", "dark", "light"]) {
    const faint = await page.evaluate((theme) => {
      if (theme !== "auto") document.documentElement.dataset.theme = theme;
      const style = getComputedStyle(document.querySelector(".hint, .faint"));
      return [style.color, getComputedStyle(document.body).color];
    }, theme);
    assert.equal(faint[0], faint[1], `nothing is faint in ${theme} on ${colorScheme}`);
  }
  await look(page, `more contrast, ${colorScheme}`);
  await page.context().close();
}

// Colours of the system: the chosen symptom, the chosen tab and the way are still told apart.
{
  const page = await open({ forcedColors: "active" });
  await page.goto(config.base + "/");
  const [chosen, other] = await page.evaluate(() => [...document.querySelectorAll(".chip input")].slice(0, 2).map((i) => getComputedStyle(i.nextElementSibling).backgroundColor));
  assert.notEqual(chosen, other, "the chosen symptom stands out");
  await page.goto(config.base + samples[0]);
  await soon.match(() => page.evaluate(() => getComputedStyle(document.querySelectorAll(".station")[1], "::before").background), /rgb/, "the way is drawn");
  await look(page, "forced colours");
  await page.context().close();
}

// Motion that was asked not to be is not.
{
  const page = await open({ reducedMotion: "reduce" });
  await page.goto(config.base + "/design");
  const moving = await page.evaluate(() => document.getAnimations().filter((a) => a.effect.getComputedTiming().iterations === Infinity || a.effect.getComputedTiming().duration > 1).length);
  assert.equal(moving, 0, "something moves");
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

// By keyboard alone: from the address through the symptoms to a folded panel, always seeing where one is, and off it goes.
const at = () => page.evaluate(() => {
  const e = document.activeElement;
  const drawn = e.type === "radio" ? e.nextElementSibling : e;
  return { name: e.name || e.closest("details")?.id || e.className, outline: getComputedStyle(drawn).outlineStyle, value: e.value };
});
await page.keyboard.type(config.open);
await soon.equal(async () => (await at()).value, config.open, "the address has the focus from the beginning");
await page.keyboard.press("Tab");
await soon.equal(async () => (await at()).name, "primary big");
await page.keyboard.press("Tab");
await soon.deepEqual(() => at(), { name: "plan.symptom", outline: "solid", value: "checkup" });
await page.keyboard.press("ArrowRight");
await soon.deepEqual(() => at(), { name: "plan.symptom", outline: "solid", value: "security" });
for (let i = 0; (await at()).name !== "panel-client"; i++) {
  assert.ok(i < 15, "the panels are reached");
  await page.keyboard.press("Tab");
  await soon.notEqual(async () => (await at()).outline, "none", `where one is can be seen: ${JSON.stringify(await at())}`);
}
await page.keyboard.press("Enter");
await page.keyboard.press("Tab");
await soon.equal(async () => (await at()).name, "target.client_id");
await page.keyboard.type("keyboard");
await page.keyboard.press("Enter");
await page.waitForURL(/\/runs\//);
await page.waitForSelector('#run:not([data-state="running"])');

// Causes are found by words that stand anywhere in them, and by the address.
await page.goto(config.base + "/causes#tls.cert_expired");
await soon.ok(() => page.locator('[id="tls.cert_expired"]').evaluate((item) => item.open));
await page.fill("#causes-search", "certificate EXPIRED");
await soon.ok(() => page.locator('[id="tls.cert_expired"]').isVisible());
await soon.ok(async () => !(await page.locator('[id="dns.nxdomain"]').isVisible()));
await soon.match(() => page.textContent("#causes-shown"), /^Shown: \d+ of \d+$/);
await page.fill("#causes-search", "no such words");
await soon.equal(() => page.locator(".causes section:visible").count(), 0);
await soon.match(() => page.textContent("#causes-shown"), /^Nothing/);

assert.deepEqual(problems, []);
await finish();
