// Sparkplug B payloads: Protocol Buffers of the Eclipse Sparkplug specification 3.0 (6.4), read without their schema file.
import { deepest, Malformed, Reader, single, Tagged, whole } from "./reader.js";

// The data types of Sparkplug 3.0, 6.4.16.
const types = ["Unknown", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float", "Double", "Boolean", "String", "DateTime", "Text",
  "UUID", "DataSet", "Bytes", "File", "Template", "PropertySet", "PropertySetList", "Int8Array", "Int16Array", "Int32Array", "Int64Array", "UInt8Array",
  "UInt16Array", "UInt32Array", "UInt64Array", "FloatArray", "DoubleArray", "BooleanArray", "StringArray", "DateTimeArray"];

// isSparkplug tells by the topic: spBv1.0/group/type/node[/device].
export const isSparkplug = (topic) => /^spBv1\.0\/[^/]+\/(N|D)(BIRTH|DEATH|DATA|CMD)\//.test(topic);

// sparkplug reads a Payload.
export function sparkplug(bytes) {
  const payload = {};
  for (const [field, value] of fields(bytes, 0)) {
    switch (field) {
      case 1: payload.timestamp = time(number(value)); break;
      case 2: (payload.metrics ??= []).push(metric(message(value), 1)); break;
      case 3: payload.seq = number(value); break;
      case 4: payload.uuid = string(value); break;
      case 5: payload.body = message(value); break;
    }
  }
  if (!("timestamp" in payload || "metrics" in payload || "seq" in payload || "uuid" in payload || "body" in payload)) throw new Malformed("no field of a Sparkplug payload");
  return payload;
}

// fields yields [number, value]: a bigint, four or eight bytes as a Reader's view, or bytes.
function* fields(bytes, depth) {
  if (depth > deepest) throw new Malformed("too deep");
  const r = new Reader(bytes);
  while (r.left) {
    const key = Number(varint(r));
    const field = key >>> 3;
    if (!field) throw new Malformed("field 0");
    switch (key & 7) {
      case 0: yield [field, varint(r)]; break;
      case 1: yield [field, r.take(8)]; break;
      case 2: yield [field, r.take(Number(varint(r)))]; break;
      case 5: yield [field, r.take(4)]; break;
      default: throw new Malformed("wire type");
    }
  }
}

function varint(r) {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const b = r.u8();
    value |= BigInt(b & 0x7f) << shift;
    if (!(b & 0x80)) return BigInt.asUintN(64, value);
  }
  throw new Malformed("varint");
}

const number = (v) => {
  if (typeof v !== "bigint") throw new Malformed("no number");
  return whole(v);
};
const message = (v) => {
  if (!(v instanceof Uint8Array)) throw new Malformed("no message");
  return v;
};
const string = (v) => new Reader(message(v)).text(message(v).length);
const view = (v, length) => {
  if (message(v).length !== length) throw new Malformed("length");
  return new DataView(v.buffer, v.byteOffset, length);
};
const float = (v) => single(view(v, 4).getFloat32(0, true));
const double = (v) => view(v, 8).getFloat64(0, true);
const time = (ms) => new Tagged("time", Number.isNaN(new Date(Number(ms)).getTime()) ? ms : new Date(Number(ms)).toISOString());

// typed gives a value the meaning of its data type: negative numbers come as their two's complement.
function typed(type, field, v, ofValue, depth) {
  const name = types[type] ?? "";
  switch (field - ofValue) {
    case 0: case 1: {
      const bits = { Int8: 8, Int16: 16, Int32: 32, Int64: 64 }[name];
      if (bits) return whole(BigInt.asIntN(bits, BigInt(number(v))));
      return name === "DateTime" ? time(number(v)) : number(v);
    }
    case 2: return float(v);
    case 3: return double(v);
    case 4: return number(v) !== 0;
    case 5: return string(v);
    case 6: return name.endsWith("Array") ? array(name, message(v)) : message(v);
    case 7: return dataSet(message(v), depth + 1);
    case 8: return template(message(v), depth + 1);
  }
  return undefined;
}

function metric(bytes, depth) {
  const m = {};
  const late = [];
  let type = 0;
  for (const [field, v] of fields(bytes, depth)) {
    switch (field) {
      case 1: m.name = string(v); break;
      case 2: m.alias = number(v); break;
      case 3: m.timestamp = time(number(v)); break;
      case 4: type = number(v); m.type = types[type] ?? type; break;
      case 5: m.historical = number(v) !== 0; break;
      case 6: m.transient = number(v) !== 0; break;
      case 7: if (number(v) !== 0) m.value = null; break;
      case 8: m.metadata = plain(message(v), depth + 1); break;
      case 9: m.properties = propertySet(message(v), depth + 1); break;
      default: if (field >= 10 && field <= 18) late.push([field, v]);
    }
  }
  for (const [field, v] of late) m.value = typed(type, field, v, 10, depth);
  return m;
}

function propertySet(bytes, depth) {
  const keys = [];
  const values = [];
  for (const [field, v] of fields(bytes, depth)) {
    if (field === 1) keys.push(string(v));
    if (field === 2) values.push(propertyValue(message(v), depth + 1));
  }
  const all = Object.create(null);
  for (const [i, key] of keys.entries()) all[key] = values[i];
  return all;
}

function propertyValue(bytes, depth) {
  let type = 0;
  let value;
  const late = [];
  for (const [field, v] of fields(bytes, depth)) {
    if (field === 1) type = number(v);
    else if (field === 2) { if (number(v) !== 0) value = null; } else late.push([field, v]);
  }
  for (const [field, v] of late) {
    if (field === 9) value = propertySet(message(v), depth + 1);
    else if (field === 10) value = [...fields(message(v), depth + 1)].filter(([f]) => f === 1).map(([, p]) => propertySet(message(p), depth + 2));
    else value = typed(type, field, v, 3, depth);
  }
  return value;
}

function dataSet(bytes, depth) {
  const set = { columns: [], types: [], rows: [] };
  const rows = [];
  for (const [field, v] of fields(bytes, depth)) {
    if (field === 2) set.columns.push(string(v));
    else if (field === 3) set.types.push(...packed(v));
    else if (field === 4) rows.push(message(v));
  }
  for (const row of rows) {
    set.rows.push([...fields(row, depth + 1)].filter(([f]) => f === 1).map(([, element], i) => {
      const [first] = fields(message(element), depth + 2);
      return first ? typed(set.types[i], first[0], first[1], 1, depth) : null;
    }));
  }
  set.types = set.types.map((type) => types[type] ?? type);
  return set;
}

const packed = (v) => {
  if (typeof v === "bigint") return [Number(v)];
  const r = new Reader(message(v));
  const all = [];
  while (r.left) all.push(Number(varint(r)));
  return all;
};

function template(bytes, depth) {
  const t = {};
  for (const [field, v] of fields(bytes, depth)) {
    switch (field) {
      case 1: t.version = string(v); break;
      case 2: (t.metrics ??= []).push(metric(message(v), depth + 1)); break;
      case 3: (t.parameters ??= []).push(parameter(message(v), depth + 1)); break;
      case 4: t.template_ref = string(v); break;
      case 5: t.is_definition = number(v) !== 0; break;
    }
  }
  return t;
}

function parameter(bytes, depth) {
  const p = {};
  let type = 0;
  for (const [field, v] of fields(bytes, depth)) {
    if (field === 1) p.name = string(v);
    else if (field === 2) { type = number(v); p.type = types[type] ?? type; } else p.value = typed(type, field, v, 3, depth);
  }
  return p;
}

// plain shows the fields of a message whose names do not matter.
function plain(bytes, depth) {
  const names = ["", "is_multi_part", "content_type", "size", "seq", "file_name", "file_type", "md5", "description"];
  const all = {};
  for (const [field, v] of fields(bytes, depth)) all[names[field] ?? field] = v instanceof Uint8Array ? string(v) : number(v);
  return all;
}

// array reads the packed arrays of Sparkplug 3.0, little-endian.
function array(name, bytes) {
  const element = name.slice(0, -"Array".length);
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const each = (size, read) => Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => read(i * size));
  switch (element) {
    case "Int8": return each(1, (i) => v.getInt8(i));
    case "UInt8": return each(1, (i) => v.getUint8(i));
    case "Int16": return each(2, (i) => v.getInt16(i, true));
    case "UInt16": return each(2, (i) => v.getUint16(i, true));
    case "Int32": return each(4, (i) => v.getInt32(i, true));
    case "UInt32": return each(4, (i) => v.getUint32(i, true));
    case "Int64": return each(8, (i) => whole(v.getBigInt64(i, true)));
    case "UInt64": return each(8, (i) => whole(v.getBigUint64(i, true)));
    case "Float": return each(4, (i) => single(v.getFloat32(i, true)));
    case "Double": return each(8, (i) => v.getFloat64(i, true));
    case "DateTime": return each(8, (i) => time(whole(v.getBigUint64(i, true))));
    case "Boolean": {
      const count = bytes.length >= 4 ? v.getUint32(0, true) : 0;
      if (count > (bytes.length - 4) * 8) throw new Malformed("too short");
      return Array.from({ length: count }, (_, i) => Boolean((bytes[4 + (i >> 3)] >> (7 - (i & 7))) & 1));
    }
    case "String": return new TextDecoder().decode(bytes).split("\0").slice(0, -1);
  }
  return bytes;
}
