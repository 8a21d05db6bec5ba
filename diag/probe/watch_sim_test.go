package probe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// simBroker is a broker in the bubble of a test with a fake clock: hours of watching pass in milliseconds.
type simBroker struct {
	idle       time.Duration // ends connections after so long without a byte
	lifetime   time.Duration // ends connections at this age
	restart    time.Duration // ends all connections each time so much has passed
	downFor    time.Duration // after a restart nobody is let in for so long
	pingsOnly  int           // answers so many pings of a connection
	rival      time.Duration // the client id "boiler-7" is taken over after so long
	randomly   time.Duration // ends one connection after the other, with this mean time between
	how        simEnd
	code       byte // of a DISCONNECT before the end; 0: none
	keepAlive  uint16
	refuseLong bool // refuses keep alives above ten minutes
	enforce    bool // ends connections after one and a half times the keep alive without a byte from the client

	mu    sync.Mutex
	begun time.Time
	conns map[*simConn]bool
	seen  int
}

type simEnd int

const (
	simFIN simEnd = iota
	simRST
	simForget // both sides keep what they have, and nothing passes any more
	simAtPing // nothing passes, and the next packet of ours is answered by a reset
)

// simConn is the client's end of a connection. Like a socket it takes what is written without waiting for a reader: a pipe
// would hold a lock of the writer's meanwhile, and the fake clock stands still while anybody waits for a lock.
type simConn struct {
	net.Conn
	server   net.Conn
	up, down chan []byte
	mu       sync.Mutex
	err      error
	dead     bool // nothing passes
	rst      bool // the next write ends it
}

func (c *simConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.err != nil && !errors.Is(err, net.ErrClosed) {
		err = c.err
	}
	return n, err
}

func (c *simConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	dead, rst := c.dead, c.rst
	c.mu.Unlock()
	switch {
	case rst:
		c.end(syscall.ECONNRESET)
		return len(p), nil
	case dead:
		return len(p), nil
	}
	select {
	case c.up <- bytes.Clone(p):
	default:
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// answer sends a packet to the client.
func (c *simConn) answer(p ...byte) {
	select {
	case c.down <- p:
	default:
	}
}

// pump carries what was written, until ctx ends or the connection.
func pump(ctx context.Context, from <-chan []byte, to net.Conn) {
	for {
		select {
		case p := <-from:
			if p == nil {
				to.Close()
				return
			}
			if _, err := to.Write(p); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (c *simConn) end(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	select {
	case c.down <- nil: // behind what was answered
	default:
	}
}

// cut ends a connection the broker's way.
func (b *simBroker) cut(c *simConn) {
	if b.code != 0 {
		c.answer(0xE0, 1, b.code)
	}
	switch b.how {
	case simFIN:
		c.end(io.EOF)
	case simRST:
		c.end(syscall.ECONNRESET)
	case simForget, simAtPing:
		c.mu.Lock()
		c.dead, c.rst = true, b.how == simAtPing
		c.mu.Unlock()
	}
}

func (b *simBroker) all() []*simConn {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*simConn
	for c := range b.conns {
		out = append(out, c)
	}
	return out
}

// run does what the broker does by itself, until ctx ends.
func (b *simBroker) run(ctx context.Context) {
	b.begun, b.conns = time.Now(), map[*simConn]bool{}
	random := rand.New(rand.NewPCG(1, 2))
	for ctx.Err() == nil {
		switch {
		case b.restart > 0:
			if !pauseFor(ctx, b.restart) {
				return
			}
			for _, c := range b.all() {
				b.cut(c)
			}
		case b.randomly > 0:
			if !pauseFor(ctx, time.Duration(random.ExpFloat64()*float64(b.randomly))) {
				return
			}
			if all := b.all(); len(all) > 0 {
				b.cut(all[random.IntN(len(all))])
			}
		default:
			<-ctx.Done()
		}
	}
}

func (b *simBroker) isDown() bool {
	return b.restart > 0 && b.downFor > 0 && time.Since(b.begun) > b.restart && time.Since(b.begun)%b.restart < b.downFor
}

// serve speaks MQTT 5 with one client.
func (b *simBroker) serve(c *simConn) {
	defer func() {
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
	}()
	var timers []*time.Timer
	after := func(d time.Duration) *time.Timer {
		if d <= 0 {
			return nil
		}
		t := time.AfterFunc(d, func() { b.cut(c) })
		timers = append(timers, t)
		return t
	}
	defer func() {
		for _, t := range timers {
			t.Stop()
		}
	}()
	var idle, keep *time.Timer
	pings, allowed := 0, time.Duration(0)
	for {
		raw, err := simFrame(c.server)
		if err != nil {
			return
		}
		if idle != nil {
			idle.Reset(b.idle)
		}
		if keep != nil {
			keep.Reset(allowed)
		}
		time.Sleep(20 * time.Millisecond)
		switch mqttwire.PacketType(raw[0] >> 4) {
		case mqttwire.CONNECT:
			asked := uint16(raw[10])<<8 | uint16(raw[11])
			if b.refuseLong && asked > 600 {
				c.answer(0x20, 3, 0, 0x83, 0)
				c.end(io.EOF)
				return
			}
			answer := []byte{0x20, 3, 0, 0, 0}
			if b.keepAlive > 0 {
				asked = b.keepAlive
				answer = []byte{0x20, 6, 0, 0, 3, 0x13, byte(b.keepAlive >> 8), byte(b.keepAlive)}
			}
			c.answer(answer...)
			idle = after(b.idle)
			after(b.lifetime)
			if b.enforce && asked > 0 {
				allowed = time.Duration(asked) * 1500 * time.Millisecond
				keep = after(allowed)
			}
			if b.rival > 0 && string(raw[len(raw)-8:]) == "boiler-7" {
				after(b.rival)
			}
		case mqttwire.PINGREQ:
			if pings++; b.pingsOnly == 0 || pings <= b.pingsOnly {
				c.answer(0xD0, 0)
			}
		case mqttwire.DISCONNECT:
			c.end(io.EOF)
			return
		}
	}
}

// simFrame reads a packet of at most 127 bytes behind its header, as all of ours are here.
func simFrame(r io.Reader) ([]byte, error) {
	header := make([]byte, 2)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	body := make([]byte, header[1])
	_, err := io.ReadFull(r, body)
	return append(header, body...), err
}

// watch runs the check against the broker.
func (b *simBroker) watch(t *testing.T, in diag.TargetInput, plan diag.PlanInput, stopAfter time.Duration) (o *diag.ConnectionWatch) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		in.URL = "mqtt://192.0.2.1"
		target, err := diag.ParseTarget(in)
		if err != nil {
			t.Fatal(err)
		}
		opts, err := diag.ParsePlan(plan, IDs())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		carry := ctx
		var group sync.WaitGroup
		group.Go(func() { b.run(ctx) })
		synctest.Wait()
		env := &diag.Env{Target: target, Options: opts, RunID: "sim", View: &diag.View{}, Progress: func(int, int, string) {}}
		w := newWatch(env, &diag.MQTTConnect{Address: "192.0.2.1:1883", Version: diag.Version5})
		w.topic = "mqttdoctor/sim/watch"
		w.open = func(ctx context.Context, s laneSetting) (*diag.Attempt, *line) {
			r := askedRoute(target, "192.0.2.1:1883")
			if !s.own {
				r = r.with(diag.PurposeHeld, "", nil)
			}
			r.MQTT.Version, r.MQTT.KeepAliveS = diag.Version5, int(s.keepAlive/time.Second)
			a := &diag.Attempt{TCP: &diag.TCPConnect{Outcome: diag.OutcomeOK}}
			if b.isDown() {
				a.TCP.Outcome = diag.OutcomeRefused
				return a, nil
			}
			client, server := net.Pipe()
			c := &simConn{Conn: client, server: server, up: make(chan []byte, 64), down: make(chan []byte, 64)}
			group.Go(func() { pump(carry, c.up, client) })
			group.Go(func() { pump(carry, c.down, server) })
			b.mu.Lock()
			b.conns[c] = true
			b.seen++
			b.mu.Unlock()
			group.Go(func() { b.serve(c) })
			var session mqttwire.Session
			if a.MQTT, session = connectMQTT(ctx, env, r, c, nil); session == nil {
				return a, nil
			}
			return a, &line{Conn: c, Session: session}
		}
		watching, stop := ctx, context.CancelFunc(func() {})
		if stopAfter > 0 {
			watching, stop = context.WithTimeout(ctx, stopAfter)
		}
		begun := time.Now()
		o = w.run(watching)
		if stopAfter > 0 && time.Since(begun) > stopAfter+1500*time.Millisecond {
			t.Errorf("was canceled after %v and ended after %v", stopAfter, time.Since(begun))
		}
		stop()
		cancel()
		for _, c := range b.all() {
			c.server.Close()
		}
		group.Wait()
	})
	t.Cleanup(func() {
		if t.Failed() {
			for i, l := range o.Lanes[:min(len(o.Lanes), 12)] {
				t.Logf("lane %d: %s ka %v pause %v begun %v ended %v drops %d since %v longest %v held %v×%d", i, l.Role, l.KeepAlive, l.Pause, l.Begun, l.Ended, l.Drops, l.Since, l.Longest, l.Held, l.HeldCount)
			}
			for i, d := range o.Drops[:min(len(o.Drops), 16)] {
				t.Logf("drop %d: lane %d at %v how %s code %d age %v quiet %v ping %v", i, d.Lane, d.At, d.How, d.Code, d.Age, d.Quiet, d.AtPing)
			}
			t.Logf("reading: %+v", o.Read())
			if l := o.Read().Idle; l != nil {
				t.Logf("idle: %+v", *l)
			}
		}
	})
	return o
}

// within tells whether a measured time is right.
func within(d, want, slack time.Duration) bool { return (d - want).Abs() <= slack }

func TestWatchNamesTheTimer(t *testing.T) {
	t.Parallel()
	type result = diag.WatchReading
	for _, tt := range []struct {
		name   string
		broker *simBroker
		watchS int
		keep   int
		own    bool
		check  func(*diag.ConnectionWatch, result) bool
	}{
		{"healthy", &simBroker{}, 180, 60, false, calm},
		{"healthy, short", &simBroker{}, 30, 60, false, calm},
		{"healthy, shortest", &simBroker{}, 1, 60, false, calm},
		{"idle 4 s in 16 s", &simBroker{idle: 4 * time.Second}, 16, 60, false, idleAt(4, 3, 3, true)},
		{"healthy, no keep alive", &simBroker{}, 600, 0, false, calm},
		{"healthy, a day", &simBroker{enforce: true}, 86400, 60, false, calm},
		{"healthy, own id", &simBroker{enforce: true}, 600, 60, true, calm},
		{"the right of a broker", &simBroker{enforce: true}, 600, 20, false, calm},
		{"server keep alive", &simBroker{enforce: true, keepAlive: 20}, 600, 300, false, calm},
		{"refuses a long keep alive", &simBroker{refuseLong: true}, 3600, 60, false, calm},
		{"idle 20 s, FIN", &simBroker{idle: 20 * time.Second}, 180, 60, false, idleAt(20, 15, 15, true)},
		{"idle 20 s, RST", &simBroker{idle: 20 * time.Second, how: simRST}, 180, 60, false, idleAt(20, 15, 15, true)},
		{"idle 20 s, DISCONNECT", &simBroker{idle: 20 * time.Second, code: 0x8D}, 180, 60, false, idleAt(20, 15, 15, true)},
		{"idle 20 s, forgotten", &simBroker{idle: 20 * time.Second, how: simForget}, 180, 60, false, idleAt(30, 15, 15, false)},
		{"idle 20 s, reset at the next packet", &simBroker{idle: 20 * time.Second, how: simAtPing}, 180, 60, false, idleAt(30, 15, 15, false)},
		{"idle 20 s in 30 s", &simBroker{idle: 20 * time.Second}, 30, 60, false, idleAt(20, 10, 0, true)},
		{"idle 12 s in 60 s", &simBroker{idle: 12 * time.Second}, 60, 60, false, idleAt(12, 10, 10, true)},
		{"idle 20 s, no keep alive", &simBroker{idle: 20 * time.Second}, 180, 0, false, idleAt(20, 15, 15, true)},
		{"idle 60 s with keep alive 60", &simBroker{idle: 59900 * time.Millisecond}, 600, 60, false, idleAt(60, 45, 45, true)},
		{"idle 50 s, ten minutes", &simBroker{idle: 50 * time.Second}, 600, 120, false, idleAt(50, 30, 45, true)},
		{"idle 350 s, keep alive 600, balancer", &simBroker{idle: 350 * time.Second, how: simAtPing}, 7200, 600, false, idleAt(480, 240, 350, false)},
		{"idle 150 s, keep alive 240, mobile", &simBroker{idle: 150 * time.Second, how: simForget}, 7200, 240, false, idleAt(180, 120, 150, false)},
		{"idle 240 s, a day", &simBroker{idle: 240 * time.Second}, 86400, 1200, false, idleAt(240, 120, 200, true)},
		{"idle 300 s that does not matter", &simBroker{idle: 300 * time.Second}, 3600, 60, false, func(_ *diag.ConnectionWatch, r result) bool {
			return r.Idle != nil && !r.Idle.Asked && r.Incidents() == 0
		}},
		{"a silent connection that is found dead at the end", &simBroker{idle: 20 * time.Second, how: simForget}, 60, 15, false, func(o *diag.ConnectionWatch, r result) bool {
			return o.DropCount > 0 && r.Incidents() == 0 && (r.Idle == nil || !r.Idle.Asked)
		}},
		{"age 60 s", &simBroker{lifetime: time.Minute}, 180, 60, false, lifetimeAt(60)},
		{"age 20 s in 30 s", &simBroker{lifetime: 20 * time.Second, how: simRST}, 30, 60, false, lifetimeAt(20)},
		{"age half an hour", &simBroker{lifetime: 30 * time.Minute, code: 0x98}, 7200, 60, false, lifetimeAt(1800)},
		{"age 60 s, keep alive 15", &simBroker{lifetime: time.Minute}, 300, 15, false, lifetimeAt(60)},
		{"restarts each 47 s", &simBroker{restart: 47 * time.Second}, 300, 60, false, togetherEach(47, 6)},
		{"restarts each 10 min, down for 5 s", &simBroker{restart: 10 * time.Minute, downFor: 5 * time.Second, code: 0x8B}, 3500, 60, false, togetherEach(600, 5)},
		{"one restart", &simBroker{restart: 100 * time.Second}, 180, 60, false, togetherEach(0, 1)},
		{"one restart in a short watch", &simBroker{restart: 20 * time.Second}, 30, 60, false, togetherEach(0, 1)},
		{"a path that breaks each 100 s", &simBroker{restart: 100 * time.Second, how: simAtPing}, 580, 60, false, togetherEach(100, 5)},
		{"random", &simBroker{randomly: 40 * time.Second, how: simRST}, 1800, 60, false, single},
		{"random, forgotten", &simBroker{randomly: 40 * time.Second, how: simForget}, 1800, 60, false, single},
		{"random, own id", &simBroker{randomly: 10 * time.Second}, 600, 60, true, single},
		{"no more PINGRESP", &simBroker{pingsOnly: 5}, 180, 60, false, func(o *diag.ConnectionWatch, r result) bool {
			return r.Idle == nil && r.Lifetime == nil && len(r.Together) == 0 && len(r.Single) > 3 && o.Drops[0].How == diag.OutcomeSilent
		}},
		{"taken over", &simBroker{rival: 4 * time.Second, code: 0x8E}, 180, 60, true, takenOver},
		{"taken over, closed", &simBroker{rival: 4 * time.Second}, 180, 60, true, takenOver},
		{"taken over, no consent", &simBroker{rival: 4 * time.Second, code: 0x8E}, 180, 60, false, calm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := diag.TargetInput{KeepaliveS: &tt.keep}
			plan := diag.PlanInput{WatchS: &tt.watchS}
			if tt.own || tt.broker.rival > 0 {
				in.ClientID, plan.Intrusive = "boiler-7", tt.own
			}
			o := tt.broker.watch(t, in, plan, 0)
			r := o.Read()
			if !tt.check(o, r) {
				t.Errorf("%d drops are read as %+v", o.DropCount, r)
			}
			if len(o.RTT.MS) > diag.MaxRTTPoints || len(o.Drops) > diag.MaxDrops || len(o.Tries) > diag.MaxTries || len(o.Lanes) > diag.MaxLanes {
				t.Errorf("it grows: %d round trips, %d drops, %d tries, %d lanes", len(o.RTT.MS), len(o.Drops), len(o.Tries), len(o.Lanes))
			}
			if len(o.RTT.MS) == 0 && tt.watchS > 2 {
				t.Error("no round trip was measured")
			}
			for _, l := range o.Lanes {
				if l.KeepAlive > 0 && l.Pause > l.KeepAlive {
					t.Errorf("a lane pings too late: %+v", l)
				}
			}
		})
	}
}

func calm(o *diag.ConnectionWatch, r diag.WatchReading) bool {
	return o.DropCount == 0 && r.Incidents() == 0 && r.Idle == nil && r.Lifetime == nil && o.Watched == o.Asked
}

// idleAt wants a time-out, with what the recommended keep alive is at least and at most; 0 at most: none needs to be verified.
func idleAt(after, least, most int, exact bool) func(*diag.ConnectionWatch, diag.WatchReading) bool {
	return func(o *diag.ConnectionWatch, r diag.WatchReading) bool {
		l := r.Idle
		if l == nil || l.Exact != exact || !l.Asked || r.Incidents() > 0 || r.Lifetime != nil {
			return false
		}
		if exact && !within(l.After, time.Duration(after)*time.Second, time.Second) || !exact && l.After > time.Duration(after)*time.Second+time.Second {
			return false
		}
		safe, ended, ok := o.SafeKeepAlive()
		if most == 0 && !ok {
			return true
		}
		return ok && safe >= least && (most == 0 || safe <= most) && ended >= safe
	}
}

func lifetimeAt(after int) func(*diag.ConnectionWatch, diag.WatchReading) bool {
	return func(_ *diag.ConnectionWatch, r diag.WatchReading) bool {
		return r.Lifetime != nil && within(r.Lifetime.After, time.Duration(after)*time.Second, 2*time.Second) && r.Idle == nil && r.Incidents() == 0
	}
}

// togetherEach wants so many moments at which all ended, at the given interval; 0: none can be told.
func togetherEach(interval, count int) func(*diag.ConnectionWatch, diag.WatchReading) bool {
	return func(_ *diag.ConnectionWatch, r diag.WatchReading) bool {
		d, ok := diag.Regular(r.Together, 2)
		return len(r.Together) == count && len(r.Single) == 0 && r.Idle == nil && r.Lifetime == nil &&
			(interval == 0 && !ok || ok && within(d, time.Duration(interval)*time.Second, 2*time.Second))
	}
}

func single(_ *diag.ConnectionWatch, r diag.WatchReading) bool {
	_, regular := diag.Regular(r.Single, 3)
	return len(r.Single) > 4 && r.Idle == nil && r.Lifetime == nil && len(r.Together) < 3 && !regular && len(r.TakenOver) == 0
}

func takenOver(_ *diag.ConnectionWatch, r diag.WatchReading) bool {
	return len(r.TakenOver) > 3 && r.Idle == nil && r.Lifetime == nil && r.Incidents() == 0
}

func TestWatchThatIsCanceled(t *testing.T) {
	t.Parallel()
	keep := 60
	o := (&simBroker{idle: 20 * time.Second}).watch(t, diag.TargetInput{KeepaliveS: &keep}, diag.PlanInput{WatchS: new(8 * 3600)}, 3*time.Minute)
	if l := o.Read().Idle; l == nil || !within(l.After, 20*time.Second, time.Second) || o.Watched > 3*time.Minute+2*time.Second {
		t.Errorf("what was seen is lost: %v of %v, %+v", o.Watched, o.Asked, o.Read())
	}
}
