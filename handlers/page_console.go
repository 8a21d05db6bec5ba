package handlers

import (
	"errors"
	"net/http"

	"mqttdoctor/diag"
	"mqttdoctor/templates"
)

// handleConsole shows the MQTT client: empty, with the target of a report (?run=), or with an address (?url=).
func (h *Handlers) handleConsole(w http.ResponseWriter, r *http.Request) error {
	page := templates.ConsolePage{Page: h.page(w, r)}
	page.Title = page.T("console.title")
	q := r.URL.Query()
	switch run := q.Get("run"); {
	case idPattern.MatchString(run):
		report, err := h.Runs.Get(r.Context(), run, h.actor(r))
		if err == nil {
			page.Form, page.Run = templates.FormOf(openTarget(report), report.Plan), run
			page.Query.Set("run", run)
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	case q.Get("url") != "":
		address, user, _ := diag.SplitUserInfo(q.Get("url"))
		page.Form.Values = map[string]string{"target.url": address, "target.username": user, "target.clean_start": "on"}
	}
	return h.show(w, r, http.StatusOK, templates.Console(page))
}
