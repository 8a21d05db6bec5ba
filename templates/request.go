package templates

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// AskPage makes a request: what is known is filled in, the rest is chosen here.
type AskPage struct {
	Page
	Form Form // what was filled in; no secret
	// Ask are the chosen groups of askGroups.
	Ask       []string
	Note      string
	From      string
	SignedIn  string // who is signed in: nobody types who he is then; empty: nobody
	Keep      int    // days
	Most      int    // days at most
	Errors    map[string]string
	Problem   string
	NoteLimit int
}

// askGroup is what a helper ticks: fields that belong together.
type askGroup struct {
	id     string
	fields []string
}

// askGroups are offered in this order. The first one lets the other person change where the run goes.
var askGroups = []askGroup{
	{"login", []string{fieldUsername, fieldPassword}},
	{"tls", []string{fieldCert, fieldKey}},
	{"ca", []string{fieldCA}},
	{"ws", []string{fieldWSHeaders}},
	{"client", []string{fieldClientID}},
	{"topics", []string{fieldPublish, fieldSubscribe}},
	{"address", []string{fieldURL}},
}

// AskFields are the fields of the ticked groups.
func AskFields(groups []string) []string {
	var fields []string
	for _, g := range askGroups {
		if slices.Contains(groups, g.id) {
			fields = append(fields, g.fields...)
		}
	}
	return fields
}

// AskUsual are the groups that are ticked at first: user name and password, and what is filled in or was in an earlier run.
func AskUsual(f Form) []string {
	ask := []string{"login"}
	if f.Value(fieldCert) != "" || f.Lost[fieldKey] {
		ask = append(ask, "tls")
	}
	if f.Lost[fieldWSHeaders] {
		ask = append(ask, "ws")
	}
	if strings.TrimSpace(f.Value(fieldURL)) == "" {
		ask = append(ask, "address")
	}
	return ask
}

// askKeeps are the offered lives of a link, in days.
var askKeeps = []int{1, 3, 7, 14, 30}

func (a AskPage) asks(group string) bool { return slices.Contains(a.Ask, group) }

// filled are the fields that go along unseen, by name.
func (a AskPage) filled() [][2]string {
	var out [][2]string
	names := []string{fieldURL, fieldSymptom}
	for _, p := range panels {
		names = append(names, p.fields...)
	}
	for _, name := range names {
		if v := a.Form.Value(name); v != "" {
			out = append(out, [2]string{name, v})
		}
	}
	return out
}

// told are the fields worth showing: those with something of their own in them.
func (a AskPage) told() [][2]string {
	var out [][2]string
	for _, pair := range a.filled() {
		if pair[0] == fieldURL || pair[0] == fieldSymptom || pair[0] == fieldDepth || pair[1] == defaults[pair[0]] {
			continue
		}
		out = append(out, [2]string{a.T(fieldWords[pair[0]]), a.shown(pair[0], pair[1])})
	}
	return out
}

// shown is a value as people read it: long ones by how long they are.
func (p Page) shown(field, value string) string {
	switch {
	case field == fieldCA || field == fieldCert:
		return p.T("ask.pem", "n", strconv.Itoa(strings.Count(value, "-----BEGIN CERTIFICATE-----")))
	case slices.Contains(Checkboxes, field):
		return p.T("ask.on")
	}
	return strings.Join(strings.Fields(value), ", ")
}

// HelpRequest is a request as its reader sees it.
type HelpRequest struct {
	ID                   string
	Link                 string // to give away
	CreatedAt, ExpiresAt time.Time
	OpenedAt             time.Time // zero: by nobody
	From                 string    // who asks; empty: not said
	Known                bool      // From was signed in
	Note                 string
	Ask                  []string
	Target               diag.TargetInput
	Symptom, Depth       string
	Runs                 []HelpRun // the newest first
	// Wish is what the helper wants repeated; nil: nothing.
	Wish *HelpWish
}

// HelpRun is a run that was made for a request.
type HelpRun struct {
	ID         string
	State      diag.State
	Verdict    diag.Overall
	RootCause  diag.Code
	CreatedAt  time.Time
	FinishedAt time.Time // zero: not yet
	Summary    string    // in one sentence; empty: not looked up
}

// HelpWish is a run, or a check of it, to be repeated.
type HelpWish struct {
	Run  string
	Only diag.ProbeID
	// Mine: the reader made the run, and can repeat it. Missing are the secret fields that he must type again for that.
	Mine    bool
	Missing []string
}

// RequestPage is a request's page: for its helper, or for whoever has the link.
type RequestPage struct {
	Page
	Request HelpRequest
	Helper  bool
	Run     string // on the page of this run; empty: on the request's own
	Preview bool   // the helper looks at what the other one sees
	Form    Form   // what was typed
	Show    []diag.Hide
	// MayRepeat as it is ticked; on the page of a run, whether the helper may repeat that one now.
	MayRepeat bool
	Made      bool // the request has just been made
	Unsafe    bool // the page came without encryption, and what is typed goes so
}

func (r RequestPage) asks(field string) bool { return slices.Contains(r.Request.Ask, field) }

func (r RequestPage) asksAny(fields ...string) bool { return slices.ContainsFunc(fields, r.asks) }

func (r RequestPage) path() string { return "/requests/" + r.Request.ID }

// fromWhom says a text that names who asks; nobody may be named.
func (r RequestPage) fromWhom(key string, pairs ...string) string {
	if r.Request.From == "" {
		return r.T(key+".unknown", pairs...)
	}
	return r.T(key, append(pairs, "who", r.Request.From)...)
}

// place is where the run goes: where passwords go.
func (r RequestPage) place() string {
	t, err := diag.ParseTarget(diag.TargetInput{URL: r.Request.Target.URL})
	if err != nil {
		return ""
	}
	return t.HostPort()
}

// plain tells that what is sent there can be read on the way.
func (r RequestPage) plain() bool {
	t, err := diag.ParseTarget(diag.TargetInput{URL: r.Request.Target.URL})
	return err == nil && !t.Scheme.UsesTLS()
}

// given are the fields that the helper filled in and that are fixed.
func (r RequestPage) given() [][2]string {
	t := r.Request.Target
	var out [][2]string
	add := func(field, value string) {
		if value != "" && !r.asks(field) {
			out = append(out, [2]string{r.T(fieldWords[field]), r.shown(field, value)})
		}
	}
	add(fieldClientID, t.ClientID)
	add(fieldUsername, t.Username)
	if t.Protocol != string(diag.VersionAuto) {
		add(fieldProtocol, t.Protocol)
	}
	add(fieldCA, t.TLS.CAPEM)
	add(fieldServerName, t.TLS.ServerName)
	add(fieldALPN, strings.Join(t.TLS.ALPN, " "))
	add(fieldWSOrigin, t.WS.Origin)
	add(fieldPublish, t.Topics.Publish)
	add(fieldSubscribe, strings.Join(t.Topics.Subscribe, "\n"))
	add(fieldNodes, strings.Join(t.Nodes, "\n"))
	return out
}

// chat is a text to paste.
func (r RequestPage) chat() string {
	var b strings.Builder
	b.WriteString(r.T("help.chat", "place", orDash(r.place())) + "\n")
	if r.Request.Note != "" {
		b.WriteString(r.Request.Note + "\n")
	}
	b.WriteString(r.Request.Link + "\n")
	b.WriteString(r.T("help.chat.until", "time", stamp(r.Request.ExpiresAt)) + "\n")
	return b.String()
}

// stage is how far it has come: waiting, opened, running, result.
func (r RequestPage) stage() string {
	q := r.Request
	switch {
	case len(q.Runs) > 0 && q.Runs[0].State == diag.StateRunning:
		return "running"
	case len(q.Runs) > 0:
		return "result"
	case !q.OpenedAt.IsZero():
		return "opened"
	}
	return "waiting"
}

// stages are the stations of a request, in order.
var stages = []string{"waiting", "opened", "running", "result"}

func (r RequestPage) reached(stage string) bool {
	return slices.Index(stages, stage) <= slices.Index(stages, r.stage())
}

// tone of a run in the list.
func (h HelpRun) tone() string {
	switch {
	case h.State == diag.StateRunning:
		return "running"
	case h.Verdict == "":
		return string(diag.OverallInconclusive)
	}
	return string(h.Verdict)
}

// words of a run in the list.
func (r RequestPage) words(h HelpRun) string {
	if h.State == diag.StateRunning {
		return r.W("state." + string(h.State))
	}
	return r.W("verdict." + string(h.Verdict))
}

// Headline is the tab's title: what a helper waits for, he reads there.
func (r RequestPage) Headline() string {
	if !r.Helper || r.Preview {
		return r.T("help.title")
	}
	return r.T("help.stage."+r.stage()) + " · " + orDash(r.place())
}

// askedWords lists what the other one fills in.
func (r RequestPage) askedWords() string {
	var words []string
	for _, field := range r.Request.Ask {
		words = append(words, r.T(fieldWords[field]))
	}
	if len(words) == 0 {
		return r.T("help.fills_in.nothing")
	}
	return strings.Join(words, r.T("share.hide.and"))
}

// previewQuery keeps a preview one.
func (r RequestPage) previewQuery(mark string) string {
	if r.Preview {
		return mark + "preview"
	}
	return ""
}

// newer is a run that was made after the one whose page this is; nil: none.
func (r RequestPage) newer() *HelpRun {
	if len(r.Request.Runs) > 0 && r.Request.Runs[0].ID != r.Run {
		return &r.Request.Runs[0]
	}
	return nil
}

// RequestsPage lists the requests of who reads it, the newest first.
type RequestsPage struct {
	Page
	Requests []HelpRequest
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
