package probe_test

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/mqttwire"
)

// lookingAt connects a client of the test's own, to see what a broker has. The caller closes it.
func lookingAt(ctx context.Context, t *testing.T, b *diagtest.Broker, clientID string) mqttwire.Session {
	t.Helper()
	u, err := url.Parse(b.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", u.Host, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	o := mqttwire.ConnectOptions{Version: mqttwire.V311, ClientID: clientID, KeepAlive: 60, CleanStart: true}
	if b.Username != "" {
		o.Username, o.Password = &b.Username, []byte(b.Password)
	}
	s, result := mqttwire.Connect(ctx, conn, o)
	if s == nil {
		t.Fatalf("connecting as %s: %v", clientID, result.Err)
	}
	return s
}

// nothingLeft demands that a broker has no retained message of ours: a new client subscribes to all that could be, by exact
// names too, since some brokers keep retained messages from wildcards.
func nothingLeft(t *testing.T, b *diagtest.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := lookingAt(ctx, t, b, "looks-for-leftovers")
	defer s.Close()
	base := "mqttdoctor/scenario/retained"
	for _, filter := range []string{"mqttdoctor/#", base, base + "/plus/here", base + "/hash/down/here"} {
		if _, failure := s.Subscribe(ctx, []mqttwire.Subscription{{Filter: filter}}); failure != nil {
			t.Fatalf("subscribing to %s: %v", filter, failure)
		}
	}
	for quiet := time.After(500 * time.Millisecond); ; {
		select {
		case m := <-s.Messages():
			if m.Retain {
				t.Errorf("left behind on %s: a retained message on %s", b.Name, m.Topic)
			}
		case <-quiet:
			return
		}
	}
}
