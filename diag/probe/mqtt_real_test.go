package probe_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// TestRealBrokers shows faults on brokers as people run them.
func TestRealBrokers(t *testing.T) {
	t.Parallel()
	users := map[string]string{"doctor": "right"}
	mosquitto := func(o diagtest.MosquittoOptions) func(testing.TB) *diagtest.Broker {
		return func(t testing.TB) *diagtest.Broker {
			o := o // several tests start one side by side
			o.Listeners = []string{"mqtt", "ws"}
			return diagtest.Mosquitto(t, o)
		}
	}
	withUsers := mosquitto(diagtest.MosquittoOptions{Users: users})
	anonymousToo := mosquitto(diagtest.MosquittoOptions{Users: users, AllowAnonymous: true})
	acl := mosquitto(diagtest.MosquittoOptions{Users: users, ACL: "user doctor\ntopic readwrite plant/#\n"})
	readOnly := mosquitto(diagtest.MosquittoOptions{Users: users, ACL: "user doctor\ntopic read plant/#\ntopic readwrite mqttdoctor/#\n"})
	maxQoS := mosquitto(diagtest.MosquittoOptions{Listener: []string{"max_qos 1"}})
	prefix := mosquitto(diagtest.MosquittoOptions{Global: []string{"clientid_prefixes plant-"}})
	right := func(publish string, subscribe ...string) diag.TargetInput {
		in := login("doctor", "right")
		in.Topics = diag.TopicsInput{Publish: publish, Subscribe: subscribe}
		return in
	}
	plantID := diag.TargetInput{ClientID: "plant-1"}
	brief := diag.PlanInput{TimeoutS: seconds(1)}
	var all []scenario
	for _, transport := range []string{"mqtt", "ws"} {
		all = slices.Concat(all,
			inVersions(scenario{name: "mosquitto wrong password over " + transport, peer: real(transport, withUsers), in: login("doctor", "wrong"), want: "mqtt.bad_credentials",
				variant: "*"}, everyVersion...),
			inVersions(scenario{name: "mosquitto no password over " + transport, peer: real(transport, withUsers), want: "mqtt.auth_required"}, everyVersion...),
			inVersions(scenario{name: "mosquitto right password over " + transport, peer: real(transport, withUsers), in: login("doctor", "right")}, everyVersion...),
		)
	}
	all = slices.Concat(all,
		inVersions(scenario{name: "mosquitto wrong password, anonymous works", peer: real("mqtt", anonymousToo), in: login("doctor", "wrong"), want: "mqtt.bad_credentials",
			variant: "anonymous_works"}, everyVersion...),
		inVersions(scenario{name: "mosquitto own topics only", peer: real("mqtt", acl), in: right("plant/temp", "plant/#"), plan: brief}, everyVersion...),
		inVersions(scenario{name: "mosquitto own topics only, none given", peer: real("mqtt", acl), in: right(""), plan: brief}, everyVersion...),
		inVersions(scenario{name: "mosquitto other topics", peer: real("mqtt", acl), in: right("office/temp", "office/#"), plan: brief, want: "msg.publish_dropped", variant: "told"}, "3.1", "3.1.1"),
		inVersions(scenario{name: "mosquitto other topics", peer: real("mqtt", acl), in: right("office/temp", "office/#"), plan: brief, want: "msg.publish_denied"}, "auto", "5"),
		inVersions(scenario{name: "mosquitto may only read", peer: real("mqtt", readOnly), in: right("plant/temp", "plant/#"), plan: brief, want: "msg.publish_dropped", variant: "told"}, "3.1", "3.1.1"),
		inVersions(scenario{name: "mosquitto may only read", peer: real("mqtt", readOnly), in: right("plant/temp", "plant/#"), plan: brief, want: "msg.publish_denied"}, "auto", "5"),
		inVersions(scenario{name: "mosquitto max_qos", peer: real("mqtt", maxQoS), in: withQoS(topics("plant/temp", "plant/#"), 2), want: "msg.qos_downgraded", variant: "*", attention: true}, "auto", "5"),
		inVersions(scenario{name: "mosquitto max_qos", peer: real("mqtt", maxQoS), in: withQoS(topics("plant/temp", "plant/#"), 2), want: "msg.publish_denied", variant: "qos",
			suggest: `{"topics":{"qos":1}}`}, "3.1", "3.1.1"),
		inVersions(scenario{name: "mosquitto max_qos, not needed", peer: real("mqtt", maxQoS), in: topics("plant/temp", "plant/#")}, everyVersion...),
		inVersions(scenario{name: "mosquitto max_qos, no topics", peer: real("mqtt", maxQoS), check: func(t *testing.T, r diag.Report) {
			for _, s := range r.Steps {
				if s.Check == "msg.roundtrip" && s.Status != diag.StatusPassed {
					t.Errorf("%s %s: another check has ended its session", s.ID, s.Status)
				}
			}
		}}, everyVersion...),
		inVersions(scenario{name: "mosquitto prefixes, temporary id", peer: real("mqtt", prefix), want: "mqtt.auth_required", readings: []diag.Code{"mqtt.not_authorized"}}, "3.1.1", "5"),
		inVersions(scenario{name: "mosquitto prefixes, own id", peer: real("mqtt", prefix), in: plantID}, everyVersion...),
		[]scenario{
			{name: "mochi denies subscribing", peer: real("mqtt", func(t testing.TB) *diagtest.Broker {
				return diagtest.Mochi(t, diagtest.MochiOptions{Allow: func(_, topic string, write bool) bool { return topic != "plant/#" || write }})
			}), in: topics("plant/temp", "plant/#"), plan: brief, want: "msg.subscribe_denied", variant: "*"},
			{name: "mochi denies publishing", peer: real("mqtt", func(t testing.TB) *diagtest.Broker {
				return diagtest.Mochi(t, diagtest.MochiOptions{Allow: func(_, topic string, write bool) bool { return topic != "plant/temp" || !write }})
			}), in: topics("plant/temp", "plant/#"), plan: brief, want: "msg.publish_denied", variant: "*"},
			{name: "mochi wrong password", peer: real("ws", func(t testing.TB) *diagtest.Broker {
				return diagtest.Mochi(t, diagtest.MochiOptions{Users: users})
			}), in: login("doctor", "wrong"), want: "mqtt.bad_credentials", variant: "*"},
			{name: "mochi of version 5 only", peer: real("mqtt", func(t testing.TB) *diagtest.Broker {
				c := mochi.NewDefaultServerCapabilities()
				c.MinimumProtocolVersion = 5
				return diagtest.Mochi(t, diagtest.MochiOptions{Capabilities: c})
			}), in: diag.TargetInput{Protocol: "3.1.1"}, want: "mqtt.version_unsupported", variant: "*", suggest: `{"protocol":"5"}`},
			// NATS answers mqtt to an offer of mqttv3.1 alone; nothing of that may hold up the run.
			{name: "nats over ws", peer: real("ws", diagtest.NATS), plan: diag.PlanInput{TimeoutS: seconds(30)}, check: func(t *testing.T, r diag.Report) {
				for _, s := range r.Steps {
					if s.Duration > 25*time.Second { // a time-out
						t.Errorf("%s took %s", s.ID, s.Duration)
					}
				}
			}},
			{name: "nats in a quick run, the version left open", peer: real("mqtt", diagtest.NATS), plan: diag.PlanInput{Depth: "quick"}},
			{name: "nats over ws in a quick run, the version left open", peer: real("ws", diagtest.NATS), plan: diag.PlanInput{Depth: "quick"}, check: func(t *testing.T, r diag.Report) {
				for _, s := range r.Steps {
					for _, e := range s.Evidence {
						if s.Check == "mqtt.versions" && e.Key == "ws.offered" && strings.Contains(e.Value, ",") {
							t.Errorf("%s offers %q: mosquitto 2.1 ends an upgrade with a list", s.ID, e.Value)
						}
					}
				}
			}},
			{name: "nats asked for 5", peer: real("mqtt", diagtest.NATS), in: diag.TargetInput{Protocol: "5"}, want: "mqtt.version_unsupported", variant: "*", suggest: `{"protocol":"3.1.1"}`},
			{name: "nats asked for 5 over ws", peer: real("ws", diagtest.NATS), in: diag.TargetInput{Protocol: "5"}, want: "mqtt.version_unsupported", variant: "*", suggest: `{"protocol":"3.1.1"}`},
			{name: "nats at another path", peer: as("ws", "/broker", real("ws", diagtest.NATS)), want: "ws.wrong_path", variant: "something_else", suggest: `{"url":"ws://HOST/mqtt"}`},
			{name: "aedes asked for 5", peer: real("mqtt", diagtest.Aedes), in: diag.TargetInput{Protocol: "5"}, want: "mqtt.version_unsupported", variant: "*", suggest: `{"protocol":"3.1.1"}`},
			{name: "rabbitmq wrong password", peer: real("mqtt", diagtest.RabbitMQ), in: login("doctor", "wrong"), want: "mqtt.bad_credentials", variant: "*"},
			{name: "rabbitmq wrong password in 5", peer: real("mqtt", diagtest.RabbitMQ), in: func() diag.TargetInput { in := login("doctor", "wrong"); in.Protocol = "5"; return in }(), want: "mqtt.version_unsupported", variant: "*"},
			{name: "rabbitmq wrong password over ws", peer: real("ws", diagtest.RabbitMQ), in: login("doctor", "wrong"), want: "mqtt.bad_credentials", variant: "*"},
			{name: "rabbitmq at /mqtt", peer: as("ws", "/mqtt", real("ws", diagtest.RabbitMQ)), want: "ws.wrong_path", suggest: `{"url":"ws://HOST/ws"}`},
			{name: "rabbitmq asked for 5", peer: real("mqtt", diagtest.RabbitMQ), in: diag.TargetInput{Protocol: "5"}, want: "mqtt.version_unsupported", variant: "closed", suggest: `{"protocol":"3.1.1"}`},
		})
	runScenarios(t, all)
}
