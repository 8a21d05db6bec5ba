// The link still works after the server was started anew.
import assert from "node:assert/strict";
import fs from "node:fs";
import { config, finish, open, report } from "./common.mjs";

const { url, mine } = JSON.parse(fs.readFileSync(config.state, "utf8"));
const page = await open();
await page.goto(url);
assert.deepEqual(await report(page), mine);
await finish();
