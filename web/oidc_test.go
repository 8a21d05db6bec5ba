package web

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
	"mqttdoctor/web/signin"
)

// oidcProvider is an OpenID Connect provider as strict as real ones are: codes are good once, for one client, one address to
// come back to and one verifier.
type oidcProvider struct {
	*httptest.Server
	t   *testing.T
	key *rsa.PrivateKey

	mu     sync.Mutex
	codes  map[string]url.Values     // what was asked for with each code
	claims map[string]any            // of who signs in next
	warp   func(map[string]any)      // changes what the token says
	forge  bool                      // signs with another key
	reject func(http.ResponseWriter) // answers instead of the token endpoint
	info   map[string]any            // what the UserInfo endpoint says
}

func startProvider(t *testing.T) *oidcProvider {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &oidcProvider{t: t, key: key, codes: map[string]url.Values{}, claims: map[string]any{"sub": "0-1-2", "email": "bob@here.test", "email_verified": true}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.json(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"userinfo_endpoint": p.URL + "/info",
			"jwks_uri":          p.URL + "/keys", "end_session_endpoint": p.URL + "/leave", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		p.json(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("/info", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.info == nil || r.Header.Get("Authorization") != "Bearer CANARY-access" {
			http.Error(w, "CANARY", http.StatusUnauthorized)
			return
		}
		p.json(w, p.info)
	})
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *oidcProvider) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

func (p *oidcProvider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name, want := range map[string]string{"response_type": "code", "client_id": "doctor", "code_challenge_method": "S256"} {
		if q.Get(name) != want {
			http.Error(w, name, http.StatusBadRequest)
			return
		}
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = q
	p.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (p *oidcProvider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reject != nil {
		p.reject(w)
		return
	}
	id, password, _ := r.BasicAuth()
	asked, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || id != "doctor" || password != "CANARY-client" || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(challenge[:]) != asked.Get("code_challenge") {
		w.WriteHeader(http.StatusBadRequest)
		p.json(w, map[string]string{"error": "invalid_grant"})
		return
	}
	now := time.Now()
	claims := map[string]any{"iss": p.URL, "aud": "doctor", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "nonce": asked.Get("nonce")}
	maps.Copy(claims, p.claims)
	if p.warp != nil {
		p.warp(claims)
	}
	p.json(w, map[string]any{"access_token": "CANARY-access", "token_type": "Bearer", "id_token": p.sign(claims)})
}

func (p *oidcProvider) sign(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"1","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	key := p.key
	if p.forge {
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			p.t.Error(err)
		}
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func oidcConfig(t *testing.T, p *oidcProvider) Config {
	c := testConfig(t)
	c.SignIn.Method, c.SignIn.Issuer, c.SignIn.ClientID, c.SignIn.Title = signin.OIDC, p.URL, "doctor", "Our Login"
	c.SignIn.ClientSecret = diag.NewSecret("CANARY-client")
	return c
}

// away goes to the provider and returns the address that it leads back to.
func (b *browser) away(p *oidcProvider, next string) string {
	b.t.Helper()
	to := b.do("GET", "/sign-in/go?"+url.Values{"next": {next}}.Encode(), "").want(http.StatusSeeOther).header.Get("Location")
	if !strings.HasPrefix(to, p.URL+"/authorize?") {
		b.t.Fatalf("leads to %s", to)
	}
	res, err := b.client.Get(to)
	if err != nil {
		b.t.Fatal(err)
	}
	res.Body.Close()
	back := res.Header.Get("Location")
	if res.StatusCode != http.StatusFound || !strings.HasPrefix(back, b.base+"/sign-in/callback?") {
		b.t.Fatalf("%d, leads to %s", res.StatusCode, back)
	}
	return strings.TrimPrefix(back, b.base)
}

func TestPeopleSignInThroughAProvider(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	s := startServer(t, oidcConfig(t, p), testEngine(guard.Laptop, passing("dns.test")))
	b := newBrowser(s)
	b.do("GET", "/", "").leads("/sign-in?next=%2F")
	page := string(b.do("GET", "/sign-in?next=%2Fconsole", "").want(http.StatusOK).body)
	if !strings.Contains(page, "Sign in with Our Login") || !strings.Contains(page, "/sign-in/go?next=%2Fconsole") {
		t.Errorf("%s", page)
	}
	back := b.away(p, "/console")
	kept := b.cookies["mqttdoctor_signin"]
	b.do("GET", back, "").leads("/console")
	if b.session() == nil || b.cookies["mqttdoctor_signin"] != nil {
		t.Errorf("cookies %v", b.cookies)
	}
	if page := string(b.do("GET", "/", "").want(http.StatusOK).body); !strings.Contains(page, "Signed in as bob@here.test") {
		t.Error("the header does not say who is signed in")
	}
	run := b.start(plainRun)

	// The same person from another browser has the same runs.
	other := newBrowser(s)
	other.do("GET", other.away(p, "/"), "").leads("/")
	other.do("DELETE", "/api/v1/runs/"+run.ID, "").want(http.StatusNoContent)

	// An answer is good once, and for the browser that asked.
	b.cookies["mqttdoctor_signin"] = kept
	b.do("GET", back, "").want(http.StatusBadGateway)
	victim := newBrowser(s)
	for name, path := range map[string]string{"nothing was asked for": other.away(p, "/"), "no state": "/sign-in/callback?code=x"} {
		if a := victim.do("GET", path, ""); a.status != http.StatusBadRequest || victim.session() != nil {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	mine := victim.away(p, "/")
	_, theirs, _ := strings.Cut(other.away(p, "/"), "code=")
	theirs, _, _ = strings.Cut(theirs, "&")
	u, _ := url.Parse(mine)
	q := u.Query()
	q.Set("code", theirs) // somebody else's code with the state of this browser
	victim.do("GET", "/sign-in/callback?"+q.Encode(), "").want(http.StatusBadGateway)
	if victim.session() != nil {
		t.Error("signed in with somebody else's code")
	}

	// Out, here and there.
	b.form("/sign-out").leads("/sign-in?out")
	if page := string(b.do("GET", "/sign-in?out", "").want(http.StatusOK).body); !strings.Contains(page, p.URL+"/leave?client_id=doctor") {
		t.Errorf("%s", page)
	}
	b.do("GET", "/", "").want(http.StatusSeeOther)
	if strings.Contains(s.log.String(), "CANARY") || strings.Contains(s.log.String(), theirs) {
		t.Error("a secret is in the log")
	}
}

func TestWhatTheProviderMustNotSay(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	c := oidcConfig(t, p)
	c.SignIn.Admins, c.SignIn.Allow = []string{"boss@here.test", "group:chiefs"}, []string{"@here.test", "9-9-9"}
	s := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	for _, test := range []struct {
		name   string
		claims map[string]any
		warp   func(map[string]any)
		forge  bool
		reject func(http.ResponseWriter)
		info   map[string]any
		status int
		admin  bool
	}{
		{name: "user", status: http.StatusSeeOther},
		{name: "administrator", claims: map[string]any{"email": "Boss@here.test"}, status: http.StatusSeeOther, admin: true},
		{name: "administrator by group", claims: map[string]any{"groups": []string{"chiefs"}, "email": "x@there.test"}, status: http.StatusSeeOther, admin: true},
		{name: "by subject", claims: map[string]any{"sub": "9-9-9", "email": "x@there.test"}, status: http.StatusSeeOther},
		{name: "verified as text", claims: map[string]any{"email_verified": "true"}, status: http.StatusSeeOther},
		{name: "address not verified", claims: map[string]any{"email": "boss@here.test", "email_verified": false}, status: http.StatusForbidden},
		{name: "other domain", claims: map[string]any{"email": "bob@here.test.evil.test"}, status: http.StatusForbidden},
		{name: "told when asked", claims: map[string]any{"email": nil},
			info: map[string]any{"sub": "0-1-2", "email": "boss@here.test", "email_verified": true}, status: http.StatusSeeOther, admin: true},
		{name: "told of groups when asked", info: map[string]any{"sub": "0-1-2", "groups": []string{"chiefs"}}, status: http.StatusSeeOther, admin: true},
		{name: "told of another address", info: map[string]any{"sub": "0-1-2", "email": "boss@here.test", "email_verified": true}, status: http.StatusSeeOther},
		{name: "told of an address not verified", claims: map[string]any{"email": nil},
			info: map[string]any{"sub": "0-1-2", "email": "boss@here.test"}, status: http.StatusForbidden},
		{name: "told of somebody else", claims: map[string]any{"email": nil},
			info: map[string]any{"sub": "1-1-1", "email": "boss@here.test", "email_verified": true}, status: http.StatusForbidden},
		{name: "other nonce", warp: func(c map[string]any) { c["nonce"] = "x" }, status: http.StatusBadGateway},
		{name: "other audience", warp: func(c map[string]any) { c["aud"] = "somebody" }, status: http.StatusBadGateway},
		{name: "other issuer", warp: func(c map[string]any) { c["iss"] = "https://evil.test" }, status: http.StatusBadGateway},
		{name: "expired", warp: func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }, status: http.StatusBadGateway},
		{name: "no subject", warp: func(c map[string]any) { delete(c, "sub") }, status: http.StatusBadGateway},
		{name: "other key", forge: true, status: http.StatusBadGateway},
		{name: "error", reject: func(w http.ResponseWriter) { http.Error(w, "CANARY", http.StatusInternalServerError) }, status: http.StatusBadGateway},
		{name: "endless", reject: func(w http.ResponseWriter) {
			for range 3000 {
				fmt.Fprint(w, strings.Repeat(" ", 1024))
			}
		}, status: http.StatusBadGateway},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.mu.Lock()
			p.claims = map[string]any{"sub": "0-1-2", "email": "bob@here.test", "email_verified": true}
			maps.Copy(p.claims, test.claims)
			p.warp, p.forge, p.reject, p.info = test.warp, test.forge, test.reject, test.info
			p.mu.Unlock()
			b := newBrowser(s)
			b.t = t
			a := b.do("GET", b.away(p, "/"), "").want(test.status)
			if (b.session() != nil) != (test.status == http.StatusSeeOther) {
				t.Fatalf("session %v", b.session())
			}
			if test.status == http.StatusSeeOther {
				if page := string(b.do("GET", "/", "").want(http.StatusOK).body); strings.Contains(page, `href="/admin"`) != test.admin {
					t.Errorf("administrator: %t wanted", test.admin)
				}
			} else if !strings.Contains(string(a.body), `role="alert"`) {
				t.Errorf("%s", a.body)
			}
		})
	}
	if strings.Contains(s.log.String(), "CANARY") {
		t.Error("the provider's answer is in the log")
	}
	declined := newBrowser(s)
	u, _ := url.Parse(declined.away(p, "/"))
	declined.do("GET", "/sign-in/callback?error=access_denied&state="+u.Query().Get("state"), "").want(http.StatusForbidden)
}

// A provider that is down keeps nobody from reading reports, and is asked again.
func TestAProviderThatIsDown(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	c := oidcConfig(t, p)
	answer := p.Config.Handler
	var down = true
	var mu sync.Mutex
	p.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		answer.ServeHTTP(w, r)
	})
	s := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	b := newBrowser(s)
	b.do("GET", "/guides", "").want(http.StatusOK)
	b.do("GET", "/sign-in/go", "").want(http.StatusBadGateway)
	mu.Lock()
	down = false
	mu.Unlock()
	b.do("GET", b.away(p, "/"), "").leads("/")
}
