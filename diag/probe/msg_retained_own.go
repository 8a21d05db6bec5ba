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

const (
	checkRetainedOwn diag.ProbeID = "msg.retained_own"

	// ownRetainedWait is how much longer retained messages are awaited where they are looked for: some brokers send them
	// from a pool beside the session.
	ownRetainedWait = 500 * time.Millisecond
)

// msgRetainedOwn lists the retained messages that answered the user's own subscriptions. It never clears one. Where they are
// looked for, it also subscribes to the publish topic, unless one of the filters has done so.
var msgRetainedOwn = diag.Probe{
	ID: checkRetainedOwn, Layer: diag.LayerMsg, Depth: diag.DepthStandard,
	Needs:   afterMessages,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return ownTopics(t) },
	Ready:   needSession,
	Budget:  20 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		topics := env.Target.Topics
		o := &diag.RetainedSeen{Filters: slices.Clone(topics.Subscribe)}
		seen := main.seenRetained()
		if lookFor := env.Options.Depth.Covers(diag.DepthDeep) || env.Options.Symptom == diag.SymptomNotReceiving; lookFor {
			if topics.Publish != "" && !main.covers(topics.Publish) {
				o.Filters = append(o.Filters, topics.Publish)
				seen = append(seen, retainedAt(ctx, env, main, topics.Publish)...)
			} else if pauseFor(ctx, ownRetainedWait) {
				seen = main.seenRetained()
			}
		}
		o.Total = len(seen)
		o.Messages = seen[:min(len(seen), maxOwnRetained)]
		args := []string{"count", strconv.Itoa(o.Total)}
		if o.Total == 0 {
			return diag.Passed(o, diag.N("step.msg.retained_own.none", args...))
		}
		return diag.Passed(o, diag.N("step.msg.retained_own.some", append(args, "topic", o.Messages[0].Topic, "length", strconv.Itoa(o.Messages[0].Bytes))...))
	},
}

// retainedAt subscribes to a topic on a connection of its own: a broker that denies it may end the connection.
func retainedAt(ctx context.Context, env *diag.Env, like *exchange, topic string) []diag.RetainedMessage {
	_, x := another(ctx, env, like, diag.PurposeOtherClientID, "retained")
	if x == nil {
		return nil
	}
	defer leave(ctx, x)
	if subscribeQuietly(ctx, env, x, topic, 0) < 0 {
		return nil
	}
	_ = pauseFor(ctx, ownRetainedWait)
	return x.seenRetained()
}

const (
	maxOwnRetained = 16   // that are listed
	maxCounted     = 1000 // that are counted
	maxOwnTopic    = 1000 // bytes: the topic has to be whole, for whoever clears it
)

// noteRetainedLocked keeps topic and length of retained messages that are not ours.
func (x *exchange) noteRetainedLocked(m mqttwire.Received) {
	if !m.Retain || m.PayloadBytes == 0 || strings.HasPrefix(m.Topic, "mqttdoctor/") || len(x.retained) >= maxCounted || len(m.Topic) > maxOwnTopic {
		return
	}
	one := diag.RetainedMessage{Topic: m.Topic, Bytes: m.PayloadBytes}
	if !slices.Contains(x.retained, one) { // overlapping subscriptions bring it more than once
		x.retained = append(x.retained, one)
	}
}

// seenRetained lists the retained messages that have come so far.
func (x *exchange) seenRetained() []diag.RetainedMessage {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.retained)
}
