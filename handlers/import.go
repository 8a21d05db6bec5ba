package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/trace"
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
	Trace *trace.Attached `json:"trace,omitempty"` // what was attached from the console
	Raw   diag.Report     `json:"raw"`
}

// readImport reads an exported report. Nothing in it is trusted: it is shown, and marked as made elsewhere.
func readImport(body io.Reader) (importedFile, error) {
	refuse := func(code string) (importedFile, error) {
		return importedFile{}, &badRequest{status: http.StatusBadRequest, code: code, fields: diag.FieldErrors{"body": diag.N("api." + code)}}
	}
	data, err := io.ReadAll(body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		limit := strconv.Itoa(maxImport)
		return importedFile{}, &badRequest{status: http.StatusBadRequest, code: "body_too_large", args: diag.Args{"limit": limit},
			fields: diag.FieldErrors{"body": diag.N("api.body_too_large", "limit", limit)}}
	}
	if err != nil {
		return refuse("body_unreadable")
	}
	var file struct {
		Schema string          `json:"schema"`
		Raw    *diag.Report    `json:"raw"`
		Trace  *trace.Attached `json:"trace"`
	}
	if err := json.Unmarshal(data, &file); err != nil || file.Schema != diag.Schema || file.Raw == nil || file.Raw.Schema != diag.Schema {
		return refuse("no_report")
	}
	r := *file.Raw
	if r.State == diag.StateRunning || r.State == "" || r.CreatedAt.IsZero() || len(r.Steps) > maxImportSteps || len(r.Findings) > maxImportSteps {
		return refuse("no_report")
	}
	target, err := r.Target.Received()
	if err != nil || !sayable(r) {
		return refuse("no_report")
	}
	r.Target = target
	in := importedFile{report: r}
	if t := file.Trace; t != nil {
		kept, err := attachable(traceInput{Schema: t.Schema, Target: map[string]any{"url": t.Target}, Lost: t.Lost, Packets: t.Packets}, t.Payloads)
		if err != nil {
			return importedFile{}, err
		}
		in.trace = &kept
	}
	return in, nil
}

// sayable tells whether how things ended is said in words that there are.
func sayable(r diag.Report) bool {
	for _, s := range r.Steps {
		switch s.Status {
		case diag.StatusPassed, diag.StatusWarned, diag.StatusFailed, diag.StatusSkipped, diag.StatusCanceled:
		default:
			return false
		}
	}
	switch r.State {
	case diag.StateFinished, diag.StateCanceled, diag.StateInterrupted:
	default:
		return false
	}
	return slices.Contains(diag.Overalls, r.Verdict)
}

// importedFile is a report that came as a file, and the trace that was attached to it; nil: none.
type importedFile struct {
	report diag.Report
	trace  *trace.Attached
}

// keepImport makes a run of it.
func (h *Handlers) keepImport(r *http.Request, by Actor, in importedFile) (Started, error) {
	started, err := h.Runs.Import(r.Context(), by, in.report)
	if err != nil || in.trace == nil {
		return started, err
	}
	maker := Actor{Token: started.DeleteToken}
	_, err = h.Runs.Attach(r.Context(), started.ID, maker, func() (trace.Attached, error) { return *in.trace, nil })
	if err != nil {
		_ = h.Runs.Delete(context.WithoutCancel(r.Context()), started.ID, maker) // half a report helps nobody
	}
	return started, err
}

func (h *Handlers) handleImport(w http.ResponseWriter, r *http.Request) error {
	in, err := readImport(http.MaxBytesReader(w, r.Body, maxImport))
	if err != nil {
		return err
	}
	started, err := h.keepImport(r, h.owningActor(w, r), in)
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
	in, err := importedFile{}, error(&badRequest{status: http.StatusBadRequest, code: "no_file"})
	if file, _, fileErr := r.FormFile("report"); fileErr == nil {
		defer file.Close()
		defer func() { _ = r.MultipartForm.RemoveAll() }()
		in, err = readImport(file)
	} else if !errors.Is(fileErr, http.ErrMissingFile) {
		err = &badRequest{status: http.StatusBadRequest, code: "no_report"}
	}
	if err == nil {
		var started Started
		if started, err = h.keepImport(r, h.browserActor(w, r), in); err == nil {
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
