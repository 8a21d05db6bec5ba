// Payloads as text for a row, and what they seem to be.
const strict = new TextDecoder("utf-8", { fatal: true });
const loose = new TextDecoder();
const glance = 200; // bytes that a row shows

// text is the payload as UTF-8; null where it is none.
export function text(bytes) {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

// preview is one line of a payload for a list.
export function preview(bytes) {
  const part = bytes.length > glance ? bytes.subarray(0, glance) : bytes;
  const line = loose.decode(part, { stream: true });
  if (/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(line.slice(0, -1))) return hexLine(part.subarray(0, 40)) + (bytes.length > 40 ? " …" : "");
  return line.replace(/\s+/g, " ") + (bytes.length > glance ? "…" : "");
}

const digits = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

export const hexLine = (bytes) => Array.from(bytes, (b) => digits[b]).join(" ");

// hexDump is the classic view: offset, sixteen bytes, text.
export function hexDump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const hex = Array.from(row, (b, i) => digits[b] + (i === 7 ? " " : "")).join(" ").padEnd(49);
    const ascii = Array.from(row, (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex} ${ascii}`);
  }
  return lines.join("\n");
}

export function base64(bytes) {
  let s = "";
  for (let i = 0; i < bytes.length; i += 8192) s += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(s);
}
