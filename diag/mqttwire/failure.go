package mqttwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"syscall"
)

// FailureKind is how an exchange failed: a closed list.
type FailureKind string

// The kinds of failure.
const (
	FailRefused   FailureKind = "refused"   // the peer answered with a code of refusal, or a DISCONNECT
	FailNoAnswer  FailureKind = "no_answer" // silence until the deadline; the connection stayed open
	FailClosed    FailureKind = "closed"    // the peer ended the connection in order
	FailReset     FailureKind = "reset"     // the peer reset it
	FailNotMQTT   FailureKind = "not_mqtt"  // bytes came that are no MQTT
	FailMalformed FailureKind = "malformed" // MQTT against the specification
	FailTooLarge  FailureKind = "too_large" // the peer declared more than is read
	FailTLSAlert  FailureKind = "tls_alert" // a TLS alert in place of an answer
	FailCanceled  FailureKind = "canceled"  // by the caller
	FailLocal     FailureKind = "local"     // we ended it ourselves
)

// Failure is a failed exchange.
type Failure struct {
	Kind         FailureKind
	Code         byte   // reason code, for FailRefused
	Reason       string // its name in the specification
	ReasonString string // the peer's own words (MQTT 5.0 3.14.2.2.3)
	Alert        uint8  // alert number (RFC 8446 B.2), for FailTLSAlert
	Err          error
}

// Error says what happened, for logs and evidence; people read the catalogue's texts.
func (f *Failure) Error() string {
	switch {
	case f.Kind == FailRefused:
		return fmt.Sprintf("refused with code 0x%02x %s", f.Code, f.Reason)
	case f.Err != nil:
		return string(f.Kind) + ": " + f.Err.Error()
	}
	return string(f.Kind)
}

// Unwrap gives the error below.
func (f *Failure) Unwrap() error { return f.Err }

// failureOf classes an error of reading or writing.
func failureOf(err error) *Failure {
	f := &Failure{Err: err}
	var tooLarge *TooLargeError
	var malformed *MalformedError
	var timeout net.Error
	alert, isAlert := alertOf(err)
	switch {
	case errors.As(err, &tooLarge):
		f.Kind = FailTooLarge
	case errors.As(err, &malformed):
		f.Kind = FailMalformed
	case isAlert:
		f.Kind, f.Alert = FailTLSAlert, alert
	case errors.Is(err, context.Canceled):
		f.Kind = FailCanceled
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		f.Kind = FailReset
	case errors.Is(err, net.ErrClosed):
		f.Kind = FailLocal
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		f.Kind = FailNoAnswer
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.Kind = FailClosed
	default:
		f.Kind = FailClosed
	}
	return f
}

// alertOf finds a TLS alert that the peer sent. Its type in crypto/tls is not exported (a uint8 inside a net.OpError whose
// Op is "remote error"), so its number is read by reflection.
func alertOf(err error) (uint8, bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	if v.IsValid() && v.Kind() == reflect.Uint8 {
		return uint8(v.Uint()), true
	}
	return 0, false
}
