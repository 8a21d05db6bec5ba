// Saved connections: kept in this browser, written to a file, read from files of this page and of other clients.
import { connection, read, stored, written } from "./connections.js";
import { button, byId, complain, el, icon, save, Talker } from "./dom.js";
import { place, take, values } from "./settings.js";
import { keep, recall } from "./shelf.js";
import { between, n, t } from "./words.js";

const largestFile = 32 << 20;

// Tells: "take" (connection) when the form was filled in from one.
export class Saved extends Talker {
  #all = stored(recall("connections", []));
  #subscriptions;
  #publisher;

  constructor(subscriptions, publisher) {
    super();
    this.#subscriptions = subscriptions;
    this.#publisher = publisher;
    byId("saved-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    byId("saved-export").addEventListener("click", () => this.#export());
    byId("saved-file").addEventListener("change", ({ target }) => {
      this.#import(target.files[0]);
      target.value = "";
    });
    this.#draw();
  }

  get #secrets() { return byId("saved-secrets").checked; }

  #say(...texts) { byId("saved-note").textContent = texts.filter(Boolean).join(between); }

  // #put adds connections; one of the same name takes the other's place. It returns what to say where the browser keeps nothing.
  #put(fresh) {
    const names = new Set(fresh.map((c) => c.name));
    this.#all = [...this.#all.filter((c) => !names.has(c.name)), ...fresh].sort((a, b) => a.name.localeCompare(b.name));
    this.#draw();
    return keep("connections", this.#all) ? "" : t("saved.not_kept");
  }

  #save() {
    const all = values();
    const at = place(all["target.url"]);
    if (!at) {
      const field = byId("target.url");
      complain(field, t(all["target.url"].trim() ? "form.url" : "form.url_missing"));
      field.focus();
      return;
    }
    const name = byId("saved-name").value.trim() || at.url.replace(/\?.*$/s, "");
    const known = this.#all.some((c) => c.name === name);
    const made = connection(name, all, this.#subscriptions.all, this.#secrets);
    const trouble = this.#put([made]);
    this.#say(trouble || t(known ? "saved.replaced" : "saved.saved", { name }));
    byId("saved-name").value = "";
  }

  #export() {
    save("mqttdoctor-console.json", "application/json", written(this.#all, this.#publisher.kept));
    this.#say(t("saved.exported"));
  }

  async #import(file) {
    if (!file) return;
    try {
      if (file.size > largestFile) throw new Error("saved.large");
      const found = read(await file.text(), this.#secrets);
      const trouble = this.#put(distinct(found.connections));
      const messages = this.#publisher.import(found.messages);
      this.#say(n("saved.imported", found.connections.length, { from: found.from }), messages ? n("saved.imported_messages", messages) : "",
        this.#secrets ? "" : t("saved.without_secrets"), found.files ? t("saved.files") : "", trouble);
    } catch (error) {
      this.#say(error.message.startsWith("saved.") ? t(error.message) : t("saved.unread", { error: error.message }));
    }
  }

  #take(c) {
    take(c.values);
    byId("saved-name").value = c.name;
    byId("connect-summary").textContent = "";
    this.#say(t(c.secrets ? "saved.taken" : "saved.taken_bare", { name: c.name }));
    this.tell("take", c);
    byId("connect-now").focus();
  }

  #draw() {
    byId("saved-count").textContent = this.#all.length || "";
    byId("saved-list").replaceChildren(...this.#all.map((c) => el("li", { class: "kept" },
      el("button", { type: "button", class: "kept-take", onclick: () => this.#take(c) },
        el("span", { class: "kept-topic" }, c.name), el("span", { class: "code kept-payload" }, c.values["target.url"] ?? "")),
      c.secrets && el("span", { class: "hint" }, icon("sec"), el("span", {}, t("saved.has_secrets"))),
      button("trash", t("saved.forget", { name: c.name }), () => {
        this.#all = this.#all.filter((other) => other !== c);
        this.#say(keep("connections", this.#all) ? t("saved.forgotten", { name: c.name }) : t("saved.not_kept"));
        this.#draw();
      }, { shape: "ghost square", bare: true }))), ...(this.#all.length ? [] : [el("li", { class: "hint" }, t("saved.none"))]));
  }
}

// distinct numbers the connections of a file that share a name, so that none takes another's place.
function distinct(connections) {
  const names = new Set();
  return connections.map((c) => {
    let name = c.name;
    for (let i = 2; names.has(name); i++) name = `${c.name} (${i})`;
    names.add(name);
    return { ...c, name };
  });
}
