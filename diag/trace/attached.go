package trace

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// Schema is the version of a trace as a file.
const Schema = "mqttdoctor.trace/1"

// Bounds of a trace that is attached to a report: what a ticket needs, and a page can show.
const (
	maxAttached      = 1000    // packets and events, the newest
	maxAttachedBytes = 1 << 20 // of their JSON
	maxText          = 1 << 10 // characters of a text
	maxPacketLength  = 268_435_460
)

// Attached is a trace that somebody attached to a report. Its packets are as [Writer] made them, but in no language: [Attached.In]
// puts them into words.
type Attached struct {
	Schema     string    `json:"schema"`
	AttachedAt time.Time `json:"attached_at"`
	// Target is the URL of the console, without user information and query; empty: not known.
	Target string `json:"target,omitempty"`
	// Payloads: whoever attached it chose to show them.
	Payloads bool `json:"payloads"`
	// Lost is how many packets passed and are not here.
	Lost    uint64  `json:"lost"`
	Packets []Frame `json:"packets"`
}

// Refused says what is wrong with a trace that somebody wants to attach.
type Refused struct {
	Packet int    // its place in the list, from 0
	Field  string // such as "fields.will.qos"
}

func (e *Refused) Error() string { return fmt.Sprintf("packet %d: %s", e.Packet, e.Field) }

// Attach makes a trace fit to be kept of packets that came from somebody else. What is no packet's is refused (*Refused); words
// are thrown away, since they are made of the notes; what may be a secret is masked, again; without payloads nothing of a
// payload stays. The oldest packets go where there are too many. known tells the keys of the catalogue.
func Attach(packets []Frame, lost uint64, payloads bool, known func(key string) bool) (Attached, error) {
	a := Attached{Schema: Schema, Payloads: payloads, Lost: lost}
	last := uint64(0)
	for i, f := range packets {
		c := cleaner{payloads: payloads, known: known}
		clean := c.frame(f)
		if f.Seq <= last {
			c.refuse("seq")
		}
		if c.wrong != "" {
			return Attached{}, &Refused{Packet: i, Field: c.wrong}
		}
		last = f.Seq
		a.Packets = append(a.Packets, clean)
	}
	from, size := len(a.Packets), 0
	for ; from > 0 && len(a.Packets)-from < maxAttached; from-- {
		data, err := json.Marshal(a.Packets[from-1])
		if err != nil {
			return Attached{}, err
		}
		if size += len(data); size > maxAttachedBytes {
			break
		}
	}
	a.Lost += uint64(from)
	a.Packets = slices.Clip(slices.Clone(a.Packets[from:]))
	return a, nil
}

// In puts the packets into words. The receiver stays as it is.
func (a Attached) In(say func(diag.Note) string) Attached {
	packets := make([]Frame, len(a.Packets))
	for i, f := range a.Packets {
		f.Explanation = say(f.Note)
		f.Warnings = slices.Clone(f.Warnings)
		for j := range f.Warnings {
			f.Warnings[j].Text = say(f.Warnings[j].Note)
		}
		f.Fields = worded(f.Fields, say)
		packets[i] = f
	}
	a.Packets = packets
	return a
}

// worded adds the texts of reason codes.
func worded(fields map[string]any, say func(diag.Note) string) map[string]any {
	if len(fields) == 0 {
		return nil
	}
	out := make(map[string]any, len(fields))
	one := func(v any) any {
		r, _ := v.(map[string]any)
		key, _ := r["key"].(string)
		made := map[string]any{"code": r["code"], "name": r["name"]}
		if key != "" {
			made["key"], made["text"] = key, say(diag.N(key))
		}
		return made
	}
	for name, v := range fields {
		switch name {
		case "reason":
			v = one(v)
		case "reasons":
			list, _ := v.([]any)
			all := make([]any, len(list))
			for i := range list {
				all[i] = one(list[i])
			}
			v = all
		}
		out[name] = v
	}
	return out
}

// cleaner checks one packet and masks it.
type cleaner struct {
	payloads bool
	known    func(key string) bool
	wrong    string // the first field that is no packet's
}

func (c *cleaner) refuse(field string) {
	if c.wrong == "" {
		c.wrong = field
	}
}

// The types of frames that are no packets, besides those of events.
const (
	typeLost      = "lost"
	typeMalformed = "malformed"
)

var packetTypes = func() map[string]bool {
	all := map[string]bool{typeMalformed: true}
	for t := mqttwire.CONNECT; t <= mqttwire.AUTH; t++ {
		all[t.String()] = true
	}
	return all
}()

var eventTypes = map[string]bool{EventConnected: true, EventClosed: true, EventError: true, typeLost: true}

var sections = regexp.MustCompile(`^MQTT (3\.1|3\.1\.1|5\.0) [ -~]{1,120}$`)

func (c *cleaner) frame(f Frame) Frame {
	packet := packetTypes[f.Type] && (f.Dir == mqttwire.In || f.Dir == mqttwire.Out)
	if !packet && (!eventTypes[f.Type] || f.Dir != "") {
		c.refuse("type")
	}
	if f.Length < 0 || f.Length > maxPacketLength {
		c.refuse("length")
	}
	if f.Conn < 0 {
		c.refuse("conn")
	}
	if f.At.IsZero() || f.At.Year() < 2000 || f.At.Year() > 9999 {
		c.refuse("at")
	}
	if f.TookMS != nil && *f.TookMS < 0 {
		c.refuse("took_ms")
	}
	f.At, f.Explanation = f.At.UTC(), ""
	f.Note = c.note("note", f.Note, "trace.")
	if len(f.Warnings) > maxList {
		c.refuse("warnings")
		return f
	}
	warnings := f.Warnings
	f.Warnings = nil
	for _, w := range warnings {
		if !sections.MatchString(w.Section) {
			c.refuse("warnings.section")
		}
		prefix := "trace.warn."
		if strings.HasPrefix(w.Note.Key, "trace.breach.") {
			prefix = "trace.breach."
		}
		f.Warnings = append(f.Warnings, WarningText{Note: c.note("warnings.note", w.Note, prefix), Section: w.Section})
	}
	f.Fields = c.object("fields", f.Fields, frameFields)
	if f.Dir == mqttwire.Out {
		delete(f.Fields, "bytes") // a client's bytes may hold its password
	}
	return f
}

// note checks a note and masks what it tells. A zero note is none.
func (c *cleaner) note(at string, n diag.Note, prefix string) diag.Note {
	if n.IsZero() && len(n.Args) == 0 {
		return diag.Note{}
	}
	if !strings.HasPrefix(n.Key, prefix) || !c.known(n.Key) {
		c.refuse(at + ".key")
	}
	clean := diag.Note{Key: n.Key}
	for name, value := range n.Args {
		if _, ok := diag.ArgNames[name]; !ok {
			c.refuse(at + ".args")
			break
		}
		if clean.Args == nil {
			clean.Args = diag.Args{}
		}
		clean.Args[name] = maskText(value)
	}
	return clean
}
