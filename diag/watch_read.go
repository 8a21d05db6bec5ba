package diag

import (
	"slices"
	"time"
)

// WatchReading is what the drops of a watch have in common: each drop is in one place of it. It is worked out from what was
// recorded, with no clock, so that an old watch can be read again.
type WatchReading struct {
	// TakenOver are drops of the user's own client id alone, while connections with other ids lived on.
	TakenOver []int
	// Together are the moments at which every connection that was open ended.
	Together []Incident
	Idle     *IdleLimit
	Lifetime *Lifetime
	// Unanswered are pings that were left without an answer although their segment was acknowledged.
	Unanswered []int
	// Single are drops with no rule to them.
	Single []Incident
}

// Incident is one moment of trouble: the drops (indices) that fall together in time.
type Incident struct {
	At    time.Duration
	Drops []int
}

// IdleLimit is a time without traffic after which connections end, while busier ones live on.
type IdleLimit struct {
	Drops []int
	// After: with Exact, connections were closed when they had been quiet for so long; without, the shortest time after which
	// one was found dead: the limit lies between Held and After.
	After time.Duration
	Exact bool
	Held  time.Duration // the longest quiet that was survived
	// Bad and Good are the pauses between pings with which connections died and lived, ascending; 0 in Bad: without pings.
	Bad, Good []time.Duration
	// Asked tells that the asked keep alive does not keep the connection.
	Asked bool
	// Safe is the longest pause between pings that was seen to hold a connection for longer than After; 0: none was.
	Safe time.Duration
}

// Lifetime is an age at which connections end, whatever goes over them.
type Lifetime struct {
	Drops []int
	After time.Duration // the median
}

// How far drops of one cause may lie apart. Timers of brokers and balancers tick in seconds, and a close takes its round trip.
const (
	sameMoment   = 750 * time.Millisecond // either side
	leastQuiet   = 1500 * time.Millisecond
	timerSlack   = 1500 * time.Millisecond
	timerPercent = 5
)

// SoonAfterConnect parts a kick from a limit on age.
const SoonAfterConnect = 3 * time.Second

// slackOf is how far from its length a timer may fire.
func slackOf(timer time.Duration) time.Duration {
	return max(min(timerSlack, timer/5), timer*timerPercent/100)
}

// near tells whether a drop fits a timer of the given length.
func near(d, timer time.Duration) bool { return (d - timer).Abs() <= slackOf(timer) }

// Read works out what the drops have in common.
func (o *ConnectionWatch) Read() WatchReading {
	r := &watchReader{o: o, left: map[int]bool{}}
	for i := range o.Drops {
		r.left[i] = true
	}
	var out WatchReading
	out.TakenOver = r.takenOver()
	out.Unanswered = r.unanswered()
	out.Together = r.together()
	out.Idle = r.idle()
	out.Lifetime = r.lifetime()
	out.Single = r.incidents(r.rest(nil))
	return out
}

// Incidents counts the moments of trouble that no timer explains.
func (r WatchReading) Incidents() int { return len(r.Together) + len(r.Single) }

// Regular tells the interval at which incidents come, if it is always the same: least is how many intervals that takes.
func Regular(incidents []Incident, least int) (interval time.Duration, ok bool) {
	var gaps []time.Duration
	for i := 1; i < len(incidents); i++ {
		gaps = append(gaps, incidents[i].At-incidents[i-1].At)
	}
	if len(gaps) < least {
		return 0, false
	}
	interval = medianOf(gaps)
	for _, g := range gaps {
		if !near(g, interval) {
			return 0, false
		}
	}
	return interval, true
}

func medianOf(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// watchReader explains drops one cause after the other; left are those without one.
type watchReader struct {
	o    *ConnectionWatch
	left map[int]bool
}

// rest lists the unexplained drops that fulfil the condition (nil: all), in the order of time.
func (r *watchReader) rest(fulfils func(Drop) bool) []int {
	var out []int
	for i, d := range r.o.Drops {
		if r.left[i] && (fulfils == nil || fulfils(d)) {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return int(r.o.Drops[a].At - r.o.Drops[b].At) })
	return out
}

func (r *watchReader) explain(drops []int) {
	for _, i := range drops {
		delete(r.left, i)
	}
}

// deadFrom is the earliest moment at which the connection may have ended: what only a ping has shown may be old.
func deadFrom(d Drop) time.Duration {
	if d.AtPing {
		return d.At - d.SinceReceived
	}
	return d.At
}

// connected is when the connection of a drop had been accepted.
func connected(d Drop) time.Duration {
	if d.AtPing {
		return d.At - d.SinceSent - d.Age
	}
	return d.At - d.Age
}

// sameTime tells whether two drops may have happened in the same moment.
func sameTime(a, b Drop) bool {
	return deadFrom(a)-sameMoment <= b.At+sameMoment && deadFrom(b)-sameMoment <= a.At+sameMoment
}

// openAt lists the lanes that had a living connection at a moment. One that a ping has found dead is not known to have lived
// after its last byte.
func (r *watchReader) openAt(at time.Duration) map[int]bool {
	open := map[int]bool{}
	for _, d := range r.o.Drops {
		if connected(d) < at && at <= deadFrom(d) {
			open[d.Lane] = true
		}
	}
	for i, l := range r.o.Lanes {
		if l.Since >= 0 && l.Connects > 0 && l.Since < at && (l.Ended == 0 || at < l.Ended) {
			open[i] = true
		}
	}
	return open
}

// takenOver: the broker says so, on a client id that somebody else has too; or only the connection with that id is closed,
// again and again, though it was never quiet for longer than others that lived.
func (r *watchReader) takenOver() []int {
	own := func(d Drop) bool { return r.o.Lanes[d.Lane].OwnClientID }
	said := r.rest(func(d Drop) bool { return own(d) && d.Code == takenOverCode })
	if len(said) > 0 {
		r.explain(said)
		return said
	}
	held := r.longestHeld(func(l Lane) bool { return !l.OwnClientID })
	closed := r.rest(func(d Drop) bool { return own(d) && !d.AtPing && d.Code < 0 && d.Quiet <= held })
	others := r.rest(func(d Drop) bool { return !own(d) && !d.AtPing && d.Quiet <= held })
	if len(closed) < 2 || len(others) > 0 {
		return nil
	}
	r.explain(closed)
	return closed
}

// takenOverCode is the DISCONNECT's reason code for it (MQTT 5.0 3.14.2.1).
const takenOverCode = 0x8E

// together finds the moments at which every open connection ended. Connections that were made one after the other and end at
// the same age end one after the other too: they are none.
func (r *watchReader) together() []Incident {
	anchors := r.rest(nil)
	slices.SortStableFunc(anchors, func(a, b int) int { // the most exact first
		x, y := r.o.Drops[a], r.o.Drops[b]
		return int((x.At - deadFrom(x)) - (y.At - deadFrom(y)))
	})
	var out []Incident
	for _, a := range anchors {
		if !r.left[a] {
			continue
		}
		group := r.around(a)
		if len(group) < 2 || !r.endsAll(a, group) || !r.atOneTime(group) {
			continue
		}
		r.explain(group)
		out = append(out, Incident{At: r.o.Drops[a].At, Drops: group})
	}
	slices.SortFunc(out, func(a, b Incident) int { return int(a.At - b.At) })
	return out
}

// around lists the drops that may have happened with an anchor, the nearest of each lane.
func (r *watchReader) around(anchor int) []int {
	a := r.o.Drops[anchor]
	nearest := map[int]int{a.Lane: anchor}
	for _, i := range r.rest(nil) {
		d := r.o.Drops[i]
		if d.Lane == a.Lane || !sameTime(a, d) {
			continue
		}
		if j, taken := nearest[d.Lane]; !taken || (d.At-a.At).Abs() < (r.o.Drops[j].At-a.At).Abs() {
			nearest[d.Lane] = i
		}
	}
	var group []int
	for _, i := range nearest {
		group = append(group, i)
	}
	slices.Sort(group)
	return group
}

// endsAll tells whether no lane that was open in that moment lived on.
func (r *watchReader) endsAll(anchor int, group []int) bool {
	ended := map[int]bool{}
	for _, i := range group {
		ended[r.o.Drops[i].Lane] = true
	}
	for lane := range r.openAt(r.o.Drops[anchor].At) {
		if !ended[lane] {
			return false
		}
	}
	return true
}

// atOneTime tells an end at one time from one at one age.
func (r *watchReader) atOneTime(group []int) bool {
	var at, age []time.Duration
	for _, i := range group {
		if d := r.o.Drops[i]; !d.AtPing {
			at, age = append(at, d.At), append(age, d.Age)
		}
	}
	return len(at) < 2 || 2*spread(at) < spread(age)
}

func spread(all []time.Duration) time.Duration { return slices.Max(all) - slices.Min(all) }

func (r *watchReader) longestHeld(of func(Lane) bool) time.Duration {
	var held time.Duration
	for _, l := range r.o.Lanes {
		if of(l) {
			held = max(held, l.Held)
		}
	}
	return held
}

// idle: connections end after a time without traffic that none survived, and one with shorter pauses lived for longer. A pause
// just as long as the limit may be survived now and then.
func (r *watchReader) idle() *IdleLimit {
	held := r.longestHeld(func(Lane) bool { return true })
	l := r.idleAbove(held * 95 / 100)
	if l == nil || r.survivals(l.After) > 2*len(l.Drops) {
		if l = r.idleAbove(held + 1); l == nil {
			return nil
		}
	}
	r.explain(l.Drops)
	r.sortLanes(l)
	return l
}

// idleAbove looks at the ends after at least so long a quiet.
func (r *watchReader) idleAbove(least time.Duration) *IdleLimit {
	quiet := r.rest(func(d Drop) bool { return d.Quiet >= max(least, leastQuiet) && !r.busyDropped(d, least) })
	// Once may be chance; but where only connections ended that were quiet for longer than the asked one ever is, nothing is
	// claimed of that one.
	enough := 1
	if slices.ContainsFunc(quiet, func(i int) bool { return r.o.Lanes[r.o.Drops[i].Lane].Role == LaneAsked }) {
		enough = 2
	}
	l := &IdleLimit{}
	if !r.exactly(l, quiet, enough) && !r.between(l, quiet, enough) || !r.busierLived(l) {
		return nil
	}
	// Where connections with traffic end as well, some of the quiet ones end after similar times by chance.
	if earlier := r.rest(func(d Drop) bool { return 5*d.Quiet < 4*l.After }); 2*len(earlier) > len(l.Drops) {
		return nil
	}
	l.Held = r.longestHeld(func(lane Lane) bool { return lane.Held < l.After*95/100 })
	if !l.Exact && l.Held == 0 {
		return nil
	}
	return l
}

// survivals counts the pings that were answered after as long a quiet.
func (r *watchReader) survivals(limit time.Duration) int {
	n := 0
	for _, l := range r.o.Lanes {
		if l.Held >= limit*95/100 {
			n += max(1, l.HeldCount)
		}
	}
	return n
}

// exactly: the end itself was seen, after the same time each time.
func (r *watchReader) exactly(l *IdleLimit, quiet []int, enough int) bool {
	var seen []time.Duration
	for _, i := range quiet {
		if d := r.o.Drops[i]; !d.AtPing {
			seen = append(seen, d.Quiet)
		}
	}
	if len(seen) < enough {
		return false
	}
	timer := medianOf(seen)
	var fit []int
	exact := 0
	for _, i := range quiet {
		d := r.o.Drops[i]
		switch {
		case !d.AtPing && near(d.Quiet, timer):
			exact++
			fit = append(fit, i)
		case d.AtPing && (d.Quiet >= timer || near(d.Quiet, timer)): // its end was not heard of, and found later
			fit = append(fit, i)
		}
	}
	if exact < enough || 3*exact < 2*len(seen) {
		return false
	}
	l.Drops, l.After, l.Exact = fit, timer, true
	return true
}

// between: the end was found by pings, each after a longer quiet than any that was survived.
func (r *watchReader) between(l *IdleLimit, quiet []int, enough int) bool {
	if len(quiet) < enough {
		return false
	}
	noticed := 0
	l.After = r.o.Drops[quiet[0]].Quiet
	for _, i := range quiet {
		l.After = min(l.After, r.o.Drops[i].Quiet)
		if r.o.Drops[i].AtPing {
			noticed++
		}
	}
	l.Drops, l.Exact = quiet, false
	return 2*noticed > len(quiet)
}

// busyDropped tells whether a connection with traffic ended in the same moment: then it was not the quiet that ended this one.
func (r *watchReader) busyDropped(d Drop, quiet time.Duration) bool {
	return slices.ContainsFunc(r.rest(nil), func(i int) bool {
		other := r.o.Drops[i]
		return other.Lane != d.Lane && other.Quiet < quiet && sameTime(d, other)
	})
}

// busierLived tells whether a connection with pauses below the limit reached a greater age than the limit: else the age may be
// what ends them. What was only found dead, mostly when the watch ended, was dead before: about the same age is enough.
func (r *watchReader) busierLived(limit *IdleLimit) bool {
	slack := slackOf(limit.After)
	if !limit.Exact {
		slack = -slack
	}
	return slices.ContainsFunc(r.o.Lanes, func(l Lane) bool {
		return l.Pause > 0 && l.Pause < limit.After && l.Longest > limit.After+slack
	})
}

func (r *watchReader) sortLanes(l *IdleLimit) {
	died := map[int]bool{}
	for _, i := range l.Drops {
		died[r.o.Drops[i].Lane] = true
	}
	for i, lane := range r.o.Lanes {
		switch {
		case died[i]:
			l.Bad = append(l.Bad, lane.Pause)
			l.Asked = l.Asked || lane.Role == LaneAsked
		case lane.Pause > 0 && lane.Pause < l.After && lane.HeldCount > 0:
			l.Good = append(l.Good, lane.Pause)
			if lane.Role != LaneChat && lane.HeldCount > 1 && lane.Longest > l.After && 10*lane.Pause <= 9*l.After {
				l.Safe = max(l.Safe, lane.Pause)
			}
		}
	}
	slices.Sort(l.Bad)
	slices.Sort(l.Good)
	l.Bad, l.Good = slices.Compact(l.Bad), slices.Compact(l.Good)
}

// lifetime: connections end at one age, also those with traffic, and none became older. A server that is short of time ends
// some late: of many that fit, a few may be older by half.
func (r *watchReader) lifetime() *Lifetime {
	all := r.rest(nil)
	if len(all) < 2 {
		return nil
	}
	var ages []time.Duration
	for _, i := range all {
		ages = append(ages, r.o.Drops[i].Age)
	}
	age := medianOf(ages)
	var fit, late []int
	busy := false
	for _, i := range all {
		switch d := r.o.Drops[i]; {
		case near(d.Age, age):
			fit = append(fit, i)
			busy = busy || 2*d.Quiet < age
		case r.noneLasted() || d.Age > age && 2*d.Age <= 3*age:
			late = append(late, i)
		}
	}
	if len(fit) < 2 || !r.noneLasted() && (3*len(fit) < 2*len(all) || !busy) {
		return nil
	}
	oldest := age + slackOf(age)
	if len(fit) >= 4*len(late) && len(late) > 0 {
		oldest = age * 3 / 2
	}
	for _, l := range r.o.Lanes {
		if l.Longest > oldest && !r.noneLasted() {
			return nil
		}
	}
	fit = append(fit, late...)
	r.explain(fit)
	return &Lifetime{Drops: fit, After: age}
}

// noneLasted tells that every connection ended soon after it was made: how soon exactly does not matter.
func (r *watchReader) noneLasted() bool {
	return !slices.ContainsFunc(r.o.Lanes, func(l Lane) bool { return l.Longest >= SoonAfterConnect })
}

// unanswered: somebody takes our bytes and does not answer, more than once, and also where it was never quiet for long.
func (r *watchReader) unanswered() []int {
	all := r.rest(func(d Drop) bool { return d.How == OutcomeSilent && d.TCPAcked != nil && *d.TCPAcked })
	if len(all) < 2 || !slices.ContainsFunc(all, func(i int) bool { return r.o.Lanes[r.o.Drops[i].Lane].Role == LaneChat }) {
		return nil
	}
	r.explain(all)
	return all
}

// incidents puts drops together that happened at one time.
func (r *watchReader) incidents(drops []int) []Incident {
	var out []Incident
	for _, i := range drops {
		d := r.o.Drops[i]
		if n := len(out); n > 0 && slices.ContainsFunc(out[n-1].Drops, func(j int) bool {
			return r.o.Drops[j].Lane != d.Lane && sameTime(r.o.Drops[j], d)
		}) {
			out[n-1].Drops = append(out[n-1].Drops, i)
			continue
		}
		out = append(out, Incident{At: d.At, Drops: []int{i}})
	}
	return out
}

// SafeKeepAlive implements [KeepAliveSearch].
func (o *ConnectionWatch) SafeKeepAlive() (seconds, ended int, ok bool) {
	l := o.Read().Idle
	if l == nil || l.Safe < time.Second {
		return 0, 0, false
	}
	return int(l.Safe / time.Second), int(l.After.Round(time.Second) / time.Second), true
}
