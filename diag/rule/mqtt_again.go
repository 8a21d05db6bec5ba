package rule

import (
	"strconv"

	"mqttdoctor/diag"
)

const checkAgain = diag.ProbeID("mqtt.again")

// nowAndThen is what a series of connections says of a failure that comes and goes: it was met twice or more, and the same
// connection worked between. Where our own connections may be what fills a limit, that remains a reading.
func nowAndThen(v *diag.View, failed func(*diag.SessionSeries) int) (diag.Finding, bool) {
	s, ok := first(diag.SeenBy[*diag.SessionSeries](v, checkAgain), func(o *diag.SessionSeries) bool {
		return failed(o) >= 2 && o.Accepted >= 2
	})
	if !ok || held(v, connectionLimit) {
		return diag.Finding{}, false
	}
	return diag.Finding{Step: s.Step.ID, Variant: "now_and_then", Confidence: diag.Likely, Readings: []diag.Code{"mqtt.connection_limit"},
		Evidence: s.Step.Evidence, Args: diag.Args{"count": strconv.Itoa(failed(s.Seen)), "total": strconv.Itoa(s.Seen.Tries),
			"address": s.Seen.Address, "limit": seconds(v.Options.Timeout)}}, true
}

// refusedNowAndThen is the same of connections that a CONNACK with one of the codes refused.
func refusedNowAndThen(v *diag.View, v3, v5 []int) (diag.Finding, bool) {
	var last diag.ConnectRefusal
	var version diag.Version
	f, ok := nowAndThen(v, func(o *diag.SessionSeries) int {
		n := 0
		for _, r := range o.Refusals {
			if isCode(&diag.MQTTConnect{Outcome: diag.OutcomeRefused, Version: o.Version, Code: r.Code}, v3, v5) {
				n, last, version = n+1, r, o.Version
			}
		}
		return n
	})
	if ok {
		f.Args["code"], f.Args["reason"] = diag.CodeText(last.Code, version), last.Reason
	}
	return f, ok
}
