package handlers

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/templates"
)

// Bounds of a report that comes as a file: ten times what a deep run of a large cluster yields.
const (
	maxImport      = 8 << 20
	maxImportSteps = 5000
)

// exportedReport is a report as a file: in the reader's language, and as it is kept, so that another server can read it again.
type exportedReport struct {
	catalogue.ReportView
	Raw diag.Report `json:"raw"`
}

// readImport reads an exported report. Nothing in it is trusted: it is shown, and marked as made elsewhere.
func readImport(body io.Reader) (diag.Report, error) {
	refuse := func(code string) (diag.Report, error) {
		return diag.Report{}, &badRequest{status: http.StatusBadRequest, code: code, fields: diag.FieldErrors{"body": diag.N("api." + code)}}
	}
	data, err := io.ReadAll(body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		limit := strconv.Itoa(maxImport)
		return diag.Report{}, &badRequest{status: http.StatusBadRequest, code: "body_too_large", args: diag.Args{"limit": limit},
			fields: diag.FieldErrors{"body": diag.N("api.body_too_large", "limit", limit)}}
	}
	if err != nil {
		return refuse("body_unreadable")
	}
	var file struct {
		Schema string       `json:"schema"`
		Raw    *diag.Report `json:"raw"`
	}
	if err := json.Unmarshal(data, &file); err != nil || file.Schema != diag.Schema || file.Raw == nil || file.Raw.Schema != diag.Schema {
		return refuse("no_report")
	}
	r := *file.Raw
	if r.State == diag.StateRunning || r.State == "" || r.CreatedAt.IsZero() || len(r.Steps) > maxImportSteps || len(r.Findings) > maxImportSteps {
		return refuse("no_report")
	}
	if _, err := diag.ParseTarget(diag.TargetInput{URL: r.Target.URL}); err != nil {
		return refuse("no_report")
	}
	return r, nil
}

func (h *Handlers) handleImport(w http.ResponseWriter, r *http.Request) error {
	report, err := readImport(http.MaxBytesReader(w, r.Body, maxImport))
	if err != nil {
		return err
	}
	started, err := h.Runs.Import(r.Context(), h.owningActor(w, r), report)
	if err != nil {
		return err
	}
	page := h.absolute(r, "/runs/"+started.ID)
	w.Header().Set("Location", page)
	writeJSON(w, http.StatusCreated, startedAnswer{ID: started.ID, URL: page,
		StreamURL: h.absoluteWS(r, apiPrefix+"/runs/"+started.ID+"/stream"), DeleteToken: started.DeleteToken})
	return nil
}

func (h *Handlers) handleImportPage(w http.ResponseWriter, r *http.Request) error {
	return h.show(w, r, http.StatusOK, templates.Import(templates.NewImportPage(h.page(w, r), "")))
}

// handleImportForm takes the file of the page's form.
func (h *Handlers) handleImportForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxImport+4<<10)
	report, err := diag.Report{}, error(&badRequest{status: http.StatusBadRequest, code: "no_report"})
	if file, _, fileErr := r.FormFile("report"); fileErr == nil {
		defer file.Close()
		defer func() { _ = r.MultipartForm.RemoveAll() }()
		report, err = readImport(file)
	}
	if err == nil {
		var started Started
		if started, err = h.Runs.Import(r.Context(), h.browserActor(w, r), report); err == nil {
			http.Redirect(w, r, "/runs/"+started.ID, http.StatusSeeOther)
			return nil
		}
	}
	p := problem(err, h.lang(r, ""))
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, ErrStopping) {
		return err
	}
	setRetryAfter(w, p)
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, p.Status, templates.Import(templates.NewImportPage(h.page(w, r), p.Message)))
}
