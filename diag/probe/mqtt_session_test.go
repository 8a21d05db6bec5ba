package probe_test

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/mqttwire"
)

// kicking ends every session some time after its CONNECT.
func kicking(after time.Duration, code byte) func(testing.TB) string {
	return func(t testing.TB) string {
		var b *diagtest.ScriptedPeer
		var group sync.WaitGroup
		ready, stop := make(chan struct{}), make(chan struct{})
		b = diagtest.ScriptedBroker(t, diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer {
			group.Go(func() {
				<-ready
				select {
				case <-time.After(after):
					b.Disconnect(code)
				case <-stop:
				}
			})
			return diagtest.ConnectAnswer{}
		}})
		close(ready)
		t.Cleanup(func() {
			close(stop)
			group.Wait()
		})
		return b.Target()
	}
}

// rival is that device: it is connected when it returns.
func rival(t testing.TB, address, id string, after time.Duration) {
	t.Helper()
	stop := make(chan struct{})
	var group sync.WaitGroup
	connected := make(chan struct{})
	var once sync.Once
	group.Go(func() {
		for {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				once.Do(func() { close(connected) })
				return
			}
			ended := make(chan struct{})
			group.Go(func() {
				select {
				case <-stop:
				case <-ended:
				}
				conn.Close()
			})
			_, _ = conn.Write(mqttwire.EncodeConnect(mqttwire.ConnectOptions{Version: mqttwire.V311, ClientID: id, CleanStart: true, KeepAlive: 60}))
			buf := make([]byte, 64)
			for err = nil; err == nil; _, err = conn.Read(buf) {
				once.Do(func() { close(connected) })
			}
			close(ended)
			select {
			case <-stop:
				return
			case <-time.After(after):
			}
		}
	})
	<-connected
	t.Cleanup(func() {
		close(stop)
		group.Wait()
	})
}

// rivalled is a broker to which a device with the given client id comes back whenever it was pushed off.
func rivalled(id string, after time.Duration) func(testing.TB) string {
	return func(t testing.TB) string {
		b := diagtest.ScriptedBroker(t, diagtest.Script{})
		rival(t, b.Addr, id, after)
		return b.Target()
	}
}

func TestSessionsThatEnd(t *testing.T) {
	t.Parallel()
	drops := diag.PlanInput{Symptom: "drops", TimeoutS: seconds(2)}
	intrusive := diag.PlanInput{Intrusive: true, TimeoutS: seconds(1), Exclude: []string{"mqtt.limit"}}
	own := diag.TargetInput{ClientID: "boiler-7"}
	withTopics := topics("plant/temp", "plant/#")
	withTopics.ClientID = "boiler-7"
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "kicked late", peer: kicking(400*time.Millisecond, 0), plan: drops, want: "mqtt.kicked_after_connect"}, everyVersion...),
		inVersions(scenario{name: "kicked with a login", peer: kicking(20*time.Millisecond, 0), in: login("doctor", "right"), plan: drops, want: "mqtt.kicked_after_connect"}, everyVersion...),
		inVersions(scenario{name: "kicked late with an own id", peer: kicking(400*time.Millisecond, 0), in: own, plan: drops, want: "mqtt.kicked_after_connect"}, "3.1.1"),
		inVersions(scenario{name: "kicked late with a reason", peer: kicking(400*time.Millisecond, 0x98), plan: drops, want: "mqtt.kicked_after_connect"}, "auto", "5"),
		inVersions(scenario{name: "taken over", peer: rivalled("boiler-7", 300*time.Millisecond), in: own, plan: drops, want: "mqtt.client_id_conflict", variant: "*"}, everyVersion...),
		inVersions(scenario{name: "taken over, topics", peer: rivalled("boiler-7", 300*time.Millisecond), in: withTopics, plan: drops, want: "mqtt.client_id_conflict", variant: "*"}, "auto", "3.1.1"),
		inVersions(scenario{name: "taken over while held", peer: rivalled("boiler-7", 300*time.Millisecond), in: own, plan: intrusive, want: "mqtt.client_id_conflict", variant: "*"}, everyVersion...),
		inVersions(scenario{name: "lasts", peer: scripted(diagtest.Script{}), in: own, plan: drops}, everyVersion...),
		inVersions(scenario{name: "held", peer: scripted(diagtest.Script{}), in: own, plan: intrusive}, everyVersion...),
		inVersions(scenario{name: "another id is taken over", peer: rivalled("boiler-8", 100*time.Millisecond), in: own, plan: intrusive}, "auto", "3.1.1"),
		inVersions(scenario{name: "no PINGRESP", peer: scripted(diagtest.Script{NoPingresp: true}), plan: diag.PlanInput{TimeoutS: seconds(1)}, want: "mqtt.ping_unanswered"}, everyVersion...),
		inVersions(scenario{name: "ended at the ping", peer: scripted(diagtest.Script{PingEnds: true}), want: "mqtt.ping_unanswered", variant: "closed"}, everyVersion...),
		inVersions(scenario{name: "ended at the ping, with an own id", peer: scripted(diagtest.Script{PingEnds: true}), in: withTopics, want: "mqtt.ping_unanswered", variant: "closed"}, "auto", "3.1.1"),
		inVersions(scenario{name: "server keep alive", peer: scripted(diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer {
			return diagtest.ConnectAnswer{ServerKeepAlive: 20}
		}}), info: []diag.Code{"mqtt.keepalive_overridden"}}, "auto", "5"),
		inVersions(scenario{name: "server keep alive as asked", peer: scripted(diagtest.Script{Properties: func(p *v5.Properties) {
			sixty := uint16(60)
			p.ServerKeepAlive = &sixty
		}}), check: func(t *testing.T, r diag.Report) {
			for _, f := range r.Findings {
				if f.Code == "mqtt.keepalive_overridden" {
					t.Error("nothing was overridden")
				}
			}
		}}, "auto", "5"),
	))
}

// limited takes so many sessions at once.
func limited(max int32, refusal diagtest.ConnectAnswer) func(testing.TB) string {
	return func(t testing.TB) string {
		var open atomic.Int32
		broker := diagtest.ScriptedBroker(t, diagtest.Script{})
		return diagtest.Peer(t, func(conn net.Conn) {
			defer open.Add(-1)
			if open.Add(1) > max {
				if refusal.Action == diagtest.Refuse {
					diagtest.Connack(refusal.V3, refusal.V5)(conn)
				}
				return
			}
			up, err := net.Dial("tcp", broker.Addr)
			if err != nil {
				return
			}
			splice(conn, up)
		}).URL("mqtt")
	}
}

// roomFor is a broker with room for so many sessions at once: it counts those that it has accepted.
func roomFor(max int, refusal diagtest.ConnectAnswer) func(testing.TB) string {
	return func(t testing.TB) string {
		var self atomic.Pointer[diagtest.ScriptedPeer]
		broker := diagtest.ScriptedBroker(t, diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer {
			if b := self.Load(); b != nil && len(b.Clients()) >= max {
				return refusal
			}
			return diagtest.ConnectAnswer{}
		}})
		self.Store(broker)
		return broker.Target()
	}
}

// splice carries bytes both ways until one side ends.
func splice(a, b net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := b.Read(buf)
			if n > 0 {
				_, _ = a.Write(buf[:n])
			}
			if err != nil {
				a.Close()
				return
			}
		}
	}()
	buf := make([]byte, 4096)
	for {
		n, err := a.Read(buf)
		if n > 0 {
			_, _ = b.Write(buf[:n])
		}
		if err != nil {
			break
		}
	}
	b.Close()
	<-done
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	intrusive := diag.PlanInput{Intrusive: true}
	unavailable := diagtest.RefuseConnect(3, 0x97)
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "by code", peer: limited(12, unavailable), plan: intrusive, want: "mqtt.connection_limit"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "by a close", peer: limited(12, diagtest.ConnectAnswer{Action: diagtest.Close}), plan: intrusive, want: "mqtt.connection_limit"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "none", peer: scripted(diagtest.Script{}), plan: intrusive}, "auto", "3.1.1"),
		inVersions(scenario{name: "limit not reached", peer: limited(80, unavailable), plan: intrusive}, "auto"),
		inVersions(scenario{name: "no consent", peer: limited(12, unavailable)}, "auto"),
		inVersions(scenario{name: "one, by code", peer: roomFor(1, unavailable), plan: diag.PlanInput{Symptom: "refused"}, want: "mqtt.connection_limit", variant: "one"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "one, by a close", peer: roomFor(1, diagtest.ConnectAnswer{Action: diagtest.Close}), plan: diag.PlanInput{Symptom: "cannot_connect"}, want: "mqtt.connection_limit", variant: "one"}, "auto", "3.1.1"),
		inVersions(scenario{name: "one, and no complaint", peer: roomFor(1, unavailable), info: []diag.Code{"mqtt.connection_limit"}}, "auto"),
		inVersions(scenario{name: "room for all, no 3.1", peer: scripted(diagtest.Script{OnConnect: func(c diagtest.Connect) diagtest.ConnectAnswer {
			if c.Level == 3 {
				return diagtest.ConnectAnswer{Action: diagtest.Close}
			}
			return diagtest.ConnectAnswer{}
		}})}, "auto", "3.1.1"),
		[]scenario{{name: "mosquitto", peer: real("mqtt", func(t testing.TB) *diagtest.Broker {
			return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Listener: []string{"max_connections 10"}})
		}), plan: intrusive, want: "mqtt.connection_limit"}},
	))
}

func TestServerReference(t *testing.T) {
	t.Parallel()
	sends := func(reference func(addr string) string, code byte) func(testing.TB) string {
		return func(t testing.TB) string {
			other := diagtest.ScriptedBroker(t, diagtest.Script{})
			return scripted(diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer {
				a := diagtest.RefuseConnect(3, code)
				a.ServerReference = reference(other.Addr)
				return a
			}})(t)
		}
	}
	same := func(addr string) string { return addr }
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "same host", peer: sends(same, 0x9C), want: "mqtt.use_another_server", suggest: "*"}, "auto", "5"),
		inVersions(scenario{name: "moved on the same host", peer: sends(same, 0x9D), want: "mqtt.use_another_server", variant: "moved", suggest: "*"}, "auto", "5"),
		inVersions(scenario{name: "second of two", peer: sends(func(addr string) string { return "other.example:1883 " + addr }, 0x9C), want: "mqtt.use_another_server", suggest: "*"}, "5"),
		inVersions(scenario{name: "other host", peer: sends(func(string) string { return "other.example" }, 0x9C), want: "mqtt.use_another_server"}, "5"),
		inVersions(scenario{name: "nonsense", peer: sends(func(string) string { return ":::: 127.0.0.1:99999 [" }, 0x9C), want: "mqtt.use_another_server"}, "5"),
	))
}

// TestOneConnectionPerLogin is about brokers that take the user name for the client id: our own connections push each other
// off there, which is no fault of anybody's.
func TestOneConnectionPerLogin(t *testing.T) {
	t.Parallel()
	noAlarm := func(t *testing.T, r diag.Report) {
		if r.RootCause != nil {
			t.Errorf("concludes %s", r.RootCause.Code)
		}
	}
	for _, version := range everyVersion {
		for name, in := range map[string]diag.TargetInput{"": login("doctor", "right"), "own id": {ClientID: "boiler-7"}, "topics": topics("plant/temp", "plant/#")} {
			t.Run(version+" "+name, func(t *testing.T) {
				t.Parallel()
				b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Users: map[string]string{"doctor": "right"},
					Listener: []string{"use_username_as_clientid true"}})
				in.URL, in.Protocol, in.Username, in.Password = b.MQTT, version, "doctor", diag.NewSecret("right")
				noAlarm(t, diagnose(t, in, diag.PlanInput{}, nil))
			})
		}
	}
}
