// The topic tree: what comes on which topic, how much of it, how often, and the last value.
import { button, byId, el, icon, Talker } from "./dom.js";
import { glance } from "./glance.js";
import { n, t } from "./words.js";

const most = 20_000; // topics and levels
const memory = 10; // seconds over which a rate is taken
const every = 500; // milliseconds between two pictures

class Node {
  children = null; // Map of names
  open = false;
  count = 0; // messages here and below
  own = 0; // messages here
  rate = 0; // messages a second when last counted
  counted = 0;
  last = null; // the newest message here
  retained = false;

  constructor(name, parent) {
    this.name = name;
    this.parent = parent;
    this.level = parent ? parent.level + 1 : 0;
    this.topic = parent?.parent ? `${parent.topic}/${name}` : name;
  }

  // hit counts one message; the rate fades with the time.
  hit(now) {
    this.count++;
    this.rate = this.rate * Math.exp((this.counted - now) / 1000 / memory) + 1 / memory;
    this.counted = now;
  }

  rateAt(now) { return this.rate * Math.exp((this.counted - now) / 1000 / memory); }
}

export class Tree extends Talker {
  #root = new Node("", null);
  #size = 0; // nodes, within the bound
  #topics = 0; // of them, those that had messages themselves
  #left = new Set(); // topics that found no place, up to a number
  #rows = [];
  #changed = true; // other rows than before
  #selected = null;
  #frame;
  #space;
  #height = 32;
  #drawing = 0;
  #search = "";
  #note = byId("topics-note");
  #detail = byId("topic");

  constructor(messages) {
    super();
    this.#space = el("div", { class: "list-space", role: "presentation" });
    this.#frame = el("div", { class: "list", role: "tree", id: "topic-tree", tabindex: "0", "aria-label": t("topics.tree"), hidden: true }, this.#space);
    byId("topics").append(this.#frame);
    this.#frame.addEventListener("scroll", () => this.#picture(), { passive: true });
    this.#frame.addEventListener("keydown", (event) => this.#key(event));
    this.#frame.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#picture()).observe(this.#frame);
    messages.on("add", (m) => { if (m.dir === "in") this.#add(m); }).on("clear", () => this.#clear());
    byId("topics-open").addEventListener("click", () => this.#unfold(this.#root, true));
    byId("topics-close").addEventListener("click", () => this.#unfold(this.#root, false));
    byId("topics-search").addEventListener("input", ({ target }) => {
      this.#search = target.value.trim().toLowerCase();
      this.#changed = true;
      this.#picture();
    });
    setInterval(() => {
      const count = this.#topics ? this.#topics.toLocaleString() : "";
      if (byId("count-topics").textContent !== count) byId("count-topics").textContent = count;
      if (!byId("view-topics").hidden) this.#picture();
    }, every);
  }

  // shown draws at once: the tab has come to the front.
  shown() { this.#picture(); }

  #clear() {
    this.#root = new Node("", null);
    this.#size = 0;
    this.#topics = 0;
    this.#left.clear();
    this.#select(null);
    this.#changed = true;
    this.#picture();
  }

  #add(m) {
    const now = m.at;
    let node = this.#root;
    node.hit(now);
    let from = 0;
    for (;;) {
      const slash = m.topic.indexOf("/", from);
      const name = slash < 0 ? m.topic.slice(from) : m.topic.slice(from, slash);
      let child = node.children?.get(name);
      if (!child) {
        if (this.#size >= most) {
          if (this.#left.size < most) this.#left.add(m.topic);
          return;
        }
        child = new Node(name, node);
        if (node.parent === null) child.topic = name;
        node.children ??= new Map();
        node.children.set(name, child);
        this.#size++;
        this.#changed = true;
      }
      node = child;
      node.hit(now);
      if (slash < 0) break;
      from = slash + 1;
    }
    if (node.own++ === 0) this.#topics++;
    node.last = m;
    if (m.retain) node.retained = m.payload.length > 0;
  }

  #unfold(node, on) {
    for (const child of node.children?.values() ?? []) {
      child.open = on;
      this.#unfold(child, on);
    }
    this.#changed = true;
    this.#picture();
  }

  #flat() {
    const rows = [];
    const search = this.#search;
    const walk = (node) => {
      const all = [...(node.children?.values() ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const child of all) {
        const at = rows.push(child);
        if (search) { // what matches, with the way to it
          const own = child.topic.toLowerCase().includes(search);
          walk(child);
          if (!own && rows.length === at) rows.pop();
        } else if (child.open) walk(child);
      }
    };
    walk(this.#root);
    return rows;
  }

  #picture() { this.#drawing ||= requestAnimationFrame(() => this.#draw()); }

  #draw() {
    this.#drawing = 0;
    if (this.#changed) {
      this.#rows = this.#flat();
      this.#changed = false;
    }
    const count = this.#rows.length;
    this.#frame.hidden = count === 0;
    byId("topics-empty").hidden = count > 0;
    this.#note.hidden = !this.#left.size;
    if (this.#left.size) this.#note.textContent = n("topics.left", this.#left.size, { most: most.toLocaleString() });
    if (count === 0) return;
    const style = getComputedStyle(this.#frame);
    this.#height = parseFloat(style.getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#space.style.height = `${count * this.#height}px`;
    const top = Math.floor(this.#frame.scrollTop / this.#height);
    const from = Math.max(0, top - 4);
    const to = Math.min(count, top + Math.ceil(this.#frame.clientHeight / this.#height) + 5);
    const now = Date.now();
    const rows = [];
    for (let i = from; i < to; i++) rows.push(this.#row(this.#rows[i], i, now));
    this.#space.replaceChildren(...rows);
    const chosen = this.#rows.indexOf(this.#selected);
    if (chosen >= from && chosen < to) this.#frame.setAttribute("aria-activedescendant", `topic-row-${chosen}`);
    else this.#frame.removeAttribute("aria-activedescendant");
    this.#show(now);
  }

  #row(node, i, now) {
    const folded = node.children?.size > 0;
    const open = folded && (node.open || Boolean(this.#search));
    const rate = node.rateAt(now);
    const row = el("div", { class: `row topic-row${node === this.#selected ? " is-chosen" : ""}`, role: "treeitem", id: `topic-row-${i}`, dataset: { index: i },
      "aria-level": node.level, "aria-expanded": folded ? String(open) : undefined, "aria-selected": String(node === this.#selected) },
      el("span", { class: `topic-name code${open ? " is-open" : ""}` }, folded ? icon("chevron") : el("span", { class: "topic-leaf" }), node.name === "" ? t("topics.empty_level") : node.name,
        node.retained && el("span", { class: "flag" }, t("messages.retained"))),
      el("span", { class: "row-text code" }, node.last ? glance(node.last) : ""),
      el("span", { class: "topic-rate" }, rate >= 0.05 ? t("topics.rate", { n: rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString() }) : ""),
      el("span", { class: "topic-count" }, node.count.toLocaleString()));
    row.style.transform = `translateY(${i * this.#height}px)`;
    row.style.setProperty("--level", Math.min(node.level, 12));
    return row;
  }

  #click(event) {
    const row = event.target.closest("[data-index]");
    if (!row) return;
    const node = this.#rows[Number(row.dataset.index)];
    if (node.children?.size && (node === this.#selected || event.target.closest(".icon"))) this.#toggle(node, !node.open);
    this.#select(node);
  }

  #toggle(node, open) {
    node.open = open;
    this.#rows = this.#flat(); // at once: the next key may follow before the next picture
    this.#picture();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#rows.indexOf(this.#selected);
    const node = this.#selected;
    let to = null;
    const page = Math.max(1, Math.floor(this.#frame.clientHeight / this.#height) - 1);
    switch (event.key) {
      case "ArrowDown": to = at + 1; break;
      case "ArrowUp": to = at - 1; break;
      case "PageDown": to = at + page; break;
      case "PageUp": to = at - page; break;
      case "Home": to = 0; break;
      case "End": to = this.#rows.length - 1; break;
      case "ArrowRight":
        if (node?.children?.size && !node.open) this.#toggle(node, true);
        else to = at + 1;
        break;
      case "ArrowLeft":
        if (node?.open && node.children) this.#toggle(node, false);
        else if (node?.parent?.parent) to = this.#rows.indexOf(node.parent);
        break;
      case "Enter": case " ":
        if (node?.children?.size) this.#toggle(node, !node.open);
        break;
      default: return;
    }
    event.preventDefault();
    if (to === null) return;
    to = Math.max(0, Math.min(this.#rows.length - 1, to));
    const top = to * this.#height;
    if (top < this.#frame.scrollTop) this.#frame.scrollTop = top;
    else if (top + this.#height > this.#frame.scrollTop + this.#frame.clientHeight) this.#frame.scrollTop = top + this.#height - this.#frame.clientHeight;
    this.#select(this.#rows[to]);
  }

  #select(node) {
    this.#selected = node;
    this.#detail.hidden = !node;
    this.#detail.replaceChildren();
    this.#picture();
  }

  // #show keeps the numbers of the chosen topic up to date, and makes its buttons once.
  #show(now) {
    const node = this.#selected;
    if (!node) return;
    if (!this.#detail.firstChild) {
      this.#detail.append(
        el("div", { class: "message-head" }, el("h3", { class: "code" }, node.topic || t("topics.empty_level")),
          button("failed", t("message.close"), () => this.#select(null), { shape: "ghost square", bare: true })),
        el("dl", { class: "facts" }), el("pre", { class: "payload", tabindex: "0", "aria-label": t("topics.last") }),
        el("div", { class: "message-acts" }, button("msg", t("topics.messages"), () => this.tell("open", node.topic)),
          button("chart", t("topics.newest"), () => this.tell("newest", node.topic)), button("send", t("topics.publish"), () => this.tell("publish", node.topic))));
    }
    const facts = [[t("topics.here"), node.own.toLocaleString()], [t("topics.below"), (node.count - node.own).toLocaleString()], [t("topics.rate_name"), t("topics.rate", { n: node.rateAt(now).toFixed(1) })],
      [t("topics.children"), String(node.children?.size ?? 0)]];
    this.#detail.querySelector("dl").replaceChildren(...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
    const pre = this.#detail.querySelector("pre");
    pre.hidden = !node.last;
    this.#detail.querySelectorAll(".message-acts button")[1].hidden = !node.last;
    if (node.last) {
      const value = glance(node.last);
      if (pre.textContent !== value) pre.textContent = value;
    }
  }
}
