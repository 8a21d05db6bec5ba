// What the console's scripts decode, without a browser: packets and payloads, whole, in pieces, and broken.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { test } from "node:test";

const config = JSON.parse(process.env.E2E);
const require = createRequire(config.modules + "/");
const { generate } = require("mqtt-packet");
const scripts = new URL("../../static/js/console/", import.meta.url);
const script = (name) => import(new URL(name, scripts));

// What scripts look up in their page.
globalThis.document = {
  getElementById: () => ({ textContent: JSON.stringify({ words: {}, catalogue: { "trace.suback": "granted ({total})[[, at most {granted}]]" }, sections: {} }), dataset: {} }),
  documentElement: { lang: "en" },
};

const { Frames } = await script("packets/frames.js");
const { decode } = await script("packets/wire.js");
const { Judge } = await script("packets/judge.js");

// cut makes frames of bytes that come in pieces of a size.
function cut(bytes, piece) {
  const all = [];
  const frames = new Frames();
  for (let i = 0; i < bytes.length; i += piece) frames.feed(bytes.subarray(i, i + piece), (f) => all.push(f));
  return all;
}

const frame = (...bytes) => cut(Uint8Array.from(bytes), 1000)[0];
const codes = ({ breaches }) => breaches.map((b) => b.code);

test("packets are cut whatever pieces they come in", () => {
  const bytes = Buffer.concat([
    generate({ cmd: "connect", protocolId: "MQTT", protocolVersion: 5, clean: true, clientId: "a", keepalive: 60, properties: { receiveMaximum: 7, userProperties: { a: ["1", "2"] } } }, { protocolVersion: 5 }),
    generate({ cmd: "publish", topic: "a/b", payload: Buffer.alloc(40000, 7), qos: 1, messageId: 9, properties: { contentType: "x" } }, { protocolVersion: 5 }),
    generate({ cmd: "pingreq" }),
  ]);
  for (const piece of [1, 2, 7, 1000, 1e6]) {
    const [connect, publish, ping] = cut(new Uint8Array(bytes), piece);
    assert.equal(decode(connect, 5, "out").packet.properties.receive_maximum, 7);
    assert.deepEqual(decode(connect, 5, "out").packet.properties.user_properties, [["a", "1"], ["a", "2"]]);
    const { packet, breaches } = decode(publish, 5, "out");
    assert.equal(packet.topic, "a/b");
    assert.equal(packet.id, 9);
    assert.equal(packet.bytes, 40000);
    assert.ok(publish.truncated && publish.raw.length <= 16384);
    assert.deepEqual(breaches, []);
    assert.equal(ping.length, 2);
  }
});

test("lengths are read before packets are there, whatever pieces they come in", async () => {
  const { Gauge } = await script("packets/gauge.js");
  const bytes = Uint8Array.from([0x20, 2, 0, 0, 0x30, 0x80, 1, ...new Uint8Array(128), 0xd0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f, 0, 0]);
  for (const piece of [1, 2, 5, 1000]) {
    const gauge = new Gauge();
    const all = [];
    for (let i = 0; i < bytes.length; i += piece) all.push(gauge.longest(bytes.subarray(i, i + piece)));
    assert.equal(Math.max(...all), 5 + 268_435_455);
    if (piece === 1) assert.deepEqual(all.filter(Boolean), [4, 131, 2, 5 + 268_435_455]);
  }
  assert.equal(new Gauge().longest(Uint8Array.from([0x30, 0xff, 0xff, 0xff, 0xff, 1])), 0);
});

test("what others write is read as they meant it", () => {
  const cases = [
    [5, "out", { cmd: "subscribe", messageId: 3, subscriptions: [{ topic: "a/#", qos: 2, nl: true, rap: true, rh: 1 }], properties: { subscriptionIdentifier: 300 } },
      (p) => p.filters[0].no_local && p.filters[0].retain_as_published && p.filters[0].retain_handling === 1 && p.properties.subscription_identifiers[0] === 300],
    [4, "out", { cmd: "subscribe", messageId: 3, subscriptions: [{ topic: "a", qos: 1 }, { topic: "b", qos: 0 }] }, (p) => p.filters.length === 2 && p.filters[0].qos === 1],
    [4, "in", { cmd: "suback", messageId: 3, granted: [1, 128] }, (p) => p.codes.join() === "1,128"],
    [5, "in", { cmd: "connack", reasonCode: 0, sessionPresent: true, properties: { maximumQoS: 1, retainAvailable: false } }, (p) => p.present && p.properties.maximum_qos === 1 && p.properties.retain_available === false],
    [5, "in", { cmd: "disconnect", reasonCode: 0x8e, properties: { reasonString: "other" } }, (p) => p.code === 0x8e && p.properties.reason_string === "other"],
    [5, "in", { cmd: "puback", messageId: 5, reasonCode: 0x10 }, (p) => p.id === 5 && p.code === 0x10],
    [4, "in", { cmd: "puback", messageId: 5 }, (p) => p.id === 5 && p.code === 0],
    [5, "out", { cmd: "unsubscribe", messageId: 5, unsubscriptions: ["a", "b"] }, (p) => p.filters.join() === "a,b"],
    [3, "out", { cmd: "connect", protocolId: "MQIsdp", protocolVersion: 3, clean: true, clientId: "a", keepalive: 1, username: "u", password: Buffer.from("p"), will: { topic: "w", payload: Buffer.from("x"), qos: 1, retain: true } },
      (p) => p.version === 3 && p.will.topic === "w" && p.will.retain && p.username === "u" && p.password === true],
  ];
  for (const [version, dir, packet, right] of cases) {
    const [f] = cut(new Uint8Array(generate(packet, { protocolVersion: version })), 3);
    const got = decode(f, version, dir);
    assert.ok(got.packet && right(got.packet), `${packet.cmd}: ${JSON.stringify(got)}`);
    assert.deepEqual(got.breaches, [], packet.cmd);
  }
});

test("mistakes are named", () => {
  assert.deepEqual(codes(decode(frame(0x36, 2, 0, 0), 4, "in")), ["qos"]);
  assert.deepEqual(codes(decode(frame(0x38, 3, 0, 1, 0x61), 4, "in")), ["dup"]);
  assert.deepEqual(codes(decode(frame(0x30, 4, 0, 2, 0x61, 0x23), 4, "in")), ["wildcard"]);
  assert.deepEqual(codes(decode(frame(0x30, 4, 0, 2, 0xc3, 0x28), 4, "in")), ["not_utf8"]);
  assert.deepEqual(codes(decode(frame(0x80, 6, 0, 1, 0, 1, 0x61, 0), 4, "out")), ["flags"]);
  assert.deepEqual(codes(decode(frame(0x82, 6, 0, 0, 0, 1, 0x61, 0), 4, "out")), ["zero"]);
  assert.deepEqual(codes(decode(frame(0x20, 3, 1, 0x87, 0), 5, "in")), ["session"]);
  assert.deepEqual(codes(decode(frame(0x40, 1, 0), 4, "in")), ["missing"]);
  assert.equal(decode(frame(0x40, 1, 0), 4, "in").packet, null);
  assert.deepEqual(codes(decode(frame(0xd0, 1, 0), 4, "in")), ["trailing"]);
  assert.deepEqual(codes(decode(frame(0x10, 0), 4, "in")), ["packet"]);
  const endless = cut(Uint8Array.from([0x30, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]), 1);
  assert.ok(endless.length === 1 && endless[0].broken);
});

test("answers are joined with what they answer, and the order of packets is judged", () => {
  const judge = new Judge();
  let seq = 0;
  const see = (dir, packet) => judge.see(dir, packet.type, 10, packet, { seq: ++seq, at: seq * 10 });
  const rules = (verdict) => verdict.warnings.map((w) => w.rule);
  assert.deepEqual(rules(see("out", { type: "CONNECT", version: 5, clean: true, keepAlive: 60 })), []);
  assert.equal(see("in", { type: "CONNACK", code: 0, properties: { maximum_qos: 1, receive_maximum: 1 } }).answers, 1);
  assert.deepEqual(rules(see("out", { type: "PUBLISH", topic: "a", qos: 2, id: 1 })), ["maximum_qos"]);
  const rec = see("in", { type: "PUBREC", id: 1, code: 0 });
  assert.deepEqual([rec.answers, rec.took], [3, 10]);
  assert.equal(see("out", { type: "PUBREL", id: 1, code: 0 }).answers, 4);
  assert.deepEqual(rules(see("out", { type: "PUBLISH", topic: "a", qos: 1, id: 2 })), ["receive_maximum"]);
  assert.equal(see("in", { type: "PUBCOMP", id: 1, code: 0 }).answers, 5);
  assert.deepEqual(rules(see("in", { type: "PUBACK", id: 99, code: 0 })), ["unknown_id"]);
  assert.deepEqual(rules(see("in", { type: "PINGRESP" })), ["pong"]);
  assert.deepEqual(rules(see("out", { type: "SUBSCRIBE", id: 2, filters: [{ filter: "a" }] })), ["id_in_use"]);
  assert.deepEqual(rules(see("in", { type: "SUBACK", id: 2, codes: [0, 0] })), ["codes"]);
});

test("optional parts of a text stay only where they are known", async () => {
  const { said } = await script("words.js");
  assert.equal(said("trace.suback", { total: 1, granted: 0 }), "granted (1), at most 0");
  assert.equal(said("trace.suback", { total: 2, granted: "" }), "granted (2)");
  assert.equal(said("trace.none"), "");
});

test("filters match as the specification says", async () => {
  const { matches, flaw } = await script("topics.js");
  for (const [filter, topic, want] of [["a/#", "a", true], ["a/#", "a/b/c", true], ["#", "$SYS/x", false], ["$SYS/#", "$SYS/x", true], ["+/b", "a/b", true], ["+", "a/b", false], ["a/+", "a/", true], ["$share/g/a/+", "a/b", true], ["a", "A", false]]) {
    assert.equal(matches(filter, topic), want, `${filter} ${topic}`);
  }
  for (const [filter, want] of [["a/b", ""], ["", "filter.empty"], ["a/#/b", "filter.hash"], ["a+", "filter.plus"], ["$share/g", "filter.share"], ["#", ""]]) assert.equal(flaw(filter), want, filter);
});

test("a ring keeps the newest within its bounds", async () => {
  const { Ring } = await script("ring.js");
  const ring = new Ring(3, 100);
  for (let i = 0; i < 10; i++) ring.push({ i }, 10);
  assert.deepEqual([...ring].map((e) => e.i), [7, 8, 9]);
  ring.push({ i: 10 }, 90);
  assert.deepEqual([...ring].map((e) => e.i), [9, 10]);
  assert.equal(ring.at(0), undefined);
  assert.equal(ring.at(10).i, 10);
  ring.push({ i: 11 }, 1000); // larger than all of it
  assert.deepEqual([...ring].map((e) => e.i), [11]);
  ring.clear();
  assert.equal(ring.bytes, 0);
});

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

test("CBOR is read, as in the examples of RFC 8949", async () => {
  const { cbor } = await script("decode/cbor.js");
  const same = (hex, want) => assert.deepEqual(JSON.parse(JSON.stringify(cbor(bytes(hex)), (_, v) => (typeof v === "bigint" ? `${v}n` : v))), want, hex);
  same("1864", 100);
  same("1bffffffffffffffff", "18446744073709551615n");
  same("3863", -100);
  same("f93e00", 1.5);
  same("fb3ff199999999999a", 1.1);
  same("c249010000000000000000", "18446744073709551616n");
  same("a26161016162820203", { a: 1, b: [2, 3] });
  same("bf61610161629f0203ffff", { a: 1, b: [2, 3] });
  same("7f657374726561646d696e67ff", "streaming");
  same("c11a514b67b0", { tag: "time", value: "2013-03-21T20:04:00.000Z" });
  for (const hex of ["", "18", "ff", "62e28", "9f01", "1c", "a1ff00", "0000", "fc", "81".repeat(1000) + "00"]) assert.throws(() => cbor(bytes(hex)), undefined, hex);
});

test("MessagePack is read", async () => {
  const { msgpack } = await script("decode/msgpack.js");
  const same = (hex, want) => assert.deepEqual(JSON.parse(JSON.stringify(msgpack(bytes(hex)), (_, v) => (typeof v === "bigint" ? `${v}n` : v))), want, hex);
  same("82a7636f6d70616374c3a6736368656d6100", { compact: true, schema: 0 });
  same("93cdffffd1ff7fd3fffffffffffffff6", [65535, -129, -10]);
  same("cffffffffffffffffe", "18446744073709551614n");
  same("ca41aa6666", 21.3);
  same("d6ff5a4af6a5", { tag: "time", value: "2018-01-02T03:04:05.000Z" });
  for (const hex of ["", "c1", "92", "a5", "dfffffffff", "ddffffffff", "0000", "91".repeat(1000) + "00"]) assert.throws(() => msgpack(bytes(hex)), undefined, hex);
});

// As sparkplug-payload 1.0.3 of Eclipse Tahu encodes it.
const birth = "0880d095ffbc3112230a0474656d701881d095ffbc3120094a0d0a04756e69741205080c420143656666aa41120d0a016e1005200350f9ffffff0f12080a026f6e200b7001120d0a0173200c7a06" +
  "68c3a96c6c6f122b0a02647320108a01220802120161120162180c180322090a033201780a02080122090a033201790a020802122b0a0374706c20139201210a0131120e0a0178200a69000000000000f83f1a070a01701003180" +
  "42201542800120a0a046e756c6c200438011803";

test("Sparkplug B is read as Tahu writes it", async () => {
  const { sparkplug, isSparkplug } = await script("decode/sparkplug.js");
  const payload = sparkplug(bytes(birth));
  assert.equal(payload.seq, 3);
  assert.equal(payload.timestamp.value, "2023-11-14T22:13:20.000Z");
  const metrics = Object.fromEntries(payload.metrics.map((m) => [m.name, m]));
  assert.equal(metrics.temp.value, 21.3);
  assert.equal(metrics.temp.properties.unit, "C");
  assert.deepEqual([metrics.n.value, metrics.n.alias, metrics.on.value, metrics.s.value, metrics.null.value], [-7, 5, true, "h\u00e9llo", null]);
  assert.deepEqual(metrics.ds.value.rows, [["x", 1], ["y", 2]]);
  assert.equal(metrics.tpl.value.metrics[0].value, 1.5);
  assert.ok(isSparkplug("spBv1.0/g/NDATA/n") && isSparkplug("spBv1.0/g/DBIRTH/n/d") && !isSparkplug("spBv1.0/STATE/h"));
  for (let cut = 1; cut < 40; cut++) try { sparkplug(bytes(birth).subarray(0, cut)); } catch { /* a word, and no endless work */ }
});

test("a payload's form is found, and random bytes are left as they are", async () => {
  const { guess } = await script("decode/guess.js");
  const form = (payload, more) => guess(typeof payload === "string" ? new TextEncoder().encode(payload) : payload, more).form;
  assert.equal(form('{"a":1}'), "json");
  assert.equal(form("{a"), "text");
  assert.equal(form("21.5"), "text");
  assert.equal(form(bytes("82a7636f6d70616374c3a6736368656d6100")), "msgpack");
  assert.equal(form(bytes("a26161016162820203")), "cbor");
  assert.equal(form(bytes(birth), { topic: "spBv1.0/g/NBIRTH/n" }), "sparkplug");
  assert.equal(form(bytes("00fffe01")), "hex");
  assert.equal(form(bytes("89504e470d0a1a0a" + "00".repeat(20))), "image");
});

test("changes are named by their paths", async () => {
  const { differences, flat, numbers } = await script("values.js");
  assert.deepEqual(differences({ a: 1, b: { c: 2 }, d: 3 }, { a: 1, b: { c: 4 }, e: 5 }), [
    { path: "b.c", kind: "changed", before: "2", now: "4" }, { path: "e", kind: "added", now: "5" }, { path: "d", kind: "removed", before: "3" }]);
  assert.deepEqual([...flat({ m: [{ name: "t", value: 1 }, 5] }).keys()], ["m.t.name", "m.t.value", "m[1]"]);
  assert.deepEqual([...numbers({ a: 1, b: "x", c: true, d: [2n] })], [["a", 1], ["c", 1], ["d[0]", 2]]);
  const { lineDifferences } = await script("lines.js");
  assert.deepEqual(lineDifferences("a\nb\nc", "a\nx\nc").map((l) => l.kind), ["same", "removed", "added", "same"]);
});

const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

// As MQTTX 1.12 exports two of its connections.
const mqttxFile = JSON.stringify([
  { id: "0c8a9b7e", clientId: "mqttx_4f1", name: "Plant", clean: false, protocol: "wss", host: "broker.example.com", keepalive: 45, connectTimeout: 10, reconnect: true, reconnectPeriod: 4000,
    username: "meter", password: "canary-1", path: "/ws?token=canary-2", port: 8084, ssl: true, certType: "self", rejectUnauthorized: false, ca: "/home/u/ca.pem", cert: "", key: "", mqttVersion: "5.0",
    unreadMessageCount: 0, messages: [{ createAt: "2024-01-01 10:00:00:000", out: true, payload: "x", qos: 0, retain: false, topic: "t" }], clientIdWithTime: false, parentId: null, isCollection: false, orderId: 1,
    subscriptions: [{ id: "1", topic: "site/#", qos: 1, disabled: false, color: "#F00", createAt: "2024", nl: true, rap: false, rh: 2, subscriptionIdentifier: 7 }, { topic: "off/#", qos: 0, disabled: true }],
    will: { lastWillTopic: "site/state", lastWillPayload: "gone", lastWillQos: 1, lastWillRetain: true, properties: { willDelayInterval: 5 } },
    properties: { sessionExpiryInterval: 3600, receiveMaximum: 20, maximumPacketSize: null, topicAliasMaximum: 3, userProperties: { site: "1", tag: ["a", "b"] } } },
  { clientId: "old", name: "Old", clean: true, host: "::1", port: 8883, keepalive: 60, username: "", password: "", path: "/mqtt", ssl: true, certType: "server", ca: "", cert: "", key: "", mqttVersion: "3.1.1", messages: [], subscriptions: [] },
]);

// As MQTT Explorer keeps its settings.
const explorerFile = JSON.stringify({ Settings: { theme: "light" }, ConnectionManager_connections: {
  "test.mosquitto.org": { configVersion: 1, certValidation: true, clientId: "mqtt-explorer-0a1b2c3d", id: "test.mosquitto.org", name: "Mosquitto", encryption: false, subscriptions: [{ topic: "#", qos: 0 }, { topic: "$SYS/#", qos: 1 }],
    type: "mqtt", host: "test.mosquitto.org", port: 1883, protocol: "mqtt" },
  b: { configVersion: 1, certValidation: false, clientId: "mine", id: "b", name: "Web", encryption: true, username: "u", password: "canary-3", basePath: "ws", subscriptions: ["a/+"], type: "mqtt", host: "w.example.com", port: 443, protocol: "ws",
    selfSignedCertificate: { name: "ca.pem", data: btoa(pem) }, clientCertificate: { name: "c.der", data: btoa("\x30\x82") }, clientKey: { name: "k.pem", data: btoa("-----BEGIN PRIVATE KEY-----canary-4") } } } });

test("connection files of other clients are read, and secrets only where they are wanted", async () => {
  const { read, stored, written } = await script("connections.js");
  const x = read(mqttxFile, false);
  assert.deepEqual([x.from, x.files, x.connections.length], ["MQTTX", true, 2]);
  const [plant, old] = x.connections;
  assert.deepEqual(plant.values, { "target.url": "wss://broker.example.com:8084/ws", "target.username": "meter", "target.client_id": "mqttx_4f1", "target.protocol": "5", "target.keepalive_s": "45",
    "target.session_expiry_s": "3600", "will.topic": "site/state", "will.payload": "gone", "will.qos": "1", "will.delay_s": "5", "properties.user": "site: 1\ntag: a\ntag: b", "properties.receive_maximum": "20",
    "properties.topic_alias_maximum": "3", "target.clean_start": false, "target.tls.insecure": true, "will.retain": true, reconnect: true, "properties.request_response": false });
  assert.deepEqual(plant.subscriptions, [{ filter: "site/#", qos: 1, nl: true, rap: false, rh: 2, identifier: 7 }]);
  assert.equal(old.values["target.url"], "mqtts://[::1]:8883");
  const e = read(explorerFile, false);
  assert.deepEqual([e.from, e.files], ["MQTT Explorer", true]);
  assert.deepEqual(e.connections[0].values, { "target.url": "mqtt://test.mosquitto.org:1883", "target.protocol": "3.1.1", "target.clean_start": true, "target.tls.insecure": false, reconnect: true });
  assert.deepEqual(e.connections[0].subscriptions.map(({ filter, qos }) => [filter, qos]), [["#", 0], ["$SYS/#", 1]]);
  assert.equal(e.connections[1].values["target.url"], "wss://w.example.com:443/ws");
  assert.equal(e.connections[1].values["target.tls.ca_pem"], pem);
  assert.deepEqual(e.connections[1].subscriptions.map(({ filter }) => filter), ["a/+"]);
  // One connection alone, and the connections of MQTT Explorer alone, as newer versions export them.
  assert.equal(read(JSON.stringify(JSON.parse(mqttxFile)[1]), false).connections.length, 1);
  assert.equal(read(JSON.stringify(JSON.parse(explorerFile).ConnectionManager_connections), false).connections.length, 2);

  assert.doesNotMatch(JSON.stringify([x, e]), /canary/);
  const [kept] = stored(JSON.parse(JSON.stringify(read(mqttxFile, true).connections)));
  assert.ok(kept.secrets && kept.values["target.password"] === "canary-1" && kept.values["target.url"].endsWith("?token=canary-2"));
  const all = [...read(mqttxFile, true).connections, ...read(explorerFile, true).connections];
  assert.match(JSON.stringify(all), /canary-4/);
  const file = written(all, [{ topic: "a", payload: "1", collection: "start", qos: 1 }]);
  assert.doesNotMatch(file, /canary/, "a file never has secrets");
  const again = read(file, true);
  assert.deepEqual([again.from, again.connections.length, again.messages], ["mqttdoctor", 4, [{ topic: "a", format: "text", payload: "1", qos: 1, retain: false, collection: "start" }]]);
  assert.deepEqual(again.connections[0].values, plant.values);

  for (const [bad, why] of [["", "not_json"], ["[1, null]", "nothing"], ["{}", "nothing"], ["null", "nothing"], ['{"mqttdoctor_console": 1, "connections": [{"values": {"target.url": 5}}, 3, {"values": {"way": {}}}], "messages": "x"}', ""]]) {
    if (why) assert.throws(() => read(bad, true), { message: "saved." + why });
    else assert.deepEqual(read(bad, true).connections.map((c) => c.values), [{ "target.url": "5" }]);
  }
  assert.deepEqual(stored("nonsense"), []);
});

// words are what a shell gives to a program of a command line, and what it writes to it.
function words(line) {
  const shell = `mosquitto_pub() { printf '%s\\0' pub "$@"; if [ "\${*#*-s}" != "$*" ]; then printf 'stdin:'; cat; fi; }; mosquitto_sub() { printf '%s\\0' sub "$@"; }; mqttx() { printf '%s\\0' mqttx "$@"; }\n${line}`;
  return execFileSync("sh", ["-c", shell], { env: { ...process.env, MQTT_PASSWORD: "p w'd", MQTT_HEADER_X_KEY: "h$h" } }).toString("latin1").split("\0");
}

const after = (all, option) => all[all.indexOf(option) + 1];

test("commands of other clients say the same, whatever is in a word, and hold no secret", async () => {
  const { mosquitto, mqttx, quote } = await script("commands.js");
  const odd = `it's "$HOME" \\ \`id\` !{a,b}*\n%s; rm`;
  for (const word of [odd, "", "-x", "~", "=ls", "a b", "#", "site/+/x", "é"]) assert.deepEqual(words(`mosquitto_pub ${quote(word)}`).slice(1, -1), [Buffer.from(word).toString("latin1")]);

  const settings = { at: { scheme: "mqtts", host: "[::1]", port: 8883, path: "" }, version: 5, temporary: false,
    target: { client_id: "a b", username: odd, password: "CANARY", keepalive_s: 45, clean_start: false, session_expiry_s: 60, tls: { ca_pem: "", cert_pem: "CANARY", alpn: ["mqtt"], insecure: true, server_name: "x" }, ws: { headers: {} } },
    mqtt: { properties: { receiveMaximum: 7, userProperties: { k: ["1", "it's"] } }, will: { topic: "w", payload: "gone", qos: 1, retain: true, delay: 5 } } };
  const message = { topic: "site/$x", payload: new TextEncoder().encode(odd), qos: 1, retain: true,
    properties: { contentType: "text/plain", userProperties: { u: "v w" }, correlationData: new TextEncoder().encode("c d"), payloadFormatIndicator: true } };
  const pub = mosquitto(settings, { message });
  assert.doesNotMatch(pub.text, /CANARY/);
  assert.deepEqual(pub.notes, ["as.mosquitto_insecure", "as.no_server_name"]);
  const heard = words(pub.text);
  for (const [option, value] of [["-h", "::1"], ["-p", "8883"], ["-V", "mqttv5"], ["-i", "a b"], ["-u", odd], ["-P", "p w'd"], ["-k", "45"], ["-x", "60"], ["--cert", "client.pem"], ["--tls-alpn", "mqtt"], ["-q", "1"], ["-t", "site/$x"], ["-m", odd], ["--will-topic", "w"]]) assert.equal(after(heard, option), value, option);
  for (const option of ["-c", "-r", "--tls-use-os-certs", "--insecure", "--will-retain"]) assert.ok(heard.includes(option), option);
  for (const property of ["connect user-property k it's", "connect receive-maximum 7", "publish content-type text/plain", "publish correlation-data c d", "publish payload-format-indicator 1", "publish user-property u v w", "will will-delay-interval 5"]) assert.ok(heard.join(" ").includes("-D " + property), property);

  // Payloads that no argument can carry.
  const binary = words(mosquitto(settings, { message: { ...message, payload: Uint8Array.of(0, 37, 92, 39, 255) } }).text);
  assert.equal(binary.slice(-2).join("\0"), "stdin:\0%\\'\xff");
  assert.ok(words(mosquitto(settings, { message: { ...message, payload: new Uint8Array() } }).text).includes("-n"));
  assert.deepEqual(mosquitto(settings, { message: { ...message, payload: new Uint8Array(1e5) } }).notes.slice(-1), ["as.payload_file"]);
  assert.equal(after(words(mqttx(settings, { message: { ...message, payload: Uint8Array.of(0, 255) } }).text), "-m"), "00ff");
  assert.equal(after(words(mosquitto(settings, { message: { ...message, file: "a b.bin" } }).text), "-f"), "a b.bin");

  const subscriptions = [{ filter: "site/#", qos: 2, nl: true, rap: false, rh: 1, identifier: 3 }, { filter: "a b", qos: 0, nl: false, rap: false, rh: 0, identifier: 0 }];
  const sub = mosquitto(settings, { subscriptions });
  assert.deepEqual(words(sub.text).filter((_, i, all) => all[i - 1] === "-t"), ["site/#", "a b"]);
  assert.deepEqual(sub.notes.slice(-2), ["as.one_qos", "as.mosquitto_options"]);

  // mqttx takes a session that is not clean for one that lasts for ever, and one identifier for all filters.
  const x5 = mqttx({ ...settings, target: { ...settings.target, session_expiry_s: 0 } }, { subscriptions });
  assert.equal(after(words(x5.text), "-se"), "0");
  assert.ok(!words(x5.text).includes("-si") && x5.notes.includes("as.mqttx_identifiers"));
  assert.equal(after(words(mqttx(settings, { subscriptions: subscriptions.slice(0, 1) }).text), "-si"), "3");
  assert.ok(mqttx(settings, { message: { ...message, properties: { userProperties: { a: "b: c" } } } }).notes.includes("as.mqttx_values"));

  const web = { ...settings, temporary: true, version: 4, at: { scheme: "wss", host: "w.example.com", port: 443, path: "/a?b=c d" }, target: { ...settings.target, ws: { headers: { "X-Key": "CANARY" } } } };
  assert.equal(mosquitto(web, { subscriptions }).text, "");
  const x = mqttx(web, { subscriptions });
  assert.doesNotMatch(x.text, /CANARY/);
  const said = words(x.text);
  for (const [option, value] of [["-l", "wss"], ["-V", "3.1.1"], ["--path", "/a?b=c d"], ["-wh", "X-Key: h$h"], ["-P", "p w'd"]]) assert.equal(after(said, option), value, option);
  assert.ok(!said.includes("-i") && !said.includes("-nl") && x.notes.includes("as.needs_id"));
  assert.deepEqual(said.slice(said.indexOf("-t"), -1), ["-t", "site/#", "a b", "-q", "2", "0"]);
});
