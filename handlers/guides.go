package handlers

import (
	"errors"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/templates"
)

// handleGuides lists the guides.
func (h *Handlers) handleGuides(w http.ResponseWriter, r *http.Request) error {
	return h.show(w, r, http.StatusOK, templates.Guide(templates.NewGuidePage(h.page(w, r), catalogue.GuideView{})))
}

// handleGuide shows a symptom's guide, filled in for the target of a report (?from=) or for an address (?url=).
func (h *Handlers) handleGuide(w http.ResponseWriter, r *http.Request) error {
	symptom := diag.Symptom(chi.URLParam(r, "symptom"))
	if !slices.Contains(diag.Symptoms, symptom) {
		return errNoRoute
	}
	p := h.page(w, r)
	var target diag.TargetInput
	var known, source, wrong string
	q := r.URL.Query()
	switch from := q.Get("from"); {
	case idPattern.MatchString(from):
		report, err := h.Runs.Get(r.Context(), from, h.actor(r))
		if err == nil {
			target, source = openTarget(report), from
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	case q.Get("url") != "":
		address, user, _ := diag.SplitUserInfo(q.Get("url"))
		parsed, err := diag.ParseTarget(diag.TargetInput{URL: address, Username: user})
		var fields diag.FieldErrors
		switch {
		case errors.As(err, &fields):
			known, wrong = clipTo(address, 300), catalogue.FieldErrors(fields, p.Lang)["target.url"]
		case err != nil:
			return err
		default:
			target = parsed.Public()
		}
	}
	if target.URL != "" {
		known = target.URL
	}
	page := templates.NewGuidePage(p, catalogue.Guide(symptom, target, p.Lang))
	page.URL, page.From, page.Problem = known, source, wrong
	return h.show(w, r, http.StatusOK, templates.Guide(page))
}
