package mqttwire

import "strconv"

// UserProperty is one User Property, name and value (MQTT 5.0 2.2.2.2, identifier 38).
type UserProperty struct{ Key, Value string }

// Properties are the properties of an MQTT 5 packet (MQTT 5.0 2.2.2.2). Nil pointers and empty strings mean absent, which
// has a default in each packet's own section. A flag that is neither 0 nor 1 is a breach, and true. Strings are as they
// came.
type Properties struct {
	PayloadFormat           *byte
	MessageExpiry           *uint32 // seconds
	ContentType             string
	ResponseTopic           string
	CorrelationData         []byte
	SubscriptionIDs         []uint32
	SessionExpiry           *uint32 // seconds; 0xFFFFFFFF: does not expire
	AssignedClientID        string
	ServerKeepAlive         *uint16 // seconds
	AuthenticationMethod    string
	AuthenticationData      []byte
	AuthenticationAt        int // where Authentication Data stands in the packet's body; 0: nowhere
	RequestProblemInfo      *byte
	WillDelay               *uint32 // seconds
	RequestResponseInfo     *byte
	ResponseInformation     string
	ServerReference         string
	ReasonString            string
	ReceiveMaximum          *uint16
	TopicAliasMaximum       *uint16
	TopicAlias              *uint16
	MaximumQoS              *byte
	RetainAvailable         *bool
	UserProperties          []UserProperty
	MaximumPacketBytes      *uint32 // bytes
	WildcardAvailable       *bool
	SubscriptionIDAvailable *bool
	SharedAvailable         *bool
}

// in is a set of packet types.
type in uint16

func packets(types ...PacketType) (set in) {
	for _, t := range types {
		set |= 1 << t
	}
	return set
}

// property describes one property: its name, the packets it may stand in, and how it is read.
type property struct {
	name string
	in   in
	read func(c *cursor, p *Properties, name string)
}

var answers = packets(CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH)

// willProperties stands for the will's part of CONNECT, as if it were a packet type: other properties belong there than into
// CONNECT itself.
const willProperties PacketType = 0

// propertyTable is table 2-4 of MQTT 5.0 2.2.2.2.
var propertyTable = map[byte]property{
	0x01: {"Payload Format Indicator", packets(PUBLISH, willProperties), readByte(func(p *Properties) **byte { return &p.PayloadFormat })},
	0x02: {"Message Expiry Interval", packets(PUBLISH, willProperties), readUint32(func(p *Properties) **uint32 { return &p.MessageExpiry })},
	0x03: {"Content Type", packets(PUBLISH, willProperties), readText(func(p *Properties) *string { return &p.ContentType })},
	0x08: {"Response Topic", packets(PUBLISH, willProperties), readText(func(p *Properties) *string { return &p.ResponseTopic })},
	0x09: {"Correlation Data", packets(PUBLISH, willProperties), readBinary(func(p *Properties) *[]byte { return &p.CorrelationData })},
	0x0b: {"Subscription Identifier", packets(PUBLISH, SUBSCRIBE), func(c *cursor, p *Properties, name string) {
		start := c.off
		id := c.vbi(name)
		if id == 0 {
			c.breach(BreachZero, name, start, "3.3.2.3.8", "", "")
		}
		if c.err == nil {
			p.SubscriptionIDs = append(p.SubscriptionIDs, id)
		}
	}},
	0x11: {"Session Expiry Interval", packets(CONNECT, CONNACK, DISCONNECT), readUint32(func(p *Properties) **uint32 { return &p.SessionExpiry })},
	0x12: {"Assigned Client Identifier", packets(CONNACK), readText(func(p *Properties) *string { return &p.AssignedClientID })},
	0x13: {"Server Keep Alive", packets(CONNACK), readUint16(func(p *Properties) **uint16 { return &p.ServerKeepAlive })},
	0x15: {"Authentication Method", packets(CONNECT, CONNACK, AUTH), readText(func(p *Properties) *string { return &p.AuthenticationMethod })},
	0x16: {"Authentication Data", packets(CONNECT, CONNACK, AUTH), func(c *cursor, p *Properties, name string) {
		if b := c.binary(name, "2.2.2.2"); c.err == nil {
			p.AuthenticationData, p.AuthenticationAt = append([]byte{}, b...), c.off-len(b)
		}
	}},
	0x17: {"Request Problem Information", packets(CONNECT), readByte(func(p *Properties) **byte { return &p.RequestProblemInfo })},
	0x18: {"Will Delay Interval", packets(willProperties), readUint32(func(p *Properties) **uint32 { return &p.WillDelay })},
	0x19: {"Request Response Information", packets(CONNECT), readByte(func(p *Properties) **byte { return &p.RequestResponseInfo })},
	0x1a: {"Response Information", packets(CONNACK), readText(func(p *Properties) *string { return &p.ResponseInformation })},
	0x1c: {"Server Reference", packets(CONNACK, DISCONNECT), readText(func(p *Properties) *string { return &p.ServerReference })},
	0x1f: {"Reason String", answers, readText(func(p *Properties) *string { return &p.ReasonString })},
	0x21: {"Receive Maximum", packets(CONNECT, CONNACK), readUint16(func(p *Properties) **uint16 { return &p.ReceiveMaximum })},
	0x22: {"Topic Alias Maximum", packets(CONNECT, CONNACK), readUint16(func(p *Properties) **uint16 { return &p.TopicAliasMaximum })},
	0x23: {"Topic Alias", packets(PUBLISH), readUint16(func(p *Properties) **uint16 { return &p.TopicAlias })},
	0x24: {"Maximum QoS", packets(CONNACK), readByte(func(p *Properties) **byte { return &p.MaximumQoS })},
	0x25: {"Retain Available", packets(CONNACK), readFlag(func(p *Properties) **bool { return &p.RetainAvailable })},
	0x26: {"User Property", answers | packets(CONNECT, willProperties, PUBLISH, SUBSCRIBE, UNSUBSCRIBE), func(c *cursor, p *Properties, name string) {
		key, value := c.text(name, "1.5.7"), c.text(name, "1.5.7")
		if c.err == nil {
			p.UserProperties = append(p.UserProperties, UserProperty{key, value})
		}
	}},
	0x27: {"Maximum Packet Size", packets(CONNECT, CONNACK), readUint32(func(p *Properties) **uint32 { return &p.MaximumPacketBytes })},
	0x28: {"Wildcard Subscription Available", packets(CONNACK), readFlag(func(p *Properties) **bool { return &p.WildcardAvailable })},
	0x29: {"Subscription Identifier Available", packets(CONNACK), readFlag(func(p *Properties) **bool { return &p.SubscriptionIDAvailable })},
	0x2a: {"Shared Subscription Available", packets(CONNACK), readFlag(func(p *Properties) **bool { return &p.SharedAvailable })},
}

func readByte(at func(*Properties) **byte) func(*cursor, *Properties, string) {
	return func(c *cursor, p *Properties, name string) {
		if b := c.byte(name, "2.2.2.2"); c.err == nil {
			*at(p) = &b
		}
	}
}

// readFlag reads a byte that stands for yes or no.
func readFlag(at func(*Properties) **bool) func(*cursor, *Properties, string) {
	return func(c *cursor, p *Properties, name string) {
		start := c.off
		b := c.byte(name, "2.2.2.2")
		if b > 1 {
			c.breach(BreachNotBoolean, name, start, "3.2.2.3", strconv.Itoa(int(b)), "")
		}
		if value := b != 0; c.err == nil {
			*at(p) = &value
		}
	}
}

func readUint16(at func(*Properties) **uint16) func(*cursor, *Properties, string) {
	return func(c *cursor, p *Properties, name string) {
		if n := c.uint16(name, "2.2.2.2"); c.err == nil {
			*at(p) = &n
		}
	}
}

func readUint32(at func(*Properties) **uint32) func(*cursor, *Properties, string) {
	return func(c *cursor, p *Properties, name string) {
		if n := c.uint32(name, "2.2.2.2"); c.err == nil {
			*at(p) = &n
		}
	}
}

func readText(at func(*Properties) *string) func(*cursor, *Properties, string) {
	return func(c *cursor, p *Properties, name string) {
		if s := c.text(name, "2.2.2.2"); c.err == nil {
			*at(p) = s
		}
	}
}

func readBinary(at func(*Properties) *[]byte) func(*cursor, *Properties, string) {
	return func(c *cursor, p *Properties, name string) {
		if b := c.binary(name, "2.2.2.2"); c.err == nil {
			*at(p) = append([]byte{}, b...)
		}
	}
}

// place is where the cursor is, for people.
func (c *cursor) place() string {
	if c.packet == willProperties {
		return "Will Properties"
	}
	return c.packet.String()
}

// properties reads a Property Length and that many bytes of properties (MQTT 5.0 2.2.2).
func (c *cursor) properties() Properties {
	var p Properties
	start := c.off
	length := int(c.vbi("Property Length"))
	if c.err == nil && length > c.left() {
		c.fail(BreachPropertyLength, "Property Length", start, "2.2.2.1", strconv.Itoa(length), strconv.Itoa(c.left()))
	}
	if c.err != nil {
		return p
	}
	whole := c.body
	end := c.off + length
	c.body = whole[:end] // no property reads past the end of the properties
	defer func() { c.body = whole }()
	seen := map[byte]bool{}
	for c.err == nil && c.off < end {
		at := c.off
		id := c.byte("Property Identifier", "2.2.2.2")
		known, ok := propertyTable[id]
		switch {
		case !ok:
			c.fail(BreachPropertyID, "Property Identifier", at, "2.2.2.2", hex(id), "")
			return p
		case known.in&(1<<c.packet) == 0:
			c.fail(BreachPropertyPlace, "Property Identifier", at, "2.2.2.2", known.name, c.place())
			return p
		case seen[id] && id != 0x26 && (id != 0x0b || c.packet != PUBLISH):
			c.breach(BreachTwice, known.name, at, "2.2.2.2", "", "")
		}
		seen[id] = true
		known.read(c, &p, known.name)
	}
	return p
}
