// One message in detail: its payload in the form that suits it, what changed since the one before, its numbers as a plot, and
// everything that came with it.
import { button, byId, clock, copy, el, save, size } from "./dom.js";
import { forms, guess, imageType, read } from "./decode/guess.js";
import { lineDifferences } from "./lines.js";
import { base64, hexDump, hexLine, text } from "./payload.js";
import { numbersOf, Plot } from "./plot.js";
import { differences, nameOf, tree } from "./values.js";
import { n, t } from "./words.js";

const longest = 256 << 10; // of a payload, that is shown at once
const largestImage = 4 << 20;
const mostChanges = 200;

// What the specification calls the properties of PUBLISH (MQTT 5.0 3.3.2.3).
const names = { payloadFormatIndicator: "Payload Format Indicator", messageExpiryInterval: "Message Expiry Interval", topicAlias: "Topic Alias",
  responseTopic: "Response Topic", correlationData: "Correlation Data", subscriptionIdentifier: "Subscription Identifier", contentType: "Content Type" };

const formNames = { text: "form.text", json: "JSON", hex: "form.hex", base64: "Base64", cbor: "CBOR", msgpack: "MessagePack", sparkplug: "Sparkplug B", image: "form.image" };
const formName = (form) => (formNames[form].startsWith("form.") ? t(formNames[form]) : formNames[form]);

export class Detail {
  #home = byId("message");
  #messages;
  #again;
  #message = null;
  #form = "auto"; // chosen for the topic
  #part = "payload";
  #plot = null;
  #follow = false;

  // again(message) takes a message over into the publish form.
  constructor(messages, again) {
    this.#messages = messages;
    this.#again = again;
    let late = 0;
    messages.on("select", (m) => this.show(m)).on("clear", () => this.show(null));
    messages.on("add", (m) => {
      if (!this.#follow || m.topic !== this.#message?.topic || m.dir !== this.#message.dir) return;
      late ||= setTimeout(() => {
        late = 0;
        if (this.#follow && this.#message) this.#next(this.#messages.newest(this.#message.topic, this.#message.dir) ?? m);
      }, 200);
    });
  }

  show(m) {
    if (m?.topic !== this.#message?.topic) {
      this.#form = "auto";
      this.#follow = false;
      this.#part = this.#part === "plot" ? "payload" : this.#part;
    }
    this.#endPlot();
    this.#message = m ?? null;
    this.#home.hidden = !m;
    if (m) this.#draw();
    else this.#home.replaceChildren();
  }

  // #next goes on to another message of the topic, and leaves a plot as it is.
  #next(m) {
    this.#message = m;
    this.#messages.list.select(m.number, { quiet: true });
    if (this.#part === "plot") this.#home.querySelector(".facts")?.replaceWith(this.#facts(m));
    else this.#draw();
  }

  #endPlot() {
    this.#plot?.end();
    this.#plot = null;
  }

  #draw() {
    const m = this.#message;
    const held = this.#home.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    this.#endPlot();
    this.#home.replaceChildren(
      el("div", { class: "message-head" }, el("h3", { class: "code" }, m.topic),
        button("failed", t("message.close"), () => this.show(null), { shape: "ghost square", bare: true })),
      this.#parts(m),
      this.#body(m),
      this.#facts(m),
      el("label", { class: "check-row" }, el("input", { type: "checkbox", checked: this.#follow, dataset: { key: "follow" }, onchange: ({ target }) => { this.#follow = target.checked; } }), el("span", {}, t("message.follow"))),
      el("div", { class: "message-acts" },
        button("copy", t("message.copy"), () => copy(text(m.payload) ?? base64(m.payload))),
        button("download", t("message.save"), () => save(m.topic.replace(/[^\w.-]+/g, "_") || "message", "application/octet-stream", m.payload)),
        button("send", t("message.again"), () => this.#again(m))));
    if (held) this.#home.querySelector(`[data-key="${held}"]`)?.focus();
  }

  // #parts chooses what is shown of the message, and in which form.
  #parts(m) {
    const choice = (part, word) => el("button", { type: "button", class: "part", "aria-pressed": String(this.#part === part), dataset: { key: part }, onclick: () => {
      this.#part = part;
      this.#draw();
    } }, word);
    const found = guess(m.payload, { topic: m.topic, contentType: m.properties?.contentType }).form;
    const select = el("select", { class: "input", "aria-label": t("message.form"), dataset: { key: "form" }, onchange: ({ target }) => {
      this.#form = target.value;
      this.#draw();
    } }, el("option", { value: "auto" }, t("message.form.auto", { form: formName(found) })), ...forms.map((form) => el("option", { value: form }, formName(form))));
    select.value = this.#form;
    return el("div", { class: "message-parts" }, choice("payload", t("message.payload")),
      this.#messages.before(m) && choice("changes", t("message.changes")), numbersOf(m).size > 0 && choice("plot", t("message.plot")), select);
  }

  #body(m) {
    if (this.#part === "plot" && numbersOf(m).size) {
      this.#plot = new Plot(this.#messages, m);
      return this.#plot.element;
    }
    const before = this.#messages.before(m);
    if (this.#part === "changes" && before) return this.#changes(before, m);
    if (!m.payload.length) return el("p", { class: "soft" }, t("messages.no_payload"));
    return this.#payload(m);
  }

  // #decoded is the payload in the chosen form: {form, value, error}.
  #decoded(m) {
    if (this.#form === "auto") return guess(m.payload, { topic: m.topic, contentType: m.properties?.contentType });
    if (["text", "hex", "base64", "image"].includes(this.#form)) return { form: this.#form };
    try {
      return { form: this.#form, value: read(this.#form, m.payload) };
    } catch (error) {
      return { form: this.#form, error };
    }
  }

  #payload(m) {
    const { form, value, error } = this.#decoded(m);
    if (error) return el("p", { class: "field-error" }, t("message.not_form", { form: formName(form), error: error.message }));
    if (value !== undefined || form === "json") return el("div", { class: "payload", tabindex: "0", role: "region", "aria-label": t("message.payload") }, tree(value));
    if (form === "image") {
      const type = imageType(m.payload);
      if (!type) return el("p", { class: "field-error" }, t("message.no_image"));
      if (m.payload.length > largestImage) return el("p", { class: "soft" }, t("message.large_image", { size: size(m.payload.length) }));
      return el("img", { class: "payload-image", src: `data:${type};base64,${base64(m.payload)}`, alt: t("message.image", { topic: m.topic }) });
    }
    return this.#plain(form, m.payload);
  }

  #plain(form, payload) {
    const part = payload.subarray(0, longest);
    const shown = form === "hex" ? hexDump(part.subarray(0, 64 << 10)) : form === "base64" ? base64(part) : text(part) ?? new TextDecoder().decode(part);
    return el("div", {}, el("pre", { class: `payload is-${form}`, tabindex: "0", "aria-label": t("message.payload") }, shown),
      payload.length > longest && el("p", { class: "faint" }, t("message.cut", { shown: size(longest), all: size(payload.length) })));
  }

  #changes(before, m) {
    const a = this.#decoded(before);
    const b = this.#decoded(m);
    const head = el("p", { class: "faint" }, t("changes.since", { time: clock(before.at) }));
    if (a.value !== undefined && b.value !== undefined) {
      const all = differences(a.value, b.value);
      if (!all.length) return el("div", {}, head, el("p", { class: "soft" }, t("changes.none")));
      return el("div", { class: "changes" }, head, el("dl", { class: "facts" }, ...all.slice(0, mostChanges).flatMap((d) => [el("dt", { class: "code" }, nameOf(d.path)),
        el("dd", { class: "code" }, d.before !== undefined && el("del", {}, d.before), d.before !== undefined && d.now !== undefined && " ", d.now !== undefined && el("ins", {}, d.now))])),
        all.length > mostChanges && el("p", { class: "faint" }, n("changes.more", all.length - mostChanges)));
    }
    const plain = (p) => text(p) ?? hexDump(p.subarray(0, 6000));
    const lines = lineDifferences(plain(before.payload), plain(m.payload));
    if (!lines) return el("div", {}, head, el("p", { class: "soft" }, t("changes.too_long")));
    if (lines.every((line) => line.kind === "same")) return el("div", {}, head, el("p", { class: "soft" }, t("changes.none")));
    return el("div", { class: "changes" }, head, el("pre", { class: "payload", tabindex: "0", "aria-label": t("message.changes") },
      ...lines.map((line) => el(line.kind === "added" ? "ins" : line.kind === "removed" ? "del" : "span", { class: "change-line" }, `${{ added: "+", removed: "−", same: " " }[line.kind]} ${line.text}`))));
  }

  *#list(m) {
    yield [t(m.dir === "in" ? "message.received" : "message.published"), clock(m.at)];
    yield ["QoS", String(m.qos)];
    yield [t("message.flags"), [m.retain && t("messages.retained"), m.dup && "DUP"].filter(Boolean).join(", ") || t("message.no_flags")];
    yield [t("message.size"), size(m.payload.length)];
    if (m.subs.length) yield [t("message.subscriptions"), m.subs.map((s) => s.filter).join(", ")];
    for (const [key, value] of Object.entries(m.properties ?? {})) {
      if (value === undefined) continue;
      if (key === "userProperties") {
        for (const [name, values] of Object.entries(value)) for (const v of [values].flat()) yield [name, v];
      } else yield [names[key] ?? key, ArrayBuffer.isView(value) ? text(value) ?? hexLine(value) : String(value)];
    }
  }

  #facts(m) {
    return el("dl", { class: "facts" }, ...[...this.#list(m)].flatMap(([name, value]) => [el("dt", {}, name), el("dd", { class: "code" }, value)]));
  }
}
