// Return and reason codes: the names of the specifications (MQTT 5.0 2.4, MQTT 3.1.1 3.2.2.3), and what they mean in words.
import { said } from "./words.js";

const names = {
  0x00: "Success", 0x01: "Granted QoS 1", 0x02: "Granted QoS 2", 0x04: "Disconnect with Will Message", 0x10: "No matching subscribers",
  0x11: "No subscription existed", 0x18: "Continue authentication", 0x19: "Re-authenticate", 0x80: "Unspecified error",
  0x81: "Malformed Packet", 0x82: "Protocol Error", 0x83: "Implementation specific error", 0x84: "Unsupported Protocol Version",
  0x85: "Client Identifier not valid", 0x86: "Bad User Name or Password", 0x87: "Not authorized", 0x88: "Server unavailable",
  0x89: "Server busy", 0x8a: "Banned", 0x8b: "Server shutting down", 0x8c: "Bad authentication method", 0x8d: "Keep Alive timeout",
  0x8e: "Session taken over", 0x8f: "Topic Filter invalid", 0x90: "Topic Name invalid", 0x91: "Packet Identifier in use",
  0x92: "Packet Identifier not found", 0x93: "Receive Maximum exceeded", 0x94: "Topic Alias invalid", 0x95: "Packet too large",
  0x96: "Message rate too high", 0x97: "Quota exceeded", 0x98: "Administrative action", 0x99: "Payload format invalid",
  0x9a: "Retain not supported", 0x9b: "QoS not supported", 0x9c: "Use another server", 0x9d: "Server moved",
  0x9e: "Shared Subscriptions not supported", 0x9f: "Connection rate exceeded", 0xa0: "Maximum connect time",
  0xa1: "Subscription Identifiers not supported", 0xa2: "Wildcard Subscriptions not supported",
};

const returns = ["Connection Accepted", "Connection Refused, unacceptable protocol version", "Connection Refused, identifier rejected",
  "Connection Refused, Server unavailable", "Connection Refused, bad user name or password", "Connection Refused, not authorized"];

// reasonOf is {code, name, text, key} of a code in a packet ("connack", "suback", …) of a version (3 to 5).
export function reasonOf(version, packet, code) {
  const made = (name, key) => ({ code, name, text: key ? said(key) : "", key: key || undefined });
  if (version < 5 && packet === "connack") return made(returns[code] ?? "unknown code", returns[code] && `trace.return.${code}`);
  if (packet === "suback" && code <= 2) return made(`Granted QoS ${code}`, `trace.granted.${code}`);
  if (code === 0 && packet === "disconnect") return made("Normal disconnection", "");
  if (version < 5) return made(code === 0x80 ? "Failure" : "unknown code", "trace.reason.0x80");
  return made(names[code] ?? "unknown code", code && names[code] ? `trace.reason.${hex(code)}` : "");
}

export const hex = (code) => "0x" + code.toString(16).padStart(2, "0");

// coded is a code as people look it up.
export const coded = (code) => (code < 0x80 ? String(code) : `${code} (0x${code.toString(16).toUpperCase().padStart(2, "0")})`);
