package handlers

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// Problem is an error as a person or program gets it: never more than they may know.
type Problem struct {
	Status  int               `json:"-"`
	Code    string            `json:"code"`
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"` // by the path of the JSON field
	// RetryAfter, where not zero, is when trying again may help.
	RetryAfter time.Duration `json:"-"`
}

// Errors that handlers themselves find.
var (
	errNoRoute = errors.New("no such route")
	errMethod  = errors.New("method not allowed")
)

// badRequest is an error of the request itself, with a code of the interface and the text api.<code>.
type badRequest struct {
	status int
	code   string
	args   diag.Args
	fields diag.FieldErrors
}

func (e *badRequest) Error() string { return e.code }

// problem finds status, code and text of an error. The text is in the catalogue under "api." and the code.
func problem(err error, lang catalogue.Lang) Problem {
	var (
		fields    diag.FieldErrors
		bad       *badRequest
		busy      *Busy
		forbidden *ForbiddenTarget
		gone      *SecretsGone
		ahead     *AfterAhead
	)
	say := func(status int, code string, pairs ...string) Problem {
		return Problem{Status: status, Code: code, Message: catalogue.Text(diag.N("api."+code, pairs...), lang)}
	}
	switch {
	case errors.As(err, &fields):
		p := say(http.StatusBadRequest, "invalid_input", "count", strconv.Itoa(len(fields)))
		p.Fields = catalogue.FieldErrors(fields, lang)
		return p
	case errors.As(err, &bad):
		p := Problem{Status: bad.status, Code: bad.code,
			Message: catalogue.Text(diag.Note{Key: "api." + bad.code, Args: bad.args}, lang)}
		if len(bad.fields) > 0 {
			p.Fields = catalogue.FieldErrors(bad.fields, lang)
		}
		return p
	case errors.As(err, &forbidden):
		p := say(http.StatusForbidden, "target_forbidden", "address", forbidden.Address, "value", forbidden.Policy)
		if forbidden.Field != "" {
			p.Fields = map[string]string{forbidden.Field: p.Message}
		}
		return p
	case errors.As(err, &busy):
		code := "too_many_runs"
		if busy.PerClient {
			code = "too_many_runs_client"
		}
		p := say(http.StatusTooManyRequests, code, "limit", strconv.Itoa(busy.Limit))
		p.RetryAfter = max(time.Second, busy.RetryAfter)
		return p
	case errors.As(err, &gone):
		p := say(http.StatusBadRequest, "secrets_gone")
		p.Fields = map[string]string{}
		for _, f := range gone.Fields {
			p.Fields[f] = catalogue.Text(diag.N("api.secret_again"), lang)
		}
		return p
	case errors.As(err, &ahead):
		p := say(http.StatusBadRequest, "invalid_after", "limit", strconv.Itoa(ahead.Last))
		p.Fields = map[string]string{"after": p.Message}
		return p
	case errors.Is(err, ErrNotFound):
		return say(http.StatusNotFound, "run_not_found")
	case errors.Is(err, ErrNoToken):
		return say(http.StatusUnauthorized, "token_missing")
	case errors.Is(err, ErrNotYours):
		return say(http.StatusForbidden, "token_wrong")
	case errors.Is(err, ErrNoSuggestion):
		p := say(http.StatusBadRequest, "no_suggestion")
		p.Fields = map[string]string{"apply": p.Message}
		return p
	case errors.Is(err, ErrNoDemo):
		return say(http.StatusNotFound, "no_demo")
	case errors.Is(err, ErrStopping):
		p := say(http.StatusServiceUnavailable, "stopping")
		p.RetryAfter = 5 * time.Second
		return p
	case errors.Is(err, errNoRoute):
		return say(http.StatusNotFound, "not_found")
	case errors.Is(err, errMethod):
		return say(http.StatusMethodNotAllowed, "method_not_allowed")
	}
	return say(http.StatusInternalServerError, "internal")
}

// fail answers with an error: JSON under /api, a page elsewhere. What is our own fault is logged with its cause, which
// the client never sees.
func (h *Handlers) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problem(err, h.lang(r, ""))
	switch {
	case p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable && r.Context().Err() == nil:
		h.Log.ErrorContext(r.Context(), "request failed", "method", r.Method, "route", routePattern(r), "err", err)
	case errors.Is(err, context.Canceled):
		return // nobody is there to read the answer
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="mqttdoctor"`) // RFC 9110 15.5.2 demands one
	}
	w.Header().Set("Cache-Control", "no-store")
	if wantsJSON(r) {
		writeJSON(w, p.Status, map[string]Problem{"error": p})
		return
	}
	h.errorPage(w, r, p)
}

// wantsJSON tells whether a program asks: everything under /api, exports, and health.
func wantsJSON(r *http.Request) bool {
	path := r.URL.Path
	return path == "/api" || strings.HasPrefix(path, "/api/") || strings.HasSuffix(path, ".json") ||
		path == "/healthz" || path == "/readyz" || path == "/metrics"
}
