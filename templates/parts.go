package templates

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/a-h/templ"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// toneIcon is the shape of a verdict: colour alone says nothing.
func toneIcon(tone string) string {
	switch tone {
	case "running":
		return "running"
	case string(diag.OverallHealthy):
		return "passed"
	case string(diag.OverallAttention):
		return "warned"
	case string(diag.OverallBroken):
		return "failed"
	}
	return "unknown"
}

// stationIcon is the shape of a station's state.
func stationIcon(state string) string {
	switch state {
	case "passed", "warned", "failed", "running":
		return state
	case "unreached":
		return "skipped"
	}
	return ""
}

// statusIcon is the shape of a step's result.
func statusIcon(s catalogue.StepView) string {
	if shown := shownAs(s); shown != "tried" {
		return shown
	}
	return "info"
}

func severityIcon(s diag.Severity) string {
	switch s {
	case diag.SeverityCritical:
		return "failed"
	case diag.SeverityWarning:
		return "warned"
	}
	return "info"
}

// hasMore tells whether a step has anything to unfold.
func hasMore(s catalogue.StepView) bool {
	return s.Status != diag.StatusRunning && (len(s.Evidence) > 0 || len(s.Certificates) > 0 || (s.Failure != nil && s.Failure.Text != ""))
}

func orKey(e catalogue.EvidenceView) string {
	if e.Label != "" {
		return e.Label
	}
	return string(e.Key)
}

// forWhom words the kind of broker or reader that advice is for.
func (p Page) forWhom(kind string) string { return p.W("for." + kind) }

// tabsOf are the groups of advice that is not for everyone.
func tabsOf(list []catalogue.FixView) []fixGroup {
	var groups []fixGroup
	for _, g := range fixGroups(list) {
		if g.For != "any" {
			groups = append(groups, g)
		}
	}
	return groups
}

func secretLabel(name string) string {
	switch name {
	case fieldKey:
		return "field.key"
	case fieldWSQuery:
		return "field.ws_query"
	case fieldWSHeaders:
		return "field.ws_headers"
	case fieldUsername:
		return "field.username"
	case fieldCert:
		return "field.cert"
	}
	return "field.password"
}

// shortSource is an address as people say it.
func shortSource(address string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "www."), "/")
}

var openPlace = regexp.MustCompile(`\{([a-z_]+)\}`)

// textPart is a piece of a text whose facts are left open.
type textPart struct {
	text  string
	place bool // the name of a fact
}

func splitPlaces(text string) []textPart {
	var parts []textPart
	at := 0
	for _, m := range openPlace.FindAllStringSubmatchIndex(text, -1) {
		if m[0] > at {
			parts = append(parts, textPart{text: text[at:m[0]]})
		}
		parts = append(parts, textPart{text: text[m[2]:m[3]], place: true})
		at = m[1]
	}
	if at < len(text) {
		parts = append(parts, textPart{text: text[at:]})
	}
	return parts
}

// fingerprint writes a fingerprint as tools show it: pairs of capital digits with colons.
func fingerprint(hex string) string {
	hex = strings.ToUpper(hex)
	var pairs []string
	for i := 0; i+2 <= len(hex); i += 2 {
		pairs = append(pairs, hex[i:i+2])
	}
	return strings.Join(pairs, ":")
}

// chainLink is where the certificates that a step was served can be had as a file.
func chainLink(run, step string) templ.SafeURL {
	return templ.SafeURL("/runs/" + run + "/chain.pem?step=" + url.QueryEscape(step))
}
