package web

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
	"mqttdoctor/diag/relay"
	"mqttdoctor/diag/trace"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

const (
	// consoleLife is how long a console lasts at most, whatever goes on in it.
	consoleLife = 24 * time.Hour
	// relaysPerConsole bounds the connections of one console: a test with a few dozen clients, and not a farm of them.
	relaysPerConsole = 32
	// viewersPerConsole bounds those who look on.
	viewersPerConsole = 8
	// consoleTick is how often consoles are looked at. Stalled and quiet connections are noticed that much later.
	consoleTick = 5 * time.Second
)

// Consoles manages consoles: targets to which MQTT clients are relayed. They live in memory alone, with their secrets, and end
// by themselves. It implements [handlers.Consoles].
type Consoles struct {
	engine *Engine
	places *places
	relays int // the limit on connections, under mu
	idle   time.Duration
	meter  *meter
	audit  *audit // nil: nothing is noted
	log    *slog.Logger
	now    func() time.Time

	mu       sync.Mutex
	open     map[string]*console
	carried  int // connections of all consoles
	stopping bool
	stall    time.Duration  // how long one side of a connection may take nothing; 0: as the relay has it
	all      sync.WaitGroup // one for each connection
}

var _ handlers.Consoles = (*Consoles)(nil)

// console is one target. Its fields but those below mu are never changed.
type console struct {
	id      string
	token   []byte // hash of the delete token
	session *relay.Session
	ctx     context.Context // ends with the console; its cause is a *relay.End
	end     context.CancelCauseFunc
	trace   *trace.Recorder  // nil: nothing is kept
	target  diag.TargetInput // without secrets
	release func()
	expires time.Time

	// Under the lock of Consoles.
	using int // connections and viewers
	conns int // connections
	ended bool
	used  time.Time // when the last of them ended
}

// ConsolesConfig is what a manager of consoles needs.
type ConsolesConfig struct {
	Engine       *Engine
	Crew         archive.Crew // counts consoles over all processes; nil: this one alone counts
	MaxConsoles  int
	MaxPerClient int
	MaxRelays    int // connections of all consoles
	audit        *audit
	Idle         time.Duration // a console without connection and viewer ends after that
	Log          *slog.Logger  // nil: none
	Now          func() time.Time
	meter        *meter
}

// NewConsoles returns a manager. Consoles expire only while [Consoles.Run] runs.
func NewConsoles(c ConsolesConfig) *Consoles {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.meter == nil {
		c.meter = newMeter()
	}
	return &Consoles{engine: c.Engine, places: newPlaces(c.Crew, c.MaxConsoles, c.MaxPerClient), relays: c.MaxRelays, idle: c.Idle,
		meter: c.meter, audit: c.audit, log: c.Log, now: c.Now, open: map[string]*console{}}
}

// limit sets the limits from now on. What is open stays.
func (m *Consoles) limit(l Limits) {
	m.places.limit(l.MaxConsoles, l.MaxConsolesPer)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.relays = l.MaxRelays
}

// Open implements [handlers.Consoles].
func (m *Consoles) Open(ctx context.Context, by handlers.Actor, o handlers.ConsoleOptions) (handlers.OpenedConsole, error) {
	target, err := diag.ParseTarget(o.Target)
	if err != nil {
		return handlers.OpenedConsole{}, err
	}
	if err := m.engine.judge(target, diag.PlanOptions{}); err != nil {
		return handlers.OpenedConsole{}, err
	}
	release, err := m.places.take(ctx, by)
	if err != nil {
		return handlers.OpenedConsole{}, err
	}
	m.audit.note(ctx, archive.AuditLine{Act: actConsole, Person: by.Person.ID, Name: by.Person.Name, Client: by.Addr.String(), Target: place(target)})
	now, token := m.now(), newToken()
	c := &console{id: newID(), token: hashOf(token), release: release, expires: now.Add(consoleLife), used: now}
	c.ctx, c.end = context.WithCancelCause(context.Background()) // it outlives the request that made it
	c.target = target.Public()
	c.session = &relay.Session{Meter: &m.meter.relay, Dialer: relay.Dialer{Target: target, Dial: m.engine.Dial, Forbidden: forbidden}}
	if o.Trace {
		c.trace = trace.NewRecorder(m.now)
		c.session.NewTap = func() relay.Tap { return &tap{conn: c.trace.Connection(), scheme: target.Scheme} }
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		c.end(nil)
		release()
		return handlers.OpenedConsole{}, handlers.ErrStopping
	}
	c.session.Stall = m.stall
	m.open[c.id] = c
	m.meter.consoles.Inc()
	m.log.Info("console opened", "console", tagOf(c.id), "trace", o.Trace)
	return handlers.OpenedConsole{ID: c.id, DeleteToken: token, ExpiresAt: c.expires, Idle: m.idle}, nil
}

// forbidden tells a refusal of the guard from other errors of dialling.
func forbidden(err error) bool {
	var refused *guard.Forbidden
	return errors.As(err, &refused)
}

// End implements [handlers.Consoles].
func (m *Consoles) End(_ context.Context, id string, by handlers.Actor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.open[id]
	switch {
	case !ok:
		return handlers.ErrNoConsole
	case by.Token == "":
		return handlers.ErrNoToken
	case !matches(by.Token, c.token):
		return handlers.ErrNotYours
	}
	m.endLocked(c, &relay.End{By: relay.ByRelay, Why: relay.WhyEnded}, "deleted")
	return nil
}

// endLocked ends a console. Its connections get the reason and end in bounded time.
func (m *Consoles) endLocked(c *console, end *relay.End, why string) {
	delete(m.open, c.id)
	c.ended = true
	c.end(end)
	c.closeTraceLocked()
	c.release()
	m.meter.consoles.Dec()
	m.log.Info("console ended", "console", tagOf(c.id), "why", why)
}

// Relay implements [handlers.Consoles].
func (m *Consoles) Relay(id string, client *relay.Client) {
	c, end := m.enter(id)
	if end != nil {
		client.Refuse(end) // on the request's goroutine, which takes a moment
		return
	}
	go func() {
		defer m.all.Done()
		begun := time.Now()
		ended := c.session.Carry(c.ctx, client)
		m.leave(c)
		m.meter.relayed.WithLabelValues(string(ended.By), string(ended.Why)).Inc()
		m.log.Info("relay ended", "console", tagOf(id), "by", ended.By, "why", ended.Why, "duration_ms", time.Since(begun).Milliseconds())
	}()
}

// enter finds a place for one more connection, which ends with m.all.Done, or says how to refuse it.
func (m *Consoles) enter(id string) (*console, *relay.End) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.open[id]
	switch {
	case m.stopping:
		return nil, &relay.End{By: relay.ByRelay, Why: relay.WhyStopping}
	case !ok:
		return nil, &relay.End{By: relay.ByRelay, Why: relay.WhyEnded}
	case c.conns >= relaysPerConsole, m.carried >= m.relays:
		return nil, &relay.End{By: relay.ByRelay, Why: relay.WhyCrowded}
	}
	c.using++
	c.conns++
	m.carried++
	m.all.Add(1)
	return c, nil
}

func (m *Consoles) leave(c *console) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.conns--
	m.carried--
	c.closeTraceLocked()
	m.unuseLocked(c)
}

// closeTraceLocked ends the trace once the console has ended, and its connections have noted how they did.
func (c *console) closeTraceLocked() {
	if c.ended && c.conns == 0 && c.trace != nil {
		c.trace.Close()
	}
}

func (m *Consoles) unuseLocked(c *console) {
	if c.using--; c.using == 0 {
		c.used = m.now()
	}
}

// Trace implements [handlers.Consoles].
func (m *Consoles) Trace(id string, after uint64) (*trace.Viewer, func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.open[id]
	switch {
	case !ok:
		return nil, nil, handlers.ErrNoConsole
	case c.trace == nil:
		return nil, nil, handlers.ErrNoTrace
	case c.using-c.conns >= viewersPerConsole:
		return nil, nil, &handlers.TooManyViewers{Limit: viewersPerConsole}
	}
	viewer, err := c.trace.View(after)
	if err != nil {
		return nil, nil, &handlers.AfterAhead{Last: int(c.trace.Last())}
	}
	c.using++
	m.meter.viewers.Inc()
	return viewer, sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.meter.viewers.Dec()
		m.unuseLocked(c)
	}), nil
}

// Kept implements [handlers.Consoles].
func (m *Consoles) Kept(id string) (handlers.KeptTrace, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.open[id]
	switch {
	case !ok:
		return handlers.KeptTrace{}, handlers.ErrNoConsole
	case c.trace == nil:
		return handlers.KeptTrace{}, handlers.ErrNoTrace
	}
	c.used = m.now()
	return handlers.KeptTrace{Recorder: c.trace, Target: c.target}, nil
}

// Run looks after consoles until the context ends.
func (m *Consoles) Run(ctx context.Context) {
	ticker := time.NewTicker(consoleTick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.Sweep()
			m.settle(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// settle gives the places of ended consoles back to other processes.
func (m *Consoles) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, consoleTick)
	defer cancel()
	if err := m.places.settle(ctx); err != nil && ctx.Err() == nil {
		m.log.Warn("places of consoles are not given back yet", "err", err)
	}
}

// Sweep ends consoles whose time is over, and connections that are dead or stand still.
func (m *Consoles) Sweep() {
	now := m.now()
	m.mu.Lock()
	var alive []*console
	for _, c := range m.open {
		switch {
		case !now.Before(c.expires):
			m.endLocked(c, &relay.End{By: relay.ByRelay, Why: relay.WhyEnded, Text: "its time is over"}, "expired")
		case c.using == 0 && now.Sub(c.used) >= m.idle:
			m.endLocked(c, &relay.End{By: relay.ByRelay, Why: relay.WhyEnded}, "idle")
		default:
			alive = append(alive, c)
		}
	}
	m.mu.Unlock()
	for _, c := range alive {
		c.session.Sweep(now)
	}
}

// Stop ends every console, takes no new ones, and returns when the last connection has ended, or with the context.
func (m *Consoles) Stop(ctx context.Context) error {
	m.mu.Lock()
	m.stopping = true
	for _, c := range m.open {
		m.endLocked(c, &relay.End{By: relay.ByRelay, Why: relay.WhyStopping}, "server stops")
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the connections, which end in bounded time
		m.all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
