package rule

import (
	"slices"
	"strconv"
	"time"

	"mqttdoctor/diag"
)

const (
	checkPair       diag.ProbeID = "msg.pair"
	checkQoSGrid    diag.ProbeID = "msg.qos_grid"
	checkBurst      diag.ProbeID = "msg.burst"
	checkBurstAgain diag.ProbeID = "msg.burst_again"
	checkBurstSteps diag.ProbeID = "msg.burst_steps"
	checkBurstPaced diag.ProbeID = "msg.burst_paced"
	checkBurstQoS1  diag.ProbeID = "msg.burst_qos1"
	checkBurstWide  diag.ProbeID = "msg.burst_wide"
)

var trafficChecks = []diag.ProbeID{checkPair, checkBurst, checkBurstAgain, checkBurstSteps, checkBurstPaced, checkBurstQoS1, checkBurstWide}

// afterRecount are those of the rules that look at single messages too.
var afterRecount = append([]diag.ProbeID{checkRecount}, trafficChecks...)

// trafficRules are about messages from one client to another. A limit comes first: what it loses, holds back or ends is nothing
// else.
var trafficRules = []diag.Rule{
	{Code: "msg.rate_limited", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.13", "MQTT 5.0 3.14.2.1", "MQTT 5.0 3.4.2.1"},
		Awaits:     trafficChecks,
		LookAlikes: []diag.Code{"msg.lost", "msg.inflight_limited", "msg.slow"},
		Hides:      []diag.Code{"msg.lost", "msg.slow", "msg.offline_lost"},
		When:       rateLimited},
	{Code: "msg.inflight_limited", Severity: diag.SeverityInfo,
		Sources:    []string{"MQTT 5.0 4.9", "MQTT 5.0 3.2.2.3.3"},
		Awaits:     trafficChecks,
		MayHide:    []diag.Code{"msg.lost", "msg.slow"},
		LookAlikes: []diag.Code{"msg.slow", "msg.rate_limited"},
		When:       inflightLimited},
	{Code: "msg.lost", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.3", "MQTT 5.0 4.4", "MQTT 3.1.1 4.3"},
		Awaits:     afterRecount,
		MayHide:    []diag.Code{"msg.offline_lost"},
		LookAlikes: []diag.Code{"msg.rate_limited", "msg.inflight_limited", "msg.publish_dropped", "msg.slow"},
		When:       messagesLost},
	{Code: "msg.duplicated", Severity: diag.SeverityWarning,
		Sources:    []string{"MQTT 5.0 4.3.2", "MQTT 5.0 3.3.1.1", "[MQTT-4.4.0-1]"},
		Awaits:     afterRecount,
		LookAlikes: []diag.Code{"msg.lost", "msg.out_of_order"},
		When:       duplicated},
	{Code: "msg.out_of_order", Severity: diag.SeverityWarning,
		Sources:    []string{"MQTT 5.0 4.6", "[MQTT-4.6.0-5]", "[MQTT-4.6.0-6]"},
		Awaits:     trafficChecks,
		LookAlikes: []diag.Code{"msg.duplicated"},
		When:       outOfOrder},
	{Code: "msg.slow", Severity: diag.SeverityWarning,
		Sources:    []string{"MQTT 5.0 4.6"},
		Awaits:     afterRecount,
		LookAlikes: []diag.Code{"msg.inflight_limited", "msg.lost", "msg.rate_limited"},
		When:       slowMessages},
}

// gridDowngraded finds a message between two clients that lost QoS on the way, of those with no more QoS than was asked for.
func gridDowngraded(v *diag.View, asked byte) (diag.Finding, bool) {
	for _, s := range diag.SeenBy[*diag.QoSGrid](v, checkQoSGrid) {
		for _, c := range s.Seen.Cells {
			if c.Publish > asked || c.Subscribe > asked || !c.Lowered() {
				continue
			}
			f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Variant: "between", Args: diag.Args{
				"qos": strconv.Itoa(int(c.Publish)), "granted": strconv.Itoa(c.Granted), "delivered": strconv.Itoa(c.Delivered),
			}}
			return f, true
		}
	}
	return diag.Finding{}, false
}

// traffic is what was measured between the two clients.
type traffic struct {
	pair                              *diag.ClientPair
	pairStep                          diag.Step
	bursts                            []diag.Sight[*diag.BurstRun] // the asked one first
	again, steps, paced, qos1, beyond *diag.Sight[*diag.BurstRun]
}

// trafficOf is false where no burst was measured, or none of them says anything.
func trafficOf(v *diag.View) (traffic, bool) {
	var t traffic
	for _, s := range diag.SeenBy[*diag.ClientPair](v, checkPair) {
		t.pair, t.pairStep = s.Seen, s.Step
	}
	t.bursts = slices.DeleteFunc(diag.SeenBy[*diag.BurstRun](v, checkBurst), func(s diag.Sight[*diag.BurstRun]) bool { return s.Seen.Ours > 0 })
	slices.SortStableFunc(t.bursts, func(a, b diag.Sight[*diag.BurstRun]) int {
		return asked(a.Seen.QoS == v.Options.Burst.QoS) - asked(b.Seen.QoS == v.Options.Burst.QoS)
	})
	for check, at := range map[diag.ProbeID]**diag.Sight[*diag.BurstRun]{checkBurstAgain: &t.again, checkBurstSteps: &t.steps,
		checkBurstPaced: &t.paced, checkBurstQoS1: &t.qos1, checkBurstWide: &t.beyond} {
		for _, s := range diag.SeenBy[*diag.BurstRun](v, check) {
			if s.Seen.Ours == 0 {
				*at = &s
			}
		}
	}
	return t, t.pair != nil && t.pair.Works() && len(t.bursts) > 0
}

func asked(is bool) int {
	if is {
		return 0
	}
	return 1
}

// burst finds the first of the plain bursts, the repeated one behind, of which f is true.
func (t traffic) burst(f func(*diag.BurstRun) bool) (diag.Sight[*diag.BurstRun], bool) {
	all := t.bursts
	if t.again != nil {
		all = append(slices.Clone(all), *t.again)
	}
	return first(all, f)
}

// telling says whether a share of losses like that of a faulty burst, and of its repetition, would have shown in a run that
// passed whole: five losses would be expected, so that none at all comes about by chance in less than one of a hundred runs.
func (t traffic) telling(b, whole *diag.BurstRun) bool {
	const expected = 5
	return min(faultShare(b), faultShare(t.again.Seen))*float64(whole.Sent) >= expected
}

// queued tells whether most of what the subscriber did not get came to the publisher's own subscription: it was lost behind
// all limits on publishing, on the way to that subscriber.
func (t traffic) queued() bool {
	w, lost := t.again.Seen.Witness, t.again.Seen.Lost
	return w != nil && lost > 0 && 10*w.OfLost >= 9*lost
}

// lostBefore tells whether what the subscriber did not get did not come to the publisher's own subscription either.
func (t traffic) lostBefore() bool {
	w, lost := t.again.Seen.Witness, t.again.Seen.Lost
	return w != nil && lost > 0 && 10*w.OfLost <= lost && w.Received > 0
}

// faultShare is the share of messages that came to nothing.
func faultShare(b *diag.BurstRun) float64 {
	if b.End != nil || b.Stalled || b.Sent == 0 {
		return 1
	}
	return float64(b.Lost+b.Refused) / float64(b.Sent)
}

// path is what the network's round trip accounts for.
func (t traffic) path() time.Duration { return t.pair.PathRTT }

func burstFinding(s diag.Sight[*diag.BurstRun]) diag.Finding {
	b := s.Seen
	args := diag.Args{"qos": strconv.Itoa(int(b.QoS)), "count": strconv.Itoa(b.Received), "total": strconv.Itoa(b.Sent), "lost": strconv.Itoa(b.Lost)}
	if b.P50 > 0 {
		args["duration"] = diag.FormatMS(b.P50) + " ms"
	}
	if b.FirstLost > 0 {
		args["bad"] = strconv.Itoa(b.FirstLost)
	}
	if b.Period > 0 {
		args["interval"] = strconv.Itoa(b.Period)
	}
	if rate := b.PerSecond(); rate > 0 {
		args["rate"] = diag.FormatRate(rate)
	}
	if b.RefusedCode >= 0 {
		args["code"], args["reason"] = diag.CodeText(b.RefusedCode, diag.Version5), b.RefusedReason
	}
	if b.End != nil {
		args["bad"] = strconv.Itoa(b.End.After)
		if b.End.Code >= 0 {
			args["code"], args["reason"], args["reason_string"] = diag.CodeText(b.End.Code, diag.Version5), b.End.Reason, b.End.ReasonString
		}
	}
	return diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: args}
}

// Reason codes that speak of amounts (MQTT 5.0 2.4).
const (
	codeReceiveMaximum = 0x93 // Receive Maximum exceeded
	codeRateTooHigh    = 0x96 // Message rate too high
	codeQuota          = 0x97 // Quota exceeded
)

// endedWith tells a burst whose publisher was sent a DISCONNECT with the code.
func endedWith(code int) func(*diag.BurstRun) bool {
	return func(b *diag.BurstRun) bool {
		return b.End != nil && b.End.Code == code
	}
}

// rateLimited needs the broker's own word, or a burst that fails twice and passes whole at a lower rate.
func rateLimited(v *diag.View) diag.Verdict {
	t, ok := trafficOf(v)
	if !ok {
		return diag.Open()
	}
	slower := func(f diag.Finding) diag.Finding {
		if t.paced != nil && t.paced.Seen.Whole() {
			f.Args["suggested"] = diag.FormatRate(t.paced.Seen.Rate)
			f.Evidence = append(slices.Clone(f.Evidence), t.paced.Step.Evidence...)
		}
		return f
	}
	if s, ok := t.burst(endedWith(codeRateTooHigh)); ok {
		f := slower(burstFinding(s))
		f.Variant = "disconnect"
		return diag.Holds(f)
	}
	if s, ok := t.burst(func(b *diag.BurstRun) bool {
		return endedWith(codeQuota)(b) || b.Refused > 0 && b.RefusedCode == codeQuota
	}); ok {
		f := slower(burstFinding(s))
		f.Variant = "quota"
		return diag.Holds(f)
	}
	s, ok := first(t.bursts, (*diag.BurstRun).Faulty)
	switch {
	case !ok:
		return diag.Excluded(diag.N("because.burst_whole"))
	case t.again == nil || !t.again.Seen.Faulty():
		return diag.Excluded(diag.N("because.burst_whole_again"))
	case t.paced == nil:
		return diag.Open()
	case !t.paced.Seen.Whole():
		return diag.Excluded(diag.N("because.slow_burst_fails", "rate", diag.FormatRate(t.paced.Seen.Rate)))
	case s.Seen.Unacknowledged() && t.paced.Seen.Unacknowledged():
		return diag.Excluded(diag.N("because.never_acknowledged", "rate", diag.FormatRate(t.paced.Seen.Rate)))
	case !t.telling(s.Seen, t.paced.Seen):
		return diag.Open()
	case t.queued():
		return diag.Excluded(diag.N("because.witness_got_it", "count", strconv.Itoa(t.again.Seen.Witness.OfLost), "lost", strconv.Itoa(t.again.Seen.Lost)))
	case t.steps != nil && t.steps.Seen.Whole() && t.steps.Seen.PerSecond() >= muchFaster*t.paced.Seen.Rate:
		return diag.Excluded(diag.N("because.steps_whole", "rate", diag.FormatRate(t.steps.Seen.PerSecond())))
	case t.qos1 != nil && t.qos1.Seen.Whole():
		return diag.Excluded(diag.N("because.qos1_whole"))
	}
	if _, window := t.burst(endedWith(codeReceiveMaximum)); window {
		return diag.Excluded(diag.N("because.receive_maximum_named"))
	}
	f := slower(burstFinding(s))
	switch b := s.Seen; {
	case b.End != nil:
		f.Variant = "closed"
	case b.Refused > 0:
		f.Variant = "refused"
	case b.Stalled:
		f.Variant = "stalled"
	}
	if !t.lostBefore() && (t.steps == nil || t.steps.Seen.Whole()) {
		// One at a time went through, but on this path that is a slow pace too: a short queue remains possible.
		f.Confidence, f.Readings = diag.Likely, []diag.Code{"msg.lost"}
	}
	return diag.Holds(f)
}

// muchFaster is by how much messages one at a time must be faster than the pace that passes, to exclude a limit on the rate.
const muchFaster = 5

// smallWindow is below what brokers have by default (HiveMQ and RabbitMQ 10, mosquitto 20, EMQX 32).
const smallWindow = 10

// inflightLimited finds a window for unacknowledged messages that is small, or smaller than announced. Where the throughput
// shows it, it is a warning.
func inflightLimited(v *diag.View) diag.Verdict {
	t, ok := trafficOf(v)
	if !ok {
		return diag.Open()
	}
	if s, ok := t.burst(endedWith(codeReceiveMaximum)); ok {
		f := burstFinding(s)
		f.Severity, f.Variant = diag.SeverityWarning, "exceeded"
		f.Args["limit"] = strconv.Itoa(s.Seen.Window)
		return diag.Holds(f.Hiding("msg.lost", "msg.slow"))
	}
	if t.beyond != nil && t.beyond.Seen.Lost > 0 {
		f := burstFinding(*t.beyond)
		f.Variant = "dropped"
		f.Args["limit"], f.Args["suggested"] = strconv.Itoa(t.beyond.Seen.Window), strconv.Itoa(windowOf(t, 2))
		if v.Options.Symptom == diag.SymptomLost && v.Target.Topics.QoS == 2 {
			f.Severity = diag.SeverityWarning // this may be the very loss that is complained of
		}
		return diag.Holds(f)
	}
	for _, s := range t.bursts {
		window, ok := narrowed(t, s.Seen)
		if !ok {
			continue
		}
		f := burstFinding(s)
		f.Severity, f.Variant = diag.SeverityWarning, "delivery"
		f.Args["limit"] = strconv.Itoa(window)
		if s.Seen.Window < smallWindow {
			f.Variant = "publishing"
			f.Args["limit"] = strconv.Itoa(s.Seen.Window)
		}
		return diag.Holds(f.Hiding("msg.slow"))
	}
	if max := t.pair.ReceiveMaximum; max != nil && *max < smallWindow {
		return diag.Holds(diag.Finding{Step: t.pairStep.ID, Evidence: t.pairStep.Evidence, Args: diag.Args{"limit": strconv.Itoa(int(*max))}})
	}
	return diag.Excluded(diag.N("because.window_wide"))
}

func windowOf(t traffic, qos byte) int {
	for _, s := range t.bursts {
		if s.Seen.QoS == qos {
			return s.Seen.Window
		}
	}
	return 0
}

// narrowed tells whether a burst went through a small window, and how many messages it lets be under way: a burst that is
// only so many times faster than messages one at a time, on a path whose round trip explains what one takes.
func narrowed(t traffic, b *diag.BurstRun) (window int, ok bool) {
	if t.steps == nil || !t.steps.Seen.Whole() || !b.Whole() || t.steps.Seen.QoS != b.QoS || t.steps.Seen.PerSecond() == 0 {
		return 0, false
	}
	if b.Took < time.Second || t.steps.Seen.P50 > 2*t.path()+5*time.Millisecond { // then it is not the path that takes the time
		return 0, false
	}
	if b.Window >= smallWindow && b.AckMedian > 3*t.path()+20*time.Millisecond { // the publisher waits, too: not for a subscriber's window
		return 0, false
	}
	ratio := b.PerSecond() / t.steps.Seen.PerSecond()
	window = max(1, int(ratio+0.5))
	if seen := b.UnderWay(t.trip() * 8 / 10); seen > 0 { // what came at once tells it better: rates depend on this machine, too
		if explained := time.Duration(b.Received/seen+1) * t.path(); b.Took > 4*explained { // no, it is something else that takes the time
			return 0, false
		}
		window = seen
	}
	return window, window < smallWindow && ratio < 2*smallWindow
}

// trip is the shortest time that anything took from one client to the other: what was measured once may be too long.
func (t traffic) trip() time.Duration {
	if len(t.pair.Lone) == 0 {
		return t.path()
	}
	return min(t.path(), slices.Min(t.pair.Lone))
}

// messagesLost tells what a loss means by its QoS, by whether it came twice, and by what passed.
func messagesLost(v *diag.View) diag.Verdict {
	t, ok := trafficOf(v)
	s, faulty := first(t.bursts, (*diag.BurstRun).Faulty)
	if !ok || !faulty {
		if f, lost := someLost(v); lost {
			return diag.Holds(f)
		}
	}
	switch {
	case !ok:
		return noSingleLost(v)
	case !faulty:
		return diag.Excluded(diag.N("because.burst_whole"))
	}
	b := s.Seen
	if b.Lost == 0 && b.Unacknowledged() && t.paced != nil && t.paced.Seen.Whole() && t.paced.Seen.Unacknowledged() {
		// All that was sent arrived, at every rate; what the broker lacks is an answer for this QoS.
		return diag.Excluded(diag.N("because.never_acknowledged", "rate", diag.FormatRate(t.paced.Seen.Rate)))
	}
	f := burstFinding(s)
	twice := t.again != nil && t.again.Seen.Faulty()
	if t.paced != nil && t.paced.Seen.Whole() {
		f.Args["suggested"] = diag.FormatRate(t.paced.Seen.Rate)
	}
	switch {
	case b.End != nil:
		f.Variant = "closed"
	case b.Refused > 0 && b.Lost == 0:
		f.Variant = "refused"
	case b.Stalled && b.Lost == 0:
		f.Variant = "stalled"
	case !twice && b.QoS == 0:
		// One burst lost something and the next did not, at a QoS that promises nothing (MQTT 5.0 4.3.1).
		f.Variant, f.Severity, f.Confidence = "once_qos0", diag.SeverityWarning, diag.Possible
		return diag.Holds(f)
	case !twice:
		f.Variant = "once"
	case b.QoS == 0 && t.qos1 != nil && t.qos1.Seen.Whole() && t.paced != nil && t.paced.Seen.Whole():
		f.Variant, f.Severity = "qos0", diag.SeverityWarning
		if !t.telling(b, t.qos1.Seen) {
			f.Confidence = diag.Likely
		}
		return diag.Holds(f)
	case t.queued() && t.paced != nil && t.paced.Seen.Whole(),
		t.steps != nil && t.steps.Seen.Whole() && t.paced != nil && t.paced.Seen.Whole() && t.telling(b, t.steps.Seen):
		f.Variant = "queue"
	case t.paced != nil && t.paced.Seen.Whole(): // by chance, or not
		f.Variant = "few"
	case b.Pattern == diag.LossAll:
		f.Variant = "all"
	case b.Pattern == diag.LossRegular:
		f.Variant = "regular"
	case b.Pattern == diag.LossStart:
		f.Variant = "start"
	}
	if !twice {
		f.Confidence = diag.Likely
		return diag.Holds(f)
	}
	return diag.Holds(f.Hiding("msg.offline_lost", "msg.will_not_delivered")) // of a client that is away it loses no fewer
}

// duplicated tells copies that the broker marks as sent again from copies that it takes for messages of their own.
func duplicated(v *diag.View) diag.Verdict {
	t, ok := trafficOf(v)
	s, doubled := t.burst(func(b *diag.BurstRun) bool { return b.Doubled > 0 })
	if !ok || !doubled {
		if f, some := someDoubled(v); some {
			return diag.Holds(f)
		}
	}
	switch {
	case !ok:
		return diag.Open()
	case !doubled:
		return diag.Excluded(diag.N("because.nothing_doubled"))
	}
	f := burstFinding(s)
	b := s.Seen
	f.Args["doubled"] = strconv.Itoa(b.Doubled)
	switch {
	case b.Loop:
		f.Variant = "loop"
	case b.Dup == b.Extra:
		f.Variant = "redelivered"
	case b.QoS == 2 && b.Delivered == 2:
		f.Variant = "exactly_once"
	}
	if t.again == nil || t.again.Seen.Doubled == 0 {
		f.Confidence = diag.Likely // once
	}
	return diag.Holds(f)
}

// matchingFilters lists the user's filters that match the user's topic.
func matchingFilters(v *diag.View) []string {
	var out []string
	for _, s := range diag.SeenBy[*diag.FilterMatch](v, checkFilter) {
		if s.Seen.Matches && !slices.Contains(out, s.Seen.Filter) {
			out = append(out, s.Seen.Filter)
		}
	}
	return out
}

func outOfOrder(v *diag.View) diag.Verdict {
	t, ok := trafficOf(v)
	if !ok {
		return diag.Open()
	}
	s, ok := t.burst(func(b *diag.BurstRun) bool { return b.Reordered > 0 })
	if !ok {
		return diag.Excluded(diag.N("because.in_order"))
	}
	f := burstFinding(s)
	f.Args["reordered"] = strconv.Itoa(s.Seen.Reordered)
	if t.again == nil || t.again.Seen.Reordered == 0 {
		f.Confidence = diag.Likely
	}
	return diag.Holds(f)
}

// headBytes bounds the payloads of a hundred messages whose queueing may be judged: more may simply be a slow line.
const headBytes = 64 << 10

// slowMessages looks at single messages first: with nothing else under way, only the broker can hold them back. Then at the
// first hundred of a burst, which may wait in a queue.
func slowMessages(v *diag.View) diag.Verdict {
	t, _ := trafficOf(v)
	if t.pair == nil || !t.pair.Works() {
		return allSlow(v)
	}
	limit := diag.SlowDelivery(t.path())
	if median := t.pair.Median(); t.pair.Arrived() >= 2 && median > limit {
		f := diag.Finding{Step: t.pairStep.ID, Args: diag.Args{"duration": diag.FormatMS(median) + " ms", "rtt": diag.FormatMS(t.path()) + " ms",
			"count": strconv.Itoa(len(t.pair.Singly(2))), "qos": strconv.Itoa(int(t.pair.QoS))}}
		f.Evidence = append(shares(t.path(), median, 0), t.pairStep.Evidence...)
		if min(t.pair.PublisherPing, t.pair.SubscriberPing) > limit/2 {
			f.Variant = "everything"
		}
		return diag.Holds(f)
	}
	for _, s := range t.bursts {
		b := s.Seen
		if b.Faulty() || b.Received < min(b.Sent, 20) || b.Extra > b.Received || // copies take the time
			headMessages*b.PayloadBytes > headBytes || b.Ran(b.Head) <= diag.SlowDelivery(max(t.path(), t.pair.Median())) {
			continue
		}
		f := burstFinding(s)
		f.Variant = "queue"
		if b.AckMedian > b.Head/2 {
			f.Variant = "throttled"
		}
		f.Args["duration"], f.Args["rtt"] = diag.FormatMS(b.Head)+" ms", diag.FormatMS(t.pair.Median())+" ms"
		f.Evidence = append(shares(t.path(), t.pair.Median(), b.Head), s.Step.Evidence...)
		return diag.Holds(f)
	}
	if f, late := acknowledgedLate(t); late {
		return diag.Holds(f)
	}
	if f, steady := slowByHabit(v, t); steady {
		return diag.Holds(f)
	}
	return diag.Excluded(diag.N("because.delivered_soon", "duration", diag.FormatMS(t.pair.Median())+" ms"))
}

// acknowledgedLate finds a burst that was delivered soon, and acknowledged late: a publisher that waits is slow all the same.
func acknowledgedLate(t traffic) (diag.Finding, bool) {
	s, ok := first(t.bursts, func(b *diag.BurstRun) bool {
		return b.QoS > 0 && !b.Faulty() && b.Acked == b.Sent && headMessages*b.PayloadBytes <= headBytes &&
			b.Ran(b.AckMedian) > diag.SlowDelivery(max(t.path(), t.pair.PublisherPing))
	})
	if !ok {
		return diag.Finding{}, false
	}
	f := burstFinding(s)
	f.Variant = "acknowledged_late"
	f.Args["duration"], f.Args["rtt"] = diag.FormatMS(s.Seen.AckMedian)+" ms", diag.FormatMS(t.pair.Median())+" ms"
	return f, true
}

// steadyDelay is more than delayed acknowledgements and Nagle's algorithm add to a message; a packet that is sent again adds
// more, to one message in many.
const steadyDelay = 280 * time.Millisecond

// slowByHabit finds a broker that holds back every single message for a time that most clients would not mind, where the
// complaint is of that: pings on the same connections are answered at once.
func slowByHabit(v *diag.View, t traffic) (diag.Finding, bool) {
	const several, soon, share = 4, 50 * time.Millisecond, 6
	p := t.pair
	if v.Options.Symptom != diag.SymptomSlow || p.Arrived() < several || slices.Min(p.Singly(several)) <= t.path()+steadyDelay ||
		max(p.PublisherPing, p.SubscriberPing) > t.path()+max(soon, (slices.Min(p.Singly(several))-t.path())/share) {
		return diag.Finding{}, false
	}
	f := diag.Finding{Variant: "steady", Confidence: diag.Likely, Step: t.pairStep.ID, Args: diag.Args{"duration": diag.FormatMS(p.Median()) + " ms",
		"rtt": diag.FormatMS(t.path()) + " ms", "count": strconv.Itoa(len(p.Singly(several))), "qos": strconv.Itoa(int(p.QoS))}}
	f.Evidence = append(shares(t.path(), p.Median(), 0), t.pairStep.Evidence...)
	return f, true
}

// headMessages is how many messages a burst's head is of.
const headMessages = 100

// shares splits a delivery: what the network takes, what the broker adds to a single message, and what waiting adds in a burst.
func shares(path, lone, head time.Duration) []diag.Evidence {
	out := []diag.Evidence{diag.MS(diag.EvShareNetwork, path), diag.MS(diag.EvShareBroker, max(0, lone-path))}
	if head > 0 {
		out = append(out, diag.MS(diag.EvShareQueue, max(0, head-lone)))
	}
	return out
}
