package probe

import (
	"context"
	"net"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// connectMQTT sends a CONNECT and awaits the CONNACK; the session is nil where it was not accepted (conn is closed then).
// secured is the TLS handshake that conn came from, nil without TLS: it decides whether credentials may be sent.
func connectMQTT(ctx context.Context, env *diag.Env, r route, conn net.Conn, secured *diag.TLSHandshake) (*diag.MQTTConnect, mqttwire.Session) {
	panic("written next")
}
