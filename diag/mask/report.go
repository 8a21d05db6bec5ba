package mask

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// Report returns what may be seen of a report. The given one stays as it is.
func (m *Mask) Report(r diag.Report) diag.Report {
	if !m.Any() {
		return r
	}
	out := deep(m, r)
	out.Hidden, out.Names = slices.Clone(m.hide), string(m.key)
	return out
}

// Event returns what may be seen of an event. The given one stays as it is.
func (m *Mask) Event(e diag.Event) diag.Event {
	if !m.Any() {
		return e
	}
	out := e // its unit and numbers tell nothing
	if e.Step != nil {
		step := deep(m, *e.Step)
		out.Step = &step
	}
	if e.Finding != nil {
		finding := deep(m, *e.Finding)
		out.Finding = &finding
	}
	if e.Report != nil {
		report := m.Report(*e.Report)
		out.Report = &report
	}
	return out
}

func deep[T any](m *Mask, v T) T {
	return m.value(reflect.ValueOf(v), place{}).Interface().(T) //nolint:forcetypeassert // a copy has the type of what was copied
}

// place is where a value stands.
type place struct {
	field string // of the nearest struct
	msg   bool   // in a step or finding about messages, where texts hold topics that only the probe knows
}

// value copies a value and hides what is in it. Types that have rules of their own come first; every other one is walked
// through, and each text in it searched. Closed lists are types of their own and stay.
func (m *Mask) value(v reflect.Value, at place) reflect.Value {
	switch x := v.Interface().(type) {
	case time.Time, diag.Secret, diag.TLSAlert, diag.PlanOptions, diag.Vantage:
		return m.special(v)
	case diag.Args:
		return reflect.ValueOf(m.args(x))
	case diag.Evidence:
		return reflect.ValueOf(m.evidence(x))
	case diag.TargetInput:
		return reflect.ValueOf(m.target(x))
	case diag.Suggestion:
		return reflect.ValueOf(m.suggestion(x))
	case diag.Failure:
		x.Text = m.text(x.Text)
		return reflect.ValueOf(x)
	case diag.SentMessage:
		if m.Hides(diag.HideTopics) {
			x.Topic = m.topic(x.Topic)
		}
		x.Topic = m.text(x.Topic)
		return reflect.ValueOf(x)
	case diag.Note:
		x.Args = m.args(x.Args)
		return reflect.ValueOf(x)
	case diag.Step:
		at.msg = x.Layer == diag.LayerMsg
		x.ID, x.Subject = m.stepID(x.ID, at), m.subject(x.Subject, at)
		return m.fields(v, reflect.ValueOf(x), at, "ID", "Subject")
	case diag.Finding:
		x.Step = m.stepID(x.Step, place{msg: x.Layer == diag.LayerMsg})
		return m.fields(v, reflect.ValueOf(x), at, "Step", "Variant")
	case diag.Report:
		return m.fields(v, v, at, "Schema", "ID", "Lang", "Names")
	}
	switch v.Kind() {
	case reflect.String:
		return m.word(v, at)
	case reflect.Struct:
		return m.fields(v, v, at)
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(m.value(v.Elem(), at))
		return out
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type()).Elem()
		out.Set(m.value(v.Elem(), at))
		return out
	case reflect.Slice:
		return m.list(v, at)
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, key := range v.MapKeys() {
			out.SetMapIndex(m.value(key, at), m.value(v.MapIndex(key), at))
		}
		return out
	}
	return v
}

// fields walks through the exported fields of a struct and leaves those named as they stand in begun.
func (m *Mask) fields(v, begun reflect.Value, at place, but ...string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(begun)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || slices.Contains(but, f.Name) {
			continue
		}
		at.field = f.Name
		out.Field(i).Set(m.value(v.Field(i), at))
	}
	return out
}

// list copies a list. Raw bytes may hold anything.
func (m *Mask) list(v reflect.Value, at place) reflect.Value {
	if v.IsNil() {
		return v
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		if m.Hides(diag.HideHost) || m.payload(at) {
			return reflect.Zero(v.Type())
		}
		return v
	}
	if m.Hides(diag.HideHost) && v.Type().Elem() == reflect.TypeFor[diag.CertFact]() {
		return reflect.Zero(v.Type()) // certificates bear names, and their fingerprints are found in public logs (RFC 9162)
	}
	out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	for i := range v.Len() {
		out.Index(i).Set(m.value(v.Index(i), at))
	}
	return out
}

func (m *Mask) payload(at place) bool {
	return m.Hides(diag.HidePayloads) && strings.HasPrefix(at.field, "Payload")
}

// word hides in a text of an observation, by the name of its field where that says what it holds.
func (m *Mask) word(v reflect.Value, at place) reflect.Value {
	if v.Type() != reflect.TypeFor[string]() { // a code of a closed list
		return v
	}
	s := v.String()
	switch {
	case m.payload(at):
		s = pem(s)
	case m.Hides(diag.HideTopics) && (strings.Contains(at.field, "Topic") || strings.Contains(at.field, "Filter")):
		s = m.topic(s)
	case m.Hides(diag.HideHost) && slices.Contains(certFields, at.field):
		s = pem(s)
	case m.Hides(diag.HideHost) && slices.Contains(hostFields, at.field):
		s = m.hosts(s)
	default:
		s = m.text(s)
	}
	return reflect.ValueOf(s)
}

// Fields of observations that hold names of any form.
var (
	certFields = []string{"PEM", "SHA256", "Subject", "Issuer", "CommonName", "IssuerCN", "GivenSubjects", "AcceptableCAs"}
	hostFields = []string{"Host", "Name", "Names", "Resolver", "ServerName", "Address", "Target", "ServerReference"}
)

// stepID hides what stands behind a check's id.
func (m *Mask) stepID(id string, at place) string {
	check, subject, several := strings.Cut(id, "@")
	if !several {
		return id
	}
	return check + "@" + m.subject(subject, at)
}

// subject is an address, a listener, a version, or a topic.
func (m *Mask) subject(s string, at place) string {
	if at.msg && m.Hides(diag.HideTopics) && strings.Contains(s, "/") {
		return m.topic(s)
	}
	return m.text(s)
}

// special are types that are no more than they say.
func (m *Mask) special(v reflect.Value) reflect.Value {
	switch x := v.Interface().(type) {
	case diag.PlanOptions:
		x.Resolvers = slices.Clone(x.Resolvers)
		for i, resolver := range x.Resolvers {
			if m.Hides(diag.HideHost) {
				x.Resolvers[i] = m.link(resolver)
			}
		}
		return reflect.ValueOf(x)
	case diag.Vantage:
		x.Name = m.text(x.Name)
		return reflect.ValueOf(x)
	}
	return v
}

func (m *Mask) target(t diag.TargetInput) diag.TargetInput {
	t.ClientID = m.text(t.ClientID)
	t.TLS.ALPN = slices.Clone(t.TLS.ALPN)
	t.Nodes = slices.Clone(t.Nodes)
	if m.Hides(diag.HideHost) {
		t.URL, t.BridgeURL, t.WS.Origin = m.link(t.URL), m.link(t.BridgeURL), m.link(t.WS.Origin)
		t.TLS.ServerName, t.TLS.CAPEM, t.TLS.CertPEM = m.host(t.TLS.ServerName), pem(t.TLS.CAPEM), pem(t.TLS.CertPEM)
		for i, node := range t.Nodes {
			t.Nodes[i] = m.link(node)
		}
	}
	t.URL, t.WS.Path = m.text(t.URL), m.text(t.WS.Path)
	if m.Hides(diag.HideUser) {
		t.Username, t.TLS.CertPEM = m.name(kindUser, t.Username), pem(t.TLS.CertPEM)
	}
	t.Topics.Subscribe = slices.Clone(t.Topics.Subscribe)
	if m.Hides(diag.HideTopics) {
		t.Topics.Publish = m.topic(t.Topics.Publish)
		for i, filter := range t.Topics.Subscribe {
			t.Topics.Subscribe[i] = m.topic(filter)
		}
	}
	return t
}

func (m *Mask) suggestion(s diag.Suggestion) diag.Suggestion {
	change := func(p *string, how func(string) string) *string {
		if p == nil {
			return nil
		}
		changed := how(*p)
		return &changed
	}
	s.ClientID = change(s.ClientID, m.text)
	if m.Hides(diag.HideHost) {
		s.URL = m.link(s.URL)
	}
	s.URL = m.text(s.URL)
	if s.TLS != nil && m.Hides(diag.HideHost) {
		tls := *s.TLS
		tls.ServerName, tls.CAPEM = m.host(tls.ServerName), change(tls.CAPEM, pem)
		s.TLS = &tls
	}
	if s.WS != nil {
		ws := *s.WS
		ws.Path, ws.Origin = m.text(ws.Path), change(ws.Origin, m.text)
		s.WS = &ws
	}
	if s.Topics != nil && m.Hides(diag.HideTopics) {
		topics := *s.Topics
		topics.Publish, topics.Subscribe = m.topic(topics.Publish), slices.Clone(topics.Subscribe)
		for i, filter := range topics.Subscribe {
			topics.Subscribe[i] = m.topic(filter)
		}
		s.Topics = &topics
	}
	return s
}
