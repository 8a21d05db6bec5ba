// Attaches the packets to a report, which everybody who has its link can read: without payloads, unless they are chosen.
import { byId, complain, el } from "./dom.js";
import { between, n, t } from "./words.js";

// What a report keeps (the newest), and how much of it goes over the wire: payloads are long.
const most = 1000;
const mostBytes = 2 << 20;

const api = "/api/v1/runs";
const run = /(?:^|\/)([a-z2-7]{34})(?:[./?#]|$)/;

// bare leaves out what is in payloads: also what a property, the will or bytes of no packet hold of them.
function bare(value) {
  if (Array.isArray(value)) return value.map(bare);
  if (!value || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !["payload", "correlation_data", "bytes"].includes(name)).map(([name, v]) => [name, bare(v)]));
}

// body makes what is sent of a trace {packets, lost}: the newest packets, as many as fit.
export function body({ packets, lost }, target, payloads) {
  const kept = [];
  let bytes = 0;
  for (let i = packets.length - 1; i >= 0 && kept.length < most; i--) {
    const { explanation, ...packet } = packets[i];
    const text = JSON.stringify(payloads ? packet : { ...packet, fields: bare(packet.fields) });
    if ((bytes += text.length) > mostBytes) break;
    kept.unshift(text);
  }
  const head = JSON.stringify({ schema: "mqttdoctor.trace/1", exported_at: new Date().toISOString(), target: { url: target }, lost: lost + packets.length - kept.length });
  return `${head.slice(0, -1)},"packets":[${kept.join(",")}]}`;
}

export class Attacher {
  #view;
  #target;
  #dialog = byId("attach");
  #note = byId("attach-note");

  // target() is the URL that the packets went to.
  constructor(view, target) {
    this.#view = view;
    this.#target = target;
    byId("packets-attach").addEventListener("click", () => this.#open());
    byId("attach-close").addEventListener("click", () => this.#dialog.close());
    byId("attach-mine").addEventListener("change", () => this.#chosen());
    byId("attach-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  async #open() {
    const { packets } = this.#view.trace();
    complain(byId("attach-link"));
    this.#say(packets.length ? "" : t("attach.none"));
    byId("attach-now").disabled = packets.length === 0;
    this.#dialog.showModal();
    await this.#list();
  }

  // #list fills in the reports that this browser made.
  async #list() {
    const lang = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
    const response = await fetch(`${api}?lang=${lang}`).catch(() => null);
    const { runs = [] } = (response?.ok && (await response.json().catch(() => null))) || {};
    const select = byId("attach-mine");
    const before = select.value || byId("console").dataset.run;
    const at = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    select.replaceChildren(...runs.map((r) => el("option", { value: r.id }, `${at.format(new Date(r.created_at))} · ${r.words} · ${r.target}`)),
      el("option", { value: "" }, t("attach.other")));
    select.value = runs.some((r) => r.id === before) ? before : runs[0]?.id ?? "";
    this.#chosen();
  }

  #chosen() { byId("attach-by-link").hidden = byId("attach-mine").value !== ""; }

  #say(text, link) {
    this.#note.replaceChildren(text, ...(link ? [between, el("a", { href: link }, t("attach.open"))] : []));
    this.#note.hidden = !text;
  }

  async #send() {
    const field = byId("attach-link");
    const id = byId("attach-mine").value || run.exec(field.value.trim())?.[1];
    complain(field, id ? "" : t("attach.no_link"));
    if (!id) {
      field.focus();
      return;
    }
    const payloads = byId("attach-payloads").checked;
    const token = byId("attach-token").value.trim();
    const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
    byId("attach-now").setAttribute("aria-busy", "true");
    const response = await fetch(`${api}/${id}/trace?lang=${document.documentElement.lang.startsWith("zh") ? "zh" : "en"}${payloads ? "&payloads=1" : ""}`,
      { method: "PUT", headers, body: body(this.#view.trace(), this.#target(), payloads) }).catch(() => null);
    const answer = await response?.json().catch(() => null);
    byId("attach-now").setAttribute("aria-busy", "false");
    if (response?.ok) {
      byId("attach-token").value = "";
      this.#say(n("attach.done", answer.packets), `/runs/${id}#trace`);
      return;
    }
    // Made by a program, or by another browser: then its delete token shows that it is one's own.
    if (response?.status === 401 || response?.status === 403) byId("attach-by-token").hidden = false;
    this.#say(answer?.error?.message ?? t("relay.unreachable", { status: response?.status ?? 0 }));
  }
}
