package trace

import (
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag/mqttwire"
)

// directions of a packet, as an index.
const (
	out = 0 // from the client
	in  = 1 // from the broker
)

// checker follows the packets of one connection and says where they break the specification, and what they answer. It judges
// only what it saw: after a gap it takes what it does not know for right. It is pure.
type checker struct {
	version mqttwire.Version // 0: not known yet
	first   [2]bool          // a packet came that way
	ended   [2]bool          // DISCONNECT came that way
	resumed bool             // a session goes on: ids of earlier connections may be answered
	gap     bool             // packets were missed

	connect, connack stamp
	accepted         bool
	method           bool // CONNECT names an authentication method
	keepAlive        time.Duration
	lastOut          time.Time

	side  [2]side // what each side has sent and not seen answered; limits are those that hold for what it sends
	pings []stamp // PINGREQs without answer
}

// stamp is when a packet passed, and its number.
type stamp struct {
	seq uint64
	at  time.Time
}

// side is what one side sends.
type side struct {
	flows   map[uint16]flow
	aliases map[uint16]bool
	flying  int // of flows, publishes that count towards Receive Maximum

	receiveMaximum int    // 0: not known
	packetBytes    uint32 // 0: no limit
	aliasMaximum   int    // -1: not known
	maximumQoS     byte
	noRetain       bool
	noWildcard     bool
	noShared       bool
	noSubID        bool
}

// flow is an exchange that is under way under a Packet Identifier.
type flow struct {
	kind    mqttwire.PacketType // PUBLISH, SUBSCRIBE or UNSUBSCRIBE
	qos     byte
	filters int
	last    stamp // the packet that is to be answered
	awaited mqttwire.PacketType
}

func newChecker() *checker {
	c := &checker{}
	for i := range c.side {
		c.side[i] = side{flows: map[uint16]flow{}, aliases: map[uint16]bool{}, aliasMaximum: -1, maximumQoS: 2}
	}
	return c
}

// missed notes that packets were not seen.
func (c *checker) missed() {
	c.gap = true
	c.pings = nil
	for i := range c.side {
		clear(c.side[i].flows)
		c.side[i].flying = 0
	}
}

// verdict is what the checker says of a packet.
type verdict struct {
	version  mqttwire.Version
	warnings []Warning
	answers  uint64 // number of the packet that this one answers; 0: none
	took     time.Duration
}

// see judges a packet. The packet is nil where it could not be decoded; why says why then.
func (c *checker) see(dir int, frame mqttwire.Frame, length int, packet mqttwire.Packet, why *mqttwire.ErrMalformed, s stamp) verdict {
	v := verdict{version: c.version}
	if connect, ok := packet.(*mqttwire.ConnectPacket); ok && dir == out && c.version == 0 {
		c.version = connect.Version
		v.version = c.version
	}
	if c.ended[dir] {
		c.warn(&v, ruleAfterEnd, "name", frame.Type.String())
	}
	c.order(&v, dir, frame.Type)
	c.breaches(&v, packet, why)
	if limit := c.side[dir].packetBytes; limit > 0 && length > int(limit) {
		c.warn(&v, rulePacketSize, "length", strconv.Itoa(length), "limit", strconv.Itoa(int(limit)))
	}
	if dir == out {
		c.alive(&v, s)
	}
	c.first[dir] = true
	switch p := packet.(type) {
	case *mqttwire.ConnectPacket:
		c.onConnect(p, s)
	case *mqttwire.Connack:
		c.onConnack(&v, p, s)
	case *mqttwire.Publish:
		c.onPublish(&v, dir, p, s)
	case *mqttwire.Ack:
		c.onAck(&v, dir, p, s)
	case *mqttwire.Subscribe:
		c.onSubscribe(&v, dir, p, s)
	case *mqttwire.Unsubscribe:
		c.begin(&v, dir, p.PacketID, flow{kind: mqttwire.UNSUBSCRIBE, filters: len(p.Filters), last: s, awaited: mqttwire.UNSUBACK}, false)
	case *mqttwire.Suback:
		c.answer(&v, dir, p.PacketID, mqttwire.SUBACK, s, len(p.Codes))
	case *mqttwire.Unsuback:
		count := len(p.Codes)
		if c.version != mqttwire.V5 {
			count = -1
		}
		c.answer(&v, dir, p.PacketID, mqttwire.UNSUBACK, s, count)
	case *mqttwire.Pingreq:
		if len(c.pings) < 100 { // nobody waits for more
			c.pings = append(c.pings, s)
		}
	case *mqttwire.Pingresp:
		c.onPong(&v, s)
	case *mqttwire.Disconnect:
		c.ended[dir] = true
	case *mqttwire.Auth:
		if !c.method && !c.gap {
			c.warn(&v, ruleAuth)
		}
	}
	return v
}

// warn adds a warning where the version has such a rule.
func (c *checker) warn(v *verdict, r rule, pairs ...string) {
	version := c.version
	if version == 0 {
		version = mqttwire.V5
	}
	if section := rulePlaces[r].of(version); section != "" {
		v.warnings = append(v.warnings, Warning{Note: note("trace.warn."+string(r), pairs...), Section: section})
	}
}

// order judges what may come when.
func (c *checker) order(v *verdict, dir int, kind mqttwire.PacketType) {
	if c.gap {
		return
	}
	switch {
	case dir == out && !c.first[out] && kind != mqttwire.CONNECT:
		c.warn(v, ruleFirstConnect, "name", kind.String())
	case dir == out && c.first[out] && kind == mqttwire.CONNECT:
		c.warn(v, ruleSecondConnect)
	case dir == in && !c.first[in] && kind != mqttwire.CONNACK && !(kind == mqttwire.AUTH && c.method):
		c.warn(v, ruleFirstConnack, "name", kind.String())
	case dir == in && c.connack.seq > 0 && kind == mqttwire.CONNACK:
		c.warn(v, ruleSecondConnack)
	}
}

func (c *checker) breaches(v *verdict, packet mqttwire.Packet, why *mqttwire.ErrMalformed) {
	var all []*mqttwire.ErrMalformed
	if packet != nil {
		all = packet.Breaches()
	}
	if why != nil {
		all = append(all[:len(all):len(all)], why)
	}
	for _, breach := range all {
		if breach.Code == mqttwire.BreachEmpty && breach.Where == "Topic Name" && c.version == mqttwire.V5 && c.gap {
			continue
		}
		if w, ok := ofBreach(c.version, breach); ok {
			v.warnings = append(v.warnings, w)
		}
	}
}

// alive judges how long the client was silent (MQTT 5.0 3.1.2.10). A server may cut it off after one and a half times the
// interval, so less is no mistake.
func (c *checker) alive(v *verdict, s stamp) {
	if limit := c.keepAlive + c.keepAlive/2; c.keepAlive > 0 && !c.gap && !c.lastOut.IsZero() && s.at.Sub(c.lastOut) > limit {
		c.warn(v, ruleKeepAlive, "duration", seconds(s.at.Sub(c.lastOut)), "keepalive", strconv.Itoa(int(c.keepAlive/time.Second)))
	}
	c.lastOut = s.at
}

func (c *checker) onConnect(p *mqttwire.ConnectPacket, s stamp) {
	if c.connect.seq > 0 {
		return
	}
	c.connect = s
	c.method = p.AuthenticationMethod != ""
	c.keepAlive = time.Duration(p.KeepAlive) * time.Second
	c.resumed = !p.CleanStart // until CONNACK tells
	server := &c.side[in]
	server.receiveMaximum, server.aliasMaximum = 65535, 0 // MQTT 5.0 3.1.2.11.3, 3.1.2.11.5
	if p.ReceiveMaximum != nil {
		server.receiveMaximum = int(*p.ReceiveMaximum)
	}
	if p.TopicAliasMaximum != nil {
		server.aliasMaximum = int(*p.TopicAliasMaximum)
	}
	if p.MaximumPacketBytes != nil {
		server.packetBytes = *p.MaximumPacketBytes
	}
}

func (c *checker) onConnack(v *verdict, p *mqttwire.Connack, s stamp) {
	if c.connack.seq > 0 {
		return
	}
	c.connack = s
	c.accepted = p.Code == 0
	if c.connect.seq > 0 {
		v.answers, v.took = c.connect.seq, s.at.Sub(c.connect.at)
	}
	if p.Legacy {
		c.version = mqttwire.V311 // what the server speaks
		v.version = c.version
	}
	if c.version != mqttwire.V31 { // MQTT 3.1 does not tell
		c.resumed = p.SessionPresent
	}
	if p.ServerKeepAlive != nil {
		c.keepAlive = time.Duration(*p.ServerKeepAlive) * time.Second
	}
	client := &c.side[out]
	client.receiveMaximum, client.aliasMaximum = 65535, 0 // MQTT 5.0 3.2.2.3.3, 3.2.2.3.8
	if p.ReceiveMaximum != nil {
		client.receiveMaximum = int(*p.ReceiveMaximum)
	}
	if p.TopicAliasMaximum != nil {
		client.aliasMaximum = int(*p.TopicAliasMaximum)
	}
	if p.MaximumPacketBytes != nil {
		client.packetBytes = *p.MaximumPacketBytes
	}
	if p.MaximumQoS != nil {
		client.maximumQoS = *p.MaximumQoS
	}
	client.noRetain = unavailable(p.RetainAvailable)
	client.noWildcard = unavailable(p.WildcardAvailable)
	client.noShared = unavailable(p.SharedAvailable)
	client.noSubID = unavailable(p.SubscriptionIDAvailable)
}

func unavailable(flag *bool) bool { return flag != nil && !*flag }

func (c *checker) onPublish(v *verdict, dir int, p *mqttwire.Publish, s stamp) {
	side := &c.side[dir]
	if p.QoS > side.maximumQoS {
		c.warn(v, ruleMaximumQoS, "qos", strconv.Itoa(int(p.QoS)), "limit", strconv.Itoa(int(side.maximumQoS)))
	}
	if p.Retain && side.noRetain {
		c.warn(v, ruleRetain)
	}
	if dir == out && len(p.SubscriptionIDs) > 0 {
		c.warn(v, ruleClientSubID)
	}
	if strings.ContainsAny(p.ResponseTopic, "+#") {
		c.warn(v, ruleResponseTopic, "topic", p.ResponseTopic)
	}
	if p.TopicAlias != nil {
		c.onAlias(v, side, *p.TopicAlias, p.Topic)
	}
	if p.QoS == 0 {
		return
	}
	awaited := mqttwire.PUBACK
	if p.QoS == 2 {
		awaited = mqttwire.PUBREC
	}
	c.begin(v, dir, p.PacketID, flow{kind: mqttwire.PUBLISH, qos: p.QoS, last: s, awaited: awaited}, p.Dup)
	if limit := side.receiveMaximum; limit > 0 && side.flying > limit {
		c.warn(v, ruleReceiveMaximum, "count", strconv.Itoa(side.flying), "limit", strconv.Itoa(limit))
	}
}

func (c *checker) onAlias(v *verdict, side *side, alias uint16, topic string) {
	switch {
	case alias == 0:
		c.warn(v, ruleAliasZero)
	case side.aliasMaximum >= 0 && int(alias) > side.aliasMaximum:
		c.warn(v, ruleAliasMaximum, "value", strconv.Itoa(int(alias)), "limit", strconv.Itoa(side.aliasMaximum))
	case topic != "":
		side.aliases[alias] = true
	case !side.aliases[alias] && !c.gap:
		c.warn(v, ruleAliasUnknown, "value", strconv.Itoa(int(alias)))
	}
}

func (c *checker) onSubscribe(v *verdict, dir int, p *mqttwire.Subscribe, s stamp) {
	side := &c.side[dir]
	if len(p.SubscriptionIDs) > 0 && side.noSubID {
		c.warn(v, ruleSubID)
	}
	for _, f := range p.Filters {
		if side.noWildcard && strings.ContainsAny(f.Filter, "+#") {
			c.warn(v, ruleWildcard, "filter", f.Filter)
			break
		}
	}
	for _, f := range p.Filters {
		if side.noShared && f.Shared() {
			c.warn(v, ruleShared, "filter", f.Filter)
			break
		}
	}
	c.begin(v, dir, p.PacketID, flow{kind: mqttwire.SUBSCRIBE, filters: len(p.Filters), last: s, awaited: mqttwire.SUBACK}, false)
}

// begin takes up an exchange.
func (c *checker) begin(v *verdict, dir int, id uint16, f flow, again bool) {
	if id == 0 {
		return
	}
	side := &c.side[dir]
	old, busy := side.flows[id]
	switch {
	case busy && again && old.kind == f.kind:
		c.warn(v, ruleRepeat, "value", strconv.Itoa(int(id)))
	case busy:
		c.warn(v, ruleIDInUse, "value", strconv.Itoa(int(id)), "name", old.kind.String())
	}
	if f.kind == mqttwire.PUBLISH && !(busy && old.kind == mqttwire.PUBLISH) {
		side.flying++
	}
	if busy && old.kind == mqttwire.PUBLISH && f.kind != mqttwire.PUBLISH {
		side.flying--
	}
	side.flows[id] = f
}

// onAck judges PUBACK, PUBREC, PUBREL and PUBCOMP, which answer a PUBLISH of the other side, but for PUBREL, which goes on
// with one's own.
func (c *checker) onAck(v *verdict, dir int, p *mqttwire.Ack, s stamp) {
	owner := &c.side[1-dir]
	if p.Type == mqttwire.PUBREL {
		owner = &c.side[dir]
	}
	f, ok := owner.flows[p.PacketID]
	if !ok || f.kind != mqttwire.PUBLISH {
		// A PUBREL may end an exchange of an earlier connection, and PUBCOMP has a code for an id that is not known.
		if !c.resumed && !c.gap && !(p.Type == mqttwire.PUBCOMP && p.Code == 0x92) && p.PacketID != 0 {
			c.warn(v, ruleUnknownID, "name", p.Type.String(), "value", strconv.Itoa(int(p.PacketID)))
		}
		if p.Type == mqttwire.PUBREL { // its PUBCOMP answers it all the same
			owner.flows[p.PacketID] = flow{kind: mqttwire.PUBLISH, qos: 2, last: s, awaited: mqttwire.PUBCOMP}
			owner.flying++
		}
		return
	}
	v.answers, v.took = f.last.seq, s.at.Sub(f.last.at)
	if p.Type != f.awaited {
		repeated := p.Type == mqttwire.PUBREC && f.awaited == mqttwire.PUBCOMP || p.Type == mqttwire.PUBREL && f.awaited == mqttwire.PUBCOMP
		if repeated {
			c.warn(v, ruleRepeat, "value", strconv.Itoa(int(p.PacketID)))
		} else {
			c.warn(v, ruleWrongAnswer, "name", p.Type.String(), "expected", f.awaited.String())
		}
	}
	switch {
	case p.Type == mqttwire.PUBREC && p.Code < 0x80:
		f.last, f.awaited = s, mqttwire.PUBREL
	case p.Type == mqttwire.PUBREL:
		f.last, f.awaited = s, mqttwire.PUBCOMP
	default: // PUBACK, PUBCOMP, or a PUBREC that refuses: the id is free
		delete(owner.flows, p.PacketID)
		owner.flying--
		return
	}
	owner.flows[p.PacketID] = f
}

// answer judges SUBACK and UNSUBACK; count is how many codes it has, -1: it has none by nature.
func (c *checker) answer(v *verdict, dir int, id uint16, kind mqttwire.PacketType, s stamp, count int) {
	owner := &c.side[1-dir]
	f, ok := owner.flows[id]
	if !ok || f.awaited != kind {
		if !c.gap && id != 0 {
			c.warn(v, ruleUnknownID, "name", kind.String(), "value", strconv.Itoa(int(id)))
		}
		return
	}
	delete(owner.flows, id)
	v.answers, v.took = f.last.seq, s.at.Sub(f.last.at)
	if count >= 0 && count != f.filters {
		c.warn(v, ruleCodes, "count", strconv.Itoa(count), "total", strconv.Itoa(f.filters))
	}
}

func (c *checker) onPong(v *verdict, s stamp) {
	if len(c.pings) == 0 {
		if !c.gap {
			c.warn(v, rulePong)
		}
		return
	}
	v.answers, v.took = c.pings[0].seq, s.at.Sub(c.pings[0].at)
	c.pings = c.pings[1:]
}
