// Makes the pictures of README.md from a running server:
//   go run ./cmd/mqttdoctor --open=false &  node .readme/make.mjs http://127.0.0.1:8080
// It needs Chromium and playwright-core (npm ci in .ci).
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(new URL('../.ci/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const base = process.argv[2] ?? 'http://127.0.0.1:8080';
const here = name => fileURLToPath(new URL(name, import.meta.url));

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const { scenarios } = await (await fetch(base + '/api/v1/demo')).json();
const target = scenarios.find(s => s.id === 'expired-certificate').target;
const started = await fetch(base + '/api/v1/runs', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ target }) });
const { id } = await started.json();
await new Promise(done => setTimeout(done, 4000));
for (const [name, path, locale] of [['home.png', '/', 'en-US'], ['report.png', '/runs/' + id, 'en-US'], ['report.zh.png', '/runs/' + id, 'zh-CN']]) {
  const context = await browser.newContext({ viewport: { width: 1120, height: 900 }, locale });
  const page = await context.newPage();
  await page.goto(base + path, { waitUntil: 'load' });
  await page.waitForTimeout(500);
  await page.screenshot({ path: here(name) });
  await context.close();
}
await browser.close();
