package diag

import "testing"

// TestAClientThatMayOnlyReadIsHealthy: what was named was granted, and nothing more can be seen from here.
func TestAClientThatMayOnlyReadIsHealthy(t *testing.T) {
	accepted := Step{Status: StatusPassed, Layer: LayerMQTT, Observation: &MQTTConnect{Outcome: OutcomeOK}}
	sub := func(code int, scratch bool) Step {
		return Step{Status: StatusPassed, Layer: LayerMsg, Observation: &Subscription{Outcome: OutcomeOK, Code: code, Scratch: scratch}}
	}
	scratch := Step{Status: StatusWarned, Layer: LayerMsg, Observation: &Delivery{Scratch: true, Published: OutcomeOK, Expected: true}}
	pub := func(qos byte, expected bool) Step {
		return Step{Status: StatusPassed, Layer: LayerMsg, Observation: &Delivery{Published: OutcomeOK, QoS: qos, Expected: expected}}
	}
	for _, tt := range []struct {
		name  string
		steps []Step
		want  Overall
	}{
		{"reads", []Step{accepted, sub(1, false), sub(1, true), scratch}, OverallHealthy},
		{"writes", []Step{accepted, pub(1, false), scratch}, OverallHealthy},
		{"writes at QoS 0, of which nobody hears", []Step{accepted, pub(0, false), scratch}, OverallInconclusive},
		{"awaits what does not come", []Step{accepted, sub(1, false), pub(1, true), scratch}, OverallInconclusive},
		{"one of two is refused", []Step{accepted, sub(1, false), sub(0x80, false), scratch}, OverallInconclusive},
		{"named nothing", []Step{accepted, sub(1, true), scratch}, OverallInconclusive},
	} {
		if got := Conclude(NewView(Target{}, PlanOptions{}, tt.steps), nil).Verdict; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
