package mqttwire

import (
	"io"
	"net"
	"testing"
	"time"

	"mqttdoctor/diag/diagtest"
)

// heldConn is closed only when the server has closed its end, too: it has read everything then.
type heldConn struct{ *net.TCPConn }

func (c *heldConn) Close() error {
	c.CloseWrite()
	c.SetReadDeadline(time.Now().Add(bound))
	io.Copy(io.Discard, c.TCPConn)
	return c.TCPConn.Close()
}

// leaveToServer gives a server time for what it does after it has closed, which nothing tells: in small parts, so that a machine that
// stops for a moment takes one of them alone.
func leaveToServer() {
	for range 20 {
		time.Sleep(5 * time.Millisecond)
	}
}

// What a DISCONNECT of MQTT 5 says changes what the server does with session and will.
func TestDisconnectWith(t *testing.T) {
	for _, broker := range diagtest.AllBrokers {
		if broker.Name != "mosquitto" && broker.Name != "mochi" { // the others have no MQTT 5
			continue
		}
		t.Run(broker.Name, func(t *testing.T) {
			address := broker.Start(t).MQTT
			// Who comes back before the server has read the DISCONNECT takes the session over.
			connected := func(o ConnectOptions) Session {
				t.Helper()
				s, r := Connect(testContext(t), &heldConn{dial(t, address).(*net.TCPConn)}, o)
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				t.Cleanup(func() { s.Close() })
				return s
			}
			none := uint32(0)
			for _, row := range []struct {
				name string
				how  Disconnection
				kept bool
				will bool
			}{
				{"plain", Disconnection{}, true, false},
				{"no expiry", Disconnection{SessionExpiry: &none}, false, false},
				{"will", Disconnection{Code: 4}, true, true},
			} {
				watcher := connected(options(V5, "watcher"))
				if _, failure := watcher.Subscribe(testContext(t), []Subscription{{Filter: "leave/#", QoS: 1}}); failure != nil {
					t.Fatal(failure)
				}
				o := options(V5, "leaver")
				o.SessionExpiry, o.Will = 300, &Will{Topic: "leave/will", Payload: []byte("gone"), QoS: 1}
				s := connected(o)
				if failure := s.DisconnectWith(testContext(t), row.how); failure != nil {
					t.Errorf("%s: %v", row.name, failure)
				}
				leaveToServer()
				// A message behind it comes behind the will, where there is one.
				again := options(V5, "leaver")
				again.CleanStart, again.SessionExpiry = false, 300
				s = connected(again)
				if kept := s.Connack().SessionPresent; kept != row.kept {
					t.Errorf("%s: session present is %v, want %v", row.name, kept, row.kept)
				}
				if _, failure := s.Publish(testContext(t), Message{Topic: "leave/end", QoS: 1}); failure != nil {
					t.Fatal(failure)
				}
				if first := take(t, watcher); (first.Topic == "leave/will") != row.will {
					t.Errorf("%s: the first message is on %s, a will is wanted: %v", row.name, first.Topic, row.will)
				}
				s.DisconnectWith(testContext(t), Disconnection{SessionExpiry: &none})
				watcher.Close()
				leaveToServer()
			}
			o := options(V5, "leaver")
			o.CleanStart, o.SessionExpiry = false, 300
			if connected(o).Connack().SessionPresent {
				t.Error("a session is left")
			}
		})
	}
}
