package diag

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// Scheme is the transport that the target speaks, or is asked to speak.
type Scheme string

// The schemes, after aliases (tcp, ssl, tls, mqtt+ssl) were resolved.
const (
	SchemeMQTT  Scheme = "mqtt"  // MQTT over TCP
	SchemeMQTTS Scheme = "mqtts" // MQTT over TLS
	SchemeWS    Scheme = "ws"    // MQTT over WebSocket
	SchemeWSS   Scheme = "wss"   // MQTT over WebSocket over TLS
)

// UsesTLS tells whether the transport begins with a TLS handshake.
func (s Scheme) UsesTLS() bool { return s == SchemeMQTTS || s == SchemeWSS }

// IsWebSocket tells whether MQTT travels in WebSocket frames (MQTT 5.0 6).
func (s Scheme) IsWebSocket() bool { return s == SchemeWS || s == SchemeWSS }

// WithTLS returns the same transport with or without TLS.
func (s Scheme) WithTLS(on bool) Scheme {
	switch {
	case s.IsWebSocket() && on:
		return SchemeWSS
	case s.IsWebSocket():
		return SchemeWS
	case on:
		return SchemeMQTTS
	}
	return SchemeMQTT
}

// DefaultPort is the port of a URL that names none: 1883 and 8883 are IANA's, 80 and 443 those of HTTP (RFC 6455 3).
func (s Scheme) DefaultPort() uint16 {
	switch s {
	case SchemeMQTTS:
		return 8883
	case SchemeWS:
		return 80
	case SchemeWSS:
		return 443
	}
	return 1883
}

// Version is an MQTT protocol version as people write it.
type Version string

// The versions; Auto stands for the newest that works.
const (
	VersionAuto Version = "auto"
	Version31   Version = "3.1"
	Version311  Version = "3.1.1"
	Version5    Version = "5"
)

// Versions lists the real versions, newest first: the order in which a run prefers them.
var Versions = []Version{Version5, Version311, Version31}

// Target is what is diagnosed: what the client uses, after [ParseTarget] has checked it.
type Target struct {
	Scheme      Scheme
	SchemeGiven bool // false where only host[:port] was typed
	// Host is what is looked up and dialled: lower-case ASCII (IDNA A-labels) or an address literal without brackets.
	Host string
	// HostTyped is the host as the user wrote it.
	HostTyped string
	Port      uint16
	PortGiven bool

	Protocol      Version
	ClientID      string // empty: a temporary one
	Username      string
	Password      Secret
	KeepAlive     time.Duration // 0: off
	CleanStart    bool
	SessionExpiry time.Duration

	TLS    TLSOptions
	WS     WSOptions
	Topics Topics

	Nodes     []string // further cluster nodes, as normalised URLs
	BridgeURL string
}

// TLSOptions are the client's TLS settings.
type TLSOptions struct {
	CAPEM      string
	CertPEM    string
	KeyPEM     Secret
	ServerName string // SNI and the name the certificate must bear; empty: Host
	ALPN       []string
	Insecure   bool // the client does not verify; faults of the certificate are then warnings of their own
}

// WSOptions are the client's WebSocket settings.
type WSOptions struct {
	Path    string // begins with "/"
	Query   Secret // what follows "?" after it
	Origin  string
	Headers map[string]Secret // a cookie or token may be among them
}

// Topics are the topics that the client uses.
type Topics struct {
	Publish   string
	Subscribe []string
	QoS       byte
}

// HostPort is host and port as for net.Dial.
func (t Target) HostPort() string { return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) }

// Literal returns the address that the host is, where it is one and no name.
func (t Target) Literal() (netip.Addr, bool) {
	addr, err := netip.ParseAddr(t.Host)
	return addr, err == nil
}

// ServerName is the name that TLS uses: the one given, else the host.
func (t Target) ServerName() string {
	if t.TLS.ServerName != "" {
		return t.TLS.ServerName
	}
	return t.Host
}

// URL is the target as one address, without secrets.
func (t Target) URL() string { return t.URLFor(t.Scheme, t.Port, t.WS.Path) }

// URLFor is the URL of another listener on the target's host. A path counts for WebSocket alone.
func (t Target) URLFor(scheme Scheme, port uint16, path string) string {
	u := url.URL{Scheme: string(scheme), Host: net.JoinHostPort(t.Host, strconv.Itoa(int(port)))}
	if !scheme.IsWebSocket() {
		return u.String()
	}
	return u.String() + path // as it was typed: parsing it alone would take "//x" for a host
}

// RequestURI is what is asked for in a WebSocket upgrade at a path: the target's own query belongs to the target's own path.
func (t Target) RequestURI(path string) string {
	if path != t.WS.Path || !t.WS.Query.Given() {
		return path
	}
	return path + "?" + t.WS.Query.Reveal()
}

// HasSecrets tells whether anything was given that is gone once the run has ended.
func (t Target) HasSecrets() bool {
	return t.Password.Given() || t.TLS.KeyPEM.Given() || t.WS.Query.Given() || len(t.WS.Headers) > 0
}

// Credentials tells whether a user name or a password was given.
func (t Target) Credentials() bool { return t.Username != "" || t.Password.Given() }
