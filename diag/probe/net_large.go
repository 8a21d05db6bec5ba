package probe

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

// largeBytes fills more than two packets of an Ethernet path, and less than the congestion window that a connection begins
// with (RFC 6928), so that it costs no round trip more than a small message.
const largeBytes = 4000

// netLarge sends a message of several packets to our own topic and back, where the user's trouble may come from what large
// packets meet on the way. Where it hangs, it is sent once more in the same way and once in small packets.
var netLarge = diag.Probe{
	ID: checkLarge, Layer: diag.LayerNet, Depth: diag.DepthDeep,
	Symptoms: []diag.Symptom{diag.SymptomTimeout, diag.SymptomDrops, diag.SymptomLost, diag.SymptomDuplicate, diag.SymptomSlow,
		diag.SymptomNotReceiving},
	Needs:  []diag.ProbeID{checkMQTT, checkRoundTrip},
	Ready:  needSession,
	Budget: 40 * time.Second, // twice: connecting, a SUBSCRIBE and a message, each of the usual time-out
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		seen := askedConnects(env.View)
		i := slices.IndexFunc(seen, func(o *diag.MQTTConnect) bool { return o.Accepted() })
		if i < 0 {
			return diag.Skipped(diag.N("skip.not_connected"))
		}
		usual := askedRoute(env.Target, seen[i].Address).with(diag.PurposeRetry, "", func(r *route) {
			r.MQTT.Version, r.WS.Subprotocols = seen[i].Version, subprotocolsFor(seen[i].Version)
		})
		o := &diag.LargeMessage{Address: usual.Address, Bytes: largeBytes}
		try := sendLarge(ctx, env, usual)
		if try == nil {
			return diag.Skipped(diag.N("skip.no_scratch"))
		}
		o.Usual = *try
		if o.Usual.Hung() {
			var both sync.WaitGroup
			both.Go(func() { o.Again = sendLarge(ctx, env, usual) })
			small := usual
			small.MaxSegment, o.Segment = smallestSegment, smallestSegment
			both.Go(func() { o.Small = sendLarge(ctx, env, small) })
			both.Wait()
		}
		args := []string{"length", strconv.Itoa(largeBytes), "address", o.Address, "symbol", string(o.Usual.Outcome)}
		switch {
		case o.Usual.Outcome == diag.OutcomeOK:
			return diag.Passed(o, diag.N("step.net.large.ok", args...))
		case o.Usual.Hung():
			return diag.Warned(o, diag.N("step.net.large.hung", args...))
		}
		return diag.Passed(o, diag.N("step.net.large.other", args...))
	},
}

// sendLarge makes a connection along the route, and sends the message to itself. nil: the broker does not let us, which says
// nothing of the path.
func sendLarge(ctx context.Context, env *diag.Env, r route) *diag.LargeTry {
	_, l := walk(ctx, env, r, upToMQTT)
	if l == nil || l.Session == nil {
		_ = l.Close()
		return nil
	}
	defer l.Close()
	topic := "mqttdoctor/" + env.RunID + "/large"
	asking, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	granted, failure := l.Session.Subscribe(asking, []mqttwire.Subscription{{Filter: topic}})
	cancel()
	if failure != nil || len(granted.Codes) != 1 || granted.Codes[0] >= 0x80 {
		return nil
	}
	try := &diag.LargeTry{Outcome: diag.OutcomeSilent}
	payload := bytes.Repeat([]byte("mqttdoctor test message. "), largeBytes/25)
	// Three repeats of a lost packet fit into this on any path but the worst (RFC 6298 2).
	waiting, cancel := patience.WithTimeout(ctx, min(env.Options.Timeout, 3*time.Second+2*roundTrip(env.View, r.Address)))
	defer cancel()
	delivered := make(chan bool, 1)
	go func() { // ends with the wait, or with the session
		for {
			select {
			case m, open := <-l.Session.Messages():
				if !open || m.PayloadBytes == len(payload) {
					delivered <- open
					return
				}
			case <-waiting.Done():
				delivered <- false
				return
			}
		}
	}()
	result, failure := l.Session.Publish(waiting, mqttwire.Message{Topic: topic, Payload: payload, QoS: 1})
	try.Acked = result.Acked && result.Code < 0x80
	switch {
	case failure != nil && failure.Kind != mqttwire.FailNoAnswer:
		try.Outcome = outcomeOfFailure(failure.Kind)
	case result.Code >= 0x80:
		try.Outcome = diag.OutcomeRefused
	}
	if try.Outcome != diag.OutcomeSilent || ctx.Err() != nil {
		cancel()
		<-delivered
		return try
	}
	if try.Delivered = <-delivered; try.Acked && try.Delivered {
		try.Outcome = diag.OutcomeOK
		leave, cancel := patience.WithTimeout(ctx, leaveBound)
		defer cancel()
		_ = l.Session.Disconnect(leave)
		return try
	}
	try.TCP = tcpInfo(l.Conn)
	return try
}
