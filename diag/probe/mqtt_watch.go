package probe

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"mqttdoctor/diag"
)

const checkWatch diag.ProbeID = "mqtt.watch"

// mqttWatch holds several connections side by side for as long as the plan says and records every end of one: what ends them
// shows only over time, and only by who of them lives on. It comes after every other check (see afterAll).
var mqttWatch = diag.Probe{
	ID: checkWatch, Layer: diag.LayerMQTT, Depth: diag.DepthQuick,
	Applies: func(_ diag.Target, o diag.PlanOptions) bool { return o.Watch > 0 },
	Ready: func(v *diag.View) diag.Decision {
		if d := needSession(v); !d.Runs() {
			return d
		}
		if endsAtOnce(v) {
			return diag.Skip(diag.N("skip.session_ends"))
		}
		return diag.Run()
	},
	Budget: diag.MaxWatch + 10*time.Minute, // the plan's own length ends it
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		asked := slices.IndexFunc(askedConnects(env.View), (*diag.MQTTConnect).Accepted)
		if asked < 0 {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		if main, ok := borrowMain(env); ok && !main.ended() {
			leave(ctx, main) // it would stand in the way of the user's own client for all that time
		}
		if env.View.InPlan(checkSysLater) {
			env.Stash.CloseAllBut(stashSys) // what the broker tells of itself is compared behind the watch; nobody else comes after it
		} else {
			env.Stash.Close()
		}
		w := newWatch(env, askedConnects(env.View)[asked])
		return watchedResult(ctx, w.run(ctx))
	},
}

// endsAtOnce tells whether sessions were seen to end soon after they began, whatever their client id and however busy: there is
// nothing to hold.
func endsAtOnce(v *diag.View) bool {
	ends := func(check diag.ProbeID) bool {
		return slices.ContainsFunc(diag.SeenBy[*diag.SessionWatch](v, check), func(s diag.Sight[*diag.SessionWatch]) bool {
			return s.Seen.Ended() && !s.Seen.OnlyQuiet()
		})
	}
	return ends(checkStay) && ends(checkStayOther)
}

func watchedResult(ctx context.Context, o *diag.ConnectionWatch) diag.Result {
	held := 0
	for _, l := range o.Lanes {
		if l.Connects > 0 {
			held++
		}
	}
	args := []string{"count", strconv.Itoa(o.DropCount), "total", strconv.Itoa(held), "duration", diag.FormatSpan(o.Watched), "limit", diag.FormatSpan(o.Asked)}
	switch {
	case held == 0:
		return diag.Result{Status: diag.StatusSkipped, Observation: o, Skipped: diag.N("skip.watch_refused")}
	case o.DropCount > 0:
		return diag.Warned(o, diag.N("step.mqtt.watch.dropped", args...))
	case ctx.Err() != nil:
		return diag.Result{Status: diag.StatusCanceled, Observation: o, Summary: diag.N("step.mqtt.watch.stopped", args...)}
	}
	return diag.Passed(o, diag.N("step.mqtt.watch.held", args...))
}

// watch is one run of the check. Its lanes are goroutines that end before run returns.
type watch struct {
	env    *diag.Env
	begun  time.Time
	length time.Duration
	topic  string // for the chatting lane's messages; empty: it may not send any, and pings
	open   func(context.Context, laneSetting) (*diag.Attempt, *line)

	mu     sync.Mutex
	o      *diag.ConnectionWatch
	search keepAliveSearch
	rtt    rttSeries
}

func newWatch(env *diag.Env, asked *diag.MQTTConnect) *watch {
	w := &watch{env: env, length: env.Options.Watch, topic: watchTopic(env),
		o: &diag.ConnectionWatch{Address: asked.Address, Version: asked.Version, Asked: env.Options.Watch}}
	w.open = func(ctx context.Context, s laneSetting) (*diag.Attempt, *line) {
		r := askedRoute(env.Target, asked.Address)
		if !s.own {
			r = r.with(diag.PurposeHeld, "watch", nil)
		}
		r.Purpose = diag.PurposeHeld
		r.MQTT.Version, r.WS.Subprotocols = asked.Version, subprotocolsFor(asked.Version)
		r.MQTT.KeepAliveS = int(s.keepAlive / time.Second)
		a, l := walk(ctx, env, r, upToMQTT)
		if l != nil {
			quietTCP(l.Conn)
		}
		return a, l
	}
	return w
}

// watchTopic is where the chatting lane may publish: below our prefix, where messages were seen to go through.
func watchTopic(env *diag.Env) string {
	for _, s := range diag.SeenBy[*diag.Delivery](env.View, checkRoundTrip) {
		if s.Seen.Scratch && s.Seen.Delivered {
			return "mqttdoctor/" + env.RunID + "/watch"
		}
	}
	return ""
}

func (w *watch) now() time.Duration { return time.Since(w.begun) }

// run holds the lanes until the time is up or ctx ends.
func (w *watch) run(ctx context.Context) *diag.ConnectionWatch {
	w.begun = time.Now()
	over, cancel := context.WithTimeout(ctx, w.length)
	defer cancel()
	own := w.env.Options.Intrusive && w.env.Target.ClientID != ""
	var group sync.WaitGroup
	lanes := watchLanes(w.length, w.env.Target.KeepAlive.Truncate(time.Second), own)
	for _, s := range lanes {
		if s.role == diag.LaneSearch {
			w.search.tried = append(w.search.tried, s.pause)
		}
	}
	for i, s := range lanes {
		group.Go(func() {
			if pauseFor(over, time.Duration(i)*betweenLanes(w.length)) {
				w.hold(ctx, over, s)
			}
		})
	}
	group.Go(func() { w.report(over) })
	group.Wait()
	w.o.Watched = min(w.now(), w.length)
	w.o.RTT = w.rtt.done()
	return w.o
}

// report tells each second how far it is.
func (w *watch) report(over context.Context) {
	total := int(w.length / time.Second)
	for done := 0; ; done++ {
		w.env.Progress(min(done, total), total, "seconds")
		if !pauseFor(over, time.Duration(done+1)*time.Second-w.now()) {
			return
		}
	}
}
