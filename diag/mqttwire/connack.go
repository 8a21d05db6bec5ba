package mqttwire

import "strconv"

// Connack is a CONNACK (MQTT 5.0 3.2).
type Connack struct {
	Version Version // of the form that it has: that of the CONNECT, but for Legacy
	// Legacy tells that a CONNECT of MQTT 5 was answered in the form of MQTT 3.1.1, without properties: so answer servers
	// that do not know MQTT 5. Code is then a return code of MQTT 3.1.1.
	Legacy         bool
	SessionPresent bool
	Code           byte // 0: accepted
	Properties
	Violations []*ErrMalformed
}

// Kind is CONNACK.
func (*Connack) Kind() PacketType { return CONNACK }

// Breaches lists what is against the specification.
func (c *Connack) Breaches() []*ErrMalformed { return c.Violations }

// Accepted tells whether the connection was accepted.
func (c *Connack) Accepted() bool { return c.Code == 0 && !c.Legacy }

// Reason is the code's name in the specification.
func (c *Connack) Reason() string { return c.info().Name }

func (c *Connack) info() ReasonInfo { return LookupReason(c.Version, CONNACK, c.Code) }

// DecodeConnack decodes a CONNACK that answers a CONNECT of version v. Beside an error it returns what it could read before
// that. The error is *ErrMalformed.
func DecodeConnack(v Version, f Frame) (*Connack, error) {
	c := newCursor(f)
	c.flags(f)
	section := "3.2.2"
	if v != V5 {
		section = "3.1.1 3.2.2"
	}
	ack := &Connack{Version: v}
	flags := c.byte("Connect Acknowledge Flags", section)
	ack.Code = c.byte("Connect Reason Code", section)
	if c.err != nil {
		return ack, c.error()
	}
	ack.SessionPresent = flags&1 != 0
	if v != V31 { // MQTT 3.1 reserves the whole byte and says nothing of its value
		if flags&^1 != 0 { // [MQTT-3.2.2-1]
			c.breach(BreachReserved, "Connect Acknowledge Flags", 0, section+".1", hex(flags), "")
		}
		if ack.SessionPresent && ack.Code != 0 { // [MQTT-3.2.2-6]
			c.breach(BreachSession, "Session Present", 0, section+".1.1", "", "")
		}
	} else {
		ack.SessionPresent = false
	}
	if v == V5 {
		if c.left() == 0 {
			ack.Legacy, ack.Version = true, V311
		} else {
			ack.Properties = c.properties()
		}
	}
	c.end()
	if !ack.info().Known {
		c.breach(BreachReason, "Connect Reason Code", 1, section+".2", hex(ack.Code), "CONNACK")
	}
	if ack.ReceiveMaximum != nil && *ack.ReceiveMaximum == 0 {
		c.breach(BreachZero, "Receive Maximum", -1, "3.2.2.3.3", "", "")
	}
	if ack.MaximumPacketBytes != nil && *ack.MaximumPacketBytes == 0 {
		c.breach(BreachZero, "Maximum Packet Size", -1, "3.2.2.3.6", "", "")
	}
	if ack.MaximumQoS != nil && *ack.MaximumQoS > 1 {
		c.breach(BreachNotBoolean, "Maximum QoS", -1, "3.2.2.3.4", strconv.Itoa(int(*ack.MaximumQoS)), "")
	}
	ack.Violations = c.violations
	return ack, c.error()
}
