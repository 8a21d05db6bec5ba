package probe

import (
	"context"
	"strconv"
	"time"

	"mqttdoctor/diag"
)

// The checks of bursts: the asked one, and those that tell apart what can be wrong with it.
const (
	checkBurst      diag.ProbeID = "msg.burst"
	checkBurstAgain diag.ProbeID = "msg.burst_again"
	checkBurstSteps diag.ProbeID = "msg.burst_steps"
	checkBurstPaced diag.ProbeID = "msg.burst_paced"
	checkBurstQoS1  diag.ProbeID = "msg.burst_qos1"
	checkBurstWide  diag.ProbeID = "msg.burst_wide"
)

// burstBudget is for the largest burst; each bounds itself by its own size.
const burstBudget = 12 * time.Minute

// msgBurst sends the plan's numbered messages from one client to the other as fast as they are taken; in a deep run also with
// the other two QoS.
var msgBurst = diag.Probe{
	ID: checkBurst, Layer: diag.LayerMsg, Depth: diag.DepthDeep, Symptoms: trafficSymptoms,
	Needs: []diag.ProbeID{checkPair, checkQoSGrid, checkLarge},
	Ready: func(v *diag.View) diag.Decision {
		for _, s := range diag.SeenBy[*diag.LargeMessage](v, checkLarge) {
			if s.Seen.Usual.Hung() { // a burst fills large packets, and would show the path's fault as the broker's
				return diag.Skip(diag.N("skip.large_packets_hang"))
			}
		}
		return readyForBurst(v)
	},
	Subjects: func(v *diag.View) []diag.Subject {
		asked := v.Options.Burst.QoS
		out := []diag.Subject{{Name: qosName(asked), Value: asked}}
		for qos := byte(0); qos <= 2 && v.Options.Depth == diag.DepthDeep; qos++ {
			if qos != asked {
				out = append(out, diag.Subject{Name: qosName(qos), Value: qos})
			}
		}
		return out
	},
	Budget: 3 * burstBudget, // one after the other
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		qos, _ := s.Value.(byte)
		plan := env.Options.Burst
		if qos != plan.QoS {
			plan.Count = min(plan.Count, headMessages)
		}
		return runBurst(ctx, env, burstSpec{count: plan.Count, qos: qos, payload: plan.PayloadBytes, pace: diag.PaceBurst})
	},
}

func qosName(qos byte) string { return "QoS " + strconv.Itoa(int(qos)) }

// runBurst waits for the pair's turn and measures.
func runBurst(ctx context.Context, env *diag.Env, spec burstSpec) diag.Result {
	p, ok := borrowPair(env)
	if !ok {
		return diag.Skipped(diag.N("skip.no_pair"))
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	if ctx.Err() != nil {
		return diag.Skipped(diag.N("skip.canceled"))
	}
	if _, ok := p.renew(ctx, env); !ok {
		return diag.Skipped(diag.N("skip.pair_lost"))
	}
	if highest := p.highestQoS(env.View); spec.qos > highest {
		return diag.Skipped(diag.N("skip.maximum_qos", "qos", strconv.Itoa(int(highest))))
	}
	return burstResult(p.burst(ctx, env, spec))
}

func burstResult(o *diag.BurstRun) diag.Result {
	args := []string{"qos", strconv.Itoa(int(o.QoS)), "count", strconv.Itoa(o.Received), "total", strconv.Itoa(o.Sent),
		"lost", strconv.Itoa(o.Lost), "doubled", strconv.Itoa(o.Doubled), "reordered", strconv.Itoa(o.Reordered)}
	if o.P50 > 0 {
		args = append(args, "duration", diag.FormatMS(o.P50)+" ms", "limit", diag.FormatMS(o.P99)+" ms")
	}
	switch {
	case o.Ours > 0:
		return diag.Warned(o, diag.N("step.msg.burst.ours", args...))
	case o.End != nil:
		return diag.Warned(o, diag.N("step.msg.burst.ended."+string(o.End.Side), append(args, "symbol", string(o.End.Outcome), "bad", strconv.Itoa(o.End.After))...))
	case o.Refused > 0:
		return diag.Warned(o, diag.N("step.msg.burst.refused", append(args, "bad", strconv.Itoa(o.Refused),
			"code", diag.CodeText(o.RefusedCode, diag.Version5), "reason", o.RefusedReason)...))
	case o.Stalled:
		return diag.Warned(o, diag.N("step.msg.burst.stalled", args...))
	case o.Lost > 0:
		return diag.Warned(o, diag.N("step.msg.burst.lost", args...))
	case o.Doubled > 0:
		return diag.Warned(o, diag.N("step.msg.burst.doubled", args...))
	case o.Reordered > 0:
		return diag.Warned(o, diag.N("step.msg.burst.reordered", args...))
	case o.Pending > 0:
		return diag.Warned(o, diag.N("step.msg.burst.pending", args...))
	}
	return diag.Passed(o, diag.N("step.msg.burst.ok", args...))
}
