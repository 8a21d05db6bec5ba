package diagtest

import (
	"crypto/tls"
	"net/http"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"
)

// Script says how a [ScriptedBroker] behaves. The zero value is a healthy broker for MQTT 3.1, 3.1.1 and 5 over TCP.
// The hooks run on the goroutine of the client's connection, several at once for several clients.
type Script struct {
	// OnConnect answers a CONNECT; nil accepts.
	OnConnect func(Connect) ConnectAnswer
	// OnSubscribe returns the SUBACK code for one filter: the granted QoS, or 0x80 and above for a failure (to MQTT 3
	// any failure goes out as 0x80). Nil grants what was asked. A code below 3 subscribes.
	OnSubscribe func(client Connect, filter string, qos byte) byte
	// OnPublish decides about a message; nil delivers it.
	OnPublish func(Message) PublishAnswer
	// MaxQoS, where given, is the highest QoS that is granted and, in MQTT 5, announced in CONNACK (MQTT 5.0 3.2.2.3.4).
	MaxQoS *byte
	// Properties changes the properties of an accepting MQTT 5 CONNACK; nil leaves them.
	Properties func(*v5.Properties)
	// Delay is waited before each packet that the broker sends.
	Delay time.Duration
	// NoPingresp leaves PINGREQ unanswered.
	NoPingresp bool
	// PingEnds ends the connection at a PINGREQ.
	PingEnds bool
	// NoTakeOver lets several clients have one client id; else the older one is closed (MQTT 5.0 3.1.4-3).
	NoTakeOver bool
	// NoRetain forgets retained messages.
	NoRetain bool
	// RetainExactOnly gives retained messages to subscriptions without wildcards alone, as RabbitMQ does.
	RetainExactOnly bool
	// Kept says what becomes of sessions that are to outlast their connection; nil: none of them does.
	Kept *KeptScript
	// OnWill tells whether a will is published; nil: always. cut: the client left without a DISCONNECT.
	OnWill func(client Connect, cut bool) bool
	// WS puts the broker behind a WebSocket upgrade.
	WS *WSScript
}

// Connect is a CONNECT packet as a scripted broker received it.
type Connect struct {
	Level                        byte // 3 for MQTT 3.1, 4 for 3.1.1, 5
	ClientID                     string
	Username, Password           string
	UsernameGiven, PasswordGiven bool
	KeepAlive                    uint16 // seconds
	Clean                        bool   // Clean Session, in MQTT 5 Clean Start
	SessionExpiry                uint32 // seconds, MQTT 5; 0 also if absent
	WillTopic                    string // empty: no will
	Raw                          []byte // the whole packet
	TLS                          *tls.ConnectionState
	Header                       http.Header // of the WebSocket upgrade, nil without
}

// Message is a PUBLISH as a scripted broker received it.
type Message struct {
	From    Connect
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// ConnectAnswer is what a broker does about a CONNECT. The zero value accepts.
type ConnectAnswer struct {
	Action Action
	// V3 and V5 are the return code and the reason code of a refusal, each for its versions.
	V3, V5 byte
	// SessionPresent, AssignedClientID, ServerKeepAlive (0: absent), ReasonString and ServerReference go into CONNACK, the
	// last four in MQTT 5 only.
	SessionPresent                                  bool
	AssignedClientID, ReasonString, ServerReference string
	ServerKeepAlive                                 uint16
}

// PublishAnswer is what a broker does about a message. The zero value delivers it.
type PublishAnswer struct {
	Action Action
	// Code is, with [Refuse], the MQTT 5 reason code of PUBACK or PUBREC; MQTT 3 has none, so that its client sees a
	// plain acknowledgement. With [Close] it is the reason code of the DISCONNECT that MQTT 5 clients get, 0 for none.
	Code byte
	// DeliverQoS, where given, is the highest QoS at which subscribers get the message.
	DeliverQoS *byte
	// Copies is how often each subscriber gets it; 0 is once. Dup marks all but the first as sent again.
	Copies int
	Dup    bool
	// After delays the delivery without holding up anything else, so that later messages overtake it. Pause holds up the
	// publisher: nothing more is read from it for that long.
	After, Pause time.Duration
	// Payload, where not nil, replaces the payload for the subscribers.
	Payload []byte
}

// Action is what a scripted broker does about a packet.
type Action int

// The actions. To a CONNECT, Drop and Silence are the same.
const (
	Accept  Action = iota // the healthy answer
	Refuse                // an answer with a code; a refused CONNECT is followed by a close
	Drop                  // the healthy answer, and nothing is done: an access rule that says nothing
	Silence               // no answer, the connection stays
	Close                 // no answer, FIN
	Cut                   // no answer, RST
)

// RefuseConnect refuses with a code for MQTT 3.1 and 3.1.1 and another for 5. An OnConnect can be written as
// func(Connect) ConnectAnswer { return RefuseConnect(4, 0x86) }.
func RefuseConnect(v3, v5 byte) ConnectAnswer { return ConnectAnswer{Action: Refuse, V3: v3, V5: v5} }

// OnlyLevels accepts the given protocol levels and refuses others with "unsupported protocol version" in the form of
// their version, as MQTT 5.0 3.1.2.2 and 3.1.1 3.1.2.2 say.
func OnlyLevels(levels ...byte) func(Connect) ConnectAnswer {
	return byLevel(levels, RefuseConnect(0x01, 0x84))
}

// OnlyLevelsElseClose accepts the given protocol levels and closes without a word on others, as some brokers do.
func OnlyLevelsElseClose(levels ...byte) func(Connect) ConnectAnswer {
	return byLevel(levels, ConnectAnswer{Action: Close})
}

func byLevel(levels []byte, otherwise ConnectAnswer) func(Connect) ConnectAnswer {
	return func(c Connect) ConnectAnswer {
		for _, level := range levels {
			if c.Level == level {
				return ConnectAnswer{}
			}
		}
		return otherwise
	}
}

// OnlyUser accepts one user with one password. Who sends no user name is refused as not authorized, who sends another
// or a wrong password with bad user name or password.
func OnlyUser(username, password string) func(Connect) ConnectAnswer {
	return func(c Connect) ConnectAnswer {
		switch {
		case !c.UsernameGiven:
			return RefuseConnect(0x05, 0x87)
		case c.Username != username || c.Password != password:
			return RefuseConnect(0x04, 0x86)
		}
		return ConnectAnswer{}
	}
}

// WSScript says how a scripted broker takes WebSocket upgrades. The zero value takes every path and chooses the
// subprotocol mqtt or mqttv3.1, whichever is offered.
type WSScript struct {
	// Path is the only one that is upgraded, others are answered 404; empty: any.
	Path string
	// Status, where not 0, answers every upgrade on a served path, with the lines of Header.
	Status int
	Header http.Header
	// Subprotocol chooses what to answer of what is offered, "" for nothing; nil chooses as said above.
	Subprotocol func(offered []string) string
	// Origins, where not empty, are the only values of the Origin header that are not answered 403; the header may
	// always be absent.
	Origins []string
	// Text sends text frames instead of binary ones, against [MQTT-6.0.0-1].
	Text bool
	// FrameBytes, where not 0, is how much goes into one frame at most: a packet may span frames (MQTT 5.0 6.0.0-2).
	FrameBytes int
}

// NoSubprotocol chooses none, whatever is offered.
func NoSubprotocol([]string) string { return "" }

// AlwaysSubprotocol chooses the given one even if it was not offered.
func AlwaysSubprotocol(name string) func([]string) string {
	return func([]string) string { return name }
}
