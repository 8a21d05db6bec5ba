// The packet view: every packet of either side, from the server's trace or decoded here.
import { button, byId, clock, copy, duration, el, icon, save, size } from "./dom.js";
import { List } from "./list.js";
import { noted } from "./packets/describe.js";
import { Packets as Local } from "./packets/local.js";
import { Stream } from "./packets/remote.js";
import { text } from "./payload.js";
import { current } from "./relay.js";
import { Ring } from "./ring.js";
import { between, n, said, t } from "./words.js";

const most = 20_000;
const mostBytes = 24 << 20;

// What belongs together in the filter.
const groups = {
  connection: ["CONNECT", "CONNACK", "DISCONNECT", "AUTH", "connected", "closed", "error"],
  messages: ["PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP"],
  subscriptions: ["SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK"],
  pings: ["PINGREQ", "PINGRESP"],
};

// What is no packet, such as the end of the connection, has a name in words.
const typeNames = { connected: "packets.type.connected", closed: "packets.type.closed", error: "packets.type.error", malformed: "packets.type.malformed", lost: "packets.type.lost" };
const typeName = ({ type }) => (typeNames[type] ? t(typeNames[type]) : type);

// fieldName is the name of a field as the specification has it, but for its capitals.
const fieldName = (name) => name.replaceAll("_", " ");

export class PacketView {
  #ring = new Ring(most, mostBytes);
  #list;
  #numbers = new Map(); // seq -> number in the ring
  #seq = 0;
  #local = null;
  #stream = null;
  #streamed = ""; // address of the trace that is shown
  #way = "relay";
  #shown = null;
  #lost = 0;
  #cleared = 0; // packets that the ring let go by the time when it was last cleared
  #mistakes = 0;
  #detail = byId("packet");
  #onend;

  // onend(text) is told how the server saw a relayed connection end.
  constructor(client, onend) {
    this.#onend = onend;
    this.#list = new List(byId("packets"), this.#ring, { name: t("packets.list"), row: (p) => this.#row(p) });
    this.#list.on("select", (p) => this.#show(p)).on("draw", (state) => this.#drawn(state));
    this.#ring.onDrop = (p) => this.#numbers.delete(p.seq);
    client.on("tapped", (connection, settings) => this.#tapped(connection, settings));
    client.on("bytes", (connection, dir, bytes) => { if (this.#way === "direct") this.#local?.feed(dir, bytes); });
    client.on("state", (state, detail) => { if (this.#way === "direct") this.#event(state, detail, client.connection); });
    for (const id of ["packets-kind", "packets-dir"]) byId(id).addEventListener("change", () => this.#filter());
    byId("packets-mistakes").addEventListener("change", () => this.#filter());
    let typing = 0;
    byId("packets-search").addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#filter(), 150);
    });
    byId("packets-json").addEventListener("click", () => this.#export());
    byId("packets-pcapng").addEventListener("click", () => this.#capture());
    byId("packets-clear").addEventListener("click", () => this.#clear());
  }

  #clear() {
    this.#ring.clear();
    this.#cleared = this.#ring.dropped;
    this.#lost = 0;
    this.#mistakes = 0;
    this.#show(null);
    this.#filter();
  }

  // #tapped begins another connection.
  #tapped(connection, { way }) {
    if (way !== this.#way) this.#clear();
    this.#way = way;
    byId("packets-pcapng").disabled = way === "direct";
    byId("packets-pcapng-why").hidden = way !== "direct";
    if (way === "direct") {
      this.#stream?.close();
      this.#streamed = "";
      this.#local = new Local(connection, () => ++this.#seq, (entry, bytes) => this.#add(entry, bytes));
      return;
    }
    const { trace_url: url } = current();
    if (url === this.#streamed) return;
    this.#stream?.close();
    if (this.#streamed) this.#clear();
    this.#streamed = url;
    this.#stream = new Stream(url, (frame, bytes) => this.#frame(frame, bytes));
  }

  #frame(frame, bytes) {
    if (frame.type === "lost") this.#lost += frame.fields.count;
    if (frame.type === "closed" || frame.type === "error") this.#onend(frame.explanation);
    this.#add({ ...frame, at: Date.parse(frame.at), wrong: (frame.warnings?.length ?? 0) > 0, topic: frame.fields?.topic, id: frame.fields?.packet_id,
      code: frame.fields?.reason?.code ?? frame.fields?.reasons?.find((r) => r.code >= 0x80)?.code, words: () => frame }, 2 * bytes);
  }

  // #event shows what happens to a direct connection beside its packets.
  #event(state, { end } = {}, conn) {
    if (!end || (state !== "waiting" && state !== "ended")) return;
    const explanation = end.said ? `${end.text} ${t("end.said", { text: end.said })}` : end.text;
    const note = noted("trace.closed.direct", { code: end.kind === "closed" ? end.code : undefined, reason: end.said });
    this.#add({ seq: ++this.#seq, at: Date.now(), conn, type: "closed", words: () => ({ type: "closed", fields: {}, explanation, note, warnings: [] }) }, 400);
  }

  #add(entry, bytes) {
    this.#numbers.set(entry.seq, this.#ring.push(entry, bytes));
    if (entry.wrong) this.#mistakes++;
    if (entry.answers) {
      const asked = this.#by(entry.answers);
      if (asked) {
        asked.answered = entry.seq;
        asked.answered_ms = entry.took_ms;
        asked.version = (asked.version ?? 0) + 1;
      }
    }
    this.#list.draw();
  }

  #by(seq) { return this.#ring.at(this.#numbers.get(seq) ?? -1); }

  #filter() {
    const kind = byId("packets-kind").value;
    const dir = byId("packets-dir").value;
    const mistakes = byId("packets-mistakes").checked;
    const search = byId("packets-search").value.trim().toLowerCase();
    if (kind === "all" && dir === "all" && !mistakes && !search) {
      this.#list.filter(null);
      return;
    }
    const types = groups[kind];
    this.#list.filter((p) => (!types || types.includes(p.type)) && (kind !== "no_pings" || !groups.pings.includes(p.type)) && (dir === "all" || p.dir === dir) && (!mistakes || p.wrong) &&
      (!search || `${p.type} ${typeName(p)} ${p.topic ?? ""} ${p.id ?? ""} ${p.words().explanation}`.toLowerCase().includes(search)));
  }

  #drawn({ count, through }) {
    byId("count-packets").textContent = this.#ring.length ? this.#ring.length.toLocaleString() : "";
    byId("mistakes-packets").hidden = !this.#mistakes;
    byId("mistakes-packets").textContent = this.#mistakes ? n("packets.mistakes", this.#mistakes) : "";
    byId("packets-empty").hidden = count > 0;
    byId("packets-empty").textContent = this.#ring.length && !through ? "" : t(this.#ring.length ? "packets.none" : "packets.empty");
    const notes = [];
    if (count !== this.#ring.length) notes.push(t("messages.filtered", { shown: count.toLocaleString(), all: this.#ring.length.toLocaleString() }));
    if (!through) notes.push(t("messages.searching"));
    if (this.#lost) notes.push(said("trace.lost", { count: this.#lost.toLocaleString() }));
    if (this.#dropped) notes.push(n("packets.dropped", this.#dropped, { most: most.toLocaleString(), size: size(mostBytes) }));
    const line = notes.join(between);
    const note = byId("packets-note");
    if (note.textContent !== line) note.textContent = line;
    note.hidden = !line;
  }

  #row(p) {
    const words = p.words();
    const failed = p.code >= 0x80 || (p.type === "CONNACK" && p.code > 0) || p.type === "error" || p.type === "malformed";
    const took = p.took_ms ?? p.answered_ms;
    return el("div", { class: `row packet-row ${p.dir ? `is-${p.dir}` : "is-event"}${p.wrong ? " is-wrong" : ""}${failed ? " is-refused" : ""}` },
      el("span", { class: "row-time" }, clock(p.at)),
      el("span", { class: "packet-dir", title: p.dir ? t(p.dir === "out" ? "packets.out" : "packets.in") : undefined }, p.dir === "out" ? "→" : p.dir === "in" ? "←" : "·",
        p.dir && el("span", { class: "sr-only" }, t(p.dir === "out" ? "packets.out" : "packets.in"))),
      el("span", { class: "packet-type" }, p.wrong && el("span", { class: "packet-wrong", title: t("packets.wrong") }, icon("warned"), el("span", { class: "sr-only" }, t("packets.wrong"))), typeName(p)),
      el("span", { class: "row-text" }, words.explanation),
      el("span", { class: "packet-took" }, took === undefined ? "" : `${p.took_ms === undefined ? "" : "↳ "}${duration(took)}`),
      el("span", { class: "row-size" }, p.length ? size(p.length) : ""));
  }

  #show(p) {
    this.#shown = p ?? null;
    this.#detail.hidden = !p;
    if (!p) return;
    const words = p.words();
    const facts = [[t("packet.time"), clock(p.at)]];
    if (p.length) facts.push([t("packet.length"), `${p.length.toLocaleString()} B`]);
    facts.push([t("packet.connection"), String(p.conn ?? "")]);
    this.#detail.replaceChildren(
      el("div", { class: "message-head" }, el("h3", {}, p.dir ? `${p.dir === "out" ? "→" : "←"} ${typeName(p)}` : typeName(p)),
        button("failed", t("message.close"), () => this.#show(null), { shape: "ghost square", bare: true })),
      el("p", {}, words.explanation),
      ...(words.warnings ?? []).map((w) => el("div", { class: "packet-warning" }, icon("warned"), el("p", {}, w.text, " ", el("span", { class: "faint" }, w.section)))),
      ...this.#round(p),
      el("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]), ...this.#fields(words.fields ?? {})),
      ...this.#payload(words),
      el("div", { class: "message-acts" }, button("copy", t("packet.copy"), () => copy(JSON.stringify(this.#plain(p), null, 1)))));
  }

  // #round leads to the packet that this one answers, and to its own answer.
  #round(p) {
    const to = (seq, key, ms) => {
      const other = this.#by(seq);
      return el("p", { class: "packet-round" }, other
        ? button("link", t(key, { type: typeName(other), time: duration(ms ?? 0) }), () => this.#list.select(other.number), { shape: "link" })
        : t("packet.gone"));
    };
    return [p.answers && to(p.answers, "packet.answers", p.took_ms), p.answered && to(p.answered, "packet.answered", p.answered_ms)].filter(Boolean);
  }

  #fields(fields, level = "") {
    const all = [];
    for (const [name, value] of Object.entries(fields)) {
      if (name === "payload" && level === "") continue;
      if (name === "reason") all.push(el("dt", {}, t("packet.reason")), el("dd", {}, `${value.name} (${value.code})`, value.text && el("span", { class: "packet-means" }, value.text)));
      else if (name === "reasons") all.push(el("dt", {}, t("packet.reasons")), el("dd", {}, ...value.map((r) => el("span", { class: "packet-line" }, `${r.name} (${r.code})`, r.text && el("span", { class: "packet-means" }, r.text)))));
      else if (Array.isArray(value)) all.push(el("dt", {}, fieldName(level + name)), el("dd", { class: "code" }, ...value.map((v) => el("span", { class: "packet-line" }, Array.isArray(v) ? v.join(": ") : typeof v === "object" ? Object.entries(v).map(([k, x]) => `${fieldName(k)} ${x}`).join(", ") : String(v)))));
      else if (value && typeof value === "object") all.push(...this.#fields(value, name === "properties" ? level : `${level}${name}.`));
      else all.push(el("dt", {}, fieldName(level + name)), el("dd", { class: "code" }, String(value)));
    }
    return all;
  }

  #payload(words) {
    const encoded = words.fields?.payload;
    if (!encoded) return [];
    const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
    const plain = text(bytes) ?? encoded;
    return [el("pre", { class: "payload", tabindex: "0", "aria-label": t("message.payload") }, plain), words.truncated && el("p", { class: "faint" }, t("packet.truncated"))].filter(Boolean);
  }

  #plain(p) {
    const words = p.words();
    return { seq: p.seq, at: new Date(p.at).toISOString(), conn: p.conn, dir: p.dir, type: p.type, length: p.length, fields: words.fields, explanation: words.explanation, note: words.note,
      warnings: words.warnings?.length ? words.warnings : undefined, answers: p.answers, took_ms: p.took_ms, truncated: words.truncated || undefined };
  }

  // #dropped is how many packets were let go to make room for newer ones. Those that the reader cleared away are not missed.
  get #dropped() { return this.#ring.dropped - this.#cleared; }

  // trace is what is kept, as it is exported.
  trace() { return { lost: this.#lost + this.#dropped, packets: [...this.#ring].map((p) => this.#plain(p)) }; }

  #export() {
    save("mqttdoctor-trace.json", "application/json", JSON.stringify({ schema: "mqttdoctor.trace/1", exported_at: new Date().toISOString(), ...this.trace() }, null, 1));
  }

  async #capture() {
    const console = current();
    const response = console && await fetch(`/api/v1/console/${console.id}/trace.pcapng`).catch(() => null);
    if (response?.ok) save("mqttdoctor-trace.pcapng", "application/x-pcapng", await response.blob());
    else byId("packets-note").replaceChildren(t("packets.no_capture"));
  }
}
