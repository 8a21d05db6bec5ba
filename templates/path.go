package templates

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// pathNode is a station on the way from the reader to the messages.
type pathNode struct {
	id     string // you, or a layer
	icon   string
	state  string // passed, warned, failed, running, waiting, unknown
	detail string // an address, a time
}

// asked are the checks of each layer that go exactly the user's way. The others vary one thing on purpose, so that their
// failing says nothing of the path.
var asked = map[diag.Layer][]string{
	diag.LayerDNS:  {"dns.resolve", "dns.lookup"},
	diag.LayerTCP:  {"tcp.connect"},
	diag.LayerTLS:  {"tls.handshake"},
	diag.LayerWS:   {"ws.upgrade"},
	diag.LayerMQTT: {"mqtt.connect", "mqtt.ping"},
	diag.LayerMsg:  {"msg.filter", "msg.subscribe", "msg.roundtrip", "msg.roundtrip_qos2", "msg.publish"},
}

// variations are checks that change one thing of what was asked, to narrow a cause down. That such a thing does not work
// is no fault, and is shown as what it is: something that was tried.
var variations = []diag.ProbeID{"peer.transports", "peer.mqtt", "peer.paths", "peer.listen", "peer.questions", "tcp.ports", "tcp.absurd_port", "tcp.proxy_header", "tls.names",
	"tls.without_sni", "tls.no_client_cert", "tls.alpn", "ws.paths", "ws.origin", "ws.subprotocols", "ws.redirect", "ws.behind", "mqtt.older",
	"mqtt.versions", "mqtt.without_credentials", "mqtt.other_client_id", "mqtt.client_id_form", "mqtt.keepalive", "mqtt.short_connect", "mqtt.long_connect"}

func isVariation(s catalogue.StepView) bool { return slices.Contains(variations, s.Check) }

// shownAs is how a step's result is shown: its status, or tried.
func shownAs(s catalogue.StepView) string {
	if (s.Status == diag.StatusWarned || s.Status == diag.StatusFailed) && isVariation(s) {
		return "tried"
	}
	return string(s.Status)
}

// statusWord is that in words.
func (p Page) statusWord(s catalogue.StepView) string {
	if shown := shownAs(s); shown == "tried" {
		return p.T("run.tried")
	}
	return p.W("status." + string(s.Status))
}

// pathNodes draws the path picture from what was seen: a station is passed only where its check passed.
func (r RunPage) pathNodes() []pathNode {
	scheme := r.scheme()
	nodes := []pathNode{{id: "you", icon: "you", state: "passed", detail: r.Report.Vantage.Name}}
	for _, layer := range []diag.Layer{diag.LayerDNS, diag.LayerNet, diag.LayerTCP, diag.LayerTLS, diag.LayerWS,
		diag.LayerMQTT, diag.LayerMsg} {
		switch {
		case layer == diag.LayerTLS && !scheme.UsesTLS(), layer == diag.LayerWS && !scheme.IsWebSocket(),
			layer == diag.LayerDNS && r.literal(): // not on the way
			continue
		}
		n := pathNode{id: string(layer), icon: string(layer)}
		n.state, n.detail = r.layerState(layer)
		nodes = append(nodes, n)
	}
	// What lies behind the first broken station was not reached; nothing else may be read into its silence.
	broken := slices.IndexFunc(nodes, func(n pathNode) bool { return n.state == "failed" })
	for i := range nodes {
		if nodes[i].state != "" {
			continue
		}
		nodes[i].state = "unknown"
		if r.running() && broken < 0 {
			nodes[i].state = "waiting"
		} else if broken >= 0 && i > broken {
			nodes[i].state = "unreached"
		}
	}
	return nodes
}

// layerState is what became of a layer: of the asked checks, and of the findings about it; empty: nothing was seen.
func (r RunPage) layerState(layer diag.Layer) (state, detail string) {
	var seen []catalogue.StepView
	for _, s := range r.Report.Steps {
		if s.Layer == layer && slices.Contains(asked[layer], string(s.Check)) && s.Status != diag.StatusSkipped &&
			s.Status != diag.StatusCanceled {
			seen = append(seen, s)
		}
	}
	state = stateOf(seen)
	switch layer {
	case diag.LayerNet:
		state = r.networkState()
	case diag.LayerMsg:
		// Every message check stands for itself: one that failed is a failure.
		if slices.ContainsFunc(seen, func(s catalogue.StepView) bool { return s.Status == diag.StatusFailed }) {
			state = "failed"
		}
	}
	for _, f := range r.Report.Findings {
		if f.Layer != layer || f.CausedBy != nil {
			continue
		}
		switch {
		case f.Severity == diag.SeverityCritical:
			state = "failed"
		case f.Severity == diag.SeverityWarning && (state == "passed" || state == ""):
			state = "warned"
		}
	}
	fastest := -1.0
	for _, s := range seen {
		if (s.Status == diag.StatusPassed || s.Status == diag.StatusWarned) && (fastest < 0 || s.DurationMS < fastest) {
			fastest = s.DurationMS
		}
	}
	if fastest >= 0 && layer != diag.LayerMsg && layer != diag.LayerNet && state != "failed" {
		detail = r.Duration(fastest)
	}
	return state, detail
}

// stateOf sums steps up: one way that works is enough to go on, and one that does not is worth a look.
func stateOf(steps []catalogue.StepView) string {
	count := map[diag.Status]int{}
	for _, s := range steps {
		count[s.Status]++
	}
	works := count[diag.StatusPassed] + count[diag.StatusWarned]
	switch {
	case len(steps) == 0:
		return ""
	case count[diag.StatusRunning] > 0 && works == 0:
		return "running"
	case works == 0:
		return "failed"
	case count[diag.StatusFailed] > 0 || count[diag.StatusWarned] > 0:
		return "warned"
	}
	return "passed"
}

// networkState is read off the TCP attempts: an answer of the host, even a refusal, has crossed the network.
func (r RunPage) networkState() string {
	state := ""
	for _, s := range r.Report.Steps {
		if s.Check != "tcp.connect" {
			continue
		}
		switch {
		case s.Status == diag.StatusPassed, s.Status == diag.StatusWarned,
			s.Failure != nil && strings.Contains(s.Failure.Code, "refused"):
			return "passed"
		case s.Status == diag.StatusRunning && state == "":
			state = "running"
		}
	}
	return state
}
