package relay

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"mqttdoctor/diag"
	"mqttdoctor/diag/errno"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/netprobe"
)

// dialTime bounds each step of the way to the target: lookup and TCP, TLS, the WebSocket upgrade. It is longer than a SYN that
// is lost three times needs (RFC 6298 2.1).
const dialTime = 10 * time.Second

// Dialer opens connections to one target.
type Dialer struct {
	Target diag.Target
	// Dial is the guard's; names are resolved behind it, and each address is judged when it is dialled.
	Dial diag.DialFunc
	// Forbidden tells a refusal by policy from other errors of Dial; nil: there are none.
	Forbidden func(error) bool
	// Roots are trusted where the target gives no CA; nil: the system's.
	Roots *x509.CertPool
	// Timeout bounds each step; 0: 10 s.
	Timeout time.Duration
}

// Path is what was found on the way to the target.
type Path struct {
	Address string        // address and port that answered
	Dialled time.Duration // from the lookup to the open TCP connection
	RTT     time.Duration // of the TCP handshake, as the kernel measured it; 0: unknown
	// TLS: empty where the target speaks none.
	TLSVersion string
	Suite      string
	ALPN       string
	Verified   bool // the certificate was verified; false: the target says not to
	TLSTook    time.Duration
	// WebSocket: empty where the target speaks none, or chose no subprotocol.
	Subprotocol string
	Offered     string // the subprotocol that was asked for
	UpgradeTook time.Duration
}

// upstream is an open connection to the target, ready for MQTT.
type upstream struct {
	net.Conn
	ws    *framed // nil: no WebSocket
	early []byte  // came behind the answer to the upgrade
}

// open walks the way to the target. subprotocol is what the client agreed on with us, and what is offered to a target that
// speaks WebSocket; empty: "mqtt".
func (d *Dialer) open(ctx context.Context, subprotocol string) (*upstream, Path, *End) {
	var path Path
	conn, end := d.connect(ctx, &path)
	if end != nil {
		return nil, path, end
	}
	if d.Target.Scheme.UsesTLS() {
		secured, end := d.handshake(ctx, conn, &path)
		if end != nil {
			conn.Close()
			return nil, path, end
		}
		conn = secured
	}
	up := &upstream{Conn: conn}
	if d.Target.Scheme.IsWebSocket() {
		if up.ws, up.early, end = d.upgrade(ctx, conn, subprotocol, &path); end != nil {
			conn.Close()
			return nil, path, end
		}
	}
	return up, path, nil
}

func (d *Dialer) timeout() time.Duration {
	if d.Timeout > 0 {
		return d.Timeout
	}
	return dialTime
}

func (d *Dialer) connect(ctx context.Context, path *Path) (net.Conn, *End) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	begun := time.Now()
	conn, err := d.Dial(ctx, "tcp", d.Target.HostPort())
	if err != nil {
		return nil, d.dialEnd(err)
	}
	path.Dialled = time.Since(begun)
	path.Address = conn.RemoteAddr().String()
	if info, err := netprobe.TCPInfo(conn); err == nil {
		path.RTT = info.RTT
	}
	return conn, nil
}

// withoutResolver takes the resolver's address out of the text of a lookup that did not reach it, such as "dial udp
// 10.0.0.53:53: connect: network is unreachable": how this server looks names up is nobody's business.
func withoutResolver(text string) string {
	if at := strings.LastIndex(text, ": "); at >= 0 && strings.Contains(text, ":53") {
		return text[at+2:]
	}
	return text
}

func (d *Dialer) dialEnd(err error) *End {
	var dns *net.DNSError
	var none *net.AddrError // what Go makes of a lookup that answers without an address
	end := &End{By: ByBroker, Text: plain(err.Error())}
	switch {
	case d.Forbidden != nil && d.Forbidden(err):
		// The guard's text tells the administrator which flag would change it.
		end.By, end.Why = ByRelay, WhyForbidden
	case errors.As(err, &dns):
		end.Why = WhyDNS
		end.Text = plain(withoutResolver(dns.Err))
		if dns.IsTimeout {
			end.Text = "the lookup timed out"
		}
	case errors.As(err, &none) && none.Addr == d.Target.Host:
		end.Why, end.Text = WhyDNS, none.Err
	case errno.Is(err, syscall.ECONNREFUSED):
		end.Why, end.Text = WhyRefused, ""
	case errors.Is(err, context.Canceled):
		end.By, end.Why, end.Text = ByRelay, WhyEnded, ""
	case isTimeout(err):
		end.Why, end.Text = WhyTimeout, "TCP"
	default:
		end.Why = WhyNetwork
		var system syscall.Errno
		if errors.As(err, &system) {
			end.Text = system.Error()
		}
	}
	return end
}

func isTimeout(err error) bool {
	var late net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout()
}

// usualSuites are the library's own for TLS 1.2, and the RSA key exchange that it has left behind and OpenSSL still offers:
// brokers of the field need it.
var usualSuites = sync.OnceValue(func() []uint16 {
	var out []uint16
	for _, s := range tls.CipherSuites() {
		out = append(out, s.ID)
	}
	return append(out, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA)
})

// handshake secures a connection, with real verification unless the target says not to.
func (d *Dialer) handshake(ctx context.Context, conn net.Conn, path *Path) (net.Conn, *End) {
	t := d.Target.TLS
	config := &tls.Config{ServerName: d.Target.ServerName(), NextProtos: t.ALPN, MinVersion: tls.VersionTLS12,
		CipherSuites: usualSuites(), RootCAs: d.Roots, InsecureSkipVerify: t.Insecure} //nolint:gosec // the user's own choice
	if t.CAPEM != "" { // a client that is given a CA trusts no other
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(t.CAPEM))
	}
	if t.CertPEM != "" {
		pair, err := tls.X509KeyPair([]byte(t.CertPEM), []byte(t.KeyPEM.Reveal()))
		if err != nil {
			return nil, &End{By: ByRelay, Why: WhyTLS, Text: "the client certificate and its key do not fit together"}
		}
		// Not Certificates: those are held back where the server names other authorities, and then nobody says why.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	begun := time.Now()
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, tlsEnd(ctx, err)
	}
	state := secured.ConnectionState()
	path.TLSTook, path.Verified = time.Since(begun), !t.Insecure
	path.TLSVersion, path.Suite, path.ALPN = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), plain(state.NegotiatedProtocol)
	return secured, nil
}

func tlsEnd(ctx context.Context, err error) *End {
	if end := canceled(ctx, "TLS handshake"); end != nil {
		return end
	}
	end := &End{By: ByBroker, Why: WhyTLS, Text: plain(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "tls: "), "failed to verify certificate: "))}
	var record tls.RecordHeaderError
	switch {
	case isTimeout(err):
		end.Why, end.Text = WhyTimeout, "TLS handshake"
	case errors.As(err, &record):
		end.Text = "the target does not speak TLS there"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		end.Text = "the target closed the connection during the handshake"
	case errno.Is(err, syscall.ECONNRESET):
		end.Text = "the target reset the connection during the handshake"
	}
	return end
}

// canceled tells whether a step ended because its context did, rather than through the target.
func canceled(ctx context.Context, step string) *End {
	switch {
	case ctx.Err() == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &End{By: ByBroker, Why: WhyTimeout, Text: step}
	}
	return &End{By: ByRelay, Why: WhyEnded}
}

// readEnd says what an error means that came while the target was read.
func readEnd(err error) *End {
	if number, ok := mqttwire.TLSAlert(err); ok {
		if number == 0 { // close_notify (RFC 8446 6.1)
			return &End{By: ByBroker, Why: WhyClosed}
		}
		return &End{By: ByBroker, Why: WhyTLS, Text: plain(err.Error())}
	}
	var breach *frameError
	switch {
	case errors.As(err, &breach):
		return &End{By: ByBroker, Why: WhyFrames, Text: breach.text}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the latter: TLS without close_notify, as brokers do
		return &End{By: ByBroker, Why: WhyClosed}
	case errno.Is(err, syscall.ECONNRESET, syscall.EPIPE):
		return &End{By: ByBroker, Why: WhyReset}
	case isTimeout(err), errno.Is(err, syscall.ETIMEDOUT):
		return &End{By: ByBroker, Why: WhyTimeout, Text: "the connection went dead"}
	}
	return &End{By: ByBroker, Why: WhyNetwork, Text: plain(err.Error())}
}

// plain makes a text from elsewhere one short line without control characters.
func plain(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
