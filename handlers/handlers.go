package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag"
)

// Deps are what the handlers need. Only Runs, Requests and Consoles are required.
type Deps struct {
	Runs     Runs
	Requests Requests
	Consoles Consoles
	Demo     Demo   // nil: this server offers none
	Admin    Admin  // nil: there are no administrators
	SignIn   SignIn // nil: nobody signs in, and everybody may do everything
	Health   Health // nil: always ready
	// Context ends when the server drops its viewers; nil: never.
	Context context.Context
	// Probes are listed by GET /checks.
	Probes []diag.Probe
	// Version of the program, shown in the API and on pages.
	Version string
	// PublicURL is where people reach this server; nil: what the request says.
	PublicURL *url.URL
	// ClientAddr tells who asks, for limits; nil: the connection's address.
	ClientAddr func(*http.Request) netip.Addr
	// Secure tells whether the request came over HTTPS, perhaps to a trusted proxy; nil: judged by the connection.
	Secure func(*http.Request) bool
	// Metrics answers GET /metrics; nil: none.
	Metrics http.Handler
	// MayMeter tells who may have them: ErrMetricsToken or ErrMetricsClosed; nil: everybody.
	MayMeter func(*http.Request) error
	// Asset returns the address of a static file, with its fingerprint; nil: "/static/" and the name.
	Asset func(name string) string
	// Design serves the gallery of the pages' parts at /design, for development.
	Design bool
	Log    *slog.Logger // nil: none
}

// Handlers are the pages and endpoints. The zero value is of no use; see [New].
type Handlers struct {
	Deps
}

// New fills in what deps leaves out.
func New(deps Deps) *Handlers {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.ClientAddr == nil {
		deps.ClientAddr = PeerAddr
	}
	if deps.Secure == nil {
		deps.Secure = func(r *http.Request) bool { return r.TLS != nil }
	}
	if deps.Context == nil {
		deps.Context = context.Background()
	}
	if deps.Asset == nil {
		deps.Asset = func(name string) string { return "/static/" + name }
	}
	return &Handlers{Deps: deps}
}

// Register adds every route: API, exports, health and pages.
func (h *Handlers) Register(r chi.Router) {
	r.NotFound(h.NotFound)
	r.MethodNotAllowed(h.wrap(func(w http.ResponseWriter, q *http.Request) error { return wrongMethod(w, q, r) }))
	r.Get("/healthz", h.wrap(h.handleHealth))
	r.Get("/readyz", h.wrap(h.handleReady))
	if h.Metrics != nil {
		r.Get("/metrics", h.wrap(h.handleMetrics))
	}
	r.Get("/runs/{id}.json", h.wrap(h.handleExportJSON))
	r.Get("/api/openapi.json", h.wrap(h.handleOpenAPI)) // beside the versions that it describes
	r.Route(apiPrefix, func(r chi.Router) {
		r.Use(noStore)
		r.Group(func(r chi.Router) {
			r.Use(h.people)
			r.Post("/runs", h.wrap(h.handleStart))
			r.Get("/runs", h.wrap(h.handleMine))
			r.Post("/runs/import", h.wrap(h.handleImport))
			r.Post("/runs/{id}/rerun", h.wrap(h.handleRerun))
			r.Get("/demo", h.wrap(h.handleDemo))
			r.Post("/console", h.wrap(h.handleOpenConsole))
			r.Post("/requests", h.wrap(h.handleAsk))
			r.Get("/requests", h.wrap(h.handleMyRequests))
		})
		// For whoever has the link, or the delete token, or the owner's cookie.
		r.Get("/runs/{id}", h.wrap(h.handleReport))
		r.Delete("/runs/{id}", h.wrap(h.handleDelete))
		r.Post("/runs/{id}/cancel", h.wrap(h.handleCancel))
		r.Get("/runs/{id}/history", h.wrap(h.handleHistory))
		r.Get("/compare", h.wrap(h.handleCompareAPI))
		r.Get("/runs/{id}/share", h.wrap(h.handleShare))
		r.Put("/runs/{id}/share", h.wrap(h.handleSetShare))
		r.Get("/runs/{id}/stream", h.wrap(h.handleStream))
		r.Put("/runs/{id}/trace", h.wrap(h.handleAttach))
		r.Get("/runs/{id}/trace", h.wrap(h.handleAttached))
		r.Delete("/runs/{id}/trace", h.wrap(h.handleDetach))
		// For whoever has the link; more for who made it.
		r.Get("/requests/{id}", h.wrap(h.handleRequest))
		r.Delete("/requests/{id}", h.wrap(h.handleEraseRequest))
		r.Post("/requests/{id}/runs", h.wrap(h.handleHelp))
		r.Post("/requests/{id}/wish", h.wrap(h.handleWish))
		r.Get("/requests/{id}/stream", h.wrap(h.handleRequestStream))
		r.Get("/checks", h.wrap(h.handleChecks))
		r.Get("/causes", h.wrap(h.handleCauses))
		r.Post("/client-code", h.wrap(h.handleClientCode))
		r.Post("/topic-match", h.wrap(h.handleTopicMatch))
		r.Delete("/console/{id}", h.wrap(h.handleEndConsole))
		r.Get("/console/{id}/mqtt", h.wrap(h.handleRelay))
		r.Get("/console/{id}/trace", h.wrap(h.handleTrace))
		r.Get("/console/{id}/trace.json", h.wrap(h.handleTraceJSON))
		r.Get("/console/{id}/trace.pcapng", h.wrap(h.handleTraceCapture))
	})
	h.RegisterPages(r)
}

// NotFound answers where there is nothing.
func (h *Handlers) NotFound(w http.ResponseWriter, r *http.Request) { h.Fail(w, r, errNoRoute) }

// apiPrefix is the version of the interface: what changes its meaning gets another one.
const apiPrefix = "/api/v1"

// handlerFunc answers a request or returns why it cannot. After it has begun to write it returns nil.
type handlerFunc func(http.ResponseWriter, *http.Request) error

// wrap makes a handler of a function that returns errors.
func (h *Handlers) wrap(f handlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			h.Fail(w, r, err)
		}
	}
}

// noStore keeps answers out of caches: a report may be deleted, and an error repaired.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// PeerAddr is the address at the other end of the connection: the client, or the last proxy.
func PeerAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
