// The control that takes a file: in the page's language, by keyboard, dropped, taken back, too large, and without scripts.
import assert from "node:assert/strict";
import { config, finish, look, open, patience, soon } from "./common.mjs";

const problems = [];
const pem = (name, text) => ({ name, mimeType: "application/x-pem-file", buffer: Buffer.from(text) });
const certificate = "-----BEGIN CERTIFICATE-----\r\nAAAA\r\n-----END CERTIFICATE-----\r\n";

const page = await open({ locale: "zh-CN" });
await page.goto(config.base + "/");
await page.locator("#panel-tls summary").click();
const box = page.locator('[data-file-for="target.tls.ca_pem"]');
const field = page.locator('[id="target.tls.ca_pem"]');
await soon.match(() => box.locator(".file-pick").innerText(), /^选择文件$/, "the browser's own words are out of sight");

// By keyboard: the focus can be seen, and Enter or Space asks for a file.
const input = box.locator("input");
await field.focus();
await page.keyboard.press("Tab");
await soon.equal(() => input.evaluate((e) => e === document.activeElement && getComputedStyle(e.nextElementSibling).outlineStyle), "solid");
let chooser;
for (let tries = 0; !chooser && tries < 4; tries++) { // a browser shows none for a key that it gets to look at seconds later
  [chooser] = await Promise.all([page.waitForEvent("filechooser", { timeout: patience / 4 }).catch(() => undefined), page.keyboard.press("Space")]);
}
await chooser.setFiles(pem("ca.pem", certificate));
await page.waitForFunction(() => document.querySelector("[data-file-chosen]").textContent);
await soon.match(() => box.locator("[data-file-chosen]").textContent(), /^ca\.pem, \d+\s?字节$/);
await soon.equal(() => field.inputValue(), certificate.replaceAll("\r\n", "\n"));
problems.push(...await look(page, "a file is chosen"));

await box.locator("[data-file-off]").click();
await soon.equal(() => field.inputValue(), "", "what came with the file goes with it");
await soon.equal(() => box.locator("[data-file-chosen]").textContent(), "");

// Dropped on the text field, as people do.
await page.evaluate(([id, text]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([text], "dropped.crt"));
  const at = document.getElementById(id);
  for (const type of ["dragover", "drop"]) at.dispatchEvent(new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true }));
}, ["target.tls.ca_pem", certificate]);
await page.waitForFunction(() => /^dropped\.crt/.test(document.querySelector("[data-file-chosen]").textContent));
await field.fill("-----BEGIN CERTIFICATE-----\nmine");
await soon.equal(() => box.locator("[data-file-chosen]").textContent(), "", "what was edited is not the file's");

await input.setInputFiles({ name: "disk.img", mimeType: "application/octet-stream", buffer: Buffer.alloc(600 * 1024) });
await page.waitForSelector(".file.is-wrong");
await soon.match(() => box.locator("[data-file-chosen]").textContent(), /disk\.img/);
await soon.equal(() => field.inputValue(), "-----BEGIN CERTIFICATE-----\nmine", "what stood there stays");
problems.push(...await look(page, "a file is too large"));

const plain = await open({ javaScriptEnabled: false });
await plain.goto(config.base + "/import");
await soon.equal(() => plain.locator("#import-file").evaluate((e) => getComputedStyle(e).opacity).catch(() => "1"), "1", "without scripts it is the browser's own");

assert.deepEqual(problems, []);
await finish();
