package handlers

import (
	"net/http"
	"slices"

	"mqttdoctor/diag/catalogue"
)

// handleChain is the certificate chain that the broker served, as it came, in PEM (RFC 7468): to be looked at with other tools,
// and the source of a CA file once its fingerprint was compared. Without ?step= it is the first one of the run.
func (h *Handlers) handleChain(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	report, err := h.Runs.Get(r.Context(), id, h.actor(r))
	if err != nil {
		return err
	}
	wanted := r.URL.Query().Get("step")
	steps := catalogue.Render(report, h.lang(r, "")).Steps
	i := slices.IndexFunc(steps, func(s catalogue.StepView) bool {
		return len(s.Certificates) > 0 && (wanted == "" || s.ID == wanted)
	})
	if i < 0 {
		return errNoRoute
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Disposition", `attachment; filename="mqttdoctor-`+id+`-chain.pem"`)
	for _, c := range steps[i].Certificates {
		_, _ = w.Write([]byte(c.PEM)) // the client has gone
	}
	return nil
}
