package demo

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// wsListener takes MQTT over WebSocket (MQTT 5.0 6) on any path. The library's own opens its port by itself and late,
// which leaves no way to learn a free port's number or that it is open.
type wsListener struct {
	id        string
	listener  net.Listener
	server    *http.Server
	establish listeners.EstablishFn
	ctx       context.Context
	cancel    context.CancelFunc
	closing   sync.Once
}

func newWSListener(id string, listener net.Listener) *wsListener {
	l := &wsListener{id: id, listener: listener}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.server = &http.Server{
		Handler:           http.HandlerFunc(l.upgrade),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	return l
}

func (l *wsListener) upgrade(w http.ResponseWriter, r *http.Request) {
	// Any origin may come, as with most brokers: the page of a stranger that a browser shows can reach this one, and
	// find nothing but demo messages.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"mqtt", "mqttv3.1"}, InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	// The broker closes the stream after its last packet; NetConn turns that into a closing handshake.
	_ = l.establish(l.id, websocket.NetConn(l.ctx, conn, websocket.MessageBinary))
}

// Init does nothing: the port is open.
func (l *wsListener) Init(*slog.Logger) error { return nil }

// Serve gives connections to the broker until Close.
func (l *wsListener) Serve(establish listeners.EstablishFn) {
	l.establish = establish
	_ = l.server.Serve(l.listener)
}

func (l *wsListener) ID() string       { return l.id }
func (l *wsListener) Address() string  { return l.listener.Addr().String() }
func (l *wsListener) Protocol() string { return l.id }

// Close ends the listener and its clients.
func (l *wsListener) Close(closeClients listeners.CloseFn) {
	l.closing.Do(func() {
		l.server.Close()
		l.listener.Close()
		closeClients(l.id)
		l.cancel()
	})
}
