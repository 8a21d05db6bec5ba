package probe_test

import (
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// A healthy broker yields no warning and no critical finding, on any make and transport.
func TestHealthyBrokersAreSilent(t *testing.T) {
	t.Parallel()
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			broker := make.Start(t)
			for _, url := range broker.URLs() {
				for _, topics := range []diag.TopicsInput{{}, {Publish: "plant/1/temperature", Subscribe: []string{"plant/+/temperature"}}} {
					report := diagnose(t, diag.TargetInput{URL: url, Username: broker.Username, Password: diag.NewSecret(broker.Password),
						TLS: diag.TLSInput{CAPEM: broker.CAPEM}, Topics: topics}, diag.PlanInput{}, nil)
					if report.Verdict != diag.OverallHealthy || report.RootCause != nil {
						t.Errorf("%s: %s, found %+v", url, report.Verdict, report.Findings)
					}
				}
			}
		})
	}
}
