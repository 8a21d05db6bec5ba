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
	"mqttdoctor/diag/trace"
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

// Errors that the server finds before a handler is asked; it hands them to [Handlers.Fail].
var (
	// ErrCrossOrigin: a page of another site sent this.
	ErrCrossOrigin = errors.New("cross-origin request")
	// ErrWrongHost: this server does not go by that name.
	ErrWrongHost = errors.New("wrong host")
	// ErrMetricsClosed: only this machine may have the metrics.
	ErrMetricsClosed = errors.New("metrics from elsewhere")
	// ErrMetricsToken: the metrics are for those who have the token.
	ErrMetricsToken = errors.New("metrics without their token")
	// ErrPanic: a handler has a defect, which is in the log.
	ErrPanic = errors.New("handler panicked")
)

// badRequest is an error of the request itself, with a code of the interface and the text api.<code>, or another one.
type badRequest struct {
	status int
	code   string
	text   *diag.Note // nil: api.<code> with args
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
		crowd     *TooManyViewers
		tries     *TooManyTries
		refused   *trace.Refused
	)
	made := func(status int, code string, pairs ...string) Problem {
		return Problem{Status: status, Code: code, Message: say(diag.N("api."+code, pairs...), lang)}
	}
	switch {
	case errors.As(err, &fields):
		p := made(http.StatusBadRequest, "invalid_input", "count", strconv.Itoa(len(fields)))
		p.Fields = catalogue.FieldErrors(fields, lang)
		return p
	case errors.As(err, &bad):
		text := diag.Note{Key: "api." + bad.code, Args: bad.args}
		if bad.text != nil {
			text = *bad.text
		}
		p := Problem{Status: bad.status, Code: bad.code, Message: say(text, lang)}
		if len(bad.fields) > 0 {
			p.Fields = catalogue.FieldErrors(bad.fields, lang)
		}
		return p
	case errors.As(err, &forbidden):
		p := made(http.StatusForbidden, "target_forbidden", "address", forbidden.Address, "value", forbidden.Policy)
		if forbidden.Field != "" {
			p.Fields = map[string]string{forbidden.Field: p.Message}
		}
		return p
	case errors.As(err, &busy):
		code := "too_many_runs"
		if busy.Consoles {
			code = "too_many_consoles"
		}
		if busy.Requests {
			code = "too_many_requests"
		}
		if busy.PerClient {
			code += "_client"
		}
		p := made(http.StatusTooManyRequests, code, "limit", strconv.Itoa(busy.Limit))
		p.RetryAfter = max(time.Second, busy.RetryAfter)
		return p
	case errors.As(err, &gone):
		p := made(http.StatusBadRequest, "secrets_gone")
		p.Fields = map[string]string{}
		for _, f := range gone.Fields {
			p.Fields[f] = say(diag.N("api.secret_again"), lang)
		}
		return p
	case errors.As(err, &refused):
		p := made(http.StatusBadRequest, "bad_trace", "count", strconv.Itoa(refused.Packet+1), "field", refused.Field)
		p.Fields = map[string]string{"packets." + strconv.Itoa(refused.Packet) + "." + refused.Field: p.Message}
		return p
	case errors.As(err, &ahead):
		p := made(http.StatusBadRequest, "invalid_after", "limit", strconv.Itoa(ahead.Last))
		p.Fields = map[string]string{"after": p.Message}
		return p
	case errors.As(err, &crowd):
		p := made(http.StatusServiceUnavailable, "too_many_viewers", "limit", strconv.Itoa(crowd.Limit))
		p.RetryAfter = 10 * time.Second
		return p
	case errors.As(err, &tries):
		p := made(http.StatusTooManyRequests, "too_many_tries")
		p.RetryAfter = max(time.Second, tries.RetryAfter)
		return p
	case errors.Is(err, ErrSignIn):
		return made(http.StatusUnauthorized, "sign_in_needed")
	case errors.Is(err, ErrWrongPassword):
		return made(http.StatusUnauthorized, "wrong_password")
	case errors.Is(err, ErrNotLetIn):
		return made(http.StatusForbidden, "not_let_in")
	case errors.Is(err, ErrNotAdmin):
		return made(http.StatusForbidden, "not_admin")
	case errors.Is(err, ErrProvider):
		return made(http.StatusBadGateway, "sign_in_provider")
	case errors.Is(err, ErrStaleSignIn):
		return made(http.StatusBadRequest, "sign_in_stale")
	case errors.Is(err, ErrDeclined):
		return made(http.StatusForbidden, "sign_in_declined")
	case errors.Is(err, ErrNotFound):
		return made(http.StatusNotFound, "run_not_found")
	case errors.Is(err, ErrNoRequest):
		return made(http.StatusNotFound, "request_not_found")
	case errors.Is(err, ErrRequestSpent):
		return made(http.StatusTooManyRequests, "request_spent")
	case errors.Is(err, ErrNoConsole):
		return made(http.StatusNotFound, "console_not_found")
	case errors.Is(err, ErrNoTrace):
		return made(http.StatusConflict, "no_trace")
	case errors.Is(err, ErrNoAttached):
		return made(http.StatusNotFound, "trace_not_found")
	case errors.Is(err, ErrNoToken):
		return made(http.StatusUnauthorized, "token_missing")
	case errors.Is(err, ErrNotYours):
		return made(http.StatusForbidden, "token_wrong")
	case errors.Is(err, ErrNoSuggestion):
		p := made(http.StatusBadRequest, "no_suggestion")
		p.Fields = map[string]string{"apply": p.Message}
		return p
	case errors.Is(err, ErrNoDemo):
		return made(http.StatusNotFound, "no_demo")
	case errors.Is(err, ErrStopping):
		p := made(http.StatusServiceUnavailable, "stopping")
		p.RetryAfter = 5 * time.Second
		return p
	case errors.Is(err, ErrCrossOrigin):
		return made(http.StatusForbidden, "cross_origin")
	case errors.Is(err, ErrWrongHost):
		return made(http.StatusMisdirectedRequest, "wrong_host") // RFC 9110 15.5.20
	case errors.Is(err, ErrMetricsClosed):
		return made(http.StatusForbidden, "metrics_closed")
	case errors.Is(err, ErrMetricsToken):
		return made(http.StatusUnauthorized, "metrics_token")
	case errors.Is(err, errNoRoute):
		return made(http.StatusNotFound, "not_found")
	case errors.Is(err, errMethod):
		return made(http.StatusMethodNotAllowed, "method_not_allowed")
	}
	return made(http.StatusInternalServerError, "internal")
}

// Fail answers with an error: JSON under /api, a page elsewhere. What is our own fault is logged with its cause, which
// the client never sees.
func (h *Handlers) Fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problem(err, h.lang(r, ""))
	switch {
	case p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable && r.Context().Err() == nil:
		h.Log.ErrorContext(r.Context(), "request failed", "method", r.Method, "route", RoutePattern(r), "err", err)
	case errors.Is(err, context.Canceled):
		return // nobody is there to read the answer
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", h.challenge(r, p)) // RFC 9110 15.5.2 demands one
	}
	w.Header().Set("Cache-Control", "no-store")
	if wantsJSON(r) {
		writeJSON(w, p.Status, map[string]Problem{"error": p})
		return
	}
	h.errorPage(w, r, p)
}

// challenge says what a program could send. To a browser Basic is not offered: it would ask for the password itself, in a window
// over our page, which has a form for it.
func (h *Handlers) challenge(r *http.Request, p Problem) string {
	program := r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == ""
	if program && h.SignIn != nil && h.SignIn.Way() == SignInForm && (p.Code == "sign_in_needed" || p.Code == "wrong_password") {
		return `Basic realm="mqttdoctor", charset="UTF-8"` // RFC 7617 2.1
	}
	return `Bearer realm="mqttdoctor"`
}

// wantsJSON tells whether a program asks: everything under /api, exports, and health.
func wantsJSON(r *http.Request) bool {
	path := r.URL.Path
	return path == "/api" || strings.HasPrefix(path, "/api/") || strings.HasSuffix(path, ".json") ||
		path == "/healthz" || path == "/readyz" || path == "/metrics"
}
