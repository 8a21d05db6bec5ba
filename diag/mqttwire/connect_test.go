package mqttwire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag/diagtest"
)

// soon bounds waits that are meant to end by it.
const soon = 300 * time.Millisecond

const http403 = "HTTP/1.0 403 Forbidden\r\nServer: test\r\nContent-Length: 0\r\n\r\n"

// What comes of a CONNECT, peer by peer. A peer that is not answered at once is given soon.
func TestConnectPeers(t *testing.T) {
	both, only3, only5 := []Version{V31, V311, V5}, []Version{V31, V311}, []Version{V5}
	for _, c := range []struct {
		name     string
		peer     diagtest.Handler
		versions []Version
		want     []FailureKind // any of
		first    string        // beginning of FirstBytes
		check    func(*testing.T, ConnectResult)
	}{
		{"silent", diagtest.Silent, both, []FailureKind{FailNoAnswer}, "", func(t *testing.T, r ConnectResult) {
			if r.Duration < soon/2 || !r.AnsweredAt.IsZero() || r.Closed != "" {
				t.Errorf("%+v", r)
			}
		}},
		// What we write may meet the closed end before the FIN is read.
		{"close at once", diagtest.CloseAtOnce, both, []FailureKind{FailClosed, FailReset}, "", nil},
		{"close after CONNECT", diagtest.CloseAfterFirstBytes, both, []FailureKind{FailClosed}, "", func(t *testing.T, r ConnectResult) {
			if r.Closed != FailClosed {
				t.Errorf("closed is %q", r.Closed)
			}
		}},
		{"reset after CONNECT", diagtest.ResetAfterFirstBytes, both, []FailureKind{FailReset}, "", func(t *testing.T, r ConnectResult) {
			if r.Closed != FailReset || !errors.Is(r.Err, syscall.ECONNRESET) {
				t.Errorf("closed is %q, %v", r.Closed, r.Err)
			}
		}},
		{"SSH", diagtest.Banner(diagtest.SSHBanner), both, []FailureKind{FailNotMQTT}, diagtest.SSHBanner, nil},
		{"HTTP", diagtest.Answer([]byte(http403)...), both, []FailureKind{FailNotMQTT}, http403, nil},
		{"HTTP and close", diagtest.AnswerAndClose([]byte(http403)...), both, []FailureKind{FailNotMQTT}, http403, nil},
		{"HTTP in pieces", func(conn net.Conn) {
			conn.Read(make([]byte, 4096))
			conn.Write([]byte(http403[:3]))
			time.Sleep(20 * time.Millisecond) // within what a short answer is given
			conn.Write([]byte(http403[3:]))
			io.Copy(io.Discard, conn)
		}, both, []FailureKind{FailNotMQTT}, http403, nil},
		{"TLS alert", diagtest.AnswerAndClose(0x15, 3, 1, 0, 2, 2, 70), both, []FailureKind{FailNotMQTT}, "\x15\x03\x01", nil},
		{"one byte dribbled", diagtest.Drip(100*time.Millisecond, []byte(http403)...), both, []FailureKind{FailNotMQTT}, "H", nil},
		{"zeros without end", diagtest.Endless(0), both, []FailureKind{FailNotMQTT}, strings.Repeat("\x00", 512), func(t *testing.T, r ConnectResult) {
			if len(r.FirstBytes) != 512 {
				t.Errorf("%d first bytes", len(r.FirstBytes))
			}
		}},
		{"PUBLISH first", diagtest.Answer(0x30, 3, 0, 1, 'a'), both, []FailureKind{FailNotMQTT}, "0", nil},
		{"SUBACK first", diagtest.Answer(0x90, 3, 0, 1, 0), both, []FailureKind{FailNotMQTT}, "\x90", nil},
		{"DISCONNECT first in MQTT 3", diagtest.Answer(0xe0, 0), only3, []FailureKind{FailNotMQTT}, "\xe0", nil},
		{"256 MB", diagtest.HugeConnack, both, []FailureKind{FailTooLarge}, "\x20\xff\xff\xff\x7f", nil},
		{"five bytes of length", diagtest.BadLength, both, []FailureKind{FailMalformed}, "\x20\xff\xff\xff\xff", nil},
		{"half a CONNACK", diagtest.HalfConnack, both, []FailureKind{FailNoAnswer}, "\x20\x02\x00", nil},
		{"half a CONNACK and close", diagtest.AnswerAndClose(0x20, 2, 0), both, []FailureKind{FailClosed}, "\x20\x02\x00", nil},
		{"half a CONNACK and reset", func(conn net.Conn) {
			conn.Read(make([]byte, 4096))
			conn.Write([]byte{0x20, 2, 0})
			time.Sleep(20 * time.Millisecond) // else the RST overtakes the bytes; either way is a reset
			diagtest.Reset(conn)
		}, both, []FailureKind{FailReset}, "", nil},
		{"CONNACK dribbled too slowly", diagtest.Drip(200*time.Millisecond, 0x20, 9, 0, 0, 6, 0x1f, 0, 3, 'a', 'b', 'c'), both, []FailureKind{FailNoAnswer}, "\x20", nil},
		{"empty CONNACK", diagtest.Answer(0x20, 0), both, []FailureKind{FailMalformed}, "\x20\x00", nil},
		{"property length past the end", diagtest.Answer(0x20, 3, 0, 0, 0xff), only5, []FailureKind{FailMalformed}, "\x20\x03", nil},
		{"properties of 268 MB in six bytes", diagtest.Answer(0x20, 6, 0, 0, 0xff, 0xff, 0xff, 0x7f), only5, []FailureKind{FailMalformed}, "\x20\x06", nil},
		{"refused", diagtest.Connack(5, 0x87), both, []FailureKind{FailRefused}, "", func(t *testing.T, r ConnectResult) {
			if r.Connack == nil || r.Connack.Code != r.Err.Code || r.Err.Packet != CONNACK || r.Connack.Reason() != r.Err.Reason || !strings.Contains(strings.ToLower(r.Err.Reason), "not authorized") || len(r.FirstBytes) > 0 {
				t.Errorf("%+v, %+v", r, r.Connack)
			}
		}},
		{"refused in the form of MQTT 3.1.1", diagtest.AnswerAndClose(0x20, 2, 0, 1), only5, []FailureKind{FailRefused}, "", func(t *testing.T, r ConnectResult) {
			if r.Connack == nil || !r.Connack.Legacy || r.Connack.Code != 1 || !bytes.Equal(r.RawConnack, []byte{0x20, 2, 0, 1}) {
				t.Errorf("%+v", r)
			}
		}},
		{"accepted in the form of MQTT 3.1.1", diagtest.Answer(0x20, 2, 0, 0), only5, []FailureKind{FailMalformed}, "\x20\x02\x00\x00", nil},
		// paho takes every code under 0x80 for success.
		{"a code of MQTT 3 in the form of MQTT 5", diagtest.Answer(0x20, 3, 0, 5, 0), only5, []FailureKind{FailRefused}, "", nil},
		{"DISCONNECT in place of CONNACK", diagtest.Answer(raw(0xe0, 0x9c, 8, 0x1c, 0, 5, 'o', 't', 'h', 'e', 'r')...), only5, []FailureKind{FailRefused}, "\xe0", func(t *testing.T, r ConnectResult) {
			if r.Connack != nil || r.Err.Packet != DISCONNECT || r.Err.Code != 0x9c || r.Err.Reason != "Use another server" {
				t.Errorf("%+v", r.Err)
			}
		}},
		{"short DISCONNECT in place of CONNACK", diagtest.Answer(0xe0, 1, 0x8b), only5, []FailureKind{FailRefused}, "\xe0", nil},
		{"AUTH in place of CONNACK", diagtest.Answer(raw(0xf0, 0x18, 4, 0x15, 0, 1, 'M')...), only5, []FailureKind{FailRefused}, "\xf0", func(t *testing.T, r ConnectResult) {
			if r.Err.Packet != AUTH || r.Err.Code != 0x18 {
				t.Errorf("%+v", r.Err)
			}
		}},
		{"refused with everything", answer(&v5.Connack{ReasonCode: 0x9d, Properties: fullConnack.Properties}), only5, []FailureKind{FailRefused}, "", func(t *testing.T, r ConnectResult) {
			if c := r.Connack; c == nil || c.ServerReference != "other:1883" || c.ReasonString != "welcome" || c.AssignedClientID != "auto-1" || r.Err.ReasonString != "welcome" {
				t.Errorf("%+v", c)
			}
		}},
		{"reason that is not UTF-8", diagtest.Answer(raw(0x20, 0, 0x86, 5, 0x1f, 0, 2, 0xc4, 0xe3)...), only5, []FailureKind{FailRefused}, "", func(t *testing.T, r ConnectResult) {
			if r.Connack.ReasonString != "\xc4\xe3" || len(r.Connack.Violations) != 1 {
				t.Errorf("%+v", r.Connack)
			}
		}},
		{"accepted", diagtest.Connack(0, 0), both, nil, "", func(t *testing.T, r ConnectResult) {
			if !r.Connack.Accepted() || len(r.RawConnack) < 4 || r.AnsweredAt.Before(r.SentAt) || r.Duration <= 0 {
				t.Errorf("%+v", r)
			}
		}},
		// paho.golang dereferences nil at an authentication method without a handler.
		{"accepted with everything", answer(fullConnack), only5, nil, "", func(t *testing.T, r ConnectResult) {
			if c := r.Connack; c.AuthenticationMethod != "SCRAM" || !c.SessionPresent || *c.ServerKeepAlive != 30 {
				t.Errorf("%+v", c)
			}
		}},
	} {
		for _, v := range c.versions {
			t.Run(c.name+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				limit := bound // these answer at once, and Connect returns then; a busy machine is no reason to fail
				if c.want != nil && c.want[0] == FailNoAnswer {
					limit = soon
				}
				address := diagtest.Peer(t, c.peer).Addr
				begun := time.Now()
				s, r := connectWithin(t, limit, address, v)
				for limit < bound && !strings.HasPrefix(string(r.FirstBytes), c.first) { // half an answer, by a peer that had no time for it
					limit *= 4
					s, r = connectWithin(t, limit, address, v)
				}
				took := time.Since(begun)
				var kind FailureKind
				if r.Err != nil {
					kind = r.Err.Kind
				}
				if !oneOf(kind, c.want) {
					t.Fatalf("%v, want %v (first bytes %q)", r.Err, c.want, r.FirstBytes)
				}
				if (s != nil) != (c.want == nil) {
					t.Fatalf("session %v", s)
				}
				if !strings.HasPrefix(string(r.FirstBytes), c.first) {
					t.Errorf("first bytes %q, want %q", r.FirstBytes, c.first)
				}
				if took > 2*bound {
					t.Errorf("it took %v", took)
				}
				if c.check != nil {
					c.check(t, r)
				}
				if s != nil {
					s.Close()
				}
			})
		}
	}
}

// connectWithin is Connect over a new connection, which waits for so long and no longer.
func connectWithin(t *testing.T, limit time.Duration, address string, v Version) (Session, ConnectResult) {
	t.Helper()
	conn := dial(t, address)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return Connect(ctx, conn, options(v, "mqttdoctor-test"))
}

func answer(p v5.Packet) diagtest.Handler { return diagtest.Answer(encode5(p)...) }

func oneOf(kind FailureKind, any []FailureKind) bool {
	for _, k := range any {
		if k == kind {
			return true
		}
	}
	return kind == "" && any == nil
}

// A length field costs no memory, in either version.
func TestConnectMemory(t *testing.T) {
	for _, v := range Versions {
		conn := dial(t, diagtest.Peer(t, diagtest.HugeConnack).Addr)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, r := Connect(testContext(t), conn, options(v, "x"))
		runtime.ReadMemStats(&after)
		if r.Err == nil || r.Err.Kind != FailTooLarge {
			t.Fatal(r.Err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("MQTT %s: %d bytes were allocated", v, grown)
		}
	}
}

func TestConnectCanceled(t *testing.T) {
	for _, v := range Versions {
		got := make(chan struct{}, 2)
		peer := diagtest.Peer(t, func(conn net.Conn) {
			conn.Read(make([]byte, 1))
			got <- struct{}{}
			io.Copy(io.Discard, conn)
		})
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-got; cancel() }()
		if _, r := Connect(ctx, dial(t, peer.Addr), options(v, "x")); r.Err == nil || r.Err.Kind != FailCanceled {
			t.Errorf("MQTT %s: %v", v, r.Err)
		}
		if _, r := Connect(ctx, dial(t, peer.Addr), options(v, "x")); r.Err == nil || r.Err.Kind != FailCanceled || !r.SentAt.IsZero() {
			t.Errorf("MQTT %s, canceled before: %v", v, r.Err)
		}
	}
}

func TestConnectInvalid(t *testing.T) {
	long := strings.Repeat("x", 65536)
	for name, o := range map[string]ConnectOptions{
		"no version": {}, "long id": {Version: V5, ClientID: long}, "long user name": {Version: V311, Username: &long},
		"long password": {Version: V5, Password: []byte(long)}, "password alone": {Version: V311, Password: []byte("x")},
		"will at QoS 3": {Version: V5, Will: &Will{Topic: "a", QoS: 3}}, "long will": {Version: V5, Will: &Will{Topic: long}},
		"long user property": {Version: V5, UserProperties: []UserProperty{{"k", long}}}, "negative padding": {Version: V5, PadBytes: -1},
	} {
		client, server := net.Pipe()
		_, r := Connect(testContext(t), client, o)
		if r.Err == nil || r.Err.Kind != FailInvalid || EncodeConnect(o) != nil {
			t.Errorf("%s: %v", name, r.Err)
		}
		if n, err := server.Read(make([]byte, 1)); n > 0 || err != io.EOF {
			t.Errorf("%s: the connection is not closed: %d, %v", name, n, err)
		}
	}
}

// TLS 1.3: the alert for a missing client certificate comes after the handshake, in place of the CONNACK.
func TestConnectTLSAlert(t *testing.T) {
	ca := diagtest.NewCA(t, "test CA")
	cert := ca.Issue(t, diagtest.CertOptions{Names: []string{"localhost"}})
	peer := diagtest.TLSPeer(t, cert.Server(diagtest.ClientCertRequired(ca)), diagtest.Silent)
	for _, v := range Versions {
		conn := tls.Client(dial(t, peer.Addr), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
		if err := conn.HandshakeContext(testContext(t)); err != nil {
			t.Fatal(err)
		}
		_, r := Connect(testContext(t), conn, options(v, "x"))
		if r.Err == nil || r.Err.Kind != FailTLSAlert || r.Err.Alert != 116 || r.Closed != FailTLSAlert {
			t.Errorf("MQTT %s: %+v", v, r.Err)
		}
	}
}

// halfBroken fails to write, and reads what is in it.
type halfBroken struct {
	net.Conn
	in io.Reader
}

func (c *halfBroken) Write([]byte) (int, error) { return 0, syscall.ECONNRESET }

func (c *halfBroken) Read(p []byte) (int, error) {
	if c.in == nil {
		return c.Conn.Read(p)
	}
	return c.in.Read(p)
}

// What ended the connection may be read after writing to it has failed.
func TestConnectReadsAfterWriteError(t *testing.T) {
	for _, v := range Versions {
		refusal := []byte{0x20, 2, 0, 5}
		if v == V5 {
			refusal = []byte{0x20, 3, 0, 0x87, 0}
		}
		client, server := net.Pipe()
		_, r := Connect(testContext(t), &halfBroken{Conn: client, in: bytes.NewReader(refusal)}, options(v, "x"))
		if r.Err == nil || r.Err.Kind != FailRefused {
			t.Errorf("MQTT %s: %v", v, r.Err)
		}
		server.Close()

		client, server = net.Pipe()
		begun := time.Now()
		_, r = Connect(testContext(t), &halfBroken{Conn: client}, options(v, "x"))
		if r.Err == nil || r.Err.Kind != FailWriteError || !errors.Is(r.Err, syscall.ECONNRESET) {
			t.Errorf("MQTT %s, nothing to read: %v", v, r.Err)
		}
		if took := time.Since(begun); took > bound/2 {
			t.Errorf("MQTT %s: it took %v", v, took)
		}
		server.Close()
	}
}

// The CONNECT on the wire is the one that EncodeConnect shows, and says what was asked for.
func TestEncodeConnect(t *testing.T) {
	user := "käthe"
	full := ConnectOptions{ClientID: "id", Username: &user, Password: []byte{}, KeepAlive: 7, Will: &Will{Topic: "w", Payload: []byte("gone"), QoS: 1, Retain: true, DelayS: 5},
		SessionExpiry: 9, UserProperties: []UserProperty{{"a", "b"}}, AnnouncedMaximum: 5000, ReceiveMaximum: 3, PadBytes: 70000}
	empty := ""
	for _, o := range []ConnectOptions{{CleanStart: true}, full, {ClientID: "x", Username: &empty}} {
		for _, v := range Versions {
			o.Version = v
			b := diagtest.ScriptedBroker(t, diagtest.Script{})
			if s, r := Connect(testContext(t), dial(t, b.Addr), o); r.Err != nil {
				t.Fatalf("MQTT %s: %v", v, r.Err)
			} else {
				s.Close()
			}
			got := b.Connects()[0]
			if !bytes.Equal(got.Raw, EncodeConnect(o)) {
				t.Errorf("MQTT %s:\n% x\n% x", v, got.Raw, EncodeConnect(o))
			}
			if got.Level != byte(v) || got.ClientID != o.ClientID || got.UsernameGiven != (o.Username != nil) || got.Username != text(o.Username) ||
				got.PasswordGiven != (o.Password != nil) || got.KeepAlive != o.KeepAlive || got.Clean != o.CleanStart || (got.WillTopic != "") != (o.Will != nil) {
				t.Errorf("MQTT %s: %+v", v, got)
			}
			if v != V5 {
				continue
			}
			if got.SessionExpiry != o.SessionExpiry || len(got.Raw) < o.PadBytes {
				t.Errorf("expiry %d, %d bytes", got.SessionExpiry, len(got.Raw))
			}
			packet, err := v5.ReadPacket(bytes.NewReader(got.Raw))
			if err != nil {
				t.Fatal(err)
			}
			p := packet.Content.(*v5.Connect).Properties
			if p.RequestProblemInfo != nil || p.ReceiveMaximum == nil {
				t.Errorf("properties %+v", p)
			}
		}
	}
}
