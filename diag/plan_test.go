package diag

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestParsePlanNamesTheFieldThatIsWrong(t *testing.T) {
	seconds, count := 0.01, 500
	for field, in := range map[string]PlanInput{
		"plan.symptom":     {Symptom: "nonsense"},
		"plan.depth":       {Depth: "abyss"},
		"plan.include":     {Include: []string{"no.such"}},
		"plan.exclude":     {Exclude: []string{"no.such"}},
		"plan.timeout_s":   {TimeoutS: &seconds},
		"plan.watch_s":     {WatchS: new(24*3600 + 1)},
		"plan.resolvers":   {Resolvers: []string{"dns.example.com"}},
		"plan.burst.count": {Burst: &BurstInput{Count: &count}},
	} {
		_, err := ParsePlan(in, []ProbeID{"a"})
		var fields FieldErrors
		if !errors.As(err, &fields) || fields[field].Key == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestParsePlanDefaults(t *testing.T) {
	p, err := ParsePlan(PlanInput{Resolvers: []string{"192.0.2.1", "[2001:db8::1]:5353"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Timeout != 5*time.Second || p.Depth != DepthStandard || p.Symptom != SymptomCheckup ||
		!slices.Equal(p.Resolvers, []string{"192.0.2.1:53", "[2001:db8::1]:5353"}) {
		t.Fatalf("%+v", p)
	}
}

func TestDropsAreWatchedForAWhileUnlessToldOtherwise(t *testing.T) {
	for _, c := range []struct {
		in   PlanInput
		want time.Duration
	}{
		{PlanInput{}, 0},
		{PlanInput{Depth: "deep"}, 0},
		{PlanInput{Symptom: "slow"}, 0},
		{PlanInput{Symptom: "drops", Depth: "quick"}, 0},
		{PlanInput{Symptom: "drops"}, 30 * time.Second},
		{PlanInput{Symptom: "drops", Depth: "deep"}, 3 * time.Minute},
		{PlanInput{Symptom: "drops", WatchS: new(0)}, 0},
		{PlanInput{Symptom: "slow", WatchS: new(24 * 3600)}, 24 * time.Hour},
	} {
		p, err := ParsePlan(c.in, nil)
		if err != nil || p.Watch != c.want {
			t.Errorf("%+v: %v, %v", c.in, p.Watch, err)
		}
		if d, without := (Plan{Options: p}).Deadline(), (Plan{Options: PlanOptions{Timeout: p.Timeout, Depth: p.Depth}}).Deadline(); d < without+c.want || c.want == 0 && d != without {
			t.Errorf("%+v: a deadline of %v", c.in, d)
		}
	}
}

func TestMakePlanChoosesByDepthSymptomAndWish(t *testing.T) {
	all := []Probe{
		{ID: "quick", Depth: DepthQuick},
		{ID: "deep", Depth: DepthDeep},
		{ID: "for_tls", Depth: DepthDeep, Symptoms: []Symptom{SymptomTLS}},
		{ID: "follows", Depth: DepthStandard, Symptoms: []Symptom{SymptomSlow}, Follows: []ProbeID{"quick", "deep"}},
		{ID: "rests", Depth: DepthStandard, Needs: []ProbeID{"follows"}},
		{ID: "tls_only", Depth: DepthQuick, Applies: func(t Target, _ PlanOptions) bool { return t.Scheme.UsesTLS() }},
	}
	plain, secure := Target{Scheme: SchemeMQTT}, Target{Scheme: SchemeMQTTS}
	for _, c := range []struct {
		target Target
		opts   PlanOptions
		want   []ProbeID
	}{
		{plain, PlanOptions{Depth: DepthStandard, Symptom: SymptomCheckup}, []ProbeID{"quick", "follows", "rests"}},
		{secure, PlanOptions{Depth: DepthStandard, Symptom: SymptomCheckup}, []ProbeID{"quick", "follows", "rests", "tls_only"}},
		{plain, PlanOptions{Depth: DepthDeep, Symptom: SymptomCheckup}, []ProbeID{"quick", "deep", "for_tls", "follows", "rests"}},
		{plain, PlanOptions{Depth: DepthQuick, Symptom: SymptomTLS}, []ProbeID{"quick", "for_tls"}},
		{plain, PlanOptions{Depth: DepthStandard, Symptom: SymptomCheckup, Only: "rests"}, []ProbeID{"quick", "follows", "rests"}},
		{plain, PlanOptions{Depth: DepthQuick, Only: "deep"}, []ProbeID{"quick", "deep"}},
		{plain, PlanOptions{Depth: DepthQuick, Include: []ProbeID{"deep"}, Exclude: []ProbeID{"quick"}}, []ProbeID{"deep"}},
	} {
		if got := MakePlan(c.target, c.opts, all).IDs(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.opts, got, c.want)
		}
	}
}
