// Decoded values as a tree to fold and unfold, and as a flat list of paths.
import { el } from "./dom.js";
import { Tagged } from "./decode/reader.js";
import { n, t } from "./words.js";

const openDepth = 3;
const step = 100; // children that are shown at a time
const longText = 2000;

const hexOf = (bytes) => Array.from(bytes.subarray(0, 64), (b) => b.toString(16).padStart(2, "0")).join(" ") + (bytes.length > 64 ? " …" : "");

// entriesOf are the children of a value; null: it has none.
function entriesOf(value) {
  if (value instanceof Tagged) return value.value !== null && typeof value.value === "object" && !(value.value instanceof Uint8Array) ? entriesOf(value.value) : null;
  if (value instanceof Map) return [...value].map(([key, v]) => [leaf(key), v]);
  if (Array.isArray(value)) return value.map((v, i) => [i, v]);
  if (value !== null && typeof value === "object" && !(value instanceof Uint8Array)) return Object.entries(value);
  return null;
}

// leaf is a value without children, as text.
export function leaf(value) {
  if (value instanceof Tagged) return value.tag === "time" ? leaf(value.value) : `${value.tag}(${leaf(value.value)})`;
  if (value instanceof Uint8Array) return hexOf(value);
  if (typeof value === "string") return value;
  if (value !== null && typeof value === "object") return JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v));
  return String(value);
}

const kindOf = (value) => (value === null || value === undefined ? "null" : value instanceof Uint8Array ? "bytes" : value instanceof Tagged ? "tag" : typeof value);

function written(value) {
  const kind = kindOf(value);
  let text = kind === "string" ? JSON.stringify(value) : leaf(value);
  if (text.length > longText) text = text.slice(0, longText) + "…";
  return el("span", { class: `value is-${kind}` }, text);
}

// tree is the element of a value.
export function tree(value) {
  const home = el("div", { class: "values code" });
  home.append(node(null, value, 0));
  return home;
}

function node(key, value, depth) {
  const name = key === null ? null : el("span", { class: typeof key === "number" ? "value-index" : "value-key" }, typeof key === "number" ? `${key}` : key, ": ");
  const children = entriesOf(value);
  if (!children) return el("div", { class: "value-line" }, name, written(value));
  const brackets = Array.isArray(value) ? "[]" : "{}";
  const tag = value instanceof Tagged ? `${value.tag} ` : "";
  if (!children.length) return el("div", { class: "value-line" }, name, el("span", { class: "value" }, tag + brackets));
  const fold = el("details", { class: "value-fold" }, el("summary", {}, name, el("span", { class: "value-size" }, `${tag}${brackets[0]} ${n("values.children", children.length)} ${brackets[1]}`)));
  let drawn = 0;
  const more = () => {
    const body = fold.querySelector(":scope > .value-body") ?? fold.appendChild(el("div", { class: "value-body" }));
    body.querySelector(":scope > .link")?.remove();
    for (const [k, v] of children.slice(drawn, drawn + step)) body.append(node(k, v, depth + 1));
    drawn += step;
    if (drawn < children.length) body.append(el("button", { type: "button", class: "link", onclick: more }, n("values.more", children.length - drawn)));
  };
  fold.addEventListener("toggle", () => { if (fold.open && !drawn) more(); });
  if (depth < openDepth && children.length <= step) {
    fold.open = true;
    more();
  }
  return fold;
}

const mostPaths = 2000;

// flat lists the leaves of a value by their paths. Things of a list that have names go by them.
export function flat(value, path = "", all = new Map(), depth = 0) {
  if (all.size >= mostPaths || depth > 32) return all;
  const children = entriesOf(value);
  if (!children) {
    all.set(path, value instanceof Tagged ? leaf(value) : value);
    return all;
  }
  for (const [key, v] of children) {
    const named = typeof key === "number" && v !== null && typeof v === "object" && typeof v.name === "string" ? v.name : key;
    flat(v, typeof named === "number" ? `${path}[${named}]` : path ? `${path}.${named}` : String(named), all, depth + 1);
  }
  return all;
}

// differences lists what changed between two values: {path, kind, before, now}.
export function differences(before, now) {
  const a = flat(before);
  const b = flat(now);
  const all = [];
  for (const [path, value] of b) {
    if (!a.has(path)) all.push({ path, kind: "added", now: leaf(value) });
    else if (leaf(a.get(path)) !== leaf(value)) all.push({ path, kind: "changed", before: leaf(a.get(path)), now: leaf(value) });
  }
  for (const [path, value] of a) if (!b.has(path)) all.push({ path, kind: "removed", before: leaf(value) });
  return all;
}

// numbers are the leaves that can be plotted.
export function numbers(value) {
  const all = new Map();
  for (const [path, v] of flat(value)) {
    const x = typeof v === "boolean" ? Number(v) : typeof v === "bigint" ? Number(v) : v;
    if (typeof x === "number" && Number.isFinite(x)) all.set(path, x);
  }
  return all;
}

// nameOf is a path as people read it.
export const nameOf = (path) => path || t("values.itself");
