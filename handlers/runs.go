package handlers

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// startedAnswer is the body of 202.
type startedAnswer struct {
	ID          string `json:"id"`
	URL         string `json:"url"`
	StreamURL   string `json:"stream_url"`
	DeleteToken string `json:"delete_token"`
}

// rerunBody is the body of POST rerun, which may be left out: secrets are given again where they are gone, and a
// suggestion of the report can be taken over.
type rerunBody struct {
	Apply  string       `json:"apply"`
	Only   string       `json:"only"`
	Lang   string       `json:"lang"`
	Target rerunSecrets `json:"target"`
}

type rerunSecrets struct {
	Username string      `json:"username"`
	Password diag.Secret `json:"password"`
	TLS      struct {
		CertPEM string      `json:"cert_pem"`
		KeyPEM  diag.Secret `json:"key_pem"`
	} `json:"tls"`
	WS struct {
		Query   diag.Secret            `json:"query"`
		Headers map[string]diag.Secret `json:"headers"`
	} `json:"ws"`
}

func (h *Handlers) handleStart(w http.ResponseWriter, r *http.Request) error {
	var in diag.RunInput
	if err := readJSON(w, r, &in, false); err != nil {
		return err
	}
	lang, err := h.inputLang(r, in.Lang)
	if err != nil {
		return err
	}
	in.Lang = lang
	started, err := h.Runs.Start(r.Context(), h.owningActor(w, r), in)
	if err != nil {
		return err
	}
	h.answerStarted(w, r, started)
	return nil
}

func (h *Handlers) answerStarted(w http.ResponseWriter, r *http.Request, s Started) {
	page := h.absolute(r, "/runs/"+s.ID)
	w.Header().Set("Location", page)
	writeJSON(w, http.StatusAccepted, startedAnswer{ID: s.ID, URL: page,
		StreamURL: h.absoluteWS(r, apiPrefix+"/runs/"+s.ID+"/stream"), DeleteToken: s.DeleteToken})
}

func (h *Handlers) handleReport(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	report, err := h.Runs.Get(r.Context(), id, h.actor(r))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, catalogue.Render(report, h.apiLang(r, report.Lang)))
	return nil
}

// handleExportJSON is the report as a file to keep.
func (h *Handlers) handleExportJSON(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	report, err := h.Runs.Get(r.Context(), id, h.actor(r))
	if err != nil {
		return err
	}
	lang := h.lang(r, report.Lang)
	attached, err := h.attachedIn(r, id, lang)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Disposition", `attachment; filename="mqttdoctor-`+id+`.json"`)
	writeJSON(w, http.StatusOK, exportedReport{catalogue.Render(report, lang), attached, report})
	return nil
}

func (h *Handlers) handleDelete(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if err := h.Runs.Delete(r.Context(), id, h.actor(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handlers) handleCancel(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if err := h.Runs.Cancel(r.Context(), id, h.actor(r)); err != nil {
		return err
	}
	report, err := h.Runs.Get(r.Context(), id, h.actor(r))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, map[string]any{"id": id, "state": report.State})
	return nil
}

func (h *Handlers) handleRerun(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	var in rerunBody
	if err := readJSON(w, r, &in, true); err != nil {
		return err
	}
	with := RerunOptions{Apply: diag.Code(in.Apply), Only: diag.ProbeID(in.Only), Secrets: diag.TargetInput{Username: in.Target.Username, Password: in.Target.Password,
		TLS: diag.TLSInput{CertPEM: in.Target.TLS.CertPEM, KeyPEM: in.Target.TLS.KeyPEM}, WS: diag.WSInput{Query: in.Target.WS.Query, Headers: in.Target.WS.Headers}}}
	if in.Lang != "" {
		if with.Lang, err = h.inputLang(r, in.Lang); err != nil {
			return err
		}
	}
	started, err := h.Runs.Rerun(r.Context(), id, h.owningActor(w, r), with)
	if err != nil {
		return err
	}
	h.answerStarted(w, r, started)
	return nil
}

var idPattern = regexp.MustCompile(`^[a-z2-7]{34}$`)

// runID takes the id from the path; one that cannot be an id is not found without asking anyone.
func runID(r *http.Request) (string, error) {
	id := chi.URLParam(r, "id")
	if !idPattern.MatchString(id) {
		return "", ErrNotFound
	}
	return id, nil
}

// afterParam is the number of the last event that a viewer has seen; 0: none.
func afterParam(r *http.Request) (int, error) {
	q := r.URL.Query().Get("after")
	if q == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(q)
	if err != nil || n < 0 {
		return 0, &badRequest{status: http.StatusBadRequest, code: "invalid_after_number",
			fields: diag.FieldErrors{"after": diag.N("api.wrong_type", "value", "integer")}}
	}
	return n, nil
}

// absolute is the address under which people reach a path of this server: that of --public-url, else of the request,
// whose Host header web has checked.
func (h *Handlers) absolute(r *http.Request, path string) string {
	return h.base(r).JoinPath(path).String()
}

// absoluteWS is the same with ws or wss.
func (h *Handlers) absoluteWS(r *http.Request, path string) string {
	u := h.base(r).JoinPath(path)
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	return u.String()
}

func (h *Handlers) base(r *http.Request) *url.URL {
	if h.PublicURL != nil {
		return h.PublicURL
	}
	u := &url.URL{Scheme: "http", Host: r.Host}
	if h.Secure(r) {
		u.Scheme = "https"
	}
	return u
}
