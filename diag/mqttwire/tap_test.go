package mqttwire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag/diagtest"
)

// A library that reads from a Conn gets whole packets, and sees no hostile one.
func TestConnHandsOutCheckedPackets(t *testing.T) {
	client, far := net.Pipe()
	defer far.Close()
	var mu sync.Mutex
	var seen []string
	c := NewConn(client, ConnConfig{Version: V5, Sink: func(dir Direction, at time.Time, f Frame) {
		mu.Lock()
		defer mu.Unlock()
		if at.IsZero() {
			t.Error("a packet without time")
		}
		seen = append(seen, string(dir)+" "+f.Type.String())
	}})
	defer c.Close()
	good := encode5(fullConnack)
	publish := raw(0x30, 0, 1, 'a', 0, 'x')
	go func() {
		buf := make([]byte, 14)
		io.ReadFull(far, buf)
		for _, b := range append(append([]byte{}, good...), publish...) { // a byte at a time
			far.Write([]byte{b})
		}
		far.Write([]byte{0x20, 3, 0, 0, 0xff, 1, 2}) // properties past the end
	}()
	// Another library writes in pieces.
	for _, piece := range [][]byte{{0x10}, {12, 0, 4, 'M', 'Q', 'T', 'T', 4}, {2, 0, 60, 0, 0}} {
		if _, err := c.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range [][]byte{good, publish} {
		got, err := v5.ReadPacket(c)
		if err != nil || !bytes.Equal(encode5(got.Content), want) {
			t.Fatalf("%v, %v", got, err)
		}
	}
	var where *ErrMalformed
	for range 2 { // for good
		if n, err := c.Read(make([]byte, 100)); n > 0 || !errors.As(err, &where) || where.Where != "Property Length" {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 4 || seen[0] != "out CONNECT" || seen[1] != "in CONNACK" || seen[2] != "in PUBLISH" {
		t.Errorf("seen %v", seen)
	}
	traffic := c.Traffic()
	if traffic.BytesOut != 14 || traffic.BytesIn < int64(len(good)+len(publish)) || !bytes.HasPrefix(traffic.First, good) || traffic.LastIn.IsZero() || traffic.LastOut.IsZero() || traffic.Ended != "" {
		t.Errorf("traffic %+v", traffic)
	}
}

// Deadlines hold while a peer dribbles, and reading goes on after them.
func TestConnDeadline(t *testing.T) {
	client, far := net.Pipe()
	defer far.Close()
	c := NewConn(client, ConnConfig{Version: V311})
	defer c.Close()
	half := make(chan struct{})
	go func() {
		far.Write([]byte{0x20, 2})
		<-half
		far.Write([]byte{0, 0})
		far.Close()
	}()
	c.SetReadDeadline(time.Now().Add(soon / 3))
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Time{})
	close(half)
	got := make([]byte, 10)
	if n, err := c.Read(got); err != nil || !bytes.Equal(got[:n], []byte{0x20, 2, 0, 0}) {
		t.Fatalf("% x, %v", got[:n], err)
	}
	if _, err := c.Read(got); err != io.EOF || c.Traffic().Ended != FailClosed {
		t.Errorf("%v, ended %q", err, c.Traffic().Ended)
	}
}

// Packets written at the same time do not mix.
func TestConnWritesWhole(t *testing.T) {
	client, far := net.Pipe()
	c := NewConn(client, ConnConfig{Version: V311})
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() { c.Write(raw(0x30, bytes.Repeat([]byte{byte(i)}, 100)...)) })
	}
	for range 20 {
		frame, err := ReadFrame(far, 0)
		if err != nil || !bytes.Equal(frame.Body, bytes.Repeat(frame.Body[:1], 100)) {
			t.Fatalf("%v, %v", frame, err)
		}
	}
	group.Wait()
	c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil || c.Traffic().Ended != FailLocal {
		t.Errorf("%v, ended %q", err, c.Traffic().Ended)
	}
}

// The same sessions over TLS and WebSocket.
func TestSessionsOverTLSAndWebSocket(t *testing.T) {
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{})
	for _, v := range Versions {
		for _, transport := range []string{b.MQTTS, b.WS, b.WSS} {
			ctx := testContext(t)
			s, r := Connect(ctx, open5(t, ctx, b, transport, v), options(v, "x"))
			if r.Err != nil {
				t.Fatalf("MQTT %s over %s: %v", v, transport, r.Err)
			}
			if sub, failure := s.Subscribe(ctx, []Subscription{{Filter: "over/#", QoS: 2}}); failure != nil || sub.Codes[0] != 2 {
				t.Errorf("%+v, %v", sub, failure)
			}
			if pub, failure := s.Publish(ctx, Message{Topic: "over/it", Payload: []byte("x"), QoS: 2}); failure != nil || !pub.Acked {
				t.Errorf("%+v, %v", pub, failure)
			}
			if m := take(t, s); m.Topic != "over/it" || m.QoS != 2 {
				t.Errorf("%+v", m)
			}
			if failure := s.Disconnect(ctx); failure != nil {
				t.Errorf("MQTT %s over %s: %v", v, transport, failure)
			}
		}
	}
}

func open5(t *testing.T, ctx context.Context, b *diagtest.Broker, address string, v Version) net.Conn {
	config := &tls.Config{RootCAs: b.CA.Pool(), ServerName: "localhost"}
	if address == b.MQTTS {
		conn := tls.Client(dial(t, address), config)
		if err := conn.HandshakeContext(ctx); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	name := "mqtt"
	if v == V31 {
		name = "mqttv3.1"
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	t.Cleanup(client.CloseIdleConnections)
	ws, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{Subprotocols: []string{name}, HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
}

// A refusal by a real broker, in each version's own words; a kept session; a will.
func TestMosquitto(t *testing.T) {
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Users: map[string]string{"user": "right"}})
	for _, v := range Versions {
		t.Run(v.String(), func(t *testing.T) {
			ctx := testContext(t)
			o := options(v, "kept")
			if _, r := Connect(ctx, dial(t, b.MQTT), o); kindFrom(r.Err) != FailRefused || r.Connack == nil || len(r.RawConnack) < 4 {
				t.Errorf("without a password: %+v", r)
			}
			user := "user"
			o.Username, o.Password = &user, []byte("wrong")
			if _, r := Connect(ctx, dial(t, b.MQTT), o); kindFrom(r.Err) != FailRefused {
				t.Errorf("with a wrong one: %+v", r)
			}
			o.Password = []byte("right")
			watcher := connected(t, b.MQTT, o)
			if _, failure := watcher.Subscribe(ctx, []Subscription{{Filter: "will", QoS: 1}}); failure != nil {
				t.Fatal(failure)
			}
			o.ClientID, o.CleanStart, o.SessionExpiry = "dying", false, 60
			o.Will = &Will{Topic: "will", Payload: []byte("gone"), QoS: 1}
			first := connected(t, b.MQTT, o)
			if first.Connack().SessionPresent {
				t.Error("a session out of nothing")
			}
			first.Close() // without a word
			if m := take(t, watcher); string(m.Payload) != "gone" {
				t.Errorf("%+v", m)
			}
			o.Will = nil
			if second := connected(t, b.MQTT, o); second.Connack().SessionPresent != (v != V31) { // MQTT 3.1 cannot tell
				t.Errorf("on return: %+v", second.Connack())
			} else if third := connected(t, b.MQTT, o); third != nil {
				<-second.Done() // taken over
				// mosquitto 2.0.11 means to send DISCONNECT 0x8E, and closes before it has gone out.
				if end := second.ClosedBy(); end.Kind != FailClosed && end.Kind != FailReset && (v != V5 || end.Kind != FailRefused || end.Code != 0x8e) {
					t.Errorf("taken over: %+v", end)
				}
				third.Disconnect(ctx)
			}
			o.CleanStart, o.SessionExpiry = true, 0
			connected(t, b.MQTT, o).Disconnect(ctx) // leave nothing behind for the next version
			o.ClientID = ""
			if v == V31 { // its ids have 1 to 23 characters (MQTT 3.1 3.1)
				return
			}
			if s := connected(t, b.MQTT, o); v == V5 && s.ClientID() == "" {
				t.Error("no assigned client identifier")
			}
		})
	}
}

// Whatever follows a CONNACK, a session ends in order: no panic in a library's goroutine, nothing left running.
func FuzzSession(f *testing.F) {
	f.Add(byte(5), raw(0x34, 0, 1, 'a', 0, 1, 0))
	f.Add(byte(5), append(raw(0x50, 0, 1), raw(0x62, 0, 1)...))
	f.Add(byte(5), append(raw(0x90, 0, 1, 0, 1), raw(0x40, 0, 2, 0x87)...))
	f.Add(byte(5), raw(0xe0, 0x8b, 0))
	f.Add(byte(4), append(raw(0x34, 0, 1, 'a', 0, 1), raw(0x62, 0, 1)...))
	f.Add(byte(3), raw(0x90, 0, 1, 0x80))
	f.Fuzz(func(t *testing.T, version byte, data []byte) {
		v := V31 + Version(version%3)
		client, far := net.Pipe()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := ReadFrame(far, 0); err != nil {
				t.Error(err)
			}
			connack := raw(0x20, 0, 0)
			if v == V5 {
				connack = raw(0x20, 0, 0, 0)
			}
			far.Write(connack)
			group.Go(func() { io.Copy(io.Discard, far) })
			far.Write(data)
			far.Close()
		})
		ctx := testContext(t)
		s, r := Connect(ctx, client, options(v, "x"))
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		sub := s.StartSubscribe([]Subscription{{Filter: "a"}})
		pub := s.StartPublish(Message{Topic: "a", QoS: 2})
		for range s.Messages() {
		}
		sub.Wait(ctx)
		pub.Wait(ctx)
		if end := s.ClosedBy(); end.Kind == "" || end.Kind == FailLocal || end.Kind == FailNoAnswer {
			t.Errorf("ended by %+v", end)
		}
		s.Close()
		group.Wait()
	})
}
