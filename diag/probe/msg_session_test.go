package probe_test

import (
	"slices"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// keptWish is a client that asks for a kept session.
func keptWish(version string) diag.TargetInput {
	no := false
	return diag.TargetInput{Protocol: version, CleanStart: &no, SessionExpiryS: 3600}
}

func lostWish(version string) (diag.TargetInput, diag.PlanInput) {
	return diag.TargetInput{Protocol: version}, diag.PlanInput{Symptom: "lost"}
}

// keeping is a scripted broker that must not hold a session when the run is over.
func keeping(script diagtest.Script) func(testing.TB) string {
	return func(t testing.TB) string {
		b := diagtest.ScriptedBroker(t, script)
		t.Cleanup(func() {
			if left := b.Kept(); len(left) > 0 {
				t.Errorf("sessions are left: %v", left)
			}
			if left := b.Retained(); len(left) > 0 {
				t.Errorf("retained messages are left: %v", left)
			}
		})
		return b.Target()
	}
}

// keptSession is what a client found on its return.
func keptSession(t *testing.T, r diag.Report) *diag.KeptSession {
	t.Helper()
	for _, s := range r.Steps {
		if o, ok := s.Observation.(*diag.KeptSession); ok {
			return o
		}
	}
	t.Fatal("no kept session was looked at")
	return nil
}

func TestKeptSessions(t *testing.T) {
	t.Parallel()
	qos0 := keptWish("5")
	qos0.Topics.QoS = integer(0)
	none, short := uint32(0), uint32(60)
	kept := &diagtest.KeptScript{}
	forgets := &diagtest.KeptScript{Forget: func(diagtest.Connect, bool) bool { return true }}
	onGoodbye := &diagtest.KeptScript{Forget: func(_ diagtest.Connect, cut bool) bool { return !cut }}
	ended := func(t *testing.T, r diag.Report) {
		if o := keptSession(t, r); !o.Ended {
			t.Error("the session was not ended")
		}
	}
	limit := func(want int) func(*testing.T, diag.Report) {
		return func(t *testing.T, r diag.Report) {
			ended(t, r)
			if got, _, ok := keptSession(t, r).Limit(); !ok || got != want {
				t.Errorf("queue limit %d (%v), want %d", got, ok, want)
			}
		}
	}
	var all []scenario
	for _, version := range []string{"3.1", "3.1.1", "5"} {
		lost, plan := lostWish(version)
		add := func(s scenario) {
			s.name += " " + version
			s.attention = s.want != ""
			all = append(all, s)
		}
		add(scenario{name: "kept", peer: keeping(diagtest.Script{Kept: kept}), in: keptWish(version), check: ended})
		unflagged := scenario{name: "kept, unflagged", peer: keeping(diagtest.Script{Kept: &diagtest.KeptScript{Unflagged: true}}), in: keptWish(version), want: "mqtt.session_not_kept", variant: "unflagged", check: ended}
		if version == "3.1" {
			unflagged.want, unflagged.variant = "", "" // which has no flag
		}
		add(unflagged)
		add(scenario{name: "kept, symptom", peer: keeping(diagtest.Script{Kept: kept}), in: lost, plan: plan, check: ended})
		add(scenario{name: "not kept, not asked", peer: keeping(diagtest.Script{}), in: lost, plan: plan, check: ended})
		add(scenario{name: "forgets", peer: keeping(diagtest.Script{Kept: forgets}), in: keptWish(version), want: "mqtt.session_not_kept", check: ended})
		add(scenario{name: "forgets on goodbye", peer: keeping(diagtest.Script{Kept: onGoodbye}), in: keptWish(version), want: "mqtt.session_not_kept", variant: "disconnect", check: ended})
		add(scenario{name: "keeps no messages", peer: keeping(diagtest.Script{Kept: &diagtest.KeptScript{Limit: -1}}), in: keptWish(version), want: "msg.offline_lost", check: ended})
		add(scenario{name: "first 7", peer: keeping(diagtest.Script{Kept: &diagtest.KeptScript{Limit: 7}}), in: keptWish(version), want: "msg.offline_lost", variant: "first", check: limit(7)})
		add(scenario{name: "last 25", peer: keeping(diagtest.Script{Kept: &diagtest.KeptScript{Limit: 25, Newest: true}}), in: lost, plan: plan, want: "msg.offline_lost", variant: "last", check: limit(25)})
		bare := scenario{name: "without subscriptions", peer: keeping(diagtest.Script{Kept: &diagtest.KeptScript{Bare: true}}), in: keptWish(version), want: "mqtt.session_not_kept", variant: "subscriptions", check: ended}
		if version == "3.1" {
			bare.variant = "" // without the flag it is a session that was not kept
		}
		add(bare)
	}
	all = append(all,
		scenario{name: "expiry 0", peer: keeping(diagtest.Script{Kept: &diagtest.KeptScript{Expiry: &none}}), in: keptWish("5"), want: "mqtt.session_not_kept", variant: "expiry_zero", attention: true},
		scenario{name: "shorter", peer: keeping(diagtest.Script{Kept: &diagtest.KeptScript{Expiry: &short}}), in: keptWish("5"), info: []diag.Code{"mqtt.session_not_kept"}},
		scenario{name: "QoS 0 only", peer: keeping(diagtest.Script{Kept: kept, MaxQoS: new(byte)}), in: qos0, check: func(t *testing.T, r diag.Report) {
			if o := keptSession(t, r); o.Stage != diag.StageSubscribe || len(o.Returns) > 0 {
				t.Errorf("went on to %s", o.Stage)
			}
		}},
		scenario{name: "own topic with consent", peer: keeping(diagtest.Script{Kept: &diagtest.KeptScript{Limit: 5}, OnSubscribe: denyScratch}),
			in:   diag.TargetInput{Protocol: "3.1.1", Topics: diag.TopicsInput{Publish: "plant/1", Subscribe: []string{"plant/+"}}},
			plan: diag.PlanInput{Symptom: "lost", Intrusive: true}, want: "msg.offline_lost", variant: "first", attention: true, check: limit(5)},
	)
	runScenarios(t, all)
}

func denyScratch(_ diagtest.Connect, filter string, qos byte) byte {
	if strings.HasPrefix(filter, "mqttdoctor/") {
		return 0x87
	}
	return qos
}

// Of a broker with its defaults nothing is to be said; mosquitto's queue is named once it is short.
func TestKeptSessionsOfRealBrokers(t *testing.T) {
	t.Parallel()
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			broker := make.Start(t)
			for _, version := range broker.Versions {
				in := keptWish(version)
				in.URL, in.Username, in.Password = broker.MQTT, broker.Username, diag.NewSecret(broker.Password)
				report := diagnose(t, in, diag.PlanInput{Depth: "deep", Exclude: []string{"msg.pair", "msg.size", "msg.retained", "tls.ciphers"}}, nil)
				if i := slices.IndexFunc(report.Findings, func(f diag.Finding) bool { return f.Severity != diag.SeverityInfo }); i >= 0 {
					t.Errorf("MQTT %s: concludes %s", version, report.Findings[i].Code)
				}
				if o := keptSession(t, report); o.Stage != diag.StageDone || !o.Ended {
					t.Errorf("MQTT %s: stopped at %s, ended %v", version, o.Stage, o.Ended)
				}
			}
		})
	}
	for _, version := range []string{"3.1.1", "5"} {
		t.Run("mosquitto_short_"+version, func(t *testing.T) {
			scenario{peer: real("mqtt", func(t testing.TB) *diagtest.Broker {
				return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}, Global: []string{"max_queued_messages 10"}})
			}), in: keptWish(version), want: "msg.offline_lost", variant: "first", attention: true, check: func(t *testing.T, r diag.Report) {
				if got, _, _ := keptSession(t, r).Limit(); got != 10 {
					t.Errorf("queue limit %d", got)
				}
			}}.run(t)
		})
	}
}
