// One line that says what is in a message.
import { guess, imageType } from "./decode/guess.js";
import { preview } from "./payload.js";
import { leaf } from "./values.js";
import { t } from "./words.js";

const longest = 8 << 10; // bytes that are decoded for a glance

const plain = (_, value) => {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, v]) => [leaf(key), v]));
  return value !== null && typeof value === "object" && (ArrayBuffer.isView(value) || "tag" in value) ? leaf(value) : value;
};

// glance is made once for each message, when it is first seen.
export function glance(m) {
  m.glance ??= made(m);
  return m.glance;
}

function made({ payload, topic, properties }) {
  if (!payload.length) return t("messages.no_payload");
  if (payload.length > longest) return imageType(payload) || preview(payload);
  const { form, value } = guess(payload, { topic, contentType: properties?.contentType });
  if (form === "image") return imageType(payload);
  if (form === "cbor" || form === "msgpack" || form === "sparkplug") return JSON.stringify(value, plain).slice(0, 300);
  return preview(payload);
}
