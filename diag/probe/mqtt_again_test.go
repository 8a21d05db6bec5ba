package probe_test

import (
	"sync/atomic"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// One of several machines behind an address does not work: every third connection meets it, and the asked one does not.
func TestConnectionsThatFailNowAndThen(t *testing.T) {
	t.Parallel()
	one := func(answer diagtest.ConnectAnswer) func(testing.TB) string {
		var connects atomic.Int64
		return scripted(diagtest.Script{OnConnect: func(diagtest.Connect) diagtest.ConnectAnswer {
			if connects.Add(1)%3 == 0 {
				return answer
			}
			return diagtest.ConnectAnswer{}
		}})
	}
	// The trials of versions would take turns with the series.
	plan := func(symptom string) diag.PlanInput {
		return diag.PlanInput{Symptom: symptom, TimeoutS: seconds(2), Exclude: []string{"mqtt.versions", "net.loss", "net.large"}}
	}
	silence, cut := diagtest.ConnectAnswer{Action: diagtest.Silence}, diagtest.ConnectAnswer{Action: diagtest.Cut}
	runScenarios(t, []scenario{
		{name: "silent now and then", peer: one(silence), plan: plan("timeout"), want: "mqtt.no_connack", variant: "now_and_then", readings: []diag.Code{"mqtt.connection_limit"}},
		{name: "cut now and then", peer: one(cut), plan: plan("cannot_connect"), want: "mqtt.closed_without_connack", variant: "now_and_then", readings: []diag.Code{"mqtt.connection_limit"}},
		{name: "no complaint of connections", peer: one(cut), plan: plan("checkup")},
		{name: "always accepted", peer: scripted(diagtest.Script{}), plan: plan("timeout")},
	})
}
