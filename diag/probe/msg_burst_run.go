package probe

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

const (
	// burstWindow is how many messages may be unacknowledged where the server sets no lower Receive Maximum: more than client
	// libraries have in flight by default (10 to 100), and no more than a broker must hold for a client.
	burstWindow = 100
	// exactWindow is that for QoS 2 before MQTT 5, which has no Receive Maximum: mosquitto 2.0.11 acknowledges more than its
	// max_inflight_messages, 20 by default, and drops them. msgBurstWide looks for it.
	exactWindow = 20
	// longestQuiet bounds the wait for what may still come.
	longestQuiet = 20 * time.Second
	// maxAgain bounds how many second copies are noted with their time, maxExtra how many copies are counted before the
	// measurement ends: a loop brings them without end.
	maxAgain   = 4096
	extraSlack = 1000
	pingEvery  = 250 * time.Millisecond
	sequenceAt = 8 // digits of a sequence number and a blank
)

// burstSpec is how numbered messages are to be sent.
type burstSpec struct {
	count   int
	qos     byte
	payload int
	pace    diag.Pace
	rate    float64       // with PaceAtARate, per second
	within  time.Duration // then it ends, with what was sent by then; 0: see bound
	window  int           // unacknowledged at most; 0: as usual
	witness bool          // the publisher subscribes too, at QoS 0
}

// bound is how long a burst may take in all: long for many messages at a broker that delivers ten in a round trip.
func (s burstSpec) bound() time.Duration {
	return min(30*time.Second+time.Duration(s.count)*5*time.Millisecond, 10*time.Minute)
}

// burst is a measurement while it goes on. For each message it keeps sixteen bytes.
type burst struct {
	pair  *pair
	spec  burstSpec
	o     *diag.BurstRun
	begun time.Time
	quiet time.Duration // without anything new for so long, nothing more is awaited
	renew func()        // starts silence over once it has ended; mu is held

	dropped int // by our own queue, before

	run, header string // what the payloads begin with: of any burst of the run, of this one

	mu       sync.Mutex
	sent     []int32 // microseconds since begun, from 1; 0: not
	acked    []int32 // -1: refused
	arrived  []int32
	again    map[int32]int32
	copies   []uint8 // saturating
	seen     []bool  // by the publisher; nil: it does not subscribe
	last     time.Time
	silence  context.Context // ends once nothing was sent, acknowledged or received for quiet
	heard    func()          // lets silence begin again
	received int
	highest  int // number that has come
	news     chan struct{}
}

// burst sends numbered messages and awaits them. The pair must be open; its turn is held by the caller.
func (p *pair) burst(ctx context.Context, env *diag.Env, spec burstSpec) *diag.BurstRun {
	b := &burst{pair: p, spec: spec, again: map[int32]int32{}, news: make(chan struct{}, 1), highest: -1,
		o: &diag.BurstRun{Version: p.like.version, Topic: p.topic, Scratch: p.scratch, QoS: spec.qos, Count: spec.count, Pace: spec.pace,
			Rate: spec.rate, RefusedCode: -1, Delivered: -1}}
	b.run = "mqttdoctor " + env.RunID[:min(len(env.RunID), 12)] + " "
	b.header = b.run + strconv.FormatInt(markers.Add(1), 36) + " "
	b.o.PayloadBytes = max(min(spec.payload, largestPayload(p)), len(b.header)+sequenceAt)
	b.quiet = b.patience(env)
	if spec.qos > 0 {
		b.o.Window = min(burstWindow, spec.count)
		if spec.qos == 2 && p.like.version != diag.Version5 && spec.window == 0 {
			b.o.Window = min(b.o.Window, exactWindow)
		}
		if receiveMaximum, _ := announced(p.pub); receiveMaximum != nil && *receiveMaximum > 0 {
			b.o.Window = min(b.o.Window, int(*receiveMaximum))
		}
	}
	b.sent, b.acked, b.arrived = make([]int32, spec.count), make([]int32, spec.count), make([]int32, spec.count)
	b.copies = make([]uint8, spec.count)
	b.dropped = p.sub.Dropped()
	ctx, cancel := patience.WithTimeout(ctx, spec.bound())
	defer cancel()
	unwatch := func() {}
	if spec.witness {
		unwatch = b.watch(ctx, env)
	}
	b.renew = func() { b.silence, b.heard, _ = patience.WithQuiet(ctx, b.quiet) } // it ends by itself, or with ctx
	lag := patience.Watch()
	b.begun = time.Now()
	b.renew()
	b.last = b.begun
	p.listen(b.take)
	var beside sync.WaitGroup
	over, stop := context.WithCancel(ctx)
	beside.Go(func() { b.o.PublisherPing = medianOver(over, env, p.pub) })
	beside.Go(func() { b.o.SubscriberPing = medianOver(over, env, p.sub) })
	beside.Go(func() { b.report(over, env) })
	b.send(ctx, env)
	b.awaitRest(ctx, env)
	b.askPublisher(ctx, env)
	b.o.Busy = lag.Stop()
	b.settle(ctx, env)
	stop()
	beside.Wait()
	p.listen(nil)
	unwatch()
	b.conclude()
	if b.o.Stalled {
		_ = p.pub.Close() // what hangs in it would come into the next measurement
	}
	return b.o
}

// watch makes the publisher a second subscriber, at QoS 0: no queue and no window of the broker's holds back what goes there.
// What it gets and the subscriber does not has passed every limit on publishing. The function that it returns ends that.
func (b *burst) watch(ctx context.Context, env *diag.Env) func() {
	bounded, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	granted, failure := b.pair.pub.Subscribe(bounded, []mqttwire.Subscription{{Filter: b.pair.filter, RetainHandling: b.pair.noRetained()}})
	if failure != nil || len(granted.Codes) != 1 || granted.Codes[0] >= 0x80 {
		return func() {}
	}
	b.seen = make([]bool, b.spec.count)
	b.pair.listenAt(diag.SidePublisher, func(m mqttwire.Received) {
		if number, ours := b.number(m); ours {
			b.mu.Lock()
			b.seen[number] = true
			b.mu.Unlock()
		}
	})
	return func() {
		b.pair.listenAt(diag.SidePublisher, nil)
		if ended(b.pair.pub) {
			return
		}
		bounded, cancel := patience.WithTimeout(context.WithoutCancel(ctx), leaveBound)
		defer cancel()
		_, _ = b.pair.pub.Unsubscribe(bounded, []string{b.pair.filter})
	}
}

// number is that of one of the burst's own messages.
func (b *burst) number(m mqttwire.Received) (int, bool) {
	digits, ours := strings.CutPrefix(string(m.Payload[:min(len(m.Payload), len(b.header)+sequenceAt)]), b.header)
	number, err := strconv.Atoi(strings.TrimSpace(digits))
	return number, ours && err == nil && number >= 0 && number < b.spec.count
}

// askPublisher pings where something is missing: packets of one connection are handled in order, so a broker that answers has
// read all of it. One that does not has not lost what it never read.
func (b *burst) askPublisher(ctx context.Context, env *diag.Env) {
	b.mu.Lock()
	missing := b.o.Sent-b.o.Refused-b.received > 0 || b.spec.qos > 0 && b.o.Sent > b.o.Acked+b.o.Refused
	b.mu.Unlock()
	if !missing || b.o.Pending > 0 || ended(b.pair.pub) || ctx.Err() != nil {
		return
	}
	bounded, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	if _, failure := b.pair.pub.Ping(bounded); failure != nil && failure.Kind == mqttwire.FailNoAnswer {
		b.mu.Lock()
		b.o.Stalled = true
		b.mu.Unlock()
	}
}

// largestPayload is what the server's Maximum Packet Size and our own bound on what is read leave for a payload.
func largestPayload(p *pair) int {
	whole := maxPacketBytes
	if props := p.pub.connect.Props; props != nil && props.MaximumPacketBytes != nil {
		whole = int(min(uint32(whole), *props.MaximumPacketBytes))
	}
	return max(0, whole-len(p.topic)-64)
}

// patience is how long nothing may come before what is missing counts as lost: far more than single messages took.
func (b *burst) patience(env *diag.Env) time.Duration {
	quiet := echoWait(env, b.pair.like.address)
	for _, s := range diag.SeenBy[*diag.ClientPair](env.View, checkPair) {
		quiet = max(quiet, 4*diag.Percentile(s.Seen.Lone, 100), 4*diag.Percentile(s.Seen.Disturbed, 100))
	}
	return min(quiet, longestQuiet)
}

func (b *burst) now() int32 { return int32(time.Since(b.begun)/time.Microsecond) + 1 }

// take notes a message; it is called on the goroutine that reads.
func (b *burst) take(m mqttwire.Received) {
	number, ours := b.number(m)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !ours {
		if strings.HasPrefix(string(m.Payload[:min(len(m.Payload), len(b.run))]), b.run) {
			b.o.Late++
		}
		return
	}
	at := max(1, int32(m.At.Sub(b.begun)/time.Microsecond)+1)
	b.stir()
	if b.o.Delivered < 0 || int(m.QoS) < b.o.Delivered {
		b.o.Delivered = int(m.QoS)
	}
	if b.copies[number] < 255 {
		b.copies[number]++
	}
	if b.arrived[number] == 0 {
		b.arrived[number] = at
		b.received++
		if number < b.highest {
			b.o.Reordered++
		}
		b.highest = max(b.highest, number)
	} else {
		if b.copies[number] == 2 {
			b.o.Doubled++
			if len(b.again) < maxAgain {
				b.again[int32(number)] = at
			}
		}
		b.o.Extra++
		if m.Dup {
			b.o.Dup++
		}
		b.o.Loop = b.o.Loop || b.o.Extra > 3*b.spec.count+extraSlack
	}
	b.tell()
}

// stir notes that something was sent, acknowledged or received. mu is held.
func (b *burst) stir() {
	b.last = time.Now()
	if b.heard(); b.silence.Err() != nil {
		b.renew()
	}
}

// hush is the running silence.
func (b *burst) hush() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.silence
}

// tell wakes who waits for something new.
func (b *burst) tell() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// payload is that of one message. It is made anew for each, since the session may keep it until it is acknowledged.
func (b *burst) payload(number int) []byte {
	out := make([]byte, 0, b.o.PayloadBytes)
	out = append(out, b.header...)
	digits := strconv.Itoa(number)
	for range sequenceAt - 1 - len(digits) {
		out = append(out, '0')
	}
	out = append(append(out, digits...), ' ')
	for len(out) < cap(out) {
		out = append(out, '.')
	}
	return out
}

// inFlight is a message that awaits its acknowledgement.
type inFlight struct {
	number  int
	pending *mqttwire.PendingPublish
}

// send publishes all messages at the spec's pace and window, and returns once each was acknowledged or given up.
func (b *burst) send(ctx context.Context, env *diag.Env) {
	slots := make(chan struct{}, max(1, b.o.Window))
	flights := make(chan inFlight, max(1, b.o.Window))
	var acks sync.WaitGroup
	if b.spec.qos > 0 {
		acks.Go(func() { b.acknowledge(ctx, flights, slots) })
	}
	defer acks.Wait()
	defer close(flights)
	missed, due := 0, b.begun
	for number := range b.spec.count {
		if b.spec.within > 0 && time.Since(b.begun) > b.spec.within {
			b.o.Count = number
			return
		}
		if b.spec.pace == diag.PaceAtARate {
			if !pauseFor(ctx, time.Until(due)) {
				return
			}
			due = b.after(due)
		}
		if b.spec.qos > 0 && !b.slot(ctx, slots) {
			return
		}
		b.mu.Lock()
		looping := b.o.Loop
		b.sent[number] = b.now()
		b.mu.Unlock()
		pending := b.pair.pub.StartPublishContext(ctx, mqttwire.Message{Topic: b.pair.topic, Payload: b.payload(number), QoS: b.spec.qos})
		if pending.Failure() != nil || looping {
			b.mu.Lock()
			b.sent[number] = 0
			b.mu.Unlock()
			return
		}
		b.mu.Lock()
		b.o.Sent++
		b.stir()
		b.mu.Unlock()
		if b.spec.qos > 0 {
			flights <- inFlight{number, pending} // there is room: the slots bound it
		}
		if b.spec.pace == diag.PaceSteps && !b.arrival(ctx, number) {
			if missed++; missed > 2 || ctx.Err() != nil || ended(b.pair.sub) {
				return
			}
		}
	}
}

// after is when the message behind one that was due is to be sent: no sooner than the rate allows, also behind one that was
// sent late, since making up for it would be the very burst that the rate is to avoid.
func (b *burst) after(due time.Time) time.Time {
	every := time.Duration(float64(time.Second) / b.spec.rate)
	if now := time.Now(); now.Sub(due) > every/4 {
		due = now
	}
	return due.Add(every)
}

// slot waits until another message may be unacknowledged.
func (b *burst) slot(ctx context.Context, slots chan struct{}) bool {
	for {
		silence := b.hush()
		select {
		case slots <- struct{}{}:
			return true
		case <-b.pair.pub.Done():
			return false
		case <-silence.Done():
		}
		if ctx.Err() != nil {
			return false
		}
		if b.hush() == silence { // nothing has come since
			b.mu.Lock()
			b.o.Stalled = true
			b.mu.Unlock()
			return false
		}
	}
}

// acknowledge takes the acknowledgements in the order of sending; the order of their coming does not matter, since each is
// noted with its own time. A message that is not acknowledged keeps its slot: it still counts for the server's Receive Maximum.
func (b *burst) acknowledge(ctx context.Context, flights <-chan inFlight, slots <-chan struct{}) {
	for f := range flights {
		result, failure := b.awaitAck(ctx, f)
		if failure != nil {
			continue
		}
		<-slots
		b.mu.Lock()
		at := b.now()
		if n := len(result.Acks); n > 0 {
			at = max(1, int32(result.Acks[n-1].At.Sub(b.begun)/time.Microsecond)+1)
		}
		b.stir()
		if result.Code >= 0x80 {
			b.acked[f.number] = -1
			if b.o.Refused++; b.o.Refused == 1 {
				b.o.RefusedCode, b.o.RefusedReason = int(result.Code), result.Reason
			}
		} else {
			b.acked[f.number] = at
			b.o.Acked++
		}
		b.mu.Unlock()
		b.tell()
	}
}

// awaitAck gives up once nothing at all has happened for a while.
func (b *burst) awaitAck(ctx context.Context, f inFlight) (mqttwire.PublishResult, *mqttwire.Failure) {
	for {
		silence := b.hush()
		result, failure := f.pending.Wait(silence)
		if failure == nil || failure.Kind != mqttwire.FailNoAnswer || ctx.Err() != nil || b.hush() == silence {
			return result, failure
		}
	}
}

// arrival waits for one message.
func (b *burst) arrival(ctx context.Context, number int) bool {
	waiting, cancel := patience.WithTimeout(ctx, b.quiet)
	defer cancel()
	for {
		b.mu.Lock()
		came := b.arrived[number] != 0
		b.mu.Unlock()
		if came {
			return true
		}
		select {
		case <-b.news:
		case <-waiting.Done():
			return false
		case <-b.pair.sub.Done():
			return false
		}
	}
}

// awaitRest waits for what was sent and has not come. What is missing once the broker has been quiet, and answers a ping at
// once, is lost.
func (b *burst) awaitRest(ctx context.Context, env *diag.Env) {
	behindTimes := 0
	for {
		b.mu.Lock()
		missing, loop := b.o.Sent-b.o.Refused-b.received, b.o.Loop
		b.mu.Unlock()
		silence := b.hush()
		quiet := silence.Err() != nil
		switch {
		case missing <= 0 || loop || ended(b.pair.sub):
			return
		case ctx.Err() != nil:
			b.o.Pending = missing
			return
		case quiet && behindTimes < 3 && b.behind(ctx, env):
			behindTimes++
			b.mu.Lock()
			b.stir()
			b.mu.Unlock()
			continue
		case quiet:
			b.mu.Lock()
			b.o.Waited = time.Since(b.last)
			b.mu.Unlock()
			return
		}
		select {
		case <-b.news:
		case <-silence.Done():
		case <-b.pair.sub.Done():
		}
	}
}

// behind tells whether the subscriber's connection is still busy with earlier work.
func (b *burst) behind(ctx context.Context, env *diag.Env) bool {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	rtt, failure := b.pair.sub.Ping(ctx)
	return failure == nil && rtt > b.quiet/4
}

// settle waits a little for further copies of what has come.
func (b *burst) settle(ctx context.Context, env *diag.Env) {
	wait := min(max(4*roundTrip(env.View, b.pair.like.address), 100*time.Millisecond), time.Second)
	if env.Options.Symptom == diag.SymptomDuplicate {
		wait = max(wait, time.Second)
	}
	settling, cancel := patience.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case <-settling.Done():
	case <-b.pair.sub.Done():
	}
}

// report tells how far the burst is, a few times per second.
func (b *burst) report(ctx context.Context, env *diag.Env) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.mu.Lock()
			done := (b.o.Sent + b.received) / 2
			b.mu.Unlock()
			env.Progress(done, b.spec.count, "messages")
		case <-ctx.Done():
			return
		}
	}
}

// medianOver pings again and again while messages are under way.
func medianOver(ctx context.Context, env *diag.Env, s mqttwire.Session) time.Duration {
	var all []time.Duration
	for {
		bounded, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
		rtt, failure := s.Ping(bounded)
		cancel()
		if failure != nil {
			break
		}
		all = append(all, rtt)
		if !pauseFor(ctx, pingEvery) {
			break
		}
	}
	slices.Sort(all)
	return diag.Percentile(all, 50)
}
