// Elements, without markup in strings: what comes from brokers is text, whatever it looks like.
const frame = document.getElementById("console");

// el makes an element. Attributes: on… are listeners, class and dataset as one expects, a false or missing value leaves the
// attribute out.
export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (key === "dataset") Object.assign(e.dataset, value);
    else if (key === "value" || key === "checked") e[key] = value;
    else e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== false));
  return e;
}

export const byId = (id) => document.getElementById(id);

// icon is a symbol of the sprite, for the eye alone.
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", frame.dataset.sprite + "#" + name);
  svg.append(use);
  return svg;
}

// button with an icon and a word; a button without a visible word has it as its name.
export function button(symbol, word, onclick, { shape = "plain", bare = false, ...more } = {}) {
  return el("button", { type: "button", class: shape, onclick, title: bare ? word : undefined, ...more },
    symbol && icon(symbol), el("span", { class: bare ? "sr-only" : undefined }, word));
}

const two = (n) => String(n).padStart(2, "0");

// clock is a time of day in the reader's zone, to the millisecond.
export function clock(ms) {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, "0")}`;
}

// size words a number of bytes.
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

// duration words milliseconds.
export function duration(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
  const s = Math.round(ms / 1000);
  return `${Math.floor(s / 60)} min ${s % 60} s`;
}

// elapsed words a time that goes on, in whole seconds.
export function elapsed(ms) {
  const s = Math.floor(ms / 1000);
  const parts = [Math.floor(s / 60) % 60, s % 60].map(two);
  return (s >= 3600 ? [Math.floor(s / 3600), ...parts] : parts).join(":");
}

// save hands bytes or text to the reader as a file.
export function save(name, type, ...parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

// copy puts text on the clipboard, also on pages over plain HTTP, which have no clipboard object.
export async function copy(text) {
  if (navigator.clipboard && isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = el("textarea", { class: "sr-only", value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// complain shows what is wrong below a field, or that nothing is.
export function complain(field, text) {
  const message = byId(`error-${field.id || field.name}`) ?? byId(field.getAttribute("aria-describedby")?.split(" ").find((id) => id.endsWith("-error")));
  if (text) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  if (!message) return;
  message.hidden = !text;
  message.replaceChildren(...(text ? [icon("warned"), el("span", {}, text)] : []));
}

// Listeners by name, for parts that tell each other what happens.
export class Talker {
  #listeners = new Map();

  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, []);
    this.#listeners.get(name).push(listener);
    return this;
  }

  tell(name, ...args) {
    for (const listener of this.#listeners.get(name) ?? []) listener(...args);
  }
}
