package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"mqttdoctor/diag"
	"mqttdoctor/templates"
)

// registerSignIn adds the pages of signing in and out, where people do.
func (h *Handlers) registerSignIn(r chi.Router) {
	if h.SignIn == nil {
		return
	}
	r.Get("/sign-in", h.wrap(h.handleSignIn))
	r.Post("/sign-out", h.wrap(h.handleSignOut))
	switch h.SignIn.Way() {
	case SignInForm:
		r.Post("/sign-in", h.wrap(h.handlePassword))
	case SignInProvider:
		r.Get("/sign-in/go", h.wrap(h.handleDepart))
		r.Get("/sign-in/callback", h.wrap(h.handleArrive))
	case SignInProxy:
	}
}

// people lets through who is signed in, where people sign in. What stands before it is for whoever has the link.
func (h *Handlers) people(next http.Handler) http.Handler {
	return h.wrap(func(w http.ResponseWriter, r *http.Request) error {
		if h.SignIn == nil || PersonOf(r.Context()).SignedIn() {
			next.ServeHTTP(w, r)
			return nil
		}
		safe := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !safe || wantsJSON(r) || h.SignIn.Way() == SignInProxy {
			return ErrSignIn
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, signInAddress(r), http.StatusSeeOther)
		return nil
	})
}

// signInAddress leads to the page of signing in, and from there back to the page that was asked for. Of its query only the run
// comes along: an address typed there might hold a password.
func signInAddress(r *http.Request) string {
	back := url.URL{Path: r.URL.Path}
	q := url.Values{}
	for _, name := range []string{"from", "run"} {
		if id := r.URL.Query().Get(name); idPattern.MatchString(id) {
			q.Set(name, id)
		}
	}
	back.RawQuery = q.Encode()
	return "/sign-in?" + url.Values{"next": {back.String()}}.Encode()
}

func (h *Handlers) signInPage(w http.ResponseWriter, r *http.Request, next string) templates.SignInPage {
	p := templates.SignInPage{Page: h.page(w, r), Next: localPath(next), Way: string(h.SignIn.Way()), Provider: h.SignIn.Provider()}
	p.Title, p.NoIndex, p.Path = p.T("signin.title"), true, "/sign-in"
	if next != "" {
		p.Query.Set("next", p.Next)
	}
	w.Header().Set("Cache-Control", "no-store")
	return p
}

func (h *Handlers) handleSignIn(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if PersonOf(r.Context()).SignedIn() {
		http.Redirect(w, r, localPath(q.Get("next")), http.StatusSeeOther)
		return nil
	}
	page := h.signInPage(w, r, q.Get("next"))
	if q.Has("out") {
		page.Out, page.Elsewhere = true, h.SignIn.Elsewhere(r)
	}
	return h.show(w, r, http.StatusOK, templates.SignIn(page))
}

// handlePassword takes the form, and shows it again where the password is wrong.
func (h *Handlers) handlePassword(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		return &badRequest{status: http.StatusBadRequest, code: "body_unreadable"}
	}
	name, next := r.PostForm.Get("name"), localPath(r.PostForm.Get("next"))
	err := h.SignIn.Password(w, r, name, diag.NewSecret(r.PostForm.Get("password")))
	if err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	p := problem(err, h.lang(r, ""))
	if p.Status >= http.StatusInternalServerError {
		return err
	}
	setRetryAfter(w, p)
	page := h.signInPage(w, r, next)
	page.Name, page.Problem = name, p.Message
	if p.RetryAfter > 0 {
		page.Problem += " " + page.T("error.retry", "time", page.Duration(float64(p.RetryAfter.Round(time.Second).Milliseconds())))
	}
	if p.Status == http.StatusUnauthorized { // RFC 9110 15.5.2 would have a challenge with it, and the browser ask instead of the page
		p.Status = http.StatusForbidden
	}
	return h.show(w, r, p.Status, templates.SignIn(page))
}

// handleDepart leads to the provider.
func (h *Handlers) handleDepart(w http.ResponseWriter, r *http.Request) error {
	to, err := h.SignIn.Depart(w, r, localPath(r.URL.Query().Get("next")))
	if err != nil {
		return h.signInFailed(w, r, err, r.URL.Query().Get("next"))
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// handleArrive takes who comes back from the provider.
func (h *Handlers) handleArrive(w http.ResponseWriter, r *http.Request) error {
	next, err := h.SignIn.Arrive(w, r)
	if err != nil {
		return h.signInFailed(w, r, err, "")
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, localPath(next), http.StatusSeeOther)
	return nil
}

// signInFailed shows the page again, with what went wrong: trying again is what helps mostly.
func (h *Handlers) signInFailed(w http.ResponseWriter, r *http.Request, err error, next string) error {
	p := problem(err, h.lang(r, ""))
	if p.Code == "internal" {
		return err
	}
	if errors.Is(err, ErrProvider) {
		h.Log.WarnContext(r.Context(), "sign-in provider failed", "err", err)
	}
	page := h.signInPage(w, r, next)
	page.Path, page.Problem = "/sign-in", p.Message
	return h.show(w, r, p.Status, templates.SignIn(page))
}

func (h *Handlers) handleSignOut(w http.ResponseWriter, r *http.Request) error {
	if err := h.SignIn.Leave(w, r); err != nil {
		return err
	}
	http.Redirect(w, r, "/sign-in?out", http.StatusSeeOther)
	return nil
}

// admins lets administrators through.
func (h *Handlers) admins(next http.Handler) http.Handler {
	return h.people(h.wrap(func(w http.ResponseWriter, r *http.Request) error {
		if !PersonOf(r.Context()).Admin {
			return ErrNotAdmin
		}
		next.ServeHTTP(w, r)
		return nil
	}))
}
