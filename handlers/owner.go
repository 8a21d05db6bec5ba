package handlers

import (
	"crypto/rand"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// ownerCookie holds a random value by which a browser is known as the maker of its runs; the archive keeps only hashes
// of it.
const ownerCookie = "mqttdoctor_owner"

// ownerLife is how long a browser stays the owner of what it made: longer than any report lives.
const ownerLife = 400 * 24 * time.Hour // the longest that browsers keep a cookie (RFC 6265bis 5.5)

var ownerValue = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// actor is who sent the request.
func (h *Handlers) actor(r *http.Request) Actor {
	a := Actor{Addr: h.ClientAddr(r), Token: bearer(r), Person: PersonOf(r.Context())}
	if c, err := r.Cookie(ownerCookie); err == nil && ownerValue.MatchString(c.Value) {
		a.Owner = c.Value
	}
	return a
}

// owningActor is who sent the request, with an owner cookie made where a browser has none yet. Programs, which send neither
// Sec-Fetch-Site nor (as browsers do where the page came over plain HTTP) Origin, have the delete token and get no cookie.
func (h *Handlers) owningActor(w http.ResponseWriter, r *http.Request) Actor {
	a := h.actor(r)
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" && a.Owner == "" {
		return a
	}
	if a.Owner == "" {
		a.Owner = rand.Text()
	}
	http.SetCookie(w, &http.Cookie{Name: ownerCookie, Value: a.Owner, Path: "/", MaxAge: int(ownerLife / time.Second),
		HttpOnly: true, Secure: h.Secure(r),
		// Lax: the owner keeps the buttons when following a link from a ticket; unsafe methods are same-origin anyway.
		SameSite: http.SameSiteLaxMode})
	return a
}

// bearer is the token of "Authorization: Bearer" (RFC 6750 2.1); empty: none.
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
