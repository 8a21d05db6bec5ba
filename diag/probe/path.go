package probe

import (
	"context"
	"net"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// route is one way to the broker: where to dial and what to say on each layer. askedRoute makes the user's own; a variation
// is a copy with one thing changed, so that what differs in the outcome can only come from that.
type route struct {
	Purpose   diag.Purpose
	Label     string // what was varied, for people: a port, path, version, name
	Address   string // address:port
	Transport diag.Scheme

	SYNWait    time.Duration // how long the SYN may stay unanswered; 0: as usual
	MaxSegment int           // TCP_MAXSEG to set before connecting; 0: the system's
	Prefix     []byte        // sent before anything else: a PROXY protocol header

	Yield bool // hold the CONNECT back until the asked one has had its answer

	TLS  tlsOffer
	WS   wsOffer
	MQTT mqttOffer
}

// tlsOffer is what a ClientHello says.
type tlsOffer struct {
	ServerName string // empty: no SNI; the certificate is then checked against the target's name all the same
	ALPN       []string
	MinVersion uint16 // 0: the oldest that this build can speak (TLS 1.0), so that an old server is seen as such
	MaxVersion uint16
	Suites     []uint16 // TLS 1.2 and older
	SmallHello bool     // X25519 alone, so that the hello fits one segment
	NoCert     bool     // do not send the given client certificate
}

// wsOffer is what an opening handshake says.
type wsOffer struct {
	Path         string
	Origin       string
	Subprotocols []string // empty: none offered
	NoHeaders    bool     // leave the user's own headers out: they may be secrets for another place
}

// mqttOffer is what a CONNECT says.
type mqttOffer struct {
	Version     diag.Version // not auto
	OwnClientID bool         // the user's
	ClientID    string       // where it is not the user's; empty: a temporary one
	Credentials bool         // the user's, if any
	KeepAliveS  int
	CleanStart  bool
	// Kept leaves clean start off beside a temporary client id; in MQTT 5 SessionExpiryS goes with it. Whoever sets it ends the session.
	Kept bool
	Will *mqttwire.Will
	// SessionExpiryS is asked for beside a temporary client id, and EmptyClientID in its place; ResponseInfo asks for Response
	// Information: all to see the answer. Who asks for a session to be kept ends it.
	SessionExpiryS uint32
	EmptyClientID  bool
	ResponseInfo   bool
	// LargestPacket bounds one packet from the broker, in bytes; 0: maxPacketBytes.
	LargestPacket int
}

// askedRoute is exactly what the user asked for, at one address.
func askedRoute(t diag.Target, address string) route {
	version := t.Protocol
	if version == diag.VersionAuto {
		version = diag.Versions[0]
	}
	r := route{
		Purpose: diag.PurposeAsked, Address: address, Transport: t.Scheme,
		TLS: tlsOffer{ServerName: sniOf(t), ALPN: t.TLS.ALPN},
		WS:  wsOffer{Path: t.WS.Path, Origin: t.WS.Origin, Subprotocols: subprotocolsFor(version)},
		MQTT: mqttOffer{Version: version, OwnClientID: t.ClientID != "", Credentials: t.Credentials(),
			KeepAliveS: int(t.KeepAlive.Seconds()), CleanStart: t.CleanStart},
	}
	return r
}

// with returns a variation for the given purpose. It never uses the user's own client id: only the main CONNECT may.
func (r route) with(purpose diag.Purpose, label string, change func(*route)) route {
	r.Purpose, r.Label = purpose, label
	r.MQTT.OwnClientID = false
	if change != nil {
		change(&r)
	}
	return r
}

// sniOf is the server name that a client sends: none for an address literal (RFC 6066 3).
func sniOf(t diag.Target) string {
	name := t.ServerName()
	if net.ParseIP(name) != nil {
		return ""
	}
	return name
}

// subprotocolsFor are the WebSocket subprotocol names that a client of the version offers (MQTT 5.0 6, MQTT 3.1.1 6).
func subprotocolsFor(v diag.Version) []string {
	if v == diag.Version31 {
		return []string{"mqttv3.1"}
	}
	return []string{"mqtt"}
}

// layer tells how far walk goes.
type layer int

const (
	upToTCP layer = iota
	upToTLS
	upToWS
	upToMQTT
)

// line is an open way to the broker after walk; Close ends whatever is open of it.
type line struct {
	Conn    net.Conn         // the topmost byte stream: TCP, TLS or WebSocket
	Session mqttwire.Session // set once CONNACK accepted
}

// Close ends the session or the connection; it is safe on nil and after use.
func (l *line) Close() error {
	switch {
	case l == nil:
		return nil
	case l.Session != nil:
		return l.Session.Close()
	case l.Conn != nil:
		return l.Conn.Close()
	}
	return nil
}

// walk makes a fresh connection along the route, layer by layer, up to the given one, and records each. The line is nil
// where it did not get there; the caller closes it. A certificate that is not trusted does not end the walk: what lies
// behind it can still be told.
func walk(ctx context.Context, env *diag.Env, r route, upTo layer) (*diag.Attempt, *line) {
	a := &diag.Attempt{Purpose: r.Purpose, Label: r.Label, Address: r.Address, Transport: r.Transport}
	var conn net.Conn
	if a.TCP, conn = dialTCP(ctx, env, r); conn == nil || upTo == upToTCP {
		return a, lineOf(conn)
	}
	if len(r.Prefix) > 0 {
		if _, err := conn.Write(r.Prefix); err != nil {
			conn.Close()
			return a, nil
		}
	}
	if r.Transport.UsesTLS() {
		if a.TLS, conn = handshakeTLS(ctx, env, r, conn); conn == nil {
			return a, nil
		}
	}
	if upTo == upToTLS {
		return a, lineOf(conn)
	}
	if r.Transport.IsWebSocket() {
		if a.WS, conn = upgradeWS(ctx, env, r, conn); conn == nil {
			return a, nil
		}
	}
	if upTo == upToWS {
		return a, lineOf(conn)
	}
	if r.Yield {
		yield(ctx, env, r)
	}
	return a, walkOn(ctx, env, r, a, conn)
}

// walkOn sends the CONNECT on a connection that walk has brought up to TLS or WebSocket, and records what comes of it in a.
func walkOn(ctx context.Context, env *diag.Env, r route, a *diag.Attempt, conn net.Conn) *line {
	var session mqttwire.Session
	a.MQTT, session = connectMQTT(ctx, env, r, conn, a.TLS)
	if session == nil {
		return nil
	}
	return &line{Conn: conn, Session: session}
}

func lineOf(conn net.Conn) *line {
	if conn == nil {
		return nil
	}
	return &line{Conn: conn}
}
