package probe_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

// diagnose runs the whole engine on a target, as the server does but for the guard.
func diagnose(t testing.TB, in diag.TargetInput, plan diag.PlanInput) diag.Report {
	t.Helper()
	target, err := diag.ParseTarget(in)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := diag.ParsePlan(plan, probe.IDs())
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	return (&diag.Runner{Rules: rule.All}).Run(t.Context(), diag.MakePlan(target, opts, probe.StandIns()),
		diag.Env{Dial: dialer.DialContext, RunID: "test"}, diag.Report{}, func(diag.Event) {})
}

func codes(r diag.Report) []diag.Code {
	var out []diag.Code
	for _, f := range r.Findings {
		out = append(out, f.Code)
	}
	return out
}

// steps lists a run for the message of a failing test.
func steps(r diag.Report) string {
	var b strings.Builder
	for _, s := range r.Steps {
		because := ""
		if s.SkippedBecause != nil {
			because = s.SkippedBecause.Key
		}
		fmt.Fprintf(&b, "%-40s %-8s %10s %s %v %s\n", s.ID, s.Status, s.Duration.Round(10*time.Microsecond), s.Summary.Key, s.Summary.Args, because)
	}
	return b.String()
}

// A healthy broker yields no warning and no critical finding, on any make and transport.
func TestHealthyBrokersAreSilent(t *testing.T) {
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			broker := make.Start(t)
			for _, url := range broker.URLs() {
				for _, topics := range []diag.TopicsInput{{}, {Publish: "plant/1/temperature", Subscribe: []string{"plant/+/temperature"}}} {
					report := diagnose(t, diag.TargetInput{URL: url, Username: broker.Username, Password: diag.NewSecret(broker.Password),
						TLS: diag.TLSInput{CAPEM: broker.CAPEM}, Topics: topics}, diag.PlanInput{})
					if report.Verdict != diag.OverallHealthy || report.RootCause != nil {
						t.Errorf("%s: %s, found %v\n%s", url, report.Verdict, codes(report), steps(report))
					}
				}
			}
		})
	}
}
