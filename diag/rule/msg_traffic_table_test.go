package rule

import (
	"testing"
	"time"

	"mqttdoctor/diag"
)

const ms = time.Millisecond

// pairOf is two clients between which single messages take lone over a path of rtt.
func pairOf(rtt, lone time.Duration, change func(*diag.ClientPair)) diag.Step {
	p := &diag.ClientPair{Version: diag.Version311, Address: at, Scratch: true, QoS: 1, Outcome: diag.OutcomeOK, Code: -1, Granted: 2, PathRTT: rtt,
		PublisherPing: rtt, SubscriberPing: rtt, LoneCount: 5, Lone: []time.Duration{lone, lone, lone, lone, lone}}
	if change != nil {
		change(p)
	}
	return seen(checkPair, "", p)
}

// burstOf is a burst of a hundred messages that came whole, each of them after took.
func burstOf(check diag.ProbeID, took time.Duration, changes ...func(*diag.BurstRun)) diag.Step {
	b := &diag.BurstRun{Version: diag.Version311, Scratch: true, QoS: 1, Count: 100, PayloadBytes: 256, Pace: diag.PaceBurst, Window: 100, Sent: 100, Acked: 100,
		Received: 100, RefusedCode: -1, Delivered: 1, P50: took, P95: took, P99: took, Max: took, Head: took, AckMedian: took, Sending: 10 * ms, Took: 10*ms + took}
	for _, change := range changes {
		change(b)
	}
	return seen(check, "", b)
}

// inBatches lets a hundred messages come so many at a time, one batch after each trip.
func inBatches(size int, trip time.Duration) func(*diag.BurstRun) {
	return func(b *diag.BurstRun) {
		at := trip
		for n := 0; n < 100; n += size {
			for range size {
				b.Raster.Arrived = append(b.Raster.Arrived, float32(at.Milliseconds()))
			}
			at += trip
		}
		b.Took, b.AckMedian = at, trip
	}
}

func lose(n int, pattern diag.LossPattern, first int) func(*diag.BurstRun) {
	return func(b *diag.BurstRun) {
		b.Lost, b.Received, b.Pattern, b.FirstLost, b.Waited = n, b.Sent-n, pattern, first, 2*time.Second
	}
}

// paced sends count at a rate.
func paced(rate float64, count int) func(*diag.BurstRun) {
	return func(b *diag.BurstRun) {
		b.Pace, b.Rate, b.Count, b.Sent, b.Acked, b.Received = diag.PaceAtARate, rate, count, count, count, count
		b.Took = time.Duration(float64(count) / rate * float64(time.Second))
	}
}

// steps sends each after the one before, at a rate per second.
func steps(perSecond float64) func(*diag.BurstRun) {
	return func(b *diag.BurstRun) {
		b.Pace, b.Took = diag.PaceSteps, time.Duration(99/perSecond*float64(time.Second))
		b.P50 = time.Duration(float64(time.Second) / perSecond)
	}
}

func witness(received, ofLost int) func(*diag.BurstRun) {
	return func(b *diag.BurstRun) { b.Witness = &diag.BurstWitness{Received: received, OfLost: ofLost} }
}

func end(side diag.Side, code, after int) func(*diag.BurstRun) {
	return func(b *diag.BurstRun) {
		outcome := diag.OutcomeRefused
		if code < 0 {
			outcome = diag.OutcomeClosed
		}
		b.End, b.Sent, b.Acked, b.Received = &diag.BurstEnd{Side: side, Outcome: outcome, Code: code, Reason: "x", After: after}, after, after, after
	}
}

func atZero(b *diag.BurstRun) { b.QoS, b.Window, b.Acked, b.Delivered = 0, 0, 0, 0 }

// neverAcked delivers twenty messages at QoS 2, all that may be on their way, and acknowledges none.
func neverAcked(b *diag.BurstRun) {
	b.QoS, b.Sent, b.Acked, b.Received, b.Stalled = 2, 20, 0, 20, true
}

func TestTrafficLookAlikes(t *testing.T) { testRecorded(t, trafficLookAlikes()) }

func trafficLookAlikes() []recorded {
	mqtt := broker(diag.SchemeMQTT)
	connect := seen(checkMQTT, at, answered(0))
	lan := pairOf(ms, 2*ms, nil)
	from20 := lose(80, diag.LossFrom, 21)
	run := func(s ...diag.Step) []diag.Step { return append([]diag.Step{connect}, s...) }
	return []recorded{
		{name: "whole", target: mqtt, steps: run(lan, burstOf(checkBurst, 2*ms)), want: ""},
		{name: "nothing measured", target: mqtt, steps: run(pairOf(ms, 0, func(p *diag.ClientPair) { p.Outcome, p.Failed = diag.OutcomeRefused, diag.SideSubscriber })), want: ""},

		// A limit on the rate, a short queue, a broker that loses.
		{name: "quick fails, steps fail, slow passes", target: mqtt, want: "msg.rate_limited",
			steps: run(lan, burstOf(checkBurst, 2*ms, from20), burstOf(checkBurstAgain, 2*ms, from20), burstOf(checkBurstSteps, 2*ms, steps(500), lose(50, diag.LossThinned, 21)),
				burstOf(checkBurstPaced, 2*ms, paced(10, 30)))},
		{name: "nothing is acknowledged at any rate", target: mqtt, want: "", because: map[diag.Code]string{},
			steps: run(lan, burstOf(checkBurst, 2*ms, neverAcked), burstOf(checkBurstAgain, 2*ms, neverAcked), burstOf(checkBurstSteps, 2*ms, steps(500), neverAcked),
				burstOf(checkBurstPaced, 2*ms, paced(2, 10), func(b *diag.BurstRun) { b.QoS, b.Acked = 2, 0 }))},
		{name: "quick stalls, slow is acknowledged", target: mqtt, want: "msg.rate_limited", variant: "stalled",
			steps: run(lan, burstOf(checkBurst, 2*ms, neverAcked), burstOf(checkBurstAgain, 2*ms, neverAcked), burstOf(checkBurstSteps, 2*ms, steps(500), neverAcked),
				burstOf(checkBurstPaced, 2*ms, paced(2, 30)))},
		{name: "quick fails, steps at 500 pass", target: mqtt, want: "msg.lost", variant: "queue", because: map[diag.Code]string{"msg.rate_limited": "because.steps_whole"},
			steps: run(lan, burstOf(checkBurst, 2*ms, from20), burstOf(checkBurstAgain, 2*ms, from20), burstOf(checkBurstSteps, 2*ms, steps(500)), burstOf(checkBurstPaced, 2*ms, paced(50, 100)))},
		{name: "steps are slow, the publisher saw what was lost", target: mqtt, want: "msg.lost", variant: "queue", because: map[diag.Code]string{"msg.rate_limited": "because.witness_got_it"},
			steps: run(pairOf(100*ms, 101*ms, nil), burstOf(checkBurst, 110*ms, from20), burstOf(checkBurstAgain, 110*ms, from20, witness(100, 80)),
				burstOf(checkBurstSteps, 101*ms, steps(10)), burstOf(checkBurstPaced, 101*ms, paced(50, 100)))},
		{name: "steps are slow, the publisher did not see it either", target: mqtt, want: "msg.rate_limited",
			steps: run(pairOf(100*ms, 101*ms, nil), burstOf(checkBurst, 110*ms, from20), burstOf(checkBurstAgain, 110*ms, from20, witness(20, 0)),
				burstOf(checkBurstSteps, 101*ms, steps(10)), burstOf(checkBurstPaced, 101*ms, paced(50, 100)))},
		{name: "lost at every rate", target: mqtt, want: "msg.lost", because: map[diag.Code]string{"msg.rate_limited": "because.slow_burst_fails"},
			steps: run(lan, burstOf(checkBurst, 2*ms, lose(30, diag.LossScattered, 4)), burstOf(checkBurstAgain, 2*ms, lose(28, diag.LossScattered, 2)),
				burstOf(checkBurstSteps, 2*ms, steps(500), lose(3, diag.LossScattered, 4)), burstOf(checkBurstPaced, 2*ms, paced(2, 10), lose(3, diag.LossScattered, 4)))},
		{name: "so few that a slow run proves nothing", target: mqtt, want: "msg.lost", variant: "few",
			steps: run(lan, burstOf(checkBurst, 2*ms, lose(2, diag.LossScattered, 4)), burstOf(checkBurstAgain, 2*ms, lose(1, diag.LossBlock, 44)),
				burstOf(checkBurstSteps, 2*ms, steps(500)), burstOf(checkBurstPaced, 2*ms, paced(50, 100)))},
		{name: "lost once", target: mqtt, want: "msg.lost", variant: "once", because: map[diag.Code]string{"msg.rate_limited": "because.burst_whole_again"},
			steps: run(lan, burstOf(checkBurst, 2*ms, lose(2, diag.LossScattered, 4)), burstOf(checkBurstAgain, 2*ms))},
		{name: "lost once at QoS 0", target: mqtt, want: "msg.lost", variant: "once_qos0",
			steps: run(lan, burstOf(checkBurst, 2*ms, atZero, lose(2, diag.LossScattered, 4)), burstOf(checkBurstAgain, 2*ms, atZero))},
		{name: "lost at QoS 0 alone", target: mqtt, want: "msg.lost", variant: "qos0", because: map[diag.Code]string{"msg.rate_limited": "because.qos1_whole"},
			steps: run(lan, burstOf(checkBurst, 2*ms, atZero, from20), burstOf(checkBurstAgain, 2*ms, atZero, from20), burstOf(checkBurstSteps, 2*ms, atZero, steps(100)),
				burstOf(checkBurstPaced, 2*ms, atZero, paced(50, 100)), burstOf(checkBurstQoS1, 2*ms))},
		{name: "our own queue overflowed", target: mqtt, want: "",
			steps: run(lan, burstOf(checkBurst, 2*ms, from20, func(b *diag.BurstRun) { b.Ours = 80 }))},
		{name: "still coming when time was up", target: mqtt, want: "",
			steps: run(lan, burstOf(checkBurst, 2*ms, func(b *diag.BurstRun) { b.Received, b.Pending = 60, 40 }))},

		// The broker's own words.
		{name: "rate too high", target: mqtt, want: "msg.rate_limited", variant: "disconnect", steps: run(lan, burstOf(checkBurst, 2*ms, end(diag.SidePublisher, 0x96, 40)))},
		{name: "receive maximum", target: mqtt, want: "msg.inflight_limited", variant: "exceeded", steps: run(lan, burstOf(checkBurst, 2*ms, end(diag.SidePublisher, 0x93, 40)))},
		{name: "quota", target: mqtt, want: "msg.rate_limited", variant: "quota",
			steps: run(lan, burstOf(checkBurst, 2*ms, func(b *diag.BurstRun) { b.Refused, b.RefusedCode, b.Acked, b.Received = 40, 0x97, 60, 60 }))},
		{name: "closed, and slower too", target: mqtt, want: "msg.lost", variant: "closed", because: map[diag.Code]string{"msg.rate_limited": "because.slow_burst_fails"},
			steps: run(lan, burstOf(checkBurst, 2*ms, end(diag.SidePublisher, -1, 7)), burstOf(checkBurstAgain, 2*ms, end(diag.SidePublisher, -1, 7)),
				burstOf(checkBurstSteps, 2*ms, steps(500), end(diag.SidePublisher, -1, 7)), burstOf(checkBurstPaced, 2*ms, paced(2, 10), end(diag.SidePublisher, -1, 7)))},
		{name: "closed, and slower not", target: mqtt, want: "msg.rate_limited", variant: "closed",
			steps: run(lan, burstOf(checkBurst, 2*ms, end(diag.SidePublisher, -1, 30)), burstOf(checkBurstAgain, 2*ms, end(diag.SidePublisher, -1, 30)),
				burstOf(checkBurstSteps, 2*ms, steps(500), end(diag.SidePublisher, -1, 30)), burstOf(checkBurstPaced, 2*ms, paced(10, 30)))},

		// Slow: the broker, the path, a window, a queue.
		{name: "slow path", target: mqtt, steps: run(pairOf(600*ms, 620*ms, nil), burstOf(checkBurst, 2500*ms)), want: ""},
		{name: "a delayed acknowledgement", target: mqtt, steps: run(pairOf(ms, 200*ms, nil), burstOf(checkBurst, 400*ms)), want: ""},
		{name: "slow broker", target: mqtt, want: "msg.slow", steps: run(pairOf(ms, 1500*ms, nil), burstOf(checkBurst, 1500*ms))},
		{name: "slow at everything", target: mqtt, want: "msg.slow", variant: "everything",
			steps: run(pairOf(ms, 1500*ms, func(p *diag.ClientPair) { p.PublisherPing, p.SubscriberPing = time.Second, time.Second }), burstOf(checkBurst, 1500*ms))},
		{name: "one in flight", target: mqtt, want: "msg.inflight_limited", variant: "delivery",
			steps: run(pairOf(100*ms, 102*ms, nil), burstOf(checkBurst, 5*time.Second, func(b *diag.BurstRun) { b.AckMedian, b.Took = 110*ms, 10*time.Second }),
				burstOf(checkBurstSteps, 102*ms, steps(9.8)))},
		{name: "ten in flight", target: mqtt, want: "",
			steps: run(pairOf(100*ms, 102*ms, nil), burstOf(checkBurst, 550*ms, func(b *diag.BurstRun) { b.AckMedian, b.Took = 110*ms, time.Second }),
				burstOf(checkBurstSteps, 102*ms, steps(9.8)))},
		{name: "one in flight, and this machine is busy", target: mqtt, want: "msg.inflight_limited", variant: "delivery",
			steps: run(pairOf(120*ms, 101*ms, nil), burstOf(checkBurst, 5*time.Second, inBatches(1, 100*ms)), burstOf(checkBurstSteps, 102*ms, steps(4), func(b *diag.BurstRun) { b.P50 = 102 * ms }))},
		{name: "all at once, and late for a stop of this machine", target: mqtt, want: "",
			steps: run(pairOf(100*ms, 101*ms, nil), burstOf(checkBurst, 1500*ms, inBatches(100, 100*ms), func(b *diag.BurstRun) {
				b.Took, b.AckMedian, b.Busy = 1600*ms, 110*ms, 1400*ms
			}), burstOf(checkBurstSteps, 101*ms, steps(10)))},
		{name: "one by one without a path that explains it", target: mqtt, want: "",
			steps: run(lan, burstOf(checkBurst, 500*ms, inBatches(1, 20*ms)), burstOf(checkBurstSteps, 2*ms, steps(100)))},
		{name: "a queue on a path without delay", target: mqtt, want: "msg.slow", variant: "queue", because: map[diag.Code]string{"msg.inflight_limited": "because.window_wide"},
			steps: run(lan, burstOf(checkBurst, 2*time.Second, func(b *diag.BurstRun) { b.AckMedian, b.Took = 3*ms, 4*time.Second }), burstOf(checkBurstSteps, 40*ms, steps(25)))},
		{name: "a publisher that is slowed down", target: mqtt, want: "msg.slow", variant: "throttled",
			steps: run(lan, burstOf(checkBurst, 2*time.Second, func(b *diag.BurstRun) { b.Took = 4 * time.Second }), burstOf(checkBurstSteps, 40*ms, steps(25)))},
		{name: "a publisher that is slowed down, on a path with delay", target: mqtt, want: "msg.slow", variant: "throttled", because: map[diag.Code]string{"msg.inflight_limited": "because.window_wide"},
			steps: run(pairOf(60*ms, 62*ms, nil), burstOf(checkBurst, 2*time.Second, func(b *diag.BurstRun) { b.Took = 4 * time.Second }), burstOf(checkBurstSteps, 63*ms, steps(13)))},
		{name: "soon delivered and late acknowledged", target: mqtt, want: "msg.slow", variant: "acknowledged_late",
			steps: run(lan, burstOf(checkBurst, 3*ms, func(b *diag.BurstRun) { b.AckMedian, b.Took = 1500*ms, 7*time.Second }))},
		{name: "soon delivered and acknowledged a little later", target: mqtt, want: "",
			steps: run(lan, burstOf(checkBurst, 3*ms, func(b *diag.BurstRun) { b.AckMedian, b.Took = 400*ms, 2*time.Second }))},
		{name: "large messages on a slow line", target: mqtt, want: "",
			steps: run(pairOf(50*ms, 60*ms, nil), burstOf(checkBurst, 20*time.Second, func(b *diag.BurstRun) { b.PayloadBytes = 1 << 20 }))},

		{name: "doubled", target: mqtt, want: "msg.duplicated", steps: run(lan, burstOf(checkBurst, 2*ms, func(b *diag.BurstRun) { b.Doubled, b.Extra = 100, 100 }))},
		{name: "delivered again", target: mqtt, want: "msg.duplicated", variant: "redelivered",
			steps: run(lan, burstOf(checkBurst, 2*ms, func(b *diag.BurstRun) { b.Doubled, b.Extra, b.Dup = 3, 3, 3 }))},
		{name: "out of order", target: mqtt, want: "msg.out_of_order", steps: run(lan, burstOf(checkBurst, 2*ms, func(b *diag.BurstRun) { b.Reordered = 4 }))},
	}
}

func TestSmallReceiveMaximumIsNoAlarm(t *testing.T) {
	two := uint16(2)
	v := diag.NewView(broker(diag.SchemeMQTT), diag.PlanOptions{}, []diag.Step{seen(checkMQTT, at, answered(0)),
		pairOf(ms, 2*ms, func(p *diag.ClientPair) { p.ReceiveMaximum = &two }), burstOf(checkBurst, 2*ms, func(b *diag.BurstRun) { b.Window = 2 })})
	c := diag.Conclude(v, All)
	if len(c.Findings) != 1 || c.Findings[0].Code != "msg.inflight_limited" || c.Findings[0].Severity != diag.SeverityInfo {
		t.Errorf("concludes %+v", c.Findings)
	}
}
