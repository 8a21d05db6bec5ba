package mask

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/diag/trace"
)

// Trace returns what may be seen of a trace that is attached to the report. The given one stays as it is. known tells the keys
// of the catalogue.
func (m *Mask) Trace(t trace.Attached, known func(key string) bool) (trace.Attached, error) {
	if !m.Hides() {
		return t, nil
	}
	out := t
	if t.Payloads && m.hides(diag.HidePayloads) {
		bare, err := trace.Attach(t.Packets, t.Lost, false, known)
		if err != nil {
			return trace.Attached{}, err
		}
		out.Packets, out.Lost, out.Payloads = bare.Packets, bare.Lost, false
	}
	if m.hides(diag.HideHost) {
		out.Target = m.link(out.Target)
	}
	out.Target = m.text(out.Target)
	out.Packets = slices.Clone(out.Packets)
	for i := range out.Packets {
		f := &out.Packets[i]
		f.Explanation, f.Note = "", diag.Note{Key: f.Note.Key, Args: m.args(f.Note.Args)} // words are made of the note
		f.Warnings = slices.Clone(f.Warnings)
		for j := range f.Warnings {
			w := &f.Warnings[j]
			w.Text, w.Note = "", diag.Note{Key: w.Note.Key, Args: m.args(w.Note.Args)}
		}
		if f.Fields != nil {
			f.Fields, _ = m.packetField("", f.Fields).(map[string]any)
		}
	}
	return out, nil
}

// packetField hides in a field of a packet, by its name.
func (m *Mask) packetField(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[m.text(key)] = m.packetField(key, value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = m.packetField(name, v[i])
		}
		return out
	case string:
		switch {
		case m.hides(diag.HideUser) && strings.Contains(name, "username"):
			return m.name(kindUser, v)
		case m.hides(diag.HideTopics) && (strings.Contains(name, "topic") || strings.Contains(name, "filter")):
			return m.topic(v)
		}
		return m.text(v)
	}
	return v
}
