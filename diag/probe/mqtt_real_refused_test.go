package probe_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// TestRealBrokersThatMind is about real brokers that hang, have limits, or give a session to somebody else.
func TestRealBrokersThatMind(t *testing.T) {
	t.Parallel()
	mosquitto := func(scheme string, lines ...string) func(testing.TB) *diagtest.Broker {
		return func(t testing.TB) *diagtest.Broker {
			return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{scheme}, Global: lines})
		}
	}
	hanging := func(t testing.TB) string {
		b := mosquitto("mqtt")(t)
		if err := b.Hang(); err != nil {
			t.Fatal(err)
		}
		return b.MQTT
	}
	rivalledMosquitto := func(id string) func(testing.TB) string {
		return func(t testing.TB) string {
			b := mosquitto("mqtt")(t)
			rival(t, hostOf(t, b.MQTT), id, 300*time.Millisecond)
			return b.MQTT
		}
	}
	keepAlive := real("mqtt", mosquitto("mqtt", "max_keepalive 600"))
	packet := real("mqtt", mosquitto("mqtt", "max_packet_size 20000"))
	long := login("doctor", strings.Repeat("t", 25000))
	own, often := diag.TargetInput{ClientID: "boiler-7"}, diag.TargetInput{KeepaliveS: integer(60)}
	seldom := diag.TargetInput{KeepaliveS: integer(3600)}
	drops := diag.PlanInput{Symptom: "drops", TimeoutS: seconds(2)}
	soon := diag.PlanInput{TimeoutS: seconds(1)}
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "hangs", peer: hanging, plan: soon, want: "mqtt.no_connack"}, "auto", "3.1.1"),
		inVersions(scenario{name: "hangs, asked with TLS", peer: as("mqtts", "", hanging), plan: soon, want: "tls.handshake_timeout"}, "auto"),
		inVersions(scenario{name: "hangs not", peer: real("mqtt", mosquitto("mqtt")), plan: soon}, "auto", "3.1.1"),
		// Without the property of MQTT 5 mosquitto 2.0 cannot say so, and takes it as it is.
		inVersions(scenario{name: "keep alive over its limit", peer: keepAlive, in: seldom, info: []diag.Code{"mqtt.keepalive_overridden"}}, "auto", "5"),
		inVersions(scenario{name: "keep alive over its limit, and taken", peer: keepAlive, in: seldom}, "3.1", "3.1.1"),
		inVersions(scenario{name: "keep alive under its limit", peer: keepAlive, in: often}, "auto"),
		inVersions(scenario{name: "CONNECT over its limit", peer: packet, in: long, want: "mqtt.connect_too_large"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "CONNECT under its limit", peer: packet, in: login("doctor", "t")}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "somebody else has the id", peer: rivalledMosquitto("boiler-7"), in: own, plan: drops, want: "mqtt.client_id_conflict", variant: "*"}, "auto", "3.1.1", "5"),
		inVersions(scenario{name: "somebody else has another id", peer: rivalledMosquitto("boiler-8"), in: own, plan: drops}, "auto", "3.1.1", "5"),
	))
}
