package probe_test

import (
	"context"
	"net"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

// A run that is canceled in the middle of a burst ends at once, calls nothing lost, and leaves no client behind.
func TestCanceledBurst(t *testing.T) {
	t.Parallel()
	for _, check := range []diag.ProbeID{"msg.pair", "msg.burst", "msg.burst_again", "msg.burst_paced"} {
		t.Run(string(check), func(t *testing.T) {
			t.Parallel()
			peer := diagtest.ScriptedBroker(t, diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
				_, number, ok := numbered(m)
				switch {
				case check == "msg.burst" && ok:
					return diagtest.PublishAnswer{Pause: 50 * time.Millisecond}
				case check == "msg.pair" && m.Topic == "mqttdoctor/scenario/pair":
					return diagtest.PublishAnswer{After: 2 * time.Second}
				case ok && number%2 == 1:
					return drop
				}
				return diagtest.PublishAnswer{}
			}})
			target, err := diag.ParseTarget(diag.TargetInput{URL: peer.Target()})
			if err != nil {
				t.Fatal(err)
			}
			opts, err := diag.ParsePlan(diag.PlanInput{Symptom: "lost", TimeoutS: seconds(1)}, probe.IDs())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			canceled := make(chan time.Time, 1)
			var dialer net.Dialer
			report := (&diag.Runner{Rules: rule.All}).Run(ctx, diag.MakePlan(target, opts, probe.All), diag.Env{Dial: dialer.DialContext, RunID: "scenario"}, diag.Report{},
				func(e diag.Event) {
					if e.Type == diag.EventStepStarted && e.Step.Check == check {
						time.AfterFunc(300*time.Millisecond, func() {
							canceled <- time.Now()
							cancel(diag.ErrCanceled)
						})
					}
				})
			if report.State != diag.StateCanceled {
				t.Fatalf("the run is %s:\n%s", report.State, describe(report))
			}
			if took := time.Since(<-canceled); took > busy {
				t.Errorf("it went on for %v after it was canceled", took)
			}
			for _, f := range report.Findings {
				if f.Layer == diag.LayerMsg && f.Severity != diag.SeverityInfo && check != "msg.burst_again" && check != "msg.burst_paced" {
					t.Errorf("it concludes %s", f.Code)
				}
			}
			// A peer that is slow by intent reads all that it was sent before it sees the end.
			for wait := time.Now().Add(time.Minute); len(peer.Clients()) > 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(wait) {
					t.Fatalf("left behind: %v", peer.Clients())
				}
			}
			if len(peer.Retained()) > 0 {
				t.Errorf("retained: %v", peer.Retained())
			}
		})
	}
}
