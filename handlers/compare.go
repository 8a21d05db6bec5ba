package handlers

import (
	"errors"
	"net/http"
	"regexp"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/templates"
)

// idInLink finds the id in what people paste: a link to a report of any kind, or the id alone.
var idInLink = regexp.MustCompile(`(?:^|/runs/)([a-z2-7]{34})(?:$|[./?#])`)

// handleCompare sets two reports side by side (?a=, ?b=), the earlier first.
func (h *Handlers) handleCompare(w http.ResponseWriter, r *http.Request) error {
	p := h.page(w, r)
	p.Title, p.NoIndex = p.T("compare.title"), true
	q := r.URL.Query()
	page := templates.ComparePage{A: clipTo(q.Get("a"), 300), B: clipTo(q.Get("b"), 300), Errors: map[string]string{}}
	var reports []diag.Report
	for name, typed := range map[string]string{"a": page.A, "b": page.B} {
		if typed == "" {
			continue
		}
		report, wrong, err := h.linked(r, typed)
		switch {
		case err != nil:
			return err
		case wrong != "":
			page.Errors[name] = wrong
		default:
			reports = append(reports, report)
		}
	}
	if len(reports) == 2 {
		was, is := inOrder(reports[0], reports[1])
		before, after := catalogue.Render(was, p.Lang), catalogue.Render(is, p.Lang)
		page.Before, page.After = &before, &after
		page.Changes = catalogue.RenderComparison(was, is, p.Lang)
		page.Sides = catalogue.RenderSides(was, is, p.Lang)
	}
	for _, name := range []string{"a", "b"} { // kept when the language changes
		if m := idInLink.FindStringSubmatch(q.Get(name)); m != nil {
			p.Query.Set(name, m[1])
		}
	}
	page.Page = p
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, http.StatusOK, templates.Compare(page))
}

// linked finds the report of a pasted link; wrong says what is wrong with it: link (it is none), gone.
func (h *Handlers) linked(r *http.Request, typed string) (report diag.Report, wrong string, err error) {
	m := idInLink.FindStringSubmatch(typed)
	if m == nil {
		return diag.Report{}, "link", nil
	}
	report, err = h.Runs.Get(r.Context(), m[1], h.actor(r))
	if errors.Is(err, ErrNotFound) {
		return diag.Report{}, "gone", nil
	}
	return report, "", err
}
