package probe

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
)

// upgradeWS makes a WebSocket opening handshake on a connection and returns a byte stream of its binary messages; nil
// where the upgrade failed (conn is closed then).
func upgradeWS(ctx context.Context, env *diag.Env, r route, conn net.Conn) (*diag.WSUpgrade, net.Conn) {
	o := &diag.WSUpgrade{Purpose: r.Purpose, Address: r.Address, TLS: r.Transport.UsesTLS(), Path: r.WS.Path,
		Origin: r.WS.Origin, Offered: r.WS.Subprotocols, UpgradeSent: true}
	ctx, cancel := context.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	begun := time.Now()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	ws, resp, err := websocket.Dial(ctx, "ws://"+env.Target.HostPort()+r.WS.Path, &websocket.DialOptions{
		HTTPClient: client, Subprotocols: r.WS.Subprotocols})
	o.Took = time.Since(begun)
	if resp != nil {
		o.Status, o.StatusText = resp.StatusCode, http.StatusText(resp.StatusCode)
	}
	if err != nil {
		conn.Close()
		o.Outcome, o.Error = diag.OutcomeRefused, err.Error()
		return o, nil
	}
	o.Outcome, o.Subprotocol = diag.OutcomeOK, ws.Subprotocol()
	return o, websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
}
