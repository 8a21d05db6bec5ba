package signin

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"mqttdoctor/handlers"
)

const (
	// arrivePath is where the provider leads back to; it must be told of it.
	arrivePath = "/sign-in/callback"
	// awayCookie holds the one random value of a sign-in that is under way, and where the person wants to go after it.
	awayCookie = "mqttdoctor_signin"
	// awayFor is how long somebody may take at the provider: new passwords and second factors included.
	awayFor = 15 * time.Minute
	// askTimeout bounds each question to the provider, and maxAnswer its answer.
	askTimeout = 10 * time.Second
	maxAnswer  = 1 << 20
)

// provider is what its discovery document says, read when somebody signs in first: a provider that is down keeps no server from
// starting, and reports from nobody.
type provider struct {
	mu   sync.Mutex
	read *discovered
}

type discovered struct {
	*oidc.Provider
	leave string // RP-initiated logout; empty: the provider has none
}

// discover asks the provider, or remembers what it said.
func (d *Desk) discover(ctx context.Context) (*discovered, error) {
	if p := d.provider.known(); p != nil {
		return p, nil
	}
	// The provider keeps this context to ask for its keys later: it must not end with the request.
	p, err := oidc.NewProvider(context.WithoutCancel(asking(ctx)), d.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", handlers.ErrProvider, err)
	}
	var more struct {
		Leave string `json:"end_session_endpoint"`
	}
	if err := p.Claims(&more); err != nil {
		return nil, fmt.Errorf("%w: %w", handlers.ErrProvider, err)
	}
	found := &discovered{Provider: p}
	if isWebURL(more.Leave) {
		found.leave = more.Leave
	}
	d.provider.mu.Lock()
	defer d.provider.mu.Unlock()
	d.provider.read = found
	return found, nil
}

func (p *provider) known() *discovered {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.read
}

// asking is a context whose questions to the provider are bounded in time and bytes.
func asking(ctx context.Context) context.Context { return oidc.ClientContext(ctx, asker) }

var asker = &http.Client{Timeout: askTimeout, Transport: bounded{
	// No connection is kept: the provider is asked now and then.
	&http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableKeepAlives: true}}}

type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxAnswer), res.Body}
	}
	return res, err
}

func (d *Desk) client(p *discovered, r *http.Request) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID}
	for _, scope := range d.Scopes {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return &oauth2.Config{ClientID: d.ClientID, ClientSecret: d.ClientSecret.Reveal(), Endpoint: p.Endpoint(), Scopes: scopes,
		RedirectURL: d.BaseURL(r) + arrivePath}
}

// away is the random value of a sign-in that is under way. What the provider sees is made of it in ways that do not lead back:
// so one cookie binds state, nonce and code to this browser (RFC 9700 2.1, OpenID Connect Core 15.5.2, RFC 7636), and no server
// has to remember anything.
type away string

func (a away) derive(purpose string) string {
	m := hmac.New(sha256.New, []byte(a))
	m.Write([]byte(purpose))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)) // 43 characters, as RFC 7636 4.1 wants at least
}

func (a away) state() string    { return a.derive("state") }
func (a away) nonce() string    { return a.derive("nonce") }
func (a away) verifier() string { return a.derive("verifier") }

// Provider implements [handlers.SignIn].
func (d *Desk) Provider() string {
	if d.Method != OIDC {
		return ""
	}
	if d.Title != "" {
		return d.Title
	}
	u, err := url.Parse(d.Issuer)
	if err != nil {
		return ""
	}
	return u.Host
}

// Depart implements [handlers.SignIn].
func (d *Desk) Depart(w http.ResponseWriter, r *http.Request, next string) (string, error) {
	p, err := d.discover(r.Context())
	if err != nil {
		return "", err
	}
	a := away(rand.Text())
	d.setCookie(w, r, awayCookie, string(a)+"."+base64.RawURLEncoding.EncodeToString([]byte(next)), awayFor)
	return d.client(p, r).AuthCodeURL(a.state(), oidc.Nonce(a.nonce()), oauth2.S256ChallengeOption(a.verifier())), nil
}

// Arrive implements [handlers.SignIn].
func (d *Desk) Arrive(w http.ResponseWriter, r *http.Request) (string, error) {
	cookie, err := r.Cookie(d.cookieName(r, awayCookie))
	if err != nil {
		return "", handlers.ErrStaleSignIn
	}
	value, to, _ := strings.Cut(cookie.Value, ".")
	next, err := base64.RawURLEncoding.DecodeString(to)
	q := r.URL.Query()
	if !cookieValue.MatchString(value) || err != nil || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(away(value).state())) != 1 {
		return "", handlers.ErrStaleSignIn
	}
	d.setCookie(w, r, awayCookie, "", 0) // it is good for one answer
	if q.Get("error") != "" {
		d.Log.InfoContext(r.Context(), "sign-in provider declined", "error", plain(q.Get("error")), "description", plain(q.Get("error_description")))
		return "", handlers.ErrDeclined
	}
	who, err := d.redeem(r, q.Get("code"), away(value))
	if err != nil {
		return "", err
	}
	person, let := d.person(who)
	if !let {
		d.Noted(r.Context(), Act{Kind: ActRefused, Person: person, Client: d.Addr(r)})
		return "", handlers.ErrNotLetIn
	}
	return string(next), d.begin(w, r, person)
}

// redeem changes the code into what the provider says of the person.
func (d *Desk) redeem(r *http.Request, code string, a away) (identity, error) {
	p, err := d.discover(r.Context())
	if err != nil {
		return identity{}, err
	}
	token, err := d.client(p, r).Exchange(asking(r.Context()), code, oauth2.VerifierOption(a.verifier()))
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) { // its text holds the whole answer
			err = fmt.Errorf("the token endpoint answers %s %s", refused.Response.Status, plain(refused.ErrorCode))
		}
		return identity{}, fmt.Errorf("%w: %w", handlers.ErrProvider, err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: d.ClientID, Now: d.Now}).Verify(asking(r.Context()), raw)
	if err != nil {
		return identity{}, fmt.Errorf("%w: %w", handlers.ErrProvider, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.nonce())) != 1 {
		return identity{}, fmt.Errorf("%w: the token is for another sign-in", handlers.ErrProvider)
	}
	var c claims
	if err := id.Claims(&c); err != nil {
		return identity{}, fmt.Errorf("%w: %w", handlers.ErrProvider, err)
	}
	if err := d.ask(r.Context(), p, token, id.Subject, &c); err != nil {
		d.Log.WarnContext(r.Context(), "sign-in provider says no more of a person", "error", plain(err.Error()))
	}
	return c.identity(id.Subject)
}

// ask adds what the provider tells only at its UserInfo endpoint, as those do that follow OpenID Connect Core 5.4 to the letter.
// After an error the claims are as they were: who is known by less gets in by less.
func (d *Desk) ask(ctx context.Context, p *discovered, token *oauth2.Token, subject string, c *claims) error {
	if p.UserInfoEndpoint() == "" || c.Email != "" && c.Groups != nil {
		return nil
	}
	info, err := p.UserInfo(asking(ctx), oauth2.StaticTokenSource(token))
	if err != nil {
		return errors.New("the UserInfo endpoint does not answer as it should") // the error's text holds the whole answer
	}
	if info.Subject != subject { // OpenID Connect Core 5.3.2
		return errors.New("the UserInfo endpoint speaks of somebody else")
	}
	var more claims
	if err := info.Claims(&more); err != nil {
		return errors.New("what the UserInfo endpoint says cannot be read")
	}
	c.add(more)
	return nil
}

// claims are what is read of an ID token, and of the UserInfo endpoint (OpenID Connect Core 5.1). Groups are no standard, but
// most providers send them so.
type claims struct {
	Name     string   `json:"name"`
	Nick     string   `json:"preferred_username"`
	Email    string   `json:"email"`
	Verified loose    `json:"email_verified"`
	Groups   manyText `json:"groups"`
}

// add fills in what is not there. An address comes with the word on whether it is verified.
func (c *claims) add(more claims) {
	c.Name, c.Nick = cmp.Or(c.Name, more.Name), cmp.Or(c.Nick, more.Nick)
	if c.Email == "" {
		c.Email, c.Verified = more.Email, more.Verified
	}
	if c.Groups == nil {
		c.Groups = more.Groups
	}
}

func (c claims) identity(subject string) (identity, error) {
	if subject == "" || subject != plain(subject) { // at most 255 characters of ASCII (OpenID Connect Core 2)
		return identity{}, fmt.Errorf("%w: the subject is empty or too long", handlers.ErrProvider)
	}
	who := identity{id: subject, groups: c.Groups}
	if c.Verified { // else somebody could say that he has the address of an administrator
		who.email = c.Email
	}
	for _, name := range []string{c.Email, c.Nick, c.Name} {
		if who.name = plain(name); who.name != "" {
			break
		}
	}
	return who, nil
}

// loose is a boolean that some providers send as text.
type loose bool

func (l *loose) UnmarshalJSON(data []byte) error {
	*l = string(data) == "true" || string(data) == `"true"`
	return nil
}

// manyText is a list of texts that some providers send as one text.
type manyText []string

func (m *manyText) UnmarshalJSON(data []byte) error {
	var many []string
	if json.Unmarshal(data, &many) == nil {
		*m = many
		return nil
	}
	var one string
	if json.Unmarshal(data, &one) == nil && one != "" {
		*m = []string{one}
	}
	return nil // of another form: nobody is in a group
}

// Elsewhere implements [handlers.SignIn]: RP-Initiated Logout 1.0.
func (d *Desk) Elsewhere(r *http.Request) string {
	if d.Method == Proxy {
		return d.LeaveURL
	}
	if d.provider == nil {
		return ""
	}
	p := d.provider.known()
	if p == nil || p.leave == "" {
		return ""
	}
	u, err := url.Parse(p.leave)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", d.ClientID)
	q.Set("post_logout_redirect_uri", d.BaseURL(r)+"/sign-in")
	u.RawQuery = q.Encode()
	return u.String()
}

// isWebURL tells whether it is an absolute address of HTTP.
func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}
