package mqttwire

import (
	"bytes"
	"strings"

	paho5 "github.com/eclipse/paho.golang/packets"
	paho3 "github.com/eclipse/paho.mqtt.golang/packets"
)

// Will is a Will Message (MQTT 5.0 3.1.2.5).
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	DelayS  uint32 // MQTT 5 alone
}

// ConnectOptions are what a CONNECT says (MQTT 5.0 3.1).
type ConnectOptions struct {
	Version       Version
	ClientID      string
	Username      *string // nil: no user name
	Password      []byte  // nil: no password
	KeepAlive     uint16  // seconds; 0: off
	CleanStart    bool    // clean session before MQTT 5
	SessionExpiry uint32  // seconds; MQTT 5 alone
	Will          *Will
	// PadBytes makes the CONNECT longer, by a user property in MQTT 5; older versions have no place for it.
	PadBytes int
	// MaxPacketBytes bounds one received packet; 0: 1 MiB.
	MaxPacketBytes int
}

// EncodeConnect makes the bytes of a CONNECT.
func EncodeConnect(o ConnectOptions) []byte {
	var buf bytes.Buffer
	if o.Version == V5 {
		p := &paho5.Connect{ProtocolName: "MQTT", ProtocolVersion: 5, ClientID: o.ClientID, KeepAlive: o.KeepAlive,
			CleanStart: o.CleanStart, Properties: &paho5.Properties{}}
		if o.SessionExpiry > 0 {
			p.Properties.SessionExpiryInterval = &o.SessionExpiry
		}
		for left := o.PadBytes; left > 0; left -= 60000 {
			p.Properties.User = append(p.Properties.User, paho5.User{Key: "pad", Value: strings.Repeat("x", min(left, 60000))})
		}
		if o.Username != nil {
			p.UsernameFlag, p.Username = true, *o.Username
		}
		if o.Password != nil {
			p.PasswordFlag, p.Password = true, o.Password
		}
		if w := o.Will; w != nil {
			p.WillFlag, p.WillTopic, p.WillMessage, p.WillQOS, p.WillRetain = true, w.Topic, w.Payload, w.QoS, w.Retain
			p.WillProperties = &paho5.Properties{}
			if w.DelayS > 0 {
				p.WillProperties.WillDelayInterval = &w.DelayS
			}
		}
		_, _ = p.WriteTo(&buf)
		return buf.Bytes()
	}
	p := paho3.NewControlPacket(paho3.Connect).(*paho3.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion = "MQTT", byte(o.Version)
	if o.Version == V31 {
		p.ProtocolName = "MQIsdp"
	}
	p.ClientIdentifier, p.Keepalive, p.CleanSession = o.ClientID, o.KeepAlive, o.CleanStart
	if o.Username != nil {
		p.UsernameFlag, p.Username = true, *o.Username
	}
	if o.Password != nil {
		p.PasswordFlag, p.Password = true, o.Password
		if o.Username == nil { // [MQTT-3.1.2-22]: no password without a user name before MQTT 5
			p.UsernameFlag = true
		}
	}
	if w := o.Will; w != nil {
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillQos, p.WillRetain = true, w.Topic, w.Payload, w.QoS, w.Retain
	}
	_ = p.Write(&buf)
	return buf.Bytes()
}

func encodeSubscribe(v Version, id uint16, subs []Subscription) []byte {
	var buf bytes.Buffer
	if v == V5 {
		p := &paho5.Subscribe{PacketID: id, Properties: &paho5.Properties{}}
		for _, s := range subs {
			p.Subscriptions = append(p.Subscriptions, paho5.SubOptions{Topic: s.Filter, QoS: s.QoS, NoLocal: s.NoLocal,
				RetainHandling: s.RetainHandling, RetainAsPublished: s.RetainAsPublished})
		}
		_, _ = p.WriteTo(&buf)
		return buf.Bytes()
	}
	p := paho3.NewControlPacket(paho3.Subscribe).(*paho3.SubscribePacket)
	p.MessageID = id
	for _, s := range subs {
		p.Topics, p.Qoss = append(p.Topics, s.Filter), append(p.Qoss, s.QoS)
	}
	_ = p.Write(&buf)
	return buf.Bytes()
}

func encodeUnsubscribe(v Version, id uint16, filters []string) []byte {
	var buf bytes.Buffer
	if v == V5 {
		p := &paho5.Unsubscribe{PacketID: id, Properties: &paho5.Properties{}, Topics: filters}
		_, _ = p.WriteTo(&buf)
		return buf.Bytes()
	}
	p := paho3.NewControlPacket(paho3.Unsubscribe).(*paho3.UnsubscribePacket)
	p.MessageID, p.Topics = id, filters
	_ = p.Write(&buf)
	return buf.Bytes()
}

func encodePublish(v Version, id uint16, m Message) []byte {
	var buf bytes.Buffer
	if v == V5 {
		p := &paho5.Publish{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, PacketID: id, Properties: &paho5.Properties{}}
		_, _ = p.WriteTo(&buf)
		return buf.Bytes()
	}
	p := paho3.NewControlPacket(paho3.Publish).(*paho3.PublishPacket)
	p.TopicName, p.Payload, p.Qos, p.Retain, p.MessageID = m.Topic, m.Payload, m.QoS, m.Retain, id
	_ = p.Write(&buf)
	return buf.Bytes()
}

// ack makes PUBACK, PUBREC, PUBREL or PUBCOMP of success: two bytes of packet identifier suffice in every version
// (MQTT 5.0 3.4.2.1). PUBREL has flag bits 0010.
func ack(kind PacketType, id uint16) []byte {
	first := byte(kind) << 4
	if kind == PUBREL {
		first |= 2
	}
	return []byte{first, 2, byte(id >> 8), byte(id)}
}
