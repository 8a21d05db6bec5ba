package handlers

import (
	_ "embed"
	"net/http"
)

//go:embed openapi.json
var openAPI []byte

// handleOpenAPI is the interface's description, for people and generators.
func (h *Handlers) handleOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(openAPI)
	return nil
}
