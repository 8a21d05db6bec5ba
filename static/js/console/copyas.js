// Shows what the forms say as a command or as code of another client, as long as its card is open.
import { mosquitto, mqttx } from "./commands.js";
import { byId } from "./dom.js";
import { read, Wrong } from "./settings.js";
import { t } from "./words.js";

const pause = 300; // ms without a key before the code is made anew
const commands = { mosquitto_pub: mosquitto, mosquitto_sub: mosquitto, mqttx_pub: mqttx, mqttx_sub: mqttx };
const everything = [{ filter: "#", qos: 0, nl: false, rap: false, rh: 0, identifier: 0 }];
const versions = { "3.1": 3, "3.1.1": 4, 5: 5 };

export class CopyAs {
  #client;
  #subscriptions;
  #publisher;
  #card = byId("copy-as");
  #timer = 0;
  #asked = 0; // number of the question to the server: answers to an older one are dropped
  #answered = { body: "", clients: [] };

  constructor(client, subscriptions, publisher) {
    this.#client = client;
    this.#subscriptions = subscriptions;
    this.#publisher = publisher;
    const soon = () => {
      if (!this.#card.open) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#show(), pause);
    };
    this.#card.addEventListener("toggle", () => { if (this.#card.open) this.#show(); });
    byId("copy-as-what").addEventListener("change", () => this.#show());
    for (const form of [byId("connect"), byId("publish")]) {
      form.addEventListener("input", soon);
      form.addEventListener("click", soon); // what buttons fill in
    }
    subscriptions.on("change", soon);
    client.on("state", soon);
  }

  async #show() {
    const what = byId("copy-as-what").value;
    const asked = ++this.#asked;
    let settings;
    try {
      settings = read();
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      this.#write("", [t("as.form", { error: error.message })]);
      return;
    }
    settings.version = this.#client.connected ? this.#client.version : versions[settings.target.protocol] ?? 5;
    if (commands[what]) this.#command(commands[what], what.endsWith("_pub"), settings);
    else await this.#code(what, settings, asked);
  }

  #command(make, publishes, settings) {
    const message = publishes ? this.#publisher.message() : undefined;
    if (message === null) {
      this.#write("", [t("as.message")]);
      return;
    }
    const { all } = this.#subscriptions;
    const { text, notes } = make(settings, publishes ? { message } : { subscriptions: all.length ? all : everything });
    this.#write(text, [!publishes && !all.length && text ? t("as.subscription") : "", ...notes.map((key) => t(key))]);
  }

  async #code(id, { at, target, version, temporary }, asked) {
    const given = (text) => (text ? "given" : "");
    const body = JSON.stringify({
      // Of secrets and certificates it only matters whether there are any.
      target: { url: at.url, protocol: Object.keys(versions).find((name) => versions[name] === version), client_id: temporary ? "" : target.client_id, username: target.username, password: given(target.password),
        keepalive_s: target.keepalive_s, clean_start: target.clean_start, session_expiry_s: target.session_expiry_s, tls: { ca_pem: given(target.tls.ca_pem), cert_pem: given(target.tls.cert_pem) } },
      lang: document.documentElement.lang.startsWith("zh") ? "zh" : "en",
    });
    if (this.#answered.body !== body) {
      const response = await fetch("/api/v1/client-code", { method: "POST", headers: { "Content-Type": "application/json" }, body }).catch(() => null);
      const answer = await response?.json().catch(() => null);
      if (asked !== this.#asked) return;
      if (!answer?.clients) {
        this.#write("", [Object.values(answer?.error?.fields ?? {})[0] ?? answer?.error?.message ?? t("as.unreachable")]);
        return;
      }
      this.#answered = { body, clients: answer.clients };
    }
    const { code = "", note = "" } = this.#answered.clients.find((c) => c.id === id) ?? {};
    this.#write(code, [note]);
  }

  #write(text, notes) {
    const names = [...new Set(text.match(/MQTT_(?:PASSWORD|HEADER_[A-Z0-9_]+)/g) ?? [])];
    const files = ["ca.pem", "client.pem", "client.key"].filter((name) => text.includes(name));
    byId("copy-as-note").textContent = [...notes, names.length ? t("as.secrets", { names: names.join(", ") }) : "", files.length ? t("as.files", { names: files.join(", ") }) : ""].filter(Boolean).join("\n");
    byId("copy-as-frame").hidden = !text;
    byId("copy-as-text").textContent = text;
  }
}
