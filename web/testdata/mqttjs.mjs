// Goes through what an MQTT client does with MQTT.js, and prints what came of it, one JSON value a line: the same over a relay
// as directly. Arguments: the folder of npm packages, the URL, the protocol version (3, 4, 5), the password, and how large a
// large message is.
import { createRequire } from "node:module";
const [modules, url, version, password, large] = process.argv.slice(2);
const mqtt = createRequire(modules + "/")("mqtt");
const say = (what, value) => console.log(JSON.stringify([what, value]));
const base = {
	protocolVersion: Number(version),
	protocolId: version === "3" ? "MQIsdp" : "MQTT",
	username: "user",
	password,
	reconnectPeriod: 0,
	connectTimeout: 20000,
	keepalive: 30,
	clean: true,
};
if (version === "3") base.wsOptions = { protocol: "mqttv3.1" };
const connect = (id, more) => mqtt.connectAsync(url, { ...base, clientId: id, ...more }, false);
const properties = (p) => p && { contentType: p.contentType, userProperties: p.userProperties, subscriptionIdentifier: p.subscriptionIdentifier };
const codes = (list) => list.map((g) => [g.topic, g.qos]);

function inbox(client) {
	const waiting = [];
	const come = [];
	client.on("message", (topic, payload, packet) => {
		const m = [topic, payload.length < 100 ? payload.toString() : payload.length, packet.qos, packet.retain, properties(packet.properties)];
		waiting.length ? waiting.shift()(m) : come.push(m);
	});
	return () => (come.length ? Promise.resolve(come.shift()) : new Promise((take) => waiting.push(take)));
}

const a = await connect("a" + version, { will: { topic: "t/will", payload: "gone", qos: 1, retain: false } });
say("connected", a.connected);
const messages = inbox(a);
for (const qos of [0, 1, 2]) {
	say("granted", codes(await a.subscribeAsync(`t/${qos}`, { qos })));
	const more = version === "5" ? { properties: { contentType: "text/plain", userProperties: { a: "b" } } } : {};
	await a.publishAsync(`t/${qos}`, `hello ${qos}`, { qos, ...more });
	say("message", await messages());
}
say("granted", codes(await a.subscribeAsync(["t/large", "t/+/wild"], { qos: 1 })));
await a.publishAsync("t/large", Buffer.alloc(Number(large), "x"), { qos: 1 });
say("message", await messages());
await a.publishAsync("t/any/wild", "", { qos: 1 });
say("message", await messages());
await a.publishAsync("t/kept", "kept", { qos: 1, retain: true });
await a.subscribeAsync("t/kept", { qos: 1 });
say("message", await messages());
await a.publishAsync("t/kept", "", { qos: 1, retain: true });
say("message", await messages());
await a.unsubscribeAsync("t/0");
await a.publishAsync("t/0", "unheard");
await a.publishAsync("t/1", "heard", { qos: 1 });
say("message", await messages());
for (let i = 0; i < 500; i++) a.publish("t/1", String(i), { qos: 1 });
let sum = 0;
for (let i = 0; i < 500; i++) sum += Number((await messages())[1]);
say("burst", sum);

// The will is sent where a client goes without a word, and not where it takes its leave.
const b = await connect("b" + version, {});
const others = inbox(b);
await b.subscribeAsync("t/will", { qos: 1 });
a.stream.destroy();
say("will", await others());
const c = await connect("c" + version, { will: { topic: "t/will", payload: "not sent", qos: 1, retain: false } });
await c.endAsync();
await b.publishAsync("t/will", "after", { qos: 1 });
say("no will", await others());

// A second client with the same id puts out the first.
const out = new Promise((done) => b.once("close", done));
const again = await connect("b" + version, {});
await out;
say("taken over", true);
await again.endAsync();

// A refusal is a refusal.
const refused = await new Promise((done) => {
	const client = mqtt.connect(url, { ...base, clientId: "d" + version, password: "wrong" });
	client.on("error", (e) => { done([e.code, e.message]); client.end(true); });
});
say("refused", refused);
process.exit(0);
