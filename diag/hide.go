package diag

import "slices"

// Hide is a kind of facts that an owner keeps from those who have the link of a report.
type Hide string

// The kinds, each with a label in the pages' texts.
const (
	HideHost     Hide = "host"     // host names, addresses, and certificates, which bear them
	HideUser     Hide = "user"     // the user name, and the client's certificate
	HideTopics   Hide = "topics"   // topics and filters, other than our own scratch topics
	HidePayloads Hide = "payloads" // what messages carried
)

// Hides lists every kind, in the order of the form.
var Hides = []Hide{HideHost, HideUser, HideTopics, HidePayloads}

// DefaultHides is what is hidden where nobody has chosen.
var DefaultHides = []Hide{HideUser, HidePayloads}

// ParseHides takes what is known of names, each once, in the order of [Hides]; ok tells that all were known.
func ParseHides(names []string) (hides []Hide, ok bool) {
	for _, h := range Hides {
		if slices.Contains(names, string(h)) {
			hides = append(hides, h)
		}
	}
	for _, name := range names {
		if !slices.Contains(Hides, Hide(name)) {
			return hides, false
		}
	}
	return hides, true
}
