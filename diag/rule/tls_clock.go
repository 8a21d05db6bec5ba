package rule

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"mqttdoctor/diag"
)

// clockMargin is how far two clocks may be apart and still agree: HTTP dates have whole seconds, answers take time, and
// machines without time synchronisation drift by seconds a day.
const clockMargin = 10 * time.Minute

// reading is what another clock said, and this machine's at the same moment.
type reading struct {
	other, local time.Time
	source       string // for people: the peer's HTTP Date, the issuer's signed status
}

// readings lists the other clocks that the run saw.
func readings(v *diag.View) []reading {
	var out []reading
	add := func(date string, local time.Time, source string) {
		if other, err := http.ParseTime(date); err == nil {
			out = append(out, reading{other: other, local: local, source: source})
		}
	}
	for _, s := range diag.Seen[*diag.WSUpgrade](v) {
		add(s.Seen.Date, s.Step.StartedAt.Add(s.Step.Duration), s.Seen.Address)
	}
	for _, s := range attempts(v) {
		if s.Seen.WS != nil {
			add(s.Seen.WS.Date, s.Step.StartedAt.Add(s.Step.Duration), s.Seen.Address)
		}
	}
	for _, s := range diag.Seen[*diag.ClockReading](v) {
		add(s.Seen.Date, s.Seen.Local, s.Seen.Source)
	}
	return out
}

// programNotBefore is a moment before which no program that holds this line can have been built: Go 1.26 came out after it.
var programNotBefore = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)

// skew is what other clocks say about a certificate that looks out of date.
type skew struct {
	reading
	certain bool
}

// clockSays tells whether, by another clock that disagrees with this machine's, the served certificates on the path are
// all in date: then it is the clock that is wrong.
func clockSays(v *diag.View, s diag.Sight[*diag.TLSHandshake]) (skew, bool) {
	h := s.Seen
	now := h.Trust.Now
	if now.Before(programNotBefore) {
		return skew{reading{other: programNotBefore, local: now}, true}, true
	}
	// The issuer signs the time of a stapled status: a clock that is behind it by more than the margin is behind.
	if at := h.StapleAt; at.After(now.Add(clockMargin)) && datesHold(h, at) {
		return skew{reading{other: at, local: now, source: h.Leaf().Issuer}, h.Trust.Trusted()}, true
	}
	for _, r := range readings(v) {
		if r.other.Sub(r.local).Abs() > clockMargin && datesHold(h, now.Add(r.other.Sub(r.local))) {
			return skew{reading: r}, true
		}
	}
	return skew{}, false
}

// datesHold tells whether every served certificate on the path is in date at a time.
func datesHold(h *diag.TLSHandshake, at time.Time) bool {
	for _, c := range h.Trust.Served(h.Chain) {
		if at.Before(c.NotBefore) || at.After(c.NotAfter) {
			return false
		}
	}
	return true
}

func otherClock(v *diag.View, s diag.Sight[*diag.TLSHandshake]) (diag.Note, bool) {
	found, ok := clockSays(v, s)
	if !ok {
		return diag.Note{}, false
	}
	return diag.N("because.clock_disagrees", "clock", dateText(found.other), "interval", spanText(found.other.Sub(found.local).Abs())), true
}

// clocksAgree adds to a finding about dates whose clock agrees with ours, if one was seen.
func clocksAgree(v *diag.View, f *diag.Finding) {
	for _, r := range readings(v) {
		if r.other.Sub(r.local).Abs() <= clockMargin {
			f.Args["server"] = r.source
			return
		}
	}
}

func days(d time.Duration) string { return strconv.Itoa(int(d / (24 * time.Hour))) }

// wholeDays is empty under a day: "0 days" tells nothing.
func wholeDays(d time.Duration) string {
	if d < 24*time.Hour {
		return ""
	}
	return days(d)
}

// spanText writes a span in the largest unit that says enough; its words are the same in every language.
func spanText(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return days(d) + " d"
	case d >= 2*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d >= 2*time.Minute:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return strconv.Itoa(int(d/time.Second)) + " s"
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}
