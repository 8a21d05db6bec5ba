// The same pages in WebKit, the engine of Safari, as WebKitGTK has it, over WebDriver.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import net from "node:net";
import { config, walk } from "./walk.mjs";

const port = await new Promise((found) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => found(port));
  });
});
// The browser needs a screen: xvfb-run makes one that nobody sees. The group is ended as one.
const driver = spawn("xvfb-run", ["-a", "-s", "-screen 0 1600x1000x24", config.webkit, `--port=${port}`], { stdio: "ignore", detached: true,
  env: { ...process.env, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" } }); // there are no user namespaces in a container
const exited = new Promise((done) => driver.once("exit", done));

// ask sends a command (W3C WebDriver 6.5).
async function ask(method, path, body) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
  return value;
}

let session = "";
try {
  for (let tries = 0; !(await ask("GET", "/status").catch(() => null))?.ready; tries++) {
    if (tries > 200) throw new Error("WebKitWebDriver does not answer");
    await new Promise((done) => setTimeout(done, 100));
  }
  const made = await ask("POST", "/session", { capabilities: { alwaysMatch: { "webkitgtk:browserOptions": { binary: config.minibrowser, args: ["--automation"] } } } });
  session = `/session/${made.sessionId}`;
  const run = async (expression) => JSON.parse(await ask("POST", session + "/execute/async", { args: [], script:
    `const done = arguments[0]; (async () => JSON.stringify(await (${expression})()) ?? "null")().then(done, (error) => done(JSON.stringify("failed: " + error)));` }));
  const problems = await walk({
    run,
    resize: (width, height) => ask("POST", session + "/window/rect", { width, height }), // no less than about 450 px
    open: (url) => ask("POST", session + "/url", { url: config.base + url }),
  });
  assert.deepEqual(problems, []);
  console.log(`WebKitGTK ${made.capabilities.browserVersion}: all pages, and a diagnosis`);
} finally {
  if (session) await ask("DELETE", session).catch(() => {});
  try {
    process.kill(-driver.pid);
  } catch { /* it has ended by itself */ }
  await exited;
}
