package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/static"
	"mqttdoctor/templates"
)

func (h *Handlers) handleRunPage(w http.ResponseWriter, r *http.Request) error {
	page, err := h.runPage(w, r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodGet && byPerson(r) {
		h.Runs.Viewed(r.Context(), page.Report.ID, h.actor(r))
	}
	w.Header().Set("Cache-Control", "no-store") // it may be deleted, and it may be under way
	return h.show(w, r, http.StatusOK, templates.Run(page))
}

// previewOf is what messengers may show of a report's link.
func previewOf(report diag.Report, lang catalogue.Lang) templates.Preview {
	p := templates.Preview{Host: report.PreviewHost}
	if f := report.RootCause; f != nil {
		p.Title = catalogue.BareTitle(*f, lang)
	}
	return p
}

// byPerson tells a browser from what draws previews of links, which are no looks.
func byPerson(r *http.Request) bool {
	agent := strings.ToLower(r.UserAgent())
	return strings.Contains(agent, "mozilla/") && !strings.Contains(agent, "bot") && !strings.Contains(agent, "preview") &&
		!strings.Contains(agent, "facebookexternalhit")
}

// runPage is the run as it stands, and what this reader may do with it.
func (h *Handlers) runPage(w http.ResponseWriter, r *http.Request) (templates.RunPage, error) {
	id, err := runID(r)
	if err != nil {
		return templates.RunPage{}, err
	}
	return h.runPageOf(w, r, id)
}

func (h *Handlers) runPageOf(w http.ResponseWriter, r *http.Request, id string) (templates.RunPage, error) {
	after, err := h.lastEvent(r, id)
	if err != nil {
		return templates.RunPage{}, err
	}
	report, err := h.Runs.Get(r.Context(), id, h.actor(r))
	if err != nil {
		return templates.RunPage{}, err
	}
	p := h.page(w, r)
	p.Path = "/runs/" + id
	page := templates.NewRunPage(p, catalogue.Render(report, p.Lang))
	page.After = after
	page.Preview = previewOf(report, p.Lang)
	if !byPerson(r) { // what draws previews without looking for og:title
		page.Title = page.PreviewTitle()
	}
	page.Link = h.absolute(r, "/runs/"+id)
	if page.Trace, err = h.attachedIn(r, id, p.Lang); err != nil {
		return page, err
	}
	if page.Rights, err = h.pageRights(r.Context(), id, h.actor(r)); err == nil {
		page.Share = h.pageShare(r, id, page.Rights)
		page.History = h.pageHistory(r, id, page.Rights, p.Lang)
		page.Request = h.requestOfRun(r, page)
	}
	return page, err
}

func (h *Handlers) pageRights(ctx context.Context, id string, by Actor) (templates.Rights, error) {
	rights, err := h.Runs.Rights(ctx, id, by)
	if h.SignIn != nil && !by.Person.SignedIn() && rights.Request == "" { // to start something takes somebody, or somebody's link
		rights.Rerun, rights.Missing = false, nil
	}
	return templates.Rights{Owner: rights.Owner, Cancel: rights.Cancel, Delete: rights.Delete, Rerun: rights.Rerun,
		Missing: rights.Missing, Helper: rights.Helper, Request: rights.Request}, err
}

// lastEvent is the number of an event that the report, read afterwards, is sure to hold: the stream goes on after it. Events
// that the report holds beyond it come again, and place themselves where they are already.
func (h *Handlers) lastEvent(r *http.Request, id string) (int, error) {
	viewer, err := h.Runs.Watch(r.Context(), id, h.actor(r), 0)
	var crowd *TooManyViewers
	if errors.As(err, &crowd) {
		return 0, nil // the page can be read all the same
	}
	if err != nil {
		return 0, err
	}
	defer viewer.Stop()
	ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
	defer cancel()
	events, err := viewer.Next(ctx)
	if err != nil || len(events) == 0 {
		return 0, nil // nothing has happened yet
	}
	return events[len(events)-1].Seq, nil
}

func (h *Handlers) handlePageCancel(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if err := h.Runs.Cancel(r.Context(), id, h.actor(r)); err != nil {
		return err
	}
	http.Redirect(w, r, "/runs/"+id, http.StatusSeeOther)
	return nil
}

func (h *Handlers) handlePageDelete(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if err := h.Runs.Delete(r.Context(), id, h.actor(r)); err != nil {
		return err
	}
	http.Redirect(w, r, "/?deleted", http.StatusSeeOther)
	return nil
}

// handlePageRerun runs the same again, with a suggestion or with secrets typed anew, and shows the report again where
// something is missing.
func (h *Handlers) handlePageRerun(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	v, err := formValues(w, r)
	if err != nil {
		return err
	}
	started, err := h.Runs.Rerun(r.Context(), id, h.browserActor(w, r), h.rerunOptions(r, v))
	if err == nil {
		http.Redirect(w, r, "/runs/"+started.ID, http.StatusSeeOther)
		return nil
	}
	return h.showRefusedRerun(w, r, id, err)
}

// rerunOptions are what a form says of a rerun.
func (h *Handlers) rerunOptions(r *http.Request, v url.Values) RerunOptions {
	f := &typedForm{errs: map[string]string{}}
	f.fill(v)
	return RerunOptions{Apply: diag.Code(v.Get("apply")), Only: diag.ProbeID(v.Get("only")), Lang: string(h.lang(r, "")),
		Secrets: diag.TargetInput{Username: f.run.Target.Username, Password: f.run.Target.Password,
			TLS: diag.TLSInput{CertPEM: f.run.Target.TLS.CertPEM, KeyPEM: f.run.Target.TLS.KeyPEM},
			WS:  diag.WSInput{Query: f.run.Target.WS.Query, Headers: f.run.Target.WS.Headers}}}
}

// showRefusedRerun shows the report with the reason why it was not repeated.
func (h *Handlers) showRefusedRerun(w http.ResponseWriter, r *http.Request, id string, err error) error {
	p := problem(err, h.lang(r, ""))
	if p.Status != http.StatusBadRequest && p.Status != http.StatusTooManyRequests {
		return err
	}
	page, pageErr := h.runPageOf(w, r, id)
	if pageErr != nil {
		return pageErr
	}
	page.Problem, page.Fields = p.Message, p.Fields
	setRetryAfter(w, p)
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, p.Status, templates.Run(page))
}

// export is the report of the moment in the reader's language.
func (h *Handlers) export(w http.ResponseWriter, r *http.Request, ending string) (templates.RunPage, error) {
	id, err := runID(r)
	if err != nil {
		return templates.RunPage{}, err
	}
	report, err := h.Runs.Get(r.Context(), id, h.actor(r))
	if err != nil {
		return templates.RunPage{}, err
	}
	head := w.Header()
	head.Set("X-Robots-Tag", "noindex, nofollow")
	head.Set("Cache-Control", "no-store")
	head.Set("Content-Disposition", `attachment; filename="mqttdoctor-`+id+ending+`"`)
	p := templates.Page{Lang: h.lang(r, ""), Standalone: true, Version: h.Version}
	page := templates.NewRunPage(p, catalogue.Render(report, p.Lang))
	page.Link = h.absolute(r, "/runs/"+id)
	page.Trace, err = h.attachedIn(r, id, p.Lang)
	return page, err
}

func (h *Handlers) handleExportMarkdown(w http.ResponseWriter, r *http.Request) error {
	page, err := h.export(w, r, ".md")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	_, _ = w.Write([]byte(page.Markdown())) // the client has gone
	return nil
}

// fileStyles are the style sheets that a report carries as a file, and their hash for its Content-Security-Policy.
var fileStyles, fileStylesHash = func() (string, string) {
	css := static.Sheet()
	sum := sha256.Sum256([]byte(css))
	return css, "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

func (h *Handlers) handleExportHTML(w http.ResponseWriter, r *http.Request) error {
	page, err := h.export(w, r, ".html")
	if err != nil {
		return err
	}
	policy := "default-src 'none'; style-src " + fileStylesHash + "; base-uri 'none'; form-action 'none'"
	w.Header().Set("Content-Security-Policy", policy+"; frame-ancestors 'none'")
	return h.show(w, r, http.StatusOK, templates.RunFile(page, fileStyles, static.MustRead("icons/sprite.svg"), policy))
}
