package mqttwire

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP (MQTT 5.0 3.4 to 3.7).
type Ack struct {
	Type     PacketType
	PacketID uint16
	Code     byte // MQTT 5; 0 where left out, and always in MQTT 3
	Properties
	Violations []*ErrMalformed
}

// Kind is the packet's type.
func (a *Ack) Kind() PacketType { return a.Type }

// Breaches lists what is against the specification.
func (a *Ack) Breaches() []*ErrMalformed { return a.Violations }

// DecodeAck decodes a PUBACK, PUBREC, PUBREL or PUBCOMP. The error is *ErrMalformed.
func DecodeAck(v Version, f Frame) (*Ack, error) {
	c := newCursor(f)
	c.flags(f)
	a := &Ack{Type: f.Type, PacketID: c.packetID()}
	a.Code, a.Properties = c.tail(v)
	a.Violations = c.violations
	return a, c.error()
}

// tail reads a reason code and properties, each of which may be left out at the end (MQTT 5.0 3.4.2.1, 3.4.2.2.1), and notes
// what is left.
func (c *cursor) tail(v Version) (code byte, p Properties) {
	if v == V5 && c.err == nil && c.left() > 0 {
		at := c.off
		code = c.byte("Reason Code", "2.4")
		if !LookupReason(v, c.packet, code).Known {
			c.breach(BreachReason, "Reason Code", at, "2.4", hex(code), c.packet.String())
		}
		if c.left() > 0 {
			p = c.properties()
		}
	}
	c.end()
	return code, p
}

// Suback is a SUBACK (MQTT 5.0 3.9).
type Suback struct {
	PacketID uint16
	Codes    []byte // one for each filter of the SUBSCRIBE: the granted QoS, or 0x80 and above
	Properties
	Violations []*ErrMalformed
}

// Kind is SUBACK.
func (*Suback) Kind() PacketType { return SUBACK }

// Breaches lists what is against the specification.
func (s *Suback) Breaches() []*ErrMalformed { return s.Violations }

// DecodeSuback decodes a SUBACK. The error is *ErrMalformed.
func DecodeSuback(v Version, f Frame) (*Suback, error) {
	c := newCursor(f)
	c.flags(f)
	s := &Suback{PacketID: c.packetID()}
	if v == V5 {
		s.Properties = c.properties()
	}
	s.Codes = c.codes(v)
	s.Violations = c.violations
	return s, c.error()
}

// codes reads reason codes up to the end.
func (c *cursor) codes(v Version) []byte {
	if c.err != nil {
		return nil
	}
	at := c.off
	codes := append([]byte{}, c.take(c.left(), "Reason Codes", "3.9.3")...)
	for i, code := range codes {
		if !LookupReason(v, c.packet, code).Known {
			c.breach(BreachReason, "Reason Code", at+i, "3.9.3", hex(code), c.packet.String())
		}
	}
	return codes
}

// Unsuback is an UNSUBACK (MQTT 5.0 3.11).
type Unsuback struct {
	PacketID uint16
	Codes    []byte // MQTT 5: one for each filter; none in MQTT 3
	Properties
	Violations []*ErrMalformed
}

// Kind is UNSUBACK.
func (*Unsuback) Kind() PacketType { return UNSUBACK }

// Breaches lists what is against the specification.
func (u *Unsuback) Breaches() []*ErrMalformed { return u.Violations }

// DecodeUnsuback decodes an UNSUBACK. The error is *ErrMalformed.
func DecodeUnsuback(v Version, f Frame) (*Unsuback, error) {
	c := newCursor(f)
	c.flags(f)
	u := &Unsuback{PacketID: c.packetID()}
	if v == V5 {
		u.Properties = c.properties()
		u.Codes = c.codes(v)
	}
	c.end()
	u.Violations = c.violations
	return u, c.error()
}

// Disconnect is a DISCONNECT that a server sent (MQTT 5.0 3.14).
type Disconnect struct {
	Code byte
	Properties
	Violations []*ErrMalformed
}

// Kind is DISCONNECT.
func (*Disconnect) Kind() PacketType { return DISCONNECT }

// Breaches lists what is against the specification.
func (d *Disconnect) Breaches() []*ErrMalformed { return d.Violations }

// Reason is the code's name in the specification.
func (d *Disconnect) Reason() string { return LookupReason(V5, DISCONNECT, d.Code).Name }

// DecodeDisconnect decodes a DISCONNECT. The error is *ErrMalformed.
func DecodeDisconnect(v Version, f Frame) (*Disconnect, error) {
	c := newCursor(f)
	c.flags(f)
	d := &Disconnect{}
	d.Code, d.Properties = c.tail(v)
	d.Violations = c.violations
	return d, c.error()
}

// Auth is an AUTH (MQTT 5.0 3.15).
type Auth struct {
	Code byte
	Properties
	Violations []*ErrMalformed
}

// Kind is AUTH.
func (*Auth) Kind() PacketType { return AUTH }

// Breaches lists what is against the specification.
func (a *Auth) Breaches() []*ErrMalformed { return a.Violations }

// DecodeAuth decodes an AUTH. The error is *ErrMalformed.
func DecodeAuth(f Frame) (*Auth, error) {
	c := newCursor(f)
	c.flags(f)
	a := &Auth{}
	a.Code, a.Properties = c.tail(V5)
	a.Violations = c.violations
	return a, c.error()
}
