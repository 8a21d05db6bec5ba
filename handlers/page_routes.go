package handlers

import (
	"github.com/go-chi/chi/v5"
)

// RegisterPages adds the pages.
func (h *Handlers) RegisterPages(r chi.Router) {
	h.registerSignIn(r)
	h.registerAdmin(r)
	r.Group(func(r chi.Router) {
		r.Use(h.people)
		r.Get("/", h.wrap(h.handleHome))
		r.Get("/runs", h.wrap(h.handleRuns))
		r.Post("/runs", h.wrap(h.handleForm))
		r.Post("/form/check", h.wrap(h.handleFormCheck))
		r.Post("/demo/{scenario}", h.wrap(h.handleDemoRun))
		r.Post("/runs/{id}/rerun", h.wrap(h.handlePageRerun))
		r.Get("/import", h.wrap(h.handleImportPage))
		r.Post("/import", h.wrap(h.handleImportForm))
		r.Get("/requests", h.wrap(h.handleRequestsPage))
		r.Get("/requests/new", h.wrap(h.handleAskPage))
		r.Post("/requests/new", h.wrap(h.handleAskForm))
		r.Post("/requests", h.wrap(h.handleMakeRequest))
		r.Get("/console", h.wrap(h.handleConsole))
	})
	// For whoever has the link, and what holds nothing of anybody.
	r.Get("/runs/{id}", h.wrap(h.handleRunPage))
	r.Get("/runs/{id}.md", h.wrap(h.handleExportMarkdown))
	r.Get("/runs/{id}.html", h.wrap(h.handleExportHTML))
	r.Get("/runs/{id}/chain.pem", h.wrap(h.handleChain))
	r.Get("/runs/{id}/live", h.wrap(h.handleLive))
	r.Post("/runs/{id}/cancel", h.wrap(h.handlePageCancel))
	r.Post("/runs/{id}/share", h.wrap(h.handlePageShare))
	r.Post("/runs/{id}/delete", h.wrap(h.handlePageDelete))
	r.Post("/runs/{id}/trace/delete", h.wrap(h.handlePageDetach))
	r.Get("/requests/{id}", h.wrap(h.handleRequestPage))
	r.Get("/requests/{id}/live", h.wrap(h.handleRequestLive))
	r.Post("/requests/{id}/runs", h.wrap(h.handleHelpForm))
	r.Post("/requests/{id}/runs/{run}/rerun", h.wrap(h.handleRequestRerun))
	r.Post("/requests/{id}/delete", h.wrap(h.handleDeleteRequest))
	r.Get("/compare", h.wrap(h.handleCompare))
	r.Get("/guides", h.wrap(h.handleGuides))
	r.Get("/guides/{symptom}", h.wrap(h.handleGuide))
	r.Get("/causes", h.wrap(h.handleCausesPage))
	r.Post("/settings", h.wrap(h.handleSettings))
	if h.Design {
		r.Get("/design", h.wrap(h.handleDesign))
	}
}
