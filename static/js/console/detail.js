// One message in detail: its payload in the form that suits it, and everything that came with it.
import { button, byId, clock, copy, el, save, size } from "./dom.js";
import { base64, hexDump, text } from "./payload.js";
import { t } from "./words.js";

const longest = 256 << 10; // of a payload, that is shown at once

// What the specification calls the properties of PUBLISH (MQTT 5.0 3.3.2.3).
const names = { payloadFormatIndicator: "Payload Format Indicator", messageExpiryInterval: "Message Expiry Interval", topicAlias: "Topic Alias",
  responseTopic: "Response Topic", correlationData: "Correlation Data", userProperties: "User Property", subscriptionIdentifier: "Subscription Identifier",
  contentType: "Content Type" };

export class Detail {
  #home = byId("message");
  #messages;
  #again;
  #message = null;
  #form = "auto";

  // again(message) takes a message over into the publish form.
  constructor(messages, again) {
    this.#messages = messages;
    this.#again = again;
    messages.on("select", (m) => this.show(m)).on("clear", () => this.show(null));
  }

  show(m) {
    this.#message = m ?? null;
    this.#home.hidden = !m;
    if (m) this.#draw();
  }

  #draw() {
    const m = this.#message;
    this.#home.replaceChildren(
      el("div", { class: "message-head" }, el("h3", { class: "code" }, m.topic),
        button("failed", t("message.close"), () => this.show(null), { shape: "ghost square", bare: true })),
      el("dl", { class: "facts" }, ...this.#facts(m).flatMap(([name, value]) => [el("dt", {}, name), el("dd", { class: "code" }, value)])),
      this.#payload(m),
      el("div", { class: "message-acts" },
        button("copy", t("message.copy"), () => copy(text(m.payload) ?? base64(m.payload))),
        button("download", t("message.save"), () => save(m.topic.replace(/[^\w.-]+/g, "_") || "message", "application/octet-stream", m.payload)),
        button("send", t("message.again"), () => this.#again(m))));
  }

  *#list(m) {
    yield [t(m.dir === "in" ? "message.received" : "message.published"), clock(m.at)];
    yield ["QoS", String(m.qos)];
    yield [t("message.flags"), [m.retain && t("messages.retained"), m.dup && "DUP"].filter(Boolean).join(", ") || t("message.no_flags")];
    yield [t("message.size"), size(m.payload.length)];
    if (m.subs.length) yield [t("message.subscriptions"), m.subs.map((s) => s.filter).join(", ")];
    for (const [key, value] of Object.entries(m.properties ?? {})) {
      if (key === "userProperties") {
        for (const [name, values] of Object.entries(value)) for (const v of [values].flat()) yield [name, v];
      } else yield [names[key] ?? key, ArrayBuffer.isView(value) ? text(value) ?? base64(value) : String(value)];
    }
  }

  #facts(m) { return [...this.#list(m)]; }

  #payload(m) {
    if (!m.payload.length) return el("p", { class: "soft" }, t("messages.no_payload"));
    const part = m.payload.subarray(0, longest);
    const plain = text(part);
    let shown = plain ?? hexDump(part);
    if (plain !== null) {
      try {
        shown = JSON.stringify(JSON.parse(plain), null, 2);
      } catch { /* it is no JSON */ }
    }
    return el("pre", { class: "payload", tabindex: "0", "aria-label": t("message.payload") }, shown);
  }
}
