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
