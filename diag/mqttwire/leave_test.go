package mqttwire

import (
	"testing"
	"time"

	"mqttdoctor/diag/diagtest"
)

// What a DISCONNECT of MQTT 5 says changes what the server does with session and will.
func TestDisconnectWith(t *testing.T) {
	for _, broker := range diagtest.AllBrokers {
		if broker.Name != "mosquitto" && broker.Name != "mochi" { // the others have no MQTT 5
			continue
		}
		t.Run(broker.Name, func(t *testing.T) {
			address := broker.Start(t).MQTT
			present := func(id string) bool {
				o := options(V5, id)
				o.CleanStart, o.SessionExpiry = false, 300
				s := connected(t, address, o)
				kept := s.Connack().SessionPresent
				s.Close()
				return kept
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
				watcher := connected(t, address, options(V5, "watcher"))
				if _, failure := watcher.Subscribe(testContext(t), []Subscription{{Filter: "leave/#", QoS: 1}}); failure != nil {
					t.Fatal(failure)
				}
				o := options(V5, "leaver")
				o.SessionExpiry, o.Will = 300, &Will{Topic: "leave/will", Payload: []byte("gone"), QoS: 1}
				s := connected(t, address, o)
				if failure := s.DisconnectWith(testContext(t), row.how); failure != nil {
					t.Errorf("%s: %v", row.name, failure)
				}
				time.Sleep(100 * time.Millisecond) // who comes back before the server has read it takes the session over
				// A message behind it comes behind the will, where there is one.
				again := options(V5, "leaver")
				again.CleanStart, again.SessionExpiry = false, 300
				s = connected(t, address, again)
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
				time.Sleep(100 * time.Millisecond)
			}
			if present("leaver") {
				t.Error("a session is left")
			}
		})
	}
}
