// Lighthouse on every kind of page: accessibility and best practices are 100, nothing moves while a page loads.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

const config = JSON.parse(process.env.E2E);
const { default: lighthouse } = await import(pathToFileURL(path.join(config.lighthouse, "lighthouse/core/index.js")));
const pages = ["/", "/?lang=zh", "/console", "/causes", "/guides", "/guides/refused?url=mqtt://broker.example.com", "/compare?a=x", "/import",
  "/design?sample=broken", "/design?sample=healthy", "/design?sample=measured"];

const profile = fs.mkdtempSync(path.join(os.tmpdir(), "lighthouse-"));
const chromium = spawn(config.chromium, ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
  "--user-data-dir=" + profile, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
const exited = new Promise((done) => chromium.once("exit", done));
try {
  const port = await new Promise((found, failed) => {
    let said = "";
    chromium.stderr.on("data", (data) => {
      said += data;
      const at = /DevTools listening on ws:\/\/[^:]+:(\d+)/.exec(said);
      if (at) found(Number(at[1]));
    });
    chromium.once("exit", () => failed(new Error(said)));
  });
  const problems = [];
  for (const page of pages) {
    let lhr;
    for (let tries = 0; tries < 3; tries++) { // a busy machine may paint nothing in the time that it is given
      ({ lhr } = await lighthouse(config.base + page, { port, onlyCategories: ["accessibility", "best-practices", "performance"], logLevel: "error" }));
      if (Object.values(lhr.categories).every((category) => category.score !== null)) break;
    }
    const score = (id) => Math.round(lhr.categories[id].score * 100);
    console.log(`${page}: accessibility ${score("accessibility")}, best practices ${score("best-practices")}, performance ${score("performance")},`,
      `first paint ${lhr.audits["first-contentful-paint"].displayValue}, layout shift ${lhr.audits["cumulative-layout-shift"].displayValue}`);
    for (const category of ["accessibility", "best-practices"]) {
      if (lhr.categories[category].score === null) problems.push(`${page}: ${category} could not be judged: ${lhr.runtimeError?.message}`);
      for (const { id, weight } of lhr.categories[category].auditRefs) {
        const audit = lhr.audits[id];
        if (weight && audit.score !== null && audit.score < 1) {
          problems.push(`${page}: ${id}: ${audit.title} ${JSON.stringify(audit.details?.items?.slice(0, 3)).slice(0, 500)}`);
        }
      }
    }
    if (lhr.audits["cumulative-layout-shift"].numericValue > 0.1) problems.push(`${page}: things move while it loads`);
  }
  assert.deepEqual(problems, []);
} finally {
  chromium.kill();
  await exited;
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
