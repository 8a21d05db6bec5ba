package web

import (
	"math"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/relay"
	"mqttdoctor/diag/trace"
)

// tap joins a relayed connection with the trace of its console.
type tap struct {
	conn   *trace.Conn
	scheme diag.Scheme
	opened bool
}

// Opened implements [relay.Tap].
func (t *tap) Opened(p relay.Path) {
	t.opened = true
	fields := map[string]any{"address": p.Address, "dial_ms": milliseconds(p.Dialled)}
	if p.RTT > 0 {
		fields["rtt_ms"] = milliseconds(p.RTT)
	}
	key := "trace.connected.plain"
	if p.TLSVersion != "" {
		key = "trace.connected.tls"
		if !p.Verified {
			key = "trace.connected.insecure"
		}
		fields["tls_version"], fields["cipher"], fields["verified"], fields["tls_ms"] = p.TLSVersion, p.Suite, p.Verified, milliseconds(p.TLSTook)
		if p.ALPN != "" {
			fields["alpn"] = p.ALPN
		}
	}
	e := trace.Event{Type: trace.EventConnected, Fields: fields, Note: diag.N(key, "address", p.Address, "version", p.TLSVersion, "suite", p.Suite)}
	if t.scheme.IsWebSocket() {
		fields["upgrade_ms"], fields["subprotocol"] = milliseconds(p.UpgradeTook), p.Subprotocol
		if !strings.EqualFold(p.Subprotocol, p.Offered) {
			e.Warning = &trace.Warning{Note: diag.N("trace.warn.subprotocol", "subprotocol", p.Subprotocol), Section: "MQTT 5.0 6 [MQTT-6.0.0-4]"}
		}
	}
	t.conn.Event(e)
}

// Bytes implements [relay.Tap].
func (t *tap) Bytes(dir mqttwire.Direction, b []byte) { t.conn.Bytes(dir, b) }

// Ended implements [relay.Tap].
func (t *tap) Ended(end relay.End) {
	fields := map[string]any{"by": string(end.By), "why": string(end.Why)}
	if status := end.Status(); status != 0 {
		fields["close_code"] = status
	}
	if end.Text != "" {
		fields["text"] = end.Text
	}
	if !t.opened {
		t.conn.Event(trace.Event{Type: trace.EventError, Fields: fields, Note: diag.N(errorKey(end.Why), "error", end.Text)})
		return
	}
	code := ""
	if end.PeerStatus != 0 && end.PeerStatus != 1005 { // RFC 6455 7.1.5: none was sent
		code = strconv.Itoa(end.PeerStatus)
		fields["peer_close_code"] = end.PeerStatus
	}
	t.conn.Event(trace.Event{Type: trace.EventClosed, Fields: fields,
		Note: diag.N(closedKey(end), "code", code, "reason", end.Text, "error", end.Text)})
}

// errorKey is the catalogue's key for why a target was not reached.
func errorKey(why relay.Why) string {
	switch why {
	case relay.WhyDNS, relay.WhyRefused, relay.WhyTimeout, relay.WhyNetwork, relay.WhyTLS, relay.WhyUpgrade, relay.WhyForbidden:
		return "trace.error." + string(why)
	}
	return "trace.error.other"
}

// closedKey is the catalogue's key for how a connection ended.
func closedKey(end relay.End) string {
	key := "trace.closed." + string(end.By)
	switch end.Why {
	case relay.WhyClosed:
		return key
	case relay.WhyStalled, relay.WhyFrames:
		return key + "." + string(end.Why)
	case relay.WhyGone, relay.WhyText:
		return "trace.closed.client." + string(end.Why)
	case relay.WhyReset, relay.WhyTimeout, relay.WhyNetwork, relay.WhyTLS:
		return "trace.closed.broker." + string(end.Why)
	case relay.WhyIdle, relay.WhyEnded, relay.WhyStopping:
		return "trace.closed.relay." + string(end.Why)
	}
	return "trace.closed.relay"
}

// milliseconds rounds to the microsecond.
func milliseconds(d time.Duration) float64 { return math.Round(float64(d.Microseconds())) / 1000 }
