package rule

import (
	"slices"
	"testing"
	"time"

	"mqttdoctor/diag"
)

// sec makes durations of the tables short to write.
func sec(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// drop ends a connection of a lane, in order, after an age and a time without traffic.
func drop(lane int, at, age, quiet float64, change ...func(*diag.Drop)) diag.Drop {
	d := diag.Drop{Lane: lane, At: sec(at), How: diag.OutcomeClosed, Code: -1, Age: sec(age), Quiet: sec(quiet), SinceSent: sec(quiet), SinceReceived: sec(quiet)}
	for _, c := range change {
		c(&d)
	}
	return d
}

func reset(d *diag.Drop) { d.How = diag.OutcomeReset }

func disconnect(code int, reason string) func(*diag.Drop) {
	return func(d *diag.Drop) { d.How, d.Code, d.Reason = diag.OutcomeRefused, code, reason }
}

// pingLost turns a drop into a ping that was left without an answer for ten seconds.
func pingLost(acked bool) func(*diag.Drop) {
	return func(d *diag.Drop) {
		d.How, d.AtPing, d.TCPAcked = diag.OutcomeSilent, true, &acked
		d.At, d.SinceSent, d.SinceReceived = d.At+sec(10), sec(10), d.Quiet+sec(10)
	}
}

// away adds the attempts to connect again after a drop: one a time, the last of which succeeds or not.
func away(o *diag.ConnectionWatch, down time.Duration, back bool) *diag.ConnectionWatch {
	o.Down, o.TryCount = down, 4
	for i := range o.TryCount {
		t := diag.Reconnect{At: sec(51) + time.Duration(i)*down/4, Number: i + 1, Outcome: diag.OutcomeRefused}
		if back && i == o.TryCount-1 {
			t.Outcome = diag.OutcomeOK
		}
		o.Tries = append(o.Tries, t)
	}
	return o
}

// watchedLanes are those of a watch with a keep alive of a minute: as asked, busy, silent, and a ping each 15 and 30 seconds.
func watchedLanes(own bool, watched float64, drops ...diag.Drop) *diag.ConnectionWatch {
	o := &diag.ConnectionWatch{Version: diag.Version5, Asked: sec(watched), Watched: sec(watched), Drops: drops, DropCount: len(drops), Lanes: []diag.Lane{
		{Role: diag.LaneAsked, KeepAlive: sec(60), Pause: sec(60), OwnClientID: own}, {Role: diag.LaneChat, KeepAlive: sec(60), Pause: sec(2)},
		{Role: diag.LaneIdle, KeepAlive: sec(240)}, {Role: diag.LaneSearch, KeepAlive: sec(15), Pause: sec(15)}, {Role: diag.LaneSearch, KeepAlive: sec(30), Pause: sec(30)}}}
	for i := range o.Lanes {
		l := &o.Lanes[i]
		l.Connects, l.Since, l.Begun = 1, sec(2*float64(i)), sec(2*float64(i))
		l.Longest = o.Watched - l.Since
		if l.Pause > 0 {
			l.Held, l.HeldCount = l.Pause, int(l.Longest/l.Pause)
		}
	}
	for _, d := range drops {
		l := &o.Lanes[d.Lane]
		if l.Drops++; l.Drops == 1 {
			l.Longest = 0
			if l.Pause >= d.Quiet && l.Role != diag.LaneChat {
				l.Held, l.HeldCount = 0, 0
			}
		}
		if l.Role == diag.LaneSearch && d.Quiet >= sec(20) { // it goes on with another setting, which is of no interest here
			l.Ended, l.Since, l.Longest = d.At, -1, d.Age
			continue
		}
		l.Connects++
		l.Longest = max(l.Longest, d.Age)
		l.Since = d.At + sec(1)
	}
	for i := range o.Lanes {
		if l := &o.Lanes[i]; l.Since >= 0 {
			l.Longest = max(l.Longest, o.Watched-l.Since)
		}
	}
	return o
}

func TestWatchLookAlikes(t *testing.T) { testRecorded(t, watchLookAlikes()) }

func watchLookAlikes() []recorded {
	none := broker(diag.SchemeMQTT)
	own := none
	own.ClientID = "boiler-7"
	steps := func(o *diag.ConnectionWatch) []diag.Step {
		return []diag.Step{seen(checkMQTT, at, answered(0)), seen(checkWatch, "", o)}
	}
	idle := func(change ...func(*diag.Drop)) []diag.Drop {
		return []diag.Drop{drop(0, 20, 20, 20, change...), drop(2, 24, 20, 20, change...), drop(4, 28, 20, 20, change...), drop(0, 41, 20, 20, change...), drop(2, 45.2, 20.1, 20.1, change...)}
	}
	aged := []diag.Drop{drop(0, 60, 60, 0.5), drop(1, 62, 60, 1.2), drop(2, 64, 60, 60), drop(3, 66, 60, 3), drop(4, 68, 60, 29), drop(0, 121, 60, 0.4), drop(1, 123, 60, 0.3)}
	allAt := func(when float64, change ...func(*diag.Drop)) []diag.Drop {
		var out []diag.Drop
		for lane := range 5 {
			out = append(out, drop(lane, when+float64(lane)/50, when-2*float64(lane), 1, change...))
		}
		return out
	}
	again := func(when float64) []diag.Drop {
		var out []diag.Drop
		for lane := range 5 {
			out = append(out, drop(lane, when, 48-float64(lane)/3, 1))
		}
		return out
	}
	twice := append(allAt(50), again(100)...)
	dead := append([]diag.Drop{drop(4, 38, 30, 30, pingLost(false))}, drop(0, 60, 60, 60, pingLost(false)))
	hanging := []diag.Drop{drop(1, 30, 28, 2, pingLost(true)), drop(3, 45, 39, 15, pingLost(true)), drop(0, 60, 60, 60, pingLost(true))}
	lost := []diag.Drop{drop(1, 30, 28, 2, pingLost(false)), drop(3, 100, 94, 15, pingLost(false)), drop(1, 140, 99, 2, pingLost(false))}
	stolen := []diag.Drop{drop(0, 5, 5, 5), drop(0, 11, 5, 5), drop(0, 18, 6, 6)}
	return []recorded{
		{name: "none", target: none, steps: steps(watchedLanes(false, 180)), want: ""},
		{name: "idle", target: none, steps: steps(watchedLanes(false, 60, idle()...)), want: "mqtt.idle_disconnect",
			because: map[diag.Code]string{"mqtt.lifetime_limit": "because.no_fixed_age", "mqtt.unstable": "because.drops_explained"}},
		{name: "idle, by reset", target: none, steps: steps(watchedLanes(false, 60, idle(reset)...)), want: "mqtt.idle_disconnect"},
		{name: "idle, as the broker says", target: none, steps: steps(watchedLanes(false, 60, idle(disconnect(0x8D, "Keep Alive timeout"))...)), want: "mqtt.idle_disconnect", variant: "by_broker"},
		{name: "idle, nobody tells", target: none, steps: steps(watchedLanes(false, 75, dead...)), want: "mqtt.idle_disconnect", variant: "between"},
		{name: "only quieter ones than asked", target: none, steps: steps(watchedLanes(false, 180, drop(2, 154, 150, 150))), want: ""},
		{name: "one age", target: none, steps: steps(watchedLanes(false, 125, aged...)), want: "mqtt.lifetime_limit",
			because: map[diag.Code]string{"mqtt.idle_disconnect": "because.no_idle_limit", "mqtt.unstable": "because.drops_explained"}},
		{name: "one age, and one some seconds late", target: none, steps: steps(watchedLanes(false, 125, append(slices.Clone(aged), drop(2, 138, 72, 60))...)), want: "mqtt.lifetime_limit"},
		{name: "one age, and one long after", target: none, steps: steps(watchedLanes(false, 180, append(slices.Clone(aged), drop(2, 166, 100, 60))...)), want: "mqtt.unstable"},
		{name: "none gets old", target: none, steps: steps(watchedLanes(false, 9, drop(0, 1, 1, 1), drop(1, 3, 1, 1), drop(2, 5.4, 1.4, 1.4), drop(3, 7, 1, 1), drop(4, 9, 1, 1),
			drop(0, 3.3, 1.3, 1.3), drop(1, 5, 1, 1), drop(2, 7.4, 1, 1), drop(3, 9, 1, 1), drop(0, 6.2, 1.9, 1.9), drop(1, 8, 2, 1), drop(0, 8.2, 1, 1), drop(2, 9, 0.6, 0.6), drop(1, 9, 0.5, 0.5))),
			want: "mqtt.kicked_after_connect"},
		{name: "one young age", target: none, steps: steps(watchedLanes(false, 18, drop(0, 5, 5, 5), drop(1, 7, 5, 1), drop(2, 9, 5, 5), drop(3, 11, 5, 5), drop(4, 13, 5, 5),
			drop(0, 11.1, 5, 5), drop(1, 13.2, 5, 1), drop(2, 15, 5, 5), drop(3, 17.1, 5, 5), drop(0, 17.5, 5, 5))), want: "mqtt.lifetime_limit"},
		{name: "all at once, twice", target: none, steps: steps(watchedLanes(false, 180, twice...)), want: "mqtt.unstable", variant: "together"},
		{name: "all at once, and not back", target: none, steps: steps(away(watchedLanes(false, 180, allAt(50, disconnect(0x8B, "Server shutting down"))...), 130*time.Second, false)), want: "mqtt.unstable", variant: "gone"},
		{name: "all at once, and back after a while", target: none, steps: steps(away(watchedLanes(false, 180, allAt(50, disconnect(0x8B, "Server shutting down"))...), 20*time.Second, true)), want: "mqtt.unstable", variant: "once_together"},
		{name: "all at once, one time", target: none, steps: steps(watchedLanes(false, 180, allAt(50, disconnect(0x8B, "Server shutting down"))...)), want: "mqtt.unstable", variant: "once_together"},
		{name: "one, one time", target: none, steps: steps(watchedLanes(false, 180, drop(3, 70, 64, 4))), want: "mqtt.unstable", variant: "once"},
		{name: "single ones", target: none, steps: steps(watchedLanes(false, 180, drop(3, 70, 64, 4), drop(1, 99, 97, 1, reset), drop(4, 150, 142, 8))), want: "mqtt.unstable"},
		{name: "pings are lost", target: none, steps: steps(watchedLanes(false, 180, lost...)), want: "mqtt.unstable", variant: "silent"},
		{name: "pings are taken and not answered", target: none, steps: steps(watchedLanes(false, 180, hanging...)), want: "mqtt.ping_unanswered", variant: "later"},
		{name: "the id alone", target: own, steps: steps(watchedLanes(true, 180, stolen...)), want: "mqtt.client_id_conflict"},
		{name: "the id alone, as the broker says", target: own, steps: steps(watchedLanes(true, 180, drop(0, 5, 5, 5, disconnect(0x8E, "Session taken over")))), want: "mqtt.client_id_conflict", variant: "taken_over"},
		{name: "nothing could be held", target: none, steps: steps(&diag.ConnectionWatch{Version: diag.Version5, Lanes: []diag.Lane{{Role: diag.LaneAsked, Refused: diag.OutcomeRefused}}}), want: ""},
	}
}
