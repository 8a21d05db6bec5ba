// Variables in what is published: {{timestamp}}, {{iso}}, {{counter}}, {{uuid}}, {{random}} and {{random:from:to}}.
const known = /\{\{(timestamp|iso|counter|uuid|random)(?::(-?\d+(?:\.\d+)?):(-?\d+(?:\.\d+)?))?\}\}/g;

// uuid works on pages over plain HTTP too, where crypto.randomUUID is missing.
function uuid() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function random(from, to) {
  if (from === undefined) return String(Math.random());
  const digits = Math.max(...[from, to].map((s) => (s.split(".")[1] ?? "").length));
  const [low, high] = [Number(from), Number(to)].sort((a, b) => a - b);
  // Whole numbers include both ends.
  return digits ? (low + Math.random() * (high - low)).toFixed(digits) : String(low + Math.floor(Math.random() * (high - low + 1)));
}

// has tells whether a text has variables.
export const has = (text) => text.search(known) >= 0;

// fill puts values in their places; count is the number of the message, from 1.
export function fill(text, count, now = Date.now()) {
  return text.replace(known, (whole, name, from, to) => {
    if (name !== "random" && from !== undefined) return whole;
    switch (name) {
      case "timestamp": return String(now);
      case "iso": return new Date(now).toISOString();
      case "counter": return String(count);
      case "uuid": return uuid();
    }
    return random(from, to);
  });
}
