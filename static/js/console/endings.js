// Why an attempt or a connection ended, in words, and whether to try again makes sense.
import { size } from "./dom.js";
import { reasonOf, coded } from "./reasons.js";
import { Refused } from "./relay.js";
import { longestPacket } from "./socket.js";
import { t } from "./words.js";

// What the server closes a relayed connection with (RFC 6455 7.4.2), and whether trying again can help.
const relayed = {
  1001: { key: "end.stopping" },
  1013: { key: "end.crowded" },
  4001: { key: "end.dns" },
  4002: { key: "end.refused" },
  4003: { key: "end.timeout" },
  4004: { key: "end.tls", hopeless: true },
  4005: { key: "end.upgrade", hopeless: true },
  4006: { key: "end.forbidden", hopeless: true },
  4007: { key: "end.broker_closed" },
  4008: { key: "end.idle" },
  4009: { key: "end.broker_reset" },
  4010: { key: "end.client_stalled" },
  4011: { key: "end.broker_stalled" },
  4012: { key: "end.console", console: true },
  4013: { key: "end.network" },
};

// Codes after which the same attempt fails in the same way, or harms: a taken-over session would be taken back, a ban renewed.
const hopeless5 = new Set([0x80, 0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c, 0x8e, 0x90, 0x95, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d]);
const hopeless3 = new Set([1, 2, 4, 5]);

// An end is {kind, text, more, hopeless, console, probe, fields}. kind is for programs: "refused" (by the broker), "closed",
// "relay", "server", "browser", "silent", "malformed", "large". more is what the original said. probe: nobody knows why, and the
// browser can find out some more.
export function endOf({ error, disconnect, ended, way, url, connack, connected, version }) {
  if (error instanceof Refused) return { kind: "server", text: error.message, fields: error.fields, code: error.code, hopeless: error.code === "target_forbidden" || error.code === "invalid_input" };
  if (ended?.large) return { kind: "large", text: t("end.large", { size: size(ended.large), most: size(longestPacket) }), more: t("end.large.more"), hopeless: true };
  if (disconnect) {
    const code = disconnect.reasonCode ?? 0;
    const reason = reasonOf(5, "disconnect", code);
    return { kind: "disconnect", code, text: t("end.disconnect", { name: reason.name, code: coded(code) }), more: reason.text,
      said: disconnect.properties?.reasonString, server: disconnect.properties?.serverReference, hopeless: hopeless5.has(code) };
  }
  const refusal = connack && (connack.reasonCode || connack.returnCode);
  if (refusal && !connected) {
    const legacy = version === 5 && refusal < 0x80;
    const reason = reasonOf(legacy ? 4 : version, "connack", refusal);
    return { kind: "connack", code: refusal, legacy, text: t("end.connack", { name: reason.name, code: coded(refusal) }), more: reason.text,
      said: connack.properties?.reasonString, server: connack.properties?.serverReference,
      hopeless: (legacy || version < 5 ? hopeless3 : hopeless5).has(refusal) };
  }
  if (way === "relay" && ended && relayed[ended.code]) {
    const { key, ...rest } = relayed[ended.code];
    return { kind: "relay", code: ended.code, text: t(key), said: original(ended.reason), ...rest };
  }
  const message = error?.message ?? "";
  if (message === "connack timeout") return { kind: "silent", text: t("end.no_connack") };
  if (message === "Keepalive timeout") return { kind: "keepalive", text: t("end.keepalive") };
  if (error?.name === "SecurityError" || (error?.name === "DOMException" && url?.startsWith("ws:"))) {
    return { kind: "mixed", text: t("end.mixed"), hopeless: true };
  }
  if (error?.name === "SyntaxError" && !ended) return { kind: "url", text: t("end.url"), hopeless: true };
  if (ended?.text) return { kind: "malformed", text: t("end.text"), hopeless: true };
  if (message && !ended?.reason && message !== "WebSocket error" && ended?.opened) return { kind: "malformed", text: t("end.malformed"), said: message };
  if (ended && !ended.opened) {
    if (!navigator.onLine && !here(url)) return { kind: "offline", text: t("end.offline") };
    return { kind: "silent", text: t(way === "relay" ? "end.server_gone" : "end.unopened"), probe: way === "direct" };
  }
  if (ended && ended.code !== 1006) {
    return { kind: "closed", text: t(connected ? "end.closed" : "end.closed_before", { code: ended.code }), said: ended.reason };
  }
  if (message && message !== "WebSocket error") return { kind: "malformed", text: t("end.malformed"), said: message };
  return { kind: "lost", text: t(connected ? "end.lost" : "end.lost_before") };
}

// here tells whether an address is this very computer's, which takes no network.
function here(url) {
  return /^((.*\.)?localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}

// original is what the server's close reason adds to its code: the words of the operating system, of TLS, of the peer.
function original(reason) {
  const colon = reason.indexOf(": ");
  return colon < 0 ? "" : reason.slice(colon + 2);
}

// unsupported tells whether the end says, or may say, that the broker does not speak MQTT 5.
export function unsupported(end) {
  return (end.kind === "connack" && (end.code === 0x84 || (end.legacy && end.code === 1))) || end.kind === "malformed" ||
    (end.kind === "relay" && (end.code === 4007 || end.code === 4009)) || end.kind === "lost" || (end.kind === "closed" && end.code !== 1000);
}
