package probe

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"mqttdoctor/diag"
)

// handshakeTLS makes a TLS handshake on a fresh connection and tells everything that was served, whatever its faults: the
// returned connection is usable also where the certificate is not to be trusted, and nil where the handshake failed (conn
// is closed then).
func handshakeTLS(ctx context.Context, env *diag.Env, r route, conn net.Conn) (*diag.TLSHandshake, net.Conn) {
	o := &diag.TLSHandshake{Purpose: r.Purpose, Address: r.Address, ServerName: r.TLS.ServerName, OfferedALPN: r.TLS.ALPN}
	ctx, cancel := context.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	begun := time.Now()
	client := tls.Client(conn, &tls.Config{ServerName: r.TLS.ServerName, NextProtos: r.TLS.ALPN, InsecureSkipVerify: true})
	err := client.HandshakeContext(ctx)
	o.Took = time.Since(begun)
	if err != nil {
		conn.Close()
		o.Outcome, o.Error = diag.OutcomeClosed, err.Error()
		return o, nil
	}
	o.Outcome = diag.OutcomeOK
	return o, client
}
