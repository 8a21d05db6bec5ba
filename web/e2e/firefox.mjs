// The same pages in Firefox, over WebDriver BiDi: nothing fails, nothing runs over the edge, and a diagnosis goes from the
// address to the verdict.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { config, require, walk } from "./walk.mjs";

const { WebSocket } = require("ws");

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
  const resize = (width, height) => send("browsingContext.setViewport", { context, viewport: { width, height } });
  problems.push(...await walk({ resize, open, run }));

  assert.deepEqual(problems, []);
  console.log(`Firefox ${capabilities.browserVersion}: all pages, and a diagnosis`);
  await send("browser.close", {}).catch(() => {});
} finally {
  for (const problem of problems) console.error(problem);
  firefox.kill();
  await exited;
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
