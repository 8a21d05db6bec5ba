package diagtest

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mqttdoctor/diag"
)

// ReplayOrders runs a recorded run again in n orders of its steps' ends, on a clock of its own: the same plan and the same
// scheduling, each step with its recorded result after a time that the seed draws. It fails the test where a finding that was
// told is taken back, or told anew with what contradicts it, in any of the orders. What the record lacks, because there it was
// skipped, ends last.
func ReplayOrders(t *testing.T, plan diag.Plan, recorded diag.Report, rules []diag.Rule, seed uint64, n int) {
	t.Helper()
	if recorded.State != diag.StateFinished || t.Failed() {
		return
	}
	for i := range n {
		r := replay{plan: plan, recorded: recorded, rules: rules, seed: seed + uint64(i)}
		synctest.Test(t, func(t *testing.T) { r.run(t.Context()) })
		for _, problem := range r.problems() {
			t.Errorf("in another order of the same steps (seed %d) %s\n%s", r.seed, problem, r.order())
		}
	}
}

type replay struct {
	plan     diag.Plan
	recorded diag.Report
	rules    []diag.Rule
	seed     uint64

	events []diag.Event
}

// The steps of a replay take between shortest and longest. What the record lacks ends after unknown, when the others have ended.
const (
	shortest = time.Millisecond
	longest  = 1500 * time.Millisecond
	unknown  = 3 * time.Second
)

func (r *replay) run(ctx context.Context) {
	plan := r.plan
	plan.Checks = slices.Clone(plan.Checks)
	steps := map[string]diag.Step{}
	var begun time.Time
	for _, s := range r.recorded.Steps {
		steps[s.ID] = s
		if begun.IsZero() || s.StartedAt.Before(begun) {
			begun = s.StartedAt
		}
	}
	for i := range plan.Checks {
		check := &plan.Checks[i]
		check.Budget = time.Hour
		check.Run = func(ctx context.Context, _ *diag.Env, subject diag.Subject) diag.Result {
			id := string(check.ID)
			if subject.Name != "" {
				id += "@" + subject.Name
			}
			step, known := steps[id]
			known = known && step.Status != diag.StatusCanceled && (step.Status != diag.StatusSkipped || step.Duration > 0)
			took := unknown
			if known {
				took = r.took(step)
			}
			select {
			case <-time.After(took):
			case <-ctx.Done():
				return diag.Skipped(diag.N("skip.canceled"))
			}
			if !known {
				return diag.Skipped(diag.N("skip.canceled"))
			}
			result := diag.Result{Status: step.Status, Summary: step.Summary, Observation: step.Observation, Failure: step.Failure}
			if step.SkippedBecause != nil {
				result.Skipped = *step.SkippedBecause
			}
			return result
		}
	}
	zero := time.Now()
	env := diag.Env{RunID: "replay", Now: func() time.Time { return begun.Add(time.Since(zero)) }}
	(&diag.Runner{Rules: r.rules}).Run(ctx, plan, env, diag.Report{ID: r.recorded.ID}, func(e diag.Event) { r.events = append(r.events, e) })
}

// took draws how long a step takes: for every seed anew, some checks are slow as a whole, and some of their steps.
func (r *replay) took(s diag.Step) time.Duration {
	port := fmt.Sprintf(":%d", r.plan.Target.Port) // of a listener that is another in each run of the tests
	share := (r.draw(string(s.Check)) + r.draw(strings.ReplaceAll(s.ID, port, ""))) / 2
	return time.Duration(float64(shortest) * math.Pow(float64(longest)/float64(shortest), share))
}

// draw is a number from 0 to 1 for a name.
func (r *replay) draw(name string) float64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", r.seed, name, r.seed)
	x := h.Sum64()
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	x ^= x >> 29
	return float64(x>>11) / (1 << 53)
}

// order is the replay's story, for whom a test fails.
func (r *replay) order() string {
	var b strings.Builder
	for _, e := range r.events {
		switch e.Type {
		case diag.EventStepFinished:
			fmt.Fprintf(&b, "  %s %s\n", e.Step.ID, e.Step.Status)
		case diag.EventFinding:
			f := *e.Finding
			f.Evidence = nil
			fmt.Fprintf(&b, "  %s %s\n", map[bool]string{false: "TOLD", true: "TAKEN BACK"}[e.Withdrawn], asJSON(f))
		}
	}
	return b.String()
}

// problems are what was told and did not stay.
func (r *replay) problems() []string {
	var out []string
	told, gone := map[diag.Code]diag.Finding{}, map[diag.Code]diag.Finding{}
	var root diag.Finding
	for i, e := range r.events {
		if e.Type == diag.EventStepFinished && e.Step.SkippedBecause != nil && e.Step.SkippedBecause.Key == "skip.out_of_time" {
			return nil // the draw took too long for this plan: it tells nothing
		}
		if e.Type == diag.EventFinding {
			f := *e.Finding
			old, before := told[f.Code]
			switch {
			case e.Withdrawn:
				delete(told, f.Code)
				gone[f.Code] = f
			default:
				told[f.Code] = f
				if problem := contradicts(old, f); before && problem != "" {
					out = append(out, fmt.Sprintf("%s is told anew with another %s", f.Code, problem))
				}
			}
		}
		if i+1 < len(r.events) && r.events[i+1].Type == diag.EventFinding {
			continue // of the same conclusion
		}
		for _, f := range gone {
			if !slices.ContainsFunc(r.successors(f), func(code diag.Code) bool { _, ok := told[code]; return ok }) {
				out = append(out, fmt.Sprintf("%s is taken back, with %v told", f.Code, slices.Sorted(maps.Keys(told))))
			}
		}
		clear(gone)
		now := r.root(told)
		if _, there := told[root.Code]; there && now.Code != root.Code && !slices.Contains(r.successors(root), now.Code) {
			out = append(out, fmt.Sprintf("the root cause was %s, and is %s", root.Code, now.Code))
		}
		root = diag.Finding{}
		if now.Confidence == diag.Certain && now.Severity == diag.SeverityCritical {
			root = now
		}
	}
	return out
}

// successors are the causes that may take the place of a finding: those that its rule names, and those that it named itself while it
// was in doubt.
func (r *replay) successors(f diag.Finding) []diag.Code {
	i := slices.IndexFunc(r.rules, func(rule diag.Rule) bool { return rule.Code == f.Code })
	if f.Confidence == diag.Certain {
		return r.rules[i].OverturnedBy
	}
	return slices.Concat(r.rules[i].OverturnedBy, f.Readings)
}

// root is the root cause of what is told: the first critical one that has no cause of its own, else the first warning.
func (r *replay) root(told map[diag.Code]diag.Finding) diag.Finding {
	for _, severity := range []diag.Severity{diag.SeverityCritical, diag.SeverityWarning} {
		for _, rule := range r.rules {
			if f, ok := told[rule.Code]; ok && f.Severity == severity && f.CausedBy == "" {
				return f
			}
		}
	}
	return diag.Finding{}
}

// ripening are the variants of findings that are told by the first answer, in the order in which further ones make them more telling.
var ripening = map[diag.Code][]string{
	"tls.required": {"handshake", "client_certificate", "websocket", "untrusted", ""},
	"ws.expected":  {"endpoint", "answered", ""},
}

// contradicts tells in what a finding contradicts what was told before of the same cause.
func contradicts(old, f diag.Finding) string {
	stages := ripening[f.Code]
	ripened := slices.Contains(stages, old.Variant) && slices.Index(stages, old.Variant) < slices.Index(stages, f.Variant)
	switch {
	case old.Variant != f.Variant && !ripened:
		return fmt.Sprintf("variant: %q, was %q", f.Variant, old.Variant)
	case old.Suggestion != nil && !reflect.DeepEqual(old.Suggestion, f.Suggestion):
		return fmt.Sprintf("suggestion: %s, was %s", asJSON(f.Suggestion), asJSON(old.Suggestion))
	case old.Confidence == diag.Certain && f.Confidence != diag.Certain:
		return fmt.Sprintf("confidence: %s, was %s", f.Confidence, old.Confidence)
	case old.Severity != f.Severity:
		return fmt.Sprintf("severity: %s, was %s", f.Severity, old.Severity)
	}
	return ""
}

func asJSON(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}
