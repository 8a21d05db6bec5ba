// The link still works after the server was started anew.
import assert from "node:assert/strict";
import fs from "node:fs";
import { config, finish, open, report, soon } from "./common.mjs";

const { url, mine } = JSON.parse(fs.readFileSync(config.state, "utf8"));
const page = await open();
await page.goto(url);
await soon.deepEqual(() => report(page), mine);
await finish();
