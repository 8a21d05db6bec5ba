package rule

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
)

const checkWatch = diag.ProbeID("mqtt.watch")

// watchRules are about connections that were held for a while. The drops of a watch are parted between them (see
// [diag.ConnectionWatch.Read]), so that none is told twice.
var watchRules = []diag.Rule{
	{Code: "mqtt.idle_disconnect", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-3.1.2-22]", "MQTT 5.0 3.1.2.10"},
		Awaits:     []diag.ProbeID{checkWatch, checkStayOther},
		LookAlikes: []diag.Code{"mqtt.lifetime_limit", "mqtt.unstable", "mqtt.client_id_conflict", "mqtt.ping_unanswered", "mqtt.kicked_after_connect"},
		When:       idleDisconnect},
	{Code: "mqtt.lifetime_limit", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.13"},
		Awaits:     []diag.ProbeID{checkWatch},
		LookAlikes: []diag.Code{"mqtt.idle_disconnect", "mqtt.unstable", "mqtt.client_id_conflict", "mqtt.kicked_after_connect"},
		When:       lifetimeLimit},
	{Code: "mqtt.unstable", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.13"},
		Awaits:     []diag.ProbeID{checkWatch},
		LookAlikes: []diag.Code{"mqtt.idle_disconnect", "mqtt.lifetime_limit", "mqtt.client_id_conflict", "mqtt.ping_unanswered"},
		When:       unstable},
}

// watchedFor is the watch of several connections, with what its drops have in common.
func watchedFor(v *diag.View) (diag.Sight[*diag.ConnectionWatch], diag.WatchReading, bool) {
	s, ok := first(diag.SeenBy[*diag.ConnectionWatch](v, checkWatch), func(o *diag.ConnectionWatch) bool {
		return slices.ContainsFunc(o.Lanes, func(l diag.Lane) bool { return l.Connects > 0 })
	})
	if !ok {
		return s, diag.WatchReading{}, false
	}
	return s, s.Seen.Read(), true
}

// watchFinding has the watch's own facts behind those that decide.
func watchFinding(s diag.Sight[*diag.ConnectionWatch], deciding ...diag.Evidence) diag.Finding {
	return diag.Finding{Step: s.Step.ID, Evidence: append(slices.Clone(deciding), s.Step.Evidence...), Args: diag.Args{}}
}

func inSeconds(key diag.EvidenceKey, d time.Duration) diag.Evidence {
	return diag.Evidence{Key: key, Value: strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64), Unit: "s"}
}

// idleDisconnect: connections end after a time without traffic, and the asked keep alive is too long to prevent it. A limit
// above the keep alive harms nobody.
func idleDisconnect(v *diag.View) diag.Verdict {
	s, r, ok := watchedFor(v)
	if quiet, soon := onlyQuietEnd(v); soon && (!ok || r.Idle == nil) {
		return idleSoon(quiet)
	}
	switch {
	case !ok:
		return diag.Open()
	case r.Idle == nil && s.Seen.DropCount == 0:
		return diag.Excluded(diag.N("because.nothing_dropped", "duration", diag.FormatSpan(s.Seen.Watched)))
	case r.Idle == nil:
		return diag.Excluded(diag.N("because.no_idle_limit"))
	case !r.Idle.Asked:
		return diag.Excluded(diag.N("because.keepalive_holds", "duration", diag.FormatSpan(r.Idle.After)))
	}
	l := r.Idle
	f := watchFinding(s, inSeconds(diag.EvDropQuiet, l.After), inSeconds(diag.EvLaneHeld, l.Held))
	f.Args["duration"] = diag.FormatSpan(l.After)
	f.Args["count"] = strconv.Itoa(len(l.Drops))
	f.Args["good"], f.Args["bad"] = spans(l.Good), spans(l.Bad)
	if f.Args["bad"] == "" {
		f.Args["bad"] = diag.FormatSpan(l.After)
	}
	safe := int(l.Safe / time.Second)
	if safe > 0 {
		f.Args["keepalive"] = strconv.Itoa(safe)
		f.Suggestion = &diag.Suggestion{KeepAlive: &safe}
	} else {
		safe = int(max(l.After*2/3, time.Second) / time.Second)
		f.Confidence = diag.Likely
	}
	f.Args["suggested"] = strconv.Itoa(safe)
	switch {
	case !l.Exact:
		f.Variant = "between"
		f.Args["limit"] = diag.FormatSpan(l.Held)
		if len(l.Drops) < 3 {
			f.Confidence = diag.Likely
		}
	case saysKeepAlive(s.Seen, l.Drops):
		f.Variant = "by_broker"
	}
	return diag.Holds(f)
}

// onlyQuietEnd finds two sessions that stayed quiet and ended, one after the other, where one that pinged outlived them.
func onlyQuietEnd(v *diag.View) (diag.Sight[*diag.SessionWatch], bool) {
	return first(diag.SeenBy[*diag.SessionWatch](v, checkStayOther), (*diag.SessionWatch).OnlyQuiet)
}

// idleSoon judges without a watch, or with one whose shortest pauses are longer than the limit, so that all its connections end.
func idleSoon(s diag.Sight[*diag.SessionWatch]) diag.Verdict {
	f := sessionFinding(s)
	f.Variant, f.Confidence = "soon", diag.Likely
	f.Args["duration"], f.Args["good"] = diag.FormatSpan(s.Seen.Lasted), diag.FormatSpan(s.Seen.BusyPause)
	if s.Seen.Lasted < shortestKeepAlive {
		f.Variant = "at_once"
	} else {
		f.Args["suggested"] = strconv.Itoa(int(max(s.Seen.Lasted*2/3, time.Second) / time.Second))
	}
	return diag.Holds(f.Hiding("mqtt.lifetime_limit", "mqtt.unstable"))
}

// shortestKeepAlive is the limit on silence below which no keep alive helps: one second is the least there is (MQTT 5.0
// 3.1.2.10), and a ping may be late.
const shortestKeepAlive = 1500 * time.Millisecond

// saysKeepAlive tells whether the broker itself says that it waited for too long (MQTT 5.0 3.14.2.1: Keep Alive timeout).
func saysKeepAlive(o *diag.ConnectionWatch, drops []int) bool {
	return slices.ContainsFunc(drops, func(i int) bool { return o.Drops[i].Code == v5KeepAliveTimeout })
}

// v5KeepAliveTimeout is the reason code of a DISCONNECT (MQTT 5.0 3.14.2.1).
const v5KeepAliveTimeout = 0x8D

// spans lists pauses, without the one that is none.
func spans(pauses []time.Duration) string {
	var out []string
	for _, p := range pauses {
		if p > 0 {
			out = append(out, diag.FormatSpan(p))
		}
	}
	return strings.Join(out, ", ")
}

// lifetimeLimit: connections end at one age, busy ones too.
func lifetimeLimit(v *diag.View) diag.Verdict {
	s, r, ok := watchedFor(v)
	switch {
	case !ok:
		return diag.Open()
	case r.Lifetime == nil && s.Seen.DropCount == 0:
		return diag.Excluded(diag.N("because.nothing_dropped", "duration", diag.FormatSpan(s.Seen.Watched)))
	case r.Lifetime == nil:
		return diag.Excluded(diag.N("because.no_fixed_age"))
	case r.Lifetime.After < diag.SoonAfterConnect:
		return diag.Open()
	}
	f := watchFinding(s, inSeconds(diag.EvDropAge, r.Lifetime.After))
	f.Args["duration"] = diag.FormatSpan(r.Lifetime.After)
	f.Args["count"] = strconv.Itoa(len(r.Lifetime.Drops))
	if reason := commonReason(s.Seen, r.Lifetime.Drops); reason != "" {
		f.Args["reason"] = reason
	}
	if len(r.Lifetime.Drops) < 3 {
		f.Confidence = diag.Likely
	}
	return diag.Holds(f)
}

// commonReason is the reason of the DISCONNECT where all of them had the same.
func commonReason(o *diag.ConnectionWatch, drops []int) string {
	reason := ""
	for n, i := range drops {
		if d := o.Drops[i]; n == 0 {
			reason = d.Reason
		} else if d.Reason != reason {
			return ""
		}
	}
	return reason
}

// unstable: connections end, and no timer of theirs explains it. Once is a warning: it may be an update of the broker.
func unstable(v *diag.View) diag.Verdict {
	s, r, ok := watchedFor(v)
	if !ok {
		return diag.Open()
	}
	if r.Incidents() == 0 {
		if s.Seen.DropCount == 0 {
			return diag.Excluded(diag.N("because.nothing_dropped", "duration", diag.FormatSpan(s.Seen.Watched)))
		}
		return diag.Excluded(diag.N("because.drops_explained"))
	}
	if r.Incidents() == 1 && r.Idle != nil && r.Idle.Asked {
		return diag.Excluded(diag.N("because.drops_explained")) // one ping that was late is enough, where quiet ends connections
	}
	f := watchFinding(s)
	f.Args["count"] = strconv.Itoa(r.Incidents())
	f.Args["duration"] = diag.FormatSpan(s.Seen.Watched)
	var drops []int
	for _, incident := range append(slices.Clone(r.Together), r.Single...) {
		drops = append(drops, incident.Drops...)
	}
	if reason := commonReason(s.Seen, drops); reason != "" {
		f.Args["reason"] = reason
	}
	together := len(r.Together) >= len(r.Single)
	incidents, least := r.Single, 3
	if together {
		incidents, least = r.Together, 2
	}
	if interval, regular := diag.Regular(incidents, least); regular {
		f.Args["interval"] = diag.FormatSpan(interval)
	}
	silent := !slices.ContainsFunc(drops, func(i int) bool { return s.Seen.Drops[i].How != diag.OutcomeSilent })
	switch {
	case r.Incidents() == 1 && together && stayedAway(s.Seen):
		f.Variant, f.Args["limit"] = "gone", diag.FormatSpan(s.Seen.Down)
	case r.Incidents() == 1 && together:
		f.Severity, f.Variant = diag.SeverityWarning, "once_together"
	case r.Incidents() == 1:
		f.Severity, f.Variant = diag.SeverityWarning, "once"
	case silent:
		f.Variant = "silent"
	case together:
		f.Variant = "together"
	}
	return diag.Holds(f)
}

// awayAtLeast is longer than a small broker takes to restart.
const awayAtLeast = 3 * time.Second

// stayedAway tells that none of the attempts to connect again succeeded, over more time than a quick restart takes.
func stayedAway(w *diag.ConnectionWatch) bool {
	return w.Down >= awayAtLeast && len(w.Tries) > 1 && w.TryCount == len(w.Tries) &&
		!slices.ContainsFunc(w.Tries, func(t diag.Reconnect) bool { return t.Outcome == diag.OutcomeOK })
}
