package probe_test

import (
	"net/url"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// A listener on 127.0.0.1 alone is how most programs are set up: that "localhost" means ::1 too is no fault.
func TestLocalhostWithAnIPv4ListenerIsHealthy(t *testing.T) {
	u, err := url.Parse(diagtest.Mochi(t, diagtest.MochiOptions{}).MQTT)
	if err != nil {
		t.Fatal(err)
	}
	report := diagnose(t, diag.TargetInput{URL: "mqtt://localhost:" + u.Port()}, diag.PlanInput{}, nil)
	if report.Verdict != diag.OverallHealthy || len(report.Findings) > 0 {
		t.Fatalf("%s: %+v", report.Verdict, report.Findings)
	}
}
