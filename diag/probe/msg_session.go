package probe

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

const (
	checkSession diag.ProbeID = "msg.session"

	// awayMessages is more than mosquitto keeps with a max_queued_messages of 10 (and 20 in flight), and well below every
	// broker's default: 100 in mosquitto 1, 1000 in mosquitto 2, EMQX, HiveMQ and VerneMQ.
	awayMessages = 60
	fewMessages  = 10 // where only their coming is the question
	// mostMessages bounds what a single try sends; sendWindow what is unacknowledged of it.
	mostMessages = 5000
	sendWindow   = 20
	// keptFor is asked for where the user's client does not say how long: a few minutes, so that nothing stays long even if the
	// session cannot be ended.
	keptFor = 3 * time.Minute
	// longKeepAlive is longer than a client of ours is idle.
	longKeepAlive = 120
	// noticeTime is what a broker may need to notice that a client has left, or to pass on what it has acknowledged, beside a
	// round trip: on a path with 300 ms NATS still hands messages to a client that has gone 100 ms ago.
	noticeTime = 100 * time.Millisecond
)

// searchCounts are tried one after the other to find the limit of the queue; they need consent.
var searchCounts = []int{1200, mostMessages}

// awaySymptoms are those that a session which is not kept can explain.
var awaySymptoms = []diag.Symptom{diag.SymptomLost, diag.SymptomNotReceiving, diag.SymptomDrops}

// afterBursts are the probes whose times and counts another that publishes would change.
var afterBursts = append([]diag.ProbeID{checkPair, checkQoSGrid, checkBurst, checkBurstAgain, checkBurstSteps, checkBurstPaced, checkBurstQoS1, checkSize,
	checkRetained, "msg.retained_own"}, afterMessages...)

// msgSession lets a temporary client subscribe and leave with its session kept, publishes meanwhile, and looks at what is there
// on its return. The session is ended in any case.
var msgSession = diag.Probe{
	ID: checkSession, Layer: diag.LayerMsg, Depth: diag.DepthStandard, Symptoms: awaySymptoms,
	// Not beside the wills, which may be published to the same topic: kept for this client they would take places in its queue.
	Needs: append([]diag.ProbeID{checkWill}, afterBursts...),
	Applies: func(t diag.Target, o diag.PlanOptions) bool {
		return measuresKept(o) || asksToKeep(t, t.Protocol)
	},
	Ready: func(v *diag.View) diag.Decision {
		if d := readyForPair(v); !d.Runs() {
			return d
		}
		if !measuresKept(v.Options) && !asksToKeep(v.Target, acceptedVersion(v)) {
			return diag.Skip(diag.N("skip.not_the_question"))
		}
		return diag.Run()
	},
	Budget: 100 * time.Second, // several slow connections, and thousands of messages where they were asked for
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		k := newKept(env, main)
		k.run(ctx, env)
		return keptResult(k.o)
	},
}

// measuresKept tells whether a kept session is looked at, whether the user's client asks for one or not.
func measuresKept(o diag.PlanOptions) bool {
	return o.Depth == diag.DepthDeep || slices.Contains(awaySymptoms, o.Symptom) || slices.Contains(o.Include, checkSession)
}

// asksToKeep tells whether the user's client asks for a session that outlasts its connection. In MQTT 5 it must ask for a time
// too (MQTT 5.0 3.1.2.11.2).
func asksToKeep(t diag.Target, v diag.Version) bool {
	return !t.CleanStart && (v != diag.Version5 || t.SessionExpiry > 0)
}

// acceptedVersion is that of the asked session.
func acceptedVersion(v *diag.View) diag.Version {
	for _, o := range askedConnects(v) {
		if o.Accepted() {
			return o.Version
		}
	}
	return v.Target.Protocol
}

func keptResult(o *diag.KeptSession) diag.Result {
	args := []string{"topic", o.Topic}
	if o.Stage != diag.StageDone {
		if o.Stage == diag.StageSubscribe && o.Outcome == diag.OutcomeOK {
			return diag.Passed(o, diag.N("step.msg.session.qos0", args...))
		}
		return diag.Warned(o, diag.N("step.msg.session."+string(o.Stage), append(args, "symbol", string(o.Outcome))...))
	}
	for _, r := range o.Returns {
		if !r.Kept() {
			return diag.Warned(o, diag.N("step.msg.session.not_kept", args...))
		}
	}
	for _, r := range o.Returns {
		if !r.Search && r.Part() != diag.PartAll {
			return diag.Warned(o, diag.N("step.msg.session.missing", append(args, "count", strconv.Itoa(r.Arrived), "total", strconv.Itoa(r.Sent))...))
		}
	}
	args = append(args, "count", strconv.Itoa(o.Returns[0].Arrived), "total", strconv.Itoa(o.Returns[0].Sent))
	if o.Unflagged() {
		return diag.Warned(o, diag.N("step.msg.session.unflagged", args...))
	}
	if limit, _, ok := o.Limit(); ok {
		return diag.Passed(o, diag.N("step.msg.session.limit", append(args, "limit", strconv.Itoa(limit))...))
	}
	return diag.Passed(o, diag.N("step.msg.session.ok", args...))
}

// kept is the measurement while it goes on.
type kept struct {
	like   *exchange // the asked session, whose version and address are used
	id     string    // of the client whose session is to be kept
	filter string
	o      *diag.KeptSession

	pub     mqttwire.Session
	sub     mqttwire.Session // nil while it is away
	back    time.Time        // its last CONNACK
	present bool             // what that one said
	made    bool             // a session of ours may exist

	patience time.Duration // for kept messages
}

func newKept(env *diag.Env, main *exchange) *kept {
	k := &kept{like: main, id: temporaryClientID(), o: &diag.KeptSession{Version: main.version, Address: main.address, Code: -1, Granted: -1,
		Stage: diag.StageConnect, Outcome: diag.OutcomeOK}}
	k.patience = max(echoWait(env, main.address), time.Duration(latePatience*float64(env.Options.Timeout)))
	k.o.Topic, k.filter, k.o.Scratch = scratchOr(env, "session")
	k.o.Wanted = asksToKeep(env.Target, main.version)
	if main.version == diag.Version5 {
		k.o.ExpiryS = uint32(keptFor.Seconds())
		if k.o.Wanted {
			k.o.ExpiryS = uint32(env.Target.SessionExpiry.Seconds())
		}
	}
	return k
}

// scratchOr is the topic for a measurement: below our prefix, or with consent the user's own where ours is denied.
func scratchOr(env *diag.Env, leaf string) (topic, filter string, scratch bool) {
	topic, filter, _ = pairTopic(env.View, env.RunID)
	if topic == env.Target.Topics.Publish {
		return topic, filter, false
	}
	topic = "mqttdoctor/" + env.RunID + "/" + leaf
	return topic, topic, true
}

// run measures and ends the session, whatever came of it.
func (k *kept) run(ctx context.Context, env *diag.Env) {
	defer func() {
		var group sync.WaitGroup
		group.Go(func() { leaveSession(ctx, k.pub) })
		k.o.Ended = k.end(ctx, env)
		group.Wait()
	}()
	if !k.open(ctx, env) || !k.subscribe(ctx, env) || !k.live(ctx, env) {
		return
	}
	count := awayMessages
	if env.Options.Burst.Count > 100 { // more than anybody is asked for unasked
		count = min(env.Options.Burst.Count, mostMessages)
	}
	first, ok := k.away(ctx, env, diag.LeaveDisconnect, count, false)
	switch {
	case !ok:
		return
	case !first.Kept():
		// Once may be chance, and some brokers keep sessions only of clients that were cut off.
		if k.subscribe(ctx, env) {
			k.away(ctx, env, diag.LeaveCut, fewMessages, false)
		}
	case first.Part() != diag.PartAll:
		if k.away(ctx, env, diag.LeaveDisconnect, count, false); ctx.Err() == nil && k.sub != nil {
			k.o.Live = k.whileThere(ctx, env, count)
		}
	case env.Options.Depth == diag.DepthDeep:
		if _, ok = k.away(ctx, env, diag.LeaveCut, fewMessages, false); ok && env.Options.Intrusive {
			k.search(ctx, env)
		}
	}
	if k.o.Outcome == diag.OutcomeOK && ctx.Err() == nil {
		k.o.Stage = diag.StageDone
	}
}

// search sends ever more messages until some are missing, and then as many once more: a limit shows alike both times.
func (k *kept) search(ctx context.Context, env *diag.Env) {
	for _, count := range searchCounts {
		r, ok := k.away(ctx, env, diag.LeaveDisconnect, count, true)
		if !ok || !r.Kept() {
			return
		}
		if r.Part() != diag.PartAll {
			k.away(ctx, env, diag.LeaveDisconnect, count, true)
			return
		}
	}
}

// open connects both clients side by side.
func (k *kept) open(ctx context.Context, env *diag.Env) bool {
	var group sync.WaitGroup
	var failed *diag.Attempt
	group.Go(func() { failed = k.publisher(ctx, env) })
	ok := k.connect(ctx, env)
	group.Wait()
	if ok && failed != nil {
		k.stop(diag.StagePublisher)
		k.o.Outcome, k.o.Code, k.o.Reason = endOfAttempt(failed)
	}
	return ok && failed == nil
}

func (k *kept) route(env *diag.Env, change func(*route)) route {
	return askedRoute(env.Target, k.like.address).with(diag.PurposeOtherClientID, "session", func(r *route) {
		r.MQTT.Version, r.WS.Subprotocols = k.like.version, subprotocolsFor(k.like.version)
		r.MQTT.KeepAliveS = longKeepAlive
		if change != nil {
			change(r)
		}
	})
}

// publisher connects the client that publishes, where it is not connected; the attempt is nil where it is.
func (k *kept) publisher(ctx context.Context, env *diag.Env) *diag.Attempt {
	if k.pub != nil && !ended(k.pub) {
		return nil
	}
	if k.pub != nil {
		_ = k.pub.Close()
		k.pub = nil
	}
	a, l := walk(ctx, env, k.route(env, nil), upToMQTT)
	if l == nil || l.Session == nil {
		return a
	}
	k.pub = l.Session
	return nil
}

// connect opens a connection of the client whose session is kept.
func (k *kept) connect(ctx context.Context, env *diag.Env) bool {
	k.made = true
	ctx, heard := answerTime(ctx)
	defer heard()
	a, l := walk(ctx, env, k.route(env, func(r *route) {
		r.MQTT.ClientID, r.MQTT.Kept, r.MQTT.SessionExpiryS = k.id, true, k.o.ExpiryS
	}), upToMQTT)
	if l == nil || l.Session == nil {
		k.made = a.MQTT != nil
		k.o.Outcome, k.o.Code, k.o.Reason = endOfAttempt(a)
		return false
	}
	k.sub, k.back, k.present = l.Session, time.Now(), a.MQTT.SessionPresent
	if a.MQTT.Props != nil {
		k.o.Announced = a.MQTT.Props.SessionExpiryS
	}
	return true
}

func (k *kept) stop(at diag.KeptStage) { k.o.Stage = at }

func (k *kept) fail(f *mqttwire.Failure) bool {
	k.o.Outcome, k.o.Reason = outcomeOfFailure(f.Kind), f.Reason
	if f.Kind == mqttwire.FailRefused {
		k.o.Code = int(f.Code)
	}
	return false
}

func (k *kept) subscribe(ctx context.Context, env *diag.Env) bool {
	k.stop(diag.StageSubscribe)
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	result, failure := k.sub.Subscribe(ctx, []mqttwire.Subscription{{Filter: k.filter, QoS: 1}})
	if failure != nil && len(result.Codes) == 0 {
		return k.fail(failure)
	}
	if code := result.Codes[0]; code >= 0x80 {
		k.o.Outcome, k.o.Code, k.o.Reason = diag.OutcomeRefused, int(code), mqttwire.SubackReason(wireVersion(k.like.version), code)
		return false
	}
	k.o.Granted = int(result.Codes[0])
	return k.o.Granted > 0 // at QoS 0 nothing need be kept (MQTT 5.0 4.1)
}

// live sends a message to the client while it is there: without that, its absence proves nothing.
func (k *kept) live(ctx context.Context, env *diag.Env) bool {
	k.stop(diag.StageLive)
	for range 2 { // a route through a cluster may need a moment after the SUBACK
		switch c, ok := k.exchange(ctx, env, 1); {
		case !ok:
			return false
		case c.Arrived == 1:
			return true
		}
	}
	if k.o.Outcome = diag.OutcomeSilent; ended(k.sub) {
		k.o.Outcome = outcomeOfFailure(k.sub.ClosedBy().Kind)
	}
	return false
}

// exchange sends messages to the client while it is there.
func (k *kept) exchange(ctx context.Context, env *diag.Env, count int) (diag.KeptCount, bool) {
	begun := time.Now()
	numbers, ok := k.send(ctx, env, count)
	if !ok || len(numbers) == 0 {
		return diag.KeptCount{QoS: -1}, false
	}
	return k.receive(ctx, env, numbers, begun, 2*echoWait(env, k.like.address)), ctx.Err() == nil
}

func (k *kept) whileThere(ctx context.Context, env *diag.Env, count int) *diag.KeptCount {
	c, ok := k.exchange(ctx, env, count)
	if !ok {
		return nil
	}
	return &c
}

// send publishes messages at QoS 1, a window at a time, and numbers those that were acknowledged.
func (k *kept) send(ctx context.Context, env *diag.Env, count int) (numbers map[string]int, ok bool) {
	numbers = map[string]int{}
	for sent := 0; sent < count && ctx.Err() == nil; {
		bounded, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		window := make([]*mqttwire.PendingPublish, min(sendWindow, count-sent))
		markers := make([]string, len(window))
		for i := range window {
			markers[i] = newMarker(env.RunID)
			window[i] = k.pub.StartPublishContext(bounded, mqttwire.Message{Topic: k.o.Topic, Payload: []byte(markers[i]), QoS: 1})
		}
		for i, pending := range window {
			acked, failure := pending.Wait(bounded)
			switch {
			case failure != nil && len(numbers) == 0:
				k.fail(failure)
			case failure == nil && acked.Code >= 0x80 && len(numbers) == 0:
				k.o.Outcome, k.o.Code, k.o.Reason = diag.OutcomeRefused, int(acked.Code), acked.Reason
			case failure == nil && acked.Code < 0x80:
				numbers[markers[i]] = len(numbers) + 1
			}
		}
		cancel()
		sent += len(window)
		if len(numbers) < sent {
			break // refused or broken: what was taken so far is what counts
		}
		if count > 100 {
			env.Progress(sent, count, "messages")
		}
	}
	if len(numbers) > 0 {
		k.o.Outcome, k.o.Code, k.o.Reason = diag.OutcomeOK, -1, ""
	}
	return numbers, ctx.Err() == nil
}

// latePatience is how many time-outs kept messages are awaited that have not come: ApsaraMQ hands them out by thirties, five
// seconds apart, and the first of them up to ten seconds late.
const latePatience = 2.4

// receive takes what comes until all messages have, or nothing has come for the given time.
func (k *kept) receive(ctx context.Context, env *diag.Env, numbers map[string]int, begun time.Time, wait time.Duration) diag.KeptCount {
	c := diag.KeptCount{Sent: len(numbers), QoS: -1}
	seen := map[int]bool{}
	last, gap := begun, time.Duration(0)
	quiet, heard, cancel := patience.WithQuiet(ctx, wait)
	defer cancel()
	for c.Arrived < c.Sent {
		select {
		case m, open := <-k.sub.Messages():
			if !open {
				return c
			}
			number, ours := numbers[string(m.Payload)]
			if !ours {
				c.Others++
				continue
			}
			heard()
			gap, last = max(gap, m.At.Sub(last)), m.At
			take(&c, seen, number, m)
			c.Took = max(0, m.At.Sub(begun))
		case <-quiet.Done():
			if ctx.Err() != nil {
				return c
			}
			c.Waited = wait
			// Once is enough to see that no more come so late.
			k.patience = min(k.patience, max(echoWait(env, k.like.address), 2*gap))
			return c
		}
	}
	return c
}

// take counts a copy of a numbered message.
func take(c *diag.KeptCount, seen map[int]bool, number int, m mqttwire.Received) {
	switch {
	case seen[number] && m.Dup:
		c.Repeated++
		return
	case seen[number]:
		c.Duplicates++
		return
	}
	seen[number] = true
	if number < c.Highest {
		c.OutOfOrder++
	}
	if c.Lowest == 0 || number < c.Lowest {
		c.Lowest = number
	}
	if c.QoS < 0 || int(m.QoS) < c.QoS {
		c.QoS = int(m.QoS)
	}
	c.Arrived++
	c.Highest = max(c.Highest, number)
}

// letNotice gives the broker time to take note of what has just happened; false: the run was canceled meanwhile.
func (k *kept) letNotice(ctx context.Context, env *diag.Env) bool {
	return pauseFor(ctx, noticeTime+roundTrip(env.View, k.like.address))
}

// away leaves, publishes and comes back. With ok false it did not get that far: the stage says how far.
func (k *kept) away(ctx context.Context, env *diag.Env, how diag.Leave, count int, search bool) (r diag.KeptReturn, ok bool) {
	k.stop(diag.StageAway)
	r = diag.KeptReturn{Left: how, Search: search}
	if how == diag.LeaveDisconnect {
		bounded, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		_ = k.sub.Disconnect(bounded)
		cancel()
	}
	_ = k.sub.Close()
	k.sub = nil
	if !k.letNotice(ctx, env) {
		return r, false
	}
	if failed := k.publisher(ctx, env); failed != nil {
		k.o.Outcome, k.o.Code, k.o.Reason = endOfAttempt(failed)
		return r, false
	}
	numbers, ok := k.send(ctx, env, count)
	if !ok || len(numbers) == 0 || !k.letNotice(ctx, env) { // it may acknowledge a message before it has passed it on
		return r, false
	}
	k.stop(diag.StageReturn)
	if !k.connect(ctx, env) {
		return r, false
	}
	r.Present = k.present
	wait := k.patience
	if !r.Present && k.like.version != diag.Version31 {
		wait = echoWait(env, k.like.address)
	}
	r.KeptCount = k.receive(ctx, env, numbers, k.back, wait)
	if ctx.Err() != nil || r.Arrived == 0 && ended(k.sub) {
		return r, false
	}
	if r.Arrived == 0 && (r.Present || k.like.version == diag.Version31) {
		c, ok := k.exchange(ctx, env, 1)
		if !ok {
			return r, false
		}
		subscribed := c.Arrived > 0
		r.Subscribed = &subscribed
	}
	k.o.Returns = append(k.o.Returns, r)
	return r, true
}

// end ends the session: a CONNECT with clean start discards it, and the new one ends with its connection (MQTT 5.0 3.1.2.4).
// It does so also where the run was canceled, for as long as a run waits for that.
func (k *kept) end(ctx context.Context, env *diag.Env) bool {
	if !k.made {
		return true
	}
	bound, tries := 2*env.Options.Timeout, 2
	if ctx.Err() != nil {
		bound, tries = cleanupGrace, 1
	}
	ctx, cancel := patience.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	if k.sub != nil {
		bounded, done := patience.WithTimeout(ctx, leaveBound)
		none := uint32(0)
		_ = k.sub.DisconnectWith(bounded, mqttwire.Disconnection{SessionExpiry: &none})
		done()
		_ = k.sub.Close()
		k.sub = nil
	}
	for range tries {
		_, l := walk(ctx, env, k.route(env, func(r *route) { r.MQTT.ClientID = k.id }), upToMQTT)
		if l != nil && l.Session != nil {
			leaveSession(ctx, l.Session)
			return true
		}
	}
	return false
}

// cleanupGrace is how long a probe may take for what it must not leave behind, once its run was canceled: less than the runner
// waits for it.
const cleanupGrace = 2500 * time.Millisecond

// answerTime outlives a canceled run by the moment in which a CONNECT is answered that asks for a session to be kept. A broker may
// read it later than one on another connection that is to end the session, and the session would stay.
func answerTime(ctx context.Context) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		late, _ := patience.WithTimeout(lasting, answerGrace) // it ends with lasting, if not before
		context.AfterFunc(late, cancel)
	})
	return lasting, func() {
		stop()
		cancel()
	}
}

// answerGrace and cleanupGrace together are less than the runner waits.
const answerGrace = 400 * time.Millisecond

// leaveSession ends a session in order; nil is none.
func leaveSession(ctx context.Context, s mqttwire.Session) {
	if s == nil {
		return
	}
	bounded, cancel := patience.WithTimeout(context.WithoutCancel(ctx), leaveBound)
	defer cancel()
	_ = s.Disconnect(bounded)
	_ = s.Close()
}
