// Follows the packets of one connection: what answers what, and where either side breaks the rules of their order. It is the
// browser's counterpart of the server's diag/trace, with the same rules and the same words.

const side = () => ({ flows: new Map(), aliases: new Set(), flying: 0, receiveMaximum: 0, packetBytes: 0, aliasMaximum: -1, maximumQoS: 2 });

export class Judge {
  version = 0;
  #first = { in: false, out: false };
  #ended = { in: false, out: false };
  #sides = { in: side(), out: side() }; // what each side sends; limits hold for what it sends
  #connect = null;
  #connack = null;
  #resumed = false;
  #method = false;
  #keepAlive = 0;
  #lastOut = 0;
  #pings = [];
  #verdict;

  // see judges a packet and returns {warnings: [{rule, places}], answers, took}. stamp is {seq, at}.
  see(dir, type, length, packet, stamp) {
    this.#verdict = { warnings: [] };
    if (packet?.type === "CONNECT" && dir === "out" && !this.version) this.version = packet.version;
    if (this.#ended[dir]) this.#warn("after_end", { name: type });
    this.#order(dir, type);
    const limit = this.#sides[dir].packetBytes;
    if (limit && length > limit) this.#warn("packet_size", { length, limit });
    if (dir === "out") {
      const silent = stamp.at - this.#lastOut;
      if (this.#keepAlive && this.#lastOut && silent > this.#keepAlive * 1500) {
        this.#warn("keep_alive", { duration: `${(silent / 1000).toFixed(1)} s`, keepalive: this.#keepAlive });
      }
      this.#lastOut = stamp.at;
    }
    this.#first[dir] = true;
    this.#on[packet?.type]?.call(this, dir, packet, stamp);
    return this.#verdict;
  }

  #warn(rule, places = {}) { this.#verdict.warnings.push({ rule, places }); }

  #answer(stamp, to) {
    this.#verdict.answers = to.seq;
    this.#verdict.took = stamp.at - to.at;
  }

  #order(dir, type) {
    if (dir === "out") {
      if (!this.#first.out && type !== "CONNECT") this.#warn("first_connect", { name: type });
      else if (this.#first.out && type === "CONNECT") this.#warn("second_connect");
    } else if (!this.#first.in && type !== "CONNACK" && !(type === "AUTH" && this.#method)) this.#warn("first_connack", { name: type });
    else if (this.#connack && type === "CONNACK") this.#warn("second_connack");
  }

  #limits(of, p, five) {
    const { properties = {} } = p;
    if (five) {
      of.receiveMaximum = properties.receive_maximum ?? 65535;
      of.aliasMaximum = properties.topic_alias_maximum ?? 0;
      of.packetBytes = properties.maximum_packet_size ?? 0;
    }
    of.maximumQoS = properties.maximum_qos ?? 2;
    of.noRetain = properties.retain_available === false;
    of.noWildcard = properties.wildcard_subscription_available === false;
    of.noShared = properties.shared_subscription_available === false;
    of.noSubId = properties.subscription_identifier_available === false;
  }

  #begin(dir, id, flow, again) {
    if (!id) return;
    const own = this.#sides[dir];
    const old = own.flows.get(id);
    if (old && again && old.kind === flow.kind) this.#warn("repeat", { value: id });
    else if (old) this.#warn("id_in_use", { value: id, name: old.kind });
    if (flow.kind === "PUBLISH" && old?.kind !== "PUBLISH") own.flying++;
    if (old?.kind === "PUBLISH" && flow.kind !== "PUBLISH") own.flying--;
    own.flows.set(id, flow);
  }

  // #ack judges PUBACK, PUBREC, PUBREL and PUBCOMP: they answer the other side's PUBLISH, but for PUBREL, which goes on with
  // one's own.
  #ack(dir, p, stamp) {
    const owner = this.#sides[p.type === "PUBREL" ? dir : other(dir)];
    const flow = owner.flows.get(p.id);
    if (flow?.kind !== "PUBLISH") {
      if (!this.#resumed && p.id && !(p.type === "PUBCOMP" && p.code === 0x92)) this.#warn("unknown_id", { name: p.type, value: p.id });
      if (p.type === "PUBREL") {
        owner.flows.set(p.id, { kind: "PUBLISH", last: stamp, awaited: "PUBCOMP" });
        owner.flying++;
      }
      return;
    }
    this.#answer(stamp, flow.last);
    if (p.type !== flow.awaited) {
      if (flow.awaited === "PUBCOMP" && p.type !== "PUBACK") this.#warn("repeat", { value: p.id });
      else this.#warn("wrong_answer", { name: p.type, expected: flow.awaited });
    }
    if (p.type === "PUBREC" && p.code < 0x80) Object.assign(flow, { last: stamp, awaited: "PUBREL" });
    else if (p.type === "PUBREL") Object.assign(flow, { last: stamp, awaited: "PUBCOMP" });
    else {
      owner.flows.delete(p.id);
      owner.flying--;
    }
  }

  #codes(dir, p, stamp, awaited, count) {
    const owner = this.#sides[other(dir)];
    const flow = owner.flows.get(p.id);
    if (flow?.awaited !== awaited) {
      if (p.id) this.#warn("unknown_id", { name: awaited, value: p.id });
      return;
    }
    owner.flows.delete(p.id);
    this.#answer(stamp, flow.last);
    if (count !== null && count !== flow.filters) this.#warn("codes", { count, total: flow.filters });
  }

  #on = {
    CONNECT(dir, p, stamp) {
      if (this.#connect) return;
      this.#connect = stamp;
      this.#method = Boolean(p.properties?.authentication_method);
      this.#keepAlive = p.keepAlive;
      this.#resumed = !p.clean;
      this.#limits(this.#sides.in, p, p.version === 5);
    },
    CONNACK(dir, p, stamp) {
      if (this.#connack) return;
      this.#connack = stamp;
      if (this.#connect) this.#answer(stamp, this.#connect);
      if (p.legacy) this.version = 4;
      if (this.version !== 3) this.#resumed = p.present;
      if (p.properties?.server_keep_alive_s !== undefined) this.#keepAlive = p.properties.server_keep_alive_s;
      this.#limits(this.#sides.out, p, this.version === 5);
    },
    PUBLISH(dir, p, stamp) {
      const own = this.#sides[dir];
      const { properties = {} } = p;
      if (p.qos > own.maximumQoS) this.#warn("maximum_qos", { qos: p.qos, limit: own.maximumQoS });
      if (p.retain && own.noRetain) this.#warn("retain_unavailable");
      if (dir === "out" && properties.subscription_identifiers) this.#warn("client_subid");
      if (/[+#]/.test(properties.response_topic ?? "")) this.#warn("response_topic", { topic: properties.response_topic });
      const alias = properties.topic_alias;
      if (alias === 0) this.#warn("alias_zero");
      else if (alias !== undefined && own.aliasMaximum >= 0 && alias > own.aliasMaximum) this.#warn("alias_maximum", { value: alias, limit: own.aliasMaximum });
      else if (alias !== undefined && p.topic) own.aliases.add(alias);
      else if (alias !== undefined && !own.aliases.has(alias)) this.#warn("alias_unknown", { value: alias });
      if (!p.qos) return;
      this.#begin(dir, p.id, { kind: "PUBLISH", last: stamp, awaited: p.qos === 2 ? "PUBREC" : "PUBACK" }, p.dup);
      if (own.receiveMaximum && own.flying > own.receiveMaximum) this.#warn("receive_maximum", { count: own.flying, limit: own.receiveMaximum });
    },
    PUBACK: this.#ack,
    PUBREC: this.#ack,
    PUBREL: this.#ack,
    PUBCOMP: this.#ack,
    SUBSCRIBE(dir, p, stamp) {
      const own = this.#sides[dir];
      if (p.properties?.subscription_identifiers && own.noSubId) this.#warn("subid_unavailable");
      const wild = own.noWildcard && p.filters.find(({ filter }) => /[+#]/.test(filter));
      if (wild) this.#warn("wildcard_unavailable", { filter: wild.filter });
      const shared = own.noShared && p.filters.find(({ filter }) => filter.startsWith("$share/"));
      if (shared) this.#warn("shared_unavailable", { filter: shared.filter });
      this.#begin(dir, p.id, { kind: "SUBSCRIBE", filters: p.filters.length, last: stamp, awaited: "SUBACK" });
    },
    SUBACK(dir, p, stamp) { this.#codes(dir, p, stamp, "SUBACK", p.codes.length); },
    UNSUBSCRIBE(dir, p, stamp) { this.#begin(dir, p.id, { kind: "UNSUBSCRIBE", filters: p.filters.length, last: stamp, awaited: "UNSUBACK" }); },
    UNSUBACK(dir, p, stamp) { this.#codes(dir, p, stamp, "UNSUBACK", this.version === 5 ? p.codes.length : null); },
    PINGREQ(dir, p, stamp) { if (this.#pings.length < 100) this.#pings.push(stamp); },
    PINGRESP(dir, p, stamp) {
      const ping = this.#pings.shift();
      if (ping) this.#answer(stamp, ping);
      else this.#warn("pong");
    },
    DISCONNECT(dir) { this.#ended[dir] = true; },
    AUTH() { if (!this.#method) this.#warn("auth"); },
  };
}

const other = (dir) => (dir === "in" ? "out" : "in");

// section is where the version says so; empty: it has no such rule. places come from the server.
export function section(places, key, version, own) {
  if (key.startsWith("trace.breach.") && (version === 5 || !version)) return `MQTT 5.0 ${own}`;
  return places[key]?.[{ 5: 0, 4: 1, 3: 2 }[version || 5]] ?? "";
}
