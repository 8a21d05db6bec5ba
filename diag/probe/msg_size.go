package probe

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

const (
	checkSize  diag.ProbeID = "msg.size"
	checkLarge diag.ProbeID = "net.large"

	// What is tried: in a standard run what usual brokers all take, in a deep one just under the usual default of 1 MB for a
	// whole packet, and with consent what few brokers take.
	sizeStandard  = 256 << 10
	sizeDeep      = 1_000_000
	sizeIntrusive = 16 << 20

	sizeConnections = 12               // at most
	sizeStuck       = 3                // messages that may get stuck, each for the whole time-out
	sizeTime        = 12 * time.Second // of the search in a standard run
	sizeTimeDeep    = 50 * time.Second
	sizeOne         = 3 * time.Second // of one message in a standard run, as far as the one before tells
	sizeOneDeep     = 30 * time.Second
	sizeVerifying   = 2 // tries that are kept for the end
	sizeTries       = 40
)

// msgSize searches the largest payload that comes back whole, on a connection of its own: what is too large ends it on many
// brokers.
var msgSize = diag.Probe{
	ID: checkSize, Layer: diag.LayerMsg, Depth: diag.DepthDeep,
	Symptoms: []diag.Symptom{diag.SymptomLost, diag.SymptomSlow, diag.SymptomDrops},
	Needs:    append([]diag.ProbeID{checkLarge, checkPair, checkQoSGrid}, afterMessages...),
	Ready: func(v *diag.View) diag.Decision {
		if d := needSession(v); !d.Runs() {
			return d
		}
		if _, _, ok := pairTopic(v, ""); !ok {
			return diag.Skip(diag.N("skip.scratch_denied"))
		}
		if !sizeFirst(v) && slices.ContainsFunc(burstChecks, func(id diag.ProbeID) bool { return !v.Ended(id) }) {
			return diag.Wait()
		}
		for _, s := range diag.SeenBy[*diag.LargeMessage](v, checkLarge) {
			if m := s.Seen; m.Usual.Hung() && m.Small != nil && m.Small.Outcome == diag.OutcomeOK { // the path loses them, whatever the broker takes
				return diag.Skip(diag.N("skip.path_loses_large"))
			}
		}
		return diag.Run()
	},
	Budget: sizeTimeDeep + 25*time.Second, // the last message, and trying both sizes again
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		s := newSizer(env, main)
		defer s.leave(ctx)
		s.search(ctx)
		return sizeResult(s.o)
	},
}

// hugeTurn lets one run at a time send messages above sizeDeep: each is held in memory several times over.
var hugeTurn = make(chan struct{}, 1)

// burstChecks are timed, so that large messages would be in their way.
var burstChecks = []diag.ProbeID{checkBurst, checkBurstAgain, checkBurstSteps, checkBurstPaced, checkBurstQoS1, checkBurstWide}

// sizeFirst tells that sizes are searched before the bursts: those are of messages so large that not every broker takes them.
func sizeFirst(v *diag.View) bool { return v.Options.Burst.PayloadBytes > firstSize/2 }

// readyForBurst needs the two clients, and messages of the asked size that pass: a burst of others would only show once more
// that they do not.
func readyForBurst(v *diag.View) diag.Decision {
	if d := needPair(v); !d.Runs() || !sizeFirst(v) {
		return d
	}
	if !v.Ended(checkSize) {
		return diag.Wait()
	}
	for _, s := range diag.SeenBy[*diag.SizeSearch](v, checkSize) {
		if o := s.Seen; o.LargestBytes > 0 && o.LargestBytes < v.Options.Burst.PayloadBytes && (o.Limited() || o.AnnouncedBytes > 0 && o.LargestBytes >= o.BoundBytes) {
			return diag.Skip(diag.N("skip.too_large", "length", strconv.Itoa(o.LargestBytes)))
		}
	}
	return diag.Run()
}

func sizeResult(o *diag.SizeSearch) diag.Result {
	args := []string{"length", strconv.Itoa(o.LargestBytes), "limit", strconv.Itoa(o.BoundBytes)}
	switch {
	case o.Limited():
		return diag.Warned(o, diag.N("step.msg.size."+string(o.End), append(args, "value", strconv.Itoa(o.SmallestBytes))...))
	case o.LargestBytes >= o.BoundBytes:
		return diag.Passed(o, diag.N("step.msg.size.ok", args...))
	case o.LargestBytes > 0 && o.SmallestBytes == 0 && o.Stopped == diag.SizeStopTime: // slow, and nothing failed
		return diag.Passed(o, diag.N("step.msg.size.slow", args...))
	case o.LargestBytes > 0:
		return diag.Warned(o, diag.N("step.msg.size.unfinished", append(args, "symbol", string(o.Stopped))...))
	}
	return diag.Warned(o, diag.N("step.msg.size.none", append(args, "symbol", string(o.Stopped))...))
}

// sizer is a search while it goes on.
type sizer struct {
	env    *diag.Env
	o      *diag.SizeSearch
	filter string
	hunt   sizeHunt
	line   *line         // nil: to be made
	clock  *patience.Lag // since the search began
	limit  time.Duration // of it
	one    time.Duration // for one message
	stuck  int
	first  diag.SizeTry // the first that passed: a message so small takes what the path takes, more or less
	speed  float64      // bytes per second, there and back, by what a larger one took longer; 0: unknown
}

func newSizer(env *diag.Env, main *exchange) *sizer {
	o := &diag.SizeSearch{Version: main.version, Address: main.address, Code: -1, QoS: min(1, highestQoS(env.View, main.connect))}
	s := &sizer{env: env, o: o}
	o.Topic, s.filter, _ = pairTopic(env.View, env.RunID)
	if o.Scratch = o.Topic != env.Target.Topics.Publish; o.Scratch {
		o.Topic = "mqttdoctor/" + env.RunID + "/size"
		s.filter = o.Topic
	}
	limit, bound := sizeTime, sizeStandard
	s.one = sizeOne
	if env.Options.Depth.Covers(diag.DepthDeep) {
		limit, bound = sizeTimeDeep, sizeDeep
		s.one = sizeOneDeep
		if env.Options.Intrusive {
			bound = sizeIntrusive
		}
	}
	bound = max(bound, env.Options.Burst.PayloadBytes)
	if props := main.connect.Props; props != nil && props.MaximumPacketBytes != nil && *props.MaximumPacketBytes > 0 {
		o.AnnouncedBytes = *props.MaximumPacketBytes
		bound = max(1, min(bound, diag.PayloadRoom(int64(o.AnnouncedBytes), o.Version, o.Topic, o.QoS)))
	}
	o.BoundBytes, s.hunt, s.limit, s.clock = bound, newSizeHunt(bound), limit, patience.Watch()
	return s
}

// search raises and halves until the limit is known, and then tries both sides of it once more.
func (s *sizer) search(ctx context.Context) {
	for {
		size, more := s.hunt.next()
		if !more || len(s.o.Tries) >= sizeTries || s.failuresCost() && s.hunt.near() {
			break
		}
		if s.o.Stopped = s.mayTry(ctx, size); s.o.Stopped != "" {
			break
		}
		try, ok := s.try(ctx, size, 0)
		if !ok {
			break
		}
		s.hunt.tell(size, try.End == diag.SizePassed)
		s.env.Progress(len(s.o.Tries), sizeTries, "messages")
	}
	s.o.LargestBytes, s.o.SmallestBytes = s.hunt.pass, s.hunt.fail
	if s.o.SmallestBytes > 0 && s.o.Stopped != diag.SizeStopConnect && ctx.Err() == nil {
		s.verify(ctx)
	}
}

// failuresCost tells whether a message that is too large ends the connection.
func (s *sizer) failuresCost() bool {
	return s.o.End != "" && s.o.End != diag.SizeDropped && s.o.End != diag.SizeRefused
}

// mayTry tells why a message of the size is not to be sent; empty: it may.
func (s *sizer) mayTry(ctx context.Context, size int) diag.SizeStop {
	switch {
	case ctx.Err() != nil:
		return diag.SizeStopCanceled
	case s.clock.Ran()+s.expected(size) > s.limit, s.expected(size) > s.one, s.stuck >= sizeStuck:
		return diag.SizeStopTime
	case s.line == nil && s.o.Connections >= sizeConnections-sizeVerifying:
		return diag.SizeStopConnections
	}
	return ""
}

// expected is how long a message of the size takes, as far as is known.
func (s *sizer) expected(size int) time.Duration {
	if s.speed == 0 {
		return s.first.Took
	}
	return s.first.Took + time.Duration(float64(size)/s.speed*float64(time.Second))
}

// learn takes the path's speed from a message that passed. The round trips that any message takes are none of it.
func (s *sizer) learn(t diag.SizeTry) {
	switch {
	case s.first.Bytes == 0:
		s.first = t
	case t.Bytes > s.first.Bytes:
		s.speed = float64(t.Bytes-s.first.Bytes) / max(t.Took-s.first.Took, time.Millisecond).Seconds()
	}
}

// verify tries what passed and what failed once more: on a path or a broker that is unsteady, size was not what mattered.
func (s *sizer) verify(ctx context.Context) {
	passes := true
	if s.o.LargestBytes > 0 {
		try, ok := s.try(ctx, s.o.LargestBytes, 0)
		passes = ok && try.End == diag.SizePassed
	}
	end, grace := s.o.End, time.Duration(0)
	if end == diag.SizeDropped { // what was not refused may only be late, on a broker that does not keep to the order
		grace = echoWait(s.env, s.o.Address)
	}
	try, ok := s.try(ctx, s.o.SmallestBytes, grace)
	s.o.Verified = passes && ok && try.End != diag.SizePassed
	if ok && !s.o.Verified && ctx.Err() == nil {
		s.o.Stopped = diag.SizeStopUnsteady
	}
	if !ok || try.End == diag.SizePassed {
		s.o.End = end
	}
}

// connect makes the connection and subscribes.
func (s *sizer) connect(ctx context.Context) bool {
	r := askedRoute(s.env.Target, s.o.Address).with(diag.PurposeOtherClientID, "size", func(r *route) {
		r.MQTT.Version, r.WS.Subprotocols = s.o.Version, subprotocolsFor(s.o.Version)
		r.MQTT.LargestPacket = s.o.BoundBytes + len(s.o.Topic) + 4096 // and properties that a broker adds
	})
	s.o.Connections++
	_, l := walk(ctx, s.env, r, upToMQTT)
	if l == nil || l.Session == nil {
		_ = l.Close()
		return false
	}
	asking, cancel := patience.WithTimeout(ctx, s.env.Options.Timeout)
	defer cancel()
	granted, failure := l.Session.Subscribe(asking, []mqttwire.Subscription{{Filter: s.filter, QoS: s.o.QoS, RetainHandling: noRetained(s.o.Version)}})
	if failure != nil || granted.Codes[0] >= 0x80 {
		_ = l.Close()
		return false
	}
	s.line = l
	return true
}

// noRetained asks a server of MQTT 5 for no retained messages (MQTT 5.0 3.8.3.1).
func noRetained(v diag.Version) byte {
	if v == diag.Version5 {
		return 2
	}
	return 0
}

// try sends a message of the size, and behind it a small one: messages of one publisher to one topic arrive in order
// ([MQTT-4.6.0-6]), so where the small one comes alone the large one was dropped. grace is how much longer it is then awaited.
// ok is false where there was no connection to try it on.
func (s *sizer) try(ctx context.Context, size int, grace time.Duration) (try diag.SizeTry, ok bool) {
	if s.line == nil && !s.connect(ctx) {
		if s.o.Stopped = diag.SizeStopConnect; ctx.Err() != nil {
			s.o.Stopped = diag.SizeStopCanceled
		}
		return try, false
	}
	if size > sizeDeep {
		select {
		case hugeTurn <- struct{}{}:
			defer func() { <-hugeTurn }()
		case <-ctx.Done():
			s.o.Stopped = diag.SizeStopCanceled
			return try, false
		}
	}
	t := sizeMessage{session: s.line.Session, topic: s.o.Topic, qos: s.o.QoS, size: size}
	bounded, cancel := patience.WithTimeout(ctx, s.env.Options.Timeout+3*s.expected(size))
	defer cancel()
	begun := s.clock.Ran()
	end := t.send(bounded, newMarker(s.env.RunID), newMarker(s.env.RunID), grace)
	if ctx.Err() != nil {
		s.o.Stopped = diag.SizeStopCanceled
		return try, false
	}
	try = diag.SizeTry{Bytes: size, End: end, Took: s.clock.Ran() - begun}
	s.o.Tries = append(s.o.Tries, try)
	switch end {
	case diag.SizePassed:
		s.learn(try)
		return try, true
	case diag.SizeStuck:
		s.stuck++
		s.o.TCP = tcpInfo(s.line.Conn)
	}
	s.o.End, s.o.Code, s.o.Reason, s.o.ReasonString = end, t.code, t.reason, printable(t.reasonString, 300)
	if end != diag.SizeDropped && end != diag.SizeRefused || ended(s.line.Session) {
		_ = s.line.Close()
		s.line = nil
	}
	return try, true
}

// leave ends the connection in order, so that nothing stays on the broker.
func (s *sizer) leave(ctx context.Context) {
	s.clock.Stop()
	if s.line == nil {
		return
	}
	bounded, cancel := patience.WithTimeout(context.WithoutCancel(ctx), leaveBound)
	defer cancel()
	_ = s.line.Session.Disconnect(bounded)
	_ = s.line.Close()
	s.line = nil
}

// sizeMessage is one large message with a small one behind it.
type sizeMessage struct {
	session mqttwire.Session
	topic   string
	qos     byte
	size    int

	code                 int // of what refused it; -1: nothing did
	reason, reasonString string
}

func (t *sizeMessage) send(ctx context.Context, large, small string, grace time.Duration) diag.SizeEnd {
	t.code = -1
	payload := bytes.Repeat([]byte(large+". "), t.size/len(large)+1)[:t.size]
	head := payload[:min(len(payload), len(large))]
	acked := t.session.StartPublishContext(ctx, mqttwire.Message{Topic: t.topic, Payload: payload, QoS: t.qos})
	behind := t.session.StartPublishContext(ctx, mqttwire.Message{Topic: t.topic, Payload: []byte(small), QoS: t.qos})
	came, alone := t.await(ctx, string(head), small, grace)
	if !came && !alone && !ended(t.session) {
		return diag.SizeStuck
	}
	if alone { // acknowledgements come in the order of the messages ([MQTT-4.6.0-2]), so its own is due
		bounded, cancel := patience.WithTimeout(ctx, time.Second)
		defer cancel()
		ctx = bounded
	}
	result, _ := acked.Wait(ctx)
	if result.Code >= 0x80 {
		t.code, t.reason, t.reasonString = int(result.Code), result.Reason, result.ReasonString
	}
	switch {
	case came:
		t.code = -1
		_, _ = behind.Wait(ctx)
		return diag.SizePassed
	case t.code >= 0:
		return diag.SizeRefused
	case alone && !ended(t.session):
		return diag.SizeDropped
	}
	if by := t.session.ClosedBy(); by.Kind == mqttwire.FailRefused {
		t.code, t.reason, t.reasonString = int(by.Code), by.Reason, by.ReasonString
		return diag.SizeDisconnected
	}
	return diag.SizeClosed
}

// await waits for the large message, or the small one behind it.
func (t *sizeMessage) await(ctx context.Context, head, small string, grace time.Duration) (came, alone bool) {
	waiting := ctx
	for {
		select {
		case m, open := <-t.session.Messages():
			switch {
			case !open:
				return false, alone
			case m.PayloadBytes == t.size && string(m.Payload[:min(len(m.Payload), len(head))]) == head:
				return true, alone
			case string(m.Payload) == small && grace == 0:
				return false, true
			case string(m.Payload) == small && !alone:
				late, cancel := patience.WithTimeout(ctx, grace)
				defer cancel()
				alone, waiting = true, late
			}
		case <-waiting.Done():
			return false, alone
		}
	}
}
