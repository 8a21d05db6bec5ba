package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/mqttwire"
)

const patience = time.Minute

// dialTest is the door of tests.
func dialTest(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// relayServer serves a session on a WebSocket.
type relayServer struct {
	url  string
	s    *Session
	ends chan End
	stop context.CancelCauseFunc
}

func serve(t testing.TB, s *Session) *relayServer {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &relayServer{s: s, ends: make(chan End, 10000), stop: cancel}
	var all sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		client, err := Accept(w, req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		all.Go(func() { r.ends <- s.Carry(ctx, client) })
	}))
	r.url = "ws" + strings.TrimPrefix(server.URL, "http")
	t.Cleanup(func() {
		cancel(nil)
		all.Wait()
		server.Close()
	})
	return r
}

func (r *relayServer) ended(t testing.TB) End {
	t.Helper()
	select {
	case end := <-r.ends:
		return end
	case <-time.After(patience):
		t.Fatal("the connection does not end")
		return End{}
	}
}

// target makes a target of a URL and what a test changes in it.
func target(t testing.TB, in diag.TargetInput) diag.Target {
	t.Helper()
	parsed, err := diag.ParseTarget(in)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func session(t testing.TB, url string, change ...func(*diag.TargetInput)) *Session {
	in := diag.TargetInput{URL: url}
	for _, f := range change {
		f(&in)
	}
	return &Session{Dialer: Dialer{Target: target(t, in), Dial: dialTest}}
}

func withCA(pem string) func(*diag.TargetInput) {
	return func(in *diag.TargetInput) { in.TLS.CAPEM = pem }
}

// connect opens a WebSocket to a relay as a library would.
func (r *relayServer) connect(t testing.TB, subprotocols ...string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	conn, _, err := websocket.Dial(ctx, r.url, &websocket.DialOptions{Subprotocols: subprotocols, HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// closeOf reads until the relay closes, and returns what it said and what came before.
func closeOf(t testing.TB, conn *websocket.Conn) (websocket.CloseError, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []byte
	for {
		_, data, err := conn.Read(ctx)
		got = append(got, data...)
		var closed websocket.CloseError
		if errors.As(err, &closed) {
			return closed, got
		}
		if err != nil {
			t.Fatalf("no close frame: %v", err)
		}
	}
}

// Every version behaves over the relay as it does directly, on each of the broker's transports.
func TestEveryVersionOverEveryTransport(t *testing.T) {
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{})
	for _, url := range b.URLs() {
		for _, version := range mqttwire.Versions {
			t.Run(strings.SplitN(url, ":", 2)[0]+" "+version.String(), func(t *testing.T) {
				r := serve(t, session(t, url, withCA(b.CAPEM)))
				name := "mqtt"
				if version == mqttwire.V31 {
					name = "mqttv3.1"
				}
				ws := r.connect(t, name)
				if ws.Subprotocol() != name {
					t.Errorf("subprotocol %q", ws.Subprotocol())
				}
				conn := websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
				talk(t, version, conn)
				// After DISCONNECT both sides close, and either may be first.
				if end := r.ended(t); end.By == ByRelay {
					t.Errorf("ended: %v", &end)
				}
			})
		}
	}
}

// talk connects, subscribes, and gets back what it publishes at every QoS.
func talk(t *testing.T, version mqttwire.Version, conn net.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, result := mqttwire.Connect(ctx, mqttwire.NewConn(conn, mqttwire.ConnConfig{Version: version}),
		mqttwire.ConnectOptions{Version: version, ClientID: "relay-test", CleanStart: true, KeepAlive: 60})
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	defer s.Close()
	for qos := range byte(3) {
		topic := fmt.Sprintf("relay/%d", qos)
		if sub, failure := s.Subscribe(ctx, []mqttwire.Subscription{{Filter: topic, QoS: qos}}); failure != nil || sub.Codes[0] != qos {
			t.Fatalf("SUBSCRIBE at QoS %d: %+v, %v", qos, sub, failure)
		}
		if pub, failure := s.Publish(ctx, mqttwire.Message{Topic: topic, Payload: []byte("hello"), QoS: qos}); failure != nil || !pub.Acked {
			t.Fatalf("PUBLISH at QoS %d: %+v, %v", qos, pub, failure)
		}
		select {
		case got := <-s.Messages():
			if got.Topic != topic || string(got.Payload) != "hello" || got.QoS != qos {
				t.Errorf("at QoS %d came %+v", qos, got)
			}
		case <-ctx.Done():
			t.Fatal("no message came")
		}
	}
	if failure := s.Disconnect(ctx); failure != nil {
		t.Error(failure)
	}
}

func TestBytesPassUnchangedBothWays(t *testing.T) {
	echo := diagtest.Peer(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	r := serve(t, session(t, echo.URL("mqtt")))
	conn := r.connect(t, "mqtt")
	want := bytes.Repeat([]byte("0123456789abcdef-"), 1<<18) // 4.25 MB
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		rest := want
		for size := 1; len(rest) > 0; size = size*3%70001 + 1 {
			n := min(size, len(rest))
			if conn.Write(ctx, websocket.MessageBinary, rest[:n]) != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	var got []byte
	for len(got) < len(want) {
		kind, data, err := conn.Read(ctx)
		if err != nil || kind != websocket.MessageBinary {
			t.Fatal(kind, err)
		}
		got = append(got, data...)
	}
	if !bytes.Equal(got, want) {
		t.Error("the bytes are others")
	}
	_ = conn.Close(websocket.StatusNormalClosure, "bye")
	if end := r.ended(t); end.By != ByClient || end.Why != WhyClosed || end.PeerStatus != 1000 || end.Text != "bye" {
		t.Errorf("%+v", end)
	}
}
