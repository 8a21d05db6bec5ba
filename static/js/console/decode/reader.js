// Reads bytes that somebody else wrote: never beyond their end, and not endlessly deep.
export const deepest = 64;

// Malformed is thrown for what is not of the format.
export class Malformed extends Error {}

// Tagged is a value with a number or name that says what it means.
export class Tagged {
  constructor(tag, value) {
    this.tag = tag;
    this.value = value;
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Reader {
  at = 0;

  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left() { return this.bytes.length - this.at; }

  // step goes on by so many bytes and returns where they begin.
  step(count) {
    if (count > this.left) throw new Malformed("too short");
    const at = this.at;
    this.at += count;
    return at;
  }

  u8() { return this.bytes[this.step(1)]; }
  u16() { return this.view.getUint16(this.step(2)); }
  u32() { return this.view.getUint32(this.step(4)); }
  u64() { return whole(this.view.getBigUint64(this.step(8))); }
  i8() { return this.view.getInt8(this.step(1)); }
  i16() { return this.view.getInt16(this.step(2)); }
  i32() { return this.view.getInt32(this.step(4)); }
  i64() { return whole(this.view.getBigInt64(this.step(8))); }
  f32() { return single(this.view.getFloat32(this.step(4))); }
  f64() { return this.view.getFloat64(this.step(8)); }

  take(count) {
    const at = this.step(Number(count));
    return this.bytes.subarray(at, at + Number(count));
  }

  text(count) {
    try {
      return strict.decode(this.take(count));
    } catch (error) {
      if (error instanceof Malformed) throw error;
      throw new Malformed("not UTF-8");
    }
  }
}

// whole is a number where that is exact.
export const whole = (big) => (big <= Number.MAX_SAFE_INTEGER && big >= Number.MIN_SAFE_INTEGER ? Number(big) : big);

// single is a 32-bit float with the digits that it carries: 21.3 and not 21.299999237060547.
export function single(x) {
  if (!Number.isFinite(x)) return x;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === x) return short;
  }
  return x;
}

// mapOf is an object where all keys are texts, else a Map. Keys such as __proto__ are keys like others.
export function mapOf(pairs) {
  if (!pairs.every(([key]) => typeof key === "string")) return new Map(pairs);
  const all = Object.create(null);
  for (const [key, value] of pairs) all[key] = value;
  return all;
}
