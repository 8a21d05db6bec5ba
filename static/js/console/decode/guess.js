// What a payload is: by its topic, its content type, and at last by its bytes.
import { text } from "../payload.js";
import { cbor } from "./cbor.js";
import { msgpack } from "./msgpack.js";
import { isSparkplug, sparkplug } from "./sparkplug.js";

export const forms = ["text", "json", "hex", "base64", "cbor", "msgpack", "sparkplug", "image"];

const signatures = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47]], ["image/jpeg", [0xff, 0xd8, 0xff]], ["image/gif", [0x47, 0x49, 0x46, 0x38]], ["image/bmp", [0x42, 0x4d]],
];

// imageType is the type of an image that browsers draw; empty: it is none.
export function imageType(bytes) {
  for (const [type, start] of signatures) if (bytes.length > 16 && start.every((b, i) => bytes[i] === b)) return type;
  const ascii = (at, word) => [...word].every((c, i) => bytes[at + i] === c.charCodeAt(0));
  if (bytes.length > 16 && ascii(0, "RIFF") && ascii(8, "WEBP")) return "image/webp";
  if (bytes.length > 16 && ascii(4, "ftypavif")) return "image/avif";
  return "";
}

// read decodes a payload in a form into a value; it throws where it is not of that form.
export function read(form, bytes) {
  switch (form) {
    case "json": {
      const plain = text(bytes);
      if (plain === null) throw new Error("not UTF-8");
      return JSON.parse(plain);
    }
    case "cbor": return cbor(bytes);
    case "msgpack": return msgpack(bytes);
    case "sparkplug": return sparkplug(bytes);
  }
  throw new Error("no such form");
}

const can = (form, bytes) => {
  try {
    return { form, value: read(form, bytes) };
  } catch {
    return null;
  }
};

const structured = (value) => value !== null && typeof value === "object" && !(value instanceof Uint8Array);

// guess returns {form, value}. Bytes alone speak for CBOR or MessagePack only where they make a map or a list: almost
// anything is a valid number in both.
export function guess(bytes, { topic = "", contentType = "" } = {}) {
  if (!bytes.length) return { form: "text" };
  if (isSparkplug(topic)) {
    const found = can("sparkplug", bytes);
    if (found) return found;
  }
  if (imageType(bytes)) return { form: "image" };
  const named = /cbor/i.test(contentType) ? "cbor" : /msgpack/i.test(contentType) ? "msgpack" : "";
  if (named) {
    const found = can(named, bytes);
    if (found) return found;
  }
  const plain = text(bytes);
  if (plain !== null && !/[\u0000-\u0008\u000e-\u001f]/.test(plain)) {
    const found = /^\s*[{[]/.test(plain) ? can("json", bytes) : null;
    return found ?? { form: "text" };
  }
  for (const form of ["msgpack", "cbor"]) {
    const found = can(form, bytes);
    if (found && structured(found.value)) return found;
  }
  return { form: "hex" };
}
