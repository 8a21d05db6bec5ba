package mqttwire

import (
	"bytes"
	"fmt"
	"strings"

	v5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	v3 "github.com/eclipse/paho.mqtt.golang/packets"
)

// Will is a Will Message (MQTT 5.0 3.1.2.5).
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	DelayS  uint32 // Will Delay Interval in seconds, of MQTT 5 alone
}

// ConnectOptions are what a CONNECT says (MQTT 5.0 3.1).
type ConnectOptions struct {
	Version   Version
	ClientID  string
	Username  *string // nil: no user name
	Password  []byte  // nil: no password; before MQTT 5 only beside a user name
	KeepAlive uint16  // seconds; 0: off. The session sends no PINGREQ of its own accord
	// CleanStart is Clean Session before MQTT 5.
	CleanStart    bool
	SessionExpiry uint32 // seconds; 0xFFFFFFFF: never; of MQTT 5 alone
	Will          *Will

	// The rest of what is sent is of MQTT 5 alone, and left out where it is zero, but for ReceiveMaximum.
	ReceiveMaximum   uint16 // 0: 1024, so that a server cannot make us hold 65,535 messages
	AnnouncedMaximum uint32 // Maximum Packet Size in bytes; the server then drops larger messages without a word (MQTT 5.0 3.1.2.11.4)
	UserProperties   []UserProperty
	// RequestResponseInfo asks for Response Information in the CONNACK.
	RequestResponseInfo bool
	// PadBytes makes the CONNECT about that much longer, by user properties; older versions have no place for it.
	PadBytes int

	// MaxPacketBytes bounds what is read of one packet, and is not sent: a larger one ends the session. 0: 1 MiB.
	MaxPacketBytes int
}

const (
	defaultReceiveMaximum = 1024
	maxText               = 65535 // bytes of a string (MQTT 5.0 1.5.4)
	padChunk              = 60000
	maxPad                = 16 << 20
)

// check tells what cannot be put into a CONNECT. What a server may refuse (an empty client identifier, say) can.
func (o ConnectOptions) check() error {
	for _, field := range []struct {
		name  string
		bytes int
	}{{"client identifier", len(o.ClientID)}, {"password", len(o.Password)}, {"user name", len(text(o.Username))}} {
		if field.bytes > maxText {
			return fmt.Errorf("the %s has %d bytes, more than 65535", field.name, field.bytes)
		}
	}
	for _, p := range o.UserProperties {
		if len(p.Key) > maxText || len(p.Value) > maxText {
			return fmt.Errorf("a user property has more than 65535 bytes")
		}
	}
	switch w := o.Will; {
	case !o.Version.valid():
		return fmt.Errorf("%s is no MQTT version", o.Version)
	case o.Version != V5 && o.Password != nil && o.Username == nil: // [MQTT-3.1.2-22] of MQTT 3.1.1
		return fmt.Errorf("MQTT %s has no password without a user name", o.Version)
	case o.PadBytes < 0 || o.PadBytes > maxPad:
		return fmt.Errorf("%d bytes of padding are out of bounds", o.PadBytes)
	case w != nil && w.QoS > 2:
		return fmt.Errorf("there is no QoS %d", w.QoS)
	case w != nil && (len(w.Topic) > maxText || len(w.Payload) > maxText):
		return fmt.Errorf("the will has more than 65535 bytes")
	}
	return nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// connect5 is the CONNECT for paho.
func (o ConnectOptions) connect5() *paho.Connect {
	if o.ReceiveMaximum == 0 {
		o.ReceiveMaximum = defaultReceiveMaximum
	}
	p := &paho.Connect{ClientID: o.ClientID, KeepAlive: o.KeepAlive, CleanStart: o.CleanStart,
		UsernameFlag: o.Username != nil, Username: text(o.Username), PasswordFlag: o.Password != nil, Password: o.Password,
		Properties: &paho.ConnectProperties{
			ReceiveMaximum: &o.ReceiveMaximum,
			// paho sends 0 where this is not set, and the server then leaves its reason strings out (MQTT 5.0 3.1.2.11.7).
			RequestProblemInfo:  true,
			RequestResponseInfo: o.RequestResponseInfo,
		}}
	if o.SessionExpiry > 0 {
		p.Properties.SessionExpiryInterval = &o.SessionExpiry
	}
	if o.AnnouncedMaximum > 0 {
		p.Properties.MaximumPacketSize = &o.AnnouncedMaximum
	}
	for _, user := range o.UserProperties {
		p.Properties.User.Add(user.Key, user.Value)
	}
	for left := o.PadBytes; left > 0; left -= padChunk {
		p.Properties.User.Add("pad", strings.Repeat("x", min(left, padChunk)))
	}
	if w := o.Will; w != nil {
		p.WillMessage = &paho.WillMessage{Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain}
		p.WillProperties = &paho.WillProperties{}
		if w.DelayS > 0 {
			p.WillProperties.WillDelayInterval = &w.DelayS
		}
	}
	return p
}

// EncodeConnect makes the bytes of the CONNECT that [Connect] sends; nil where the options cannot be put into one. They hold
// the password.
func EncodeConnect(o ConnectOptions) []byte {
	if o.check() != nil {
		return nil
	}
	var buf bytes.Buffer
	if o.Version == V5 {
		p := o.connect5().Packet()
		p.ProtocolName, p.ProtocolVersion = V5.protocolName(), byte(V5)
		_, _ = p.WriteTo(&buf) // a buffer takes everything
		return buf.Bytes()
	}
	p := v3.NewControlPacket(v3.Connect).(*v3.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion = o.Version.protocolName(), byte(o.Version)
	p.ClientIdentifier, p.Keepalive, p.CleanSession = o.ClientID, o.KeepAlive, o.CleanStart
	p.UsernameFlag, p.Username = o.Username != nil, text(o.Username)
	p.PasswordFlag, p.Password = o.Password != nil, o.Password
	if w := o.Will; w != nil {
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillQos, p.WillRetain = true, w.Topic, w.Payload, w.QoS, w.Retain
	}
	return encode3(p)
}

func encode3(p v3.ControlPacket) []byte {
	var buf bytes.Buffer
	_ = p.Write(&buf) // a buffer takes everything
	return buf.Bytes()
}

func encode5(p v5.Packet) []byte {
	var buf bytes.Buffer
	_, _ = p.WriteTo(&buf)
	return buf.Bytes()
}

// checkMessage tells what cannot be put into a PUBLISH. Topics are not judged beyond that: a server's answer to a bad one
// may be what is asked for.
func checkMessage(m Message) error {
	switch {
	case m.QoS > 2:
		return invalid("there is no QoS %d", m.QoS)
	case len(m.Topic) > maxText:
		return invalid("the topic has %d bytes, more than 65535", len(m.Topic))
	case m.Topic == "" && m.TopicAlias == 0: // it is malformed in every version
		return invalid("the topic is empty")
	case len(m.Payload) > maxRemaining-maxText-64:
		return invalid("the payload has %d bytes, more than a packet can carry", len(m.Payload))
	}
	return nil
}

func checkSubscriptions(subs []Subscription) error {
	filters := make([]string, len(subs))
	for i, s := range subs {
		if s.QoS > 2 || s.RetainHandling > 2 {
			return invalid("there is no QoS %d or retain handling %d", s.QoS, s.RetainHandling)
		}
		filters[i] = s.Filter
	}
	return checkFilters(filters)
}

func checkFilters(filters []string) error {
	if len(filters) == 0 { // [MQTT-3.8.3-2]
		return invalid("there is no filter")
	}
	total := 0
	for _, filter := range filters {
		if len(filter) > maxText {
			return invalid("a filter has %d bytes, more than 65535", len(filter))
		}
		total += len(filter) + 3
	}
	if total > maxRemaining-64 {
		return invalid("the filters have %d bytes, more than a packet can carry", total)
	}
	return nil
}
