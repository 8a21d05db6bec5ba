package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"regexp"
	"time"

	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// sessionCookie is the name of the cookie. Over HTTPS it gets the prefix: then it came over HTTPS, from this very host
// (RFC 6265bis 4.1.3). Over plain HTTP, as in many an intranet, browsers do not take cookies with it.
const sessionCookie = "mqttdoctor_session"

const hostPrefix = "__Host-"

var cookieValue = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// cookieName is the name of a cookie as it is sent with this request.
func (d *Desk) cookieName(r *http.Request, name string) string {
	if d.Secure(r) {
		return hostPrefix + name
	}
	return name
}

// setCookie sets a cookie for this host alone; no life: it is taken away.
func (d *Desk) setCookie(w http.ResponseWriter, r *http.Request, name, value string, life time.Duration) {
	c := &http.Cookie{Name: d.cookieName(r, name), Value: value, Path: "/", HttpOnly: true, Secure: d.Secure(r),
		// Lax: who follows a link from a ticket is still signed in, and the provider's redirect brings the cookie along.
		SameSite: http.SameSiteLaxMode, MaxAge: int(life / time.Second)}
	if life <= 0 {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// token is the session's value that came with a request; empty: none.
func (d *Desk) token(r *http.Request) string {
	c, err := r.Cookie(d.cookieName(r, sessionCookie))
	if err != nil || !cookieValue.MatchString(c.Value) {
		return ""
	}
	return c.Value
}

// hashOf is what is kept of a session's value, which is random and long.
func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// begin starts a session under a new value, and ends the one that came with the request.
func (d *Desk) begin(w http.ResponseWriter, r *http.Request, p handlers.Person) error {
	if _, err := d.end(r); err != nil {
		return err
	}
	token := rand.Text()
	err := d.Sessions.SaveSession(r.Context(), hashOf(token), archive.Session{Person: p.ID, Name: p.Name, Admin: p.Admin, Stamp: d.stamp(p.ID),
		ExpiresAt: d.Now().Add(d.Life)})
	if err != nil {
		return err
	}
	d.setCookie(w, r, sessionCookie, token, d.Life)
	d.Noted(r.Context(), Act{Kind: ActIn, Person: p, Client: d.Addr(r)})
	return nil
}

// end ends the session that came with the request, if one did.
func (d *Desk) end(r *http.Request) (handlers.Person, error) {
	token := d.token(r)
	if token == "" {
		return handlers.Person{}, nil
	}
	p, err := d.fromSession(r)
	if err != nil {
		return p, err
	}
	// Whoever has gone meanwhile is signed out all the same.
	return p, d.Sessions.EndSession(context.WithoutCancel(r.Context()), hashOf(token))
}

// fromSession is whose session came with the request.
func (d *Desk) fromSession(r *http.Request) (handlers.Person, error) {
	token := d.token(r)
	if token == "" {
		return handlers.Person{}, nil
	}
	s, err := d.Sessions.Session(r.Context(), hashOf(token))
	if errors.Is(err, archive.ErrNotFound) {
		return handlers.Person{}, nil
	}
	if err != nil {
		return handlers.Person{}, err
	}
	if s.Stamp != d.stamp(s.Person) { // another password by now, another provider, or gone from the file
		return handlers.Person{}, nil
	}
	if d.users != nil { // the lists of today
		p, let := d.person(identity{id: s.Person, name: s.Name})
		if !let {
			return handlers.Person{}, nil
		}
		return p, nil
	}
	return handlers.Person{ID: s.Person, Name: s.Name, Admin: s.Admin}, nil
}

// stamp is what must stay the same for a session to hold.
func (d *Desk) stamp(id string) string {
	if d.users != nil {
		return d.users.stamp(id)
	}
	return d.Method + " " + d.Issuer
}

// Leave implements [handlers.SignIn].
func (d *Desk) Leave(w http.ResponseWriter, r *http.Request) error {
	p, err := d.end(r)
	if err != nil {
		return err
	}
	d.setCookie(w, r, sessionCookie, "", 0)
	if p.SignedIn() {
		d.Noted(r.Context(), Act{Kind: ActOut, Person: p, Client: d.Addr(r)})
	}
	return nil
}
