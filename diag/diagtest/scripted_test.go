package diagtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	v5 "github.com/eclipse/paho.golang/packets"
)

// client is a packet-level MQTT client: it sends what it is told and expects what it is told.
type client struct {
	t     *testing.T
	level byte
	conn  net.Conn
}

func dialScripted(t *testing.T, b *ScriptedPeer, ca *CA, level byte) *client {
	t.Helper()
	u, err := url.Parse(b.Target())
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{ServerName: "localhost"}
	if ca != nil {
		config.RootCAs = ca.Pool()
	}
	var conn net.Conn
	switch u.Scheme {
	case "mqtt":
		conn, err = net.Dial("tcp", u.Host)
	case "mqtts":
		conn, err = tls.Dial("tcp", u.Host, config)
	default:
		transport := &http.Transport{TLSClientConfig: config}
		var ws *websocket.Conn
		ws, _, err = websocket.Dial(t.Context(), b.Target(), &websocket.DialOptions{
			Subprotocols: []string{"mqtt"}, HTTPClient: &http.Client{Transport: transport}})
		if err == nil {
			conn = &wsStream{Conn: nil, ws: ws, kind: websocket.MessageBinary}
			t.Cleanup(func() { ws.CloseNow() })
			return &client{t, level, conn}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(startLimit))
	return &client{t, level, conn}
}

func (c *client) connect(id string, change ...func(*v5.Connect)) *v5.Connack {
	c.t.Helper()
	name := "MQTT"
	if c.level == 3 {
		name = "MQIsdp"
	}
	p := &v5.Connect{ProtocolName: name, ProtocolVersion: c.level, ClientID: id, CleanStart: true, KeepAlive: 30,
		Properties: &v5.Properties{}}
	for _, f := range change {
		f(p)
	}
	c.send(p)
	return c.read(v5.CONNACK).Content.(*v5.Connack)
}

// send writes what a client sends. The codec of MQTT 5 writes 3.1.1 too for the packets below, but for the properties'
// length, which is taken out.
func (c *client) send(p v5.Packet) {
	c.t.Helper()
	if _, err := c.conn.Write(clientPacket(c.level, p)); err != nil {
		c.t.Fatal(err)
	}
}

func clientPacket(level byte, content v5.Packet) []byte {
	var out strings.Builder
	if level >= 5 {
		content.WriteTo(&out)
		return []byte(out.String())
	}
	str := func(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }
	id := func(n uint16) []byte { return []byte{byte(n >> 8), byte(n)} }
	var first byte
	var body []byte
	switch p := content.(type) {
	case *v5.Connect:
		first = 0x10
		flags := byte(2)
		tail := str(p.ClientID)
		if p.UsernameFlag {
			flags |= 0xc0
			tail = append(append(tail, str(p.Username)...), str(string(p.Password))...)
		}
		body = slices.Concat(str(p.ProtocolName), []byte{level, flags, 0, 30}, tail)
	case *v5.Subscribe:
		first = 0x82
		body = id(p.PacketID)
		for _, s := range p.Subscriptions {
			body = append(append(body, str(s.Topic)...), s.QoS)
		}
	case *v5.Publish:
		first = 0x30 | p.QoS<<1
		body = str(p.Topic)
		if p.QoS > 0 {
			body = append(body, id(p.PacketID)...)
		}
		body = append(body, p.Payload...)
	case *v5.Pubrel:
		first, body = 0x62, id(p.PacketID)
	case *v5.Pingreq:
		first = 0xc0
	case *v5.Disconnect:
		first = 0xe0
	default:
		panic(fmt.Sprintf("%T", content))
	}
	return slices.Concat([]byte{first, byte(len(body))}, body)
}

func (c *client) read(want byte) *v5.ControlPacket {
	c.t.Helper()
	raw, err := readPacket(c.conn)
	if err != nil {
		c.t.Fatalf("waiting for packet type %d: %v", want, err)
	}
	if raw[0]>>4 != want {
		c.t.Fatalf("got % x, want type %d", raw, want)
	}
	if c.level < 5 { // the server's packets of MQTT 3, in the form of 5
		at := 2
		number := func() uint16 { return uint16(raw[at])<<8 | uint16(raw[at+1]) }
		packet := v5.NewControlPacket(want)
		switch p := packet.Content.(type) {
		case *v5.Connack:
			p.ReasonCode = raw[3]
		case *v5.Suback:
			p.PacketID, p.Reasons = number(), raw[4:]
		case *v5.Puback:
			p.PacketID = number()
		case *v5.Publish:
			length := int(number())
			p.Topic, p.QoS, p.Retain = string(raw[4:4+length]), raw[0]>>1&3, raw[0]&1 == 1
			at = 4 + length
			if p.QoS > 0 {
				at += 2
			}
			p.Payload = raw[at:]
		}
		return packet
	}
	packet, err := decode(5, raw)
	if err != nil {
		c.t.Fatal(err)
	}
	return packet
}

func (c *client) subscribe(filter string, qos byte) byte {
	c.t.Helper()
	c.send(&v5.Subscribe{PacketID: 7, Properties: &v5.Properties{}, Subscriptions: []v5.SubOptions{{Topic: filter, QoS: qos}}})
	return c.read(v5.SUBACK).Content.(*v5.Suback).Reasons[0]
}

func (c *client) publish(topic string, qos byte, payload string) {
	c.t.Helper()
	c.send(&v5.Publish{Topic: topic, QoS: qos, PacketID: 9, Payload: []byte(payload), Properties: &v5.Properties{}})
}

func (c *client) expectClosed() {
	c.t.Helper()
	if raw, err := readPacket(c.conn); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("not closed: % x %v", raw, err)
	}
}

func TestScriptedBrokerIsHealthyUnlessTold(t *testing.T) {
	ca := NewCA(t, "root")
	config := ca.Issue(t, CertOptions{}).Server()
	for name, b := range map[string]*ScriptedPeer{
		"mqtt":     ScriptedBroker(t, Script{}),
		"mqtts":    ScriptedBroker(t, Script{}, WithTLS(config)),
		"ws":       ScriptedBroker(t, Script{WS: &WSScript{}}),
		"wss":      ScriptedBroker(t, Script{WS: &WSScript{}}, WithTLS(config)),
		"ws split": ScriptedBroker(t, Script{WS: &WSScript{Path: "/other", FrameBytes: 3}}),
	} {
		for _, level := range []byte{3, 4, 5} {
			t.Run(fmt.Sprintf("%s level %d", name, level), func(t *testing.T) {
				c := dialScripted(t, b, ca, level)
				if code := c.connect("c1").ReasonCode; code != 0 {
					t.Fatalf("CONNACK %d", code)
				}
				if code := c.subscribe("a/+", 2); code != 2 {
					t.Fatalf("SUBACK %x", code)
				}
				c.publish("a/b", 0, "zero")
				if p := c.read(v5.PUBLISH).Content.(*v5.Publish); p.Topic != "a/b" || string(p.Payload) != "zero" {
					t.Errorf("got %+v", p)
				}
				c.publish("a/b", 1, "one")
				c.read(v5.PUBACK)
				if p := c.read(v5.PUBLISH).Content.(*v5.Publish); p.QoS != 1 || string(p.Payload) != "one" {
					t.Errorf("got %+v", p)
				}
				c.publish("a/b", 2, "two")
				c.read(v5.PUBREC)
				if p := c.read(v5.PUBLISH).Content.(*v5.Publish); p.QoS != 2 || string(p.Payload) != "two" {
					t.Errorf("got %+v", p)
				}
				c.send(&v5.Pubrel{PacketID: 9, Properties: &v5.Properties{}})
				c.read(v5.PUBCOMP)
				c.send(&v5.Pingreq{})
				c.read(v5.PINGRESP)
				c.send(&v5.Disconnect{Properties: &v5.Properties{}})
			})
		}
		if len(b.Connects()) != 3 || len(b.Messages()) != 9 || b.Subscriptions()[0] != "a/+" || b.Connects()[1].Level != 4 {
			t.Errorf("%s remembers %d connects, %d messages", name, len(b.Connects()), len(b.Messages()))
		}
		if got := b.Connects()[0]; (got.TLS != nil) != strings.HasPrefix(b.Target(), "mqtts") && !strings.HasPrefix(b.Target(), "ws") ||
			(got.Header != nil) != strings.HasPrefix(b.Target(), "ws") {
			t.Errorf("%s: TLS %v, header %v", name, got.TLS != nil, got.Header)
		}
	}
}

func TestScriptedBrokerFollowsItsScript(t *testing.T) {
	one := byte(1)
	b := ScriptedBroker(t, Script{
		OnConnect: OnlyUser("u", "p"),
		OnSubscribe: func(_ Connect, filter string, qos byte) byte {
			if filter == "denied" {
				return 0x87
			}
			return qos
		},
		OnPublish: func(m Message) PublishAnswer {
			switch m.Topic {
			case "dropped":
				return PublishAnswer{Action: Drop}
			case "denied":
				return PublishAnswer{Action: Refuse, Code: 0x87}
			case "closing":
				return PublishAnswer{Action: Close, Code: 0x97}
			case "twice":
				return PublishAnswer{Copies: 2, DeliverQoS: new(byte)}
			}
			return PublishAnswer{}
		},
		MaxQoS: &one,
	})
	login := func(p *v5.Connect) {
		p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = true, "u", true, []byte("p")
	}
	wrong := func(p *v5.Connect) {
		p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = true, "u", true, []byte("x")
	}
	for _, test := range []struct {
		level  byte
		change func(*v5.Connect)
		want   byte
	}{
		{4, login, 0}, {5, login, 0}, {4, wrong, 4}, {5, wrong, 0x86}, {4, func(*v5.Connect) {}, 5}, {5, func(*v5.Connect) {}, 0x87},
	} {
		c := dialScripted(t, b, nil, test.level)
		if got := c.connect("id", test.change).ReasonCode; got != test.want {
			t.Errorf("level %d: CONNACK %x, want %x", test.level, got, test.want)
		}
		if test.want != 0 {
			c.expectClosed()
		}
	}
	for _, level := range []byte{4, 5} {
		c := dialScripted(t, b, nil, level)
		if got := c.connect("id", login).Properties.MaximumQOS; level == 5 && (got == nil || *got != 1) {
			t.Errorf("Maximum QoS %v", got)
		}
		if got := c.subscribe("denied", 1); got != 0x80 && level == 4 || got != 0x87 && level == 5 {
			t.Errorf("level %d: SUBACK %x", level, got)
		}
		for filter, qos := range map[string]byte{"dropped": 1, "twice": 1, "retained": 1} {
			if got := c.subscribe(filter, 2); got != qos {
				t.Errorf("SUBACK %x", got)
			}
		}
		c.publish("dropped", 1, "x")
		c.read(v5.PUBACK)
		c.publish("denied", 1, "x")
		if got := c.read(v5.PUBACK).Content.(*v5.Puback).ReasonCode; level == 5 && got != 0x87 {
			t.Errorf("PUBACK %x", got)
		}
		c.publish("twice", 1, "x")
		c.read(v5.PUBACK)
		for range 2 {
			if p := c.read(v5.PUBLISH).Content.(*v5.Publish); p.QoS != 0 {
				t.Errorf("delivered at QoS %d", p.QoS)
			}
		}
		b.Publish("retained", 0, []byte("from the broker"))
		c.read(v5.PUBLISH)
		c.publish("closing", 1, "x")
		if level == 5 {
			if got := c.read(v5.DISCONNECT).Content.(*v5.Disconnect).ReasonCode; got != 0x97 {
				t.Errorf("DISCONNECT %x", got)
			}
		}
		c.expectClosed()
	}
}

func TestScriptedBrokerActions(t *testing.T) {
	for name, answer := range map[string]ConnectAnswer{"close": {Action: Close}, "cut": {Action: Cut}} {
		b := ScriptedBroker(t, Script{OnConnect: func(Connect) ConnectAnswer { return answer }})
		c := dialScripted(t, b, nil, 4)
		c.conn.Write(connect311)
		c.expectClosed()
		_ = name
	}
	silent := ScriptedBroker(t, Script{OnConnect: func(Connect) ConnectAnswer { return ConnectAnswer{Action: Silence} }})
	if _, err := exchange(t, silent.Addr, connect311, 0, 10, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silence: %v", err)
	}
	only311 := ScriptedBroker(t, Script{OnConnect: OnlyLevels(4)})
	if got := dialScripted(t, only311, nil, 5).connect("a").ReasonCode; got != 0x84 {
		t.Errorf("level 5: %x", got)
	}
	if got := dialScripted(t, only311, nil, 3).connect("a").ReasonCode; got != 1 {
		t.Errorf("level 3: %x", got)
	}
	if got := dialScripted(t, only311, nil, 4).connect("a").ReasonCode; got != 0 {
		t.Errorf("level 4: %x", got)
	}
	healthy := ScriptedBroker(t, Script{})
	first := dialScripted(t, healthy, nil, 5)
	first.connect("same")
	second := dialScripted(t, healthy, nil, 5)
	second.connect("same")
	if got := first.read(v5.DISCONNECT).Content.(*v5.Disconnect).ReasonCode; got != v5.DisconnectSessionTakenOver {
		t.Errorf("take-over: %x", got)
	}
	third := dialScripted(t, healthy, nil, 5)
	third.connect("dying", func(p *v5.Connect) {
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillRetain = true, "will", []byte("gone"), true
		p.WillProperties = &v5.Properties{}
	})
	second.subscribe("will", 0)
	third.conn.Close()
	if p := second.read(v5.PUBLISH).Content.(*v5.Publish); string(p.Payload) != "gone" {
		t.Errorf("will: %+v", p)
	}
	if got := healthy.Retained(); string(got["will"]) != "gone" {
		t.Errorf("retained: %q", got)
	}
	if second.subscribe("wil/#", 0); second.subscribe("will/#", 0) != 0 {
		t.Error("refused")
	}
	if p := second.read(v5.PUBLISH).Content.(*v5.Publish); !p.Retain {
		t.Errorf("retained: %+v", p)
	}
	healthy.Disconnect(v5.DisconnectServerShuttingDown)
	if got := second.read(v5.DISCONNECT).Content.(*v5.Disconnect).ReasonCode; got != v5.DisconnectServerShuttingDown {
		t.Errorf("shutting down: %x", got)
	}
}

func TestScriptedUpgrades(t *testing.T) {
	for _, test := range []struct {
		name   string
		ws     WSScript
		path   string
		origin string
		status int
		proto  string
	}{
		{"echo", WSScript{}, "/any", "", 101, "mqtt"},
		{"wrong path", WSScript{Path: "/mqtt"}, "/any", "", 404, ""},
		{"none", WSScript{Subprotocol: NoSubprotocol}, "/mqtt", "", 101, ""},
		{"other", WSScript{Subprotocol: AlwaysSubprotocol("binary")}, "/mqtt", "", 101, "binary"},
		{"status", WSScript{Status: 401, Header: http.Header{"Www-Authenticate": {"Basic"}}}, "/mqtt", "", 401, ""},
		{"origin", WSScript{Origins: []string{"https://good.test"}}, "/mqtt", "https://bad.test", 403, ""},
		{"good origin", WSScript{Origins: []string{"https://good.test"}}, "/mqtt", "https://good.test", 101, "mqtt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := ScriptedBroker(t, Script{WS: &test.ws})
			ctx, cancel := context.WithTimeout(t.Context(), startLimit)
			defer cancel()
			header := http.Header{}
			if test.origin != "" {
				header.Set("Origin", test.origin)
			}
			ws, response, _ := websocket.Dial(ctx, b.URL("ws", test.path), &websocket.DialOptions{
				Subprotocols: []string{"mqtt"}, HTTPHeader: header, HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
			if ws != nil {
				defer ws.CloseNow()
			}
			if response == nil || response.StatusCode != test.status || response.Header.Get("Sec-WebSocket-Protocol") != test.proto {
				t.Errorf("got %+v", response)
			}
		})
	}
	text := ScriptedBroker(t, Script{WS: &WSScript{Text: true}})
	ws, _, err := websocket.Dial(t.Context(), text.Target(), &websocket.DialOptions{Subprotocols: []string{"mqtt"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.Write(t.Context(), websocket.MessageBinary, connect311)
	if kind, data, err := ws.Read(t.Context()); kind != websocket.MessageText || string(data) != "\x20\x02\x00\x00" {
		t.Errorf("got %v %q %v", kind, data, err)
	}
}

func TestTopicMatches(t *testing.T) {
	for _, test := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/+", "a/b", true}, {"a/#", "a", true}, {"a/#", "a/b/c", true}, {"#", "a", true},
		{"a/+", "a/b/c", false}, {"a/b", "a", false}, {"#", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true}, {"+", "", true},
	} {
		if got := topicMatches(test.filter, test.topic); got != test.want {
			t.Errorf("%q on %q: %v", test.filter, test.topic, got)
		}
	}
}
