// Decodes MQTT packets of all three versions, and says where they break the specification. Versions are 3 (MQTT 3.1), 4 (3.1.1)
// and 5.
export const types = [null, "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK",
  "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"];

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const loose = new TextDecoder();

// The properties of MQTT 5.0 2.2.2.2: name, form, and the packets that may have them.
const will = "will";
const properties = {
  0x01: ["payload_format_indicator", "byte", ["PUBLISH", will]],
  0x02: ["message_expiry_interval_s", "four", ["PUBLISH", will]],
  0x03: ["content_type", "text", ["PUBLISH", will]],
  0x08: ["response_topic", "text", ["PUBLISH", will]],
  0x09: ["correlation_data", "binary", ["PUBLISH", will]],
  0x0b: ["subscription_identifiers", "varint", ["PUBLISH", "SUBSCRIBE"]],
  0x11: ["session_expiry_interval_s", "four", ["CONNECT", "CONNACK", "DISCONNECT"]],
  0x12: ["assigned_client_identifier", "text", ["CONNACK"]],
  0x13: ["server_keep_alive_s", "two", ["CONNACK"]],
  0x15: ["authentication_method", "text", ["CONNECT", "CONNACK", "AUTH"]],
  0x16: ["authentication_data", "secret", ["CONNECT", "CONNACK", "AUTH"]],
  0x17: ["request_problem_information", "flag", ["CONNECT"]],
  0x18: ["will_delay_interval_s", "four", [will]],
  0x19: ["request_response_information", "flag", ["CONNECT"]],
  0x1a: ["response_information", "text", ["CONNACK"]],
  0x1c: ["server_reference", "text", ["CONNACK", "DISCONNECT"]],
  0x1f: ["reason_string", "text", ["CONNACK", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK", "DISCONNECT", "AUTH"]],
  0x21: ["receive_maximum", "two", ["CONNECT", "CONNACK"]],
  0x22: ["topic_alias_maximum", "two", ["CONNECT", "CONNACK"]],
  0x23: ["topic_alias", "two", ["PUBLISH"]],
  0x24: ["maximum_qos", "byte", ["CONNACK"]],
  0x25: ["retain_available", "flag", ["CONNACK"]],
  0x26: ["user_properties", "pair", null],
  0x27: ["maximum_packet_size", "four", ["CONNECT", "CONNACK"]],
  0x28: ["wildcard_subscription_available", "flag", ["CONNACK"]],
  0x29: ["subscription_identifier_available", "flag", ["CONNACK"]],
  0x2a: ["shared_subscription_available", "flag", ["CONNACK"]],
};

// mask stands in the place of a secret.
export const mask = "********";

// Short is thrown where a packet ends too early, or makes no sense beyond a place.
class Short extends Error {}

class Cursor {
  at = 0;
  breaches = [];

  constructor(bytes, packet) {
    this.bytes = bytes;
    this.packet = packet;
  }

  get left() { return this.bytes.length - this.at; }

  breach(code, name, section, value, expected) { this.breaches.push({ code, name, section, value, expected }); }

  fail(...breach) {
    this.breach(...breach);
    throw new Short();
  }

  take(count, name, section = "2.1.4") {
    if (count > this.left) this.fail("missing", name, section, count - this.left);
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  byte(name) { return this.take(1, name)[0]; }
  two(name) { const b = this.take(2, name); return b[0] * 256 + b[1]; }
  four(name) { const b = this.take(4, name); return b[0] * 2 ** 24 + b[1] * 65536 + b[2] * 256 + b[3]; }
  binary(name) { return this.take(this.two(name), name); }

  varint(name) {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const b = this.byte(name);
      value += (b & 0x7f) * 128 ** i;
      if (b & 0x80) continue;
      if (i > 0 && b === 0) this.breach("not_minimal", name, "1.5.5", value);
      return value;
    }
    return this.fail("endless", name, "1.5.5");
  }

  text(name) {
    const bytes = this.binary(name);
    let s;
    try {
      s = strict.decode(bytes);
    } catch {
      this.breach("not_utf8", name, "1.5.4");
      s = loose.decode(bytes);
    }
    if (s.includes("\0")) this.breach("nul", name, "1.5.4");
    return s;
  }

  id() {
    const id = this.two("Packet Identifier");
    if (id === 0) this.breach("zero", "Packet Identifier", "2.2.1");
    return id;
  }

  properties(of = this.packet) {
    const length = this.varint("Property Length");
    if (length > this.left) this.fail("property_length", "Property Length", "2.2.2.1", length, this.left);
    const end = this.at + length;
    const all = {};
    while (this.at < end) {
      const id = this.byte("Property Identifier");
      const known = properties[id];
      if (!known) this.fail("property_id", "Property Identifier", "2.2.2.2", hexByte(id));
      const [name, form, packets] = known;
      if (packets && !packets.includes(of)) this.fail("property_place", "Property Identifier", "2.2.2.2", name, of);
      if (form === "pair") (all[name] ??= []).push([this.text(name), this.text(name)]);
      else if (form === "varint") (all[name] ??= []).push(this.varint(name));
      else {
        if (name in all) this.breach("twice", name, "2.2.2.2");
        all[name] = this.#value(form, name);
      }
    }
    if (this.at > end) this.fail("property_length", "Property Length", "2.2.2.1", length, this.at - end + length);
    return all;
  }

  #value(form, name) {
    if (form === "secret") {
      this.binary(name);
      return mask;
    }
    if (form === "binary") return base64(this.binary(name));
    const value = this[form === "flag" ? "byte" : form](name);
    if (form !== "flag") return value;
    if (value > 1) this.breach("not_boolean", name, "3.2.2.3", value);
    return value === 1;
  }

  end() {
    if (this.left) this.breach("trailing", "Remaining Length", "2.1.4", this.left);
  }
}

const hexByte = (b) => "0x" + b.toString(16).toUpperCase().padStart(2, "0");
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

// decode takes {raw, header, length, truncated} apart. It returns {type, breaches, …}; the packet is null where it makes no sense.
// dir is "out" for what a client sends.
export function decode(frame, version, dir) {
  const type = types[frame.raw[0] >> 4];
  const flags = frame.raw[0] & 0x0f;
  const c = new Cursor(frame.raw.subarray(frame.header), type);
  let packet = null;
  try {
    if (!type) c.fail("packet", "packet type", "2.1.2", named(version));
    const wanted = ["PUBREL", "SUBSCRIBE", "UNSUBSCRIBE"].includes(type) ? 2 : 0;
    if (type !== "PUBLISH" && flags !== wanted && version !== 3) c.breach("flags", "Flags", "2.1.3", flags, wanted);
    const read = readers[type];
    if (!read || (type === "AUTH" && version < 5) || !sends[dir].includes(type)) c.fail("packet", "packet type", "2.1.2", named(version));
    packet = { type };
    read(packet, c, version, flags, dir, frame);
  } catch (error) {
    if (!(error instanceof Short)) throw error;
    // What is missing because only a part was kept is not missing on the wire.
    if (frame.truncated) c.breaches = c.breaches.filter(({ code }) => !["missing", "property_length", "endless"].includes(code));
    if (type !== "PUBLISH" || !packet?.topic) packet = null;
  }
  return { packet, breaches: c.breaches };
}

const sends = {
  out: ["CONNECT", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "UNSUBSCRIBE", "PINGREQ", "DISCONNECT", "AUTH"],
  in: ["CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK", "PINGRESP", "DISCONNECT", "AUTH"],
};

export const named = (version) => ({ 3: "3.1", 4: "3.1.1", 5: "5" })[version] ?? "?";

const readers = {
  CONNECT(p, c) {
    p.protocol = c.text("Protocol Name");
    p.version = c.byte("Protocol Version");
    if (!((p.protocol === "MQTT" && (p.version === 4 || p.version === 5)) || (p.protocol === "MQIsdp" && p.version === 3))) {
      c.breach("protocol", "Protocol Name", "3.1.2.1", `${p.protocol} ${p.version}`);
    }
    const flags = c.byte("Connect Flags");
    if (flags & 1) c.breach("reserved", "Connect Flags", "3.1.2.3", flags & 1);
    p.clean = Boolean(flags & 2);
    p.keepAlive = c.two("Keep Alive");
    if (p.version === 5) p.properties = c.properties();
    p.clientId = c.text("Client Identifier");
    if (p.version === 4 && !p.clientId && !p.clean) c.breach("client_id", "Client Identifier", "3.1.3.1");
    if (p.version === 3 && p.clientId.length > 23) c.breach("client_id_len", "Client Identifier", "3.1", p.clientId.length);
    if (flags & 4) {
      p.will = { qos: (flags >> 3) & 3, retain: Boolean(flags & 0x20) };
      if (p.version === 5) p.will.properties = c.properties(will);
      p.will.topic = c.text("Will Topic");
      p.will.payload = c.binary("Will Payload");
      if (p.will.qos === 3) c.breach("qos", "Will QoS", "3.1.2.6");
    } else if (flags & 0x38) c.breach("will_flags", "Connect Flags", "3.1.2.6");
    if (flags & 0x80) p.username = c.text("User Name");
    if (flags & 0x40) {
      c.binary("Password");
      p.password = true;
      if (!(flags & 0x80) && p.version < 5) c.breach("no_user", "Password", "3.1.2.9");
    }
    c.end();
  },
  CONNACK(p, c, version) {
    const flags = c.byte("Connect Acknowledge Flags");
    if (flags & 0xfe) c.breach("reserved", "Connect Acknowledge Flags", "3.2.2.1", flags & 0xfe);
    p.present = Boolean(flags & 1);
    p.code = c.byte("Reason Code");
    p.legacy = version === 5 && c.left === 0;
    if (p.present && p.code) c.breach("session", "Session Present", "3.2.2.1.1");
    if (version === 5 && !p.legacy) p.properties = c.properties();
    c.end();
  },
  PUBLISH(p, c, version, flags, dir, frame) {
    p.dup = Boolean(flags & 8);
    p.qos = (flags >> 1) & 3;
    p.retain = Boolean(flags & 1);
    if (p.qos === 3) c.fail("qos", "QoS", "3.3.1.2");
    if (p.dup && p.qos === 0) c.breach("dup", "DUP", "3.3.1.1");
    p.topic = c.text("Topic Name");
    if (/[+#]/.test(p.topic)) c.breach("wildcard", "Topic Name", "3.3.2.1");
    if (p.qos) p.id = c.id();
    if (version === 5) p.properties = c.properties();
    if (!p.topic && p.properties?.topic_alias === undefined) c.breach("empty", "Topic Name", "4.7.3");
    p.payload = c.take(c.left, "Application Message");
    p.bytes = frame.length - frame.header - c.at + p.payload.length;
  },
  SUBSCRIBE(p, c, version) {
    p.id = c.id();
    if (version === 5) p.properties = c.properties();
    p.filters = [];
    while (c.left) {
      const filter = c.text("Topic Filter");
      const o = c.byte("Subscription Options");
      p.filters.push({ filter, qos: o & 3, no_local: Boolean(o & 4), retain_as_published: Boolean(o & 8), retain_handling: (o >> 4) & 3 });
      if ((o & 3) === 3) c.breach("qos", "QoS", "3.8.3.1");
      if (version === 5 && ((o >> 4) & 3) === 3) c.breach("retain_value", "Retain Handling", "3.8.3.1");
      if (version === 5 && o & 4 && filter.startsWith("$share/")) c.breach("no_local", "No Local", "3.8.3.1");
      if (o & (version === 5 ? 0xc0 : 0xfc)) c.breach("reserved", "Subscription Options", "3.8.3.1", o & (version === 5 ? 0xc0 : 0xfc));
    }
    if (!p.filters.length) c.breach("no_filter", "Topic Filter", "3.8.3");
  },
  SUBACK(p, c, version) {
    p.id = c.id();
    if (version === 5) p.properties = c.properties();
    p.codes = [...c.take(c.left, "Reason Codes")];
  },
  UNSUBSCRIBE(p, c, version) {
    p.id = c.id();
    if (version === 5) p.properties = c.properties();
    p.filters = [];
    while (c.left) p.filters.push(c.text("Topic Filter"));
    if (!p.filters.length) c.breach("no_filter", "Topic Filter", "3.10.3");
  },
  UNSUBACK(p, c, version) {
    p.id = c.id();
    p.codes = [];
    if (version === 5) {
      p.properties = c.properties();
      p.codes = [...c.take(c.left, "Reason Codes")];
    }
    c.end();
  },
  PINGREQ(p, c) { c.end(); },
  PINGRESP(p, c) { c.end(); },
  DISCONNECT(p, c, version, _, dir) {
    p.code = 0;
    if (version === 5 && c.left) {
      p.code = c.byte("Reason Code");
      if (c.left) p.properties = c.properties();
    } else if (version < 5 && dir === "in") c.fail("packet", "packet type", "2.1.2", named(version));
    c.end();
  },
  AUTH(p, c) {
    p.code = 0;
    if (c.left) {
      p.code = c.byte("Reason Code");
      if (c.left) p.properties = c.properties();
    }
    c.end();
  },
};

for (const type of ["PUBACK", "PUBREC", "PUBREL", "PUBCOMP"]) {
  readers[type] = (p, c, version) => {
    p.id = c.id();
    p.code = 0;
    if (version === 5 && c.left) {
      p.code = c.byte("Reason Code");
      if (c.left) p.properties = c.properties();
    }
    c.end();
  };
}
