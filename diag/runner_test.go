package diag

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func runPlan(t *testing.T, ctx context.Context, probes []Probe, rules []Rule) (Report, []Event) {
	t.Helper()
	target, err := ParseTarget(TargetInput{URL: "mqtt://broker.test"})
	if err != nil {
		t.Fatal(err)
	}
	opts, err := ParsePlan(PlanInput{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := MakePlan(target, opts, probes)
	var events []Event
	env := Env{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network here") }}
	report := (&Runner{Rules: rules}).Run(ctx, plan, env, Report{ID: "x"}, func(e Event) { events = append(events, e) })
	for i, e := range events {
		if e.Seq != i+1 {
			t.Fatalf("event %d has number %d", i, e.Seq)
		}
	}
	return report, events
}

func statusOf(r Report, id string) Status {
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.ID == id })
	if i < 0 {
		return ""
	}
	return r.Steps[i].Status
}

func pass(ctx context.Context, _ *Env, _ Subject) Result { return Passed(nil, N("step.ok")) }

func TestRunnerStartsChecksWhenTheirNeedsHaveEnded(t *testing.T) {
	var order []string
	note := func(id string) func(context.Context, *Env, Subject) Result {
		return func(context.Context, *Env, Subject) Result {
			order = append(order, id)
			return Passed(nil, N("step.ok"))
		}
	}
	report, _ := runPlan(t, t.Context(), []Probe{
		{ID: "c", Depth: DepthQuick, Needs: []ProbeID{"b", "absent"}, Run: note("c")},
		{ID: "b", Depth: DepthQuick, Needs: []ProbeID{"a"}, Run: note("b")},
		{ID: "a", Depth: DepthQuick, Run: note("a")},
	}, nil)
	if !slices.Equal(order, []string{"a", "b", "c"}) || report.State != StateFinished {
		t.Fatalf("ran %v, state %s", order, report.State)
	}
}

func TestRunnerSkipsWithAReason(t *testing.T) {
	report, _ := runPlan(t, t.Context(), []Probe{
		{ID: "a", Depth: DepthQuick, Run: func(context.Context, *Env, Subject) Result {
			return Failed(nil, N("step.no"), &Failure{Op: "a", Code: "refused"})
		}},
		{ID: "b", Depth: DepthQuick, Needs: []ProbeID{"a"}, Run: pass, Ready: func(v *View) Decision {
			if v.Failed("a") {
				return Skip(N("skip.test"))
			}
			return Run()
		}},
		{ID: "c", Depth: DepthQuick, Run: pass, Ready: func(*View) Decision { return Wait() }},
		{ID: "d", Depth: DepthQuick, Run: pass, Subjects: func(*View) []Subject { return nil }},
	}, nil)
	for id, want := range map[string]string{"b": "skip.test", "c": "skip.nothing_left", "d": "skip.no_subject"} {
		i := slices.IndexFunc(report.Steps, func(s Step) bool { return s.ID == id })
		if i < 0 || report.Steps[i].Status != StatusSkipped || report.Steps[i].SkippedBecause.Key != want {
			t.Errorf("%s: %+v, want skipped because of %s", id, report.Steps, want)
		}
	}
}

func TestRunnerAsksAgainWhenATimeHasCome(t *testing.T) {
	begun := time.Now()
	report, _ := runPlan(t, t.Context(), []Probe{{ID: "a", Depth: DepthQuick, Run: pass, Ready: func(v *View) Decision {
		if at := begun.Add(30 * time.Millisecond); v.Now.Before(at) {
			return WaitUntil(at)
		}
		return Run()
	}}}, nil)
	if statusOf(report, "a") != StatusPassed || time.Since(begun) < 30*time.Millisecond {
		t.Fatalf("%+v", report.Steps)
	}
}

func TestRunnerTurnsAPanicIntoAFailedStep(t *testing.T) {
	report, _ := runPlan(t, t.Context(), []Probe{
		{ID: "a", Depth: DepthQuick, Run: func(context.Context, *Env, Subject) Result { panic("defect") }},
		{ID: "b", Depth: DepthQuick, Run: pass},
	}, nil)
	if statusOf(report, "a") != StatusFailed || statusOf(report, "b") != StatusPassed {
		t.Fatalf("%+v", report.Steps)
	}
}

func TestCanceledRunKeepsWhatItKnew(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	report, events := runPlan(t, ctx, []Probe{
		{ID: "a", Depth: DepthQuick, Run: pass},
		{ID: "b", Depth: DepthQuick, Needs: []ProbeID{"a"}, Run: func(ctx context.Context, _ *Env, _ Subject) Result {
			cancel(ErrInterrupted)
			<-ctx.Done()
			return Failed(nil, N("step.no"), &Failure{Op: "b", Code: "canceled"})
		}},
		{ID: "c", Depth: DepthQuick, Needs: []ProbeID{"b"}, Run: pass},
	}, nil)
	if report.State != StateInterrupted || statusOf(report, "a") != StatusPassed ||
		statusOf(report, "b") != StatusCanceled || statusOf(report, "c") != StatusSkipped {
		t.Fatalf("%s %+v", report.State, report.Steps)
	}
	if report.Verdict != OverallInconclusive {
		t.Errorf("verdict %s of a run that was cut off", report.Verdict)
	}
	if last := events[len(events)-1]; last.Type != EventRunFinished {
		t.Errorf("last event is %s", last.Type)
	}
}

func TestRunOutOfTimeIsNotHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		report, _ := runPlan(t, t.Context(), []Probe{
			{ID: "a", Depth: DepthQuick, Run: func(context.Context, *Env, Subject) Result {
				return Passed(&MQTTConnect{Outcome: OutcomeOK}, N("step.ok"))
			}},
			{ID: "b", Depth: DepthQuick, Budget: time.Hour, Run: func(ctx context.Context, _ *Env, _ Subject) Result {
				<-ctx.Done()
				return Failed(nil, N("step.no"), &Failure{Op: "b", Code: "canceled"})
			}},
			{ID: "c", Depth: DepthQuick, Needs: []ProbeID{"b"}, Run: pass},
		}, nil)
		i := slices.IndexFunc(report.Steps, func(s Step) bool { return s.ID == "c" })
		if report.State != StateFinished || report.Verdict != OverallInconclusive || i < 0 || report.Steps[i].SkippedBecause == nil || report.Steps[i].SkippedBecause.Key != "skip.out_of_time" {
			t.Fatalf("%s, %s: %+v", report.State, report.Verdict, report.Steps)
		}
	})
}

func TestConcludeHidesAndBlames(t *testing.T) {
	yes := func(*View) Verdict { return Holds(Finding{}) }
	rules := []Rule{
		{Code: "tcp.general", Severity: SeverityCritical, When: yes},
		{Code: "tls.specific", Severity: SeverityCritical, When: yes, Hides: []Code{"tcp.general"},
			Causes: []Code{"mqtt.follows"}, LookAlikes: []Code{"ws.other"}},
		{Code: "ws.other", Severity: SeverityCritical, When: func(*View) Verdict { return Excluded(N("because.test")) }},
		{Code: "mqtt.follows", Severity: SeverityCritical, When: yes},
	}
	c := Conclude(NewView(Target{}, PlanOptions{}, nil), rules)
	if c.RootCause == nil || c.RootCause.Code != "tls.specific" || len(c.Findings) != 2 {
		t.Fatalf("%+v", c)
	}
	if c.Findings[1].CausedBy != "tls.specific" {
		t.Errorf("%+v", c.Findings[1])
	}
	if len(c.RuledOut) != 1 || c.RuledOut[0].Because.Key != "because.test" {
		t.Errorf("%+v", c.RuledOut)
	}
	if c.Verdict != OverallBroken {
		t.Error(c.Verdict)
	}
}

func TestSilentRulesAreNotHealth(t *testing.T) {
	if c := Conclude(NewView(Target{}, PlanOptions{}, nil), nil); c.Verdict != OverallInconclusive {
		t.Fatal(c.Verdict)
	}
}

func TestFollowingCheckDoesNotWaitForSiblings(t *testing.T) {
	release := make(chan struct{})
	report, _ := runPlan(t, t.Context(), []Probe{
		{ID: "a", Depth: DepthQuick,
			Subjects: func(*View) []Subject { return []Subject{{Name: "slow"}, {Name: "fast"}, {Name: "bad"}} },
			Run: func(_ context.Context, _ *Env, s Subject) Result {
				switch s.Name {
				case "slow":
					<-release
				case "bad":
					return Failed(nil, N("step.no"), &Failure{Op: "a", Code: "refused"})
				}
				return Passed(nil, N("step.ok"))
			}},
		{ID: "b", Depth: DepthQuick, Follows: []ProbeID{"absent", "a"},
			Each: func(_ *View, before Step) Decision {
				if before.Status != StatusPassed {
					return Skip(N("skip.test"))
				}
				return Run()
			},
			Run: func(_ context.Context, _ *Env, s Subject) Result {
				if s.Name == "fast" {
					close(release) // would never happen if b waited for all of a
				}
				return Passed(nil, N("step.ok"))
			}},
		{ID: "c", Depth: DepthQuick, Needs: []ProbeID{"b"}, Run: pass},
	}, nil)
	for id, want := range map[string]Status{"b@slow": StatusPassed, "b@fast": StatusPassed, "b@bad": StatusSkipped, "c": StatusPassed} {
		if got := statusOf(report, id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func TestRunnerEndsWhatHasBecomeMoot(t *testing.T) {
	report, _ := runPlan(t, t.Context(), []Probe{
		{ID: "a", Depth: DepthQuick,
			Subjects: func(*View) []Subject { return []Subject{{Name: "slow"}, {Name: "quick"}} },
			Moot:     func(v *View) bool { return v.Passed("a") },
			Run: func(ctx context.Context, _ *Env, s Subject) Result {
				if s.Name == "quick" {
					return Passed(nil, N("step.ok"))
				}
				<-ctx.Done()
				return Failed(nil, N("step.no"), &Failure{Op: "a", Code: "canceled"})
			}},
		{ID: "b", Depth: DepthQuick, Needs: []ProbeID{"a"}, Run: pass},
	}, nil)
	if statusOf(report, "a@slow") != StatusSkipped || statusOf(report, "b") != StatusPassed {
		t.Fatalf("%+v", report.Steps)
	}
}
