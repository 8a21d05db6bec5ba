// Writes what the console's "copy as" makes of settings, which standard input has as JSON: [{settings, message, subscriptions}].
import fs from "node:fs";

const { mosquitto } = await import(new URL("../../static/js/console/commands.js", import.meta.url));
const cases = JSON.parse(fs.readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(({ settings, message, subscriptions }) => ({
  pub: mosquitto(settings, { message: { ...message, payload: Buffer.from(message.payload, "base64") } }).text,
  sub: mosquitto(settings, { subscriptions }).text,
}))));
