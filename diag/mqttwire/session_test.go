package mqttwire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag/diagtest"
)

// peer is the server's end of a connection whose script a test writes. It fails the test through t.Errorf, since it runs on
// its own goroutine.
type peer struct {
	t    testing.TB
	conn net.Conn
	v    Version
}

// server accepts one CONNECT and goes on with script; extra are MQTT 5 properties of its CONNACK.
func server(t testing.TB, v Version, properties *v5.Properties, script func(*peer)) string {
	t.Helper()
	return diagtest.Peer(t, func(conn net.Conn) {
		p := &peer{t: t, conn: conn, v: v}
		if _, ok := p.next(CONNECT); !ok {
			return
		}
		if v != V5 {
			p.send(0x20, 0, 0)
		} else {
			if properties == nil {
				properties = &v5.Properties{}
			}
			p.write(encode5(&v5.Connack{Properties: properties}))
		}
		script(p)
	}).Addr
}

// next reads a packet, which must be of the given type; false: it is not, or the client has closed.
func (p *peer) next(want PacketType) (Frame, bool) {
	frame, err := ReadFrame(p.conn, 1<<26)
	if err != nil {
		return Frame{}, false
	}
	if frame.Type != want {
		p.t.Errorf("the client sent %s where %s was awaited", frame.Type, want)
		return Frame{}, false
	}
	return frame, true
}

func (p *peer) write(packet []byte) { p.conn.Write(packet) }

func (p *peer) send(first byte, body ...byte) { p.write(raw(first, body...)) }

// drain reads until the client closes.
func (p *peer) drain() { io.Copy(io.Discard, p.conn) }

// publish sends a PUBLISH.
func (p *peer) publish(flags byte, id uint16, topic, payload string) {
	body := append([]byte{0, byte(len(topic))}, topic...)
	if flags&6 != 0 {
		body = append(body, byte(id>>8), byte(id))
	}
	if p.v == V5 {
		body = append(body, 0)
	}
	p.send(0x30|flags, append(body, payload...)...)
}

// id is the packet identifier of a SUBSCRIBE, UNSUBSCRIBE or acknowledgement.
func id(f Frame) []byte { return f.Body[:2] }

// publishID is that of a PUBLISH.
func publishID(f Frame) []byte {
	n := 2 + int(f.Body[0])<<8 + int(f.Body[1])
	return f.Body[n : n+2]
}

func eachVersion(t *testing.T, f func(*testing.T, Version)) {
	for _, v := range Versions {
		t.Run(v.String(), func(t *testing.T) { t.Parallel(); f(t, v) })
	}
}

func kindFrom(f *Failure) FailureKind {
	if f == nil {
		return ""
	}
	return f.Kind
}

// SUBSCRIBE and PUBLISH go out in one flight, in the order of the calls.
func TestOneFlight(t *testing.T) {
	eachVersion(t, func(t *testing.T, v Version) {
		address := server(t, v, nil, func(p *peer) {
			sub, ok := p.next(SUBSCRIBE)
			pub, ok2 := p.next(PUBLISH) // before any answer
			if !ok || !ok2 {
				return
			}
			suback := append(append([]byte{}, id(sub)...), 2)
			if v == V5 {
				suback = append(append([]byte{}, id(sub)...), 0, 2)
			}
			p.send(0x90, suback...)
			p.send(0x50, publishID(pub)...)
			if _, ok := p.next(PUBREL); ok {
				p.send(0x70, publishID(pub)...)
			}
			p.drain()
		})
		s := connected(t, address, options(v, "x"))
		sub := s.StartSubscribe([]Subscription{{Filter: "a", QoS: 2}})
		pub := s.StartPublish(Message{Topic: "a", QoS: 2})
		got, failure := sub.Wait(testContext(t))
		if failure != nil || !bytes.Equal(got.Codes, []byte{2}) {
			t.Errorf("%+v, %v", got, failure)
		}
		ack, failure := pub.Wait(testContext(t))
		if failure != nil || !ack.Acked || ack.Code != 0 || ack.Reason != "Success" || len(ack.Acks) != 2 || ack.Acks[0].Type != PUBREC || ack.Acks[1].Type != PUBCOMP || ack.Duration <= 0 {
			t.Errorf("%+v, %v", ack, failure)
		}
	})
}

// Codes that refuse are answers: they come back whole, and the session goes on.
func TestRefusingCodes(t *testing.T) {
	script := func(v Version) func(*peer) {
		return func(p *peer) {
			reason := []byte{0, 3, 'n', 'o', '!'}
			sub, _ := p.next(SUBSCRIBE)
			if v != V5 {
				p.send(0x90, append(bytes.Clone(id(sub)), 1, 0x80)...)
				unsub, _ := p.next(UNSUBSCRIBE)
				p.send(0xb0, id(unsub)...)
				p.drain()
				return
			}
			p.send(0x90, append(append(append(bytes.Clone(id(sub)), 6, 0x1f), reason...), 1, 0x87)...)
			one, _ := p.next(PUBLISH)
			p.send(0x40, append(append(bytes.Clone(publishID(one)), 0x87, 6, 0x1f), reason...)...)
			two, _ := p.next(PUBLISH)
			p.send(0x50, append(append(bytes.Clone(publishID(two)), 0x97, 6, 0x1f), reason...)...)
			none, _ := p.next(PUBLISH)
			p.send(0x50, append(bytes.Clone(publishID(none)), 0x10)...) // no matching subscribers
			p.next(PUBREL)
			p.send(0x70, publishID(none)...)
			unsub, _ := p.next(UNSUBSCRIBE)
			p.send(0xb0, append(bytes.Clone(id(unsub)), 0, 0x11)...)
			p.drain()
		}
	}
	eachVersion(t, func(t *testing.T, v Version) {
		ctx := testContext(t)
		s := connected(t, server(t, v, nil, script(v)), options(v, "x"))
		sub, failure := s.Subscribe(ctx, []Subscription{{Filter: "a", QoS: 1}, {Filter: "b", QoS: 1}})
		if failure != nil || len(sub.Codes) != 2 || sub.Codes[0] != 1 || sub.Codes[1] < 0x80 {
			t.Fatalf("%+v, %v", sub, failure)
		}
		if v == V5 {
			if sub.ReasonString != "no!" {
				t.Errorf("%+v", sub)
			}
			for _, want := range []struct {
				qos, code byte
				reason    string
				words     string
				acks      int
			}{{1, 0x87, "Not authorized", "no!", 1}, {2, 0x97, "Quota exceeded", "no!", 1}, {2, 0x10, "No matching subscribers", "", 2}} {
				got, failure := s.Publish(ctx, Message{Topic: "a", QoS: want.qos})
				if failure != nil || !got.Acked || got.Code != want.code || got.Reason != want.reason || got.ReasonString != want.words || len(got.Acks) != want.acks {
					t.Errorf("%+v, %v; want %+v", got, failure, want)
				}
			}
		}
		unsub, failure := s.Unsubscribe(ctx, []string{"a"})
		if failure != nil || v == V5 && !bytes.Equal(unsub.Codes, []byte{0x11}) {
			t.Errorf("%+v, %v", unsub, failure)
		}
		if s.ClosedBy().Kind != "" {
			t.Errorf("ended: %+v", s.ClosedBy())
		}
	})
}

// How a session's end shows, and what becomes of who is waiting.
func TestEnds(t *testing.T) {
	all := []Version{V31, V311, V5}
	for _, c := range []struct {
		name     string
		versions []Version
		script   func(*peer)
		want     []FailureKind
		check    func(*testing.T, End, *Failure)
	}{
		{"close", all, func(*peer) {}, []FailureKind{FailClosed}, nil},
		{"reset", all, func(p *peer) { diagtest.Reset(p.conn) }, []FailureKind{FailReset}, nil},
		{"half a packet", all, func(p *peer) { p.write([]byte{0x90, 5, 0}) }, []FailureKind{FailClosed}, nil},
		{"256 MB", all, func(p *peer) { p.write([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 'a'}); p.drain() }, []FailureKind{FailTooLarge}, nil},
		{"too long a length", all, func(p *peer) { p.write([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}); p.drain() }, []FailureKind{FailMalformed}, nil},
		{"another CONNACK", all, func(p *peer) { p.send(0x20, 0, 0, 0); p.drain() }, []FailureKind{FailMalformed}, nil},
		{"a packet of clients", all, func(p *peer) { p.send(0xc0); p.drain() }, []FailureKind{FailMalformed}, nil},
		{"type 0", all, func(p *peer) { p.write(make([]byte, 1000)); p.drain() }, []FailureKind{FailMalformed}, nil},
		{"QoS 3", all, func(p *peer) { p.send(0x36, 0, 1, 'a', 0, 1, 0); p.drain() }, []FailureKind{FailMalformed}, nil},
		{"short SUBACK", all, func(p *peer) { p.send(0x90, 1); p.drain() }, []FailureKind{FailMalformed}, func(t *testing.T, _ End, f *Failure) {
			var where *ErrMalformed
			if !errors.As(f, &where) || where.Type != SUBACK {
				t.Errorf("%v", f)
			}
		}},
		{"DISCONNECT", []Version{V5}, func(p *peer) { p.send(0xe0, 0x8e, 6, 0x1f, 0, 3, 'b', 'y', 'e'); p.drain() }, []FailureKind{FailRefused}, func(t *testing.T, end End, f *Failure) {
			if end.Code != 0x8e || end.Reason != "Session taken over" || end.ReasonString != "bye" || f.Packet != DISCONNECT || f.Code != 0x8e || f.ReasonString != "bye" {
				t.Errorf("%+v, %+v", end, f)
			}
		}},
		// paho.golang cannot read these two.
		{"short DISCONNECT", []Version{V5}, func(p *peer) { p.send(0xe0, 0x8b) }, []FailureKind{FailRefused}, func(t *testing.T, end End, _ *Failure) {
			if end.Code != 0x8b || end.Reason != "Server shutting down" {
				t.Errorf("%+v", end)
			}
		}},
		{"empty DISCONNECT", []Version{V5}, func(p *peer) { p.send(0xe0) }, []FailureKind{FailRefused}, nil},
		{"DISCONNECT to MQTT 3", []Version{V31, V311}, func(p *peer) { p.send(0xe0) }, []FailureKind{FailMalformed}, nil},
		{"AUTH", []Version{V5}, func(p *peer) { p.send(0xf0, 0x18, 0); p.drain() }, []FailureKind{FailMalformed}, nil},
	} {
		for _, v := range c.versions {
			t.Run(c.name+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				ctx := testContext(t)
				s := connected(t, server(t, v, nil, func(p *peer) {
					if _, ok := p.next(SUBSCRIBE); ok { // everybody is waiting by then
						c.script(p)
					}
				}), options(v, "x"))
				_, failure := s.Subscribe(ctx, []Subscription{{Filter: "a"}})
				if failure == nil || !slices.Contains(c.want, failure.Kind) {
					t.Fatalf("%v, want %v", failure, c.want)
				}
				<-s.Done()
				end := s.ClosedBy()
				if end.Kind != failure.Kind || end.At.IsZero() {
					t.Errorf("%+v and %v", end, failure)
				}
				if c.check != nil {
					c.check(t, end, failure)
				}
				// From now on everything says the same, at once.
				_, again := s.Publish(ctx, Message{Topic: "a", QoS: 1})
				_, ping := s.Ping(ctx)
				if kindFrom(again) != end.Kind || kindFrom(ping) != end.Kind || kindFrom(s.Disconnect(ctx)) != end.Kind {
					t.Errorf("after the end: %v, %v", again, ping)
				}
				if _, open := <-s.Messages(); open {
					t.Error("a message came from nowhere")
				}
				if s.ClosedBy().Kind != end.Kind {
					t.Errorf("Close has changed the end to %+v", s.ClosedBy())
				}
			})
		}
	}
}

// Silence ends an exchange with its context, and not the session. A late answer goes to nobody.
func TestSilence(t *testing.T) {
	eachVersion(t, func(t *testing.T, v Version) {
		asked, answer := make(chan struct{}), make(chan struct{})
		s := connected(t, server(t, v, nil, func(p *peer) {
			pub, _ := p.next(PUBLISH)
			p.next(PINGREQ)
			close(asked)
			<-answer
			p.send(0x40, publishID(pub)...)
			p.send(0x40, publishID(pub)...) // one too many
			p.send(0xd0)
			p.send(0xd0)
			if _, ok := p.next(PINGREQ); ok {
				p.send(0xd0)
			}
			p.drain()
		}), options(v, "x"))
		short, cancel := context.WithTimeout(context.Background(), soon/3)
		defer cancel()
		pending := s.StartPublish(Message{Topic: "a", QoS: 1})
		if _, failure := pending.Wait(short); kindFrom(failure) != FailNoAnswer {
			t.Errorf("PUBLISH: %v", failure)
		}
		if waited, failure := s.Ping(short); kindFrom(failure) != FailNoAnswer && kindFrom(failure) != FailCanceled {
			t.Errorf("PINGREQ: %v after %v", failure, waited)
		}
		canceled, cancelNow := context.WithCancel(context.Background())
		cancelNow()
		if _, failure := pending.Wait(canceled); kindFrom(failure) != FailCanceled {
			t.Errorf("canceled: %v", failure)
		}
		for waits := true; waits; { // for the one that the server reads, should the first not have been written in time
			ping, pinged := context.WithTimeout(context.Background(), soon/3)
			_, _ = s.Ping(ping)
			pinged()
			select {
			case <-asked:
				waits = false
			default:
			}
		}
		close(answer)
		if got, failure := pending.Wait(testContext(t)); failure != nil || !got.Acked {
			t.Errorf("%+v, %v", got, failure)
		}
		if s.ClosedBy().Kind != "" {
			t.Errorf("the session has ended: %+v", s.ClosedBy())
		}
	})
}

// Messages come once each at QoS 2, twice where they were sent twice at QoS 1, and each is acknowledged.
func TestReceive(t *testing.T) {
	eachVersion(t, func(t *testing.T, v Version) {
		long := strings.Repeat("x", 2*keepPayload)
		acked := make(chan []PacketType, 1)
		s := connected(t, server(t, v, nil, func(p *peer) {
			p.publish(0x1, 0, "zero", "retained")
			p.publish(0x2, 1, "one", "a")
			p.publish(0xa, 1, "one", "a")
			p.publish(0x4, 2, "two", "b")
			p.publish(0xc, 2, "two", "b") // again, before its PUBREL
			p.publish(0x4, 2, "two", "b") // and without DUP: still the same identifier
			p.send(0x62, 0, 2)
			p.publish(0x4, 2, "two", "c") // the identifier is free again
			p.send(0x62, 0, 2)
			p.write(append([]byte{0x30}, longPublish(v, "long", long)...))
			var got []PacketType
			for range 8 {
				frame, err := ReadFrame(p.conn, 1000)
				if err != nil {
					break
				}
				got = append(got, frame.Type)
			}
			acked <- got
			p.drain()
		}), options(v, "x"))
		var got []string
		for range 6 {
			m := take(t, s)
			got = append(got, fmt.Sprintf("%s %d %.8s %d retain=%t dup=%t", m.Topic, m.QoS, m.Payload, m.PayloadBytes, m.Retain, m.Dup))
			if m.At.IsZero() || len(m.Payload) > keepPayload {
				t.Errorf("%d bytes at %v", len(m.Payload), m.At)
			}
		}
		want := []string{"zero 0 retained 8 retain=true dup=false", "one 1 a 1 retain=false dup=false", "one 1 a 1 retain=false dup=true",
			"two 2 b 1 retain=false dup=false", "two 2 c 1 retain=false dup=false",
			fmt.Sprintf("long 0 xxxxxxxx %d retain=false dup=false", len(long))}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		// paho answers PUBREL at once and PUBLISH on another goroutine, so their order among each other is open.
		acks := <-acked
		slices.Sort(acks)
		if !reflect.DeepEqual(acks, []PacketType{PUBACK, PUBACK, PUBREC, PUBREC, PUBREC, PUBREC, PUBCOMP, PUBCOMP}) {
			t.Errorf("acknowledged with %v", acks)
		}
		if repeats := s.Stats().Repeats; repeats != 2 {
			t.Errorf("%d repeats", repeats)
		}
	})
}

// longPublish is the rest of a PUBLISH at QoS 0 whose length takes two bytes.
func longPublish(v Version, topic, payload string) []byte {
	body := append([]byte{0, byte(len(topic))}, topic...)
	if v == V5 {
		body = append(body, 0)
	}
	body = append(body, payload...)
	return append([]byte{byte(len(body)&0x7f | 0x80), byte(len(body) >> 7)}, body...)
}

// What the server's CONNACK forbids is not sent.
func TestLimits(t *testing.T) {
	ctx := testContext(t)
	sent := make(chan PacketType, 1)
	s := connected(t, server(t, V5, &v5.Properties{MaximumQOS: ptr(byte(1)), RetainAvailable: ptr(byte(0)), WildcardSubAvailable: ptr(byte(0)),
		SharedSubAvailable: ptr(byte(0)), MaximumPacketSize: ptr(uint32(100))}, func(p *peer) {
		frame, err := ReadFrame(p.conn, 1000)
		if err == nil {
			sent <- frame.Type
		}
		close(sent)
	}), options(V5, "x"))
	big := bytes.Repeat([]byte("x"), 200)
	for name, m := range map[string]Message{"Maximum QoS": {Topic: "a", QoS: 2}, "Retain Available is 0": {Topic: "a", Retain: true},
		"Maximum Packet Size": {Topic: "a", Payload: big}} {
		if _, failure := s.Publish(ctx, m); kindFrom(failure) != FailLimit || failure.Reason != name {
			t.Errorf("%s: %v", name, failure)
		}
	}
	if _, failure := s.Publish(ctx, Message{Topic: "a", QoS: 1, Payload: big}); kindFrom(failure) != FailLimit {
		t.Errorf("large at QoS 1: %v", failure)
	}
	for name, filter := range map[string]string{"Wildcard Subscription Available is 0": "a/+", "Shared Subscription Available is 0": "$share/g/a",
		"Maximum Packet Size": string(big)} {
		if _, failure := s.Subscribe(ctx, []Subscription{{Filter: filter}}); kindFrom(failure) != FailLimit || failure.Reason != name {
			t.Errorf("%s: %v", name, failure)
		}
	}
	for _, m := range []Message{{Topic: "a", QoS: 3}, {Topic: ""}, {Topic: strings.Repeat("x", 65536)}} {
		if _, failure := s.Publish(ctx, m); kindFrom(failure) != FailInvalid {
			t.Errorf("%.10q at QoS %d: %v", m.Topic, m.QoS, failure)
		}
	}
	for _, subs := range [][]Subscription{nil, {{Filter: "a", QoS: 3}}, {{Filter: strings.Repeat("x", 65536)}}} {
		if _, failure := s.Subscribe(ctx, subs); kindFrom(failure) != FailInvalid {
			t.Errorf("%d filters: %v", len(subs), failure)
		}
	}
	if _, failure := s.Unsubscribe(ctx, nil); kindFrom(failure) != FailInvalid {
		t.Errorf("no filter: %v", failure)
	}
	s.Close()
	if kind, any := <-sent; any {
		t.Errorf("%s was sent", kind)
	}
}

// No more messages are unacknowledged than the server's Receive Maximum allows.
func TestReceiveMaximum(t *testing.T) {
	gaveUp, release := make(chan struct{}), make(chan struct{})
	s := connected(t, server(t, V5, &v5.Properties{ReceiveMaximum: ptr(uint16(2))}, func(p *peer) {
		one, _ := p.next(PUBLISH)
		p.next(PUBLISH)
		<-gaveUp
		p.conn.SetReadDeadline(time.Now().Add(soon))
		if n, err := p.conn.Read(make([]byte, 1)); n > 0 || !isTimeout(err) {
			p.t.Errorf("more than two messages: %d, %v", n, err)
		}
		p.conn.SetReadDeadline(time.Time{})
		close(release)
		p.send(0x40, publishID(one)...)
		three, _ := p.next(PUBLISH)
		p.send(0x40, publishID(three)...)
		p.drain()
	}), options(V5, "x"))
	s.StartPublish(Message{Topic: "a", QoS: 1})
	s.StartPublish(Message{Topic: "a", QoS: 1})
	short, cancel := context.WithTimeout(context.Background(), soon/3)
	defer cancel()
	if _, failure := s.StartPublishContext(short, Message{Topic: "a", QoS: 1}).Wait(testContext(t)); kindFrom(failure) != FailNoAnswer {
		t.Errorf("the third: %v", failure)
	}
	close(gaveUp)
	<-release
	if _, failure := s.Publish(testContext(t), Message{Topic: "a", QoS: 1}); failure != nil {
		t.Errorf("the third, once there is room: %v", failure)
	}
}

// RabbitMQ before 3.13 ends QoS 2 with a PUBACK. SUBACKs must have a code for each filter.
func TestOddAnswers(t *testing.T) {
	eachVersion(t, func(t *testing.T, v Version) {
		s := connected(t, server(t, v, nil, func(p *peer) {
			pub, _ := p.next(PUBLISH)
			p.send(0x40, publishID(pub)...)
			sub, _ := p.next(SUBSCRIBE)
			if v == V5 {
				p.send(0x90, append(bytes.Clone(id(sub)), 0)...)
			} else {
				p.send(0x90, id(sub)...)
			}
			p.send(0x50, 0x7f, 0x7f) // for nothing of ours
			p.send(0x40, 0x7f, 0x7f)
			for range 2 { // PUBREL to the stray PUBREC, and PINGREQ, in any order
				if frame, err := ReadFrame(p.conn, 1000); err != nil || frame.Type != PUBREL && frame.Type != PINGREQ {
					p.t.Errorf("the client sent %s, %v", frame.Type, err)
				}
			}
			p.send(0xd0)
			p.drain()
		}), options(v, "x"))
		ctx := testContext(t)
		if got, failure := s.Publish(ctx, Message{Topic: "a", QoS: 2}); failure != nil || !got.Acked || len(got.Acks) != 1 || got.Acks[0].Type != PUBACK {
			t.Errorf("%+v, %v", got, failure)
		}
		if got, failure := s.Subscribe(ctx, []Subscription{{Filter: "a"}}); kindFrom(failure) != FailMalformed || len(got.Codes) != 0 {
			t.Errorf("%+v, %v", got, failure)
		}
		if _, failure := s.Ping(ctx); failure != nil {
			t.Error(failure)
		}
		if stray := s.Stats().Stray; stray < 2 {
			t.Errorf("%d stray answers", stray)
		}
	})
}

// A peer that floods costs bounded memory, and one that does not read bounded time; Close ends both.
func TestFloodAndStall(t *testing.T) {
	eachVersion(t, func(t *testing.T, v Version) {
		s := connected(t, server(t, v, nil, func(p *peer) {
			var chunk []byte
			packet := append([]byte{0x30}, longPublish(v, "a", strings.Repeat("x", 4000))...)
			for range 100 {
				chunk = append(chunk, packet...)
			}
			for {
				if _, err := p.conn.Write(chunk); err != nil {
					return
				}
			}
		}), options(v, "x"))
		for s.Dropped() == 0 { // nobody reads the messages
			if s.ClosedBy().Kind != "" {
				t.Fatalf("%+v", s.ClosedBy())
			}
			time.Sleep(time.Millisecond)
		}
		if trace := s.Trace(); len(trace) != maxTrace {
			t.Errorf("%d records", len(trace))
		}
		closeSoon(t, s)

		release := make(chan struct{})
		defer close(release)
		s = connected(t, server(t, v, nil, func(*peer) { <-release }), options(v, "x"))
		short, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		begun := time.Now()
		var failure *Failure
		for failure == nil { // until the windows are full
			_, failure = s.Publish(short, Message{Topic: "a", Payload: make([]byte, 1<<20)})
		}
		if took := time.Since(begun); failure.Kind != FailNoAnswer || took > bound/2 {
			t.Errorf("%v after %v", failure, took)
		}
		if _, failure := s.Ping(short); kindFrom(failure) != FailNoAnswer {
			t.Errorf("ping: %v", failure)
		}
		closeSoon(t, s)
	})
}

func closeSoon(t *testing.T, s Session) {
	t.Helper()
	begun := time.Now()
	s.Close()
	if took := time.Since(begun); took > bound/2 {
		t.Errorf("closing took %v", took)
	}
}

// Close and Disconnect may come from anywhere, in any number, while everything else goes on; nothing is left running.
func TestCloseWhileBusy(t *testing.T) {
	for _, v := range Versions {
		t.Run(v.String(), func(t *testing.T) {
			for range 20 {
				address := server(t, v, nil, func(p *peer) {
					go p.drain()
					for i := byte(1); ; i++ { // PUBRECs for nothing make paho write to a connection that it may have dropped
						if _, err := p.conn.Write([]byte{0x50, 2, 0x70, i, 0x62, 2, 0, i}); err != nil {
							return
						}
					}
				})
				s := connected(t, address, options(v, "x"))
				var group sync.WaitGroup
				short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
				for range 3 {
					group.Go(func() { s.Publish(short, Message{Topic: "a", QoS: 2}) })
					group.Go(func() { s.Subscribe(short, []Subscription{{Filter: "a"}}) })
					group.Go(func() { s.Ping(short) })
				}
				time.Sleep(time.Millisecond)
				group.Go(func() { s.Disconnect(short) })
				group.Go(func() { s.Close() })
				group.Wait()
				cancel()
				if kind := s.ClosedBy().Kind; kind != FailLocal {
					t.Errorf("ended by %s", kind)
				}
				nothingRuns(t)
			}
		})
	}
}

// nothingRuns fails if a goroutine of a session is left. paho's last ones are given time: they have nothing left to do.
func nothingRuns(t *testing.T) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(bound); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		stacks := make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		left = nil
		for stack := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(stack, "paho.golang/paho.") || strings.Contains(stack, "mqttwire.(*session)") ||
				strings.Contains(stack, "mqttwire.(*queue)") || strings.Contains(stack, "mqttwire.(*wire3)") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
}

// Disconnect lets the acknowledgements that we owe go first.
func TestDisconnectSettles(t *testing.T) {
	eachVersion(t, func(t *testing.T, v Version) {
		last := make(chan []PacketType, 1)
		s := connected(t, server(t, v, nil, func(p *peer) {
			for i := range uint16(50) {
				p.publish(2, i+1, "a", "x")
			}
			var got []PacketType
			for {
				frame, err := ReadFrame(p.conn, 1000)
				if err != nil {
					break
				}
				got = append(got, frame.Type)
			}
			last <- got
		}), options(v, "x"))
		for range 50 {
			take(t, s)
		}
		if failure := s.Disconnect(testContext(t)); failure != nil {
			t.Error(failure)
		}
		got := <-last
		if len(got) != 51 || got[50] != DISCONNECT || slices.Contains(got[:50], DISCONNECT) {
			t.Errorf("%d packets: %v", len(got), got)
		}
	})
}
