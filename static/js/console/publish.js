// Publishing: what to, and as which bytes.
import { byId, complain, size } from "./dom.js";
import { text } from "./payload.js";
import { coded, reasonOf } from "./reasons.js";
import { topicFlaw } from "./topics.js";
import { t } from "./words.js";

const field = (name) => byId(`publish-${name}`);

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

export class Publisher {
  #client;
  #messages;

  constructor(client, messages) {
    this.#client = client;
    this.#messages = messages;
    const form = byId("publish");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("input", () => this.#check());
    client.on("state", (state) => { field("now").disabled = state !== "connected"; });
    field("now").disabled = true;
    this.#check();
  }

  // take fills the form in from a message.
  take(m) {
    const plain = text(m.payload);
    field("topic").value = m.topic;
    field("format").value = plain === null ? "hex" : "text";
    field("payload").value = plain ?? Array.from(m.payload, (b) => b.toString(16).padStart(2, "0")).join(" ");
    field("qos").value = m.qos;
    field("retain").checked = m.retain;
    this.#check();
    field("topic").focus();
  }

  // aim sets the topic.
  aim(topic) {
    field("topic").value = topic;
    field("payload").focus();
  }

  #check() {
    const payload = field("payload");
    complain(field("topic"), "");
    try {
      const made = bytes(payload.value, field("format").value);
      field("check").textContent = payload.value ? t("publish.size", { size: size(made.length) }) : field("retain").checked ? t("publish.clears") : "";
      payload.removeAttribute("aria-invalid");
      return made;
    } catch (error) {
      field("check").textContent = error.message;
      payload.setAttribute("aria-invalid", "true");
      return null;
    }
  }

  async #submit() {
    const payload = this.#check();
    const topic = field("topic").value;
    const wrong = topicFlaw(topic);
    if (wrong) {
      complain(field("topic"), t(wrong));
      field("topic").focus();
      return;
    }
    if (!payload) {
      field("payload").focus();
      return;
    }
    await this.send({ topic, payload, qos: Number(field("qos").value), retain: field("retain").checked });
  }

  // send publishes, and says what became of it.
  async send({ topic, payload, qos, retain, properties }) {
    const begun = performance.now();
    this.#messages.add("out", topic, payload, { qos, retain, properties });
    try {
      const packet = await this.#client.publish(topic, payload, { qos, retain, properties });
      const code = packet?.reasonCode;
      field("done").textContent = qos === 0 ? t("publish.sent") : code === 0x10 ? t("publish.nobody") : t("publish.arrived", { ms: Math.round(performance.now() - begun) });
    } catch (error) {
      const reason = error.code >= 0x80 ? reasonOf(5, "puback", error.code) : null;
      complain(field("topic"), reason ? t("publish.refused", { name: reason.name, code: coded(reason.code), text: reason.text }) : t("publish.failed", { error: error.message }));
      field("done").textContent = "";
    }
  }
}
