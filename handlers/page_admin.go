package handlers

import (
	"encoding/csv"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag/catalogue"
	"mqttdoctor/templates"
)

// registerAdmin adds the pages of administrators, where there are any.
func (h *Handlers) registerAdmin(r chi.Router) {
	if h.SignIn == nil || h.Admin == nil {
		return
	}
	r.Route("/admin", func(r chi.Router) {
		r.Use(h.admins, noStore)
		r.Get("/", h.wrap(h.handleAdminRuns))
		r.Get("/audit", h.wrap(h.handleAdminAudit))
		r.Get("/audit.csv", h.wrap(h.handleAuditCSV))
		r.Get("/limits", h.wrap(h.handleAdminLimits))
		r.Post("/limits", h.wrap(h.handleSetLimits))
	})
}

const (
	// adminLines is how many lines a page of a list has.
	adminLines = 50
	// csvLines is how many are asked for at once for an export.
	csvLines = 1000
	// maxSearch bounds what is searched for.
	maxSearch = 200
)

func (h *Handlers) adminPage(w http.ResponseWriter, r *http.Request, part string) templates.AdminPage {
	p := templates.AdminPage{Page: h.page(w, r), Part: part}
	p.Path = strings.TrimSuffix(p.Path, "/")
	p.Title, p.NoIndex = p.T("admin."+part), true
	for name, to := range map[string]*string{"target": &p.Target, "person": &p.Person} {
		if *to = clipTo(r.URL.Query().Get(name), maxSearch); *to != "" {
			p.Query.Set(name, *to)
		}
	}
	return p
}

// older leads to the lines before one.
func older(p templates.AdminPage, before string) string {
	q := url.Values{"before": {before}}
	for name, values := range p.Query {
		q[name] = values
	}
	return p.Path + "?" + q.Encode()
}

func (h *Handlers) handleAdminRuns(w http.ResponseWriter, r *http.Request) error {
	page := h.adminPage(w, r, "runs")
	query := RunQuery{Target: page.Target, Limit: adminLines + 1}
	if at, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64); err == nil && at > 0 {
		query.Before = time.UnixMilli(at)
	}
	runs, err := h.Admin.Runs(r.Context(), query)
	if err != nil {
		return err
	}
	if len(runs) > adminLines {
		runs = runs[:adminLines]
		// One of the same millisecond comes again rather than not at all.
		page.Older = older(page, strconv.FormatInt(runs[adminLines-1].CreatedAt.UnixMilli()+1, 10))
		if runs[0].CreatedAt.Equal(runs[adminLines-1].CreatedAt) { // else it would lead to itself
			page.Older = older(page, strconv.FormatInt(runs[adminLines-1].CreatedAt.UnixMilli(), 10))
		}
	}
	if page.Bytes, err = h.Admin.Bytes(r.Context()); err != nil {
		return err
	}
	for _, l := range runs {
		result := string(l.Verdict)
		if result == "" || string(l.State) == "running" {
			result = "running"
		}
		var cause string
		if l.RootCause != "" {
			cause = catalogue.TitleAt(l.RootCause, l.Target, page.Lang)
		}
		page.Runs = append(page.Runs, templates.AdminRun{ID: l.ID, At: l.CreatedAt, Expires: l.ExpiresAt, Result: result, Cause: cause,
			Person: nameOf(l.Person), Target: l.Target, Bytes: l.Bytes})
	}
	return h.show(w, r, http.StatusOK, templates.Admin(page))
}

func (h *Handlers) auditQuery(r *http.Request, page templates.AdminPage, limit int) AuditQuery {
	before, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	return AuditQuery{Person: page.Person, Target: page.Target, Before: before, Limit: limit}
}

func (h *Handlers) handleAdminAudit(w http.ResponseWriter, r *http.Request) error {
	page := h.adminPage(w, r, "audit")
	lines, err := h.Admin.Audit(r.Context(), h.auditQuery(r, page, adminLines+1))
	if err != nil {
		return err
	}
	if len(lines) > adminLines {
		lines = lines[:adminLines]
		page.Older = older(page, strconv.FormatInt(lines[adminLines-1].ID, 10))
	}
	for _, l := range lines {
		page.Lines = append(page.Lines, templates.AdminLine{At: l.At, Person: nameOf(l.Person), Client: l.Client, Act: l.Act, Run: l.Run,
			Target: l.Target, Note: l.Note})
	}
	page.Export = "/admin/audit.csv"
	if len(page.Query) > 0 {
		page.Export += "?" + page.Query.Encode()
	}
	return h.show(w, r, http.StatusOK, templates.Admin(page))
}

// handleAuditCSV is the whole list as a file (RFC 4180), for spreadsheets: in no language, times in UTC.
func (h *Handlers) handleAuditCSV(w http.ResponseWriter, r *http.Request) error {
	query := h.auditQuery(r, h.adminPage(w, r, "audit"), csvLines)
	lines, err := h.Admin.Audit(r.Context(), query)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="mqttdoctor-audit.csv"`)
	_, _ = w.Write([]byte("\ufeff")) // else Excel takes UTF-8 for something else
	out := csv.NewWriter(w)
	out.UseCRLF = true
	_ = out.Write([]string{"id", "time", "person", "name", "client", "act", "run", "target", "note"})
	for len(lines) > 0 {
		for _, l := range lines {
			_ = out.Write([]string{strconv.FormatInt(l.ID, 10), l.At.UTC().Format(time.RFC3339), cell(l.Person.ID), cell(l.Person.Name), l.Client,
				l.Act, l.Run, cell(l.Target), cell(l.Note)})
		}
		out.Flush()
		if out.Error() != nil || len(lines) < csvLines {
			return nil // the client has gone, or that was all
		}
		query.Before = lines[len(lines)-1].ID
		if lines, err = h.Admin.Audit(r.Context(), query); err != nil {
			h.Log.ErrorContext(r.Context(), "export of the audit log broke off", "err", err)
			panic(http.ErrAbortHandler) // half a file must not look like a whole one
		}
	}
	out.Flush()
	return nil
}

// cell keeps a spreadsheet from taking a text from outside for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func nameOf(p Person) string {
	if p.Name == "" || p.Name == p.ID {
		return p.ID
	}
	return p.Name + " (" + p.ID + ")"
}

func (h *Handlers) limitsPage(w http.ResponseWriter, r *http.Request) templates.AdminPage {
	page := h.adminPage(w, r, "limits")
	for _, l := range h.Admin.Limits() {
		page.Limits = append(page.Limits, templates.AdminLimit{Name: l.Name, Value: l.Value, Configured: l.Configured})
	}
	return page
}

func (h *Handlers) handleAdminLimits(w http.ResponseWriter, r *http.Request) error {
	page := h.limitsPage(w, r)
	page.Saved = r.URL.Query().Has("saved")
	return h.show(w, r, http.StatusOK, templates.Admin(page))
}

// handleSetLimits takes the form, and shows it again where something in it is wrong.
func (h *Handlers) handleSetLimits(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		return &badRequest{status: http.StatusBadRequest, code: "body_unreadable"}
	}
	to := map[string]string{}
	for _, l := range h.Admin.Limits() {
		if r.PostForm.Has(l.Name) {
			to[l.Name] = strings.TrimSpace(r.PostForm.Get(l.Name))
		}
	}
	err := h.Admin.SetLimits(r.Context(), h.actor(r), to)
	if err == nil {
		http.Redirect(w, r, "/admin/limits?saved", http.StatusSeeOther)
		return nil
	}
	var wrong *WrongLimits
	if !errors.As(err, &wrong) {
		return err
	}
	page := h.limitsPage(w, r)
	page.Path = "/admin/limits"
	for i, l := range page.Limits {
		page.Limits[i].Value = clipTo(to[l.Name], maxSearch)
		page.Limits[i].Wrong = slices.Contains(wrong.Names, l.Name)
	}
	return h.show(w, r, http.StatusBadRequest, templates.Admin(page))
}
