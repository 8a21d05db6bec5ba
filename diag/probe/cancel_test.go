package probe_test

import (
	"context"
	"net"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

// diagnoseUntil is diagnose with a user who cancels the run as soon as something has come from reached.
func diagnoseUntil(t *testing.T, reached <-chan struct{}, in diag.TargetInput, pin diag.PlanInput) diag.Report {
	t.Helper()
	target, err := diag.ParseTarget(in)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := diag.ParsePlan(pin, probe.IDs())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		select {
		case <-reached:
		case <-time.After(30 * time.Second):
			t.Error("the run did not come to what was to be canceled")
		case <-ctx.Done():
		}
	}()
	var dialer net.Dialer
	env := diag.Env{Dial: dialer.DialContext, RunID: "scenario"}
	report := (&diag.Runner{Rules: rule.All}).Run(ctx, diag.MakePlan(target, opts, probe.StandIns()), env, diag.Report{ID: "scenario"}, func(diag.Event) {})
	cancel()
	return report
}
