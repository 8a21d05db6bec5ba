// Publishing: what to, and as which bytes; once, so many times, or every so often.
import { message } from "./connections.js";
import { button, byId, clock, complain, el, size } from "./dom.js";
import { preview, text } from "./payload.js";
import { coded, reasonOf } from "./reasons.js";
import { pairs, userProperties } from "./settings.js";
import { keep, recall } from "./shelf.js";
import { topicFlaw } from "./topics.js";
import { fill, has } from "./variables.js";
import { n, t } from "./words.js";

const field = (name) => byId(`publish-${name}`);
const largestFile = 16 << 20;
const remembered = 50;
const burst = 200; // messages that are sent in one go before the page gets its turn

// bytes makes a payload of what was typed, or throws a word on what is wrong.
export function bytes(typed, format) {
  switch (format) {
    case "json":
      try {
        JSON.parse(typed);
      } catch (error) {
        throw new Error(t("publish.bad_json", { error: error.message }));
      }
      return new TextEncoder().encode(typed);
    case "hex": {
      const digits = typed.replace(/0x|[\s,:]/gi, "");
      if (/[^0-9a-f]/i.test(digits) || digits.length % 2) throw new Error(t("publish.bad_hex"));
      return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    }
    case "base64":
      try {
        return Uint8Array.from(atob(typed.replace(/\s/g, "").replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
      } catch {
        throw new Error(t("publish.bad_base64"));
      }
  }
  return new TextEncoder().encode(typed);
}

// listed gives kept messages their shape, whatever the browser kept.
const listed = (all) => (Array.isArray(all) ? all.map(message).filter(({ topic }) => topic) : []);

export class Publisher {
  #client;
  #messages;
  #file = null; // {name, bytes}
  #running = 0; // number of the repetition under way; 0: none
  #repetitions = 0;
  #counter = 0;
  #history = [];
  #kept = listed(recall("messages", []));

  constructor(client, messages) {
    this.#client = client;
    this.#messages = messages;
    const form = byId("publish");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("input", () => this.#check());
    field("file").addEventListener("change", ({ target }) => this.#take(target.files[0]));
    field("stop").addEventListener("click", () => this.#stop());
    field("keep").addEventListener("click", () => this.#keep());
    form.addEventListener("click", ({ target }) => {
      const variable = target.closest("[data-variable]")?.dataset.variable;
      if (!variable) return;
      const payload = field("payload");
      payload.setRangeText(variable, payload.selectionStart, payload.selectionEnd, "end");
      payload.focus();
      this.#check();
    });
    client.on("state", (state) => {
      field("now").disabled = state !== "connected";
      if (state !== "connected") this.#stop();
    });
    field("now").disabled = true;
    this.#check();
    this.#lists();
  }

  // take fills the form in from a message.
  take(m) {
    const plain = text(m.payload);
    this.#fill({ topic: m.topic, format: plain === null ? "hex" : "text", payload: plain ?? Array.from(m.payload, (b) => b.toString(16).padStart(2, "0")).join(" "), qos: m.qos, retain: m.retain });
    field("topic").focus();
  }

  // aim sets the topic.
  aim(topic) {
    field("topic").value = topic;
    field("payload").focus();
  }

  // #draft is what the form says, for the history and for keeping; #fill is its reverse.
  #draft() {
    const draft = { topic: field("topic").value, format: field("format").value, payload: field("payload").value, qos: Number(field("qos").value), retain: field("retain").checked };
    for (const name of ["content-type", "expiry", "response-topic", "correlation", "alias", "user"]) if (field(name).value) draft[name] = field(name).value;
    if (field("utf8").checked) draft.utf8 = true;
    return draft;
  }

  #fill(draft) {
    this.#take(null);
    for (const name of ["topic", "format", "payload", "qos", "content-type", "expiry", "response-topic", "correlation", "alias", "user"]) field(name).value = draft[name] ?? "";
    field("retain").checked = Boolean(draft.retain);
    field("utf8").checked = Boolean(draft.utf8);
    this.#check();
  }

  async #take(file) {
    const had = this.#file;
    this.#file = null;
    if (file && file.size <= largestFile) this.#file = { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
    else {
      field("file").value = "";
      if (had) field("file").dispatchEvent(new Event("change", { bubbles: true })); // for the control, which shows its name
    }
    const on = this.#file !== null;
    field("payload").disabled = field("format").disabled = on;
    this.#check();
    if (file && !on) field("check").textContent = t("publish.large_file", { size: size(largestFile) });
  }

  // #check says what is wrong with the payload, while it is typed. It returns a function that makes the bytes of the message with
  // a number, or null.
  #check() {
    const payload = field("payload");
    const check = field("check");
    complain(field("topic"), "");
    payload.removeAttribute("aria-invalid");
    if (this.#file) {
      const { bytes: content } = this.#file;
      check.textContent = "";
      return () => content;
    }
    const typed = payload.value;
    const format = field("format").value;
    const varies = format !== "hex" && format !== "base64" && has(typed);
    try {
      const made = bytes(varies ? fill(typed, 1) : typed, format);
      check.textContent = typed ? t("publish.size", { size: size(made.length) }) : field("retain").checked ? t("publish.clears") : "";
      return varies ? (count) => bytes(fill(typed, count), format) : () => made;
    } catch (error) {
      check.textContent = error.message;
      payload.setAttribute("aria-invalid", "true");
      return null;
    }
  }

  // #readProperties are those of MQTT 5, and what is wrong with them by field.
  #readProperties() {
    const properties = {};
    const wrong = {};
    const number = (name, least, most) => {
      const value = field(name).value.trim();
      if (value === "") return undefined;
      if (!/^\d+$/.test(value) || Number(value) < least || Number(value) > most) wrong[name] = t("form.number", { least, most: most.toLocaleString() });
      return Number(value);
    };
    const set = (name, value) => { if (value !== undefined && value !== "") properties[name] = value; };
    set("contentType", field("content-type").value);
    set("responseTopic", field("response-topic").value);
    if (/[+#]/.test(field("response-topic").value)) wrong["response-topic"] = t("form.topic_wildcard");
    if (field("correlation").value) properties.correlationData = new TextEncoder().encode(field("correlation").value);
    set("messageExpiryInterval", number("expiry", 0, 4294967295));
    set("topicAlias", number("alias", 1, 65535));
    if (field("utf8").checked) properties.payloadFormatIndicator = true;
    const user = pairs(field("user").value, wrong, "user");
    if (user.length) properties.userProperties = userProperties(user);
    return { properties, wrong };
  }

  // #properties are those to send; undefined before MQTT 5, null: a field is wrong, and says so.
  #properties() {
    const { properties, wrong } = this.#readProperties();
    field("only5").hidden = this.#client.version === 5 || !Object.keys(properties).length;
    if (this.#client.version !== 5) return undefined;
    for (const name of ["response-topic", "expiry", "alias", "user"]) complain(field(name), "");
    const [first] = Object.keys(wrong);
    if (!first) return properties;
    field(first).closest("details").open = true;
    complain(field(first), wrong[first]);
    if (first === "user") complain(field("topic"), wrong[first]);
    field(first).focus();
    return null;
  }

  // message is the first one that the form would publish, {topic, payload, file, qos, retain, properties}; null: the form is not in
  // order, and nothing is complained of.
  message() {
    const topic = fill(field("topic").value, 1);
    const { properties, wrong } = this.#readProperties();
    let payload;
    try {
      payload = this.#file ? this.#file.bytes : bytes(["hex", "base64"].includes(field("format").value) ? field("payload").value : fill(field("payload").value, 1), field("format").value);
    } catch {
      return null;
    }
    if (topicFlaw(topic) || Object.keys(wrong).length) return null;
    return { topic, payload, file: this.#file?.name, qos: Number(field("qos").value), retain: field("retain").checked, properties };
  }

  async #submit() {
    if (this.#running) return;
    const make = this.#check();
    const topic = field("topic").value;
    const wrong = topicFlaw(fill(topic, 1));
    if (wrong) {
      complain(field("topic"), t(wrong));
      field("topic").focus();
      return;
    }
    if (!make) {
      field("payload").focus();
      return;
    }
    const properties = this.#properties();
    if (properties === null) return;
    const times = this.#number("times", 1, 1e6, 1);
    const every = this.#number("every", 0, 86400, field("times").value.trim() ? 0 : null);
    if (times === null || every === undefined) return;
    this.#remember();
    const one = () => {
      const count = ++this.#counter;
      return this.send({ topic: fill(topic, count), payload: make(count), qos: Number(field("qos").value), retain: field("retain").checked, properties });
    };
    if (every === null || (times === 1 && field("times").value.trim())) await one();
    else await this.#repeat(one, field("times").value.trim() ? times : Infinity, every * 1000);
  }

  // #number reads a field of the repetition; null stands for nothing typed where that is allowed, undefined for nonsense.
  #number(name, least, most, otherwise) {
    const value = field(name).value.trim().replace(",", ".");
    complain(field(name), "");
    if (value === "") return otherwise;
    const x = Number(value);
    if (Number.isFinite(x) && x >= least && x <= most && (name === "every" || Number.isInteger(x))) return x;
    field(name).closest("details").open = true;
    complain(field(name), t("form.number", { least, most: most.toLocaleString() }));
    field(name).focus();
    return name === "every" ? undefined : null;
  }

  // #repeat sends one after the other until it is stopped. Without a pause between them the page gets its turn now and then.
  async #repeat(one, times, every) {
    const run = this.#running = ++this.#repetitions;
    this.#counter = 0;
    field("stop").hidden = false;
    field("now").setAttribute("aria-busy", "true");
    let sent = 0;
    let next = performance.now();
    while (this.#running === run && sent < times) {
      const done = one();
      sent++;
      if (every || sent % burst === 0) {
        await (every ? null : done);
        field("done").textContent = t(times === Infinity ? "publish.repeating" : "publish.repeating_of", { n: sent.toLocaleString(), of: times.toLocaleString() });
        next = Math.max(next + every, performance.now() - every);
        await new Promise((wake) => setTimeout(wake, Math.max(0, next - performance.now())));
      }
    }
    if (this.#running === run) this.#stop();
    field("done").textContent = n("publish.repeated", sent);
  }

  #stop() {
    this.#running = 0;
    field("stop").hidden = true;
    field("now").removeAttribute("aria-busy");
  }

  // send publishes, and says what became of it; false: it was not published, or refused.
  async send({ topic, payload, qos, retain, properties }) {
    const begun = performance.now();
    this.#messages.add("out", topic, payload, { qos, retain, properties });
    const alone = !this.#running; // one of several is not spoken of by itself, also where its answer comes late
    try {
      const packet = await this.#client.publish(topic, payload, { qos, retain, properties: properties && { ...properties } });
      const code = packet?.reasonCode;
      if (alone && !this.#running) field("done").textContent = qos === 0 ? t("publish.sent") : code === 0x10 ? t("publish.nobody") : t("publish.arrived", { ms: Math.round(performance.now() - begun) });
      return true;
    } catch (error) {
      this.#stop();
      const reason = error.code >= 0x80 ? reasonOf(5, "puback", error.code) : null;
      complain(field("topic"), reason ? t("publish.refused", { name: reason.name, code: coded(reason.code), text: reason.text }) : t("publish.failed", { error: error.message }));
      field("done").textContent = "";
      return false;
    }
  }

  // ---- history and collection ----

  #remember() {
    if (this.#file) return;
    const draft = { ...this.#draft(), at: Date.now() };
    const same = (d) => JSON.stringify({ ...d, at: 0 }) === JSON.stringify({ ...draft, at: 0 });
    this.#history = [draft, ...this.#history.filter((d) => !same(d))].slice(0, remembered);
    this.#lists();
  }

  #keep() {
    if (this.#file) {
      field("done").textContent = t("publish.file_not_kept");
      return;
    }
    const draft = this.#draft();
    if (!draft.topic) {
      complain(field("topic"), t("topic.empty"));
      field("topic").focus();
      return;
    }
    const collection = field("collection").value.trim();
    if (collection) draft.collection = collection;
    this.#kept = [...this.#kept, draft];
    field("done").textContent = t(keep("messages", this.#kept) ? "publish.kept" : "publish.not_kept");
    byId("kept").open = true;
    this.#lists();
  }

  #lists() {
    byId("kept-count").textContent = this.#kept.length || "";
    byId("history-count").textContent = this.#history.length || "";
    const names = [...new Set(this.#kept.map((d) => d.collection ?? ""))].sort((a, b) => a.localeCompare(b));
    byId("collections").replaceChildren(...names.filter(Boolean).map((name) => el("option", { value: name })));
    byId("kept-list").replaceChildren(...names.map((name) => this.#group(name)), ...(names.length ? [] : [el("p", { class: "hint" }, t("publish.kept_none"))]));
    byId("history-list").replaceChildren(...this.#history.map((draft) => this.#line(draft, [el("span", { class: "hint" }, clock(draft.at).slice(0, 8))])),
      ...(this.#history.length ? [] : [el("li", { class: "hint" }, t("publish.history_none"))]));
  }

  // #group is one collection; those without a name stand without a head.
  #group(name) {
    const drafts = this.#kept.filter((d) => (d.collection ?? "") === name);
    return el("div", { class: "kept-group" }, name && el("div", { class: "kept-head" }, el("h3", { class: "label" }, name),
      button("send", t("publish.all"), () => this.#all(drafts), { "aria-label": t("publish.all_of", { name }) })),
    el("ul", { class: "kept-list", "aria-label": name || t("publish.unsorted") }, ...drafts.map((draft) => this.#line(draft, [
      button("trash", t("publish.forget", { topic: draft.topic }), () => {
        this.#kept = this.#kept.filter((d) => d !== draft);
        keep("messages", this.#kept);
        this.#lists();
      }, { shape: "ghost square", bare: true })]))));
  }

  // #all publishes a collection in its order. It passes through the form, which says what is wrong with a message, and stops there.
  async #all(drafts) {
    if (this.#running) return;
    if (!this.#client.connected) {
      field("done").textContent = t("publish.offline");
      return;
    }
    const before = this.#draft();
    const run = this.#running = ++this.#repetitions;
    field("stop").hidden = false;
    let sent = 0;
    for (const draft of drafts) {
      this.#fill(draft);
      const make = this.#check();
      const wrong = topicFlaw(fill(draft.topic, 1));
      if (wrong) complain(field("topic"), t(wrong));
      const properties = make && !wrong ? this.#properties() : null;
      if (properties === null) break;
      const count = ++this.#counter;
      if (!(await this.send({ topic: fill(draft.topic, count), payload: make(count), qos: draft.qos, retain: draft.retain, properties }))) break;
      sent++;
      if (this.#running !== run) break;
    }
    if (this.#running === run) this.#stop();
    if (sent === drafts.length) this.#fill(before);
    field("done").textContent = n("publish.repeated", sent);
  }

  #line(draft, more) {
    const what = draft.payload ? preview(new TextEncoder().encode(draft.payload)) : t("messages.no_payload");
    return el("li", { class: "kept" }, el("button", { type: "button", class: "kept-take", title: t("publish.take"), onclick: () => this.#fill(draft) },
      el("span", { class: "code kept-topic" }, draft.topic), el("span", { class: "code kept-payload" }, what)), ...more);
  }

  // kept and import are for the file of saved connections.
  get kept() { return this.#kept; }

  import(all) {
    const key = (d) => JSON.stringify(Object.entries(d).sort());
    const known = new Set(this.#kept.map(key));
    const fresh = all.filter((d) => !known.has(key(d)));
    this.#kept = [...this.#kept, ...fresh];
    keep("messages", this.#kept);
    this.#lists();
    return fresh.length;
  }
}
