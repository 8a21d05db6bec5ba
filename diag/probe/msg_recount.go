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

const checkRecount diag.ProbeID = "msg.recount"

const (
	// moreMessages is how many are sent where something was odd about the first ones. A broker that loses every second message
	// at random loses all of them and a first one in less than one of a hundred runs.
	moreMessages = 6
	// betweenMore spreads them, so that they are no burst.
	betweenMore = 50 * time.Millisecond
)

// msgRecount looks once more at what has come of the test messages when all of them had their time: copies follow the first one,
// and what had been given up may have come since. Where one is missing or was slow it sends a few more, which tell a topic that
// nothing passes from a broker that loses or holds back some.
var msgRecount = diag.Probe{
	ID: checkRecount, Layer: diag.LayerMsg, Depth: diag.DepthQuick,
	Needs: append([]diag.ProbeID{checkStay, "msg.publish_lower"}, afterMessages...),
	Ready: needSession,
	Subjects: func(v *diag.View) []diag.Subject {
		out := []diag.Subject{{Name: "mqttdoctor/…"}}
		if own := v.Target.Topics.Publish; own != "" {
			out = append(out, diag.Subject{Name: own, Value: own})
		}
		return out
	},
	Budget: 20 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		topic, own := s.Value.(string)
		x, ok := borrowMain(env)
		if !own {
			topic = scratchTopic(env)
			x, ok = borrowScratch(env)
		}
		if !ok || x == nil {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		tests := slices.DeleteFunc(x.remembered(topic), func(m testMessage) bool {
			return !m.behind || !x.covers(topic) || m.delivery.Published != diag.OutcomeOK
		})
		if len(tests) == 0 {
			return diag.Skipped(diag.N("skip.nothing_to_recount"))
		}
		c := &recount{x: x, tests: tests, wait: echoWait(env, x.address), path: roundTrip(env.View, x.address), first: len(tests)}
		if odd := c.odd(); len(odd) > 0 && (own || !ownArrived(env.View) || c.some()) && !x.ended() {
			if asked := env.Target.Topics.QoS; slices.Min(odd) > asked {
				odd = append(odd, asked) // what is more than the client needs tells little of what it sends
			}
			c.sendMore(ctx, env, topic, odd)
		}
		return recountResult(c.result(topic, !own))
	},
}

// ownArrived tells whether a message to the user's own topic came back: then a broker that takes nothing to ours is in order.
func ownArrived(v *diag.View) bool {
	return slices.ContainsFunc(diag.SeenBy[*diag.Delivery](v, checkPublish), func(s diag.Sight[*diag.Delivery]) bool { return s.Seen.Delivered })
}

// recount is the count while it goes on.
type recount struct {
	x          *exchange
	tests      []testMessage
	first      int // so many were sent before
	wait, path time.Duration
	busy       time.Duration // that this process did not run while more was sent
}

// odd lists the QoS of the messages that had not come, or came slowly.
func (c *recount) odd() []byte {
	var out []byte
	for _, m := range c.tests {
		got := c.x.got(m.marker)
		if (len(got) == 0 || got[0].At.Sub(m.sent) > diag.SlowDelivery(c.path)) && !slices.Contains(out, m.delivery.QoS) {
			out = append(out, m.delivery.QoS)
		}
	}
	return out
}

// some tells whether any message has come.
func (c *recount) some() bool {
	return slices.ContainsFunc(c.tests, func(m testMessage) bool { return c.x.copies(m.marker) > 0 })
}

// missing tells whether any has not.
func (c *recount) missing() bool {
	return slices.ContainsFunc(c.tests, func(m testMessage) bool { return c.x.copies(m.marker) == 0 })
}

// sendMore sends further messages of those QoS, two of each in turn, since one that loses every second message could otherwise lose
// all of one QoS and none of the other, and awaits them together with those that are missing.
func (c *recount) sendMore(ctx context.Context, env *diag.Env, topic string, qos []byte) {
	lag := patience.Watch()
	defer func() { c.busy = lag.Stop() }()
	acks, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	pending := c.publishMore(acks, env, topic, qos)
	for i, p := range pending {
		if acked, failure := p.Wait(acks); failure != nil || acked.Code >= 0x80 {
			c.tests[c.first+i].delivery.Published = diag.OutcomeRefused
		}
	}
	// Where some have come late, the others get as long, and half as much again.
	clock := patience.Watch()
	defer clock.Stop()
	for c.missing() && ctx.Err() == nil && !c.x.ended() && clock.Ran() < max(c.wait, min(c.longest()*3/2, env.Options.Timeout)) {
		pauseFor(ctx, 20*time.Millisecond)
	}
}

// publishMore sends the messages. Those to another topic go before or behind: a broker that loses every second message could
// otherwise lose all of one topic, and none of the other.
func (c *recount) publishMore(ctx context.Context, env *diag.Env, topic string, qos []byte) []*mqttwire.PendingPublish {
	if main, ok := borrowMain(env); ok {
		main.inTurn.Lock()
		defer main.inTurn.Unlock()
	}
	var pending []*mqttwire.PendingPublish
	for i := range moreMessages {
		m := testMessage{marker: c.x.expect(env.RunID), sent: time.Now(), behind: true,
			delivery: &diag.Delivery{Topic: topic, QoS: qos[i/2%len(qos)], Published: diag.OutcomeOK}}
		pending = append(pending, c.x.StartPublishContext(ctx, mqttwire.Message{Topic: topic, Payload: []byte(m.marker), QoS: m.delivery.QoS}))
		c.tests = append(c.tests, m)
		pauseFor(ctx, betweenMore)
	}
	return pending
}

// longest is what the slowest of the messages that have come took.
func (c *recount) longest() time.Duration {
	var d time.Duration
	for _, m := range c.tests {
		if got := c.x.got(m.marker); len(got) > 0 {
			d = max(d, got[0].At.Sub(m.sent))
		}
	}
	return d
}

func (c *recount) result(topic string, scratch bool) *diag.Recount {
	o := &diag.Recount{Version: c.x.version, Address: c.x.address, Topic: topic, Scratch: scratch, Path: c.path, Filters: c.x.matching(topic),
		SentAgain: len(c.tests) - c.first, Bytes: len(c.tests[len(c.tests)-1].marker), Busy: c.busy}
	for i, m := range c.tests {
		if m.delivery.Published != diag.OutcomeOK {
			continue
		}
		got := c.x.got(m.marker)
		t := diag.TestMessage{QoS: m.delivery.QoS, Again: i >= c.first, Delivered: len(got) > 0, Copies: len(got)}
		for _, one := range got {
			if one.Dup {
				t.Dup++
			}
		}
		if t.Delivered {
			t.Took = got[0].At.Sub(m.sent)
		} else {
			t.Waited = time.Since(m.sent)
		}
		o.Messages = append(o.Messages, t)
	}
	return o
}

func recountResult(o *diag.Recount) diag.Result {
	arrived := o.Arrived()
	args := []string{"topic", o.Topic, "count", strconv.Itoa(arrived), "total", strconv.Itoa(len(o.Messages))}
	fastest, slow := o.Slow()
	switch m, _, doubled := o.Doubled(); {
	case arrived < len(o.Messages):
		return diag.Warned(o, diag.N("step.msg.recount.missing", args...))
	case doubled && o.Filters <= 1:
		return diag.Warned(o, diag.N("step.msg.recount.doubled", append(args, "value", strconv.Itoa(m.Copies))...))
	case slow:
		return diag.Warned(o, diag.N("step.msg.recount.slow", append(args, "duration", diag.FormatMS(fastest)+" ms")...))
	}
	return diag.Passed(o, diag.N("step.msg.recount.ok", args...))
}
