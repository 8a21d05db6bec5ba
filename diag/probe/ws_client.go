package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// Bounds of what a web server may send us before or in place of an upgrade.
const (
	maxHTTPHeaderBytes = 64 << 10
	maxFirstBytes      = 512
	maxBodyShown       = 200
	// maxWSMessage bounds one WebSocket message. MQTT packets are bounded further by mqttwire; a message may carry
	// several ([MQTT-6.0.0-2]).
	maxWSMessage = 8 << 20
)

// upgradeWS makes a WebSocket opening handshake (RFC 6455 4.1) on a connection and returns a byte stream of its messages;
// nil where the upgrade failed (conn is closed then). Redirects are recorded and not followed.
func upgradeWS(ctx context.Context, env *diag.Env, r route, conn net.Conn) (*diag.WSUpgrade, net.Conn) {
	o := &diag.WSUpgrade{Purpose: r.Purpose, Address: r.Address, TLS: r.Transport.UsesTLS(), Path: r.WS.Path,
		Origin: r.WS.Origin, Offered: r.WS.Subprotocols, UpgradeSent: true}
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	frames := &frameStartConn{Conn: conn}
	recorded := &firstBytesConn{Conn: frames}
	header := http.Header{}
	if !r.WS.NoHeaders {
		for name, value := range env.Target.WS.Headers {
			header.Set(name, value.Reveal())
		}
	}
	if r.WS.Origin != "" {
		header.Set("Origin", r.WS.Origin)
	}
	begun := time.Now()
	transport := &oneConnTransport{conn: recorded}
	ws, resp, err := websocket.Dial(ctx, "ws://"+hostHeader(env.Target, r)+env.Target.RequestURI(r.WS.Path), &websocket.DialOptions{
		HTTPClient: transport.client(), HTTPHeader: header, Subprotocols: r.WS.Subprotocols,
	})
	o.Took = time.Since(begun)
	o.First = recorded.first()
	transport.dialled.Store(true)
	if resp != nil {
		describeHTTP(o, resp)
		o.Location = printable(transport.location, 300)
	}
	if err == nil {
		o.Outcome, o.Subprotocol = diag.OutcomeOK, ws.Subprotocol()
		o.First = nil
		ws.SetReadLimit(maxWSMessage)
		stream := newWSConn(ws, conn)
		stream.first = frames
		return o, stream
	}
	conn.Close()
	o.Error = err.Error()
	switch {
	case o.Status == http.StatusSwitchingProtocols:
		o.Outcome = diag.OutcomeMalformed
	case o.Status != 0:
		o.Outcome = diag.OutcomeRefused
	default:
		o.Outcome, o.Speaks = withoutHTTP(err, o.First)
	}
	return o, nil
}

// withoutHTTP classes an upgrade that got no HTTP answer.
func withoutHTTP(err error, first []byte) (diag.Outcome, string) {
	ended := outcomeOf(err)
	if len(first) == 0 {
		return ended, ""
	}
	protocol, _ := speaks(first)
	switch {
	case protocol == "http" && ended == diag.OutcomeSilent:
		return diag.OutcomeSilent, protocol // headers that never end
	case protocol == "http":
		return diag.OutcomeMalformed, protocol
	}
	return diag.OutcomeOther, protocol
}

// hostHeader is the authority as a client would send it: without the scheme's default port (RFC 9110 4.2.3).
func hostHeader(t diag.Target, r route) string {
	_, port, err := net.SplitHostPort(r.Address)
	if err != nil {
		port = strconv.Itoa(int(t.Port))
	}
	host := t.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if n, _ := strconv.Atoi(port); n == int(r.Transport.WithTLS(r.Transport.UsesTLS()).DefaultPort()) {
		return host
	}
	return net.JoinHostPort(t.Host, port)
}

// oneConnTransport makes one HTTP request on the given connection, which the probe has dialled itself.
type oneConnTransport struct {
	conn     net.Conn
	location string      // of a redirect
	dialled  atomic.Bool // the opening handshake is over
}

func (t *oneConnTransport) client() *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip is asked once: redirects are not followed. It takes a redirect's Location out, since the client would turn one
// that it cannot parse into an error without a response.
func (t *oneConnTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	var once sync.Once
	resp, err := (&http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			err := errors.New("the one connection of this check is used up")
			once.Do(func() { err = nil })
			return t.conn, err
		},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHTTPHeaderBytes,
		Proxy:                  nil, // a proxy of ours would be diagnosed in the broker's place
	}).RoundTrip(req)
	if err != nil {
		return resp, err
	}
	t.location = resp.Header.Get("Location")
	resp.Header.Del("Location")
	if stream, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &switchedBody{stream, &t.dialled}
	}
	return resp, nil
}

// switchedBody is the stream behind a 101. While the opening handshake lasts it is at its end: the library reads on then only
// where it does not like the answer, for an error page that a 101 has not, and would wait for it for three seconds.
type switchedBody struct {
	io.ReadWriteCloser
	dialled *atomic.Bool
}

func (b *switchedBody) Read(p []byte) (int, error) {
	if !b.dialled.Load() {
		return 0, io.EOF
	}
	return b.ReadWriteCloser.Read(p)
}

// proxyHeaders are headers that a proxy or CDN adds, and a broker does not.
var proxyHeaders = []string{"Via", "X-Cache", "CF-RAY", "X-Amz-Cf-Id", "X-Served-By", "X-Varnish", "X-Proxy-Cache",
	"X-Azure-Ref", "Fly-Request-Id", "X-Envoy-Upstream-Service-Time", "EagleId", "X-Via"}

// saysForwardProxy reads what proxies for browsers say to a request that names no host to go to: Go's goproxy, mitmproxy, Privoxy.
func saysForwardProxy(body string) bool {
	body = strings.ToLower(body)
	return slices.ContainsFunc([]string{"does not respond to non-proxy requests", "expected: authority or absolute", "invalid header received from client"},
		func(phrase string) bool { return strings.Contains(body, phrase) })
}

func describeHTTP(o *diag.WSUpgrade, resp *http.Response) {
	o.Status, o.StatusText = resp.StatusCode, printable(strings.TrimSpace(strings.TrimPrefix(resp.Status, strconv.Itoa(resp.StatusCode))), 60)
	h := resp.Header
	o.Subprotocol = printable(h.Get("Sec-WebSocket-Protocol"), 60)
	o.Server, o.Via = printable(h.Get("Server"), 100), printable(h.Get("Via"), 100)
	o.Date = printable(h.Get("Date"), 60)
	o.WWWAuth, o.UpgradeHdr = printable(h.Get("WWW-Authenticate"), 100), printable(h.Get("Upgrade"), 60)
	o.WSVersion = printable(h.Get("Sec-WebSocket-Version"), 20)
	o.RetryAfter = printable(h.Get("Retry-After"), 60)
	o.BodyType = printable(h.Get("Content-Type"), 80)
	for _, name := range proxyHeaders {
		if h.Get(name) != "" {
			o.ProxySigns = append(o.ProxySigns, name)
		}
	}
	slices.Sort(o.ProxySigns)
	// What squid says to a request in origin form, where it expects the absolute form of RFC 9112 3.2.2.
	o.ForwardProxy = strings.HasPrefix(h.Get("X-Squid-Error"), "ERR_INVALID_URL")
	if resp.StatusCode != http.StatusSwitchingProtocols && resp.Body != nil {
		body := make([]byte, 1024) // the library keeps the first 1024 bytes
		n, _ := io.ReadFull(resp.Body, body)
		o.BodyStart = printable(string(body[:n]), maxBodyShown)
		o.ForwardProxy = o.ForwardProxy || saysForwardProxy(string(body[:n]))
	}
}

// printable makes a peer's text safe and short enough to show: one line, no control characters.
func printable(s string, limit int) string {
	s = strings.ToValidUTF8(s, "�")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}

// firstBytesConn keeps the first bytes that are read: evidence where they turn out to be of another protocol.
type firstBytesConn struct {
	net.Conn
	mu   sync.Mutex
	kept []byte
}

func (c *firstBytesConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxFirstBytes - len(c.kept); room > 0 {
		c.kept = append(c.kept, p[:min(n, room)]...)
	}
	return n, err
}

func (c *firstBytesConn) first() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.kept)
}
