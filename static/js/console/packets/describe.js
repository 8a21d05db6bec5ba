// Puts decoded packets into words, as the server does for what it relays: the same frames, from the same texts.
import { coded, reasonOf } from "../reasons.js";
import { places as sections, said } from "../words.js";
import { section } from "./judge.js";
import { mask, named } from "./wire.js";

const shown = 16 << 10; // of a payload

const base64 = (bytes) => {
  let s = "";
  for (let i = 0; i < bytes.length; i += 8192) s += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(s);
};

// describe makes a frame of a packet: {type, fields, explanation, warnings}.
export function describe({ dir, type, length, packet, breaches, verdict, version, broken, truncated }) {
  const warnings = [];
  for (const { rule, places } of verdict.warnings) warn(warnings, `trace.warn.${rule}`, version, "", places);
  for (const b of breaches) warn(warnings, `trace.breach.${b.code}`, version, b.section, { name: b.name, value: b.value, expected: b.expected });
  const frame = { type, fields: {}, explanation: "", warnings, length, truncated };
  if (broken || (!packet && !truncated)) {
    frame.type = "malformed";
    frame.fields.packet_type = type;
    explain(frame, `trace.malformed.${dir}`);
  } else if (!packet) explain(frame, "trace.large", { name: type, length });
  else writers[type](frame, packet, dir, version);
  return frame;
}

function warn(all, key, version, own, places) {
  const at = section(sections, key, version, own);
  if (at) all.push({ text: said(key, places), note: noted(key, places), section: at });
}

// explain words a note into a frame, and keeps what it was made of: a report shows it in the language of its reader.
function explain(frame, key, args) {
  frame.note = noted(key, args);
  frame.explanation = said(key, args);
}

// noted is a note as the server has them: facts as texts, none that is empty.
export function noted(key, args = {}) {
  const given = Object.entries(args).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return { key, args: Object.fromEntries(given.map(([name, value]) => [name, String(value)])) };
}

const reason = (frame, version, type, code) => {
  const r = reasonOf(version, type.toLowerCase(), code);
  frame.fields.reason = r;
  return r;
};

function properties(frame, p) {
  if (p.properties && Object.keys(p.properties).length) frame.fields.properties = p.properties;
}

// codes words an answer with several codes.
function codes(frame, key, version, type, all) {
  const refused = all.filter((code) => code >= 0x80);
  const name = refused.length ? reasonOf(version, type, refused[0]).name : "";
  const places = { count: refused.length, total: all.length, reason: name, granted: all.length === 1 ? all[0] : "" };
  explain(frame, refused.length ? `${key}.refused` : key, places);
}

const writers = {
  CONNECT(f, p) {
    Object.assign(f.fields, { protocol: p.protocol, version: named(p.version), client_id: p.clientId, clean_start: p.clean, keepalive_s: p.keepAlive });
    if (p.username !== undefined) f.fields.username = p.username;
    if (p.password) f.fields.password = mask;
    properties(f, p);
    if (p.will) {
      const { topic, qos, retain, payload } = p.will;
      f.fields.will = { topic, qos, retain, payload_bytes: payload.length, payload: base64(payload.subarray(0, 1024)) };
      if (p.will.properties && Object.keys(p.will.properties).length) f.fields.will.properties = p.will.properties;
    }
    explain(f, p.clean ? "trace.connect" : "trace.connect.resume", { version: named(p.version), client_id: p.clientId, username: p.username, keepalive: p.keepAlive });
  },
  CONNACK(f, p, dir, version) {
    f.fields.session_present = p.present;
    const r = reason(f, p.legacy ? 4 : version, "CONNACK", p.code);
    properties(f, p);
    const key = p.legacy ? "legacy" : p.code ? "refused" : p.present ? "resumed" : "accepted";
    explain(f, `trace.connack.${key}`, { code: coded(p.code), reason: r.name });
  },
  PUBLISH(f, p, dir) {
    Object.assign(f.fields, { topic: p.topic, qos: p.qos, retain: p.retain, dup: p.dup, payload_bytes: p.bytes });
    if (p.qos) f.fields.packet_id = p.id;
    f.fields.payload = base64(p.payload.subarray(0, shown));
    f.truncated = Math.min(p.payload.length, shown) < p.bytes;
    properties(f, p);
    const alias = p.topic ? undefined : p.properties?.topic_alias;
    const key = `trace.publish.${dir}` + (alias !== undefined ? ".alias" : p.retain ? ".retain" : "");
    explain(f, key, { length: p.bytes, topic: p.topic, value: alias, qos: p.qos });
  },
  SUBSCRIBE(f, p, dir, version) {
    f.fields.packet_id = p.id;
    f.fields.filters = version === 5 ? p.filters : p.filters.map(({ filter, qos }) => ({ filter, qos }));
    properties(f, p);
    explain(f, "trace.subscribe", { filter: p.filters.slice(0, 3).map((s) => s.filter).join(", "), count: p.filters.length });
  },
  SUBACK(f, p, dir, version) {
    f.fields.packet_id = p.id;
    f.fields.reasons = p.codes.map((code) => reasonOf(version, "suback", code));
    properties(f, p);
    codes(f, "trace.suback", version, "suback", p.codes);
  },
  UNSUBSCRIBE(f, p) {
    f.fields.packet_id = p.id;
    f.fields.filters = p.filters;
    properties(f, p);
    explain(f, "trace.unsubscribe", { filter: p.filters.slice(0, 3).join(", "), count: p.filters.length });
  },
  UNSUBACK(f, p, dir, version) {
    f.fields.packet_id = p.id;
    if (version === 5) f.fields.reasons = p.codes.map((code) => reasonOf(version, "unsuback", code));
    properties(f, p);
    codes(f, "trace.unsuback", version, "unsuback", p.codes);
  },
  PINGREQ(f) { explain(f, "trace.pingreq"); },
  PINGRESP(f) { explain(f, "trace.pingresp"); },
  DISCONNECT(f, p, dir, version) {
    if (version !== 5) {
      explain(f, "trace.disconnect.out");
      return;
    }
    const r = reason(f, version, "DISCONNECT", p.code);
    properties(f, p);
    explain(f, `trace.disconnect.${dir}${p.code ? ".reason" : ""}`, { code: coded(p.code), reason: r.name, reason_string: p.properties?.reason_string });
  },
  AUTH(f, p, dir) {
    const r = reason(f, 5, "AUTH", p.code);
    properties(f, p);
    explain(f, `trace.auth.${dir}`, { method: p.properties?.authentication_method, reason: r.name });
  },
};

for (const type of ["PUBACK", "PUBREC", "PUBREL", "PUBCOMP"]) {
  writers[type] = (f, p, dir, version) => {
    f.fields.packet_id = p.id;
    if (version === 5) reason(f, version, type, p.code);
    properties(f, p);
    const refused = p.code >= 0x80;
    explain(f, refused ? "trace.ack_refused" : `trace.${type.toLowerCase()}`,
      { name: type, value: p.id, code: coded(p.code), reason: refused ? reasonOf(version, type.toLowerCase(), p.code).name : "" });
  };
}
