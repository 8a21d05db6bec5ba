package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/trace"
)

// maxTraceBody bounds a trace that is attached: as many packets as a report keeps, with words, several times over.
const maxTraceBody = 4 << 20

// traceInput is the body of PUT trace: an exported trace as it is.
type traceInput struct {
	Schema     string         `json:"schema"`
	Version    string         `json:"version"`
	ExportedAt time.Time      `json:"exported_at"`
	Target     map[string]any `json:"target"`
	Lost       uint64         `json:"lost"`
	Packets    []trace.Frame  `json:"packets"`
}

// attachedAnswer is the body of the answer to it.
type attachedAnswer struct {
	URL     string `json:"url"`
	Packets int    `json:"packets"`
	Lost    uint64 `json:"lost"`
}

// handleAttach keeps a trace with a report. Payloads are kept with ?payloads=1 alone.
func (h *Handlers) handleAttach(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	kept, err := h.Runs.Attach(r.Context(), id, h.actor(r), func() (trace.Attached, error) {
		var in traceInput
		if err := readJSONOf(w, r, &in, false, maxTraceBody); err != nil {
			return trace.Attached{}, err
		}
		return attachable(in, r.URL.Query().Get("payloads") == "1")
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, attachedAnswer{URL: h.absolute(r, "/runs/"+id) + "#trace", Packets: len(kept.Packets), Lost: kept.Lost})
	return nil
}

// attachable makes of what came what is kept.
func attachable(in traceInput, payloads bool) (trace.Attached, error) {
	if in.Schema != trace.Schema || len(in.Packets) == 0 {
		return trace.Attached{}, &badRequest{status: http.StatusBadRequest, code: "not_a_trace",
			fields: diag.FieldErrors{"body": diag.N("api.not_a_trace")}}
	}
	t, err := trace.Attach(in.Packets, in.Lost, payloads, catalogue.Has)
	if err != nil {
		return t, err
	}
	if address, ok := in.Target["url"].(string); ok {
		t.Target = bareURL(address)
	}
	return t, nil
}

var schemes = []diag.Scheme{diag.SchemeMQTT, diag.SchemeMQTTS, diag.SchemeWS, diag.SchemeWSS}

// bareURL is scheme, host and path of a target's URL; empty: it is none.
func bareURL(address string) string {
	const most = 512
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || len(address) > most || !slices.Contains(schemes, diag.Scheme(u.Scheme)) {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// attachedIn is the trace of a run in a language; nil: none is attached.
func (h *Handlers) attachedIn(r *http.Request, id string, lang catalogue.Lang) (*trace.Attached, error) {
	kept, err := h.Runs.Attached(r.Context(), id, h.actor(r))
	if errors.Is(err, ErrNoAttached) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	worded := kept.In(func(n diag.Note) string { return catalogue.Text(n, lang) })
	return &worded, nil
}

func (h *Handlers) handleAttached(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	kept, err := h.attachedIn(r, id, h.apiLang(r, ""))
	if err == nil && kept == nil {
		err = ErrNoAttached
	}
	if err != nil {
		return err
	}
	if r.URL.Query().Has("download") {
		w.Header().Set("Content-Disposition", `attachment; filename="mqttdoctor-trace.json"`)
	}
	writeJSON(w, http.StatusOK, kept)
	return nil
}

func (h *Handlers) handleDetach(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if err := h.Runs.Detach(r.Context(), id, h.actor(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// handlePageDetach is the button of the run page.
func (h *Handlers) handlePageDetach(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if err := h.Runs.Detach(r.Context(), id, h.actor(r)); err != nil && !errors.Is(err, ErrNoAttached) {
		return err
	}
	http.Redirect(w, r, "/runs/"+id, http.StatusSeeOther)
	return nil
}
