package web

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/klauspost/compress/gzhttp"

	"mqttdoctor/handlers"
)

// contentSecurityPolicy: everything comes from this server, nothing runs that stands in a page. connect-src 'self' covers
// the websockets of the same origin (CSP 3, 6.7.2.8).
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// consolePath is the one page whose scripts connect elsewhere: to the broker that its reader names, by WebSocket, and by HTTP to
// learn more where that fails.
const consolePath = "/console"

var consoleSecurityPolicy = strings.Replace(contentSecurityPolicy, "connect-src 'self'", "connect-src 'self' ws: wss: http: https:", 1)

// secure sets the headers that every answer has.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		if r.URL.Path == consolePath {
			h.Set("Content-Security-Policy", consoleSecurityPolicy)
		}
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// The address of a report is its key: no other site gets it. "no-referrer" would also make browsers send
		// "Origin: null" with our own forms, which over plain HTTP is all that tells them from another site's.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if strings.HasPrefix(r.URL.Path, "/runs/") || strings.HasPrefix(r.URL.Path, "/api/") {
			h.Set("X-Robots-Tag", "noindex, nofollow")
		}
		next.ServeHTTP(w, r)
	})
}

// identify gives each request an id, for the log and for the person who asks about it.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()[:12]
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(withRequestID(r.Context(), id)))
	})
}

// observe logs and counts requests. The path of a run is a key and its query may hold one: the route's pattern is logged.
func observe(log *slog.Logger, m *meter, addr func(*http.Request) netip.Addr) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			begun := time.Now()
			next.ServeHTTP(ww, r)
			took, status := time.Since(begun), ww.Status()
			if status == 0 { // a websocket, or nothing written
				status = http.StatusOK
			}
			route := handlers.RoutePattern(r)
			stream := r.Header.Get("Upgrade") != "" && ww.BytesWritten() == 0
			if !stream {
				m.requests.WithLabelValues(methodLabel(r.Method), route, strconv.Itoa(status)).Observe(took.Seconds())
			}
			level := slog.LevelInfo
			if strings.HasPrefix(route, "/static/") || route == "/healthz" || route == "/readyz" || route == "/metrics" {
				level = slog.LevelDebug
			}
			log.LogAttrs(r.Context(), level, "request", slog.String("method", methodLabel(r.Method)), slog.String("route", route),
				slog.Int("status", status), slog.Int64("duration_ms", took.Milliseconds()), slog.Int("bytes", ww.BytesWritten()),
				slog.String("client", addr(r).String()), slog.Bool("stream", stream))
		})
	}
}

// compress squeezes pages and reports, which are long and full of repetition. Assets are compressed already, and streams
// are left alone.
func compress() (func(http.Handler) http.Handler, error) {
	// The jitter blurs the length, from which one could otherwise guess at what is secret in a page (BREACH).
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.EnableZstd(true), gzhttp.RandomJitter(32, 0, false))
	if err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		squeezed := wrap(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" || strings.HasPrefix(r.URL.Path, staticPrefix) || r.URL.Path == "/metrics" {
				next.ServeHTTP(w, r)
				return
			}
			squeezed.ServeHTTP(w, r)
		})
	}, nil
}

// methodLabel bounds what a client can write into logs and metrics.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodPut, http.MethodPatch, http.MethodOptions:
		return method
	}
	return "other"
}

// rescue answers for a handler that panicked.
func rescue(log *slog.Logger, h *handlers.Handlers) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				problem := recover()
				if problem == nil {
					return
				}
				if problem == http.ErrAbortHandler { //nolint:errorlint // documented as this very value
					panic(problem)
				}
				log.ErrorContext(r.Context(), "handler panicked", "panic", fmt.Sprint(problem), "stack", string(debug.Stack()))
				h.Fail(w, r, handlers.ErrPanic)
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// onlyHosts refuses requests under other names. A server that only this machine reaches is reached by every page that its
// user opens, too: a name of the attacker's that resolves to 127.0.0.1 would be same-origin with it (DNS rebinding).
func onlyHosts(public *url.URL, h *handlers.Handlers) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Balancers ask after our health without a name, and the answer holds nothing.
			health := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
			if health || public != nil && strings.EqualFold(r.Host, public.Host) || isLoopbackHost(r.Host) {
				next.ServeHTTP(w, r)
				return
			}
			h.Fail(w, r, handlers.ErrWrongHost)
		})
	}
}

func isLoopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// sameOrigin refuses unsafe requests that a page of another site sends (Sec-Fetch-Site, Origin).
func sameOrigin(public *url.URL, h *handlers.Handlers) (func(http.Handler) http.Handler, error) {
	p := http.NewCrossOriginProtection()
	if public != nil {
		if err := p.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
			return nil, err
		}
	}
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.Fail(w, r, handlers.ErrCrossOrigin) }))
	return p.Handler, nil
}

// track counts handlers that are still at work, websockets among them: http.Server forgets those.
func track(all *sync.WaitGroup) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			all.Add(1)
			defer all.Done()
			next.ServeHTTP(w, r)
		})
	}
}
