package probe_test

import (
	"fmt"
	"net"
	"os"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

func show(t *testing.T, in diag.TargetInput, pin diag.PlanInput) diag.Report {
	t.Helper()
	target, err := diag.ParseTarget(in)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := diag.ParsePlan(pin, probe.IDs())
	if err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	plan := diag.MakePlan(target, opts, probe.StandIns())
	r := (&diag.Runner{Rules: rule.All}).Run(t.Context(), plan, diag.Env{Dial: d.DialContext, RunID: "smoke"}, diag.Report{}, func(diag.Event) {})
	for _, s := range r.Steps {
		because := ""
		if s.SkippedBecause != nil {
			because = s.SkippedBecause.Key
		}
		fmt.Printf("%-40s %-8s %8s %s %v %s\n", s.ID, s.Status, s.Duration.Round(10_000), s.Summary.Key, s.Summary.Args, because)
	}
	for _, f := range r.Findings {
		fmt.Printf("  FINDING %s %s %s by=%s %v sug=%+v\n", f.Code, f.Severity, f.Confidence, f.CausedBy, f.Args, f.Suggestion)
	}
	fmt.Println("  VERDICT", r.Verdict, r.Duration, r.Connections)
	return r
}

func TestSmoke(t *testing.T) {
	if os.Getenv("SMOKE") == "" {
		t.Skip()
	}
	for _, b := range diagtest.AllBrokers {
		t.Run(b.Name, func(t *testing.T) {
			br := b.Start(t)
			for _, u := range br.URLs() {
				fmt.Println("==", b.Name, u)
				show(t, diag.TargetInput{URL: u, Username: br.Username, Password: diag.NewSecret(br.Password), TLS: diag.TLSInput{CAPEM: br.CAPEM}}, diag.PlanInput{})
			}
		})
	}
}
