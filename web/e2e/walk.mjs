// What every browser has to do with the pages: nothing runs over the edge, axe finds nothing, and a diagnosis goes from the address
// to the verdict. The caller has the browser.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";

export const config = JSON.parse(process.env.E2E);
export const require = createRequire(config.modules + "/");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// walk visits the pages and returns what is wrong with them. resize sets the size of the page, open goes to a path and waits until it
// is there, and run evaluates a function, given as text, in the page.
export async function walk({ resize, open, run }) {
  const problems = [];
  const until = async (expression) => {
    for (let tries = 0; tries < 600; tries++) {
      // While one page gives way to the next there is nothing to ask.
      if (await run(expression).catch(() => false)) return;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`never came true: ${expression}; ${await run("() => document.body.innerText.slice(0, 1000)")}`);
  };

  for (const width of [1280, 360]) {
    await resize(width, 800);
    for (const url of ["/", "/?lang=zh", "/causes?lang=en", "/guides", "/guides/refused?url=mqtt://broker.example.com", "/compare?a=x", "/import", "/console",
      "/design", "/design?sample=broken", "/design?sample=measured", "/design?sample=canceled"]) {
      await open(url);
      await run("() => { for (const fold of document.querySelectorAll('details:not(.again)')) fold.open = true; }");
      await run("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"); // laid out
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

  return problems;
}
