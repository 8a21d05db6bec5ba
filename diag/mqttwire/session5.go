package mqttwire

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/log"
	pahosession "github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
)

// wire5 speaks MQTT 5 through paho.golang: its Client connects, reads and acknowledges, its session state gives out packet
// identifiers, keeps to the server's Receive Maximum and runs the QoS flows. Packets that somebody waits for are written by
// us, in the order of the calls, and their answers are taken from the connection rather than from paho, which keeps some of
// it to itself: a PUBREC's reason code, repeated messages, a DISCONNECT without properties.
//
// paho is never asked to end a connection that is still being read (its own Publish and Disconnect do that): its session
// state answers a PUBREC over a connection that may meanwhile be nil, and panics on a goroutine of its own.
type wire5 struct {
	*core
	client *paho.Client
	state  *state.State
}

// forever is for paho's own time limit; contexts and deadlines bound what it does.
const forever = 365 * 24 * time.Hour

// connect5 lets paho send the CONNECT and take its answer.
func connect5(s *core, o ConnectOptions) (Session, error) {
	w := &wire5{core: s, state: state.NewInMemory()}
	w.client = paho.NewClient(paho.ClientConfig{
		ClientID: o.ClientID,
		Conn:     &pahoConn{core: s},
		Session:  w.state,
		// Without a handler paho dereferences nil when a CONNACK names an authentication method.
		AuthHandler:        noAuth{},
		PingHandler:        noPings{}, // its own sends one right after SUBSCRIBE
		PacketTimeout:      forever,
		OnPublishReceived:  []func(paho.PublishReceived) (bool, error){func(paho.PublishReceived) (bool, error) { return true, nil }},
		OnServerDisconnect: func(*paho.Disconnect) {},
		OnClientError:      func(error) {},
	})
	// Not ctx: paho would leave a goroutine reading. The deadline of the connection ends it with everything read.
	if _, err := w.client.Connect(context.Background(), o.connect5()); err != nil {
		_ = w.state.Close()
		return nil, err
	}
	return open(s, w), nil
}

func (w *wire5) subscribe(ctx context.Context, subs []Subscription, x *exchange) error {
	p := &v5.Subscribe{Properties: &v5.Properties{}}
	if id := subs[0].ID; id > 0 {
		if forbidden(w.connack.SubscriptionIDAvailable) { // [MQTT-3.2.2-12]
			return &limitError{"Subscription Identifiers Available is 0", "3.2.2.3.12"}
		}
		identifier := int(id)
		p.Properties.SubscriptionIdentifier = &identifier
	}
	for _, s := range subs {
		if err := w.checkFilter(s.Filter); err != nil {
			return err
		}
		p.Subscriptions = append(p.Subscriptions, v5.SubOptions{Topic: s.Filter, QoS: s.QoS, NoLocal: s.NoLocal,
			RetainHandling: s.RetainHandling, RetainAsPublished: s.RetainAsPublished})
	}
	return w.send(ctx, p, func() uint16 { return p.PacketID }, x)
}

// checkFilter keeps to what the CONNACK says about subscriptions (MQTT 5.0 3.2.2.3.11, 3.2.2.3.13).
func (w *wire5) checkFilter(filter string) error {
	switch {
	case forbidden(w.connack.WildcardAvailable) && strings.ContainsAny(filter, "+#"):
		return &limitError{"Wildcard Subscription Available is 0", "3.2.2.3.11"}
	case forbidden(w.connack.SharedAvailable) && strings.HasPrefix(filter, "$share/"):
		return &limitError{"Shared Subscription Available is 0", "3.2.2.3.13"}
	}
	return nil
}

func forbidden(flag *bool) bool { return flag != nil && !*flag }

func (w *wire5) unsubscribe(ctx context.Context, filters []string, x *exchange) error {
	p := &v5.Unsubscribe{Properties: &v5.Properties{}, Topics: filters}
	return w.send(ctx, p, func() uint16 { return p.PacketID }, x)
}

func (w *wire5) publish(ctx context.Context, m Message, x *exchange) error {
	switch limit := w.connack; {
	case limit.MaximumQoS != nil && m.QoS > *limit.MaximumQoS: // [MQTT-3.2.2-11]
		return &limitError{"Maximum QoS", "3.2.2.3.4"}
	case forbidden(limit.RetainAvailable) && m.Retain: // [MQTT-3.2.2-14]
		return &limitError{"Retain Available is 0", "3.2.2.3.5"}
	}
	p := &v5.Publish{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, Properties: &v5.Properties{}}
	if m.ExpiryS > 0 {
		p.Properties.MessageExpiry = &m.ExpiryS
	}
	if m.TopicAlias > 0 {
		if highest := w.connack.TopicAliasMaximum; highest == nil || m.TopicAlias > *highest { // [MQTT-3.3.2-9]
			return &limitError{"Topic Alias Maximum", "3.2.2.3.8"}
		}
		p.Properties.TopicAlias = &m.TopicAlias
	}
	if m.QoS == 0 {
		return w.writeBounded(encode5(p))
	}
	if err := w.checkSize(len(encode5(p))); err != nil { // before it takes a place in the session state
		return err
	}
	return w.send(ctx, p, func() uint16 { return p.PacketID }, x)
}

// send takes an identifier (and for a PUBLISH a place under the Receive Maximum) from paho's session state, and writes.
func (w *wire5) send(ctx context.Context, p pahosession.Packet, id func() uint16, x *exchange) error {
	answer := make(chan v5.ControlPacket, 1) // paho sends one answer there; ours comes from the connection
	if err := w.state.AddToSession(ctx, p, answer); err != nil {
		if errors.Is(err, pahosession.ErrPacketIdentifiersExhausted) {
			return &limitError{"packet identifiers are used up", "2.2.1"}
		}
		return err
	}
	w.expect(id(), x)
	var packet []byte
	switch p := p.(type) {
	case *v5.Publish:
		packet = encode5(p)
	case *v5.Subscribe:
		packet = encode5(p)
	case *v5.Unsubscribe:
		packet = encode5(p)
	}
	return w.writeBounded(packet)
}

// writeBounded writes what the server's Maximum Packet Size allows.
func (w *wire5) writeBounded(packet []byte) error {
	if err := w.checkSize(len(packet)); err != nil {
		return err
	}
	return w.write(packet)
}

func (w *wire5) checkSize(bytes int) error {
	if limit := w.connack.MaximumPacketBytes; limit != nil && *limit > 0 && bytes > int(*limit) { // [MQTT-3.2.2-15]
		return &limitError{"Maximum Packet Size", "3.2.2.3.6"}
	}
	return nil
}

func (w *wire5) stop() {
	<-w.client.Done() // it notices that the connection was closed
	_ = w.state.Close()
}

// pahoConn is the connection as paho sees it. What paho reads was encoded by us from what we decoded, without anything that
// it does not need, so that no peer's bytes reach its decoder and no payload waits in its queue. What paho writes goes out
// packet by packet, not in the pieces that it writes.
type pahoConn struct {
	*core
	sync.Mutex // paho holds it while it writes a packet
	split      Splitter
	ready      []byte
}

func (c *pahoConn) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		packet, err := c.next()
		if err != nil {
			if c.established() {
				c.finish(err)
			}
			return 0, err
		}
		c.ready = forPaho(packet)
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

func (c *pahoConn) established() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connack != nil && c.refusal == nil
}

// forPaho encodes what paho needs of a packet; nothing where it needs none of it.
func forPaho(packet Packet) []byte {
	none := &v5.Properties{}
	switch p := packet.(type) {
	case *Connack:
		ack := &v5.Connack{SessionPresent: p.SessionPresent, ReasonCode: p.Code, Properties: &v5.Properties{}}
		if p.ReceiveMaximum != nil && *p.ReceiveMaximum > 0 {
			ack.Properties.ReceiveMaximum = p.ReceiveMaximum
		}
		return encode5(ack)
	case *Publish:
		if p.QoS == 0 || p.PacketID == 0 {
			return nil // nothing to acknowledge; we have handed it out
		}
		return encode5(&v5.Publish{Topic: "t", PacketID: p.PacketID, QoS: p.QoS, Duplicate: p.Dup, Properties: none})
	case *Ack:
		// Its own codec would leave reason code 0 in: two bytes are the shortest form, and paho reads them.
		flags := byte(0)
		if p.Type == PUBREL {
			flags = 2
		}
		return []byte{byte(p.Type)<<4 | flags, 3, byte(p.PacketID >> 8), byte(p.PacketID), p.Code}
	case *Suback:
		return encode5(&v5.Suback{PacketID: p.PacketID, Reasons: p.Codes, Properties: none})
	case *Unsuback:
		return encode5(&v5.Unsuback{PacketID: p.PacketID, Reasons: p.Codes, Properties: none})
	}
	return nil // PINGRESP is ours, and after DISCONNECT reading ends
}

// Write never tells paho of an error: it would close the connection before what explains the error was read.
func (c *pahoConn) Write(p []byte) (int, error) {
	frames, _ := c.split.Feed(p, time.Time{})
	for _, frame := range frames {
		_ = c.write(frame.Raw)
	}
	return len(p), nil
}

func (c *pahoConn) Close() error                       { return c.conn.Close() }
func (c *pahoConn) LocalAddr() net.Addr                { return c.conn.LocalAddr() }
func (c *pahoConn) RemoteAddr() net.Addr               { return c.conn.RemoteAddr() }
func (c *pahoConn) SetDeadline(t time.Time) error      { return c.conn.SetDeadline(t) }
func (c *pahoConn) SetReadDeadline(t time.Time) error  { return c.conn.SetReadDeadline(t) }
func (c *pahoConn) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }

// noAuth answers no challenge; none reaches it.
type noAuth struct{}

func (noAuth) Authenticate(*paho.Auth) *paho.Auth {
	return &paho.Auth{ReasonCode: v5.AuthContinueAuthentication}
}
func (noAuth) Authenticated() {}

// noPings sends no PINGREQ: who uses a session decides when the connection is to be disturbed.
type noPings struct{}

func (noPings) Run(context.Context, net.Conn, uint16) error { return nil }
func (noPings) PacketSent()                                 {}
func (noPings) PacketReceived()                             {}
func (noPings) PingResp()                                   {}
func (noPings) SetDebug(log.Logger)                         {}
