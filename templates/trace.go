package templates

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/trace"
)

// traceClock is when a packet passed, to the millisecond.
func traceClock(at time.Time) string { return at.UTC().Format("15:04:05.000") }

func traceArrow(f trace.Frame) string {
	switch f.Dir {
	case mqttwire.Out:
		return "→"
	case mqttwire.In:
		return "←"
	}
	return "·"
}

// traceSide says in words what the arrow shows.
func (p Page) traceSide(f trace.Frame) string {
	switch f.Dir {
	case mqttwire.Out:
		return p.T("trace.out")
	case mqttwire.In:
		return p.T("trace.in")
	}
	return p.T("trace.event")
}

func (p Page) traceTook(f trace.Frame) string {
	if f.TookMS == nil {
		return ""
	}
	return p.Duration(*f.TookMS)
}

func traceLength(f trace.Frame) string {
	if f.Length == 0 {
		return ""
	}
	return strconv.Itoa(f.Length) + " B"
}

// traceFailed tells that a packet refuses something, or is none.
func traceFailed(f trace.Frame) bool {
	if f.Type == trace.EventError || f.Type == "malformed" {
		return true
	}
	refuses := func(v any) bool {
		r, _ := v.(map[string]any)
		code, _ := r["code"].(float64)
		return code >= 0x80 || f.Type == mqttwire.CONNACK.String() && code > 0
	}
	reasons, _ := f.Fields["reasons"].([]any)
	return refuses(f.Fields["reason"]) || slices.ContainsFunc(reasons, refuses)
}

// traceFacts are the fields of a packet as name and value, without its payload.
func traceFacts(f trace.Frame) [][2]string { return traceObject(nil, "", f.Fields) }

func traceObject(out [][2]string, prefix string, fields map[string]any) [][2]string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		object, nested := fields[name].(map[string]any)
		switch {
		case name == "payload" && prefix == "":
		case name == "reason":
			out = append(out, [2]string{prefix + name, traceReason(object)})
		case name == "properties":
			out = traceObject(out, prefix, object)
		case nested:
			out = traceObject(out, prefix+name+".", object)
		default:
			out = append(out, [2]string{prefix + name, traceValue(fields[name])})
		}
	}
	return out
}

func traceReason(r map[string]any) string {
	words := fmt.Sprintf("%s (%s)", traceValue(r["name"]), traceValue(r["code"]))
	if text := traceValue(r["text"]); text != "" {
		words += ": " + text
	}
	return words
}

func traceValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i, one := range v {
			parts[i] = traceListed(one)
		}
		return strings.Join(parts, "\n")
	}
	return fmt.Sprint(v)
}

// traceListed is one of a list: a reason, a filter with its options, a user property, or a plain value.
func traceListed(v any) string {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["code"]; ok {
			return traceReason(v)
		}
		parts := []string{}
		for _, pair := range traceObject(nil, "", v) {
			parts = append(parts, pair[0]+" "+pair[1])
		}
		return strings.Join(parts, ", ")
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = traceValue(v[i])
		}
		return strings.Join(parts, ": ")
	}
	return traceValue(v)
}

// tracePayload is a payload as text where it is text, else in hex; empty: none is here.
func tracePayload(f trace.Frame) string {
	encoded, _ := f.Fields["payload"].(string)
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	text := string(data)
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }) {
		return text
	}
	const most = 256
	dump := strings.TrimRight(hex.Dump(data[:min(len(data), most)]), "\n")
	if len(data) > most {
		dump += "\n…"
	}
	return dump
}

// maxTraceLines is how much of a trace a text for a ticket holds.
const maxTraceLines = 200

// mdTrace writes the trace as a table: the newest packets, without their fields.
func (r RunPage) mdTrace(b *strings.Builder) {
	t := r.Trace
	if t == nil {
		return
	}
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line("## ", mdText(r.T("trace.title")))
	line()
	for _, s := range r.traceAbout() {
		line(mdText(s), "  ")
	}
	packets := t.Packets
	if cut := len(packets) - maxTraceLines; cut > 0 {
		packets = packets[cut:]
		line(mdText(r.N("trace.cut", cut)))
	}
	line()
	line("| ", strings.Join([]string{r.T("trace.time"), "", r.T("trace.packet"), r.T("md.seen"), r.T("trace.took")}, " | "), " |")
	line("|---|---|---|---|---|")
	for _, f := range packets {
		words := []string{f.Explanation}
		for _, w := range f.Warnings {
			words = append(words, "⚠ "+w.Text+" ("+w.Section+")")
		}
		line("| ", strings.Join([]string{traceClock(f.At), traceArrow(f), f.Type, mdCell(strings.Join(words, " ")), mdCell(r.traceTook(f))}, " | "), " |")
	}
	line()
}

// traceAbout says what the trace is of, and what is not in it.
func (r RunPage) traceAbout() []string {
	t := r.Trace
	about := []string{r.N("trace.count", len(t.Packets), "time", stamp(t.AttachedAt))}
	if t.Target != "" && t.Target != r.Report.Target.URL {
		about = append(about, r.T("trace.target", "url", t.Target))
	}
	if t.Payloads {
		about = append(about, r.T("trace.payloads"))
	} else {
		about = append(about, r.T("trace.no_payloads"))
	}
	if t.Lost > 0 {
		about = append(about, r.N("trace.lost", int(min(t.Lost, 1<<31-1))))
	}
	return about
}

// traceMistakes counts the packets in which somebody breaks the specification.
func traceMistakes(t *trace.Attached) int {
	n := 0
	for _, f := range t.Packets {
		if len(f.Warnings) > 0 {
			n++
		}
	}
	return n
}

// traceType is what a packet is called: by the specification, and what is none, such as the end of the connection, in words.
func (r RunPage) traceType(f trace.Frame) string {
	if f.Type == strings.ToUpper(f.Type) {
		return f.Type
	}
	return r.T("console.js.packets.type." + f.Type)
}
