// The MQTT client: one wish (the settings), and attempts at it until it is fulfilled or hopeless. MQTT.js speaks; when and how
// often to try, and why it ended, is decided here.
import { Talker } from "./dom.js";
import { endOf, unsupported } from "./endings.js";
import * as relay from "./relay.js";
import { tapped } from "./socket.js";
import { timer } from "./timer.js";

const longestWait = 60000;
const patience = 30000; // for CONNACK; what lies before it has limits of its own

let library;
export const load = () => (library ??= import(document.getElementById("console").dataset.library).then((m) => m.default));

// Tells: "state" (state, detail) with idle, connecting, connected, waiting, ended; "message" (topic, payload, packet);
// "bytes" (connection, dir, bytes); "tapped" (connection, target); "subscribed" (client, resumed).
export class Client extends Talker {
  state = "idle";
  settings = null;
  version = 0; // of the protocol, 3 to 5, as it is spoken
  connection = 0; // number of the attempt
  connack = null;
  since = 0;
  #mqtt = null;
  #stores = null;
  #socket = null;
  #tries = 0; // in a row without a connection
  #wait = 0;
  #trouble = null; // what was said before the end
  #once = false; // it was connected
  #generation = 0; // of the wish: answers to an older one are dropped

  get connected() { return this.state === "connected"; }

  // connect begins anew with these settings.
  async connect(settings) {
    await this.disconnect();
    this.settings = settings;
    this.#tries = 0;
    this.#once = false;
    this.version = { "3.1": 3, "3.1.1": 4, 5: 5 }[settings.target.protocol] ?? 5;
    this.#renew();
    await this.#attempt();
  }

  // disconnect says goodbye and stops trying.
  async disconnect() {
    this.#generation++;
    clearTimeout(this.#wait);
    const mqtt = this.#mqtt;
    this.#mqtt = null;
    if (this.state !== "idle" && this.state !== "ended") this.#become("idle");
    if (!mqtt) return;
    const socket = this.#socket;
    mqtt.end(!mqtt.connected); // a goodbye where there is somebody to hear it
    // MQTT.js waits for messages under way; nobody waits for ever.
    await new Promise((done) => {
      if (!socket || socket.readyState === WebSocket.CLOSED) return done();
      socket.addEventListener("close", done);
      setTimeout(() => { socket.close(); done(); }, 1000);
    });
  }

  // retry does not wait any longer.
  retry() {
    if (this.state !== "waiting" && this.state !== "ended") return;
    clearTimeout(this.#wait);
    this.#attempt();
  }

  // publish resolves when the message has arrived as its QoS demands; it throws what the broker objects to.
  publish(topic, payload, options) {
    return new Promise((done, fail) => {
      if (!this.connected) return fail(new Error("offline"));
      this.#mqtt.publish(topic, payload, options, (error, packet) => (error ? fail(error) : done(packet)));
    });
  }

  // subscribe resolves to the code that the broker granted or refused with.
  subscribe(filter, { qos, nl = false, rap = false, rh = 0, identifier }) {
    const properties = this.version === 5 && identifier ? { subscriptionIdentifier: identifier } : undefined;
    return new Promise((done, fail) => {
      if (!this.connected) return fail(new Error("offline"));
      this.#mqtt.subscribe({ [filter]: { qos, nl, rap, rh }, resubscribe: true }, { properties }, (error, _, packet) => {
        if (packet?.granted) done({ code: packet.granted[0], reason: packet.properties?.reasonString });
        else fail(error ?? new Error("no SUBACK"));
      });
    });
  }

  unsubscribe(filter) {
    return new Promise((done, fail) => {
      if (!this.connected) return done();
      this.#mqtt.unsubscribe(filter, (error) => (error ? fail(error) : done()));
    });
  }

  #become(state, detail) {
    this.state = state;
    if (state === "connected") this.since = Date.now();
    this.tell("state", state, detail);
  }

  #renew() {
    this.#mqtt = null;
    this.#stores = null;
  }

  async #attempt() {
    const generation = ++this.#generation;
    const { target, way } = this.settings;
    this.connection++;
    this.#trouble = null;
    this.connack = null;
    this.#become("connecting", { attempt: this.#tries + 1 });
    let url = target.url;
    let mqttjs;
    try {
      mqttjs = await load();
      if (way === "relay") url = (await relay.console(target)).relay_url;
    } catch (error) {
      if (generation === this.#generation) this.#ended(endOf({ error, way }));
      return;
    }
    if (generation !== this.#generation) return;
    try {
      this.#open(mqttjs, url, generation);
    } catch (error) { // the browser does not even try
      this.#renew();
      this.#ended(endOf({ error, way, url }));
    }
  }

  #open(mqttjs, url, generation) {
    const connection = this.connection;
    this.tell("tapped", connection, this.settings);
    const socket = (_, protocols) => {
      this.#socket = tapped(url, protocols, (dir, bytes) => this.tell("bytes", connection, dir, bytes));
      return this.#socket;
    };
    if (this.#mqtt) { // another attempt: what is under way stays under way
      this.#mqtt.options.createWebsocket = socket;
      this.#watch(this.#mqtt, url, generation);
      this.#mqtt.reconnect(this.#stores);
      return;
    }
    this.#stores = { incomingStore: new mqttjs.Store(), outgoingStore: new mqttjs.Store() };
    this.#mqtt = mqttjs.connect({
      ...this.#options(),
      ...this.#stores,
      protocol: "ws", hostname: "unused", port: 1, path: "/", // createWebsocket knows better
      createWebsocket: socket,
      manualConnect: true,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      connectTimeout: patience,
      timerVariant: timer,
    });
    this.#watch(this.#mqtt, url, generation);
    this.#mqtt.connect();
  }

  #options() {
    const { target, mqtt } = this.settings;
    const options = {
      protocolId: this.version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: this.version,
      clientId: target.client_id,
      username: target.username || undefined,
      password: target.password || undefined,
      keepalive: target.keepalive_s,
      clean: target.clean_start,
    };
    if (mqtt.will) {
      const { topic, payload, qos, retain, delay } = mqtt.will;
      options.will = { topic, payload, qos, retain };
      if (this.version === 5 && delay) options.will.properties = { willDelayInterval: delay };
    }
    if (this.version === 5) {
      options.properties = { ...mqtt.properties };
      if (target.session_expiry_s) options.properties.sessionExpiryInterval = target.session_expiry_s;
    }
    return options;
  }

  #watch(mqtt, url, generation) {
    const on = (name, listener) => {
      const own = (...args) => { if (generation === this.#generation) listener(...args); };
      mqtt.on(name, own);
      this.#unwatch.push(() => mqtt.removeListener(name, own));
    };
    for (const off of this.#unwatch.splice(0)) off();
    on("connect", (packet) => {
      this.connack = packet;
      this.#tries = 0;
      this.#once = true;
      this.#become("connected", { connack: packet });
      this.tell("subscribed", this, packet.sessionPresent === true);
    });
    on("packetreceive", (packet) => {
      if (packet.cmd === "connack") this.connack = packet;
      if (packet.cmd === "disconnect") this.#trouble = { disconnect: packet };
    });
    on("message", (topic, payload, packet) => this.tell("message", topic, payload, packet));
    on("error", (error) => {
      this.#trouble ??= { error };
      // MQTT.js goes on after bytes that are no packet, and understands nothing from there on: the connection has to end
      // (MQTT 5.0 4.13.1).
      if (this.#socket?.readyState === WebSocket.OPEN) mqtt.stream?.destroy();
    });
    const over = () => {
      if (generation !== this.#generation) return;
      this.#generation++;
      const { way } = this.settings;
      const ended = this.#socket?.ended;
      this.#ended(endOf({ ...this.#trouble, ended, way, url, connack: this.connack, connected: this.state === "connected", version: this.version }));
    };
    // MQTT.js tells of the end before the browser tells why, which may take a browser that is busy a while. Where it waits for the
    // peer's goodbye it may never tell.
    on("close", () => {
      const socket = this.#socket;
      if (!socket || socket.ended) return void setTimeout(over);
      const late = setTimeout(over, socket.readyState === WebSocket.CLOSED ? 15000 : 1500);
      socket.told.then(() => { clearTimeout(late); setTimeout(over); });
      return undefined;
    });
  }

  #unwatch = [];

  // #ended decides what comes after the end of an attempt.
  #ended(end) {
    if (end.console) relay.forget();
    if (this.settings.target.protocol === "auto" && this.version === 5 && !this.#once && unsupported(end)) {
      this.version = 4;
      this.#renew();
      this.#become("waiting", { end, attempt: 2, wait: 0, fallback: true });
      this.#attempt();
      return;
    }
    const again = this.#once && this.settings.mqtt.reconnect && !end.hopeless;
    if (!again) {
      this.#become("ended", { end, was: this.#once });
      return;
    }
    const wait = Math.min(longestWait, 1000 * 2 ** this.#tries) * (0.8 + 0.4 * Math.random());
    this.#tries++;
    this.#wait = setTimeout(() => this.#attempt(), wait);
    this.#become("waiting", { end, attempt: this.#tries + 1, wait, until: Date.now() + wait });
  }
}
