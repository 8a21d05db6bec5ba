package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/errno"
	"mqttdoctor/diag/netprobe"
)

// handshakeTLS makes a TLS handshake on a fresh connection and tells everything that was served, whatever its faults: the
// returned connection is usable also where the certificate is not to be trusted, and nil where the handshake failed (conn
// is closed then). With TLS 1.3 a server's objection to the client's certificate comes only on the first read of the
// returned connection, as an error that [remoteAlert] understands.
func handshakeTLS(ctx context.Context, env *diag.Env, r route, conn net.Conn) (*diag.TLSHandshake, net.Conn) {
	o := &diag.TLSHandshake{Purpose: r.Purpose, Address: r.Address, ServerName: r.TLS.ServerName, OfferedALPN: r.TLS.ALPN}
	seen := &peerFlight{}
	recorded := &firstBytesConn{Conn: conn}
	client := tls.Client(recorded, clientConfig(env, r, o, seen))

	// A deadline and not the context bounds the wait: the context's end closes the connection, and what the kernel knows of
	// a handshake that hangs could not be asked any more.
	begun := time.Now()
	lift := waitAtMost(ctx, conn, env.Options.Timeout)
	err := client.HandshakeContext(ctx)
	lift()
	o.Took = time.Since(begun)
	o.First = recorded.first()
	o.ServerHello = isTLSRecord(o.First)
	seen.describe(env, r, o)
	if err == nil {
		state := client.ConnectionState()
		o.Outcome, o.First, o.Resumed = diag.OutcomeOK, nil, state.DidResume
		describeState(o, state)
		return o, client
	}
	o.Outcome, o.Alert = handshakeOutcome(err, o.First)
	o.Error = printable(err.Error(), 300)
	switch o.Outcome {
	case diag.OutcomeOther:
		o.Speaks, _ = speaks(o.First)
	case diag.OutcomeSilent:
		o.TCP = tcpInfo(conn)
	default:
		if chosen, ok := parseServerHello(o.First); ok {
			o.Version, o.Suite = versionName(chosen.version), suiteName(chosen.suite)
		}
	}
	conn.Close()
	return o, nil
}

// oldestUsual is the oldest version that current clients offer: OpenSSL 3, Go, Java, Python and browsers have all left TLS
// 1.1 behind (RFC 8996). What older ones would get is asked on connections of their own.
const oldestUsual = tls.VersionTLS12

// usualSuites are the suites for TLS 1.2 that clients in the field still offer beside the good ones: the library's own, and
// RSA key exchange, which it leaves out and OpenSSL offers. 3DES and RC4 are in no current client.
var usualSuites = sync.OnceValue(func() []uint16 {
	var out []uint16
	for _, s := range tls.CipherSuites() {
		out = append(out, s.ID)
	}
	return append(out, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256)
})

// clientConfig is what the route's ClientHello says; what the server serves and asks for goes into seen and o.
func clientConfig(env *diag.Env, r route, o *diag.TLSHandshake, seen *peerFlight) *tls.Config {
	config := &tls.Config{
		ServerName: r.TLS.ServerName, NextProtos: r.TLS.ALPN, MinVersion: r.TLS.MinVersion, MaxVersion: r.TLS.MaxVersion,
		CipherSuites: r.TLS.Suites, Time: env.Now,
		// The chain is judged by trust, question by question; refusing it here would hide what lies behind it.
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
	}
	if config.MinVersion == 0 {
		config.MinVersion = min(oldestUsual, versionOr(config.MaxVersion, oldestUsual))
	}
	if config.CipherSuites == nil {
		config.CipherSuites = usualSuites()
	}
	for _, id := range config.CipherSuites {
		o.OfferedSuites = append(o.OfferedSuites, suiteName(id))
	}
	if versionOr(config.MaxVersion, tls.VersionTLS13) >= tls.VersionTLS13 { // the library offers its three, whatever the list
		o.OfferedSuites = append(o.OfferedSuites, suiteName(0x1301), suiteName(0x1302), suiteName(0x1303))
	}
	if r.TLS.SmallHello {
		config.CurvePreferences = []tls.CurveID{tls.X25519}
	}
	o.OfferedMin, o.OfferedMax = versionName(config.MinVersion), versionName(versionOr(config.MaxVersion, tls.VersionTLS13))
	config.VerifyConnection = func(state tls.ConnectionState) error {
		seen.mu.Lock()
		defer seen.mu.Unlock()
		seen.state = &state
		return nil
	}
	config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		seen.mu.Lock()
		defer seen.mu.Unlock()
		seen.requested, seen.cas = true, asked.AcceptableCAs
		if !r.TLS.NoCert && env.Target.TLS.CertPEM != "" {
			if pair, err := tls.X509KeyPair([]byte(env.Target.TLS.CertPEM), []byte(env.Target.TLS.KeyPEM.Reveal())); err == nil {
				seen.sent = true
				return &pair, nil
			}
		}
		return &tls.Certificate{}, nil // none
	}
	return config
}

func versionOr(version, otherwise uint16) uint16 {
	if version == 0 {
		return otherwise
	}
	return version
}

// peerFlight is what the server served and asked for, as far as the handshake went.
type peerFlight struct {
	mu        sync.Mutex // the library calls back on its own goroutine
	state     *tls.ConnectionState
	requested bool
	sent      bool
	cas       [][]byte
}

// maxAcceptableCAs bounds the names of a CertificateRequest that are kept; some servers list every root they know.
const maxAcceptableCAs = 50

func (p *peerFlight) describe(env *diag.Env, r route, o *diag.TLSHandshake) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o.CertRequested, o.ClientCertSent = p.requested, p.sent
	for _, der := range p.cas[:min(len(p.cas), maxAcceptableCAs)] {
		if name := distinguishedName(der); name != "" {
			o.AcceptableCAs = append(o.AcceptableCAs, name)
		}
	}
	if p.state == nil {
		return
	}
	describeState(o, *p.state)
	describeChain(env, r, o, p.state.PeerCertificates, p.state.OCSPResponse)
}

func describeState(o *diag.TLSHandshake, state tls.ConnectionState) {
	o.Version, o.Suite, o.ALPN = versionName(state.Version), suiteName(state.CipherSuite), printable(state.NegotiatedProtocol, 60)
	if state.CurveID != 0 {
		o.Curve = state.CurveID.String()
	}
}

// describeChain tells the served certificates and whether they are to be trusted for the name that the client wants.
func describeChain(env *diag.Env, r route, o *diag.TLSHandshake, served []*x509.Certificate, staple []byte) {
	if len(served) == 0 {
		return
	}
	served = served[:min(len(served), maxChain)]
	for _, c := range served {
		o.Chain = append(o.Chain, certFact(c))
	}
	name := r.TLS.ServerName
	if name == "" {
		name = env.Target.ServerName()
	}
	t := newTrust(env, served)
	o.Trust = t.judge(name)
	if len(staple) > 0 {
		o.OCSPStaple, o.StapleAt = t.readOCSP(staple)
	}
}

// handshakeOutcome classes a failed handshake by its error and by the first bytes that came.
func handshakeOutcome(err error, first []byte) (diag.Outcome, *diag.TLSAlert) {
	if alert, ok := remoteAlert(err); ok {
		return diag.OutcomeRefused, alert
	}
	// An alert can lie unread behind a write that failed because the peer had closed already.
	if alert, ok := plainAlert(first); ok {
		return diag.OutcomeRefused, alert
	}
	if len(first) > 0 && !isTLSRecord(first) {
		return diag.OutcomeOther, nil
	}
	if ended := outcomeOf(err); ended != diag.OutcomeClosed || endedByPeer(err) {
		return ended, nil
	}
	return diag.OutcomeMalformed, nil // TLS, and something in it that this client could not go on with
}

// endedByPeer tells an end of the connection from an error of the library's own.
func endedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errno.Is(err, syscall.ECONNRESET, syscall.EPIPE)
}

// tcpInfo asks the kernel how a connection stands; nil where it does not tell.
func tcpInfo(conn net.Conn) *diag.TCPInfoFact {
	info, err := kernelInfo(conn)
	if err != nil {
		return nil
	}
	return &diag.TCPInfoFact{RTT: info.RTT, Retransmits: info.Retransmits, Unacked: info.Unacked, BytesAcked: int64(info.BytesAcked),
		BytesReceived: int64(info.BytesReceived), OutOfOrder: info.RcvOutOfOrder, SegmentsIn: info.SegsIn, SendMSS: info.SndMSS}
}

// kernelInfo is what the kernel knows of the TCP connection below conn, also of one of ours that was closed.
func kernelInfo(conn net.Conn) (netprobe.Info, error) {
	for below := conn; ; {
		if kept, ok := below.(interface {
			info() (netprobe.Info, error)
		}); ok {
			return kept.info()
		}
		wrapper, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			return netprobe.TCPInfo(conn)
		}
		below = wrapper.NetConn()
	}
}

// versionName writes a version as people do.
func versionName(version uint16) string {
	switch version {
	case 0:
		return ""
	case 0x0300:
		return "SSL 3.0"
	}
	return tls.VersionName(version)
}
