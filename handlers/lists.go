package handlers

import (
	"net/http"

	"mqttdoctor/diag/catalogue"
)

func (h *Handlers) handleChecks(w http.ResponseWriter, r *http.Request) error {
	lang := h.lang(r, "")
	writeJSON(w, http.StatusOK, map[string]any{"checks": catalogue.Checks(h.Probes, lang), "lang": lang})
	return nil
}

func (h *Handlers) handleCauses(w http.ResponseWriter, r *http.Request) error {
	lang := h.lang(r, "")
	writeJSON(w, http.StatusOK, map[string]any{"causes": catalogue.Causes(lang), "lang": lang})
	return nil
}
