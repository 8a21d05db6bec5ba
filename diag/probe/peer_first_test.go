package probe

import (
	"slices"
	"testing"
	"time"

	"mqttdoctor/diag"
)

// What is tried first, and how long after the answer was due.
func TestFirstTries(t *testing.T) {
	for _, tt := range []struct {
		url   string
		rtt   time.Duration
		first []diag.Scheme
		slack time.Duration
	}{
		{"mqtt://broker.example.com", time.Millisecond, nil, hedgeSlack},
		{"mqtt://broker.example.com", 90 * time.Millisecond, []diag.Scheme{diag.SchemeWS}, 30 * time.Millisecond},
		{"mqtts://broker.example.com", 90 * time.Millisecond, []diag.Scheme{diag.SchemeWS}, 30 * time.Millisecond},
		{"mqtt://broker.example.com", 3 * time.Second, []diag.Scheme{diag.SchemeWS}, hedgeSlack},
		{"ws://broker.example.com:9001/mqtt", 90 * time.Millisecond, nil, hedgeSlack},
		{"mqtt://broker.example.com:9001", time.Millisecond, []diag.Scheme{diag.SchemeWS}, -time.Minute},
		{"mqtt://broker.example.com:8883", time.Millisecond, []diag.Scheme{diag.SchemeMQTTS}, -time.Minute},
		{"ws://broker.example.com:443/mqtt", time.Millisecond, []diag.Scheme{diag.SchemeWSS, diag.SchemeMQTTS}, -time.Minute},
		{"mqtts://broker.example.com:443", time.Millisecond, nil, hedgeSlack},
	} {
		target, err := diag.ParseTarget(diag.TargetInput{URL: tt.url})
		if err != nil {
			t.Fatal(err)
		}
		v := diag.NewView(target, diag.PlanOptions{}, []diag.Step{{Check: checkTCP, Subject: "192.0.2.1:1", Status: diag.StatusPassed,
			Observation: &diag.TCPConnect{Address: "192.0.2.1:1", Outcome: diag.OutcomeOK, RTT: tt.rtt}}})
		if first, slack := firstTries(v); !slices.Equal(first, tt.first) || slack != tt.slack {
			t.Errorf("%s, %v away: %v after %v, want %v after %v", tt.url, tt.rtt, first, slack, tt.first, tt.slack)
		}
	}
}
