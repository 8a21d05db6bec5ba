package mqttwire

import (
	"context"
	"errors"
	"net"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"
)

// Subscription is one filter of a SUBSCRIBE (MQTT 5.0 3.8.3). NoLocal and the retain options are of MQTT 5 alone.
type Subscription struct {
	Filter            string
	QoS               byte
	NoLocal           bool
	RetainHandling    byte // 0: send retained messages, 1: only for a new subscription, 2: none
	RetainAsPublished bool
	// ID is the Subscription Identifier, of MQTT 5 alone; 0: none. A SUBSCRIBE has one at most (MQTT 5.0 3.8.2.1.2): that of its
	// first filter.
	ID uint32
}

// SubscribeResult is a SUBACK.
type SubscribeResult struct {
	Codes        []byte // one per filter: the granted QoS, or 0x80 and above
	ReasonString string
	Duration     time.Duration // SUBSCRIBE written to SUBACK read
}

// UnsubscribeResult is an UNSUBACK.
type UnsubscribeResult struct {
	Codes        []byte // one per filter in MQTT 5, none before
	ReasonString string
	Duration     time.Duration
}

// Message is what is published.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	// ExpiryS is the Message Expiry Interval in seconds, of MQTT 5 alone; 0: none.
	ExpiryS uint32
	// TopicAlias is of MQTT 5 alone, from 1 to the server's Topic Alias Maximum; 0: none. Once it has been sent with a topic,
	// it stands for it in messages without one (MQTT 5.0 3.3.2.3.4).
	TopicAlias uint16
}

// PublishResult is what came back for a PUBLISH.
type PublishResult struct {
	// Acked: at QoS 0 only that it was written; at QoS 1 PUBACK came; at QoS 2 PUBCOMP, or a PUBREC that refuses. Some
	// servers without QoS 2 end that with a PUBACK: see Acks.
	Acked bool
	// Code is the reason code: 0x80 and above refuse. At QoS 2 that of the PUBREC, unless only the PUBCOMP's is a failure.
	// Always 0 in MQTT 3, which cannot refuse.
	Code         byte
	Reason       string // its name; empty at QoS 0
	ReasonString string
	Acks         []AckRecord   // all that came, in order; at most 4
	Duration     time.Duration // PUBLISH written to the last acknowledgement; 0 at QoS 0
}

// AckRecord is one acknowledgement of a PUBLISH.
type AckRecord struct {
	Type PacketType
	Code byte
	At   time.Time
}

// keepPayload is kept of each received payload: more than any test message of ours, and little enough for thousands.
const keepPayload = 4096

// Received is a message that came.
type Received struct {
	Topic        string
	Payload      []byte // its first 4096 bytes
	PayloadBytes int    // its whole length
	QoS          byte
	Retain, Dup  bool
	// SubscriptionIDs are those of the matching subscriptions (MQTT 5.0 3.3.2.3.8).
	SubscriptionIDs []uint32
	At              time.Time // when its last byte was read
}

// End tells how a session ended.
type End struct {
	// Kind is empty while the session lasts. FailRefused: the server sent DISCONNECT, with Code; FailLocal: we ended it;
	// FailClosed, FailReset, FailTLSAlert, FailMalformed, FailTooLarge, FailWriteError.
	Kind            FailureKind
	Code            byte
	Reason          string
	ReasonString    string
	ServerReference string
	Alert           uint8
	At              time.Time
	Err             error
}

// failure says that an exchange was not answered because the session has ended.
func (e End) failure(op string) *Failure {
	f := &Failure{Op: op, Kind: e.Kind, Alert: e.Alert, Err: e.Err}
	if e.Kind == FailRefused {
		f.Packet, f.Code, f.Reason, f.ReasonString = DISCONNECT, e.Code, e.Reason, e.ReasonString
	}
	return f
}

// maxTrace bounds a session's trace: all of a diagnosis but for bursts.
const maxTrace = 256

// FrameRecord is one packet of a session's trace.
type FrameRecord struct {
	At     time.Time
	Dir    Direction
	Type   PacketType
	Flags  byte
	Length int // bytes of the whole packet
}

// Stats counts what is not handed out.
type Stats struct {
	// Repeats are QoS 2 messages that came again before their PUBREL: the same message, not handed out again
	// (MQTT 5.0 4.3.3).
	Repeats int
	// Stray are acknowledgements that answer nothing of ours.
	Stray int
	// Dropped are messages that came faster than they were taken.
	Dropped int
	// Breaches are what the server did against the specification that did no harm; the first 16.
	Breaches []*ErrMalformed
}

// Disconnection is what a DISCONNECT of MQTT 5 says (MQTT 5.0 3.14).
type Disconnection struct {
	Code byte // 0x04: publish the will all the same
	// SessionExpiry, where not nil, replaces what the CONNECT asked for; where that was 0 it may not be more
	// (MQTT 5.0 3.14.2.2.2).
	SessionExpiry *uint32
}

// packet encodes it. Reason code 0 may be left out (MQTT 5.0 3.14.2.1).
func (d Disconnection) packet(v Version) []byte {
	if v != V5 || d == (Disconnection{}) {
		return []byte{byte(DISCONNECT) << 4, 0}
	}
	return encode5(&v5.Disconnect{ReasonCode: d.Code, Properties: &v5.Properties{SessionExpiryInterval: d.SessionExpiry}})
}

// Session is an accepted connection. Every method may be called by several goroutines at once.
//
// A *Failure means that an exchange has no answer. An answer that refuses is an answer: its codes are in the result.
type Session interface {
	Version() Version
	// Connack is what accepted the connection.
	Connack() *Connack
	// ClientID is the client identifier in use: the one sent, or the one that the server assigned.
	ClientID() string

	// StartSubscribe and StartPublish return once their packet was written, or cannot be; what they return awaits the
	// answer. The order of the calls is the order on the wire. StartPublish waits while as many messages are unacknowledged
	// as the server's Receive Maximum allows (MQTT 5.0 4.9); both wait for at most ten seconds.
	StartSubscribe(subs []Subscription) *PendingSubscribe
	StartPublish(m Message) *PendingPublish
	// StartPublishContext is StartPublish bounded by ctx.
	StartPublishContext(ctx context.Context, m Message) *PendingPublish
	// Subscribe, Publish and Unsubscribe do the whole exchange.
	Subscribe(ctx context.Context, subs []Subscription) (SubscribeResult, *Failure)
	Publish(ctx context.Context, m Message) (PublishResult, *Failure)
	Unsubscribe(ctx context.Context, filters []string) (UnsubscribeResult, *Failure)
	// Ping sends PINGREQ and awaits PINGRESP; the duration is between the two, or what was waited in vain.
	Ping(ctx context.Context) (time.Duration, *Failure)

	// Messages are what the subscriptions bring, each QoS 2 message once. The channel is closed when the session has ended
	// and what came before was taken, and in any case by Close. Who reads too slowly loses messages: Stats.Dropped.
	Messages() <-chan Received

	// Done is closed when the session has ended, from whichever side; ClosedBy then tells how.
	Done() <-chan struct{}
	ClosedBy() End
	// Dropped is Stats.Dropped.
	Dropped() int
	Stats() Stats
	// Trace lists the first 256 packets of the connection, CONNECT included.
	Trace() []FrameRecord
	// Traffic counts the connection's bytes.
	Traffic() Traffic

	// Disconnect sends DISCONNECT once what was received has been acknowledged, and ends the session; the server then
	// discards the will (MQTT 5.0 3.14.4).
	Disconnect(ctx context.Context) *Failure
	// DisconnectWith is Disconnect that says more, in MQTT 5; before, it is Disconnect.
	DisconnectWith(ctx context.Context, how Disconnection) *Failure
	// Close ends the connection without a word, so that the server publishes the will. It returns when all goroutines of the
	// session have ended.
	Close() error
}

// ConnectResult is what came of a CONNECT.
type ConnectResult struct {
	Connack    *Connack // nil: none came
	RawConnack []byte   // the whole packet
	// Err is nil where the CONNACK accepts.
	Err *Failure
	// SentAt is when CONNECT was about to be written; AnsweredAt when the answer's last byte was read, zero without one.
	SentAt, AnsweredAt time.Time
	// Duration is from SentAt to the answer, or to giving up.
	Duration time.Duration
	// FirstBytes is what came where no CONNACK did, at most 512 bytes.
	FirstBytes []byte
	// Closed says how the peer ended the connection instead of answering: FailClosed, FailReset, FailTLSAlert; empty: it did
	// not, as far as was seen.
	Closed FailureKind
}

// errRefused ends reading after a first packet that does not accept.
var errRefused = errors.New("the server has not accepted the connection")

// Connect sends a CONNECT and awaits its answer until ctx ends. It takes conn over: the session owns it, and where there is
// none conn has been closed. The session is nil unless the CONNACK accepts.
//
// After an error of writing the answer is still awaited for a second, since what ended the connection (a TLS alert, a
// refusal) may be waiting to be read.
func Connect(ctx context.Context, conn net.Conn, o ConnectOptions) (Session, ConnectResult) {
	if err := o.check(); err != nil {
		_ = conn.Close()
		return nil, ConnectResult{Err: &Failure{Op: "connect", Kind: FailInvalid, Err: err}}
	}
	if err := ctx.Err(); err != nil {
		_ = conn.Close()
		return nil, ConnectResult{Err: contextFailure("connect", err)}
	}
	s := newCore(conn, o)
	stop := context.AfterFunc(ctx, s.interrupt)
	var session Session
	var err error
	if o.Version == V5 {
		session, err = connect5(s, o)
	} else {
		session, err = connect3(s, o)
	}
	if !stop() && err == nil { // canceled in this very moment: the deadline that it set may have hit the reader already
		err = ctx.Err()
	}
	result := s.connectResult(ctx, err)
	if result.Err != nil {
		if session != nil {
			_ = session.Close()
		}
		_ = s.conn.Close()
		return nil, result
	}
	s.liftDeadline()
	return session, result
}

func contextFailure(op string, err error) *Failure {
	kind := FailNoAnswer
	if errors.Is(err, context.Canceled) {
		kind = FailCanceled
	}
	return &Failure{Op: op, Kind: kind, Err: err}
}
