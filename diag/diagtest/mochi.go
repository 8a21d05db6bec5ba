package diagtest

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// MochiOptions says how a mochi-mqtt broker is to run. The zero value lets anybody do anything.
type MochiOptions struct {
	// Users are user names with their passwords; with any given, others are refused.
	Users map[string]string
	// Allow decides whether a client may publish to a topic (write) or subscribe to a filter; nil: always.
	Allow func(username, topic string, write bool) bool
	// Hooks are added after the ones made from the fields above, each with its configuration.
	Hooks []mochi.HookLoadConfig
	// Capabilities replaces the broker's own idea of what it supports; nil: the library's defaults.
	Capabilities *mochi.Capabilities
	// Cert is served by the TLS listeners; nil: a valid one of the broker's own CA.
	Cert *Cert
	// TLS changes the configuration of the TLS listeners.
	TLS []func(*tls.Config)
}

// Mochi starts a mochi-mqtt broker inside the test, with a listener of each kind.
func Mochi(t testing.TB, o MochiOptions) *Broker {
	t.Helper()
	b := &Broker{Name: "mochi", Host: "127.0.0.1", Versions: []string{"3.1", "3.1.1", "5"}}
	b.CA = NewCA(t, "mochi test CA")
	b.CAPEM = b.CA.PEM
	if o.Cert == nil {
		o.Cert = b.CA.Issue(t, CertOptions{})
	}
	for name, password := range o.Users {
		b.Username, b.Password = name, password
	}
	server := mochi.New(&mochi.Options{Capabilities: o.Capabilities, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	hooks := append([]mochi.HookLoadConfig{{Hook: new(mochiRules), Config: &o}}, o.Hooks...)
	if err := server.AddHooksFromConfig(hooks); err != nil {
		t.Fatalf("mochi: %v", err)
	}
	add := func(listener listeners.Listener) {
		if err := server.AddListener(listener); err != nil {
			t.Fatalf("mochi: %v", err)
		}
	}
	tcp := listeners.NewNet("mqtt", listen(t, b.Host+":0"))
	tlsListener := listeners.NewNet("mqtts", tls.NewListener(listen(t, b.Host+":0"), o.Cert.Server(o.TLS...)))
	add(tcp)
	add(tlsListener)
	b.MQTT, b.MQTTS = "mqtt://"+tcp.Address(), "mqtts://"+tlsListener.Address()
	// The library's own WebSocket listener, since it is what its users run; it cannot tell which port it got for 0.
	ws := net.JoinHostPort(b.Host, strconv.Itoa(FreePort(t)))
	wss := net.JoinHostPort(b.Host, strconv.Itoa(FreePort(t)))
	add(listeners.NewWebsocket(listeners.Config{ID: "ws", Address: ws}))
	add(listeners.NewWebsocket(listeners.Config{ID: "wss", Address: wss, TLSConfig: o.Cert.Server(o.TLS...)}))
	b.WS, b.WSS = "ws://"+ws+"/mqtt", "wss://"+wss+"/mqtt" // it takes any path
	if err := server.Serve(); err != nil {
		t.Fatalf("mochi: %v", err)
	}
	t.Cleanup(func() { closeMochi(server) })
	urls := b.URLs()
	if len(o.TLS) > 0 || o.Cert.Leaf.Issuer.String() != b.CA.Cert.Subject.String() {
		urls = []string{b.MQTT, b.WS} // TLS was made to fail, or by an authority that we do not know
	}
	if err := awaitMQTT(startLimit, nil, nil, urls...); err != nil {
		t.Fatalf("mochi: %v", err)
	}
	return b
}

// closeMochi gives up after a while: a client whose handling hangs would hold up the end of the tests.
func closeMochi(server *mochi.Server) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		server.Close()
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
	}
}

// mochiRules enforces the users and the rule of [MochiOptions].
type mochiRules struct {
	mochi.HookBase
	options *MochiOptions
}

// Init takes the *MochiOptions.
func (h *mochiRules) Init(config any) error {
	h.options = config.(*MochiOptions)
	return nil
}

// ID names the hook.
func (h *mochiRules) ID() string { return "diagtest-rules" }

// Provides tells the questions that it answers.
func (h *mochiRules) Provides(what byte) bool {
	return what == mochi.OnConnectAuthenticate || what == mochi.OnACLCheck || what == mochi.OnSessionEstablish
}

// OnSessionEstablish keeps the library from counting what a client may have unacknowledged: to see what comes next for one that
// may have more, it takes a read lock that it holds already, and hangs for good as soon as somebody waits to write in between
// (inflight.go of 2.7.9, NextImmediate). Clients then get messages beyond their Receive Maximum, which ours never comes near.
func (h *mochiRules) OnSessionEstablish(client *mochi.Client, _ packets.Packet) {
	client.State.Inflight.ResetSendQuota(0)
}

// OnConnectAuthenticate accepts everybody where there are no users.
func (h *mochiRules) OnConnectAuthenticate(_ *mochi.Client, packet packets.Packet) bool {
	if len(h.options.Users) == 0 {
		return true
	}
	password, known := h.options.Users[string(packet.Connect.Username)]
	return known && password == string(packet.Connect.Password)
}

// OnACLCheck asks the rule of the options.
func (h *mochiRules) OnACLCheck(client *mochi.Client, topic string, write bool) bool {
	return h.options.Allow == nil || h.options.Allow(string(client.Properties.Username), topic, write)
}
