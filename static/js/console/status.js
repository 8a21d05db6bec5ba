// What the connection does, in words: the status line, the attempts, and why it ended.
import { findings } from "./browser.js";
import { button, byId, clock, duration, el, elapsed, icon } from "./dom.js";
import { between, t } from "./words.js";

const remembered = 30;

export class Status {
  #client;
  #diagnose;
  #line = byId("console-status");
  #problem = byId("console-problem");
  #attempts = byId("attempts");
  #until = 0;
  #unexplained = []; // where it stands that a connection broke off without a reason

  // diagnose(url) starts a run on the same target.
  constructor(client, diagnose) {
    this.#client = client;
    this.#diagnose = diagnose;
    client.on("state", (state, detail) => this.#state(state, detail));
    setInterval(() => this.#tick(), 250);
    this.#say("idle", t("status.idle"));
  }

  #say(state, text, more) {
    byId("console").dataset.state = state;
    const symbol = { idle: "skipped", connecting: "running", connected: "passed", waiting: "time", ended: "failed" }[state];
    const tone = { idle: "is-waiting", connecting: "is-running", connected: "is-passed", waiting: "is-warned", ended: "is-failed" }[state];
    this.#line.className = `console-status ${tone}`;
    this.#line.replaceChildren(icon(symbol), el("span", {}, text), ...(more ? [el("span", { class: "console-clock", "aria-hidden": "true" }, more)] : []));
  }

  #state(state, detail = {}) {
    byId("disconnect").hidden = state === "idle" || state === "ended";
    byId("retry-now").hidden = state !== "waiting" && state !== "ended";
    this.#until = 0;
    const { settings, version } = this.#client;
    const protocol = { 3: "MQTT 3.1", 4: "MQTT 3.1.1", 5: "MQTT 5" }[version];
    switch (state) {
      case "idle":
        this.#say("idle", t("status.idle"));
        this.#problem.replaceChildren();
        break;
      case "connecting":
        this.#say("connecting", detail.attempt > 1 ? t("status.retrying", { n: detail.attempt }) : t("status.connecting"));
        this.#attempt("running", detail.attempt > 1 ? t("attempt.retry", { n: detail.attempt, protocol }) : t("attempt.first", { protocol }));
        break;
      case "connected": {
        this.#say("connected", t(settings.way === "relay" ? "status.connected" : "status.connected_direct", { protocol }), " ");
        const { properties = {}, sessionPresent } = detail.connack;
        const facts = [t("attempt.connected", { client: properties.assignedClientIdentifier ?? settings.target.client_id })];
        if (sessionPresent) facts.push(t("attempt.resumed"));
        if (properties.serverKeepAlive !== undefined) facts.push(t("attempt.keep_alive", { n: properties.serverKeepAlive }));
        if (properties.maximumQoS !== undefined && properties.maximumQoS < 2) facts.push(t("attempt.maximum_qos", { n: properties.maximumQoS }));
        this.#attempt("passed", facts.join(between));
        this.#problem.replaceChildren();
        byId("connect-card").open = false;
        break;
      }
      case "waiting":
        if (detail.fallback) {
          this.#attempt("warned", t("attempt.fallback", { reason: detail.end.text }));
          return;
        }
        this.#until = detail.until;
        this.#say("waiting", t("status.waiting", { n: detail.attempt }), " ");
        this.#ended(detail.end, this.#attempt("warned", t("attempt.waiting", { reason: detail.end.text, wait: duration(detail.wait), n: detail.attempt })), true);
        break;
      case "ended":
        this.#say("ended", t(detail.was ? "status.ended" : "status.failed"));
        this.#ended(detail.end, this.#attempt("failed", detail.end.text), false);
        byId("connect-card").open = true;
        break;
    }
  }

  // learn adds what the server saw to a relayed connection that ended without a word: whoever takes no bytes any more gets no
  // close frame either.
  learn(text) {
    for (const place of this.#unexplained.splice(0)) place.append(place.tagName === "DIV" ? el("p", {}, text) : ` ${text}`);
  }

  #tick() {
    const clock = this.#line.querySelector(".console-clock");
    if (!clock) return;
    if (this.#until) clock.textContent = duration(Math.max(0, this.#until - Date.now()));
    else if (this.#client.connected) clock.textContent = elapsed(Date.now() - this.#client.since);
  }

  #attempt(tone, text) {
    this.#attempts.hidden = false;
    const list = this.#attempts.querySelector("ol");
    list.append(el("li", { class: `is-${tone}` }, el("span", { class: "attempt-mark" }, icon(tone)), el("span", { class: "row-time" }, clock(Date.now())), el("span", {}, text)));
    while (list.children.length > remembered) list.firstChild.remove();
    list.scrollTop = list.scrollHeight;
    return list.lastChild.lastChild;
  }

  // #ended explains an end below the status, and remembers where more can be said of it. line is that of the attempt.
  #ended(end, line, again) {
    const words = this.#explain(end, again);
    this.#unexplained = end.kind === "lost" && this.#client.settings.way === "relay" ? [line, words] : [];
  }

  // #explain shows why it ended, and what can be done. It returns the element of the words.
  #explain(end, again) {
    const words = el("div", { class: "problem-words" }, el("p", { class: "problems-title" }, end.text));
    const add = (text) => words.append(el("p", {}, text));
    if (end.more) add(end.more);
    if (end.said) add(t("end.said", { text: end.said }));
    if (end.server) add(t("end.server_reference", { server: end.server }));
    if (end.code === 0x8e) add(t("end.taken_over"));
    if (!again && end.hopeless && this.#client.settings.mqtt.reconnect) add(t("end.no_retry"));
    const acts = el("div", { class: "problem-acts" });
    const { way, at, target } = this.#client.settings;
    if (end.kind !== "server") acts.append(button("logo", t(way === "direct" ? "end.diagnose_direct" : "end.diagnose"), () => this.#diagnose(), { shape: "primary" }));
    this.#problem.replaceChildren(el("div", { class: "problems", role: "alert" }, icon("warned"), words, acts));
    if (end.probe && way === "direct") this.#probe(words, at?.url ?? target.url);
    return words;
  }

  async #probe(words, url) {
    const line = el("p", { class: "soft" }, t("browser.asking"));
    words.append(line);
    const found = await findings(url);
    line.className = found.sure ? "problem-sure" : "";
    line.replaceChildren(found.text);
    if (found.visit) words.append(el("p", {}, el("a", { href: found.visit, target: "_blank", rel: "noopener noreferrer" }, t("browser.visit", { url: found.visit }))));
  }
}
