// MessagePack (the specification of msgpack/msgpack on GitHub).
import { deepest, Malformed, mapOf, Reader, Tagged } from "./reader.js";

export function msgpack(bytes) {
  const r = new Reader(bytes);
  const value = item(r, 0);
  if (r.left) throw new Malformed("more bytes than one value");
  return value;
}

function item(r, depth) {
  if (depth > deepest) throw new Malformed("too deep");
  const b = r.u8();
  if (b < 0x80) return b;
  if (b < 0x90) return map(r, b & 15, depth);
  if (b < 0xa0) return array(r, b & 15, depth);
  if (b < 0xc0) return r.text(b & 31);
  if (b >= 0xe0) return b - 256;
  switch (b) {
    case 0xc0: return null;
    case 0xc2: return false;
    case 0xc3: return true;
    case 0xc4: return r.take(r.u8());
    case 0xc5: return r.take(r.u16());
    case 0xc6: return r.take(r.u32());
    case 0xc7: return extension(r, r.u8());
    case 0xc8: return extension(r, r.u16());
    case 0xc9: return extension(r, r.u32());
    case 0xca: return r.f32();
    case 0xcb: return r.f64();
    case 0xcc: return r.u8();
    case 0xcd: return r.u16();
    case 0xce: return r.u32();
    case 0xcf: return r.u64();
    case 0xd0: return r.i8();
    case 0xd1: return r.i16();
    case 0xd2: return r.i32();
    case 0xd3: return r.i64();
    case 0xd4: return extension(r, 1);
    case 0xd5: return extension(r, 2);
    case 0xd6: return extension(r, 4);
    case 0xd7: return extension(r, 8);
    case 0xd8: return extension(r, 16);
    case 0xd9: return r.text(r.u8());
    case 0xda: return r.text(r.u16());
    case 0xdb: return r.text(r.u32());
    case 0xdc: return array(r, r.u16(), depth);
    case 0xdd: return array(r, r.u32(), depth);
    case 0xde: return map(r, r.u16(), depth);
    case 0xdf: return map(r, r.u32(), depth);
  }
  throw new Malformed("0xc1 is never used");
}

function array(r, count, depth) {
  if (count > r.left) throw new Malformed("too short");
  return Array.from({ length: count }, () => item(r, depth + 1));
}

function map(r, count, depth) {
  if (2 * count > r.left) throw new Malformed("too short");
  return mapOf(Array.from({ length: count }, () => [item(r, depth + 1), item(r, depth + 1)]));
}

function extension(r, length) {
  const type = r.i8();
  const data = new Reader(r.take(length));
  if (type !== -1) return new Tagged(type, data.bytes);
  // A time, of 4, 8 or 12 bytes.
  let seconds;
  let nanos = 0;
  if (length === 4) seconds = data.u32();
  else if (length === 8) {
    const both = data.view.getBigUint64(0);
    nanos = Number(both >> 34n);
    seconds = Number(both & 0x3ffffffffn);
  } else if (length === 12) {
    nanos = data.u32();
    seconds = Number(data.i64());
  } else throw new Malformed("a time of another length");
  const at = new Date(seconds * 1000 + nanos / 1e6);
  return new Tagged("time", Number.isNaN(at.getTime()) ? `${seconds}.${nanos}` : at.toISOString());
}
