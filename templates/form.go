package templates

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

// Form is what was typed, by field, exactly as it was typed. It never holds a secret: what was typed into a secret field is
// known here only as Lost.
type Form struct {
	Values map[string]string
	// Errors are messages by field.
	Errors map[string]string
	// Lost are the secret fields that were filled in and must be filled in again.
	Lost map[string]bool
	// Problem is an error of the whole form, such as too many runs at once.
	Problem string
	// From tells that the values come from an earlier report.
	From bool
}

// The form's fields have the names of the JSON fields of the interface, so that an error finds its place by name.
const (
	fieldURL           = "target.url"
	fieldProtocol      = "target.protocol"
	fieldClientID      = "target.client_id"
	fieldUsername      = "target.username"
	fieldPassword      = "target.password"
	fieldKeepalive     = "target.keepalive_s"
	fieldCleanStart    = "target.clean_start"
	fieldSessionExpiry = "target.session_expiry_s"
	fieldCA            = "target.tls.ca_pem"
	fieldCert          = "target.tls.cert_pem"
	fieldKey           = "target.tls.key_pem"
	fieldServerName    = "target.tls.server_name"
	fieldALPN          = "target.tls.alpn"
	fieldInsecure      = "target.tls.insecure"
	fieldWSPath        = "target.ws.path"
	fieldWSOrigin      = "target.ws.origin"
	fieldWSQuery       = "target.ws.query"
	fieldWSHeaders     = "target.ws.headers"
	fieldPublish       = "target.topics.publish"
	fieldSubscribe     = "target.topics.subscribe"
	fieldQoS           = "target.topics.qos"
	fieldBurstCount    = "plan.burst.count"
	fieldBurstQoS      = "plan.burst.qos"
	fieldBurstPayload  = "plan.burst.payload_bytes"
	fieldNodes         = "target.nodes"
	fieldSymptom       = "plan.symptom"
	fieldDepth         = "plan.depth"
	fieldIntrusive     = "plan.intrusive"
	fieldTimeout       = "plan.timeout_s"
	fieldWatch         = "plan.watch_s"
	fieldResolvers     = "plan.resolvers"
)

// SecretFields are never sent back to a browser, whatever happens.
var SecretFields = []string{fieldPassword, fieldKey, fieldWSQuery, fieldWSHeaders}

// Checkboxes are the fields that a browser leaves out where they are off.
var Checkboxes = []string{fieldCleanStart, fieldInsecure, fieldIntrusive}

// panel is a folded part of the form.
type panel struct {
	id, icon string
	fields   []string
}

var panels = []panel{
	{"login", "user", []string{fieldUsername, fieldPassword}},
	{"client", "device", []string{fieldClientID, fieldProtocol, fieldKeepalive, fieldCleanStart, fieldSessionExpiry}},
	{"tls", "tls", []string{fieldCA, fieldCert, fieldKey, fieldServerName, fieldALPN, fieldInsecure}},
	{"ws", "ws", []string{fieldWSPath, fieldWSOrigin, fieldWSQuery, fieldWSHeaders}},
	{"topics", "topic", []string{fieldPublish, fieldSubscribe, fieldQoS}},
	{"burst", "msg", []string{fieldBurstCount, fieldBurstQoS, fieldBurstPayload}},
	{"advanced", "tune", []string{fieldDepth, fieldWatch, fieldTimeout, fieldResolvers, fieldNodes, fieldIntrusive}},
}

func panelByID(id string) panel {
	return panels[slices.IndexFunc(panels, func(p panel) bool { return p.id == id })]
}

// defaults are the values of an untouched form.
var defaults = map[string]string{
	fieldProtocol: string(diag.VersionAuto), fieldKeepalive: "60", fieldCleanStart: "on", fieldQoS: "1",
	fieldBurstCount: "100", fieldBurstPayload: "256",
	fieldSymptom: string(diag.SymptomCheckup), fieldDepth: string(diag.DepthStandard),
}

// Value is what stands in a field; never for a secret.
func (f Form) Value(name string) string {
	if slices.Contains(SecretFields, name) {
		return ""
	}
	if f.Values == nil {
		return defaults[name]
	}
	if v, typed := f.Values[name]; typed {
		return v
	}
	if slices.Contains(Checkboxes, name) {
		return ""
	}
	return defaults[name]
}

// FormOf fills a form in from the target and plan of an earlier run. Secrets are not in there.
func FormOf(t diag.TargetInput, p diag.PlanOptions) Form {
	v := map[string]string{
		fieldURL: t.URL, fieldProtocol: t.Protocol, fieldClientID: t.ClientID, fieldUsername: t.Username,
		fieldCA: t.TLS.CAPEM, fieldCert: t.TLS.CertPEM, fieldServerName: t.TLS.ServerName,
		fieldALPN: strings.Join(t.TLS.ALPN, ", "), fieldWSOrigin: t.WS.Origin,
		fieldPublish: t.Topics.Publish, fieldSubscribe: strings.Join(t.Topics.Subscribe, "\n"),
		fieldNodes: strings.Join(t.Nodes, "\n"), fieldSymptom: string(p.Symptom), fieldDepth: string(p.Depth),
		fieldResolvers: strings.Join(p.Resolvers, "\n"),
	}
	on := func(name string, set bool) {
		if set {
			v[name] = "on"
		}
	}
	on(fieldCleanStart, t.CleanStart == nil || *t.CleanStart)
	on(fieldInsecure, t.TLS.Insecure)
	on(fieldIntrusive, p.Intrusive)
	if t.KeepaliveS != nil {
		v[fieldKeepalive] = strconv.Itoa(*t.KeepaliveS)
	}
	if t.SessionExpiryS != 0 {
		v[fieldSessionExpiry] = strconv.Itoa(t.SessionExpiryS)
	}
	if t.Topics.QoS != nil {
		v[fieldQoS] = strconv.Itoa(*t.Topics.QoS)
	}
	if p.Burst.Count > 0 {
		v[fieldBurstCount], v[fieldBurstQoS] = strconv.Itoa(p.Burst.Count), strconv.Itoa(int(p.Burst.QoS))
		v[fieldBurstPayload] = strconv.Itoa(p.Burst.PayloadBytes)
	}
	if p.Watch != p.UsualWatch() {
		v[fieldWatch] = strconv.Itoa(int(p.Watch.Seconds()))
	}
	if p.Timeout > 0 {
		v[fieldTimeout] = strconv.FormatFloat(p.Timeout.Seconds(), 'f', -1, 64)
	}
	lost := map[string]bool{}
	for name, given := range map[string]bool{fieldPassword: t.Password.Given(), fieldKey: t.TLS.KeyPEM.Given(),
		fieldWSQuery: t.WS.Query.Given(), fieldWSHeaders: len(t.WS.Headers) > 0} {
		if given {
			lost[name] = true
		}
	}
	for name, value := range v {
		if value == "" && defaults[name] != "" {
			delete(v, name)
		}
	}
	return Form{Values: v, Lost: lost, From: true}
}

// watchTimes are the offered lengths of a watch in seconds, and the words for each.
var watchTimes = []struct{ seconds, words string }{
	{"", "field.watch.usual"}, {"0", "field.watch.none"}, {"60", "field.watch.1m"}, {"180", "field.watch.3m"}, {"600", "field.watch.10m"}, {"3600", "field.watch.1h"},
	{"28800", "field.watch.8h"}, {"86400", "field.watch.24h"},
}

// otherWatch is a length that is not offered, such as one of an earlier run by the interface; empty: it is.
func (f Form) otherWatch() string {
	v := f.Value(fieldWatch)
	for _, t := range watchTimes {
		if t.seconds == v {
			return ""
		}
	}
	return v
}

func (f Form) checked(name string) bool { return f.Value(name) != "" }

// open tells whether a panel is unfolded: it has an error, or holds something other than its defaults.
func (f Form) open(p panel) bool {
	return slices.ContainsFunc(p.fields, func(name string) bool {
		return f.errorAt(name) != "" || f.Lost[name] || (f.Values != nil && f.Value(name) != defaults[name])
	})
}

// errorAt is the message of a field or of what is in it, such as one header of target.ws.headers.
func (f Form) errorAt(name string) string {
	if message := f.Errors[name]; message != "" {
		return message
	}
	for _, field := range f.errorFields() {
		if strings.HasPrefix(field, name+".") {
			return f.Errors[field]
		}
	}
	return ""
}

// errorFields lists the fields with errors in the order of the form.
func (f Form) errorFields() []string {
	order := []string{fieldURL, fieldSymptom}
	for _, p := range panels {
		order = append(order, p.fields...)
	}
	rank := func(field string) int {
		for i, name := range order {
			if field == name || strings.HasPrefix(field, name+".") {
				return i
			}
		}
		return len(order)
	}
	fields := make([]string, 0, len(f.Errors))
	for field := range f.Errors {
		fields = append(fields, field)
	}
	sort.Slice(fields, func(i, j int) bool {
		if a, b := rank(fields[i]), rank(fields[j]); a != b {
			return a < b
		}
		return fields[i] < fields[j]
	})
	return fields
}

// input is the form's own name of a field with an error, such as target.ws.headers of target.ws.headers.X; empty: none.
func (f Form) input(field string) string {
	names := []string{fieldURL, fieldSymptom}
	for _, p := range panels {
		names = append(names, p.fields...)
	}
	for _, name := range names {
		if field == name || strings.HasPrefix(field, name+".") {
			return name
		}
	}
	return ""
}

// wrongInputs are the form's own names of the fields with an error, each once.
func (f Form) wrongInputs() []string {
	var names []string
	for _, field := range f.errorFields() {
		if name := f.input(field); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// fieldWords are the keys of the fields' own names, for where a message stands away from its field.
var fieldWords = map[string]string{
	fieldURL: "home.url.label", fieldProtocol: "field.protocol", fieldClientID: "field.client_id", fieldUsername: "field.username",
	fieldPassword: "field.password", fieldKeepalive: "field.keepalive", fieldCleanStart: "field.clean_start",
	fieldSessionExpiry: "field.session_expiry", fieldCA: "field.ca", fieldCert: "field.cert", fieldKey: "field.key",
	fieldServerName: "field.server_name", fieldALPN: "field.alpn", fieldInsecure: "field.insecure", fieldWSPath: "field.ws_path",
	fieldWSOrigin: "field.ws_origin", fieldWSQuery: "field.ws_query", fieldWSHeaders: "field.ws_headers", fieldPublish: "field.publish",
	fieldSubscribe: "field.subscribe", fieldQoS: "field.qos", fieldBurstCount: "field.burst_count", fieldBurstQoS: "field.burst_qos",
	fieldBurstPayload: "field.burst_payload", fieldNodes: "field.nodes", fieldSymptom: "home.symptom.label",
	fieldDepth: "field.depth", fieldIntrusive: "field.intrusive", fieldTimeout: "field.timeout", fieldWatch: "field.watch",
	fieldResolvers: "field.resolvers",
}

// describedBy lists the ids of what explains a field: its help, what was lost, its error.
func (f Form) describedBy(name string, help bool) string {
	var ids []string
	if help {
		ids = append(ids, "help-"+name)
	}
	if f.Lost[name] {
		ids = append(ids, "lost-"+name)
	}
	ids = append(ids, "error-"+name)
	return strings.Join(ids, " ")
}

// symptomGroup is a heading of the wizard with its symptoms.
type symptomGroup struct {
	id       string
	symptoms []diag.Symptom
}

// symptomGroups sort the symptoms the way people tell them: I cannot get in; I get in, but; just look.
var symptomGroups = []symptomGroup{
	{"look", []diag.Symptom{diag.SymptomCheckup, diag.SymptomSecurity, diag.SymptomCluster}},
	{"connect", []diag.Symptom{diag.SymptomCannotConnect, diag.SymptomTimeout, diag.SymptomRefused, diag.SymptomAuth,
		diag.SymptomTLS, diag.SymptomWebSocket}},
	{"after", []diag.Symptom{diag.SymptomNotReceiving, diag.SymptomDrops, diag.SymptomLost, diag.SymptomDuplicate,
		diag.SymptomSlow}},
}
