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
	checkSys      diag.ProbeID = "broker.sys"
	checkSysLater diag.ProbeID = "broker.sys_later"

	// stashSys is where the reader lives until the end of the run, where it is read again then.
	stashSys = diag.StashMQTT + "sys"

	// sysSettle is how long further messages are awaited behind the answer to a ping, which came after them on most brokers.
	sysSettle   = 200 * time.Millisecond
	maxSysNodes = 16 // whose figures and alarms are kept
	// sysRound is a little more than mosquitto's usual sys_interval: for as long a changed counter is awaited.
	sysRound = 11 * time.Second
)

// sysSymptoms are those that the broker's own figures may explain. Others are not made to wait for them: the answers take
// longer than all that a healthy standard run waits for.
var sysSymptoms = append([]diag.Symptom{diag.SymptomSlow, diag.SymptomDuplicate}, awaySymptoms...)

// brokerSys reads what the broker tells of itself below $SYS, on a connection of its own: a broker that does not let us read it
// may end the connection over it.
var brokerSys = diag.Probe{
	ID: checkSys, Layer: diag.LayerBroker, Depth: diag.DepthDeep, Symptoms: sysSymptoms,
	Ready:  needSession,
	Budget: 20 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		r, o, skipped := openSys(ctx, env)
		if r == nil && o == nil {
			return diag.Skipped(diag.N(skipped))
		}
		if r == nil {
			return sysResult(o)
		}
		if env.View.InPlan(checkSysLater) {
			env.Stash.Put(stashSys, r)
		} else {
			defer r.Close() // it would only take a place that a check may need
		}
		return sysResult(r.health())
	},
}

// brokerSysLater reads again when all is done, to see which counters have risen meanwhile.
var brokerSysLater = diag.Probe{
	ID: checkSysLater, Layer: diag.LayerBroker, Depth: diag.DepthDeep, Symptoms: sysSymptoms,
	Ready: func(v *diag.View) diag.Decision {
		for _, s := range diag.SeenBy[*diag.BrokerHealth](v, checkSys) {
			if s.Seen.Outcome == diag.OutcomeOK {
				return diag.Run()
			}
		}
		return diag.Skip(diag.N("skip.no_sys"))
	},
	Budget: sysRound + 5*time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		item, _ := env.Stash.Borrow(stashSys)
		r, ok := item.(*sysReader)
		if !ok {
			return diag.Skipped(diag.N("skip.no_sys"))
		}
		r.await(ctx)
		return sysResult(r.health())
	},
}

func sysResult(o *diag.BrokerHealth) diag.Result {
	release := strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(o.Release, o.Product)), "version ") // "mosquitto version 2.0.11"
	args := []string{"product", o.Product, "version", release, "count", strconv.Itoa(len(o.Figures))}
	if o.Uptime > 0 {
		args = append(args, "duration", diag.FormatSpan(o.Uptime))
	}
	switch {
	case o.Outcome != diag.OutcomeOK: // most brokers keep this from clients, as they should
		return diag.Passed(o, diag.N("step.broker.sys.denied", "symbol", string(o.Outcome)))
	case o.Messages == 0:
		return diag.Passed(o, diag.N("step.broker.sys.none"))
	case len(o.Alarms) > 0:
		return diag.Warned(o, diag.N("step.broker.sys.alarms", "names", alarmNames(o)))
	}
	return diag.Passed(o, diag.N("step.broker.sys.ok", args...))
}

func alarmNames(o *diag.BrokerHealth) string {
	var out []string
	for _, a := range o.Alarms {
		out = append(out, a.Name)
	}
	return strings.Join(out, ", ")
}

// openSys connects and subscribes. Without a reader the observation tells how it ended; without both there is no session to
// read beside.
func openSys(ctx context.Context, env *diag.Env) (r *sysReader, o *diag.BrokerHealth, skipped string) {
	main, ok := borrowMain(env)
	if !ok {
		return nil, nil, "skip.no_session"
	}
	a, l := walk(ctx, env, askedRoute(env.Target, main.address).with(diag.PurposeOtherClientID, "sys", func(r *route) {
		r.MQTT.Version, r.WS.Subprotocols = main.version, subprotocolsFor(main.version)
	}), upToMQTT)
	if l == nil || l.Session == nil {
		return nil, nil, "skip.no_connection"
	}
	o = &diag.BrokerHealth{Version: main.version, Address: main.address}
	r = newSysReader(l.Session, *o, beat(a.MQTT))
	if r.subscribe(ctx, env); r.base.Outcome != diag.OutcomeOK {
		o.Outcome = r.base.Outcome
		_ = r.Close()
		return nil, o, ""
	}
	return r, o, ""
}

// sysReader collects what comes below $SYS. Its goroutine ends with the session.
type sysReader struct {
	mqttwire.Session
	group sync.WaitGroup

	mu      sync.Mutex
	base    diag.BrokerHealth
	figures []diag.Figure
	since   time.Time     // first message
	changed chan struct{} // one token: something came
	told    time.Time     // last message
	counts  bool          // there is a counter of dropped messages
}

// newSysReader pings every so often, to be kept through a long watch; 0: never.
func newSysReader(s mqttwire.Session, base diag.BrokerHealth, every time.Duration) *sysReader {
	r := &sysReader{Session: s, base: base, changed: make(chan struct{}, 1)}
	r.group.Go(func() {
		for m := range s.Messages() {
			r.take(m)
		}
	})
	r.group.Go(func() { keepAlive(r, every) })
	return r
}

// subscribe asks for the topics and waits for what comes at once.
func (r *sysReader) subscribe(ctx context.Context, env *diag.Env) {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	pending := r.StartSubscribe(sysFilters())
	pong := make(chan struct{})
	r.group.Go(func() { // sent right behind: its answer comes behind the retained messages
		defer close(pong)
		_, _ = r.Ping(ctx)
	})
	result, failure := pending.Wait(ctx)
	outcome := diag.OutcomeOK
	switch {
	case failure != nil && len(result.Codes) == 0:
		outcome = outcomeOfFailure(failure.Kind)
	case !slices.ContainsFunc(result.Codes, func(code byte) bool { return code < 0x80 }):
		outcome = diag.OutcomeRefused
	}
	r.mu.Lock()
	r.base.Outcome = outcome
	r.mu.Unlock()
	if outcome != diag.OutcomeOK {
		return
	}
	select {
	case <-pong:
	case <-ctx.Done():
	}
	for r.more(ctx, sysSettle) {
	}
}

// more waits for another message; false: none came.
func (r *sysReader) more(ctx context.Context, d time.Duration) bool {
	waiting, cancel := patience.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-r.changed:
		return true
	case <-waiting.Done():
	case <-r.Done():
	}
	return false
}

// await waits until a broker that counts what it drops has told its figures once more: some tell only those that have changed,
// so any of them shows that a round has come.
func (r *sysReader) await(ctx context.Context) {
	begun, clock := time.Now(), patience.Watch()
	defer clock.Stop()
	for {
		r.mu.Lock()
		enough := !r.counts || r.told.After(begun)
		r.mu.Unlock()
		left := sysRound - clock.Ran()
		if enough || left <= 0 || ctx.Err() != nil || ended(r) {
			break
		}
		r.more(ctx, left)
	}
	for clock.Ran() < sysRound && r.more(ctx, sysSettle) { // the rest of the round
	}
}

// take notes one message.
func (r *sysReader) take(m mqttwire.Received) {
	t, node, ok := sysTopicOf(m.Topic)
	r.mu.Lock()
	if ok {
		r.base.Messages++
		if r.since.IsZero() {
			r.since = m.At
		}
		r.told = m.At
		r.noteLocked(t, node, m)
	}
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *sysReader) noteLocked(t sysTopic, node string, m mqttwire.Received) {
	text := printable(string(m.Payload[:min(len(m.Payload), 200)]), 100)
	if t.Product != "" && r.base.Product == "" {
		r.base.Product = t.Product
	}
	switch t.Special {
	case sysVersion:
		r.base.Release = text
		if product := productIn(text); product != "" {
			r.base.Product = product
		}
		return
	case sysUptime, sysUptimeMS:
		bare := time.Second
		if t.Special == sysUptimeMS {
			bare = time.Millisecond
		}
		if up := parseUptime(text, bare); up > 0 && (r.base.Uptime == 0 || up < r.base.Uptime || node == "") {
			r.base.Uptime = up // of several nodes the one that was started last
		}
		return
	case sysAlarm, sysAlarmOver:
		if a, ok := parseAlarm(m.Payload, node); ok {
			r.alarmLocked(a, t.Special == sysAlarmOver)
		}
		return
	}
	value, err := strconv.ParseFloat(text, 64)
	if t.Figure == "" || err != nil || value < 0 || value > 1e15 || value != value {
		return
	}
	if t.Figure == diag.FigureDropped {
		r.counts = true
	}
	i := slices.IndexFunc(r.figures, func(f diag.Figure) bool { return f.Name == t.Figure && f.Node == node })
	switch {
	case i >= 0:
		r.figures[i].Last = value
		r.figures[i].Times++
	case len(r.figures) < maxSysNodes*len(sysTopics):
		r.figures = append(r.figures, diag.Figure{Name: t.Figure, Node: node, First: value, Last: value, Times: 1})
	}
}

func (r *sysReader) alarmLocked(a diag.BrokerAlarm, over bool) {
	i := slices.IndexFunc(r.base.Alarms, func(b diag.BrokerAlarm) bool { return b.Name == a.Name && b.Node == a.Node })
	switch {
	case i >= 0:
		r.base.Alarms[i].Over = over
	case !over && len(r.base.Alarms) < maxSysNodes:
		r.base.Alarms = append(r.base.Alarms, a)
	}
}

// health is what is known now.
func (r *sysReader) health() *diag.BrokerHealth {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.base
	o.Figures, o.Alarms = slices.Clone(r.figures), slices.Clone(r.base.Alarms)
	if !r.since.IsZero() {
		o.Watched = time.Since(r.since)
	}
	slices.SortStableFunc(o.Figures, func(a, b diag.Figure) int {
		if a.Name != b.Name {
			return strings.Compare(string(a.Name), string(b.Name))
		}
		return strings.Compare(a.Node, b.Node)
	})
	return &o
}

// Close ends the session in order.
func (r *sysReader) Close() error {
	leaveSession(context.Background(), r.Session)
	r.group.Wait()
	return nil
}
