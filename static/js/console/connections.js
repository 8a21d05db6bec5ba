// Connections as they are kept and exchanged: {name, values, subscriptions, secrets}. values are the connect form's fields by
// name, as text or, for boxes, true and false. Nothing here touches the page.

// The fields that are kept; secret ones only where the user ticked that.
const texts = ["way", "target.url", "target.username", "target.client_id", "target.protocol", "target.keepalive_s", "target.session_expiry_s",
  "target.tls.ca_pem", "target.tls.cert_pem", "target.tls.server_name", "target.tls.alpn", "target.ws.path", "target.ws.origin",
  "will.topic", "will.payload", "will.qos", "will.delay_s",
  "properties.user", "properties.receive_maximum", "properties.maximum_packet_size", "properties.topic_alias_maximum"];
const secret = ["target.password", "target.tls.key_pem", "target.ws.headers"];
const boxes = ["target.clean_start", "target.tls.insecure", "will.retain", "reconnect", "properties.request_response"];

const longestText = 64 << 10; // of one field; a chain of certificates has a few kB
const most = 1000; // connections, and messages, of one file
const mostSubscriptions = 200;

// The mark of our own files, and its version.
const mark = "mqttdoctor_console";

const text = (x) => (typeof x === "string" ? x.slice(0, longestText) : typeof x === "number" && Number.isFinite(x) ? String(x) : "");
const object = (x) => (x && typeof x === "object" && !Array.isArray(x) ? x : {});
const list = (x) => (Array.isArray(x) ? x : []);

// made gives a connection its shape, whatever somebody wrote into a file or into the storage.
function made({ name, values, subscriptions }, secrets) {
  const known = {};
  for (const field of [...texts, ...secret]) if (text(values[field])) known[field] = text(values[field]);
  for (const field of boxes) if (typeof values[field] === "boolean") known[field] = values[field];
  const connection = { name: text(name).slice(0, 200) || known["target.url"] || "", values: known, subscriptions: list(subscriptions).slice(0, mostSubscriptions).map(wish).filter(({ filter }) => filter) };
  return secrets ? { ...connection, secrets: carries(known) } : discreet(connection);
}

const level = (x, highest) => (Number.isInteger(x) && x >= 0 && x <= highest ? x : 0);

function wish(s) {
  const { filter, qos, nl, rap, rh, identifier } = object(s);
  return { filter: text(filter), qos: level(qos, 2), nl: nl === true, rap: rap === true, rh: level(rh, 2), identifier: level(identifier, 268435455) };
}

// An address can hold a password before its @, and what follows a ? is often a signature or a token.
const bare = (address) => address.replace(/^([a-z0-9+.-]+:\/\/)?([^/?#]*@)/i, (_, scheme = "", info) => scheme + (info.includes(":") ? info.slice(0, info.indexOf(":")) + "@" : info)).replace(/\?.*$/s, "");

function carries(values) {
  return secret.some((field) => values[field]) || ["target.url", "target.ws.path"].some((field) => values[field] && bare(values[field]) !== values[field]);
}

// discreet is a connection without its secrets.
export function discreet({ name, values, subscriptions }) {
  const rest = { ...values };
  for (const field of secret) delete rest[field];
  for (const field of ["target.url", "target.ws.path"]) if (rest[field]) rest[field] = bare(rest[field]);
  return { name, values: rest, subscriptions, secrets: false };
}

// connection makes one to be kept of the form's values.
export const connection = (name, values, subscriptions, secrets) => made({ name, values, subscriptions }, secrets);

// stored makes connections of what the browser kept.
export const stored = (kept) => list(kept).map((c) => made({ ...object(c), values: object(object(c).values) }, true));

// written is the file of connections and messages. It never has secrets.
export const written = (connections, messages) => JSON.stringify({ [mark]: 1, connections: connections.map(discreet).map(({ name, values, subscriptions }) => ({ name, values, subscriptions })), messages }, null, 2) + "\n";

// read takes a file apart: ours, MQTTX's, MQTT Explorer's. It throws an error whose message is a key of a text.
// The answer is {connections, messages, from, files}; files: certificates are named by paths, which a page cannot read.
export function read(file, secrets) {
  let all;
  try {
    all = JSON.parse(file);
  } catch {
    throw new Error("saved.not_json");
  }
  const found = { connections: [], messages: [], from: "", files: false };
  const take = (from, raw, make) => {
    found.from = from;
    found.connections = raw.slice(0, most).map((c) => made(make(c, found), secrets)).filter((c) => c.values["target.url"]);
  };
  const explorer = Object.values(object(object(all).ConnectionManager_connections ?? all)).filter((c) => typeof object(c).host === "string" && "certValidation" in c);
  const mqttx = list(Array.isArray(all) ? all : object(all).connections ?? [all]).filter((c) => typeof object(c).host === "string" && "clientId" in c);
  if (object(all)[mark]) {
    take("mqttdoctor", list(all.connections).map(object), (c) => ({ ...c, values: object(c.values) }));
    found.messages = list(all.messages).slice(0, most).map(message).filter(({ topic }) => topic);
  } else if (explorer.length) take("MQTT Explorer", explorer, fromExplorer);
  else if (mqttx.length) take("MQTTX", mqttx, fromMQTTX);
  if (!found.connections.length && !found.messages.length) throw new Error("saved.nothing");
  return found;
}

const messageTexts = ["payload", "content-type", "expiry", "response-topic", "correlation", "alias", "user", "collection"];

// message gives a kept message its shape.
export function message(m) {
  const draft = { topic: text(object(m).topic), format: ["text", "json", "hex", "base64"].includes(object(m).format) ? m.format : "text", payload: "", qos: level(object(m).qos, 2), retain: object(m).retain === true };
  for (const name of messageTexts) if (text(object(m)[name])) draft[name] = text(m[name]);
  if (object(m).utf8 === true) draft.utf8 = true;
  return draft;
}

const host = (name) => (name.includes(":") && !name.startsWith("[") ? `[${name}]` : name);
const number = (n) => (Number.isInteger(n) ? String(n) : "");
const pairs = (all) => Object.entries(object(all)).flatMap(([name, value]) => [value].flat().map((v) => `${name}: ${text(v)}`)).join("\n");

// fromMQTTX reads a connection of MQTTX's export (File, Export data, JSON), of versions from 1.3.
function fromMQTTX(c, found) {
  const named = ["mqtt", "mqtts", "ws", "wss"].includes(c.protocol) ? c.protocol : "mqtt";
  const scheme = c.ssl === true ? { mqtt: "mqtts", ws: "wss" }[named] ?? named : named;
  const path = scheme.startsWith("ws") ? text(c.path) || "/mqtt" : "";
  if (c.ca || c.cert || c.key) found.files = true;
  const will = object(c.will);
  const properties = object(c.properties);
  return {
    name: c.name,
    values: {
      "target.url": `${scheme}://${host(text(c.host))}:${text(c.port)}${path}`,
      "target.protocol": { "3.1": "3.1", "3.1.1": "3.1.1", "5.0": "5" }[c.mqttVersion] ?? "auto",
      "target.client_id": c.clientId, "target.username": c.username, "target.password": c.password,
      "target.keepalive_s": number(c.keepalive), "target.clean_start": c.clean !== false, "target.session_expiry_s": number(properties.sessionExpiryInterval),
      "target.tls.insecure": ["mqtts", "wss"].includes(scheme) && c.rejectUnauthorized === false,
      "target.tls.alpn": [c.ALPNProtocols].flat().map(text).filter(Boolean).join(" "),
      reconnect: c.reconnect !== false,
      "will.topic": will.lastWillTopic, "will.payload": will.lastWillPayload, "will.qos": number(will.lastWillQos), "will.retain": will.lastWillRetain === true,
      "will.delay_s": number(object(will.properties).willDelayInterval),
      "properties.receive_maximum": number(properties.receiveMaximum), "properties.maximum_packet_size": number(properties.maximumPacketSize),
      "properties.topic_alias_maximum": number(properties.topicAliasMaximum), "properties.request_response": properties.requestResponseInformation === true,
      "properties.user": pairs(properties.userProperties),
    },
    subscriptions: list(c.subscriptions).map(object).filter((s) => s.disabled !== true)
      .map((s) => ({ filter: s.topic, qos: s.qos, nl: s.nl, rap: s.rap, rh: s.rh, identifier: s.subscriptionIdentifier })),
  };
}

// fromExplorer reads a connection of MQTT Explorer's settings.json or of its export. It speaks MQTT 3.1.1 with a clean session,
// and keeps certificates as the Base64 of their files.
function fromExplorer(c, found) {
  const scheme = (c.protocol === "ws" ? "ws" : "mqtt") + (c.encryption === true ? "s" : "");
  const path = c.protocol === "ws" ? "/" + text(c.basePath).replace(/^\//, "") : "";
  const pem = (certificate) => {
    try {
      const content = atob(text(object(certificate).data));
      if (content.includes("-----BEGIN")) return content;
      if (content) found.files = true;
    } catch {
      found.files = true;
    }
    return "";
  };
  return {
    name: c.name,
    values: {
      "target.url": `${scheme}://${host(text(c.host))}:${text(c.port)}${path}`, "target.protocol": "3.1.1",
      // The identifiers that it makes up are not for others.
      "target.client_id": /^mqtt-explorer-[0-9a-f]{8}$/.test(c.clientId) ? "" : c.clientId,
      "target.username": c.username, "target.password": c.password, "target.clean_start": true, reconnect: true,
      "target.tls.insecure": c.encryption === true && c.certValidation === false,
      "target.tls.ca_pem": pem(c.selfSignedCertificate), "target.tls.cert_pem": pem(c.clientCertificate), "target.tls.key_pem": pem(c.clientKey),
    },
    // Before version 0.4 a subscription was its filter alone.
    subscriptions: list(c.subscriptions).map((s) => (typeof s === "string" ? { filter: s, qos: 0 } : { filter: object(s).topic, qos: object(s).qos })),
  };
}
