package probe

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

// stashScratch is where the session for our own topics lives, where that is not the asked one.
const stashScratch = diag.StashMQTT + "scratch"

// exchange is a session with what it has received, so that several checks can each wait for their own test message.
type exchange struct {
	mqttwire.Session
	version diag.Version
	address string
	connect *diag.MQTTConnect // what accepted it
	since   time.Time         // CONNACK
	maxQoS  byte

	// sent is closed once the SUBSCRIBE for our scratch topic was written: what is published after it on the same
	// connection reaches the broker after it.
	sent     chan struct{}
	sentOnce sync.Once
	// answered is closed once it is known what came of that SUBSCRIBE.
	answered     chan struct{}
	answeredOnce sync.Once

	mu       sync.Mutex
	received map[string][]mqttwire.Received // by payload marker
	arrived  chan struct{}                  // closed and renewed whenever something came
	granted  map[string]byte                // filters that were granted, with their QoS
	retained []diag.RetainedMessage         // of others, that answered our subscriptions
	tests    []testMessage                  // that went out on this session, one at a time
	strange  map[string]int                 // by topic of ours, where nobody else publishes: the length of a payload that is none of ours

	inTurn sync.Mutex // of the asked session: one check at a time sends several messages
}

// testMessage is one that was published on a session, with what was seen of it while it was awaited.
type testMessage struct {
	marker   string
	sent     time.Time
	behind   bool // it was sent behind the SUBSCRIBE for its topic
	delivery *diag.Delivery
}

// remember keeps a test message for the recount.
func (x *exchange) remember(m testMessage) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tests = append(x.tests, m)
}

// remembered lists the test messages to a topic.
func (x *exchange) remembered(topic string) []testMessage {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []testMessage
	for _, m := range x.tests {
		if m.delivery.Topic == topic {
			out = append(out, m)
		}
	}
	return out
}

func newExchange(s mqttwire.Session, o *diag.MQTTConnect) *exchange {
	x := &exchange{Session: s, version: o.Version, address: o.Address, connect: o, since: answeredAt(s), maxQoS: maximumQoS(o), sent: make(chan struct{}), answered: make(chan struct{}),
		received: map[string][]mqttwire.Received{}, arrived: make(chan struct{}), granted: map[string]byte{}}
	go x.collect() // both end with the session, which the stash closes
	go keepAlive(s, beat(o))
	return x
}

// answeredAt is when the CONNACK came: what ends a session may come in the same breath, before anybody here has turned to it.
func answeredAt(s mqttwire.Session) time.Time {
	for _, f := range s.Trace() {
		if f.Type == mqttwire.CONNACK && f.Dir == mqttwire.In {
			return f.At
		}
	}
	return time.Now()
}

// maxKept bounds what is kept of messages that are not ours: none of their payload, and of ours a handful each.
const maxKept = 16

func (x *exchange) collect() {
	for m := range x.Messages() {
		marker := string(m.Payload[:min(len(m.Payload), 80)])
		x.mu.Lock()
		x.noteRetainedLocked(m)
		x.noteStrangeLocked(m)
		if kept, awaited := x.received[marker]; awaited && len(kept) < maxKept {
			x.received[marker] = append(kept, m)
			close(x.arrived)
			x.arrived = make(chan struct{})
		}
		x.mu.Unlock()
	}
}

// noteStrangeLocked remembers that a message came on a topic of this run with a payload that none of its test messages has.
func (x *exchange) noteStrangeLocked(m mqttwire.Received) {
	run, ours := strings.CutPrefix(m.Topic, "mqttdoctor/")
	run, echo := strings.CutSuffix(run, "/echo")
	if !ours || !echo || m.Retain || len(x.strange) >= maxKept || isMarker(m.Payload, run) {
		return
	}
	if x.strange == nil {
		x.strange = map[string]int{}
	}
	x.strange[m.Topic] = len(m.Payload)
}

// altered tells whether something else came on our own topic than was sent there, and how long it was.
func (x *exchange) altered(topic string) (int, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n, ok := x.strange[topic]
	return n, ok
}

// markers numbers the test messages: each is told from all others, also those of other sessions on the same topic.
var markers atomic.Int64

// markerStart is short, so that a message of ours is not what meets a narrow limit on packets.
const markerStart = "mqttdoctor test "

// newMarker is the payload of one test message.
func newMarker(runID string) string {
	return markerStart + strconv.FormatInt(markers.Add(1), 10) + " " + runID
}

// isMarker tells a payload that newMarker made for the run, on whatever session.
func isMarker(payload []byte, runID string) bool {
	number, ours := strings.CutPrefix(string(payload[:min(len(payload), 80)]), markerStart)
	number, whole := strings.CutSuffix(number, " "+runID)
	_, err := strconv.ParseInt(number, 10, 64)
	return ours && whole && err == nil
}

// expect prepares for a message and returns its payload.
func (x *exchange) expect(runID string) string {
	marker := newMarker(runID)
	x.watch(marker)
	return marker
}

// watch prepares for a message with a payload that is known already.
func (x *exchange) watch(marker string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.received[marker] = []mqttwire.Received{}
}

// await waits for the first copy of a message; ok is false where none came within d, or the session ended.
func (x *exchange) await(ctx context.Context, marker string, d time.Duration) (mqttwire.Received, bool) {
	waiting, cancel := patience.WithTimeout(ctx, d)
	defer cancel()
	for {
		x.mu.Lock()
		got, arrived := x.received[marker], x.arrived
		x.mu.Unlock()
		if len(got) > 0 {
			return got[0], true
		}
		select {
		case <-arrived:
		case <-x.Done():
			return mqttwire.Received{}, false
		case <-waiting.Done():
			if got := x.got(marker); len(got) > 0 { // of two things that have happened either may be heard of first
				return got[0], true
			}
			return mqttwire.Received{}, false
		}
	}
}

func (x *exchange) copies(marker string) int { return len(x.got(marker)) }

// got lists the copies of a message that have come, in their order.
func (x *exchange) got(marker string) []mqttwire.Received {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.received[marker])
}

// matching counts the granted filters that match the topic: a server may deliver one copy for each (MQTT 5.0 3.3.4).
func (x *exchange) matching(topic string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for filter := range x.granted {
		if ok, _ := mqttwire.Match(filter, topic); ok {
			n++
		}
	}
	return n
}

func (x *exchange) grant(filter string, qos byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.granted[filter] = qos
}

// covers tells whether a granted subscription of this session matches the topic.
func (x *exchange) covers(topic string) bool { return x.matching(topic) > 0 }

// announceSubscribe tells those who wait for it that the SUBSCRIBE for our topic is on its way.
func (x *exchange) announceSubscribe() { x.sentOnce.Do(func() { close(x.sent) }) }

// announceSuback tells that it has been answered, or will not be.
func (x *exchange) announceSuback() { x.answeredOnce.Do(func() { close(x.answered) }) }

// ownTopics tells whether the user named topics: the asked session is then kept for them, since many brokers end a
// connection at the first thing that it may not do.
func ownTopics(t diag.Target) bool { return t.Topics.Publish != "" || len(t.Topics.Subscribe) > 0 }

// scratchTopic is ours alone, below our prefix.
func scratchTopic(env *diag.Env) string { return "mqttdoctor/" + env.RunID + "/echo" }

// scratchExchange is the session for our own topic: the asked one, or where the user named topics one of its own.
func scratchExchange(ctx context.Context, env *diag.Env) (*exchange, bool) {
	if !ownTopics(env.Target) {
		return borrowMain(env)
	}
	if item, ok := env.Stash.Borrow(stashScratch); ok {
		x, isExchange := item.(*exchange)
		return x, isExchange
	}
	main, ok := borrowMain(env)
	if !ok {
		return nil, false
	}
	_, x := another(ctx, env, main, diag.PurposeOtherClientID, "scratch")
	if x == nil {
		env.Stash.Put(stashScratch, noExchange{})
		return nil, false
	}
	env.Stash.Put(stashScratch, x)
	return x, true
}

// noExchange stands in the stash for the session that the broker would not let us have beside the asked one: nobody need wait
// for it.
type noExchange struct{}

func (noExchange) Close() error { return nil }

// another is a further session like the asked one, with a temporary client id; nil where it was not accepted. The caller
// closes it.
func another(ctx context.Context, env *diag.Env, like *exchange, purpose diag.Purpose, label string) (*diag.Attempt, *exchange) {
	a, l := walk(ctx, env, askedRoute(env.Target, like.address).with(purpose, label, func(r *route) {
		r.MQTT.Version, r.WS.Subprotocols = like.version, subprotocolsFor(like.version)
	}), upToMQTT)
	if l == nil || l.Session == nil {
		return a, nil
	}
	return a, newExchange(l.Session, a.MQTT)
}

// ended tells whether the session is over.
func (x *exchange) ended() bool {
	select {
	case <-x.Done():
		return true
	default:
		return false
	}
}

// borrowScratch is the session for our own topic once msg.subscribe has made it; nil where there is none to be had.
func borrowScratch(env *diag.Env) (x *exchange, decided bool) {
	if !ownTopics(env.Target) {
		return borrowMain(env)
	}
	item, decided := env.Stash.Borrow(stashScratch)
	x, _ = item.(*exchange)
	return x, decided
}

// echoWait is how long a message is awaited that should have come: far longer than any healthy broker on this path takes,
// since calling a slow broker one that loses messages would be a wrong verdict.
func echoWait(env *diag.Env, address string) time.Duration {
	return min(env.Options.Timeout, max(2*time.Second, 10*roundTrip(env.View, address)))
}
