// The words of the page's language: the server writes them into the page.
const { words, catalogue, sections } = JSON.parse(document.getElementById("console-words").textContent);

// t is a text with its {places} filled in.
export function t(key, places) {
  const text = words[key] ?? key;
  return places ? text.replace(/\{(\w+)\}/g, (whole, name) => places[name] ?? whole) : text;
}

// n is a text that depends on a count.
export const n = (key, count, places) => t(`${key}.${count === 1 ? "one" : "other"}`, { n: count.toLocaleString(), ...places });

// between stands between two sentences.
export const between = document.documentElement.lang.startsWith("zh") ? "" : " ";

// places are the sections of the specifications by rule, for each version.
export const places = sections;

// said is a text of the catalogue; empty: there is none. Parts in [[…]] stay only where all their {places} are known.
export function said(key, places = {}) {
  const known = (name) => places[name] !== undefined && places[name] !== null && places[name] !== "";
  const fill = (text) => text.replace(/\{(\w+)\}/g, (_, name) => (known(name) ? places[name] : "–"));
  return fill((catalogue[key] ?? "").replace(/\[\[(.*?)\]\]/g, (_, part) => ([...part.matchAll(/\{(\w+)\}/g)].every(([, name]) => known(name)) ? part : "")));
}
