package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

var errPolicy = errors.New("policy")

// Each way in which the target cannot be reached has a close code and a reason of its own.
func TestUnreachableTargets(t *testing.T) {
	ca := diagtest.NewCA(t, "relay test CA")
	cert := ca.Issue(t, diagtest.CertOptions{Names: []string{"127.0.0.1"}})
	wrong := ca.Issue(t, diagtest.CertOptions{Names: []string{"elsewhere.test"}})
	closed := diagtest.Peer(t, diagtest.CloseAtOnce)
	silent := diagtest.Peer(t, diagtest.Silent)
	notFound := diagtest.Peer(t, diagtest.Answer([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")...))
	banner := diagtest.Peer(t, diagtest.Banner("SSH-2.0-OpenSSH_9.6\r\n"))
	endless := diagtest.Peer(t, diagtest.Endless([]byte("HTTP/1.1 200 OK\r\nX: ")...))
	trusted := diagtest.TLSPeer(t, &tls.Config{Certificates: []tls.Certificate{cert.TLS}}, diagtest.Silent)
	misnamed := diagtest.TLSPeer(t, &tls.Config{Certificates: []tls.Certificate{wrong.TLS}}, diagtest.Silent)
	demanding := diagtest.TLSPeer(t, &tls.Config{Certificates: []tls.Certificate{cert.TLS}, ClientAuth: tls.RequireAnyClientCert}, diagtest.Silent)
	given := withCA(ca.PEM)
	for _, c := range []struct {
		name   string
		url    string
		change []func(*diag.TargetInput)
		dial   diag.DialFunc
		status int
		reason string
	}{
		{name: "no such name", url: "mqtt://nowhere.invalid", status: StatusDNS, reason: "no such host",
			dial: func(_ context.Context, network, _ string) (net.Conn, error) { // whatever resolver this machine has, or has not
				return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true}}
			}},
		{name: "refused", url: "mqtt://127.0.0.1:1", status: StatusRefused},
		{name: "forbidden", url: "mqtt://127.0.0.1:1", status: StatusForbidden,
			dial: func(context.Context, string, string) (net.Conn, error) { return nil, errPolicy }},
		{name: "filtered", url: "mqtt://127.0.0.1:1", status: StatusTimeout, reason: "TCP",
			dial: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }},
		{name: "unknown authority", url: trusted.URL("mqtts"), status: StatusTLS, reason: "unknown authority"},
		{name: "wrong name", url: misnamed.URL("mqtts"), change: []func(*diag.TargetInput){given}, status: StatusTLS, reason: "cannot validate"},
		{name: "TLS to a plain port", url: banner.URL("mqtts"), status: StatusTLS, reason: "does not speak TLS"},
		{name: "TLS to silence", url: silent.URL("mqtts"), status: StatusTimeout, reason: "TLS handshake"},
		{name: "TLS to a port that closes", url: closed.URL("mqtts"), status: StatusTLS, reason: "during the handshake"},
		{name: "client certificate required", url: demanding.URL("mqtts"), change: []func(*diag.TargetInput){given}, status: StatusTLS, reason: "certificate required"},
		{name: "WebSocket refused", url: notFound.URL("ws"), status: StatusUpgrade, reason: "404"},
		{name: "WebSocket to a banner", url: banner.URL("ws"), status: StatusUpgrade, reason: "not HTTP"},
		{name: "WebSocket to silence", url: silent.URL("ws"), status: StatusTimeout, reason: "upgrade"},
		{name: "WebSocket to a port that closes", url: closed.URL("ws"), status: StatusUpgrade},
		{name: "WebSocket with an endless answer", url: endless.URL("ws"), status: StatusUpgrade},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := session(t, c.url, c.change...)
			s.Dialer.Timeout = patience // a busy machine's handshake is slow
			if c.status == StatusTimeout {
				s.Dialer.Timeout = 2 * time.Second
			}
			s.Dialer.Forbidden = func(err error) bool { return errors.Is(err, errPolicy) }
			if c.dial != nil {
				s.Dialer.Dial = c.dial
			}
			r := serve(t, s)
			closed, _ := closeOf(t, r.connect(t, "mqtt"))
			if int(closed.Code) != c.status || !strings.Contains(closed.Reason, c.reason) || closed.Reason == "" {
				t.Errorf("closed with %d %q", closed.Code, closed.Reason)
			}
			if end := r.ended(t); end.Status() != c.status {
				t.Errorf("ended: %+v", end)
			}
		})
	}
}

func TestInsecureTargetIsNotVerified(t *testing.T) {
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtts"}})
	r := serve(t, session(t, b.MQTTS, func(in *diag.TargetInput) { in.TLS.Insecure = true }))
	conn := r.connect(t, "mqtt")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = conn.Write(ctx, websocket.MessageBinary, []byte{0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 1, 'a'})
	if _, data, err := conn.Read(ctx); err != nil || data[0] != 0x20 {
		t.Errorf("%x %v", data, err)
	}
}

func TestBrokerGoneMidSession(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
	}{
		{"closes", StatusBrokerClosed},
		{"resets", StatusBrokerReset},
	} {
		t.Run(c.name, func(t *testing.T) {
			arrived := make(chan struct{})
			peer := diagtest.Peer(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1))
				_, _ = conn.Write([]byte("last words"))
				if c.status == StatusBrokerReset {
					<-arrived // a reset overtakes what is under way
					diagtest.Reset(conn)
				}
			})
			r := serve(t, session(t, peer.URL("mqtt")))
			conn := r.connect(t, "mqtt")
			_ = conn.Write(t.Context(), websocket.MessageBinary, []byte("x"))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, got, err := conn.Read(ctx)
			close(arrived)
			if string(got) != "last words" || err != nil {
				t.Fatalf("got %q, %v", got, err)
			}
			if closed, more := closeOf(t, conn); int(closed.Code) != c.status || len(more) > 0 {
				t.Errorf("closed with %d %q after %q", closed.Code, closed.Reason, more)
			}
		})
	}
}

func TestTextMessageIsRefused(t *testing.T) {
	peer := diagtest.Peer(t, diagtest.Silent)
	r := serve(t, session(t, peer.URL("mqtt")))
	conn := r.connect(t, "mqtt")
	_ = conn.Write(t.Context(), websocket.MessageText, []byte("hello"))
	if closed, _ := closeOf(t, conn); closed.Code != websocket.StatusUnsupportedData {
		t.Errorf("closed with %v", closed)
	}
	if end := r.ended(t); end.By != ByClient || end.Why != WhyText {
		t.Errorf("%+v", end)
	}
}

// A client that vanishes takes its connection to the broker with it, or its will would not be sent.
func TestClientGone(t *testing.T) {
	gone := make(chan error, 1)
	peer := diagtest.Peer(t, func(conn net.Conn) {
		_, err := io.Copy(io.Discard, conn)
		gone <- err
	})
	r := serve(t, session(t, peer.URL("mqtt")))
	conn := r.connect(t, "mqtt")
	_ = conn.Write(t.Context(), websocket.MessageBinary, []byte("x"))
	_ = conn.CloseNow()
	if end := r.ended(t); end.By != ByClient || end.Why != WhyGone {
		t.Errorf("%+v", end)
	}
	select {
	case err := <-gone:
		if err != nil {
			t.Errorf("the broker saw %v", err)
		}
	case <-time.After(patience):
		t.Error("the broker saw nothing")
	}
}

func TestQuietConnectionsArePingedAndEnded(t *testing.T) {
	peer := diagtest.Peer(t, diagtest.Silent)
	s := session(t, peer.URL("mqtt"))
	r := serve(t, s)
	pinged := make(chan struct{}, 10)
	conn, _, err := websocket.Dial(t.Context(), r.url, &websocket.DialOptions{Subprotocols: []string{"mqtt"}, HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		OnPingReceived: func(context.Context, []byte) bool { pinged <- struct{}{}; return true }})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	awaitConns(t, s, 1)
	now := time.Now()
	s.Sweep(now.Add(24 * time.Second))
	s.Sweep(now.Add(26 * time.Second))
	s.Sweep(now.Add(27 * time.Second)) // no second ping so soon
	s.Sweep(now.Add(3 * time.Hour))
	if closed, _ := closeOf(t, conn); closed.Code != StatusIdle {
		t.Errorf("closed with %v", closed)
	}
	if len(pinged) != 1 {
		t.Errorf("%d pings", len(pinged))
	}
}

func awaitConns(t testing.TB, s *Session, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		have := len(s.conns)
		s.mu.Unlock()
		if have == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections, not %d", have, n)
		}
	}
}

// A client that stops reading slows its broker and nobody else; after a time it is let go.
func TestClientThatStopsReading(t *testing.T) {
	sent := make(chan int64, 2)
	peer := diagtest.Peer(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		var total int64
		chunk := make([]byte, 64<<10)
		for {
			n, err := conn.Write(chunk)
			if total += int64(n); err != nil {
				sent <- total
				return
			}
		}
	})
	s := session(t, peer.URL("mqtt"))
	r := serve(t, s)
	conn := r.connect(t, "mqtt")
	_ = conn.Write(t.Context(), websocket.MessageBinary, []byte("x"))
	awaitConns(t, s, 1)
	// It reads nothing from here on; the relay's writer comes to stand.
	c := onlyConn(s)
	last, still := uint64(0), 0
	for ; still < 30; time.Sleep(50 * time.Millisecond) {
		if passed := c.passed.Load(); passed == last && c.toClient.Load() {
			still++
		} else {
			last, still = passed, 0
		}
	}
	now := time.Now()
	s.Sweep(now)
	s.Sweep(now.Add(59 * time.Second))
	awaitConns(t, s, 1)
	s.Sweep(now.Add(61 * time.Second))
	if end := r.ended(t); end.By != ByClient || end.Why != WhyStalled || end.Status() != StatusClientStalled {
		t.Errorf("%+v", end)
	}
	if total := <-sent; total > 64<<20 {
		t.Errorf("the broker could send %d bytes to somebody who reads none", total)
	}
}

func onlyConn(s *Session) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		return c
	}
	return nil
}

// A packet as large as MQTT allows flows through without being held.
func TestHugeMessageIsNotHeld(t *testing.T) {
	const size = 300 << 20
	got := make(chan int64, 1)
	peer := diagtest.Peer(t, func(conn net.Conn) {
		n, _ := io.Copy(io.Discard, io.LimitReader(conn, size))
		got <- n
		chunk := make([]byte, 1<<20)
		for range size >> 20 {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	})
	r := serve(t, session(t, peer.URL("mqtt")))
	conn := r.connect(t, "mqtt")
	ctx, cancel := context.WithTimeout(t.Context(), 8*patience)
	defer cancel()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w, err := conn.Writer(ctx, websocket.MessageBinary) // one message of 300 MB, in frames
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	for range size >> 20 {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	if n := <-got; n != size {
		t.Errorf("%d bytes came", n)
	}
	for total := 0; total < size; {
		_, reader, err := conn.Reader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, reader)
		if total += int(n); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 32<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
}
