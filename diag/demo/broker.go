package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"strconv"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// The listeners, by their keys in [Info.Ports] and [Options.Ports].
const (
	PortMQTT        = "mqtt"          // healthy, plain
	PortMQTTS       = "mqtts"         // healthy, TLS with a certificate of the demo's CA
	PortWS          = "ws"            // healthy, WebSocket on any path
	PortWSS         = "wss"           // healthy, WebSocket over TLS on any path
	PortExpired     = "mqtts_expired" // TLS with a certificate that ended three days ago
	PortPassword    = "mqtt_password" // plain, wants Username and Password
	PortDroppingACL = "mqtt_acl"      // plain, drops what is published below BlockedPrefix and says nothing
)

// Username and Password are what the listener [PortPassword] accepts. They are no secret.
const (
	Username = "demo"
	Password = "demo-password"
)

// BlockedPrefix begins the topics whose messages the listener [PortDroppingACL] acknowledges and does not deliver.
const BlockedPrefix = "blocked/"

// Options says where the demo broker listens. The zero value is 127.0.0.1, free ports, and a new CA.
type Options struct {
	// Host is a loopback address; empty: 127.0.0.1.
	Host string `json:"host,omitempty"`
	// Ports are wishes by the keys above; a listener without one, or whose port is taken, gets a free port.
	Ports map[string]int `json:"ports,omitempty"`
	// Authority issues the certificates; the zero value: a new one.
	Authority Authority `json:"authority,omitzero"`
}

// Info tells where the demo broker listens and whom to trust.
type Info struct {
	Ready bool           `json:"ready"`
	Host  string         `json:"host"`
	Ports map[string]int `json:"ports"`
	CAPEM string         `json:"ca_pem"`
}

// URL is the address of a listener under a scheme, which need not be the one that the listener speaks. The path may be
// empty.
func (i Info) URL(scheme, port, path string) string {
	return scheme + "://" + net.JoinHostPort(i.Host, strconv.Itoa(i.Ports[port])) + path
}

// Broker is a running demo broker.
type Broker struct {
	info   Info
	server *mochi.Server
}

// Start starts the broker in this process. A malformed packet can end the process (see the package comment): only a
// process that does nothing else may call it. It returns once every listener accepts connections.
func Start(o Options) (*Broker, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if ip := net.ParseIP(o.Host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("the demo broker listens on loopback addresses only, not on %q", o.Host)
	}
	if o.Authority == (Authority{}) {
		authority, err := NewAuthority()
		if err != nil {
			return nil, err
		}
		o.Authority = authority
	}
	now := time.Now()
	healthy, err := o.Authority.issue(o.Host, now.Add(-time.Hour), now.AddDate(0, 6, 0))
	if err != nil {
		return nil, err
	}
	expired, err := o.Authority.issue(o.Host, now.AddDate(0, -3, 0), now.AddDate(0, 0, -3))
	if err != nil {
		return nil, err
	}
	capabilities := mochi.NewDefaultServerCapabilities()
	// One person tries it out: bounds that a mistake cannot turn into a full disk or memory.
	capabilities.MaximumClients = 500
	capabilities.MaximumPacketSize = 1 << 20
	capabilities.MaximumSessionExpiryInterval = 3600
	capabilities.MaximumMessageExpiryInterval = 3600
	b := &Broker{
		info:   Info{Ready: true, Host: o.Host, Ports: map[string]int{}, CAPEM: o.Authority.CertPEM},
		server: mochi.New(&mochi.Options{Capabilities: capabilities, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}),
	}
	if err := b.server.AddHook(new(rules), nil); err != nil {
		return nil, err
	}
	for _, l := range []struct {
		key string
		tls *tls.Config
		ws  bool
	}{
		{key: PortMQTT}, {key: PortMQTTS, tls: healthy}, {key: PortWS, ws: true}, {key: PortWSS, tls: healthy, ws: true},
		{key: PortExpired, tls: expired}, {key: PortPassword}, {key: PortDroppingACL},
	} {
		listener, err := listen(o.Host, o.Ports[l.key])
		if err != nil {
			b.Close()
			return nil, fmt.Errorf("the demo broker's listener %s: %w", l.key, err)
		}
		b.info.Ports[l.key] = listener.Addr().(*net.TCPAddr).Port
		if l.tls != nil {
			listener = tls.NewListener(listener, l.tls)
		}
		var added listeners.Listener = listeners.NewNet(l.key, listener)
		if l.ws {
			added = newWSListener(l.key, listener)
		}
		if err := b.server.AddListener(added); err != nil {
			listener.Close()
			b.Close()
			return nil, err
		}
	}
	if err := b.server.Serve(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// listen opens the wished port, or a free one where it is taken or none is wished.
func listen(host string, port int) (net.Listener, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil && port != 0 {
		return net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	return listener, err
}

// Info tells where the broker listens.
func (b *Broker) Info() Info {
	info := b.info
	info.Ports = maps.Clone(info.Ports)
	return info
}

// Close ends the broker and its connections.
func (b *Broker) Close() error { return b.server.Close() }

// Run starts the broker, calls ready, and ends it with ctx. Its error is nil when ctx ended it.
func Run(ctx context.Context, o Options, ready func(Info) error) error {
	b, err := Start(o)
	if err != nil {
		return err
	}
	if err := ready(b.Info()); err != nil {
		return errors.Join(err, b.Close())
	}
	<-ctx.Done()
	return b.Close()
}
