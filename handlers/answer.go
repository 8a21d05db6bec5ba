package handlers

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(true) // harmless where a browser is made to take it for a page
	_ = e.Encode(v)       // the client has gone
}

// wrongMethod answers a request of a kind that its address does not take, and names those that it does (RFC 9110 15.5.6).
func wrongMethod(w http.ResponseWriter, r *http.Request, routes chi.Routes) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if !routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			continue
		}
		if allowed = append(allowed, method); method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return errMethod
}

// RoutePattern is the route without ids and queries, for logs and metrics: the address of a report is its key.
func RoutePattern(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil && c.RoutePattern() != "" {
		return c.RoutePattern()
	}
	return "unmatched"
}
