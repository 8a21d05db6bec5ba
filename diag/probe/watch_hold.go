package probe

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/netprobe"
	"mqttdoctor/diag/patience"
)

const (
	// backoffMost bounds the pause before another attempt to connect.
	backoffMost = time.Minute
	// settled is the age from which a connection counts as one: one that ends earlier does not make the next pause short again.
	settled = 10 * time.Second
	// refusedTries is how often a lane is tried that was never accepted.
	refusedTries = 3
	// idleDrops is how often the silent connection is cut before that is known.
	idleDrops = 4
	// lastPing bounds the ping at the end of a watch that was canceled: the run waits for it.
	lastPing = time.Second
)

// backoff is the pause before the n-th attempt, from 1: doubled each time, and up to half of it by chance, so that those who
// were cut together do not come back together.
func backoff(n int) time.Duration {
	d := min(time.Second<<min(n-1, 6), backoffMost)
	return d/2 + rand.N(d/2+1)
}

// quietTCP turns off what Go does on every TCP connection: keep-alive probes, which would keep alive what we want to see die.
func quietTCP(conn net.Conn) {
	for conn != nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetKeepAlive(false)
			return
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		conn = wrapper.NetConn()
	}
}

// hold keeps one lane connected until over ends; ctx ends with it or before, where the run was canceled.
func (w *watch) hold(ctx, over context.Context, s laneSetting) {
	lane := w.begin(s)
	tries, since := 0, time.Duration(-1) // attempts since the drop, and when that was; -1: none yet
	var wait time.Duration
	for over.Err() == nil {
		a, l := w.open(over, s)
		if over.Err() != nil && l == nil {
			return
		}
		w.tried(lane, since, tries, wait, a)
		if l == nil {
			if tries++; since < 0 && (tries >= refusedTries || refusedForGood(a)) {
				w.giveUp(lane, a)
				return
			}
			if wait = backoff(tries); !pauseFor(over, wait) {
				return
			}
			continue
		}
		drop, dropped := w.keep(ctx, over, lane, w.accept(lane, s, a), l)
		if !dropped {
			return
		}
		since = drop.At
		next, on := w.dropped(lane, s, drop)
		if !on {
			return
		}
		if next != s {
			s, lane = next, w.begin(next)
		}
		if tries++; drop.Age >= settled {
			tries = 1
		}
		if wait = backoff(tries); !pauseFor(over, wait) {
			return
		}
	}
}

// refusedForGood tells a refusal that another attempt will not change, such as of the keep alive.
func refusedForGood(a *diag.Attempt) bool {
	return a.MQTT != nil && a.MQTT.Outcome == diag.OutcomeRefused && a.MQTT.Code != 3 && a.MQTT.Code != 0x88 && a.MQTT.Code != 0x89
}

// begin enters a lane and returns its index.
func (w *watch) begin(s laneSetting) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.o.Lanes = append(w.o.Lanes, diag.Lane{Role: s.role, OwnClientID: s.own, KeepAlive: s.keepAlive, Pause: s.pause,
		Begun: w.now(), Since: -1})
	return len(w.o.Lanes) - 1
}

// tried records an attempt after a drop.
func (w *watch) tried(lane int, since time.Duration, tries int, wait time.Duration, a *diag.Attempt) {
	if since < 0 {
		return
	}
	outcome, _, _ := endOfAttempt(a)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.o.TryCount++
	w.o.Down = max(w.o.Down, w.now()-since)
	if len(w.o.Tries) < diag.MaxTries {
		w.o.Tries = append(w.o.Tries, diag.Reconnect{Lane: lane, At: w.now(), Number: max(1, tries), Wait: wait, Outcome: outcome})
	}
}

func (w *watch) giveUp(lane int, a *diag.Attempt) {
	outcome, _, _ := endOfAttempt(a)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.o.Lanes[lane].Refused, w.o.Lanes[lane].Ended = outcome, w.now()
}

// accept notes a new connection, and returns the setting as the server has it (MQTT 5.0 3.2.2.3.14: its keep alive overrides).
func (w *watch) accept(lane int, s laneSetting, a *diag.Attempt) laneSetting {
	if a.MQTT != nil && a.MQTT.Props != nil && a.MQTT.Props.ServerKeepAliveS != nil {
		s.keepAlive = time.Duration(*a.MQTT.Props.ServerKeepAliveS) * time.Second
	}
	if s.keepAlive > 0 && (s.pause > s.keepAlive || s.pause == 0 && s.keepAlive < w.length) {
		s.pause = s.keepAlive
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.o.Lanes[lane]
	l.Connects++
	l.KeepAlive, l.Pause = s.keepAlive, s.pause
	return s
}

// held is an open connection of a lane. Its times are since the beginning of the watch.
type heldConn struct {
	*line
	lane    int
	setting laneSetting
	since   time.Duration
	in, out time.Duration // the last bytes in each direction
}

// look notes when bytes went last.
func (w *watch) look(h *heldConn) {
	t := h.Session.Traffic()
	h.in, h.out = max(h.since, t.LastIn.Sub(w.begun)), max(h.since, t.LastOut.Sub(w.begun))
}

// keep holds a connection until somebody ends it, or over. What it returns is the drop, if there was one.
func (w *watch) keep(ctx, over context.Context, lane int, s laneSetting, l *line) (drop diag.Drop, dropped bool) {
	h := &heldConn{line: l, lane: lane, setting: s, since: w.now()}
	defer func() { w.end(h, dropped) }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.look(h)
		var due <-chan time.Time
		if s.pause > 0 {
			timer.Reset(max(0, h.out+s.pause-w.now()))
			due = timer.C
		}
		select {
		case <-l.Session.Done():
			return w.ended(h), true
		case <-over.Done():
			return w.last(ctx, h)
		case <-due:
		}
		drop, dropped, answered := w.ping(over, h)
		if dropped {
			return drop, true
		}
		if !answered { // over has ended meanwhile
			return w.last(ctx, h)
		}
	}
}

// ping sends a PINGREQ and awaits its answer, for at most twice the time of the plan: a path that stands still for a moment
// has not dropped anything.
func (w *watch) ping(ctx context.Context, h *heldConn) (drop diag.Drop, dropped, answered bool) {
	patience, cancel := patience.WithTimeout(ctx, 2*w.env.Options.Timeout)
	defer cancel()
	w.look(h)
	quiet := w.now() - max(h.in, h.out)
	if h.setting.role == diag.LaneChat && w.topic != "" {
		_ = h.Session.StartPublishContext(patience, mqttwire.Message{Topic: w.topic, Payload: []byte(newMarker(w.env.RunID))})
	}
	sent := w.now()
	rtt, failure := h.Session.Ping(patience)
	switch {
	case failure == nil:
		w.answered(h, sent, rtt, quiet)
		return diag.Drop{}, false, true
	case ended(h.Session):
		drop := w.ended(h)
		return atPing(drop, sent, quiet), true, false
	case ctx.Err() != nil:
		return diag.Drop{}, false, false
	}
	return w.silent(h, sent, quiet), true, false
}

// last asks once more whether the connection lives: one that was silent all the time may be dead and nobody knows.
func (w *watch) last(ctx context.Context, h *heldConn) (drop diag.Drop, dropped bool) {
	bound := 2*w.env.Options.Timeout + time.Second // longer than the ping's own patience, or its silence would not count
	canceled := ctx.Err() != nil
	if canceled {
		bound = min(bound, lastPing)
	}
	bounded, cancel := patience.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	stop := func() bool { return false }
	if !canceled {
		stop = context.AfterFunc(ctx, cancel) // canceled while we wait
	}
	defer stop()
	if w.look(h); w.now()-max(h.in, h.out) < leastPause { // it was heard of just now
		return diag.Drop{}, false
	}
	drop, dropped, _ = w.ping(bounded, h)
	if dropped && drop.How == diag.OutcomeSilent && canceled {
		return diag.Drop{}, false // not for long enough to say
	}
	return drop, dropped
}

// answered notes a round trip.
func (w *watch) answered(h *heldConn, sent, rtt, quiet time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.o.Lanes[h.lane]
	l.Held = max(l.Held, quiet)
	if h.setting.pause > 0 && quiet >= h.setting.pause*9/10 {
		l.HeldCount++
	}
	w.search.answered(quiet)
	if h.setting.role == diag.LaneChat {
		w.rtt.add(sent, rtt)
	}
}

// atPing makes a drop one that a ping of ours has shown.
func atPing(d diag.Drop, sent, quiet time.Duration) diag.Drop {
	d.AtPing, d.Quiet, d.SinceSent = true, quiet, max(0, d.At-sent)
	d.Age = max(0, d.Age-d.SinceSent)
	return d
}

// ended describes an end that the peer, or something between, made.
func (w *watch) ended(h *heldConn) diag.Drop {
	end := h.Session.ClosedBy()
	at := min(max(h.since, end.At.Sub(w.begun)), w.now())
	d := diag.Drop{Lane: h.lane, At: at, How: outcomeOfFailure(end.Kind), Code: -1, Age: at - h.since}
	if end.Kind == mqttwire.FailRefused {
		d.Code, d.Reason = int(end.Code), end.Reason
	} else {
		w.look(h) // a DISCONNECT would be the last byte itself
	}
	d.SinceSent, d.SinceReceived = max(0, at-h.out), max(0, at-h.in)
	d.Quiet = min(d.SinceSent, d.SinceReceived)
	if end.Err != nil {
		d.Error = printable(end.Err.Error(), 200)
	}
	if ws, ok := h.Conn.(*wsConn); ok {
		if code, reason := ws.closeCode(); code != 0 {
			d.Error = printable("WebSocket close "+strconv.Itoa(code)+" "+reason, 200)
		}
	}
	return d
}

// silent describes a ping that nobody answered, on a connection that nobody closed.
func (w *watch) silent(h *heldConn, sent, quiet time.Duration) diag.Drop {
	at := w.now()
	d := atPing(diag.Drop{Lane: h.lane, At: at, How: diag.OutcomeSilent, Code: -1, Age: at - h.since, SinceReceived: at - h.in}, sent, quiet)
	if info, err := netprobe.TCPInfo(h.Conn); err == nil {
		acked := info.Unacked == 0
		d.TCPAcked = &acked
	}
	return d
}

// end closes a connection of ours and notes how old it has become.
func (w *watch) end(h *heldConn, dropped bool) {
	w.mu.Lock()
	l := &w.o.Lanes[h.lane]
	l.Longest = max(l.Longest, max(h.in, h.out)-h.since)
	if !dropped {
		l.Longest = max(l.Longest, w.now()-h.since)
		l.Since = h.since
	}
	w.mu.Unlock()
	if dropped {
		_ = h.Close()
		return
	}
	bounded, cancel := patience.WithTimeout(context.Background(), leaveBound)
	defer cancel()
	_ = h.Session.Disconnect(bounded)
	_ = h.Close()
}

// dropped records a drop and tells how to go on with the lane; on is false where it has shown what it can.
func (w *watch) dropped(lane int, s laneSetting, d diag.Drop) (next laneSetting, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.o.Lanes[lane]
	l.Drops++
	if !d.AtPing {
		l.Longest = max(l.Longest, d.Age)
	}
	w.o.DropCount++
	if len(w.o.Drops) < diag.MaxDrops {
		w.o.Drops = append(w.o.Drops, d)
	}
	byQuiet := w.search.dropped(d.Quiet, d.AtPing)
	switch {
	case s.role == diag.LaneIdle && byQuiet && l.Drops >= idleDrops:
		l.Ended = w.now()
		return s, false
	case s.role == diag.LaneSearch && w.search.ends(s.pause):
		l.Ended = w.now()
		pause, ok := w.search.next(w.length - w.now())
		if !ok || len(w.o.Lanes) >= diag.MaxLanes {
			return s, false
		}
		s.keepAlive, s.pause = pause, pause
	}
	return s, true
}

// rttSeries keeps the slowest of so many neighbours that the whole stays small.
type rttSeries struct {
	at, ms []float64
	every  int // points behind one that is kept; 0: one
	n      int // of them in the last one
}

func (r *rttSeries) add(at, rtt time.Duration) {
	x, y := at.Seconds(), float64(rtt)/float64(time.Millisecond)
	if last := len(r.ms) - 1; last >= 0 && r.n < r.every {
		r.n++
		if y > r.ms[last] {
			r.at[last], r.ms[last] = x, y
		}
		return
	}
	if len(r.ms) == diag.MaxRTTPoints {
		r.halve()
	}
	r.at, r.ms, r.n = append(r.at, x), append(r.ms, y), 1
}

func (r *rttSeries) halve() {
	keep := 0
	for i := 0; i+1 < len(r.ms); i += 2 {
		j := i
		if r.ms[i+1] > r.ms[i] {
			j++
		}
		r.at[keep], r.ms[keep] = r.at[j], r.ms[j]
		keep++
	}
	r.at, r.ms = r.at[:keep], r.ms[:keep]
	r.every = max(1, r.every) * 2
}

func (r *rttSeries) done() diag.RTTSeries {
	round := func(v []float64, digits float64) []float64 {
		out := slices.Clone(v)
		for i := range out {
			out[i] = float64(int64(out[i]*digits+0.5)) / digits
		}
		return out
	}
	return diag.RTTSeries{AtS: round(r.at, 10), MS: round(r.ms, 1000)}
}
