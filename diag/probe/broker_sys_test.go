package probe_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/mqttwire"
)

// telling is a scripted broker that publishes a tree below $SYS once somebody subscribes to filter, and goes on with later every
// 100 ms, counting its rounds from 1; without later it tells the same again.
func telling(filter string, tree map[string]string, later func(round int) map[string]string) func(testing.TB) string {
	return func(t testing.TB) string {
		var b *diagtest.ScriptedPeer
		var once sync.Once
		stop, done := make(chan struct{}), make(chan struct{})
		started := false
		publish := func(m map[string]string) {
			for topic, value := range m {
				b.Publish(topic, 0, []byte(value))
			}
		}
		b = diagtest.ScriptedBroker(t, diagtest.Script{OnSubscribe: func(_ diagtest.Connect, asked string, qos byte) byte {
			if asked == filter {
				once.Do(func() {
					started = true
					go func() {
						defer close(done)
						time.Sleep(10 * time.Millisecond) // behind the SUBACK
						publish(tree)
						for round := 1; ; round++ {
							select {
							case <-stop:
								return
							case <-time.After(100 * time.Millisecond):
							}
							if later == nil {
								publish(tree)
							} else {
								publish(later(round))
							}
						}
					}()
				})
			}
			return qos
		}})
		t.Cleanup(func() {
			close(stop)
			once.Do(func() {})
			if started {
				<-done
			}
		})
		return b.Target()
	}
}

func healthOf(t *testing.T, r diag.Report) *diag.BrokerHealth {
	t.Helper()
	var last *diag.BrokerHealth
	for _, s := range r.Steps {
		if o, ok := s.Observation.(*diag.BrokerHealth); ok {
			last = o
		}
	}
	if last == nil {
		t.Fatal("the broker was not asked for its status")
	}
	return last
}

// recognises checks what was made of a tree.
func recognises(product, release string, uptime time.Duration, figures map[diag.FigureName]float64) func(*testing.T, diag.Report) {
	return func(t *testing.T, r diag.Report) {
		h := healthOf(t, r)
		if h.Product != product || h.Release != release || h.Uptime != uptime {
			t.Errorf("product %q, release %q, uptime %v", h.Product, h.Release, h.Uptime)
		}
		for name, want := range figures {
			if f, ok := h.Figure(name); !ok || f.First != want {
				t.Errorf("%s is %v (%v), want %v", name, f.First, ok, want)
			}
		}
	}
}

var (
	mosquittoTree = map[string]string{
		"$SYS/broker/version": "mosquitto version 2.0.18", "$SYS/broker/uptime": "864000 seconds", "$SYS/broker/clients/connected": "42",
		"$SYS/broker/clients/maximum": "57", "$SYS/broker/clients/total": "60", "$SYS/broker/publish/messages/dropped": "100",
		"$SYS/broker/heap/current": "1234567", "$SYS/broker/store/messages/count": "88", "$SYS/broker/load/messages/sent/1min": "3.5",
	}
	emqxTree = map[string]string{
		"$SYS/brokers": "emqx@10.0.0.1", "$SYS/brokers/emqx@10.0.0.1/version": "5.6.0", "$SYS/brokers/emqx@10.0.0.1/sysdescr": "EMQX",
		"$SYS/brokers/emqx@10.0.0.1/uptime": "864000000", "$SYS/brokers/emqx@10.0.0.1/stats/connections/count": "7",
		"$SYS/brokers/emqx@10.0.0.2/stats/connections/count": "5", "$SYS/brokers/emqx@10.0.0.1/metrics/messages/dropped": "5000",
	}
	vernemqTree = map[string]string{
		"$SYS/VerneMQ@10.0.0.1/queue/message/drop": "0", "$SYS/VerneMQ@10.0.0.1/system/utilization": "12",
		"$SYS/VerneMQ@10.0.0.1/system/wallclock": "7200000", "$SYS/VerneMQ@10.0.0.1/queue/processes": "3",
	}
	hivemqTree = map[string]string{
		"$SYS/broker/version": "HiveMQ 4.28.0", "$SYS/broker/uptime": "90000", "$SYS/broker/clients/connected": "3",
		"$SYS/broker/messages/publish/dropped": "0",
	}
	nanomqTree = map[string]string{"$SYS/brokers/connected": `{"username":"somebody","client_id":"theirs","proto_ver":4}`}
)

func TestBrokerStatus(t *testing.T) {
	version := "$SYS/broker/version"
	plan := diag.PlanInput{Symptom: "slow", Exclude: []string{"msg.pair", "mqtt.watch"}}
	rising := func(topic string, from int) func(int) map[string]string {
		return func(round int) map[string]string { return map[string]string{topic: strconv.Itoa(from + round)} }
	}
	steady := func(topic, value string) func(int) map[string]string {
		return func(int) map[string]string { return map[string]string{topic: value} }
	}
	young := map[string]string{"$SYS/broker/version": "mosquitto version 2.0.18", "$SYS/broker/uptime": "75 seconds"}
	runScenarios(t, []scenario{
		{name: "mosquitto", peer: telling(version, mosquittoTree, nil), plan: plan, check: recognises("mosquitto", "mosquitto version 2.0.18", 240*time.Hour,
			map[diag.FigureName]float64{diag.FigureConnected: 42, diag.FigureDropped: 100, diag.FigureSessions: 60})},
		{name: "emqx", peer: telling(version, emqxTree, nil), plan: plan, check: recognises("emqx", "5.6.0", 240*time.Hour, map[diag.FigureName]float64{diag.FigureConnected: 12})},
		{name: "vernemq", peer: telling(version, vernemqTree, nil), plan: plan, check: recognises("vernemq", "", 2*time.Hour, map[diag.FigureName]float64{diag.FigureUtilization: 12})},
		{name: "hivemq", peer: telling(version, hivemqTree, nil), plan: plan, check: recognises("hivemq", "HiveMQ 4.28.0", 25*time.Hour, map[diag.FigureName]float64{diag.FigureConnected: 3})},
		{name: "nanomq", peer: telling(version, nanomqTree, nil), plan: plan, check: recognises("nanomq", "", 0, nil)},
		{name: "denied", peer: scripted(diagtest.Script{OnSubscribe: func(_ diagtest.Connect, filter string, qos byte) byte {
			if filter[0] == '$' {
				return 0x87
			}
			return qos
		}}), plan: plan, check: recognises("", "", 0, nil)},
		{name: "restarted", peer: telling(version, young, nil), plan: plan, info: []diag.Code{"broker.restarted"}},
		{name: "not dropping", peer: telling(version, mosquittoTree, steady("$SYS/broker/publish/messages/dropped", "100")), plan: plan},
		{name: "dropping", peer: telling(version, mosquittoTree, rising("$SYS/broker/publish/messages/dropped", 100)), plan: plan, want: "broker.dropping", attention: true},
		{name: "dropping at another node", peer: telling(version, vernemqTree, rising("$SYS/VerneMQ@10.0.0.2/queue/message/drop", 5)), plan: plan,
			want: "broker.dropping", attention: true},
		{name: "no subscribers is no drop", peer: telling(version, emqxTree, rising("$SYS/brokers/emqx@10.0.0.1/metrics/messages/dropped", 5000)), plan: plan},
		{name: "alarm", peer: telling(version, emqxTree, steady("$SYS/brokers/emqx@10.0.0.1/alarms/activate",
			`{"name":"high_system_memory_usage","message":"System memory usage is higher than 70%","details":{}}`)), plan: plan,
			want: "broker.overloaded", variant: "alarm", attention: true},
		{name: "alarm of another kind", peer: telling(version, emqxTree, steady("$SYS/brokers/emqx@10.0.0.1/alarms/activate",
			`{"name":"license_expiry","message":"License will be expired"}`)), plan: plan},
		{name: "alarm over", peer: telling(version, emqxTree, func(round int) map[string]string {
			return map[string]string{"$SYS/brokers/emqx@10.0.0.1/alarms/" + map[bool]string{true: "activate", false: "deactivate"}[round == 1]: `{"name":"high_cpu_usage"}`}
		}), plan: plan},
		{name: "busy", peer: telling(version, vernemqTree, steady("$SYS/VerneMQ@10.0.0.2/system/utilization", "99")), plan: plan,
			want: "broker.overloaded", attention: true},
	})
}

// What is read belongs to the broker's own status, and nobody's client id is kept.
func TestBrokerStatusKeepsNoClients(t *testing.T) {
	report := diagnose(t, diag.TargetInput{URL: telling("$SYS/broker/version", nanomqTree, nil)(t)}, diag.PlanInput{Symptom: "slow", Exclude: []string{"msg.pair"}}, nil)
	for _, s := range report.Steps {
		for _, e := range s.Evidence {
			if e.Value == "theirs" || e.Value == "somebody" {
				t.Errorf("%s has %s", s.ID, e.Value)
			}
		}
	}
}

// overflowing is a mosquitto whose queue of an absent client is full, for which somebody publishes again and again.
func overflowing(t testing.TB) string {
	t.Helper()
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Global: []string{"sys_interval 1", "max_queued_messages 20"}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	join := func(id string, clean bool) mqttwire.Session {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(b.MQTT, "mqtt://"), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		s, result := mqttwire.Connect(ctx, conn, mqttwire.ConnectOptions{Version: mqttwire.V311, ClientID: id, KeepAlive: 60, CleanStart: clean})
		if s == nil {
			t.Fatal(result.Err)
		}
		return s
	}
	absent := join("their-display", false)
	if _, failure := absent.Subscribe(ctx, []mqttwire.Subscription{{Filter: "their/#", QoS: 1}}); failure != nil {
		t.Fatal(failure)
	}
	_ = absent.Close()
	sensor, done := join("their-sensor", true), make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = sensor.Publish(ctx, mqttwire.Message{Topic: "their/level", QoS: 1, Payload: []byte("7")})
			time.Sleep(10 * time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = sensor.Close()
		<-done
	})
	return b.MQTT
}

// The counter of a real mosquitto is read twice, and its rise is told; where nobody is absent it stays silent.
func TestMosquittoThatDrops(t *testing.T) {
	t.Parallel()
	plan := diag.PlanInput{Symptom: "slow", Exclude: []string{"msg.pair"}}
	runScenarios(t, []scenario{
		{name: "dropping", peer: overflowing, plan: plan, want: "broker.dropping", attention: true, info: []diag.Code{"broker.restarted"},
			check: func(t *testing.T, r diag.Report) {
				if h := healthOf(t, r); h.Product != "mosquitto" {
					t.Errorf("recognised as %q", h.Product)
				}
			}},
		{name: "twin", peer: func(t testing.TB) string {
			return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Global: []string{"sys_interval 1"}}).MQTT
		}, plan: plan, info: []diag.Code{"broker.restarted"}},
	})
}

// Asking a healthy broker of any make for its status raises no alarm, and ends nothing, whether it tells it or not.
func TestBrokerStatusOfHealthyBrokers(t *testing.T) {
	t.Parallel()
	tells := map[string]string{"mosquitto": "mosquitto", "mochi": "mochi"}
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			t.Parallel()
			broker := make.Start(t)
			report := diagnose(t, diag.TargetInput{URL: broker.MQTT, Username: broker.Username, Password: diag.NewSecret(broker.Password)},
				diag.PlanInput{Symptom: "duplicate", Exclude: []string{"msg.pair", "msg.size", "broker.sys_later"}}, nil)
			if report.Verdict != diag.OverallHealthy || report.RootCause != nil {
				t.Errorf("%s, found %+v", report.Verdict, report.Findings)
			}
			h := healthOf(t, report)
			t.Logf("%s: %+v", make.Name, h)
			if product, ok := tells[make.Name]; ok && (h.Outcome != diag.OutcomeOK || h.Product != product || len(h.Figures) < 3) {
				t.Errorf("of its status: %+v", h)
			}
			for _, s := range report.Steps {
				if s.Check == "broker.sys" && s.Status != diag.StatusPassed {
					t.Errorf("%s %s: %v", s.ID, s.Status, s.Summary)
				}
			}
		})
	}
}
