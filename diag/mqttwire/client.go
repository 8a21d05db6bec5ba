package mqttwire

import (
	"strconv"
	"strings"
)

// DecodeClient decodes a packet that a client of the given version may send; the version of a CONNECT is its own. The error is
// *ErrMalformed.
func DecodeClient(v Version, f Frame) (Packet, error) {
	switch f.Type {
	case CONNECT:
		return keep(DecodeConnect(f))
	case PUBLISH:
		return keep(DecodePublish(v, f))
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		return keep(DecodeAck(v, f))
	case SUBSCRIBE:
		return keep(DecodeSubscribe(v, f))
	case UNSUBSCRIBE:
		return keep(DecodeUnsubscribe(v, f))
	case PINGREQ:
		c := newCursor(f)
		c.flags(f)
		c.end()
		return &Pingreq{Violations: c.violations}, nil
	case DISCONNECT:
		return keep(DecodeDisconnect(v, f)) // without a body before MQTT 5
	case AUTH:
		if v == V5 {
			return keep(DecodeAuth(f))
		}
	}
	return nil, malformed(f.Type, BreachPacket, "packet type", -1, "2.1.2", v.String(), "client")
}

// Pingreq is a PINGREQ (MQTT 5.0 3.12).
type Pingreq struct{ Violations []*ErrMalformed }

// Kind is PINGREQ.
func (*Pingreq) Kind() PacketType { return PINGREQ }

// Breaches lists what is against the specification.
func (p *Pingreq) Breaches() []*ErrMalformed { return p.Violations }

// ConnectPacket is a CONNECT (MQTT 5.0 3.1).
type ConnectPacket struct {
	Protocol   string // the protocol name
	Version    Version
	CleanStart bool // Clean Session before MQTT 5
	KeepAlive  uint16
	ClientID   string
	Will       *ConnectWill
	Username   *string // nil: no user name
	// PasswordAt is where the password stands in the frame's body, 0 for none, and PasswordBytes how long it is. Its bytes are
	// not kept.
	PasswordAt, PasswordBytes int
	HasPassword               bool
	Properties
	Violations []*ErrMalformed
}

// ConnectWill is the will in a CONNECT.
type ConnectWill struct {
	Topic   string
	Payload []byte // a part of the frame
	QoS     byte
	Retain  bool
	Properties
}

// Kind is CONNECT.
func (*ConnectPacket) Kind() PacketType { return CONNECT }

// Breaches lists what is against the specification.
func (p *ConnectPacket) Breaches() []*ErrMalformed { return p.Violations }

// maxClientID31 is the length of client identifiers in characters that MQTT 3.1 allows (MQTT 3.1 3.1).
const maxClientID31 = 23

// maxProtocolShown is how much of a wrong protocol name is told: as much as a right one has. What follows may be anything.
const maxProtocolShown = len("MQIsdp")

// DecodeConnect decodes a CONNECT of any version. Beside an error it returns what it could read before that. The error is
// *ErrMalformed.
func DecodeConnect(f Frame) (*ConnectPacket, error) {
	c := newCursor(f)
	c.flags(f)
	p := &ConnectPacket{Protocol: c.text("Protocol Name", "3.1.2.1")}
	p.Version = Version(c.byte("Protocol Version", "3.1.2.2"))
	if c.err == nil && (!p.Version.valid() || p.Protocol != p.Version.protocolName()) { // [MQTT-3.1.2-1], [MQTT-3.1.2-2]
		c.fail(BreachProtocol, "Protocol Name", 0, "3.1.2.1", strconv.Quote(p.Protocol[:min(len(p.Protocol), maxProtocolShown)])+" "+strconv.Itoa(int(p.Version)), "")
	}
	flags := c.byte("Connect Flags", "3.1.2.3")
	p.KeepAlive = c.uint16("Keep Alive", "3.1.2.10")
	if c.err != nil {
		return p, c.error()
	}
	p.CleanStart = flags&2 != 0
	will, willQoS, willRetain := flags&4 != 0, flags>>3&3, flags&0x20 != 0
	user, password := flags&0x80 != 0, flags&0x40 != 0
	switch {
	case flags&1 != 0 && p.Version != V31: // [MQTT-3.1.2-3]
		c.breach(BreachReserved, "Connect Flags", -1, "3.1.2.3", hex(flags), "")
	case willQoS == 3: // [MQTT-3.1.2-12]
		c.breach(BreachQoS, "Will QoS", -1, "3.1.2.6", "", "")
	case !will && (willQoS > 0 || willRetain): // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
		c.breach(BreachWillFlags, "Connect Flags", -1, "3.1.2.6", "", "")
	case password && !user && p.Version != V5: // MQTT 3.1.1 [MQTT-3.1.2-22]
		c.breach(BreachNoUser, "Password Flag", -1, "3.1.2.9", "", "")
	}
	if p.Version == V5 {
		p.Properties = c.properties()
		p.checkProperties(c)
	}
	p.ClientID = c.text("Client Identifier", "3.1.3.1")
	p.checkClientID(c)
	if will {
		p.Will = c.will(p.Version)
		if p.Will != nil {
			p.Will.QoS, p.Will.Retain = willQoS, willRetain
		}
	}
	if user {
		if name := c.text("User Name", "3.1.3.5"); c.err == nil {
			p.Username = &name
		}
	}
	if password {
		if secret := c.binary("Password", "3.1.3.6"); c.err == nil {
			p.HasPassword, p.PasswordBytes, p.PasswordAt = true, len(secret), c.off-len(secret)
		}
	}
	c.end()
	p.Violations = c.violations
	return p, c.error()
}

func (p *ConnectPacket) checkProperties(c *cursor) {
	if p.ReceiveMaximum != nil && *p.ReceiveMaximum == 0 {
		c.breach(BreachZero, "Receive Maximum", -1, "3.1.2.11.3", "", "")
	}
	if p.MaximumPacketBytes != nil && *p.MaximumPacketBytes == 0 {
		c.breach(BreachZero, "Maximum Packet Size", -1, "3.1.2.11.4", "", "")
	}
	if p.RequestResponseInfo != nil && *p.RequestResponseInfo > 1 {
		c.breach(BreachNotBoolean, "Request Response Information", -1, "3.1.2.11.6", strconv.Itoa(int(*p.RequestResponseInfo)), "")
	}
	if p.RequestProblemInfo != nil && *p.RequestProblemInfo > 1 {
		c.breach(BreachNotBoolean, "Request Problem Information", -1, "3.1.2.11.7", strconv.Itoa(int(*p.RequestProblemInfo)), "")
	}
	if p.AuthenticationData != nil && p.AuthenticationMethod == "" {
		c.breach(BreachAuthData, "Authentication Data", -1, "3.1.2.11.10", "", "")
	}
}

func (p *ConnectPacket) checkClientID(c *cursor) {
	switch n := len([]rune(p.ClientID)); {
	case c.err != nil:
	case n == 0 && p.Version == V311 && !p.CleanStart: // MQTT 3.1.1 [MQTT-3.1.3-7]
		c.breach(BreachClientID, "Client Identifier", -1, "3.1.3.1", "", "")
	case n == 0 && p.Version == V31:
		c.breach(BreachEmpty, "Client Identifier", -1, "3.1.3.1", "", "")
	case n > maxClientID31 && p.Version == V31:
		c.breach(BreachClientIDLong, "Client Identifier", -1, "3.1.3.1", strconv.Itoa(n), "")
	}
}

// will reads the will's part of a CONNECT (MQTT 5.0 3.1.3.2 to 3.1.3.4).
func (c *cursor) will(v Version) *ConnectWill {
	w := &ConnectWill{}
	if v == V5 {
		c.packet = willProperties
		w.Properties = c.properties()
		c.packet = CONNECT
	}
	start := c.off
	w.Topic = c.text("Will Topic", "3.1.3.3")
	switch {
	case c.err != nil:
	case w.Topic == "":
		c.breach(BreachEmpty, "Will Topic", start, "3.1.3.3", "", "")
	case strings.ContainsAny(w.Topic, "+#"):
		c.breach(BreachWildcard, "Will Topic", start, "3.1.3.3", "", "")
	}
	w.Payload = c.binary("Will Payload", "3.1.3.4")
	if c.err != nil {
		return nil
	}
	return w
}

// Subscribe is a SUBSCRIBE (MQTT 5.0 3.8).
type Subscribe struct {
	PacketID uint16
	Filters  []Subscription
	Properties
	Violations []*ErrMalformed
}

// Shared tells whether the filter is that of a shared subscription, which MQTT 5 alone has.
func (s Subscription) Shared() bool { return strings.HasPrefix(s.Filter, "$share/") }

// Kind is SUBSCRIBE.
func (*Subscribe) Kind() PacketType { return SUBSCRIBE }

// Breaches lists what is against the specification.
func (s *Subscribe) Breaches() []*ErrMalformed { return s.Violations }

// DecodeSubscribe decodes a SUBSCRIBE. Beside an error it returns what it could read before that. The error is *ErrMalformed.
func DecodeSubscribe(v Version, f Frame) (*Subscribe, error) {
	c := newCursor(f)
	c.flags(f)
	s := &Subscribe{PacketID: c.packetID()}
	if v == V5 {
		s.Properties = c.properties()
	}
	if c.err == nil && c.left() == 0 { // [MQTT-3.8.3-2]
		c.breach(BreachNoFilter, "Topic Filter", c.off, "3.8.3", "", "")
	}
	for c.err == nil && c.left() > 0 {
		filter := c.filter("3.8.3")
		at := c.off
		options := c.byte("Subscription Options", "3.8.3.1")
		if c.err != nil {
			break
		}
		one := Subscription{Filter: filter, QoS: options & 3}
		reserved := options &^ 3
		if v == V5 {
			one.NoLocal, one.RetainAsPublished, one.RetainHandling = options&4 != 0, options&8 != 0, options>>4&3
			reserved = options & 0xc0
			if one.RetainHandling == 3 {
				c.breach(BreachRetainValue, "Retain Handling", at, "3.8.3.1", "", "")
			}
			if one.NoLocal && one.Shared() { // [MQTT-3.8.3-4]
				c.breach(BreachNoLocal, "No Local", at, "3.8.3.1", "", "")
			}
		}
		if reserved != 0 && v != V31 { // [MQTT-3.8.3-5]
			c.breach(BreachReserved, "Subscription Options", at, "3.8.3.1", hex(options), "")
		}
		if one.QoS == 3 {
			c.breach(BreachQoS, "Maximum QoS", at, "3.8.3.1", "", "")
		}
		s.Filters = append(s.Filters, one)
	}
	s.Violations = c.violations
	return s, c.error()
}

// filter reads a Topic Filter.
func (c *cursor) filter(section string) string {
	start := c.off
	filter := c.text("Topic Filter", section)
	if c.err == nil {
		if fault, ok := ValidateTopicFilter(filter).(*ErrTopic); ok && fault.Fault != TopicNotUTF8 && fault.Fault != TopicNUL {
			c.breach(BreachFilter, "Topic Filter", start, "4.7.1", filter, string(fault.Fault))
		}
	}
	return filter
}

// Unsubscribe is an UNSUBSCRIBE (MQTT 5.0 3.10).
type Unsubscribe struct {
	PacketID uint16
	Filters  []string
	Properties
	Violations []*ErrMalformed
}

// Kind is UNSUBSCRIBE.
func (*Unsubscribe) Kind() PacketType { return UNSUBSCRIBE }

// Breaches lists what is against the specification.
func (u *Unsubscribe) Breaches() []*ErrMalformed { return u.Violations }

// DecodeUnsubscribe decodes an UNSUBSCRIBE. Beside an error it returns what it could read before that. The error is
// *ErrMalformed.
func DecodeUnsubscribe(v Version, f Frame) (*Unsubscribe, error) {
	c := newCursor(f)
	c.flags(f)
	u := &Unsubscribe{PacketID: c.packetID()}
	if v == V5 {
		u.Properties = c.properties()
	}
	if c.err == nil && c.left() == 0 { // [MQTT-3.10.3-2]
		c.breach(BreachNoFilter, "Topic Filter", c.off, "3.10.3", "", "")
	}
	for c.err == nil && c.left() > 0 {
		if filter := c.filter("3.10.3"); c.err == nil {
			u.Filters = append(u.Filters, filter)
		}
	}
	u.Violations = c.violations
	return u, c.error()
}
