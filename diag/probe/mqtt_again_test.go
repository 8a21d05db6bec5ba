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
		{name: "unavailable now and then", peer: one(diagtest.RefuseConnect(3, 0x88)), plan: plan("refused"), want: "mqtt.server_unavailable", variant: "now_and_then", readings: []diag.Code{"mqtt.connection_limit"}},
		{name: "busy now and then", peer: one(diagtest.RefuseConnect(3, 0x89)), plan: plan("cannot_connect"), want: "mqtt.server_busy", variant: "now_and_then", readings: []diag.Code{"mqtt.connection_limit"}},
		{name: "login refused now and then", peer: one(diagtest.RefuseConnect(4, 0x86)), in: diag.TargetInput{Username: "u", Password: diag.NewSecret("p")}, plan: plan("refused"), want: "mqtt.bad_credentials", variant: "now_and_then", readings: []diag.Code{"mqtt.connection_limit"}},
		{name: "no complaint, and one of our own connections cut", peer: one(cut), plan: diag.PlanInput{TimeoutS: seconds(2)}, want: "mqtt.closed_without_connack", variant: "now_and_then", readings: []diag.Code{"mqtt.connection_limit"}},
		{name: "always accepted", peer: scripted(diagtest.Script{}), plan: plan("timeout")},
	})
}
