package probe

import (
	"context"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

const (
	checkRetained diag.ProbeID = "msg.retained"

	// retainedExpiry removes our retained messages where we could not: no test takes longer.
	retainedExpiry = 5 * time.Minute
	// clearBound is for removing them after a run was canceled; the runner waits for three seconds.
	clearBound = 2 * time.Second
)

// msgRetained sets retained messages on topics of our own, reads them with another client that subscribes afterwards by name
// and by wildcards, and clears them. It never sets one on a topic of the user's: that would replace theirs.
var msgRetained = diag.Probe{
	ID: checkRetained, Layer: diag.LayerMsg, Depth: diag.DepthDeep,
	Symptoms: []diag.Symptom{diag.SymptomNotReceiving},
	Needs:    append([]diag.ProbeID{checkPair}, afterMessages...),
	Ready:    needScratch,
	Budget:   60 * time.Second, // five connections, and waiting twice for what does not come
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		r := newRetainer(env, main)
		if !r.run(ctx) {
			return diag.Skipped(diag.N("skip.no_scratch"))
		}
		return retainedResult(r.o)
	},
}

// needScratch decides for checks that use topics of our own alone.
func needScratch(v *diag.View) diag.Decision {
	if d := needSession(v); !d.Runs() {
		return d
	}
	if topic, _, ok := pairTopic(v, ""); !ok || topic == v.Target.Topics.Publish {
		return diag.Skip(diag.N("skip.scratch_only"))
	}
	return diag.Run()
}

func retainedResult(o *diag.RetainedCheck) diag.Result {
	args := []string{"topic", o.Topic}
	switch {
	case !o.Cleared:
		return diag.Warned(o, diag.N("step.msg.retained.left", args...))
	case o.Announced != nil && !*o.Announced:
		return diag.Warned(o, diag.N("step.msg.retained.announced", args...))
	case o.Set != diag.OutcomeOK:
		return diag.Warned(o, diag.N("step.msg.retained.refused", append(args, "symbol", string(o.Set))...))
	case o.Exact.Withheld():
		return diag.Warned(o, diag.N("step.msg.retained.not_kept", args...))
	case !o.Exact.Came:
		return diag.Warned(o, diag.N("step.msg.retained.unknown", args...))
	case o.Plus.Withheld() || o.Hash.Withheld():
		return diag.Warned(o, diag.N("step.msg.retained.exact_only", args...))
	}
	return diag.Passed(o, diag.N("step.msg.retained.ok", args...))
}

// retainer is the check while it goes on.
type retainer struct {
	env  *diag.Env
	o    *diag.RetainedCheck
	like *exchange
	qos  byte

	pub     *exchange
	topics  [3]string // of the exact read, of the one with + and of the one with #
	markers [3]string
	set     [3]bool // sent to the broker, and not known to be refused

	mu      sync.Mutex
	readers []*exchange
}

func newRetainer(env *diag.Env, main *exchange) *retainer {
	base := "mqttdoctor/" + env.RunID + "/retained"
	r := &retainer{env: env, like: main, qos: min(1, highestQoS(env.View, main.connect)),
		topics: [3]string{base, base + "/plus/here", base + "/hash/down/here"}}
	r.o = &diag.RetainedCheck{Version: main.version, Address: main.address, Topic: base, Code: -1, Cleared: true,
		Exact: diag.RetainedRead{Filter: base, Granted: -1},
		Plus:  diag.RetainedRead{Filter: base + "/plus/+", Granted: -1},
		Hash:  diag.RetainedRead{Filter: base + "/hash/#", Granted: -1}}
	if main.connect.Props != nil {
		r.o.Announced = main.connect.Props.RetainAvailable
	}
	for i := range r.markers {
		r.markers[i] = newMarker(env.RunID)
	}
	return r
}

func (r *retainer) reads() [3]*diag.RetainedRead {
	return [3]*diag.RetainedRead{&r.o.Exact, &r.o.Plus, &r.o.Hash}
}

// run returns false where nothing could be tried.
func (r *retainer) run(ctx context.Context) bool {
	if r.pub = r.client(ctx); r.pub == nil {
		return false
	}
	defer r.end(ctx)
	if r.setAll(ctx); r.o.Set != diag.OutcomeOK {
		return ctx.Err() == nil
	}
	r.readAll(ctx)
	return ctx.Err() == nil
}

// client is a further client with a temporary id; nil where the broker took none.
func (r *retainer) client(ctx context.Context) *exchange {
	r.mu.Lock()
	r.o.Connections++
	r.mu.Unlock()
	_, x := another(ctx, r.env, r.like, diag.PurposeOtherClientID, "retained")
	return x
}

// setAll publishes the retained messages. Where the first one is not taken, the same without the flag tells whether that was
// for the flag.
func (r *retainer) setAll(ctx context.Context) {
	for i := range r.topics {
		m := mqttwire.Message{Topic: r.topics[i], Payload: []byte(r.markers[i]), QoS: r.qos, Retain: true, ExpiryS: uint32(retainedExpiry.Seconds())}
		p := r.setOne(ctx, m)
		if i == 0 && p.sent && p.outcome.Ended() && ctx.Err() == nil {
			// One end may be chance: a broker that does this for the flag does it twice.
			if !r.reconnect(ctx) {
				return
			}
			p = r.setOne(ctx, m)
		}
		r.set[i] = p.sent && p.outcome != diag.OutcomeRefused
		if i > 0 && p.outcome == diag.OutcomeOK {
			continue
		}
		r.o.Set, r.o.Code, r.o.Reason, r.o.ReasonString = p.outcome, p.code, p.reason, p.reasonString
		if p.outcome == diag.OutcomeOK {
			continue
		}
		if p.sent && ctx.Err() == nil {
			if r.pub.ended() && !r.reconnect(ctx) {
				return
			}
			m.Retain, m.ExpiryS = false, 0
			r.o.Plain = publishOn(ctx, r.env, r.pub, m).outcome
		}
		return
	}
}

// setOne publishes a message to be kept. It outlives a canceled run by a moment: the packet may be on its way already, and the one
// that clears the topic has to come behind it.
func (r *retainer) setOne(ctx context.Context, m mqttwire.Message) published {
	ctx, heard := answerTime(ctx)
	defer heard()
	return publishOn(ctx, r.env, r.pub, m)
}

// reconnect replaces the publisher after its connection has ended; false where the broker took no other.
func (r *retainer) reconnect(ctx context.Context) bool {
	if r.pub != nil {
		_ = r.pub.Close()
	}
	r.pub = r.client(ctx)
	return r.pub != nil
}

// readAll subscribes with one client to all three, and once more to what did not bring its message.
func (r *retainer) readAll(ctx context.Context) {
	wait := echoWait(r.env, r.like.address)
	var reader *exchange
	var by [3]*exchange
	for i, read := range r.reads() {
		if reader == nil || reader.ended() { // some end the connection at a wildcard
			if reader = r.reader(ctx); reader == nil {
				return
			}
		}
		by[i] = reader
		reader.watch(r.markers[i])
		read.Granted = subscribeQuietly(ctx, r.env, reader, read.Filter, r.qos)
	}
	clock := patience.Watch()
	defer clock.Stop()
	for i, read := range r.reads() {
		if read.Granted >= 0 {
			_, read.Came = by[i].await(ctx, r.markers[i], max(time.Millisecond, wait-clock.Ran()))
		}
	}
	var group sync.WaitGroup
	for i, read := range r.reads() {
		if read.Granted >= 0 && !read.Came && ctx.Err() == nil {
			group.Go(func() { r.readAgain(ctx, i, read, wait) })
		}
	}
	group.Wait()
}

// readAgain subscribes with a client of its own, and finds out what else comes by the same subscription.
func (r *retainer) readAgain(ctx context.Context, i int, read *diag.RetainedRead, wait time.Duration) {
	x := r.reader(ctx)
	if x == nil {
		return
	}
	read.Twice, read.Waited = true, wait
	x.watch(r.markers[i])
	if subscribeQuietly(ctx, r.env, x, read.Filter, r.qos) < 0 {
		return
	}
	if _, read.Came = x.await(ctx, r.markers[i], wait); read.Came || ctx.Err() != nil {
		return
	}
	if live := x.expect(r.env.RunID); publishOn(ctx, r.env, r.pub, mqttwire.Message{Topic: r.topics[i], Payload: []byte(live), QoS: r.qos}).outcome == diag.OutcomeOK {
		_, read.Live = x.await(ctx, live, wait)
	}
	if i > 0 && subscribeQuietly(ctx, r.env, x, r.topics[i], r.qos) >= 0 {
		_, read.ByName = x.await(ctx, r.markers[i], wait)
	}
}

// reader is a client that is ended with the check.
func (r *retainer) reader(ctx context.Context) *exchange {
	x := r.client(ctx)
	if x != nil {
		r.mu.Lock()
		r.readers = append(r.readers, x)
		r.mu.Unlock()
	}
	return x
}

// end clears what was set, also after the run was canceled or the connection was lost, and ends all clients.
func (r *retainer) end(ctx context.Context) {
	ctx, cancel := patience.WithTimeout(context.WithoutCancel(ctx), clearBound+boundOf(ctx, r.env.Options.Timeout))
	defer cancel()
	var group sync.WaitGroup
	for _, x := range r.readers {
		group.Go(func() { leave(ctx, x) })
	}
	r.clear(ctx)
	if r.pub != nil {
		leave(ctx, r.pub)
	}
	group.Wait()
}

// boundOf is more time for clearing up: all that one answer may take, and none while the run is being canceled.
func boundOf(ctx context.Context, timeout time.Duration) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	return timeout
}

// clear removes the retained messages by empty ones (MQTT 5.0 3.3.1.3), over a new connection where the first one is gone.
func (r *retainer) clear(ctx context.Context) {
	for i, topic := range r.topics {
		if !r.set[i] {
			continue
		}
		r.o.Cleared = false
		for range 2 {
			if (r.pub == nil || r.pub.ended()) && !r.reconnect(ctx) {
				return
			}
			p := publishOn(ctx, r.env, r.pub, mqttwire.Message{Topic: topic, QoS: r.qos, Retain: true})
			if r.set[i] = p.outcome != diag.OutcomeOK && p.outcome != diag.OutcomeRefused; !r.set[i] {
				break
			}
			// A broker that ends the connection at this one has ended it at the first one as well, and kept nothing.
			if p.outcome.Ended() && r.o.Set.Ended() {
				r.set[i] = false
				break
			}
		}
		if r.set[i] {
			return
		}
	}
	r.o.Cleared = true
}

// published is what came of one PUBLISH.
type published struct {
	outcome              diag.Outcome
	sent                 bool // false: the CONNACK forbids it, or the connection was gone before
	code                 int  // of PUBACK, PUBREC or DISCONNECT; -1: none
	reason, reasonString string
}

// publishOn publishes and awaits the acknowledgement. At QoS 0 there is none: a broker that declines shows so by ending the
// connection before it answers what was sent behind.
func publishOn(ctx context.Context, env *diag.Env, x *exchange, m mqttwire.Message) published {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	p := published{outcome: diag.OutcomeOK, sent: !x.ended(), code: -1}
	acked, failure := x.Publish(ctx, m)
	if failure == nil && m.QoS == 0 {
		_, failure = x.Ping(ctx)
	}
	switch {
	case acked.Acked && acked.Code >= 0x80:
		p.outcome, p.code, p.reason, p.reasonString = diag.OutcomeRefused, int(acked.Code), acked.Reason, printable(acked.ReasonString, 300)
	case failure != nil:
		p.outcome, p.reason, p.reasonString = outcomeOfFailure(failure.Kind), failure.Reason, printable(failure.ReasonString, 300)
		p.sent = p.sent && failure.Kind != mqttwire.FailLimit && failure.Kind != mqttwire.FailInvalid
		if failure.Kind == mqttwire.FailRefused {
			p.code = int(failure.Code)
		}
	case m.QoS > 0:
		p.code, p.reason = int(acked.Code), acked.Reason
	}
	return p
}

// subscribeQuietly subscribes and returns the granted QoS; -1: it was not granted.
func subscribeQuietly(ctx context.Context, env *diag.Env, x *exchange, filter string, qos byte) int {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	granted, failure := x.Subscribe(ctx, []mqttwire.Subscription{{Filter: filter, QoS: qos}})
	if failure != nil || granted.Codes[0] > 2 {
		return -1
	}
	return int(granted.Codes[0])
}
