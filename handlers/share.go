package handlers

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/templates"
)

// shareAnswer is what a link shows, for its owner.
type shareAnswer struct {
	Hide        []diag.Hide `json:"hide"`
	PreviewHost bool        `json:"preview_host"`
	ExpiresAt   time.Time   `json:"expires_at"`
	Views       int         `json:"views"`
	ViewedAt    *time.Time  `json:"viewed_at"` // null: never
}

// shareBody is the body of PUT share; what is left out stays.
type shareBody struct {
	Hide        *[]string `json:"hide"`
	PreviewHost *bool     `json:"preview_host"`
	KeepDays    *int      `json:"keep_days"`
}

func (h *Handlers) handleShare(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	return h.answerShare(w, r, id)
}

func (h *Handlers) answerShare(w http.ResponseWriter, r *http.Request, id string) error {
	share, err := h.Runs.Share(r.Context(), id, h.actor(r))
	if err != nil {
		return err
	}
	a := shareAnswer{Hide: share.Hide, PreviewHost: share.PreviewHost, ExpiresAt: share.ExpiresAt, Views: share.Views}
	if a.Hide == nil {
		a.Hide = []diag.Hide{}
	}
	if !share.ViewedAt.IsZero() {
		a.ViewedAt = &share.ViewedAt
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}

func (h *Handlers) handleSetShare(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	var in shareBody
	if err := readJSON(w, r, &in, false); err != nil {
		return err
	}
	change := ShareChange{PreviewHost: in.PreviewHost}
	if in.Hide != nil {
		hide, ok := diag.ParseHides(*in.Hide)
		if !ok {
			return diag.FieldErrors{"hide": diag.N("api.hide")}
		}
		change.Hide = &hide
	}
	if in.KeepDays != nil {
		if change.Keep = days(*in.KeepDays); change.Keep <= 0 {
			return diag.FieldErrors{"keep_days": diag.N("api.keep_days")}
		}
	}
	if err := h.Runs.SetShare(r.Context(), id, h.actor(r), change); err != nil {
		return err
	}
	return h.answerShare(w, r, id)
}

// days is how long an owner may keep a report; 0: not so long.
func days(n int) time.Duration {
	if n < 1 || n > int(LongestShare/(24*time.Hour)) {
		return 0
	}
	return time.Duration(n) * 24 * time.Hour
}

// handlePageShare takes the form of the report's page. A box that is ticked shows.
func (h *Handlers) handlePageShare(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	v, err := formValues(w, r)
	if err != nil {
		return err
	}
	hide := slices.DeleteFunc(slices.Clone(diag.Hides), func(what diag.Hide) bool { return slices.Contains(v["show"], string(what)) })
	preview := v.Get("preview") == "host"
	change := ShareChange{Hide: &hide, PreviewHost: &preview}
	if n, err := strconv.Atoi(v.Get("keep")); err == nil {
		change.Keep = days(n)
	}
	if err := h.Runs.SetShare(r.Context(), id, h.actor(r), change); err != nil {
		return err
	}
	http.Redirect(w, r, "/runs/"+id+"?shared#share", http.StatusSeeOther)
	return nil
}

// pageShare is what the owner sees of how a run is shared; nil: this is not the owner.
func (h *Handlers) pageShare(r *http.Request, id string, rights templates.Rights) *templates.Share {
	if !rights.Owner {
		return nil
	}
	share, err := h.Runs.Share(r.Context(), id, h.actor(r))
	if err != nil {
		return nil // the report is worth showing without
	}
	return &templates.Share{Hide: share.Hide, PreviewHost: share.PreviewHost, ExpiresAt: share.ExpiresAt, Views: share.Views, ViewedAt: share.ViewedAt,
		Saved: r.URL.Query().Has("shared")}
}

// openTarget is a report's target without what is hidden from this reader: to be filled in by himself.
func openTarget(r diag.Report) diag.TargetInput {
	t := r.Target
	for _, hidden := range r.Hidden {
		switch hidden {
		case diag.HideHost:
			t.URL, t.Nodes, t.BridgeURL, t.WS.Origin = "", nil, "", ""
			t.TLS.ServerName, t.TLS.CAPEM, t.TLS.CertPEM = "", "", ""
		case diag.HideUser:
			t.Username, t.TLS.CertPEM = "", ""
		case diag.HideTopics:
			t.Topics.Publish, t.Topics.Subscribe = "", nil
		}
	}
	return t
}
