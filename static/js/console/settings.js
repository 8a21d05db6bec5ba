// What the connect form says, as one value: {way, target, mqtt}. target has the interface's schema; mqtt is what MQTT.js alone
// needs to know.
import { byId, complain } from "./dom.js";
import { t } from "./words.js";

const form = byId("connect");
const aliases = new Map(form.dataset.aliases.split(" ").map((pair) => pair.split("=")));
const ports = new Map(form.dataset.ports.split(" ").map((pair) => pair.split("=")));
const usualPort = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 };

const value = (name) => form.elements[name].value;
const trimmed = (name) => value(name).trim();
const checked = (name) => form.elements[name].checked;
const words = (text) => text.split(/[\s,，、]+/).filter(Boolean);

// Wrong is what the form cannot mean. fields are messages by field.
export class Wrong extends Error {
  constructor(fields) {
    super(Object.values(fields)[0]);
    this.fields = fields;
  }
}

// place takes an address apart: {scheme, host, port, path, url}; null where it is none.
export function place(raw, wsPath = "") {
  const [, typed, rest] = /^(?:([a-z0-9+.-]*):\/\/)?(.*)$/i.exec(raw.trim());
  const [authority] = rest.split(/[/?#]/, 1);
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(authority.slice(authority.lastIndexOf("@") + 1));
  if (!match || !match[1] || Number(match[2]) > 65535) return null;
  const scheme = typed === undefined ? ports.get(match[2]) ?? "mqtt" : aliases.get(typed.toLowerCase());
  if (!scheme) return null;
  const port = match[2] ? Number(match[2]) : usualPort[scheme];
  let path = rest.slice(authority.length);
  const web = scheme.startsWith("ws");
  if (web && !path) path = wsPath || "/mqtt";
  return { scheme, host: match[1], port, path: web ? path : "", url: `${scheme}://${match[1]}:${port}${web ? path : ""}` };
}

function number(wrong, name, least, most) {
  const text = trimmed(name).replace(/[０-９]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0));
  if (text === "") return undefined;
  const n = Number(text);
  if (!Number.isInteger(n) || n < least || n > most) wrong[name] = t("form.number", { least: least.toLocaleString(), most: most.toLocaleString() });
  return n;
}

// pairs reads "name: value" lines.
export function pairs(text, wrong, name) {
  const all = [];
  for (const line of text.split("\n")) {
    if (!line.trim()) continue;
    const colon = line.indexOf(":");
    if (colon < 1) {
      wrong[name] = t("form.pairs");
      continue;
    }
    all.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
  }
  return all;
}

// userProperties is what MQTT.js takes: names may come more than once.
export function userProperties(list) {
  const all = {};
  for (const [name, text] of list) (all[name] ??= []).push(text);
  for (const name in all) if (all[name].length === 1) [all[name]] = all[name];
  return all;
}

const temporary = `mqttdoctor-${[...crypto.getRandomValues(new Uint8Array(5))].map((b) => "0123456789abcdefghijklmnopqrstuv"[b & 31]).join("")}`;

// read makes settings of the form, or throws Wrong.
export function read() {
  const wrong = {};
  const way = form.elements.way.value;
  const wsPath = trimmed("target.ws.path");
  const at = place(value("target.url"), wsPath);
  if (!at) wrong["target.url"] = t(trimmed("target.url") ? "form.url" : "form.url_missing");
  else if (way === "direct" && !at.scheme.startsWith("ws")) wrong["target.url"] = t("form.direct_scheme", { scheme: at.scheme });
  const target = { url: way === "direct" && at ? at.url : trimmed("target.url"), protocol: value("target.protocol") };
  target.client_id = trimmed("target.client_id") || temporary;
  target.username = value("target.username");
  target.password = value("target.password");
  target.keepalive_s = number(wrong, "target.keepalive_s", 0, 65535) ?? 60;
  target.clean_start = checked("target.clean_start");
  target.session_expiry_s = number(wrong, "target.session_expiry_s", 0, 4294967295) ?? 0;
  target.tls = { ca_pem: value("target.tls.ca_pem"), cert_pem: value("target.tls.cert_pem"), key_pem: value("target.tls.key_pem"),
    server_name: trimmed("target.tls.server_name"), alpn: words(value("target.tls.alpn")), insecure: checked("target.tls.insecure") };
  target.ws = { path: wsPath, origin: trimmed("target.ws.origin"), headers: Object.fromEntries(pairs(value("target.ws.headers"), wrong, "target.ws.headers")) };
  if (target.password && !target.username && target.protocol !== "5" && target.protocol !== "auto") wrong["target.username"] = t("form.password_alone");
  const mqtt = { reconnect: checked("reconnect"), properties: {}, will: null };
  const topic = value("will.topic");
  if (topic) {
    if (/[+#\0]/.test(topic)) wrong["will.topic"] = t("form.topic_wildcard");
    mqtt.will = { topic, payload: value("will.payload"), qos: Number(value("will.qos")), retain: checked("will.retain"), delay: number(wrong, "will.delay_s", 0, 4294967295) };
  }
  const set = (name, n) => { if (n !== undefined) mqtt.properties[name] = n; };
  set("receiveMaximum", number(wrong, "properties.receive_maximum", 1, 65535));
  set("maximumPacketSize", number(wrong, "properties.maximum_packet_size", 1, 268435460));
  set("topicAliasMaximum", number(wrong, "properties.topic_alias_maximum", 0, 65535));
  if (checked("properties.request_response")) mqtt.properties.requestResponseInformation = true;
  const user = pairs(value("properties.user"), wrong, "properties.user");
  if (user.length) mqtt.properties.userProperties = userProperties(user);
  if (Object.keys(wrong).length) throw new Wrong(wrong);
  return { way, target, mqtt, at, temporary: target.client_id === temporary };
}

// values are what the form's fields hold, by name, to be kept; take fills them in, and empties those that are not named.
export function values() {
  const all = {};
  for (const e of form.elements) {
    if (!e.name || e.type === "file" || (e.type === "radio" && !e.checked)) continue;
    all[e.name] = e.type === "checkbox" ? e.checked : e.value;
  }
  return all;
}

const standing = values();

export function take(all) {
  show({});
  for (const e of form.elements) {
    if (!e.name || e.type === "file") continue;
    const value = all[e.name] ?? (e.type === "radio" || e.type === "checkbox" || e.tagName === "SELECT" ? standing[e.name] : "");
    if (e.type === "checkbox") e.checked = value;
    else if (e.type === "radio") e.checked = e.value === value;
    else e.value = value;
  }
  for (const panel of form.querySelectorAll("details.panel")) panel.open = [...panel.querySelectorAll("input, textarea")].some((e) => e.type !== "checkbox" && e.type !== "file" && e.value);
  form.elements["target.url"].dispatchEvent(new Event("input", { bubbles: true }));
  ways();
}

// show puts messages beside their fields and opens the panels that they are in. It returns what found no place.
export function show(fields) {
  const left = [];
  for (const message of form.querySelectorAll("[id^='error-']")) message.hidden = true;
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  let first = null;
  for (const [name, text] of Object.entries(fields)) {
    // A message may be for a part of a field, such as one header.
    let field = null;
    for (let at = name; at && !field; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) field = byId(at);
    if (!field) {
      left.push(text);
      continue;
    }
    complain(field, text);
    field.closest("details.panel")?.setAttribute("open", "");
    first ??= field;
  }
  first?.focus();
  return left;
}

// A complaint goes as soon as its field changes.
form.addEventListener("input", ({ target }) => { if (target.getAttribute("aria-invalid") === "true") complain(target, ""); });

// Fields that only one of the ways has.
function ways() {
  const way = form.elements.way.value;
  for (const part of form.querySelectorAll("[data-way]")) part.hidden = part.dataset.way !== way;
}
for (const radio of form.elements.way) radio.addEventListener("change", ways);
ways();
