package probe_test

import (
	"slices"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// gridOf is the run's table of publishing and subscribing QoS.
func gridOf(t *testing.T, r diag.Report) *diag.QoSGrid {
	t.Helper()
	for _, s := range r.Steps {
		if g, ok := s.Observation.(*diag.QoSGrid); ok {
			return g
		}
	}
	t.Error("the run has no table of QoS")
	return &diag.QoSGrid{}
}

// wholeGrid demands that every cell up to a QoS arrived once with the lower QoS of both.
func wholeGrid(upTo byte) func(*testing.T, diag.Report) {
	return func(t *testing.T, r diag.Report) {
		for _, c := range gridOf(t, r).Cells {
			if c.Publish > upTo || c.Subscribe > upTo {
				continue
			}
			if c.Delivered != int(min(c.Publish, c.Subscribe)) || c.Copies != 1 {
				t.Errorf("published %d, subscribed %d: arrived with %d, %d times", c.Publish, c.Subscribe, c.Delivered, c.Copies)
			}
		}
	}
}

func TestQoSGrid(t *testing.T) {
	t.Parallel()
	lost := diag.PlanInput{Symptom: "lost"}
	one := byte(1)
	two := withQoS(diag.TargetInput{}, 2)
	// What the echo to ourselves cannot show: it went to one client alone.
	between := diagtest.PublishAnswer{DeliverQoS: new(byte)}
	lowers := scripted(diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
		if m.Topic == "mqttdoctor/scenario/qos/1" {
			return between
		}
		return diagtest.PublishAnswer{}
	}})
	runScenarios(t, slices.Concat(
		inVersions(scenario{name: "whole", peer: scripted(diagtest.Script{}), plan: lost, check: wholeGrid(2)}, everyVersion...),
		inVersions(scenario{name: "maximum 1 of 1", peer: scripted(diagtest.Script{MaxQoS: &one}), plan: lost, check: wholeGrid(1)}, everyVersion...),
		inVersions(scenario{name: "lowered between two", peer: lowers, in: two, plan: lost, want: "msg.qos_downgraded", variant: "between", attention: true}, everyVersion...),
	))
}

// Between two clients nothing is lost, doubled or lowered on a healthy broker, and no run that looks for it alarms.
func TestTrafficOnHealthyBrokers(t *testing.T) {
	t.Parallel()
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			broker := make.Start(t)
			in := diag.TargetInput{URL: broker.MQTT, Username: broker.Username, Password: diag.NewSecret(broker.Password)}
			for _, symptom := range []string{"lost", "duplicate", "slow", "not_receiving"} {
				report := diagnose(t, in, diag.PlanInput{Symptom: symptom}, nil)
				if report.Verdict != diag.OverallHealthy || report.RootCause != nil {
					t.Errorf("%s: %s, found %+v", symptom, report.Verdict, report.Findings)
				}
				wholeGrid(1)(t, report)
				if t.Failed() || testing.Verbose() {
					t.Log(describe(report))
				}
			}
		})
	}
}

// burstsOf lists the bursts that one check measured.
func burstsOf(t *testing.T, r diag.Report, check diag.ProbeID) []*diag.BurstRun {
	t.Helper()
	var out []*diag.BurstRun
	for _, s := range r.Steps {
		if b, ok := s.Observation.(*diag.BurstRun); ok && s.Check == check {
			out = append(out, b)
		}
	}
	if len(out) == 0 {
		t.Errorf("%s measured nothing", check)
	}
	return out
}

func wholeBurst(t *testing.T, r diag.Report) {
	t.Helper()
	for _, b := range burstsOf(t, r, "msg.burst") {
		if !b.Whole() || b.Doubled > 0 || b.Reordered > 0 || b.Ours > 0 {
			t.Errorf("a burst at QoS %d: %+v", b.QoS, b)
		}
	}
}

// Bursts of every QoS pass whole on every make of broker.
func TestBurstOnHealthyBrokers(t *testing.T) {
	t.Parallel()
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			broker := make.Start(t)
			for _, version := range broker.Versions {
				in := diag.TargetInput{URL: broker.MQTT, Username: broker.Username, Password: diag.NewSecret(broker.Password), Protocol: version}
				for qos := range 3 {
					plan := diag.PlanInput{Symptom: "lost", Burst: &diag.BurstInput{QoS: &qos}}
					report := diagnose(t, in, plan, nil)
					if report.Verdict != diag.OverallHealthy || report.RootCause != nil {
						t.Errorf("%s QoS %d: %s, found %+v", version, qos, report.Verdict, report.Findings)
					}
					wholeBurst(t, report)
					if b := burstsOf(t, report, "msg.burst"); len(b) > 0 {
						t.Logf("%s QoS %d: p50 %v p99 %v max %v, %s/s, window %d", version, qos, b[0].P50, b[0].P99, b[0].Max, diag.FormatRate(b[0].PerSecond()), b[0].Window)
					}
				}
			}
		})
	}
}

// A deep run bursts with every QoS; nothing of it alarms on a healthy broker, over the simplest and the longest way.
func TestDeepTrafficOnHealthyBrokers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("deep runs of every transport")
	}
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			broker := make.Start(t)
			for _, url := range slices.DeleteFunc([]string{broker.MQTT, broker.WSS}, func(u string) bool { return u == "" }) {
				report := diagnose(t, diag.TargetInput{URL: url, Username: broker.Username, Password: diag.NewSecret(broker.Password),
					TLS: diag.TLSInput{CAPEM: broker.CAPEM}}, diag.PlanInput{Depth: "deep"}, nil)
				for _, f := range report.Findings {
					if f.Layer == diag.LayerMsg && f.Severity != diag.SeverityInfo {
						t.Errorf("%s: concludes %s", url, f.Code)
					}
				}
				wholeBurst(t, report)
				if n := len(burstsOf(t, report, "msg.burst")); n != 3 {
					t.Errorf("%s: %d bursts", url, n)
				}
			}
		})
	}
}
