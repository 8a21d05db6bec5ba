// What the console does, as commands of other clients for a POSIX shell. Secrets stand as variables of the environment, and
// certificates as files beside. Nothing here touches the page.

const longestArgument = 4096; // bytes of a payload; a longer one goes through a file
const plain = /^[A-Za-z0-9_/:.,@%+][A-Za-z0-9_/:=.,@%+-]*$/;

// quote writes a word as a shell reads it back, whatever is in it.
export const quote = (word) => (plain.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

const secret = (name) => `"$${name}"`;

// line joins words; a break after about eighty characters keeps options beside their values.
function line(program, groups) {
  const rows = [program];
  for (const group of groups) {
    const words = group.join(" ");
    if (rows.at(-1).length + words.length > 78) rows.push("  " + words);
    else rows[rows.length - 1] += " " + words;
  }
  return rows.join(" \\\n");
}

// printable tells whether bytes are text that an argument of a command can carry, and gives it.
function printable(bytes) {
  if (bytes.length > longestArgument || bytes.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

const octal = (bytes) => Array.from(bytes, (b) => "\\" + b.toString(8).padStart(3, "0")).join("");
const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
const list = (user) => Object.entries(user ?? {}).flatMap(([name, value]) => [value].flat().map((v) => [name, v]));
const text = (x) => (x instanceof Uint8Array ? new TextDecoder().decode(x) : String(x));

// A command is made of {at, target, mqtt, version, temporary} as settings.js reads the form; version is the protocol's, 3 to 5;
// temporary: the client identifier is a made-up one. The answer is {text, notes}; notes are keys of texts; text is empty where the
// command cannot do it.

// mosquitto writes mosquitto_pub for a message {topic, payload, file, qos, retain, properties}, or mosquitto_sub for
// subscriptions.
export function mosquitto(settings, { message, subscriptions }) {
  const { at, target, mqtt, version } = settings;
  const notes = [];
  if (at.scheme.startsWith("ws")) return { text: "", notes: ["as.mosquitto_ws"] };
  const groups = [["-h", quote(at.host.replace(/^\[|\]$/g, ""))], ["-p", String(at.port)], ["-V", { 3: "mqttv31", 4: "mqttv311", 5: "mqttv5" }[version]]];
  const add = (...words) => groups.push(words);
  const property = (command, name, ...values) => { if (version === 5) add("-D", command, name, ...values.map((v) => quote(text(v)))); };
  if (!settings.temporary) add("-i", quote(target.client_id));
  else if (!target.clean_start) notes.push("as.needs_id");
  if (target.username) add("-u", quote(target.username));
  if (target.password) add("-P", secret("MQTT_PASSWORD"));
  if (target.keepalive_s !== 60) add("-k", String(target.keepalive_s));
  if (!target.clean_start) add("-c");
  if (version === 5 && target.session_expiry_s) add("-x", String(target.session_expiry_s));
  if (at.scheme === "mqtts") {
    if (target.tls.ca_pem) add("--cafile", "ca.pem");
    else add("--tls-use-os-certs");
    if (target.tls.cert_pem) add("--cert", "client.pem"), add("--key", "client.key");
    if (target.tls.alpn.length) add("--tls-alpn", quote(target.tls.alpn[0]));
    if (target.tls.insecure) {
      add("--insecure");
      notes.push("as.mosquitto_insecure");
    }
    if (target.tls.server_name) notes.push("as.no_server_name");
  }
  for (const [name, value] of connects(mqtt.properties)) property("connect", name, value);
  for (const [name, value] of list(mqtt.properties.userProperties)) property("connect", "user-property", name, value);
  if (mqtt.will) {
    const { topic, payload, qos, retain, delay } = mqtt.will;
    add("--will-topic", quote(topic));
    if (payload) add("--will-payload", quote(payload));
    if (qos) add("--will-qos", String(qos));
    if (retain) add("--will-retain");
    if (delay) property("will", "will-delay-interval", delay);
  }
  if (!message) {
    const qos = Math.max(...subscriptions.map((s) => s.qos));
    if (qos) add("-q", String(qos));
    if (subscriptions.some((s) => s.qos !== qos)) notes.push("as.one_qos");
    const identifier = subscriptions[0].identifier;
    if (identifier) property("subscribe", "subscription-identifier", identifier);
    if (version === 5 && subscriptions.some((s) => s.rap)) add("--retain-as-published");
    if (version === 5 && subscriptions.some((s) => s.nl || s.rh)) notes.push("as.mosquitto_options");
    for (const { filter } of subscriptions) add("-t", quote(filter));
    add("-v");
    return { text: line("mosquitto_sub", groups), notes };
  }
  const { topic, payload, file, qos, retain, properties = {} } = message;
  for (const [name, key] of [["payload-format-indicator", "payloadFormatIndicator"], ["message-expiry-interval", "messageExpiryInterval"], ["content-type", "contentType"],
    ["response-topic", "responseTopic"], ["correlation-data", "correlationData"], ["topic-alias", "topicAlias"]]) {
    if (properties[key] !== undefined) property("publish", name, properties[key] === true ? 1 : properties[key]);
  }
  for (const [name, value] of list(properties.userProperties)) property("publish", "user-property", name, value);
  if (qos) add("-q", String(qos));
  if (retain) add("-r");
  add("-t", quote(topic));
  const words = file === undefined ? printable(payload) : null;
  if (file !== undefined) add("-f", quote(file));
  else if (payload.length === 0) add("-n");
  else if (words !== null) add("-m", quote(words));
  else if (payload.length > longestArgument) {
    add("-f", "payload.bin");
    notes.push("as.payload_file");
  } else return { text: `printf '${octal(payload)}' |\n  ${line("mosquitto_pub", [...groups, ["-s"]])}`, notes };
  return { text: line("mosquitto_pub", groups), notes };
}

function connects(properties) {
  return [["receive-maximum", properties.receiveMaximum], ["maximum-packet-size", properties.maximumPacketSize], ["topic-alias-maximum", properties.topicAliasMaximum],
    ["request-response-information", properties.requestResponseInformation ? 1 : undefined]].filter(([, value]) => value !== undefined);
}

// unwritable tells of a pair what mqttx's "name: value" cannot say: it takes no empty part, and ends at the next colon and space.
const unwritable = ([name, value]) => !name || !value || `${name}${value}`.includes(": ");

// mqttx writes mqttx pub or mqttx sub, of MQTTX's command line client.
export function mqttx(settings, { message, subscriptions }) {
  const { at, target, mqtt, version } = settings;
  const notes = [];
  const groups = [["-h", quote(at.host.replace(/^\[|\]$/g, ""))], ["-p", String(at.port)], ["-l", at.scheme], ["-V", { 3: "3.1", 4: "3.1.1", 5: "5" }[version]]];
  const add = (...words) => groups.push(words);
  if (at.path) add("--path", quote(at.path));
  const headers = Object.keys(target.ws.headers);
  if (at.path && headers.length) add("-wh", ...headers.map((name) => `${quote(name + ": ")}${secret("MQTT_HEADER_" + name.toUpperCase().replace(/[^A-Z0-9]/g, "_"))}`));
  if (!settings.temporary) add("-i", quote(target.client_id));
  else if (!target.clean_start) notes.push("as.needs_id");
  if (target.username) add("-u", quote(target.username));
  if (target.password) add("-P", secret("MQTT_PASSWORD"));
  if (!target.clean_start) add("--no-clean");
  if (["mqtts", "wss"].includes(at.scheme)) {
    if (target.tls.ca_pem) add("--ca", "ca.pem");
    if (target.tls.cert_pem) add("--cert", "client.pem"), add("--key", "client.key");
    if (target.tls.insecure) add("--insecure");
    if (target.tls.alpn.length) add("--alpn", ...target.tls.alpn.map(quote));
    if (target.tls.server_name) notes.push("as.no_server_name");
  }
  if (version === 5) {
    // Without it, mqttx keeps a session that is not clean for ever.
    if (target.session_expiry_s || !target.clean_start) add("-se", String(target.session_expiry_s));
    for (const [option, value] of [["--receive-maximum", mqtt.properties.receiveMaximum], ["--maximum-packet-size", mqtt.properties.maximumPacketSize], ["--topic-alias-maximum", mqtt.properties.topicAliasMaximum]]) {
      if (value !== undefined) add(option, String(value));
    }
    if (mqtt.properties.requestResponseInformation) add("--req-response-info");
    const user = list(mqtt.properties.userProperties);
    if (user.some(unwritable)) notes.push("as.mqttx_values");
    if (user.length) add("-Cup", ...user.map(([name, value]) => quote(`${name}: ${value}`)));
  }
  if (mqtt.will) {
    const { topic, payload, qos, retain, delay } = mqtt.will;
    add("-Wt", quote(topic));
    if (payload) add("-Wm", quote(payload));
    if (qos) add("-Wq", String(qos));
    if (retain) add("-Wr");
    if (delay && version === 5) add("-Wd", String(delay));
  }
  if (!message) {
    add("-t", ...subscriptions.map((s) => quote(s.filter)));
    add("-q", ...subscriptions.map((s) => String(s.qos)));
    if (version === 5) {
      for (const [option, key] of [["-nl", "nl"], ["-rap", "rap"]]) if (subscriptions.some((s) => s[key])) add(option, ...subscriptions.map((s) => String(Boolean(s[key]))));
      if (subscriptions.some((s) => s.rh)) add("-rh", ...subscriptions.map((s) => String(s.rh)));
      const [{ identifier }] = subscriptions;
      if (subscriptions.some((s) => s.identifier !== identifier)) notes.push("as.mqttx_identifiers");
      else if (identifier) add("-si", String(identifier));
    }
    return { text: line("mqttx sub", groups), notes };
  }
  const { topic, payload, file, qos, retain, properties = {} } = message;
  if (version === 5) {
    if (properties.payloadFormatIndicator) add("-pf");
    for (const [option, key] of [["-e", "messageExpiryInterval"], ["-ta", "topicAlias"], ["-rt", "responseTopic"], ["-cd", "correlationData"], ["-ct", "contentType"]]) {
      if (properties[key] !== undefined) add(option, quote(text(properties[key])));
    }
    const user = list(properties.userProperties);
    if (user.some(unwritable)) notes.push("as.mqttx_values");
    if (user.length) add("-up", ...user.map(([name, value]) => quote(`${name}: ${value}`)));
  }
  if (qos) add("-q", String(qos));
  if (retain) add("-r");
  add("-t", quote(topic));
  const words = file === undefined ? printable(payload) : null;
  if (file !== undefined) add("--file-read", quote(file));
  else if (words !== null) add("-m", quote(words));
  else if (payload.length > longestArgument) {
    add("--file-read", "payload.bin");
    notes.push("as.payload_file");
  } else add("-f", "hex"), add("-m", hex(payload));
  return { text: line("mqttx pub", groups), notes };
}
