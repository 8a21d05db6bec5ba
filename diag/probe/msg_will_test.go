package probe_test

import (
	"slices"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

func willOf(t *testing.T, r diag.Report) *diag.WillWatch {
	t.Helper()
	for _, s := range r.Steps {
		if o, ok := s.Observation.(*diag.WillWatch); ok {
			return o
		}
	}
	t.Fatal("no will was looked at")
	return nil
}

func TestWills(t *testing.T) {
	t.Parallel()
	swallow := diagtest.Script{OnWill: func(diagtest.Connect, bool) bool { return false }}
	unnoticed := diagtest.Script{OnWill: func(_ diagtest.Connect, cut bool) bool { return !cut }}
	denied := diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
		if strings.HasSuffix(m.Topic, "/will") {
			return diagtest.PublishAnswer{Action: diagtest.Drop}
		}
		return diagtest.PublishAnswer{}
	}, OnWill: swallow.OnWill}
	plan := diag.PlanInput{Symptom: "drops", Exclude: []string{"mqtt.watch"}}
	var all []scenario
	for _, version := range []string{"3.1", "3.1.1", "5"} {
		in := diag.TargetInput{Protocol: version}
		all = append(all,
			scenario{name: "delivered " + version, peer: scripted(diagtest.Script{}), in: in, plan: plan},
			scenario{name: "swallowed " + version, peer: scripted(swallow), in: in, plan: plan, want: "msg.will_not_delivered", attention: true},
			scenario{name: "topic denied " + version, peer: scripted(denied), in: in, plan: plan, check: func(t *testing.T, r diag.Report) {
				if o := willOf(t, r); o.Stage != diag.StageLive {
					t.Errorf("stopped at %s", o.Stage)
				}
			}})
	}
	all = append(all, scenario{name: "unnoticed", peer: scripted(unnoticed), in: diag.TargetInput{Protocol: "5"}, plan: plan,
		want: "msg.will_not_delivered", variant: "unnoticed", attention: true})
	runScenarios(t, all)
}

func TestWillsOfRealBrokers(t *testing.T) {
	t.Parallel()
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			broker := make.Start(t)
			for _, version := range broker.Versions {
				report := diagnose(t, diag.TargetInput{URL: broker.MQTT, Protocol: version, Username: broker.Username, Password: diag.NewSecret(broker.Password)},
					diag.PlanInput{Depth: "deep", Exclude: []string{"msg.pair", "msg.size", "msg.retained", "mqtt.watch", "msg.session"}}, nil)
				if i := slices.IndexFunc(report.Findings, func(f diag.Finding) bool { return f.Severity != diag.SeverityInfo }); i >= 0 {
					t.Errorf("MQTT %s: concludes %s", version, report.Findings[i].Code)
				}
				o := willOf(t, report)
				if o.Stage != diag.StageDone || version == "5" && len(o.Tries) != 3 {
					t.Errorf("MQTT %s: stopped at %s, after %d tries", version, o.Stage, len(o.Tries))
				}
				for _, try := range o.Tries {
					if !try.Arrived || try.Late() || try.Retained {
						t.Errorf("MQTT %s: %+v", version, try)
					}
					if try.DelayS > 0 && try.Took.Seconds() < float64(try.DelayS)/2 {
						t.Logf("MQTT %s: the delay is not kept: %v", version, try.Took)
					}
				}
			}
		})
	}
}
