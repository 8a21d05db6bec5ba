package mask

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
)

// Hides tells whether a kind of facts is hidden.
func (m *Mask) Hides(h diag.Hide) bool { return slices.Contains(m.hide, h) }

// Link hides in a URL.
func (m *Mask) Link(s string) string {
	if m.Hides(diag.HideHost) {
		s = m.link(s)
	}
	return m.text(s)
}

// Note hides in what a text is made of.
func (m *Mask) Note(n diag.Note) diag.Note { return diag.Note{Key: n.Key, Args: m.args(n.Args)} }

// Field hides in a field of a decoded packet, by its name.
func (m *Mask) Field(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[m.text(key)] = m.Field(key, value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = m.Field(name, v[i])
		}
		return out
	case string:
		switch {
		case m.Hides(diag.HideUser) && strings.Contains(name, "username"):
			return m.name(kindUser, v)
		case m.Hides(diag.HideTopics) && (strings.Contains(name, "topic") || strings.Contains(name, "filter")):
			return m.topic(v)
		}
		return m.text(v)
	}
	return v
}
