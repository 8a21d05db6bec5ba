// Prints how soon pages are painted, cold and with four times less processor; it judges nothing, as time is the machine's.
//
// The floor is an answer of one word, from the same server, in the same browser: what the browser itself takes.
import { browser, config, finish } from "./common.mjs";

const rounds = 7;
const empty = config.base + "/healthz";
const pages = { floor: empty, home: config.base + "/", guides: config.base + "/guides", causes: config.base + "/causes",
  report: config.base + "/design?sample=broken", console: config.base + "/console" };

async function paint(url, rate) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.goto(empty); // the renderer has started; its cache is cold for everything else
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  await session.send("Emulation.setCPUThrottlingRate", { rate });
  await page.goto(url, { waitUntil: "load" });
  const found = await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  const time = await found.jsonValue();
  await context.close();
  return time;
}

const times = {};
for (let i = 0; i < rounds; i++) for (const [name, url] of Object.entries(pages)) for (const rate of [1, 4]) {
  (times[`${name}, 1/${rate}`] ??= []).push(await paint(url, rate));
}
for (const [name, list] of Object.entries(times)) {
  list.sort((a, b) => a - b);
  console.log(`${name} of the processor: first paint after ${Math.round(list[rounds >> 1])} ms (${list.map(Math.round).join(" ")})`);
}
await finish();
