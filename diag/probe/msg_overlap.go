package probe

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

const checkOverlap diag.ProbeID = "msg.overlap"

// overlapWait is how long further copies are awaited: they come right behind the first.
const overlapWait = 500 * time.Millisecond

// msgOverlap publishes one message to the user's topic where the user's filters match it, and counts the copies: a server may
// send one for each subscription (MQTT 5.0 3.3.4), and a bridge or rule that doubles may know this topic and not ours.
var msgOverlap = diag.Probe{
	ID: checkOverlap, Layer: diag.LayerMsg, Depth: diag.DepthQuick,
	Needs: append([]diag.ProbeID{checkStay}, afterMessages...),
	Applies: func(t diag.Target, o diag.PlanOptions) bool {
		return o.Symptom == diag.SymptomDuplicate && len(matching(t)) > 0
	},
	Ready:  needSession,
	Budget: 15 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		x, ok := borrowMain(env)
		if !ok || x.ended() {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		for _, filter := range matching(env.Target) {
			if !x.grantedFilter(filter) {
				return diag.Skipped(diag.N("skip.not_all_granted", "filter", filter))
			}
		}
		topic, qos := env.Target.Topics.Publish, min(env.Target.Topics.QoS, x.maxQoS)
		marker := x.expect(env.RunID)
		o := &diag.Delivery{Version: x.version, Topic: topic, QoS: qos, Bytes: len(marker), Code: -1, Expected: true, Published: diag.OutcomeOK}
		begun := time.Now()
		bounded, cancel := context.WithTimeout(ctx, env.Options.Timeout)
		defer cancel()
		if _, failure := x.Publish(bounded, mqttwire.Message{Topic: topic, Payload: []byte(marker), QoS: qos}); failure != nil {
			return diag.Skipped(diag.N("skip.session_ended")) // msg.publish tells of what is wrong with publishing
		}
		got, ok := x.await(ctx, marker, echoWait(env, x.address))
		if !ok {
			o.Waited = time.Since(begun)
			return diag.Warned(o, diag.N("step.msg.overlap.none", "topic", topic))
		}
		pauseFor(ctx, max(overlapWait, 2*roundTrip(env.View, x.address)))
		o.Delivered, o.DeliveredQoS, o.Took, o.Copies = true, got.QoS, got.At.Sub(begun), x.copies(marker)
		args := []string{"topic", topic, "count", strconv.Itoa(o.Copies)}
		if o.Copies > 1 {
			return diag.Warned(o, diag.N("step.msg.overlap.copies", args...))
		}
		return diag.Passed(o, diag.N("step.msg.overlap.one", args...))
	},
}

// matching lists the user's filters that match the user's topic. A shared subscription hands each message to one of its members
// and is none of them (MQTT 5.0 4.8.2).
func matching(t diag.Target) []string {
	if t.Topics.Publish == "" {
		return nil
	}
	var out []string
	for _, filter := range t.Topics.Subscribe {
		if ok, _ := mqttwire.Match(filter, t.Topics.Publish); ok && !strings.HasPrefix(filter, "$share/") && !slices.Contains(out, filter) {
			out = append(out, filter)
		}
	}
	return out
}

// grantedFilter tells whether this session's subscription to the filter was granted.
func (x *exchange) grantedFilter(filter string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, ok := x.granted[filter]
	return ok
}
