// CBOR (RFC 8949).
import { deepest, Malformed, mapOf, Reader, single, Tagged } from "./reader.js";

const stop = Symbol("break");

export function cbor(bytes) {
  const r = new Reader(bytes);
  const value = item(r, 0);
  if (value === stop || r.left) throw new Malformed("more bytes than one value");
  return value;
}

function argument(r, info) {
  switch (info) {
    case 24: return r.u8();
    case 25: return r.u16();
    case 26: return r.u32();
    case 27: return r.u64();
    case 31: return null; // of unknown length
  }
  if (info > 27) throw new Malformed("reserved length");
  return info;
}

function item(r, depth) {
  if (depth > deepest) throw new Malformed("too deep");
  const first = r.u8();
  const major = first >> 5;
  const n = major === 7 ? null : argument(r, first & 31);
  if (n === null && (major < 2 || major === 6)) throw new Malformed("no length");
  switch (major) {
    case 0: return n;
    case 1: return typeof n === "bigint" ? -1n - n : -1 - n;
    case 2: return n === null ? join(r, depth, Uint8Array) : r.take(n);
    case 3: return n === null ? join(r, depth, String) : r.text(n);
    case 4: {
      const all = [];
      for (let i = 0; n === null || i < n; i++) {
        const value = item(r, depth + 1);
        if (value === stop) {
          if (n === null) break;
          throw new Malformed("break");
        }
        all.push(value);
      }
      return all;
    }
    case 5: {
      const pairs = [];
      for (let i = 0; n === null || i < n; i++) {
        const key = item(r, depth + 1);
        if (key === stop) {
          if (n === null) break;
          throw new Malformed("break");
        }
        pairs.push([key, value(r, depth)]);
      }
      return mapOf(pairs);
    }
    case 6: return tagged(n, value(r, depth));
  }
  return simple(r, first & 31);
}

function value(r, depth) {
  const v = item(r, depth + 1);
  if (v === stop) throw new Malformed("break");
  return v;
}

function join(r, depth, kind) {
  const parts = [];
  for (;;) {
    const part = item(r, depth + 1);
    if (part === stop) break;
    if (kind === String ? typeof part !== "string" : !(part instanceof Uint8Array)) throw new Malformed("a part of another kind");
    parts.push(part);
  }
  if (kind === String) return parts.join("");
  const all = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function simple(r, info) {
  switch (info) {
    case 20: return false;
    case 21: return true;
    case 22: return null;
    case 23: return undefined;
    case 24: {
      const n = r.u8();
      if (n < 32) throw new Malformed("simple value");
      return new Tagged(`simple(${n})`, null);
    }
    case 25: return half(r.u16());
    case 26: return r.f32();
    case 27: return r.f64();
    case 31: return stop;
  }
  if (info > 27) throw new Malformed("reserved");
  return new Tagged(`simple(${info})`, null);
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return single(sign * (1 + fraction / 1024) * 2 ** (exponent - 15));
}

// tagged gives the tags of RFC 8949 3.4 their meaning, and leaves others as they are.
function tagged(tag, value) {
  if (tag === 0 && typeof value === "string") return new Tagged("time", value);
  if (tag === 1 && typeof value === "number") return new Tagged("time", new Date(value * 1000).toString() === "Invalid Date" ? value : new Date(value * 1000).toISOString());
  if ((tag === 2 || tag === 3) && value instanceof Uint8Array && value.length <= 1024) {
    const n = value.reduce((sum, b) => sum * 256n + BigInt(b), 0n);
    return tag === 2 ? n : -1n - n;
  }
  return new Tagged(tag === 55799 ? "cbor" : tag, value);
}
