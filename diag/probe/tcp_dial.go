package probe

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"mqttdoctor/diag"
)

// dialTCP makes one TCP connection and tells what came of it; the connection is nil where there is none.
func dialTCP(ctx context.Context, env *diag.Env, r route) (*diag.TCPConnect, net.Conn) {
	o := &diag.TCPConnect{Purpose: r.Purpose, Address: r.Address}
	if err := env.Allowed(r.Address); err != nil {
		o.Outcome, o.Error = diag.OutcomeForbidden, err.Error()
		return o, nil
	}
	ctx, cancel := context.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	begun := time.Now()
	conn, err := env.Dial(ctx, "tcp", r.Address)
	o.RTT = time.Since(begun)
	if err == nil {
		o.Outcome = diag.OutcomeOK
		return o, conn
	}
	o.Error = err.Error()
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		o.Outcome, o.Errno = diag.OutcomeRefused, "ECONNREFUSED"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		o.Outcome, o.Errno = diag.OutcomeUnreachable, "EHOSTUNREACH"
	case errors.As(err, &timeout) && timeout.Timeout():
		o.Outcome = diag.OutcomeSilent
	default:
		o.Outcome = diag.OutcomeLocal
	}
	return o, nil
}
