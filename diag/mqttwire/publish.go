package mqttwire

import "strings"

// Publish is a PUBLISH (MQTT 5.0 3.3).
type Publish struct {
	Dup, Retain bool
	QoS         byte
	Topic       string // as it came; empty where a Topic Alias stands in its place
	PacketID    uint16 // 0 at QoS 0
	Payload     []byte // a part of the frame
	Properties
	Violations []*ErrMalformed
}

// Kind is PUBLISH.
func (*Publish) Kind() PacketType { return PUBLISH }

// Breaches lists what is against the specification.
func (p *Publish) Breaches() []*ErrMalformed { return p.Violations }

// DecodePublish decodes a PUBLISH. The error is *ErrMalformed.
func DecodePublish(v Version, f Frame) (*Publish, error) {
	c := newCursor(f)
	p := &Publish{Dup: f.Flags&8 != 0, QoS: f.Flags >> 1 & 3, Retain: f.Flags&1 != 0}
	if p.QoS == 3 { // [MQTT-3.3.1-4]
		c.fail(BreachQoS, "QoS", -1, "3.3.1.2", "", "")
		return p, c.error()
	}
	if p.QoS == 0 && p.Dup { // [MQTT-3.3.1-2]
		c.breach(BreachDUP, "DUP", -1, "3.3.1.1", "", "")
	}
	p.Topic = c.text("Topic Name", "3.3.2.1")
	if strings.ContainsAny(p.Topic, "+#") { // [MQTT-3.3.2-2]
		c.breach(BreachWildcard, "Topic Name", 0, "3.3.2.1", "", "")
	}
	if p.QoS > 0 {
		p.PacketID = c.packetID()
	}
	if v == V5 {
		p.Properties = c.properties()
	}
	if p.Topic == "" && p.TopicAlias == nil { // [MQTT-4.7.3-1]
		c.breach(BreachEmpty, "Topic Name", 0, "4.7.3", "", "")
	}
	p.Payload = c.take(c.left(), "Application Message", "3.3.3")
	p.Violations = c.violations
	return p, c.error()
}
