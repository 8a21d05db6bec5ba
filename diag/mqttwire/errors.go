package mqttwire

import (
	"fmt"
	"strconv"
)

// ErrTooLarge says that a packet declares more bytes than the reader allows. Nothing of its body was read.
type ErrTooLarge struct {
	Type     PacketType
	Declared int // Remaining Length (MQTT 5.0 2.1.4)
	Max      int // bytes allowed for the whole packet
}

func (e *ErrTooLarge) Error() string {
	return fmt.Sprintf("%s declares %d bytes, more than the %d that are read", e.Type, e.Declared, e.Max)
}

// ErrMalformed says where a packet breaks the specification.
type ErrMalformed struct {
	Type    PacketType
	Where   string // the field, as the specification calls it
	Offset  int    // of the field in the packet's body (after the fixed header); -1: in the fixed header
	Section string // of MQTT 5.0 unless it says otherwise
	Text    string // what is wrong with it
	Code    Breach // the same from a closed list, with the values that stand in Text; empty: it has no code
	Value   string
	Want    string
}

func (e *ErrMalformed) Error() string {
	at := "fixed header"
	if e.Offset >= 0 {
		at = "byte " + strconv.Itoa(e.Offset)
	}
	return fmt.Sprintf("malformed %s: %s (%s): %s [MQTT %s]", e.Type, e.Where, at, e.Text, e.Section)
}

// ErrNotMQTT says that what answered does not speak MQTT.
type ErrNotMQTT struct {
	First []byte // what came, at most 512 bytes
}

func (e *ErrNotMQTT) Error() string {
	return fmt.Sprintf("the answer is not MQTT: %.40q", e.First)
}

// FailureKind is a closed list of the ways in which an exchange can end without its answer.
type FailureKind string

// The kinds.
const (
	// FailRefused: an answer came and declines: CONNACK with a code other than 0, or in MQTT 5 a DISCONNECT (or an AUTH that
	// nobody asked for) in place of the awaited packet. Failure.Packet says which.
	FailRefused FailureKind = "refused"
	// FailNoAnswer: nothing awaited came until the deadline, and the connection stayed open.
	FailNoAnswer FailureKind = "no_answer"
	// FailClosed: the peer closed (FIN, or a WebSocket close frame) before the answer.
	FailClosed FailureKind = "closed"
	// FailReset: the peer reset the connection (RST) before the answer.
	FailReset FailureKind = "reset"
	// FailNotMQTT: the first bytes belong to another protocol; Failure.Err is *ErrNotMQTT.
	FailNotMQTT FailureKind = "not_mqtt"
	// FailMalformed: MQTT, against its own rules; Failure.Err is *ErrMalformed.
	FailMalformed FailureKind = "malformed"
	// FailTooLarge: a packet larger than is read; Failure.Err is *ErrTooLarge.
	FailTooLarge FailureKind = "too_large"
	// FailWriteError: our packet could not be sent, and nothing that could be read says why.
	FailWriteError FailureKind = "write_error"
	// FailCanceled: the context was canceled.
	FailCanceled FailureKind = "canceled"
	// FailTLSAlert: a TLS alert came in place of the answer; Failure.Alert is its number.
	FailTLSAlert FailureKind = "tls_alert"
	// FailLimit: nothing was sent, since the server's own CONNACK forbids it (Maximum QoS, Retain Available, ...), or no
	// packet identifier is free; Failure.Reason names it.
	FailLimit FailureKind = "limit"
	// FailInvalid: nothing was sent, since what was asked for cannot be put into a packet.
	FailInvalid FailureKind = "invalid"
	// FailLocal: our own side had ended the session.
	FailLocal FailureKind = "local"
)

// Failure says why an exchange has no answer. It is an error, but functions return it by its own type, so that nobody
// needs to guess: compare with nil before it is turned into an error.
type Failure struct {
	Op     string // connect, subscribe, unsubscribe, publish, ping, disconnect
	Kind   FailureKind
	Packet PacketType // with FailRefused: what declined
	Code   byte       // with FailRefused: its return or reason code
	Reason string     // with FailRefused: the code's name in the specification; with FailLimit: the limit
	// ReasonString holds the server's own words (MQTT 5.0 3.14.2.2.3), as they came.
	ReasonString string
	Alert        uint8 // with FailTLSAlert (RFC 8446 6)
	Err          error // the original; nil where there is none
}

func (f *Failure) Error() string {
	text := f.Op + ": " + string(f.Kind)
	switch f.Kind {
	case FailRefused:
		text += fmt.Sprintf(" by %s 0x%02x (%s)", f.Packet, f.Code, f.Reason)
		if f.ReasonString != "" {
			text += fmt.Sprintf(": %.200q", f.ReasonString)
		}
	case FailTLSAlert:
		text += " " + strconv.Itoa(int(f.Alert))
	case FailLimit:
		text += ": " + f.Reason
	}
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text
}

// Unwrap returns the original error.
func (f *Failure) Unwrap() error { return f.Err }
