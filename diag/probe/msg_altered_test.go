package probe_test

import (
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/diagtest"
)

// TestAltered: a message that comes back rewritten was routed, and the report says what became of it; one that comes back as it
// was sent is in order.
func TestAltered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		rewrite func([]byte) []byte
		verdict diag.Overall
	}{
		{"wrapped", func(p []byte) []byte { return append(append([]byte(`{"payload":"`), p...), `"}`...) }, diag.OverallInconclusive},
		{"cut off", func(p []byte) []byte { return p[:10] }, diag.OverallInconclusive},
		{"the last byte changed", func(p []byte) []byte { return append(p[:len(p)-1:len(p)-1], '?') }, diag.OverallInconclusive},
		{"as it was", nil, diag.OverallHealthy},
	} {
		for _, version := range []string{"3.1", "3.1.1", "5"} {
			t.Run(tt.name+" "+version, func(t *testing.T) {
				t.Parallel()
				url := scripted(diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
					if tt.rewrite == nil {
						return diagtest.PublishAnswer{}
					}
					return diagtest.PublishAnswer{Payload: tt.rewrite(m.Payload)}
				}})(t)
				in := topics("plant/temp", "plant/#")
				in.URL, in.Protocol = url, version
				r := diagnose(t, in, diag.PlanInput{TimeoutS: seconds(1)}, nil)
				if r.Verdict != tt.verdict || r.RootCause != nil {
					t.Fatalf("verdict %s, root cause %+v", r.Verdict, r.RootCause)
				}
				if said := altered(r); said != (tt.rewrite != nil) {
					t.Errorf("altered said: %t; %s", said, catalogue.Render(r, catalogue.English).Summary)
				}
			})
		}
	}
}

func altered(r diag.Report) bool {
	for _, s := range r.Steps {
		if d, ok := s.Observation.(*diag.Delivery); ok && d.Altered {
			return true
		}
	}
	return false
}
