package probe

import (
	"context"
	"slices"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// msgFilter compares the given publish topic with each given filter: pure, so it is known before anything is dialled.
var msgFilter = diag.Probe{
	ID: "msg.filter", Layer: diag.LayerMsg, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool {
		return t.Topics.Publish != "" && len(t.Topics.Subscribe) > 0
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for _, filter := range v.Target.Topics.Subscribe {
			out = append(out, diag.Subject{Name: filter})
		}
		return out
	},
	Run: func(_ context.Context, env *diag.Env, s diag.Subject) diag.Result {
		topic := env.Target.Topics.Publish
		matches, reason := mqttwire.Match(s.Name, topic)
		o := &diag.FilterMatch{Topic: topic, Filter: s.Name, Matches: matches}
		args := []string{"topic", topic, "filter", s.Name}
		if matches {
			return diag.Passed(o, diag.N("step.msg.filter.ok", args...))
		}
		o.Reason, o.Level = string(reason.Code), reason.Level
		o.InTopic, o.InFilter = reason.InTopic, reason.InFilter
		if matchesAny(env.Target.Topics.Subscribe, topic) {
			return diag.Warned(o, diag.N("step.msg.filter.no", args...)) // another one brings the message
		}
		return diag.Failed(o, diag.N("step.msg.filter.no", args...), &diag.Failure{Op: "msg.filter", Code: o.Reason})
	},
}

func matchesAny(filters []string, topic string) bool {
	return slices.ContainsFunc(filters, func(filter string) bool {
		ok, _ := mqttwire.Match(filter, topic)
		return ok
	})
}
