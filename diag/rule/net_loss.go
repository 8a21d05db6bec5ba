package rule

import (
	"slices"
	"strconv"

	"mqttdoctor/diag"
)

// enoughPings is how many exchanges that all got through show that a path which lost two of thirty connections does not lose
// packets: at that rate all would with a chance of one in sixty (two packets each).
const enoughPings = 30

// packetLoss needs more than one of many connections to have lost a packet, and that now and then: a limit for connections
// lets the first ones through and none after them.
func packetLoss(v *diag.View) diag.Verdict {
	sights := diag.Seen[*diag.ConnectSeries](v)
	if len(sights) == 0 {
		return diag.Open()
	}
	s := sights[0]
	lost := func(end string) bool { return end == diag.EndRepeated || end == diag.EndSilent }
	count, total := s.Seen.Count(diag.EndRepeated, diag.EndSilent), len(s.Seen.Ends)-s.Seen.Count(diag.EndBusy)
	args := diag.Args{"count": strconv.Itoa(count), "total": strconv.Itoa(total), "address": s.Seen.Address}
	first := slices.IndexFunc(s.Seen.Ends, lost)
	switch {
	case count == 0, count == 1 && s.Seen.Again < 2:
		return diag.Excluded(diag.Note{Key: "because.little_loss", Args: args})
	case !slices.Contains(s.Seen.Ends[first:], diag.EndOK): // from then on every one
		return diag.Open()
	}
	f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: args}
	if s.Seen.Pings >= enoughPings && s.Seen.PingsAgain == 0 && s.Seen.Again <= repeatedConnecting(v)+1 {
		// A full queue of the listener drops SYNs as well (Linux listen(2), tcp(7)), and nothing of connections that stand.
		f.Variant, f.Confidence = "connecting", diag.Likely
		args["pings"] = strconv.Itoa(s.Seen.Pings)
	}
	if hung, ok := hungStep(v); ok {
		// What was silent once and worked when it was tried in another way worked because that one was not lost.
		switch hung.Check {
		case checkTLS:
			f = f.Hiding("tls.version_unsupported", "tls.no_shared_cipher", "tls.sni_required", "tls.alpn_required")
		case checkMQTT, checkOlder:
			f = f.Hiding("mqtt.version_unsupported", "tls.alpn_required", "mqtt.connect_too_large")
		}
	}
	return diag.Holds(f)
}

// repeatedConnecting counts what the run's own connections had to send again before they stood.
func repeatedConnecting(v *diag.View) int {
	n := 0
	for _, s := range diag.Seen[*diag.TCPConnect](v) {
		n += s.Seen.Retransmits
	}
	for _, s := range diag.Seen[*diag.Attempt](v) {
		if s.Seen.TCP != nil {
			n += s.Seen.TCP.Retransmits
		}
	}
	return n
}
