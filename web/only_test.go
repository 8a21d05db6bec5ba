package web

import (
	"slices"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

// Every check of a standard run can be repeated by itself: it looks again, and nothing that it leaves out becomes an alarm.
func TestEveryCheckCanBeRepeatedAlone(t *testing.T) {
	t.Parallel()
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtts"}})
	e := NewEngine(guard.Policy{Name: guard.Laptop}, "test", nil)
	run := func(t *testing.T, only diag.ProbeID) diag.Report {
		r, err := e.Check(t.Context(), diag.RunInput{Target: diag.TargetInput{URL: b.MQTTS, TLS: diag.TLSInput{CAPEM: b.CAPEM}}, Plan: diag.PlanInput{Only: string(only)}}, func(diag.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	looked := func(r diag.Report) (ids []diag.ProbeID) {
		for _, s := range r.Steps {
			if s.Status != diag.StatusSkipped && !slices.Contains(ids, s.Check) {
				ids = append(ids, s.Check)
			}
		}
		return ids
	}
	whole := run(t, "")
	alarms := func(r diag.Report) (codes []diag.Code) {
		for _, f := range r.Findings {
			if f.Severity != diag.SeverityInfo {
				codes = append(codes, f.Code)
			}
		}
		return codes
	}
	usual := alarms(whole)
	for _, check := range looked(whole) {
		t.Run(string(check), func(t *testing.T) {
			t.Parallel()
			r := run(t, check)
			if !slices.Contains(looked(r), check) {
				t.Errorf("was not done: %v", looked(r))
			}
			for _, code := range alarms(r) {
				if !slices.Contains(usual, code) {
					t.Errorf("alone it finds %s", code)
				}
			}
			if len(r.Checks) >= len(whole.Checks) {
				t.Errorf("all %d checks were done for it", len(r.Checks))
			}
		})
	}
}
