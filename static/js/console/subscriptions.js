// The subscriptions: what is wished for, what the broker granted, and which messages belong to which.
import { button, byId, complain, el, icon, Talker } from "./dom.js";
import { coded, reasonOf } from "./reasons.js";
import { flaw, matches } from "./topics.js";
import { t } from "./words.js";

const colours = 8;
const mostIdentifier = 268_435_455; // MQTT 5.0 3.8.2.1.2
const remembered = 5000; // topics whose subscriptions are known without matching again

// Tells: "hide" when other messages are to be shown; "change" when there are others; "draw" when one of them stands differently.
export class Subscriptions extends Talker {
  all = [];
  #client;
  #list = byId("subscriptions");
  #cache = new Map();
  #last = 0;

  constructor(client) {
    super();
    this.#client = client;
    const form = byId("subscribe");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("input", () => complain(byId("subscribe-filter"), ""));
    client.on("subscribed", (_, resumed) => this.#again(resumed));
    client.on("state", (state) => {
      if (state === "connected") return;
      for (const s of this.all) if (s.state !== "refused") s.state = "waiting";
      this.draw();
    });
    this.draw();
  }

  #submit() {
    const field = byId("subscribe-filter");
    const share = byId("subscribe-share").value.trim();
    const filter = share ? `$share/${share}/${field.value}` : field.value;
    const wrong = flaw(filter);
    if (wrong) {
      complain(field, t(wrong));
      field.focus();
      return;
    }
    const typed = byId("subscribe-id");
    const identifier = Number(typed.value.trim() || 0);
    const no = typed.value.trim() !== "" && !(Number.isInteger(identifier) && identifier >= 1 && identifier <= mostIdentifier);
    complain(typed, no ? t("form.number", { least: 1, most: mostIdentifier.toLocaleString() }) : "");
    if (no) {
      typed.closest("details").open = true;
      typed.focus();
      return;
    }
    // A broker ends the connection over it (MQTT 5.0 3.8.3.1, [MQTT-3.8.3-4]).
    const shared = filter.startsWith("$share/");
    if (shared && byId("subscribe-nl").checked && this.#client.version === 5) {
      complain(field, t("filter.shared_local"));
      byId("subscribe-nl").focus();
      return;
    }
    this.add({ filter, qos: Number(byId("subscribe-qos").value), nl: byId("subscribe-nl").checked, rap: byId("subscribe-rap").checked,
      rh: Number(byId("subscribe-rh").value), identifier });
    field.value = "";
  }

  // add subscribes, or changes a subscription of the same filter.
  async add(wish) {
    let s = this.all.find((other) => other.filter === wish.filter);
    if (s) Object.assign(s, wish);
    else {
      s = { ...wish, colour: this.#last++ % colours, shown: true, count: 0, state: "waiting" };
      this.all.push(s);
      this.#cache.clear();
    }
    this.tell("change");
    if (this.#client.connected) await this.#ask(s);
    else this.draw();
  }

  // replace puts other subscriptions in the place of all, for the next connection.
  replace(wishes) {
    this.all = [];
    this.#cache.clear();
    for (const wish of wishes) this.add(wish);
    this.draw();
    this.tell("change");
  }

  async #ask(s) {
    s.state = "asked";
    this.draw();
    try {
      const { code, reason } = await this.#client.subscribe(s.filter, s);
      s.state = code >= 0x80 ? "refused" : "granted";
      s.code = code;
      s.reason = reason;
    } catch (error) {
      s.state = this.#client.connected ? "failed" : "waiting";
      s.reason = error.message;
    }
    this.draw();
  }

  #again(resumed) {
    for (const s of this.all) {
      if (resumed && s.code !== undefined && s.code < 0x80) s.state = "granted"; // the session holds it
      else this.#ask(s);
    }
    this.draw();
  }

  async remove(s) {
    this.all = this.all.filter((other) => other !== s);
    this.#cache.clear();
    this.draw();
    this.tell("change");
    await this.#client.unsubscribe(s.filter).catch(() => {});
  }

  // of lists the subscriptions that a message came for: those whose identifiers it bears, else those that match.
  of(topic, identifiers) {
    if (identifiers !== undefined) {
      const ids = [identifiers].flat();
      const named = this.all.filter((s) => ids.includes(s.identifier));
      if (named.length) return named;
    }
    let found = this.#cache.get(topic);
    if (!found) {
      found = this.all.filter((s) => matches(s.filter, topic));
      if (this.#cache.size >= remembered) this.#cache.clear();
      this.#cache.set(topic, found);
    }
    return found;
  }

  // shows tells whether a message of these subscriptions is to be seen.
  shows(subscriptions) {
    return subscriptions.length === 0 || subscriptions.some((s) => s.shown);
  }

  get someHidden() { return this.all.some((s) => !s.shown); }

  draw() {
    const held = this.#list.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    this.#list.replaceChildren(...this.all.map((s) => this.#row(s)));
    if (this.all.length === 0) this.#list.append(el("li", { class: "empty soft" }, t("subscriptions.empty")));
    this.tell("draw");
    if (held) (this.#list.querySelector(`[data-key="${CSS.escape(held)}"]`) ?? byId("subscribe-filter")).focus();
  }

  // counts shows how many messages came, without making rows anew.
  counts() {
    for (const s of this.all) if (s.counter) s.counter.textContent = s.count ? s.count.toLocaleString() : "";
  }

  #row(s) {
    const version = this.#client.version || 5;
    s.key ??= `sub${s.colour}-${this.all.indexOf(s)}-${s.filter}`;
    s.counter = el("span", { class: "count" }, s.count ? s.count.toLocaleString() : "");
    const toggle = el("button", { type: "button", class: "sub-toggle", "aria-pressed": String(s.shown), dataset: { key: s.key }, title: t(s.shown ? "subscription.hide" : "subscription.show"),
      onclick: () => {
        s.shown = !s.shown;
        this.draw();
        this.tell("hide");
      } }, el("span", { class: `dye dye-${s.colour}` }), el("span", { class: "code sub-filter" }, s.filter), s.counter);
    const words = el("span", { class: "sub-state" });
    const more = [];
    if (version === 5) {
      if (s.nl) more.push(t("subscription.nl"));
      if (s.rap) more.push(t("subscription.rap"));
      if (s.rh) more.push(t(["", "subscription.rh1", "subscription.rh2"][s.rh]));
      if (s.identifier) more.push(t("subscription.identifier", { n: s.identifier }));
    } else if (s.nl || s.rap || s.rh || s.identifier) more.push(t("subscription.only5"));
    if (s.state === "granted") words.append(t(s.code < s.qos ? "subscription.granted_less" : "subscription.granted", { qos: s.code, asked: s.qos }));
    else if (s.state === "refused") {
      const reason = reasonOf(version, "suback", s.code);
      words.append(icon("failed"), el("span", {}, t("subscription.refused", { name: reason.name, code: coded(s.code) }), s.reason ? ` “${s.reason}”` : "", " ", reason.text));
    } else if (s.state === "failed") words.append(icon("failed"), t("subscription.failed", { error: s.reason }));
    else if (s.state === "asked") words.append(t("subscription.asked"));
    else words.append(t("subscription.waiting", { qos: s.qos }));
    if (more.length) words.append(" · " + more.join(" · "));
    return el("li", { class: `sub is-${s.state}` + (s.shown ? "" : " is-off") }, toggle, words,
      button("trash", t("subscription.remove", { filter: s.filter }), () => this.remove(s), { shape: "ghost square", bare: true, dataset: { key: `remove ${s.key}` } }));
  }
}

