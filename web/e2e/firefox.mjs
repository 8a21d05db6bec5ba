// The same pages in Firefox, over WebDriver BiDi: nothing fails, nothing runs over the edge, and a diagnosis goes from the
// address to the verdict.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const config = JSON.parse(process.env.E2E);
const require = createRequire(config.modules + "/");
const { WebSocket } = require("ws");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const profile = fs.mkdtempSync(path.join(os.tmpdir(), "firefox-"));
fs.writeFileSync(path.join(profile, "user.js"), ["app.update.enabled", "datareporting.policy.dataSubmissionEnabled",
  "network.captive-portal-service.enabled", "network.connectivity-service.enabled", "browser.safebrowsing.malware.enabled",
  "browser.safebrowsing.phishing.enabled", "extensions.getAddons.cache.enabled"].map((name) => `user_pref("${name}", false);\n`).join(""));
const firefox = spawn(config.firefox, ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0"],
  { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, HOME: profile } });
const exited = new Promise((done) => firefox.once("exit", done));
const problems = [];

try {
  const address = await new Promise((found, failed) => {
    let said = "";
    firefox.stderr.on("data", (data) => {
      said += data;
      const at = /WebDriver BiDi listening on (ws:\S+)/.exec(said);
      if (at) found(at[1]);
    });
    firefox.once("exit", () => failed(new Error(said)));
  });
  const socket = new WebSocket(address + "/session");
  await new Promise((opened, failed) => socket.once("open", opened).once("error", failed));
  const waiting = new Map();
  let last = 0;
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.method === "log.entryAdded" && message.params.level === "error") problems.push(`${message.params.text} ${JSON.stringify(message.params.stackTrace ?? {}).slice(0, 300)}`);
    const [done, failed] = waiting.get(message.id) ?? [];
    waiting.delete(message.id);
    if (message.type === "success") done?.(message.result);
    else failed?.(new Error(`${message.error}: ${message.message}`));
  });
  const send = (method, params) => new Promise((done, failed) => {
    waiting.set(++last, [done, failed]);
    socket.send(JSON.stringify({ id: last, method, params }));
  });

  const { capabilities } = await send("session.new", { capabilities: {} });
  await send("session.subscribe", { events: ["log.entryAdded"] });
  const { contexts: [{ context }] } = await send("browsingContext.getTree", {});
  const open = (url) => send("browsingContext.navigate", { context, url: config.base + url, wait: "complete" });
  const run = async (expression) => {
    const { type, result, exceptionDetails } = await send("script.evaluate",
      { expression: `(async () => JSON.stringify(await (${expression})()) ?? "null")()`, target: { context }, awaitPromise: true, resultOwnership: "none" });
    if (type !== "success") throw new Error(exceptionDetails.text);
    return JSON.parse(result.value);
  };
  const until = async (expression) => {
    for (let tries = 0; tries < 300; tries++) {
      // While one page gives way to the next there is nothing to ask.
      if (await run(expression).catch(() => false)) return;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`never came true: ${expression}; ${await run("() => document.body.innerText.slice(0, 1000)")}`);
  };

  for (const width of [1280, 360]) {
    await send("browsingContext.setViewport", { context, viewport: { width, height: 800 } });
    for (const url of ["/", "/?lang=zh", "/causes?lang=en", "/guides", "/guides/refused?url=mqtt://broker.example.com", "/compare?a=x", "/import", "/console",
      "/design", "/design?sample=broken", "/design?sample=measured", "/design?sample=canceled"]) {
      await open(url);
      await run("() => { for (const fold of document.querySelectorAll('details:not(.again)')) fold.open = true; }");
      const over = await run("() => document.documentElement.scrollWidth - document.documentElement.clientWidth");
      if (over > 0) problems.push(`${url} at ${width}: runs ${over} px over the edge`);
      if (width > 400) continue;
      await run(`() => { ${axe}; }`);
      const found = await run(`async () => (await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] }))
        .violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target + " " + n.failureSummary.slice(0, 200)).slice(0, 3).join(" | "))`);
      problems.push(...found.map((f) => `${url}: ${f}`));
    }
  }

  // From the address to the verdict, with steps as they come.
  await open("/?lang=en");
  const type = (name, value) => run(`() => {
    const field = document.getElementById(${JSON.stringify(name)});
    field.value = ${JSON.stringify(value)};
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }`);
  await type("target.url", config.open.replace("mqtt://", `mqtt://${config.username}:${config.password}@`));
  assert.equal(await run("() => document.getElementById('target.url').value"), config.open);
  assert.equal(await run("() => document.getElementById('target.password').value.length"), config.password.length);
  await run("() => { document.querySelector('.ask [data-submit]').click(); }");
  await until("() => location.pathname.startsWith('/runs/') && document.getElementById('run')?.dataset.state === 'finished'");
  assert.match(await run("() => document.querySelector('#verdict .eyebrow').textContent"), /Healthy/);
  assert.match(await run("() => document.title"), /^Healthy/);
  assert.match(await run("() => document.getElementById('favicon').href"), /healthy/);
  assert.ok(!(await run("() => document.documentElement.outerHTML")).includes(config.password));

  assert.deepEqual(problems, []);
  console.log(`Firefox ${capabilities.browserVersion}: all pages, and a diagnosis`);
  await send("browser.close", {}).catch(() => {});
} finally {
  for (const problem of problems) console.error(problem);
  firefox.kill();
  await exited;
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
