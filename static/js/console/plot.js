// Plots the numbers of a topic as they come, with the same as a table.
import { clock, el } from "./dom.js";
import { guess } from "./decode/guess.js";
import { text } from "./payload.js";
import { nameOf, numbers } from "./values.js";
import { n, t } from "./words.js";

const most = 2000; // points of a plot
const every = 400; // milliseconds between two pictures
const first = 4; // fields that are drawn unasked

let library;
function load() {
  const { plotLibrary, plotStyle } = document.getElementById("console").dataset;
  library ??= import(plotLibrary).then((m) => m.default);
  if (!document.querySelector(`link[href="${plotStyle}"]`)) document.head.append(el("link", { rel: "stylesheet", href: plotStyle }));
  return library;
}

// numbersOf are the numbers of a message by path. A payload that is a number as text is one too.
export function numbersOf(m) {
  if (!m.numbers) {
    m.numbers = new Map();
    const { form, value } = guess(m.payload, { topic: m.topic, contentType: m.properties?.contentType });
    if (form === "text") {
      const plain = (text(m.payload) ?? "").trim().replace(/\s*[°%]?[A-Za-z°%/]{0,6}$/, "");
      if (plain !== "" && Number.isFinite(Number(plain))) m.numbers.set("", Number(plain));
    } else if (value !== undefined) m.numbers = numbers(value);
  }
  return m.numbers;
}

function colours() {
  const css = getComputedStyle(document.getElementById("console"));
  const value = (name) => css.getPropertyValue(name).trim();
  return { text: value("--text-soft"), grid: value("--line"), series: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => value(`--dye-${i}`)) };
}

const dashes = [[], [6, 4], [2, 3], [10, 4, 2, 4]];

// Plot draws the messages of a topic from one on backwards, and goes on with those that come.
export class Plot {
  element = el("div", { class: "message-plot" });
  #messages;
  #topic;
  #dir;
  #chosen = null; // paths
  #plot = null;
  #timer = 0;
  #drawn = null;
  #fields = el("div", { class: "chips plot-fields", role: "group", "aria-label": t("plot.fields") });
  #canvas = el("div", { class: "plot", role: "img" });
  #table = el("div", { class: "table-scroll", role: "region", tabindex: "0", "aria-label": t("plot.table") });

  constructor(messages, m) {
    this.#messages = messages;
    this.#topic = m.topic;
    this.#dir = m.dir;
    const all = [...numbersOf(m).keys()];
    this.#chosen = new Set(all.filter((path) => !/time|seq|\bts\b/i.test(path)).slice(0, first));
    if (!this.#chosen.size) this.#chosen = new Set(all.slice(0, 1));
    for (const path of all.slice(0, 40)) {
      this.#fields.append(el("label", { class: "chip" }, el("input", { type: "checkbox", checked: this.#chosen.has(path), onchange: ({ target }) => {
        if (target.checked) this.#chosen.add(path);
        else this.#chosen.delete(path);
        this.#drawn = null;
        this.draw();
      } }), el("span", {}, nameOf(path))));
    }
    this.element.append(this.#fields, this.#canvas, this.#table);
    this.#timer = setInterval(() => { if (!document.hidden) this.draw(); }, every);
    this.draw();
  }

  end() {
    clearInterval(this.#timer);
    this.#plot?.destroy();
    this.#plot = null;
  }

  // #history is what is still kept of the topic, oldest first.
  #history() {
    const all = [];
    for (let m = this.#messages.newest(this.#topic, this.#dir); m && all.length < most; m = this.#messages.before(m)) all.push(m);
    return all.reverse();
  }

  async draw() {
    const newest = this.#messages.newest(this.#topic, this.#dir);
    if (newest === this.#drawn) return;
    this.#drawn = newest;
    const history = this.#history().filter((m) => numbersOf(m).size);
    const paths = [...this.#chosen];
    const data = [history.map((m) => m.at / 1000), ...paths.map((path) => history.map((m) => numbersOf(m).get(path) ?? null))];
    this.#tabulate(paths, data);
    const Library = await load();
    if (!this.element.isConnected) return;
    if (this.#plot && this.#plot.paths === paths.join("\n")) {
      this.#plot.setData(data);
      return;
    }
    this.#plot?.destroy();
    const c = colours();
    const px = 0.6875 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    const axis = { stroke: c.text, grid: { stroke: c.grid, width: 1 }, ticks: { stroke: c.grid, width: 1 }, font: `${px}px system-ui` };
    this.#plot = new Library({
      width: this.#canvas.clientWidth || 300, height: 180,
      // Times as everywhere in the page; the spread decides how fine.
      axes: [{ ...axis, space: 8 * px, values: (_, times) => times.map((s) => clock(1000 * s).slice(0, times.length > 1 && times[1] - times[0] < 1 ? undefined : 8)) }, { ...axis, size: 52 }],
      series: [{ label: t("plot.time") }, ...paths.map((path, i) => ({ label: nameOf(path), stroke: c.series[i % 8], width: 2, dash: dashes[Math.floor(i / 8) % 4], spanGaps: true, points: { size: 4 } }))],
      legend: { show: false },
      cursor: { drag: { x: true, y: false } },
    }, data, this.#canvas);
    this.#plot.paths = paths.join("\n");
    this.#canvas.setAttribute("aria-label", t("plot.label", { topic: this.#topic, fields: paths.map(nameOf).join(", "), n: history.length }));
  }

  #tabulate(paths, [times, ...columns]) {
    const say = (x) => (x === undefined || x === null ? "–" : Number(x.toPrecision(6)).toString());
    const rows = paths.map((path, i) => {
      const values = columns[i].filter((x) => x !== null);
      const sum = values.reduce((a, b) => a + b, 0);
      return el("tr", {}, el("th", { scope: "row" }, el("span", { class: `plot-key dye-${i % 8}` }), nameOf(path)), ...[values.at(-1), values.length ? Math.min(...values) : undefined, values.length ? Math.max(...values) : undefined, values.length ? sum / values.length : undefined]
        .map((x) => el("td", { class: "number" }, say(x))));
    });
    this.#table.replaceChildren(el("table", { class: "data" },
      el("thead", {}, el("tr", {}, ...[n("plot.field", times.length), t("plot.last"), t("plot.least"), t("plot.most"), t("plot.mean")].map((h) => el("th", { scope: "col" }, h)))),
      el("tbody", {}, ...rows)));
  }
}
