package handlers

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

// RegisterPages adds the pages.
func (h *Handlers) RegisterPages(r chi.Router) {}

// errorPage shows an error to a person: status, one sentence in the reader's language, and what was wrong per field.
func (h *Handlers) errorPage(w http.ResponseWriter, r *http.Request, p Problem) {
	http.Error(w, p.Message, p.Status)
}
