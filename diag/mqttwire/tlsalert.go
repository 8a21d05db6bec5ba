package mqttwire

import (
	"errors"
	"net"
	"reflect"
)

// TLSAlert returns the number of the TLS alert (RFC 8446 6) that the peer sent, where that is what err says. crypto/tls
// keeps the alert's type to itself: it is the inner error of a net.OpError with Op "remote error", an unsigned byte.
func TLSAlert(err error) (alert uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	value := reflect.ValueOf(op.Err)
	if value.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(value.Uint()), true
}
