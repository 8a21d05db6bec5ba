package handlers

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// handleHealth says that the process answers. It asks nothing else: a restart repairs no broken disk.
func (h *Handlers) handleHealth(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]any{"status": "ok", "version": h.Version})
	return nil
}

// handleMetrics answers whoever may scrape.
func (h *Handlers) handleMetrics(w http.ResponseWriter, r *http.Request) error {
	if h.MayMeter != nil {
		if err := h.MayMeter(r); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	h.Metrics.ServeHTTP(w, r)
	return nil
}

// handleReady says whether this server should get work: not while it stops, nor while its archive does not answer.
func (h *Handlers) handleReady(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second) // under the usual 3 s of a balancer's check
	defer cancel()
	if h.Health != nil {
		if err := h.Health.Ready(ctx); err != nil {
			if errors.Is(err, ErrStopping) {
				return err
			}
			h.Log.Error("not ready", "err", err)
			return &badRequest{status: http.StatusServiceUnavailable, code: "not_ready"}
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]any{"status": "ready", "version": h.Version})
	return nil
}
