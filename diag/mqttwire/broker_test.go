package mqttwire

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"mqttdoctor/diag/diagtest"
)

// bound is far more than anything here takes.
const bound = time.Minute

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	t.Cleanup(cancel)
	return ctx
}

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Host
	}
	conn, err := net.DialTimeout("tcp", address, bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// connected is a session that must come about.
func connected(t testing.TB, address string, o ConnectOptions) Session {
	t.Helper()
	session, result := Connect(testContext(t), dial(t, address), o)
	if result.Err != nil {
		t.Fatalf("CONNECT of MQTT %s: %v (first bytes %q)", o.Version, result.Err, result.FirstBytes)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

func options(v Version, id string) ConnectOptions {
	return ConnectOptions{Version: v, ClientID: id, KeepAlive: 60, CleanStart: true}
}

// take is the next message.
func take(t testing.TB, s Session) Received {
	t.Helper()
	select {
	case m, ok := <-s.Messages():
		if !ok {
			t.Fatalf("the session ended before the message: %+v", s.ClosedBy())
		}
		return m
	case <-time.After(bound):
		t.Fatal("no message came")
	}
	return Received{}
}

func TestRoundTripOnRealBrokers(t *testing.T) {
	for _, broker := range diagtest.AllBrokers {
		t.Run(broker.Name, func(t *testing.T) {
			b := broker.Start(t)
			for _, v := range Versions {
				if !speaks(b, v) {
					continue
				}
				t.Run(v.String(), func(t *testing.T) { roundTrip(t, b, v) })
			}
		})
	}
}

func speaks(b *diagtest.Broker, v Version) bool {
	for _, version := range b.Versions {
		if version == v.String() {
			return true
		}
	}
	return false
}

func roundTrip(t *testing.T, b *diagtest.Broker, v Version) {
	ctx := testContext(t)
	o := options(v, fmt.Sprintf("wire%d", v)) // NATS refuses an id with a dot
	if b.Username != "" {
		o.Username, o.Password = &b.Username, []byte(b.Password)
	}
	s := connected(t, b.MQTT, o)
	if ack := s.Connack(); !ack.Accepted() || ack.Reason() == unknownReason {
		t.Errorf("CONNACK %+v", ack)
	}
	if took, failure := s.Ping(ctx); failure != nil || took <= 0 {
		t.Errorf("ping: %v, %v", took, failure)
	}
	for qos := range byte(3) {
		topic := fmt.Sprintf("mqttwire/%d/%d", v, qos) // RabbitMQ makes a dot a slash
		sub, failure := s.Subscribe(ctx, []Subscription{{Filter: topic, QoS: qos}})
		if failure != nil || len(sub.Codes) != 1 || sub.Codes[0] > 2 {
			t.Fatalf("SUBSCRIBE at QoS %d: %+v, %v", qos, sub, failure)
		}
		pub, failure := s.Publish(ctx, Message{Topic: topic, Payload: []byte("hello"), QoS: qos})
		if failure != nil || !pub.Acked || pub.Code >= 0x80 {
			t.Fatalf("PUBLISH at QoS %d: %+v, %v", qos, pub, failure)
		}
		got := take(t, s)
		if got.Topic != topic || string(got.Payload) != "hello" || got.PayloadBytes != 5 || got.QoS != min(qos, sub.Codes[0]) || got.Retain || got.Dup {
			t.Errorf("at QoS %d came %+v", qos, got)
		}
		if _, failure := s.Unsubscribe(ctx, []string{topic}); failure != nil {
			t.Errorf("UNSUBSCRIBE: %v", failure)
		}
	}
	if failure := s.Disconnect(ctx); failure != nil {
		t.Errorf("DISCONNECT: %v", failure)
	}
	<-s.Done()
	if end := s.ClosedBy(); end.Kind != FailLocal {
		t.Errorf("ended by %+v", end)
	}
	if stats := s.Stats(); stats.Stray > 0 || stats.Dropped > 0 || len(stats.Breaches) > 0 {
		t.Errorf("stats %+v", stats)
	}
	trace := s.Trace()
	if len(trace) < 2 || trace[0].Type != CONNECT || trace[0].Dir != Out || trace[1].Type != CONNACK || trace[1].Dir != In {
		t.Errorf("trace %+v", trace)
	}
	for i := 1; i < len(trace); i++ {
		if trace[i].Type == PINGREQ && trace[i-1].Type == SUBSCRIBE {
			t.Error("a PINGREQ that nobody asked for")
		}
	}
	if last := trace[len(trace)-1]; last.Type != DISCONNECT {
		t.Errorf("the last packet is %v", last)
	}
}
