package mqttwire

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxViolations bounds how many breaches are kept of one packet; the first ones tell enough.
const maxViolations = 16

// cursor walks through a packet's body. After the first error every read returns zero and leaves the error as it is, so
// that a decoder needs to look once, at its end.
type cursor struct {
	packet     PacketType
	body       []byte
	off        int
	err        *ErrMalformed
	violations []*ErrMalformed
}

func newCursor(f Frame) *cursor { return &cursor{packet: f.Type, body: f.Body} }

func (c *cursor) left() int { return len(c.body) - c.off }

// fail notes what ends decoding; value and want are those of the code.
func (c *cursor) fail(code Breach, where string, at int, section, value, want string) {
	if c.err == nil {
		c.err = malformed(c.packet, code, where, at, section, value, want)
	}
}

// breach notes something against the rules that can be read all the same.
func (c *cursor) breach(code Breach, where string, at int, section, value, want string) {
	if c.err == nil && len(c.violations) < maxViolations {
		c.violations = append(c.violations, malformed(c.packet, code, where, at, section, value, want))
	}
}

// take returns the next n bytes, as a part of the body.
func (c *cursor) take(n int, where, section string) []byte {
	if c.err != nil {
		return nil
	}
	if n > c.left() {
		c.fail(BreachMissing, where, c.off, section, strconv.Itoa(n-c.left()), "")
		return nil
	}
	part := c.body[c.off : c.off+n]
	c.off += n
	return part
}

func (c *cursor) byte(where, section string) byte {
	if b := c.take(1, where, section); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16(where, section string) uint16 {
	if b := c.take(2, where, section); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32(where, section string) uint32 {
	if b := c.take(4, where, section); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// vbi reads a Variable Byte Integer (MQTT 5.0 1.5.5).
func (c *cursor) vbi(where string) uint32 {
	start, value := c.off, uint32(0)
	for i := range 4 {
		b := c.byte(where, "1.5.5")
		if c.err != nil {
			return 0
		}
		value |= uint32(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			if i > 0 && b == 0 { // [MQTT-1.5.5-1]
				c.breach(BreachNotMinimal, where, start, "1.5.5", strconv.Itoa(int(value)), "")
			}
			return value
		}
	}
	c.fail(BreachEndless, where, start, "1.5.5", "", "")
	return 0
}

// binary reads Binary Data (MQTT 5.0 1.5.6), as a part of the body.
func (c *cursor) binary(where, section string) []byte {
	return c.take(int(c.uint16(where, section)), where, section)
}

// text reads a UTF-8 Encoded String (MQTT 5.0 1.5.4). One that is not UTF-8 is a breach and returned as it came: some
// brokers send reasons in another encoding, and the code beside it still tells.
func (c *cursor) text(where, section string) string {
	start := c.off
	s := string(c.binary(where, section))
	switch {
	case !utf8.ValidString(s): // [MQTT-1.5.4-1]
		c.breach(BreachUTF8, where, start, "1.5.4", "", "")
	case strings.ContainsRune(s, 0): // [MQTT-1.5.4-2]
		c.breach(BreachNUL, where, start, "1.5.4", "", "")
	}
	return s
}

// packetID reads a Packet Identifier (MQTT 5.0 2.2.1).
func (c *cursor) packetID() uint16 {
	start := c.off
	id := c.uint16("Packet Identifier", "2.2.1")
	if id == 0 && c.err == nil { // [MQTT-2.2.1-3]
		c.breach(BreachZero, "Packet Identifier", start, "2.2.1", "", "")
	}
	return id
}

// end notes bytes behind the last field.
func (c *cursor) end() {
	if c.err == nil && c.left() > 0 {
		c.breach(BreachTrailing, "Remaining Length", c.off, "2.1.4", strconv.Itoa(c.left()), "")
	}
}

// flags notes fixed header flags that are not as reserved (MQTT 5.0 2.1.3). Some brokers send PUBREL without them.
func (c *cursor) flags(f Frame) {
	want := byte(0)
	if f.Type == PUBREL || f.Type == SUBSCRIBE || f.Type == UNSUBSCRIBE {
		want = 2
	}
	if f.Flags != want { // [MQTT-2.1.3-1]
		c.breach(BreachFlags, "Flags", -1, "2.1.3", strconv.Itoa(int(f.Flags)), strconv.Itoa(int(want)))
	}
}

// hex is a code as the specification writes it.
func hex(code byte) string { return fmt.Sprintf("0x%02x", code) }

// error returns the error as an interface that is nil where there is none.
func (c *cursor) error() error {
	if c.err == nil {
		return nil
	}
	return c.err
}

// Packet is a decoded packet: one of *Connack, *Publish, *Ack, *Suback, *Unsuback, *Pingresp, *Disconnect, *Auth.
type Packet interface {
	// Kind is the packet's type.
	Kind() PacketType
	// Breaches lists what is against the specification in it and could be read all the same; at most 16.
	Breaches() []*ErrMalformed
}

// Decode decodes a packet that a server may send to a client of the given version. The error is *ErrMalformed.
func Decode(v Version, f Frame) (Packet, error) {
	switch f.Type {
	case CONNACK:
		return keep(DecodeConnack(v, f))
	case PUBLISH:
		return keep(DecodePublish(v, f))
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		return keep(DecodeAck(v, f))
	case SUBACK:
		return keep(DecodeSuback(v, f))
	case UNSUBACK:
		return keep(DecodeUnsuback(v, f))
	case PINGRESP:
		c := newCursor(f)
		c.flags(f)
		c.end() // [MQTT-3.13.1]: no variable header, no payload
		return &Pingresp{Violations: c.violations}, nil
	case DISCONNECT:
		if v == V5 {
			return keep(DecodeDisconnect(v, f))
		}
	case AUTH:
		if v == V5 {
			return keep(DecodeAuth(f))
		}
	}
	return nil, malformed(f.Type, BreachPacket, "packet type", -1, "2.1.2", v.String(), "server")
}

// keep drops the half-decoded packet where there is an error.
func keep[P Packet](p P, err error) (Packet, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Pingresp is a PINGRESP (MQTT 5.0 3.13).
type Pingresp struct{ Violations []*ErrMalformed }

// Kind is PINGRESP.
func (*Pingresp) Kind() PacketType { return PINGRESP }

// Breaches lists what is against the specification.
func (p *Pingresp) Breaches() []*ErrMalformed { return p.Violations }
