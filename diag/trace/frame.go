package trace

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// Frame is a packet or event as it is given out, in words.
type Frame struct {
	Seq  uint64    `json:"seq"`
	At   time.Time `json:"at"`
	Conn int       `json:"conn,omitempty"`
	// Dir is out for what the client sent, in for what the broker sent; empty for what is no packet.
	Dir  mqttwire.Direction `json:"dir,omitempty"`
	Type string             `json:"type"` // CONNECT and so on; connected, closed, error, lost, malformed
	// Length is that of the whole packet in bytes.
	Length      int            `json:"length,omitempty"`
	Fields      map[string]any `json:"fields,omitempty"`
	Explanation string         `json:"explanation"`
	// Note is the explanation before it had words, so that it can be put into another language.
	Note     diag.Note     `json:"note,omitzero"`
	Warnings []WarningText `json:"warnings,omitempty"`
	// Answers is the number of the packet that this one answers, and TookMS the time since.
	Answers uint64   `json:"answers,omitempty"`
	TookMS  *float64 `json:"took_ms,omitempty"`
	// Truncated: only a part of the packet was kept; a payload shows its beginning.
	Truncated bool `json:"truncated,omitempty"`
}

// WarningText is a warning in words.
type WarningText struct {
	Text    string    `json:"text"`
	Note    diag.Note `json:"note,omitzero"` // the text before it had words
	Section string    `json:"section"`
}

// Mask stands in the place of a secret.
const Mask = "********"

// Writer puts packets into words. Say is the catalogue; without Payloads payloads are left out, but for their length.
type Writer struct {
	Say      func(diag.Note) string
	Payloads bool
}

// Frame describes a packet.
func (w Writer) Frame(p Packet) Frame {
	f := Frame{Seq: p.Seq, At: p.At, Conn: p.Conn, Dir: p.Dir, Length: p.Length, Answers: p.Answers, Truncated: p.Truncated}
	if p.Answers > 0 {
		ms := float64(p.Took.Microseconds()) / 1000
		f.TookMS = &ms
	}
	warnings := p.Warnings
	if p.Event != nil {
		f.Type, f.Fields = p.Event.Type, p.Event.Fields
		w.explain(&f, p.Event.Note)
		if p.Event.Warning != nil {
			warnings = []Warning{*p.Event.Warning}
		}
	} else {
		w.describe(&f, &p)
	}
	for _, warning := range warnings {
		f.Warnings = append(f.Warnings, WarningText{Text: w.Say(warning.Note), Note: warning.Note, Section: warning.Section})
	}
	return f
}

// Lost describes packets that are gone.
func (w Writer) Lost(b Batch, at time.Time) Frame {
	f := Frame{Seq: b.LostUpTo, At: at, Type: "lost", Fields: map[string]any{"count": b.Lost, "from": b.LostUpTo - b.Lost + 1, "to": b.LostUpTo}}
	w.explain(&f, diag.N("trace.lost", "count", fmt.Sprint(b.Lost)))
	return f
}

// explain puts a note into a packet, with its words.
func (w Writer) explain(f *Frame, n diag.Note) { f.Note, f.Explanation = n, w.Say(n) }

// describe fills in type, fields and explanation of a packet.
func (w Writer) describe(f *Frame, p *Packet) {
	frame := p.frame()
	f.Type, f.Fields = frame.Type.String(), map[string]any{}
	dir := out
	if p.Dir == mqttwire.In {
		dir = in
	}
	packet, _ := p.decode(dir, p.Version)
	if p.hidden {
		w.explain(f, diag.N("trace.hidden"))
		return
	}
	if p.broken || packet == nil && !p.Truncated {
		f.Type = "malformed"
		f.Fields["packet_type"] = frame.Type.String()
		if dir == in { // a client's bytes may hold its password
			f.Fields["bytes"] = printable(p.raw)
		}
		w.explain(f, diag.N("trace.malformed."+string(p.Dir)))
		return
	}
	if packet == nil {
		w.explain(f, diag.N("trace.large", "name", frame.Type.String(), "length", itoa(p.Length)))
		return
	}
	switch p2 := packet.(type) {
	case *mqttwire.ConnectPacket:
		w.connect(f, p2)
	case *mqttwire.Connack:
		f.Fields["session_present"] = p2.SessionPresent
		w.reason(f, p2.Version, mqttwire.CONNACK, p2.Code)
		w.properties(f, &p2.Properties)
		key := "trace.connack.refused"
		if p2.Code == 0 {
			key = "trace.connack.accepted"
			if p2.SessionPresent {
				key = "trace.connack.resumed"
			}
		}
		if p2.Legacy {
			key = "trace.connack.legacy"
		}
		w.explain(f, note(key, "code", code(p2.Code), "reason", p2.Reason()))
	case *mqttwire.Publish:
		w.publish(f, p, p2)
	case *mqttwire.Ack:
		f.Fields["packet_id"] = p2.PacketID
		if p.Version == mqttwire.V5 {
			w.reason(f, p.Version, p2.Type, p2.Code)
			w.properties(f, &p2.Properties)
		}
		key := "trace." + strings.ToLower(p2.Type.String())
		if p2.Code >= 0x80 {
			key = "trace.ack_refused"
		}
		w.explain(f, note(key, "name", p2.Type.String(), "value", itoa(int(p2.PacketID)), "code", code(p2.Code),
			"reason", mqttwire.LookupReason(p.Version, p2.Type, p2.Code).Name))
	case *mqttwire.Subscribe:
		w.subscribe(f, p.Version, p2)
	case *mqttwire.Unsubscribe:
		f.Fields["packet_id"] = p2.PacketID
		f.Fields["filters"] = clip(p2.Filters)
		w.properties(f, &p2.Properties)
		w.explain(f, note("trace.unsubscribe", "filter", strings.Join(clip(p2.Filters)[:min(3, len(p2.Filters))], ", "), "count", itoa(len(p2.Filters))))
	case *mqttwire.Suback:
		f.Fields["packet_id"] = p2.PacketID
		f.Fields["reasons"] = w.reasons(p.Version, mqttwire.SUBACK, p2.Codes)
		w.properties(f, &p2.Properties)
		w.explain(f, answers("trace.suback", p.Version, mqttwire.SUBACK, p2.Codes))
	case *mqttwire.Unsuback:
		f.Fields["packet_id"] = p2.PacketID
		if p.Version == mqttwire.V5 {
			f.Fields["reasons"] = w.reasons(p.Version, mqttwire.UNSUBACK, p2.Codes)
			w.properties(f, &p2.Properties)
		}
		w.explain(f, answers("trace.unsuback", p.Version, mqttwire.UNSUBACK, p2.Codes))
	case *mqttwire.Pingreq:
		w.explain(f, diag.N("trace.pingreq"))
	case *mqttwire.Pingresp:
		w.explain(f, diag.N("trace.pingresp"))
	case *mqttwire.Disconnect:
		w.disconnect(f, p, p2)
	case *mqttwire.Auth:
		w.reason(f, mqttwire.V5, mqttwire.AUTH, p2.Code)
		w.properties(f, &p2.Properties)
		w.explain(f, note("trace.auth."+string(p.Dir), "method", p2.AuthenticationMethod, "reason", mqttwire.LookupReason(mqttwire.V5, mqttwire.AUTH, p2.Code).Name))
	}
}

func (w Writer) connect(f *Frame, p *mqttwire.ConnectPacket) {
	set := f.Fields
	set["protocol"], set["version"] = p.Protocol, p.Version.String()
	if misread(p) {
		w.explain(f, diag.N("trace.connect.misread", "version", p.Version.String()))
		return
	}
	set["client_id"], set["clean_start"], set["keepalive_s"] = p.ClientID, p.CleanStart, p.KeepAlive
	name := ""
	if p.Username != nil {
		set["username"], name = *p.Username, *p.Username
	}
	if p.HasPassword {
		set["password"] = Mask
	}
	w.properties(f, &p.Properties)
	if p.Will != nil {
		will := map[string]any{"topic": p.Will.Topic, "qos": p.Will.QoS, "retain": p.Will.Retain, "payload_bytes": len(p.Will.Payload)}
		if w.Payloads {
			will["payload"] = base64.StdEncoding.EncodeToString(p.Will.Payload[:min(len(p.Will.Payload), maxWill)])
		}
		if properties := propertiesOf(&p.Will.Properties); len(properties) > 0 {
			will["properties"] = properties
		}
		set["will"] = will
	}
	key := "trace.connect"
	if !p.CleanStart {
		key = "trace.connect.resume"
	}
	w.explain(f, note(key, "version", p.Version.String(), "client_id", p.ClientID, "username", name, "keepalive", itoa(int(p.KeepAlive))))
}

func (w Writer) publish(f *Frame, p *Packet, m *mqttwire.Publish) {
	set := f.Fields
	set["topic"], set["qos"], set["retain"], set["dup"] = m.Topic, m.QoS, m.Retain, m.Dup
	length := p.Length - p.header - (len(p.raw) - p.header - len(m.Payload)) // what was not kept is payload
	set["payload_bytes"] = length
	if m.QoS > 0 {
		set["packet_id"] = m.PacketID
	}
	shown := m.Payload[:min(len(m.Payload), maxPayload)]
	if w.Payloads {
		set["payload"] = base64.StdEncoding.EncodeToString(shown)
	}
	f.Truncated = len(shown) < length
	w.properties(f, &m.Properties)
	key := "trace.publish." + string(p.Dir)
	if m.Retain {
		key += ".retain"
	}
	topic := m.Topic
	if topic == "" && m.TopicAlias != nil {
		key, topic = "trace.publish."+string(p.Dir)+".alias", itoa(int(*m.TopicAlias))
	}
	w.explain(f, note(key, "length", itoa(length), "topic", topic, "value", topic, "qos", itoa(int(m.QoS))))
}

func (w Writer) subscribe(f *Frame, v mqttwire.Version, p *mqttwire.Subscribe) {
	f.Fields["packet_id"] = p.PacketID
	var filters []map[string]any
	var names []string
	for _, s := range clip(p.Filters) {
		one := map[string]any{"filter": s.Filter, "qos": s.QoS}
		if v == mqttwire.V5 {
			one["no_local"], one["retain_as_published"], one["retain_handling"] = s.NoLocal, s.RetainAsPublished, s.RetainHandling
		}
		filters = append(filters, one)
		if len(names) < 3 {
			names = append(names, s.Filter)
		}
	}
	f.Fields["filters"] = filters
	w.properties(f, &p.Properties)
	w.explain(f, note("trace.subscribe", "filter", strings.Join(names, ", "), "count", itoa(len(p.Filters))))
}

func (w Writer) disconnect(f *Frame, p *Packet, d *mqttwire.Disconnect) {
	if p.Version != mqttwire.V5 {
		w.explain(f, diag.N("trace.disconnect.out"))
		return
	}
	w.reason(f, p.Version, mqttwire.DISCONNECT, d.Code)
	w.properties(f, &d.Properties)
	key := "trace.disconnect." + string(p.Dir)
	if d.Code != 0 {
		key += ".reason"
	}
	w.explain(f, note(key, "code", code(d.Code), "reason", d.Reason(), "reason_string", d.ReasonString))
}

// code writes a return or reason code as people look it up.
func code(c byte) string {
	if c < 0x80 {
		return itoa(int(c))
	}
	return fmt.Sprintf("%d (0x%02X)", c, c)
}

// Reason is a return or reason code with its name in the specification and what it means.
type Reason struct {
	Code byte   `json:"code"`
	Name string `json:"name"`
	Text string `json:"text,omitempty"`
	Key  string `json:"key,omitempty"` // of the text in the catalogue
}

func (w Writer) reasonOf(v mqttwire.Version, kind mqttwire.PacketType, c byte) Reason {
	info := mqttwire.LookupReason(v, kind, c)
	key := reasonKey(v, kind, c)
	return Reason{Code: c, Name: info.Name, Text: w.Say(diag.Note{Key: key}), Key: key}
}

// reasonKey is the catalogue's key for what a code means; empty: it has no meaning.
func reasonKey(v mqttwire.Version, kind mqttwire.PacketType, c byte) string {
	info := mqttwire.LookupReason(v, kind, c)
	switch {
	case !info.Known:
		return ""
	case v != mqttwire.V5 && kind == mqttwire.CONNACK:
		return fmt.Sprintf("trace.return.%d", c)
	case kind == mqttwire.SUBACK && c <= 2:
		return "trace.granted." + itoa(int(c))
	case v != mqttwire.V5:
		return "trace.reason.0x80"
	case c == 0:
		return ""
	}
	return fmt.Sprintf("trace.reason.0x%02x", c)
}

func (w Writer) reason(f *Frame, v mqttwire.Version, kind mqttwire.PacketType, c byte) {
	f.Fields["reason"] = w.reasonOf(v, kind, c)
}

func (w Writer) reasons(v mqttwire.Version, kind mqttwire.PacketType, codes []byte) []Reason {
	all := make([]Reason, 0, min(len(codes), maxList))
	for _, c := range clip(codes) {
		all = append(all, w.reasonOf(v, kind, c))
	}
	return all
}

// answers tells of an answer with several codes how many refuse, and why the first of them does.
func answers(key string, v mqttwire.Version, kind mqttwire.PacketType, codes []byte) diag.Note {
	refused := 0
	first := ""
	for _, c := range codes {
		if c >= 0x80 {
			if refused++; refused == 1 {
				first = mqttwire.LookupReason(v, kind, c).Name
			}
		}
	}
	granted := ""
	if kind == mqttwire.SUBACK && len(codes) == 1 {
		granted = itoa(int(codes[0]))
	}
	if refused > 0 {
		return note(key+".refused", "count", itoa(refused), "total", itoa(len(codes)), "reason", first)
	}
	return note(key, "total", itoa(len(codes)), "granted", granted)
}

// clip shortens a list to what is shown.
func clip[T any](all []T) []T { return all[:min(len(all), maxList)] }

// printable shows the beginning of bytes that are no MQTT: as text where they are, else in hex.
func printable(b []byte) string {
	b = b[:min(len(b), 64)]
	text := true
	for _, c := range b {
		text = text && (c >= 0x20 && c < 0x7f || c == '\r' || c == '\n' || c == '\t')
	}
	if text {
		return string(b)
	}
	return fmt.Sprintf("% x", b)
}
