package handlers

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"mqttdoctor/diag/catalogue"
	"mqttdoctor/templates"
)

// themeCookie remembers light or dark where the reader chose.
const themeCookie = "mqttdoctor_theme"

// choiceLife is how long a browser keeps what its reader chose.
const choiceLife = 365 * 24 * time.Hour

// page is what every page needs, in the reader's language. A language in the query is remembered. Of the query only what
// pages themselves link to is kept: an address typed there might hold a password.
func (h *Handlers) page(w http.ResponseWriter, r *http.Request) templates.Page {
	lang := h.lang(r, "")
	if r.URL.Query().Get("lang") != "" {
		h.remember(w, r, langCookie, string(lang))
	}
	p := templates.Page{Lang: lang, Path: "/", Query: url.Values{}, Asset: h.Asset, Version: h.Version, Design: h.Design}
	if h.SignIn != nil {
		who := PersonOf(r.Context())
		p.SignIn = templates.SignedIn{On: true, Person: who.Name, Admin: who.Admin, CanLeave: h.SignIn.Way() != SignInProxy}
		if h.SignIn.Way() == SignInProxy {
			p.SignIn.LeaveLink = h.SignIn.Elsewhere(r)
		}
	}
	// Where a form was sent to there may be no page.
	if form := r.URL.Path == "/import" || r.URL.Path == "/requests/new"; form || r.Method == http.MethodGet || r.Method == http.MethodHead {
		p.Path = r.URL.Path
	}
	if from := r.URL.Query().Get("from"); idPattern.MatchString(from) {
		p.Query.Set("from", from)
	}
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		p.Theme = c.Value
	}
	return p
}

// browserActor is who sent a form, with an owner cookie made where there is none. Only browsers send forms, and over plain
// HTTP, as in many an intranet, they leave out the header by which owningActor knows them.
func (h *Handlers) browserActor(w http.ResponseWriter, r *http.Request) Actor {
	if r.Header.Get("Sec-Fetch-Site") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return h.owningActor(w, r)
}

// remember keeps a reader's choice; an empty value forgets it.
func (h *Handlers) remember(w http.ResponseWriter, r *http.Request, name, value string) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(choiceLife / time.Second), HttpOnly: true,
		Secure: h.Secure(r), SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// show answers with a page. It is rendered before anything is sent, so that a defect shows as such.
func (h *Handlers) show(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer
	if err := c.Render(r.Context(), &b); err != nil {
		return err
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Length", strconv.Itoa(b.Len()))
	head.Add("Vary", "Accept-Language, Cookie")
	if head.Get("Cache-Control") == "" {
		head.Set("Cache-Control", "private, no-cache")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // the client has gone
	}
	return nil
}

// errorPage shows an error to a person: one sentence in the reader's language, and what to do next.
func (h *Handlers) errorPage(w http.ResponseWriter, r *http.Request, p Problem) {
	page := h.page(w, r)
	page.Path, page.Nowhere = "/", true // the language links lead to something that is there
	page.NoIndex = true
	c := templates.Error(templates.ErrorPage{Page: page, Status: p.Status, Code: p.Code, Message: p.Message, Fields: p.Fields,
		RetryAfter: p.RetryAfter})
	if err := h.show(w, r, p.Status, c); err != nil {
		h.Log.ErrorContext(r.Context(), "error page not rendered", "err", err)
		http.Error(w, p.Message, p.Status)
	}
}

// handleSettings keeps how a reader wants the pages, and leads back to where he was.
func (h *Handlers) handleSettings(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := r.ParseForm(); err != nil {
		return &badRequest{status: http.StatusBadRequest, code: "body_unreadable"}
	}
	switch theme := r.PostForm.Get("theme"); theme {
	case "light", "dark":
		h.remember(w, r, themeCookie, theme)
	case "auto":
		h.remember(w, r, themeCookie, "")
	}
	http.Redirect(w, r, localPath(r.PostForm.Get("back")), http.StatusSeeOther)
	return nil
}

// localPath is a path of this server, or "/" where it would lead elsewhere.
func localPath(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") ||
		strings.ContainsAny(s, "\\\r\n\t") {
		return "/"
	}
	return u.String()
}

func (h *Handlers) handleCausesPage(w http.ResponseWriter, r *http.Request) error {
	p := h.page(w, r)
	p.Title = p.T("causes.title")
	return h.show(w, r, http.StatusOK, templates.Causes(templates.CausesPage{Page: p, Causes: catalogue.Causes(p.Lang)}))
}

func (h *Handlers) handleDesign(w http.ResponseWriter, r *http.Request) error {
	p := h.page(w, r)
	p.Title = p.T("nav.design")
	p.NoIndex = true
	if name := r.URL.Query().Get("sample"); name != "" {
		page, ok := templates.SampleByName(p, name)
		if !ok {
			return errNoRoute
		}
		return h.show(w, r, http.StatusOK, page)
	}
	return h.show(w, r, http.StatusOK, templates.Design(p))
}
