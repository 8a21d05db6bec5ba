package handlers

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag"
	"mqttdoctor/diag/demo"
	"mqttdoctor/templates"
)

// handleHome shows the form: empty, or filled in from an earlier report (?from=), or with an address or symptom that a
// link brings (?url=, ?symptom=).
func (h *Handlers) handleHome(w http.ResponseWriter, r *http.Request) error {
	page := h.homePage(w, r, templates.Form{})
	list, _, err := h.mine(r, MineQuery{}, homeRuns)
	if err != nil {
		return err
	}
	page.Runs = historyLines(list, page.Lang)
	q := r.URL.Query()
	switch from := q.Get("from"); {
	case idPattern.MatchString(from):
		report, err := h.Runs.Get(r.Context(), from, h.actor(r))
		if err == nil {
			page.Form = templates.FormOf(openTarget(report), planOf(report))
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	case q.Get("url") != "" || q.Get("symptom") != "":
		address, user, _ := diag.SplitUserInfo(q.Get("url"))
		page.Form.Values = map[string]string{"target.clean_start": "on"}
		for name, value := range map[string]string{"target.url": address, "target.username": user, "plan.symptom": q.Get("symptom")} {
			if value != "" {
				page.Form.Values[name] = value
			}
		}
	}
	if q.Has("deleted") {
		page.Notice = page.T("home.deleted")
	}
	if q.Has("request_deleted") {
		page.Notice = page.T("help.deleted")
	}
	return h.show(w, r, http.StatusOK, templates.Home(page))
}

// planOf is a report's plan, with the durations that are kept beside it.
func planOf(r diag.Report) diag.PlanOptions {
	plan := r.Plan
	plan.Timeout = time.Duration(r.TimeoutS * float64(time.Second))
	plan.Watch = time.Duration(r.WatchS) * time.Second
	return plan
}

func (h *Handlers) homePage(w http.ResponseWriter, r *http.Request, f templates.Form) templates.HomePage {
	page := templates.HomePage{Page: h.page(w, r), Form: f}
	if h.Demo == nil {
		return page
	}
	// The list is known without the broker, which starts at the first click.
	for _, s := range demo.Scenarios {
		page.Demo = append(page.Demo, templates.DemoCard{ID: s.ID, Healthy: s.Cause == "",
			Title: say(diag.N("api.demo."+s.ID+".title"), page.Lang), Text: say(diag.N("api.demo."+s.ID+".text"), page.Lang)})
	}
	return page
}

// handleForm starts a run of what was typed and leads to its page, or shows the form again with what is wrong.
func (h *Handlers) handleForm(w http.ResponseWriter, r *http.Request) error {
	typed, err := readForm(w, r)
	if err != nil {
		return err
	}
	lang := h.lang(r, "")
	typed.run.Lang = string(lang)
	page := h.homePage(w, r, typed.form)
	err = typed.check(h.Probes)
	if err == nil {
		var started Started
		if started, err = h.Runs.Start(r.Context(), h.browserActor(w, r), typed.run); err == nil {
			http.Redirect(w, r, "/runs/"+started.ID, http.StatusSeeOther)
			return nil
		}
	}
	p := problem(err, lang)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, ErrStopping) {
		return err
	}
	page.Form.Errors = p.Fields
	if len(typed.errs) > 0 && page.Form.Errors == nil {
		page.Form.Errors = map[string]string{}
	}
	for field, key := range typed.errs {
		page.Form.Errors[field] = page.T(key)
	}
	if len(page.Form.Errors) == 0 {
		page.Form.Problem = p.Message
	}
	page.Title = page.N("form.problems", max(1, len(page.Form.Errors)))
	setRetryAfter(w, p)
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, p.Status, templates.Home(page))
}

// handleFormCheck says what is wrong with what was typed so far, without starting anything: the page asks whenever a field was
// left, without its secrets, and shows what concerns that field.
func (h *Handlers) handleFormCheck(w http.ResponseWriter, r *http.Request) error {
	typed, err := readForm(w, r)
	if err != nil {
		return err
	}
	page := h.page(w, r)
	form := templates.Form{Values: typed.form.Values, Errors: map[string]string{}}
	if err := typed.check(h.Probes); err != nil {
		p := problem(err, page.Lang)
		if p.Status >= http.StatusInternalServerError {
			return err
		}
		maps.Copy(form.Errors, p.Fields)
	}
	for field, key := range typed.errs {
		form.Errors[field] = page.T(key)
	}
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, http.StatusOK, templates.FieldErrors(page, form))
}

// setRetryAfter says when trying again may help.
func setRetryAfter(w http.ResponseWriter, p Problem) {
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
}

// handleDemoRun starts a run on the demo broker, which starts too where it does not run.
func (h *Handlers) handleDemoRun(w http.ResponseWriter, r *http.Request) error {
	if h.Demo == nil {
		return ErrNoDemo
	}
	scenarios, err := h.Demo.Scenarios(r.Context())
	if err != nil {
		return err
	}
	for _, s := range scenarios {
		if s.ID != chi.URLParam(r, "scenario") {
			continue
		}
		in := diag.RunInput{Target: s.Target, Lang: string(h.lang(r, ""))}
		started, err := h.Runs.Start(r.Context(), h.browserActor(w, r), in)
		if err != nil {
			return err
		}
		http.Redirect(w, r, "/runs/"+started.ID, http.StatusSeeOther)
		return nil
	}
	return errNoRoute
}

// check finds everything that is wrong at once: a form whose mistakes come one by one is a nuisance.
func (f *typedForm) check(probes []diag.Probe) error {
	errs := diag.FieldErrors{}
	ids := make([]diag.ProbeID, len(probes))
	for i, p := range probes {
		ids[i] = p.ID
	}
	_, ofTarget := diag.ParseTarget(f.run.Target)
	_, ofPlan := diag.ParsePlan(f.run.Plan, ids)
	for _, err := range []error{ofTarget, ofPlan} {
		var more diag.FieldErrors
		if errors.As(err, &more) {
			maps.Copy(errs, more)
		} else if err != nil {
			return err
		}
	}
	if len(errs) > 0 || len(f.errs) > 0 {
		return errs
	}
	return nil
}
