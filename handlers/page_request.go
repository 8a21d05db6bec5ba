package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/templates"
)

// handleAskPage shows what a request will hold, filled in from a report (?from=).
func (h *Handlers) handleAskPage(w http.ResponseWriter, r *http.Request) error {
	form := templates.Form{}
	if from := r.URL.Query().Get("from"); idPattern.MatchString(from) {
		report, err := h.Runs.Get(r.Context(), from, h.actor(r))
		if err == nil {
			form = templates.FormOf(openTarget(report), planOf(report))
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return h.show(w, r, http.StatusOK, templates.Ask(h.askPage(w, r, form)))
}

func (h *Handlers) askPage(w http.ResponseWriter, r *http.Request, form templates.Form) templates.AskPage {
	a := templates.AskPage{Page: h.page(w, r), Form: form, Ask: templates.AskUsual(form), Keep: int(UsualRequest / (24 * time.Hour)),
		SignedIn: PersonOf(r.Context()).Name, NoteLimit: MaxRequestNote}
	a.Path, a.Title, a.NoIndex = "/requests/new", a.T("ask.title"), true
	return a
}

// handleAskForm takes what was typed into the home page's form, without starting anything: the secrets in it end here.
func (h *Handlers) handleAskForm(w http.ResponseWriter, r *http.Request) error {
	typed, err := readForm(w, r)
	if err != nil {
		return err
	}
	page := h.askPage(w, r, typed.form)
	if problems := h.wrongFields(typed, page.Lang); len(problems) > 0 {
		home := h.homePage(w, r, typed.form)
		home.Form.Errors = problems
		home.Title = home.N("form.problems", len(problems))
		w.Header().Set("Cache-Control", "no-store")
		return h.show(w, r, http.StatusBadRequest, templates.Home(home))
	}
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, http.StatusOK, templates.Ask(page))
}

// wrongFields says what cannot be run, of a form whose address and key another one may fill in.
func (h *Handlers) wrongFields(f *typedForm, lang catalogue.Lang) map[string]string {
	check := *f
	if strings.TrimSpace(check.run.Target.URL) == "" {
		check.run.Target.URL = "mqtts://broker.invalid"
	}
	check.run.Target = check.run.Target.WithoutSecrets()
	check.run.Target.TLS.CertPEM = ""
	out := map[string]string{}
	if err := check.check(h.Probes); err != nil {
		for field, message := range problem(err, lang).Fields {
			out[field] = message
		}
	}
	for field, key := range f.errs {
		if field != "target.ws.headers" {
			out[field] = templates.Page{Lang: lang}.T(key)
		}
	}
	return out
}

// handleMakeRequest keeps what the page of a request was sent with, and leads to the request's own page.
func (h *Handlers) handleMakeRequest(w http.ResponseWriter, r *http.Request) error {
	typed, err := readForm(w, r)
	if err != nil {
		return err
	}
	page := h.askPage(w, r, typed.form)
	page.Ask, page.Note, page.From = r.PostForm["ask"], clipTo(r.PostForm.Get("note"), 8*MaxRequestNote), clipTo(r.PostForm.Get("from"), 8*MaxRequestFrom)
	if n, err := strconv.Atoi(r.PostForm.Get("keep")); err == nil {
		page.Keep = n
	}
	in := RequestInput{Target: typed.run.Target, Plan: typed.run.Plan, Ask: templates.AskFields(page.Ask), Note: page.Note, From: page.From,
		KeepDays: &page.Keep, Lang: string(page.Lang)}
	asked, err := h.Requests.Ask(r.Context(), h.browserActor(w, r), in)
	if err == nil {
		http.Redirect(w, r, "/requests/"+asked.ID+"?made", http.StatusSeeOther)
		return nil
	}
	p := problem(err, page.Lang)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, ErrStopping) {
		return err
	}
	page.Errors = p.Fields
	if len(page.Errors) == 0 || p.Status != http.StatusBadRequest {
		page.Problem = p.Message
	}
	setRetryAfter(w, p)
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, p.Status, templates.Ask(page))
}

// handleRequestsPage lists what this reader asked others to run.
func (h *Handlers) handleRequestsPage(w http.ResponseWriter, r *http.Request) error {
	list, err := h.Requests.Requests(r.Context(), h.actor(r), maxMyRequests)
	if err != nil {
		return err
	}
	page := templates.RequestsPage{Page: h.page(w, r)}
	page.Title, page.NoIndex = page.T("help.mine"), true
	for _, q := range list {
		page.Requests = append(page.Requests, h.helpRequest(r, q))
	}
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, http.StatusOK, templates.Requests(page))
}

// requestPage is a request as this reader sees it.
func (h *Handlers) requestPage(w http.ResponseWriter, r *http.Request) (templates.RequestPage, error) {
	id, err := requestID(r)
	if err != nil {
		return templates.RequestPage{}, err
	}
	q, err := h.Requests.Request(r.Context(), id, h.actor(r))
	if err != nil {
		return templates.RequestPage{}, err
	}
	page := templates.RequestPage{Page: h.page(w, r), Helper: q.Helper, Preview: q.Helper && r.URL.Query().Has("preview"), MayRepeat: true,
		Made: r.URL.Query().Has("made"), Unsafe: !h.Secure(r) && !h.ClientAddr(r).IsLoopback()}
	page.Path, page.NoIndex = "/requests/"+id, true
	if page.Preview {
		page.Query.Set("preview", "")
	}
	page.Request = h.helpRequest(r, q)
	page.Title = page.Headline()
	page.Form = templates.Form{Values: map[string]string{}}
	t := q.Target
	for name, value := range map[string]string{"target.url": t.URL, "target.client_id": t.ClientID, "target.username": t.Username,
		"target.tls.ca_pem": t.TLS.CAPEM, "target.tls.cert_pem": t.TLS.CertPEM, "target.topics.publish": t.Topics.Publish,
		"target.topics.subscribe": strings.Join(t.Topics.Subscribe, "\n")} {
		if slices.Contains(q.Ask, name) {
			page.Form.Values[name] = value
		}
	}
	return page, nil
}

// summaries is of how many runs in a list the one sentence is told.
const summaries = 5

// sumUp adds to the runs in a request's list what each came to, which takes its whole report.
func (h *Handlers) sumUp(r *http.Request, runs []templates.HelpRun) {
	for i := range runs[:min(len(runs), summaries)] {
		if runs[i].State == diag.StateRunning {
			continue
		}
		if report, err := h.Runs.Get(r.Context(), runs[i].ID, h.actor(r)); err == nil {
			runs[i].Summary = catalogue.Render(report, h.lang(r, "")).Summary
		}
	}
}

// helpRequest puts a request into the words of pages.
func (h *Handlers) helpRequest(r *http.Request, q Request) templates.HelpRequest {
	out := templates.HelpRequest{ID: q.ID, Link: h.absolute(r, "/requests/"+q.ID), CreatedAt: q.CreatedAt, ExpiresAt: q.ExpiresAt, OpenedAt: q.OpenedAt,
		From: q.From, Known: q.Known, Note: q.Note, Ask: q.Ask, Target: q.Target, Symptom: q.Plan.Symptom, Depth: q.Plan.Depth}
	if out.Symptom == "" {
		out.Symptom = string(diag.SymptomCheckup)
	}
	if out.Depth == "" {
		out.Depth = string(diag.DepthStandard)
	}
	for _, run := range q.Runs {
		out.Runs = append(out.Runs, templates.HelpRun{ID: run.ID, State: run.State, Verdict: run.Verdict, RootCause: run.RootCause, CreatedAt: run.CreatedAt,
			FinishedAt: run.FinishedAt})
	}
	if q.Wish != nil {
		out.Wish = &templates.HelpWish{Run: q.Wish.Run, Only: q.Wish.Only}
		if !q.Helper {
			rights, err := h.Runs.Rights(r.Context(), q.Wish.Run, h.actor(r))
			out.Wish.Mine, out.Wish.Missing = err == nil && rights.Owner, rights.Missing
		}
	}
	return out
}

func (h *Handlers) handleRequestPage(w http.ResponseWriter, r *http.Request) error {
	page, err := h.requestPage(w, r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodGet && byPerson(r) && !page.Helper {
		h.Requests.OpenedRequest(r.Context(), page.Request.ID, h.actor(r))
	}
	h.sumUp(r, page.Request.Runs)
	w.Header().Set("Cache-Control", "no-store") // it may be deleted, and it changes
	return h.show(w, r, http.StatusOK, templates.Request(page))
}

// handleHelpForm runs what was asked for with what was typed, or shows the page again with what is wrong.
func (h *Handlers) handleHelpForm(w http.ResponseWriter, r *http.Request) error {
	id, err := requestID(r)
	if err != nil {
		return err
	}
	typed, err := readForm(w, r)
	if err != nil {
		return err
	}
	lang := h.lang(r, "")
	t := typed.run.Target
	// Only what can be asked for: a form also sends what stands in its other fields.
	help := HelpInput{Target: diag.TargetInput{URL: t.URL, ClientID: t.ClientID, Username: t.Username, Password: t.Password, WS: diag.WSInput{Headers: t.WS.Headers},
		TLS:    diag.TLSInput{CAPEM: t.TLS.CAPEM, CertPEM: t.TLS.CertPEM, KeyPEM: t.TLS.KeyPEM},
		Topics: diag.TopicsInput{Publish: t.Topics.Publish, Subscribe: t.Topics.Subscribe}},
		MayRepeat: r.PostForm.Get("may_repeat") != "", Lang: string(lang)}
	show := r.PostForm["show"]
	for _, what := range diag.DefaultHides {
		if !slices.Contains(show, string(what)) {
			help.Hide = append(help.Hide, what)
		}
	}
	wrong := typed.errs["target.ws.headers"]
	if wrong == "" {
		var started Started
		if started, err = h.Requests.Help(r.Context(), id, h.browserActor(w, r), help); err == nil {
			http.Redirect(w, r, "/runs/"+started.ID, http.StatusSeeOther)
			return nil
		}
	}
	p := Problem{Status: http.StatusBadRequest}
	if err != nil {
		if p = problem(err, lang); p.Status >= http.StatusInternalServerError && !errors.Is(err, ErrStopping) || p.Status == http.StatusNotFound {
			return err
		}
	}
	page, pageErr := h.requestPage(w, r)
	if pageErr != nil {
		return pageErr
	}
	h.sumUp(r, page.Request.Runs)
	for name, value := range typed.form.Values {
		if slices.Contains(page.Request.Ask, name) {
			page.Form.Values[name] = value
		}
	}
	page.Form.Lost, page.Form.Errors = typed.form.Lost, p.Fields
	if wrong != "" {
		page.Form.Errors = map[string]string{"target.ws.headers": page.T(wrong)}
	}
	if len(page.Form.Errors) == 0 {
		page.Form.Problem = p.Message
	}
	page.Show, page.MayRepeat = nil, help.MayRepeat
	for _, what := range show {
		page.Show = append(page.Show, diag.Hide(what))
	}
	page.Title = page.N("form.problems", max(1, len(page.Form.Errors)))
	setRetryAfter(w, p)
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, p.Status, templates.Request(page))
}

func (h *Handlers) handleDeleteRequest(w http.ResponseWriter, r *http.Request) error {
	id, err := requestID(r)
	if err != nil {
		return err
	}
	if err := h.Requests.EraseRequest(r.Context(), id, h.actor(r)); err != nil {
		return err
	}
	http.Redirect(w, r, "/?request_deleted", http.StatusSeeOther)
	return nil
}

// handleRequestLive sends the parts of a request's page that change. A page that looks at a request while it is deleted hears of it
// also where it comes a moment late: a browser does not let it see why a websocket was refused.
func (h *Handlers) handleRequestLive(w http.ResponseWriter, r *http.Request) error {
	err := h.liveRequest(w, r)
	if errors.Is(err, ErrNoRequest) && isUpgrade(r) && h.sameOrigin(r) {
		h.attach(w, r, func(context.Context, *websocket.Conn) (websocket.StatusCode, string) { return requestIsOver() })
		return nil
	}
	return err
}

func (h *Handlers) liveRequest(w http.ResponseWriter, r *http.Request) error {
	page, err := h.requestPage(w, r)
	if err != nil {
		return err
	}
	run := r.URL.Query().Get("run")
	if !idPattern.MatchString(run) {
		run = ""
	}
	seq, sent := 0, ""
	live := r.WithContext(context.WithoutCancel(r.Context())) // that of the request says nothing of a hijacked connection
	return h.streamRequest(w, r, func(q Request) ([]byte, error) {
		page.Request = h.helpRequest(live, q)
		if page.Run = run; run == "" {
			h.sumUp(live, page.Request.Runs)
		} else {
			rights, err := h.Runs.Rights(live.Context(), run, h.actor(live))
			page.MayRepeat = err == nil && rights.Rerun
		}
		html, err := rendered(templates.RequestNews(page))
		if err != nil || html == sent {
			return nil, err
		}
		seq, sent = seq+1, html
		return json.Marshal(frame{Seq: seq, Type: "request", Title: page.Headline() + " · mqttdoctor",
			Fragments: []fragment{{Target: "request-news", Mode: "replace", HTML: html}}})
	})
}

func rendered(c templ.Component) (string, error) {
	var b bytes.Buffer
	err := c.Render(context.Background(), &b)
	return b.String(), err
}

// requestOfRun is what stands on the page of a run that was made for a request; nil: nothing.
func (h *Handlers) requestOfRun(r *http.Request, page templates.RunPage) *templates.RequestPage {
	if page.Rights.Request == "" {
		return nil
	}
	q, err := h.Requests.Request(r.Context(), page.Rights.Request, h.actor(r))
	if err != nil {
		return nil // the report is worth showing without
	}
	return &templates.RequestPage{Page: page.Page, Helper: page.Rights.Helper, Run: page.Report.ID, Request: h.helpRequest(r, q), MayRepeat: page.Rights.Rerun}
}

// handleRequestRerun repeats a run that was made for a request: at once where this actor may, else he who made it is asked on his
// page. Whoever was asked for the first run needs no account for the second.
func (h *Handlers) handleRequestRerun(w http.ResponseWriter, r *http.Request) error {
	id, err := requestID(r)
	if err != nil {
		return err
	}
	run := chi.URLParam(r, "run")
	if !idPattern.MatchString(run) {
		return ErrNotFound
	}
	rights, err := h.Runs.Rights(r.Context(), run, h.actor(r))
	if err != nil {
		return err
	}
	if rights.Request != id {
		return ErrNotYours
	}
	v, err := formValues(w, r)
	if err != nil {
		return err
	}
	with := h.rerunOptions(r, v)
	started, err := h.Runs.Rerun(r.Context(), run, h.browserActor(w, r), with)
	var gone *SecretsGone
	switch {
	case err == nil:
		http.Redirect(w, r, "/runs/"+started.ID, http.StatusSeeOther)
		return nil
	case rights.Helper && errors.As(err, &gone):
		if err := h.Requests.Wish(r.Context(), id, h.actor(r), Wish{Run: run, Only: with.Only}); err != nil {
			return err
		}
		http.Redirect(w, r, "/requests/"+id+"?wished", http.StatusSeeOther)
		return nil
	}
	return h.showRefusedRerun(w, r, run, err)
}
