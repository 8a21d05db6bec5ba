package probe_test

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/patience"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
)

// behind puts a proxy that ends connections before a healthy broker.
func behind(limits diagtest.FlowLimits) func(testing.TB) string {
	return func(t testing.TB) string {
		broker := diagtest.ScriptedBroker(t, diagtest.Script{})
		return diagtest.Flows(t, broker.Addr, limits).URL("mqtt")
	}
}

// watching is a plan with a watch; no test is in a hurry for its other answers.
func watching(length time.Duration) diag.PlanInput {
	return diag.PlanInput{WatchS: new(int(length / time.Second)), TimeoutS: seconds(1)}
}

func watchOf(t *testing.T, r diag.Report) *diag.ConnectionWatch {
	t.Helper()
	for _, s := range r.Steps {
		if o, ok := s.Observation.(*diag.ConnectionWatch); ok {
			return o
		}
	}
	t.Fatal("nothing was watched")
	return nil
}

// idleAfter demands the measured time, and a keep alive below it that was seen to hold.
func idleAfter(after time.Duration) func(*testing.T, diag.Report) {
	return func(t *testing.T, r diag.Report) {
		o := watchOf(t, r)
		l := o.Read().Idle
		if l == nil || (l.After-after).Abs() > 1200*time.Millisecond || l.Safe == 0 || l.Safe >= after {
			t.Errorf("read as %+v", l)
		}
		advice := diag.Advise(r)
		if l != nil && (advice == nil || advice.KeepAliveS != int(l.Safe/time.Second)) {
			t.Errorf("the advice is %+v", advice)
		}
	}
}

func mosquittoAlone(t testing.TB) string {
	return diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}}).MQTT
}

func TestWatch(t *testing.T) {
	t.Parallel()
	keepAlive := func(s int) diag.TargetInput { return diag.TargetInput{KeepaliveS: &s} }
	own := diag.TargetInput{ClientID: "boiler-7"}
	intrusive := watching(8 * time.Second)
	intrusive.Intrusive, intrusive.Exclude = true, []string{"mqtt.limit", "mqtt.hold_id"}
	suggest := func(s string) string { return `{"keepalive_s":` + s + `}` }
	scenarios := []scenario{
		{name: "idle, closed", peer: behind(diagtest.FlowLimits{Idle: 4500 * time.Millisecond}), plan: watching(16 * time.Second), in: keepAlive(60),
			want: "mqtt.idle_disconnect", suggest: "*", check: idleAfter(4500 * time.Millisecond)},
		{name: "idle for two seconds, a complaint of drops", peer: behind(diagtest.FlowLimits{Idle: 2 * time.Second}), in: keepAlive(60),
			plan: diag.PlanInput{Symptom: "drops", WatchS: new(12), TimeoutS: seconds(3)}, want: "mqtt.idle_disconnect"},
		{name: "idle for two seconds, no watch", peer: behind(diagtest.FlowLimits{Idle: 2 * time.Second}), in: keepAlive(60),
			plan: diag.PlanInput{Symptom: "drops", TimeoutS: seconds(3)}, want: "mqtt.idle_disconnect", variant: "soon"},
		{name: "idle for less than a second, a complaint of drops", peer: behind(diagtest.FlowLimits{Idle: 700 * time.Millisecond}), in: keepAlive(60),
			plan: diag.PlanInput{Symptom: "drops", TimeoutS: seconds(3)}, want: "mqtt.idle_disconnect", variant: "at_once"},
		{name: "young age, no watch", peer: behind(diagtest.FlowLimits{Lifetime: 1500 * time.Millisecond}), in: keepAlive(60),
			plan: diag.PlanInput{Symptom: "drops", TimeoutS: seconds(3)}, want: "mqtt.kicked_after_connect"},
		{name: "a keep alive of a second, a complaint of drops", peer: scripted(diagtest.Script{}), in: keepAlive(1),
			plan: diag.PlanInput{Symptom: "drops", TimeoutS: seconds(5)}},
		{name: "a keep alive of a second, a complaint of loss", peer: mosquittoAlone, in: keepAlive(1), plan: lostPlan},
		{name: "idle, reset", peer: behind(diagtest.FlowLimits{Idle: 4500 * time.Millisecond, End: diagtest.FlowRST}), plan: watching(16 * time.Second), in: keepAlive(0),
			want: "mqtt.idle_disconnect", suggest: "*", check: idleAfter(4500 * time.Millisecond)},
		{name: "idle, and nobody answers from then on", peer: behind(diagtest.FlowLimits{Idle: 4500 * time.Millisecond, End: diagtest.FlowForget}), plan: watching(14 * time.Second),
			in: keepAlive(60), want: "mqtt.idle_disconnect", variant: "between"},
		{name: "idle above the keep alive", peer: behind(diagtest.FlowLimits{Idle: 6 * time.Second}), plan: watching(14 * time.Second), in: keepAlive(3)},
		{name: "young age", peer: behind(diagtest.FlowLimits{Lifetime: 4 * time.Second, End: diagtest.FlowRST}), plan: watching(12 * time.Second), want: "mqtt.lifetime_limit"},
		{name: "all at once", peer: behind(diagtest.FlowLimits{Every: 4 * time.Second}), plan: watching(15 * time.Second), want: "mqtt.unstable", variant: "together",
			check: func(t *testing.T, r diag.Report) {
				if r.RootCause == nil { // judged already
					return
				}
				// As it was measured: a busy machine hears of an end late.
				if s, err := strconv.ParseFloat(strings.TrimSuffix(r.RootCause.Args["interval"], " s"), 64); err != nil || s < 3.5 || s > 4.5 {
					t.Errorf("the interval is %q", r.RootCause.Args["interval"])
				}
			}},
		{name: "lasts", peer: scripted(diagtest.Script{}), plan: watching(8 * time.Second), in: own, check: func(t *testing.T, r diag.Report) {
			o := watchOf(t, r)
			if o.DropCount != 0 || len(o.RTT.MS) < 5 || o.Watched != 8*time.Second {
				t.Errorf("watched for %v with %d round trips and %d drops", o.Watched, len(o.RTT.MS), o.DropCount)
			}
		}},
		{name: "another client with the id", peer: rivalled("boiler-7", 1500*time.Millisecond), plan: intrusive, in: own, want: "mqtt.client_id_conflict", variant: "*"},
	}
	if long() {
		scenarios = append(scenarios,
			scenario{name: "idle, and what is suggested", peer: behind(diagtest.FlowLimits{Idle: 8 * time.Second}), plan: watching(30 * time.Second), in: keepAlive(60),
				want: "mqtt.idle_disconnect", suggest: suggest("6")},
			scenario{name: "idle, forgotten", peer: behind(diagtest.FlowLimits{Idle: 12 * time.Second, End: diagtest.FlowForget}), plan: watching(45 * time.Second), in: keepAlive(20),
				want: "mqtt.idle_disconnect", variant: "between", suggest: suggest("10")},
			scenario{name: "age", peer: behind(diagtest.FlowLimits{Lifetime: 11 * time.Second}), plan: watching(30 * time.Second), want: "mqtt.lifetime_limit"},
			scenario{name: "another client with the id, no consent", peer: rivalled("boiler-7", 3*time.Second), plan: watching(12 * time.Second)},
		)
	}
	runScenarios(t, scenarios)
}

// long tells whether tests may take minutes.
func long() bool { return os.Getenv("MQTTDOCTOR_LONG") != "" }

// A healthy broker of any make stays silent over a watch of connections with all rhythms.
func TestWatchOfHealthyBrokers(t *testing.T) {
	t.Parallel()
	for _, make := range diagtest.AllBrokers {
		t.Run(make.Name, func(t *testing.T) {
			t.Parallel()
			broker := make.Start(t)
			for _, u := range broker.URLs() {
				if !strings.HasPrefix(u, "mqtt://") && !(strings.HasPrefix(u, "ws://") && make.Name == "mosquitto") {
					continue
				}
				report := diagnose(t, diag.TargetInput{URL: u, Username: broker.Username, Password: diag.NewSecret(broker.Password), KeepaliveS: new(3)},
					watching(10*time.Second), nil)
				if report.Verdict != diag.OverallHealthy || watchOf(t, report).DropCount > 0 {
					t.Errorf("%s: %s, %+v", u, report.Verdict, watchOf(t, report))
				}
				for _, l := range watchOf(t, report).Lanes {
					if l.Connects != 1 || l.Pause > 0 && l.HeldCount == 0 {
						t.Errorf("%s: a connection was not held: %+v", u, l)
					}
				}
			}
		})
	}
}

// Three minutes before a peer that cuts what is idle for 20 s: the time is told within 2 s, and the recommended keep alive holds.
func TestWatchForThreeMinutes(t *testing.T) {
	if !long() {
		t.Skip("takes minutes: set MQTTDOCTOR_LONG=1")
	}
	t.Parallel()
	for _, end := range []diagtest.FlowEnd{diagtest.FlowFIN, diagtest.FlowRST, diagtest.FlowForget} {
		t.Run([]string{"FIN", "RST", "forgotten"}[end], func(t *testing.T) {
			t.Parallel()
			peer := behind(diagtest.FlowLimits{Idle: 20 * time.Second, End: end})(t)
			report := diagnose(t, diag.TargetInput{URL: peer}, diag.PlanInput{Symptom: "drops", Depth: "deep", WatchS: new(180)}, nil)
			if report.RootCause == nil || report.RootCause.Code != "mqtt.idle_disconnect" || report.RootCause.Suggestion == nil {
				t.Fatalf("concluded %+v", report.RootCause)
			}
			l := watchOf(t, report).Read().Idle
			if exact := (l.After - 20*time.Second).Abs() <= 2*time.Second; end != diagtest.FlowForget && !exact || l.Held > 21*time.Second || l.After < 19*time.Second {
				t.Errorf("the limit is read as %v to %v", l.Held, l.After)
			}
			again := diagnose(t, diag.TargetInput{URL: peer, KeepaliveS: report.RootCause.Suggestion.KeepAlive},
				diag.PlanInput{Symptom: "drops", WatchS: new(60)}, nil)
			if again.Verdict != diag.OverallHealthy {
				t.Errorf("with a keep alive of %d s it still drops: %+v", *report.RootCause.Suggestion.KeepAlive, again.RootCause)
			}
		})
	}
}

// A watch that is canceled concludes from what it has seen until then.
func TestWatchThatIsCanceledConcludes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		peer    func(testing.TB) string
		want    diag.Code
		verdict diag.Overall
	}{
		{"drops", behind(diagtest.FlowLimits{Idle: 3 * time.Second}), "mqtt.idle_disconnect", diag.OverallBroken},
		{"lasts", scripted(diagtest.Script{}), "", diag.OverallInconclusive},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target, err := diag.ParseTarget(diag.TargetInput{URL: tt.peer(t)})
			if err != nil {
				t.Fatal(err)
			}
			opts, err := diag.ParsePlan(diag.PlanInput{Depth: "quick", WatchS: new(8 * 3600)}, probe.IDs())
			if err != nil {
				t.Fatal(err)
			}
			var dialer net.Dialer
			ctx, cancel := context.WithCancelCause(t.Context())
			begun, watching := time.Now(), false
			var canceled time.Time
			enough, stop := patience.WithTimeout(t.Context(), 15*time.Second)
			defer stop()
			context.AfterFunc(enough, func() { canceled = time.Now(); cancel(diag.ErrCanceled) })
			report := (&diag.Runner{Rules: rule.All}).Run(ctx, diag.MakePlan(target, opts, probe.All), diag.Env{Dial: dialer.DialContext, RunID: "x"},
				diag.Report{}, func(e diag.Event) {
					watching = watching || e.Type == diag.EventStepProgress && e.Step.Check == "mqtt.watch" && e.Unit == "seconds" && e.Total == 8*3600 && e.Done > 0
				})
			if took := time.Since(canceled); took > busy {
				t.Errorf("was canceled after %v and took %v to end", canceled.Sub(begun), took)
			}
			found := diag.Code("")
			if report.RootCause != nil {
				found = report.RootCause.Code
			}
			if report.State != diag.StateCanceled || found != tt.want || report.Verdict != tt.verdict || !watching {
				t.Errorf("%s, %s, concluded %q, progress told: %v\n%s", report.State, report.Verdict, found, watching, describe(report))
			}
		})
	}
}
