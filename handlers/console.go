package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag"
	"mqttdoctor/diag/relay"
)

// consoleInput is the body of POST console.
type consoleInput struct {
	Target diag.TargetInput `json:"target"`
	Trace  *bool            `json:"trace,omitempty"`
}

// consoleAnswer is the body of 201.
type consoleAnswer struct {
	ID          string    `json:"id"`
	RelayURL    string    `json:"relay_url"`
	TraceURL    string    `json:"trace_url"`
	ExpiresAt   time.Time `json:"expires_at"`
	IdleS       int       `json:"idle_s"`
	DeleteToken string    `json:"delete_token"`
}

func (h *Handlers) handleOpenConsole(w http.ResponseWriter, r *http.Request) error {
	var in consoleInput
	if err := readJSON(w, r, &in, false); err != nil {
		return err
	}
	opened, err := h.Consoles.Open(r.Context(), h.actor(r), ConsoleOptions{Target: in.Target, Trace: in.Trace == nil || *in.Trace})
	if err != nil {
		return err
	}
	at := apiPrefix + "/console/" + opened.ID
	w.Header().Set("Location", h.absolute(r, at))
	writeJSON(w, http.StatusCreated, consoleAnswer{ID: opened.ID, RelayURL: h.absoluteWS(r, at+"/mqtt"), TraceURL: h.absoluteWS(r, at+"/trace"),
		ExpiresAt: opened.ExpiresAt, IdleS: int(opened.Idle / time.Second), DeleteToken: opened.DeleteToken})
	return nil
}

func (h *Handlers) handleEndConsole(w http.ResponseWriter, r *http.Request) error {
	id, err := consoleID(r)
	if err != nil {
		return err
	}
	if err := h.Consoles.End(r.Context(), id, h.actor(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// handleRelay is the MQTT-over-WebSocket endpoint of a console. The id is all that a client needs: MQTT libraries send
// neither cookies nor tokens. A page of another origin is refused all the same, by the header that it cannot change.
func (h *Handlers) handleRelay(w http.ResponseWriter, r *http.Request) error {
	if !h.sameOrigin(r) {
		return ErrCrossOrigin
	}
	id, unknown := consoleID(r)
	client, err := relay.Accept(w, r)
	switch {
	case errors.Is(err, relay.ErrNoUpgrade):
		if unknown != nil {
			return unknown
		}
		return upgradeRequired(w)
	case errors.Is(err, relay.ErrBadUpgrade):
		return &badRequest{status: http.StatusBadRequest, code: "bad_upgrade"}
	case err != nil:
		return nil //nolint:nilerr // the connection is gone
	}
	// A console that is not there is said by a close code: a browser learns nothing from a refused upgrade.
	h.Consoles.Relay(id, client)
	return nil
}

// upgradeRequired answers a request that should have asked for a websocket.
func upgradeRequired(w http.ResponseWriter) error {
	w.Header().Set("Upgrade", "websocket") // RFC 9110 15.5.22
	w.Header().Set("Connection", "Upgrade")
	return &badRequest{status: http.StatusUpgradeRequired, code: "websocket_only"}
}

// consoleID takes the id from the path; one that cannot be an id is not found without asking anyone.
func consoleID(r *http.Request) (string, error) {
	id := chi.URLParam(r, "id")
	if !idPattern.MatchString(id) {
		return "", ErrNoConsole
	}
	return id, nil
}
