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
	checkPair diag.ProbeID = "msg.pair"

	// stashPair is where the two clients live until the end of the run.
	stashPair = diag.StashMQTT + "pair"

	loneMessages = 5               // odd, so that one slow message is not the median
	loneBound    = 6 * time.Second // for all of them: a broker that takes long for each has shown it by then
	pairPings    = 3
	leaveBound   = 500 * time.Millisecond
)

// trafficSymptoms are those for which messages between two clients are measured in a standard run.
var trafficSymptoms = []diag.Symptom{diag.SymptomLost, diag.SymptomDuplicate, diag.SymptomSlow, diag.SymptomNotReceiving}

// msgPair connects a publisher and a subscriber of our own and sends single messages from one to the other. It comes behind what
// uses the asked session, which it would disturb.
var msgPair = diag.Probe{
	ID: checkPair, Layer: diag.LayerMsg, Depth: diag.DepthDeep, Symptoms: trafficSymptoms,
	Needs:  afterMessages,
	Ready:  readyForPair,
	Budget: 90 * time.Second, // two slow connections, and messages at a broker that takes seconds for each
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		p := newPair(env, main)
		o := p.open(ctx, env)
		if o.Works() {
			p.measure(ctx, env, o)
		}
		if !o.Works() {
			_ = p.Close()
			return pairResult(o)
		}
		env.Stash.Put(stashPair, p)
		return pairResult(o)
	},
}

func pairResult(o *diag.ClientPair) diag.Result {
	args := []string{"topic", o.Topic, "qos", strconv.Itoa(int(o.QoS))}
	switch {
	case o.Works():
		return diag.Passed(o, diag.N("step.msg.pair.ok", append(args, "duration", diag.FormatMS(o.Median())+" ms", "rtt", diag.FormatMS(o.PathRTT)+" ms")...))
	case o.Failed != "":
		return diag.Warned(o, diag.N("step.msg.pair."+string(o.Failed), append(args, "symbol", string(o.Outcome))...))
	}
	return diag.Warned(o, diag.N("step.msg.pair.silent", append(args, "duration", diag.FormatMS(o.Waited)+" ms")...))
}

// readyForPair needs a topic that the pair may use: ours, or with the user's consent theirs.
func readyForPair(v *diag.View) diag.Decision {
	if d := needSession(v); !d.Runs() {
		return d
	}
	if _, _, ok := pairTopic(v, ""); !ok {
		return diag.Skip(diag.N("skip.scratch_denied"))
	}
	return diag.Run()
}

// pairTopic chooses the topic for bulk: ours, unless the broker was seen to deny it. The user's own needs a subscription of
// theirs that matches it, and consent.
func pairTopic(v *diag.View, runID string) (topic, filter string, ok bool) {
	denied := slices.ContainsFunc(diag.SeenBy[*diag.Subscription](v, checkSubscribe), func(s diag.Sight[*diag.Subscription]) bool {
		return s.Seen.Scratch && s.Seen.Outcome != diag.OutcomeOK
	})
	tried, came := false, false
	for _, s := range diag.SeenBy[*diag.Delivery](v, checkRoundTrip) {
		tried = tried || s.Seen.Scratch
		came = came || s.Seen.Scratch && s.Seen.Delivered
	}
	if !denied && (came || !tried) {
		topic = "mqttdoctor/" + runID + "/pair"
		return topic, topic, true
	}
	own := v.Target.Topics
	if !v.Options.Intrusive || own.Publish == "" {
		return "", "", false
	}
	for _, f := range own.Subscribe {
		if matches, _ := mqttwire.Match(f, own.Publish); matches {
			return own.Publish, f, true
		}
	}
	return "", "", false
}

// pair is a publisher and a subscriber. One measurement at a time uses it: it holds turn.
type pair struct {
	like    *exchange // the asked session, whose version and address they share
	topic   string
	filter  string
	scratch bool
	qos     byte // asked for in the subscription
	turn    sync.Mutex

	pub, sub *pairEnd

	mu      sync.Mutex
	sinks   map[diag.Side]func(mqttwire.Received)
	filters map[string]byte // what the subscriber subscribes to
}

// pairEnd is one of the clients. Its goroutines end with the session.
type pairEnd struct {
	mqttwire.Session
	connect *diag.MQTTConnect
	rtt     time.Duration // of the TCP handshake
	group   sync.WaitGroup
}

func newPair(env *diag.Env, main *exchange) *pair {
	p := &pair{like: main, filters: map[string]byte{}, sinks: map[diag.Side]func(mqttwire.Received){}}
	p.topic, p.filter, _ = pairTopic(env.View, env.RunID)
	p.scratch = p.topic != env.Target.Topics.Publish
	p.qos = env.Target.Topics.QoS
	for _, s := range diag.SeenBy[*diag.Subscription](env.View, checkSubscribe) {
		if granted, ok := s.Seen.Granted(); ok && s.Seen.Scratch {
			p.qos = max(p.qos, granted)
		}
	}
	p.qos = max(p.qos, env.Options.Burst.QoS)
	return p
}

// borrowPair returns the pair once it works.
func borrowPair(env *diag.Env) (*pair, bool) {
	item, ok := env.Stash.Borrow(stashPair)
	p, isPair := item.(*pair)
	return p, ok && isPair
}

// needPair decides for the checks that use the pair.
func needPair(v *diag.View) diag.Decision {
	for _, s := range diag.SeenBy[*diag.ClientPair](v, checkPair) {
		if s.Seen.Works() {
			return diag.Run()
		}
	}
	return diag.Skip(diag.N("skip.no_pair"))
}

// open connects both clients side by side and subscribes.
func (p *pair) open(ctx context.Context, env *diag.Env) *diag.ClientPair {
	o := &diag.ClientPair{Version: p.like.version, Address: p.like.address, Topic: p.topic, Scratch: p.scratch, Code: -1, Granted: -1,
		QoS: env.Options.Burst.QoS, Outcome: diag.OutcomeOK}
	p.connect(ctx, env, o)
	if !o.Works() {
		return o
	}
	o.ReceiveMaximum, o.MaximumQoS = announced(p.pub)
	o.QoS = min(o.QoS, maximumQoS(p.pub.connect))
	if o.PathRTT = min(p.pub.rtt, p.sub.rtt); o.PathRTT == 0 {
		o.PathRTT = max(p.pub.rtt, p.sub.rtt)
	}
	p.subscribe(ctx, env, o, p.filter, p.qos)
	return o
}

func announced(e *pairEnd) (receiveMaximum *uint16, maximumQoS *byte) {
	if props := e.connect.Props; props != nil {
		return props.ReceiveMaximum, props.MaximumQoS
	}
	return nil, nil
}

// connect opens the ends that are not open: at first both.
func (p *pair) connect(ctx context.Context, env *diag.Env, o *diag.ClientPair) {
	var group sync.WaitGroup
	ends := []**pairEnd{&p.pub, &p.sub}
	attempts := make([]*diag.Attempt, len(ends))
	for i, side := range []diag.Side{diag.SidePublisher, diag.SideSubscriber} {
		if old := *ends[i]; old != nil {
			if !ended(old) {
				continue
			}
			_ = old.Close()
			old.group.Wait()
		}
		group.Go(func() { attempts[i], *ends[i] = p.dial(ctx, env, side) })
	}
	group.Wait()
	for i, side := range []diag.Side{diag.SidePublisher, diag.SideSubscriber} {
		if *ends[i] == nil {
			o.Failed = side
			o.Outcome, o.Code, o.Reason = endOfAttempt(attempts[i])
			return
		}
	}
}

// dial connects one client and starts what reads and what keeps it alive.
func (p *pair) dial(ctx context.Context, env *diag.Env, side diag.Side) (*diag.Attempt, *pairEnd) {
	r := askedRoute(env.Target, p.like.address).with(diag.PurposeOtherClientID, string(side), func(r *route) {
		r.MQTT.Version, r.WS.Subprotocols = p.like.version, subprotocolsFor(p.like.version)
	})
	a, l := walk(ctx, env, r, upToMQTT)
	if l == nil || l.Session == nil {
		return a, nil
	}
	e := &pairEnd{Session: l.Session, connect: a.MQTT}
	if a.TCP != nil {
		e.rtt = a.TCP.RTT
	}
	e.group.Go(func() {
		for m := range e.Messages() {
			p.mu.Lock() // held while it is called, so that nothing is taken any more once listen has returned
			if sink := p.sinks[side]; sink != nil {
				sink(m)
			}
			p.mu.Unlock()
		}
	})
	e.group.Go(func() { keepAlive(e, beat(a.MQTT)) })
	return a, e
}

func ended(s mqttwire.Session) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// endOfAttempt tells where a connection of ours failed.
func endOfAttempt(a *diag.Attempt) (outcome diag.Outcome, code int, reason string) {
	switch {
	case a.MQTT != nil:
		return a.MQTT.Outcome, a.MQTT.Code, a.MQTT.Reason
	case a.WS != nil && a.WS.Outcome != diag.OutcomeOK:
		return a.WS.Outcome, -1, ""
	case a.TLS != nil && a.TLS.Outcome != diag.OutcomeOK:
		return a.TLS.Outcome, -1, ""
	case a.TCP != nil && a.TCP.Outcome != diag.OutcomeOK:
		return a.TCP.Outcome, -1, ""
	}
	return diag.OutcomeClosed, -1, ""
}

// subscribe adds a filter to the subscriber.
func (p *pair) subscribe(ctx context.Context, env *diag.Env, o *diag.ClientPair, filter string, qos byte) {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	result, failure := p.sub.Subscribe(ctx, []mqttwire.Subscription{{Filter: filter, QoS: qos, RetainHandling: p.noRetained()}})
	switch {
	case failure != nil && len(result.Codes) == 0:
		o.Failed, o.Outcome, o.Reason = diag.SideSubscriber, outcomeOfFailure(failure.Kind), failure.Reason
		if failure.Kind == mqttwire.FailRefused {
			o.Code = int(failure.Code)
		}
	case result.Codes[0] >= 0x80:
		o.Failed, o.Outcome, o.Code = diag.SideSubscriber, diag.OutcomeRefused, int(result.Codes[0])
		o.Reason = mqttwire.SubackReason(wireVersion(p.like.version), result.Codes[0])
	default:
		o.Granted = int(result.Codes[0])
		p.mu.Lock()
		p.filters[filter] = qos
		p.mu.Unlock()
	}
}

// noRetained asks a server of MQTT 5 for no retained messages (MQTT 5.0 3.8.3.1): there may be some on the user's own topic.
func (p *pair) noRetained() byte {
	if p.like.version == diag.Version5 {
		return 2
	}
	return 0
}

// renew brings back a client whose connection has ended, with its subscriptions; ok is false where that did not work.
func (p *pair) renew(ctx context.Context, env *diag.Env) (o *diag.ClientPair, ok bool) {
	o = &diag.ClientPair{Version: p.like.version, Code: -1, Outcome: diag.OutcomeOK}
	again := ended(p.sub)
	p.connect(ctx, env, o)
	if !o.Works() {
		return o, false
	}
	if again {
		for filter, qos := range p.filters {
			if p.subscribe(ctx, env, o, filter, qos); !o.Works() {
				return o, false
			}
		}
	}
	return o, true
}

// listen gives what arrives at the subscriber to f from now on, nil: to nobody. f is called on the goroutine that reads and
// must not block.
func (p *pair) listen(f func(mqttwire.Received)) { p.listenAt(diag.SideSubscriber, f) }

func (p *pair) listenAt(side diag.Side, f func(mqttwire.Received)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sinks[side] = f
}

// measure pings from both clients and sends the lone messages.
func (p *pair) measure(ctx context.Context, env *diag.Env, o *diag.ClientPair) {
	var group sync.WaitGroup
	group.Go(func() { o.PublisherPing = medianPing(ctx, env, p.pub, pairPings) })
	group.Go(func() { o.SubscriberPing = medianPing(ctx, env, p.sub, pairPings) })
	group.Wait()
	begun := time.Now()
	slowest, wait := time.Duration(0), 2*env.Options.Timeout
	for o.LoneCount < 2*loneMessages && o.LoneCount-len(o.Disturbed) < loneMessages {
		if ctx.Err() != nil || time.Since(begun) > loneBound {
			break
		}
		took, busy, arrived := p.one(ctx, env, o, wait)
		o.LoneCount++
		switch {
		case arrived:
			if busy > took/8 {
				o.Disturbed = append(o.Disturbed, took-busy) // and another one tells more
			} else {
				o.Lone = append(o.Lone, took)
			}
			slowest = max(slowest, took)
			wait = max(echoWait(env, p.like.address), 4*slowest)
		case o.Outcome != diag.OutcomeOK:
			return
		default:
			o.Waited = max(o.Waited, wait)
		}
		if o.Arrived() == 0 && o.LoneCount == 2 { // a route through a cluster may need a moment after the SUBACK, not this long
			o.Outcome = diag.OutcomeSilent
			return
		}
	}
	slices.Sort(o.Lone)
	slices.Sort(o.Disturbed)
}

func medianPing(ctx context.Context, env *diag.Env, s mqttwire.Session, times int) time.Duration {
	var all []time.Duration
	for range times {
		bounded, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		rtt, failure := s.Ping(bounded)
		cancel()
		if failure != nil {
			break
		}
		all = append(all, rtt)
	}
	slices.Sort(all)
	return diag.Percentile(all, 50)
}

// one sends a message and awaits it; busy is how much of the time that it took this process did not run. What keeps it from being
// sent is noted in o.
func (p *pair) one(ctx context.Context, env *diag.Env, o *diag.ClientPair, wait time.Duration) (took, busy time.Duration, arrived bool) {
	marker := newMarker(env.RunID)
	o.LoneBytes = len(marker)
	came := make(chan time.Time, 1)
	p.listen(func(m mqttwire.Received) {
		if string(m.Payload) == marker {
			select {
			case came <- m.At:
			default: // another copy
			}
		}
	})
	defer p.listen(nil)
	lag := patience.Watch()
	defer lag.Stop()
	begun := time.Now()
	bounded, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	acked, failure := p.pub.Publish(bounded, mqttwire.Message{Topic: p.topic, Payload: []byte(marker), QoS: o.QoS})
	switch {
	case failure != nil && failure.Kind == mqttwire.FailNoAnswer: // it may have arrived all the same
	case failure != nil:
		o.Failed, o.Outcome, o.Reason = diag.SidePublisher, outcomeOfFailure(failure.Kind), failure.Reason
		if failure.Kind == mqttwire.FailRefused {
			o.Code = int(failure.Code)
		}
		return 0, 0, false
	case acked.Code >= 0x80:
		o.Failed, o.Outcome, o.Code, o.Reason = diag.SidePublisher, diag.OutcomeRefused, int(acked.Code), acked.Reason
		return 0, 0, false
	}
	waiting, cancel := patience.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case at := <-came:
		took = max(0, at.Sub(begun))
		return took, min(took, lag.Stop()), true
	case <-waiting.Done():
	case <-p.sub.Done():
	}
	return 0, 0, false
}

// Close ends both clients in order, so that nothing of them stays: no subscription, no session.
func (p *pair) Close() error {
	p.listen(nil)
	ctx, cancel := patience.WithTimeout(context.Background(), leaveBound)
	defer cancel()
	var group sync.WaitGroup
	for _, e := range []*pairEnd{p.pub, p.sub} {
		if e == nil {
			continue
		}
		group.Go(func() {
			if e == p.sub && len(p.filters) > 0 && !ended(e) {
				var filters []string
				for f := range p.filters {
					filters = append(filters, f)
				}
				_, _ = e.Unsubscribe(ctx, filters)
			}
			_ = e.Disconnect(ctx)
			_ = e.Close()
			e.group.Wait()
		})
	}
	group.Wait()
	return nil
}
