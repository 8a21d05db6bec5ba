// The messages: kept within bounds, shown as a list, one of them in detail.
import { button, byId, clock, el, icon, save, size, Talker } from "./dom.js";
import { glance } from "./glance.js";
import { List } from "./list.js";
import { base64, text } from "./payload.js";
import { Ring } from "./ring.js";
import { between, n, t } from "./words.js";

const most = 100_000;
const mostBytes = 64 << 20;
const overhead = 200; // bytes that a message takes beside its payload

// A message is {number, at, dir, topic, payload, qos, retain, dup, properties, subs, previous}. previous is the number of the
// one before on the same topic.
export class Messages extends Talker {
  ring = new Ring(most, mostBytes);
  list;
  #client;
  #subscriptions;
  #drawnLast = { count: 0, through: true };
  #last = { in: new Map(), out: new Map() }; // topic -> number of its newest
  #search = "";
  #under = null; // a topic and what lies below it
  #show = "all";
  #paused = false;
  #note = byId("messages-note");
  #count = byId("count-messages");

  constructor(client, subscriptions) {
    super();
    this.#client = client;
    this.#subscriptions = subscriptions;
    this.list = new List(byId("messages"), this.ring, { name: t("messages.list"), row: (m) => this.#row(m) });
    this.list.on("select", (m) => this.tell("select", m)).on("draw", (state) => this.#drawn(state));
    this.ring.onDrop = (m) => { if (this.#last[m.dir].get(m.topic) === m.number) this.#last[m.dir].delete(m.topic); };
    client.on("message", (topic, payload, packet) => this.add("in", topic, payload, packet));
    subscriptions.on("hide", () => this.#filter()).on("draw", () => this.#empty());
    client.on("state", () => this.#empty());
    this.#toolbar();
  }

  // add keeps a message. The payload is copied: what MQTT.js hands out is a part of a larger piece, all of which it would keep.
  add(dir, topic, payload, { qos, retain, dup, properties }) {
    const m = { at: Date.now(), dir, topic, payload: new Uint8Array(payload), qos, retain: Boolean(retain), dup: Boolean(dup), properties,
      subs: dir === "in" ? this.#subscriptions.of(topic, properties?.subscriptionIdentifier) : [], previous: this.#last[dir].get(topic) };
    for (const s of m.subs) s.count++;
    this.#last[dir].set(topic, this.ring.push(m, m.payload.length + overhead + 2 * topic.length));
    this.tell("add", m);
    this.list.draw();
    return m;
  }

  // before is the message that went the same way on the same topic before this one, where it is still kept.
  before(m) { return m.previous === undefined ? undefined : this.ring.at(m.previous); }

  // newest is the last message of a topic that went a way.
  newest(topic, dir = "in") { return this.ring.at(this.#last[dir].get(topic) ?? -1); }

  // under shows only a topic and what lies below it; null: all.
  under(topic) {
    this.#under = topic;
    byId("under").hidden = topic === null;
    byId("under").replaceChildren(...(topic === null ? [] : [el("span", {}, t("messages.under", { topic })), button("failed", t("messages.under.end"), () => this.under(null), { shape: "ghost square", bare: true })]));
    this.#filter();
  }

  #toolbar() {
    let typing = 0;
    byId("search").addEventListener("input", ({ target }) => {
      clearTimeout(typing);
      typing = setTimeout(() => {
        this.#search = target.value.toLowerCase();
        this.#filter();
      }, 150);
    });
    byId("show").addEventListener("change", ({ target }) => {
      this.#show = target.value;
      this.#filter();
    });
    const pause = byId("pause");
    pause.addEventListener("click", () => {
      this.#paused = !this.#paused;
      pause.setAttribute("aria-pressed", String(this.#paused));
      pause.replaceChildren(icon(this.#paused ? "play" : "pause"), el("span", {}, t(this.#paused ? "messages.resume" : "messages.pause")));
      this.list.pause(this.#paused);
    });
    byId("messages-json").addEventListener("click", () => this.download());
    byId("clear").addEventListener("click", () => {
      this.ring.clear();
      this.#cleared = this.ring.dropped;
      this.#last.in.clear();
      this.#last.out.clear();
      for (const s of this.#subscriptions.all) s.count = 0;
      this.#subscriptions.counts();
      this.tell("clear");
      this.#filter();
    });
  }

  #filter() {
    const search = this.#search;
    const under = this.#under;
    const hidden = this.#subscriptions.someHidden;
    if (!search && this.#show === "all" && !hidden && under === null) {
      this.list.filter(null);
      return;
    }
    this.list.filter((m) => {
      if (this.#show === "retained" ? !m.retain : this.#show !== "all" && m.dir !== this.#show) return false;
      if (hidden && m.dir === "in" && !this.#subscriptions.shows(m.subs)) return false;
      if (under !== null && m.topic !== under && !m.topic.startsWith(under + "/")) return false;
      return !search || m.topic.toLowerCase().includes(search) || (text(m.payload) ?? "").toLowerCase().includes(search);
    });
  }

  // empty says in an empty list what to do next.
  #empty() {
    const { count, through } = this.#drawnLast;
    const line = byId("messages-empty");
    line.hidden = count > 0;
    if (count > 0) return;
    const next = !this.#client.connected ? "messages.empty" : this.#subscriptions.all.some((s) => s.state === "granted") ? "messages.empty.wait" : "messages.empty.subscribe";
    const words = this.ring.length === 0 ? t(next) : through ? t("messages.none") : "";
    if (line.textContent !== words) line.textContent = words;
  }

  #drawn({ count, through }) {
    this.#subscriptions.counts();
    this.#count.textContent = this.ring.length ? this.ring.length.toLocaleString() : "";
    this.#drawnLast = { count, through };
    this.#empty();
    const notes = [];
    if (this.#paused && this.list.waiting) notes.push(n("messages.waiting", this.list.waiting));
    if (count !== this.ring.length && !this.#paused) notes.push(t("messages.filtered", { shown: count.toLocaleString(), all: this.ring.length.toLocaleString() }));
    if (!through) notes.push(t("messages.searching"));
    if (this.dropped) notes.push(n("messages.dropped", this.dropped, { most: most.toLocaleString(), size: size(mostBytes) }));
    const line = notes.join(between);
    if (this.#note.textContent !== line) this.#note.textContent = line;
    this.#note.hidden = !line;
  }

  // dropped is how many messages were let go since the list was last cleared.
  get dropped() { return this.ring.dropped - this.#cleared; }

  #cleared = 0;

  #row(m) {
    const s = m.subs.find((sub) => sub.shown) ?? m.subs[0];
    return el("div", { class: `row message-row is-${m.dir}` },
      el("span", { class: `dye ${s ? `dye-${s.colour}` : ""}` }),
      el("span", { class: "row-time" }, clock(m.at)),
      el("span", { class: "row-topic code" }, m.dir === "out" && el("span", { class: "row-sent" }, t("messages.sent") + " "), m.topic),
      el("span", { class: "row-text code" }, glance(m)),
      el("span", { class: "row-flags" }, m.retain && el("span", { class: "flag", title: t("messages.retained.title") }, t("messages.retained")),
        m.dup && el("span", { class: "flag" }, "DUP"), el("span", { class: "row-qos" }, `QoS ${m.qos}`)),
      el("span", { class: "row-size" }, size(m.payload.length)));
  }

  // download saves the messages that the list shows.
  download() {
    const all = [];
    for (const m of this.list.matches()) {
      const plain = text(m.payload);
      all.push({ at: new Date(m.at).toISOString(), dir: m.dir, topic: m.topic, qos: m.qos, retain: m.retain, dup: m.dup,
        ...(plain === null ? { payload_base64: base64(m.payload) } : { payload: plain }), properties: m.properties });
    }
    save("messages.json", "application/json", JSON.stringify(all, null, 1));
  }
}
