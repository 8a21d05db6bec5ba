package probe

import (
	"context"
	"slices"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

// msgSubscribe subscribes to each of the user's filters and to our scratch topic, each in a SUBSCRIBE of its own so that
// each has its own answer.
var msgSubscribe = diag.Probe{
	ID: checkSubscribe, Layer: diag.LayerMsg, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkMQTT},
	Ready: needSession,
	Subjects: func(v *diag.View) []diag.Subject {
		out := []diag.Subject{{Name: "mqttdoctor/…", Value: ""}}
		for _, filter := range v.Target.Topics.Subscribe {
			out = append(out, diag.Subject{Name: filter, Value: filter})
		}
		return out
	},
	Budget: 20 * time.Second, // our own topic may need a connection of its own first
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		filter, _ := s.Value.(string)
		scratch := filter == ""
		x, ok := borrowMain(env)
		qos := env.Target.Topics.QoS
		if scratch {
			filter, qos = scratchTopic(env), 2
			if ok {
				x, ok = scratchExchange(ctx, env)
			}
		}
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		return subscribeOn(ctx, env, x, filter, qos, scratch)
	},
}

func subscribeOn(ctx context.Context, env *diag.Env, x *exchange, filter string, qos byte, scratch bool) diag.Result {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	o := &diag.Subscription{Version: x.version, Filter: filter, Scratch: scratch, QoS: qos, Code: -1}
	begun := time.Now()
	pending := x.StartSubscribe([]mqttwire.Subscription{{Filter: filter, QoS: qos}})
	if scratch {
		x.announceSubscribe()
		defer x.announceSuback()
	}
	result, failure := pending.Wait(ctx)
	o.Took = time.Since(begun)
	o.ReasonString = printable(result.ReasonString, 300)
	args := []string{"filter", filter, "qos", strconv.Itoa(int(qos))}
	if failure != nil && len(result.Codes) == 0 {
		o.Outcome, o.Error = outcomeOfFailure(failure.Kind), failure.Error()
		if failure.Kind == mqttwire.FailRefused {
			o.Code, o.ReasonString = int(failure.Code), printable(failure.ReasonString, 300)
		}
		o.Reason = failure.Reason
		return failedOn(scratch)(o, diag.N("step.msg.subscribe.failed", append(args, "symbol", string(o.Outcome))...),
			&diag.Failure{Op: "msg.subscribe", Code: string(o.Outcome), Text: o.Error})
	}
	o.Code = int(result.Codes[0])
	o.Reason = mqttwire.SubackReason(wireVersion(x.version), result.Codes[0])
	if o.Code >= 0x80 {
		o.Outcome = diag.OutcomeRefused
		return failedOn(scratch)(o, diag.N("step.msg.subscribe.refused", append(args, "code", diag.CodeText(o.Code, diag.Version5), "reason", o.Reason)...),
			&diag.Failure{Op: "msg.subscribe", Code: diag.CodeText(o.Code, diag.Version5)})
	}
	o.Outcome = diag.OutcomeOK
	x.grant(filter, byte(o.Code))
	summary := diag.N("step.msg.subscribe.ok", append(args, "granted", strconv.Itoa(o.Code))...)
	if byte(o.Code) < min(qos, env.Target.Topics.QoS) {
		return diag.Warned(o, summary)
	}
	return diag.Passed(o, summary)
}

// failedOn makes the result of what did not work: failed on the user's topics, warned on ours, which nobody has asked for and
// many brokers deny.
func failedOn(scratch bool) func(diag.Observation, diag.Note, *diag.Failure) diag.Result {
	return func(o diag.Observation, summary diag.Note, f *diag.Failure) diag.Result {
		r := diag.Failed(o, summary, f)
		if scratch {
			r.Status = diag.StatusWarned
		}
		return r
	}
}

// msgAlone subscribes once more, on a connection and under a client id each, to filters under which the connection ended:
// others were in flight beside them, or another client took the session over in that moment. Only so is the culprit known.
var msgAlone = diag.Probe{
	ID: checkAlone, Layer: diag.LayerMsg, Depth: diag.DepthQuick,
	Needs:   []diag.ProbeID{checkSubscribe},
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return len(t.Topics.Subscribe) > 0 },
	Ready: func(v *diag.View) diag.Decision {
		if len(endedFilters(v)) == 0 {
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		return diag.Run()
	},
	Subjects: func(v *diag.View) []diag.Subject {
		var out []diag.Subject
		for _, filter := range endedFilters(v) {
			out = append(out, diag.Subject{Name: filter})
		}
		return out
	},
	Budget: 20 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		a, x := another(ctx, env, main, diag.PurposeRetry, s.Name)
		if x == nil {
			return attemptResult(a)
		}
		defer x.Close()
		return subscribeOn(ctx, env, x, s.Name, env.Target.Topics.QoS, false)
	},
}

// endedFilters lists the user's filters whose SUBSCRIBE was answered with the end of the connection.
func endedFilters(v *diag.View) []string {
	var out []string
	for _, s := range diag.SeenBy[*diag.Subscription](v, checkSubscribe) {
		if !s.Seen.Scratch && s.Seen.Outcome.Ended() && !slices.Contains(out, s.Seen.Filter) {
			out = append(out, s.Seen.Filter)
		}
	}
	return out
}
