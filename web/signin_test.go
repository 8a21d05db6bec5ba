package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"golang.org/x/crypto/bcrypt"

	"mqttdoctor/diag/guard"
	"mqttdoctor/web/signin"
)

// passwordFile holds ada, who is an administrator, and bob. Their passwords are their names backwards.
func passwordFile(t *testing.T, names ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "people")
	writePasswords(t, path, names...)
	return path
}

func writePasswords(t *testing.T, path string, names ...string) {
	t.Helper()
	var b strings.Builder
	for _, name := range names {
		hash, err := bcrypt.GenerateFromPassword([]byte(passwordOf(name)), 5)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(name + ":" + string(hash) + "\n")
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func passwordOf(name string) string { return "CANARY-of-" + name }

func basicConfig(t *testing.T) Config {
	c := testConfig(t)
	c.SignIn.Method, c.SignIn.File, c.SignIn.Admins = signin.Basic, passwordFile(t, "ada", "bob"), []string{"ada"}
	return c
}

// browser keeps cookies, follows nothing, and says what browsers say.
type browser struct {
	*testServer
	cookies map[string]*http.Cookie
	headers []string
}

func newBrowser(s *testServer, headers ...string) *browser {
	client := *s.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	alike := *s
	alike.client = &client
	return &browser{testServer: &alike, cookies: map[string]*http.Cookie{}, headers: headers}
}

func (b *browser) do(method, path, body string, header ...string) answer {
	b.t.Helper()
	var pairs []string
	for name, c := range b.cookies {
		pairs = append(pairs, name+"="+c.Value)
	}
	if len(pairs) > 0 {
		header = append(header, "Cookie", strings.Join(pairs, "; "))
	}
	a := b.testServer.do(method, path, body, append(append([]string{"Sec-Fetch-Site", "same-origin"}, b.headers...), header...)...)
	for _, line := range a.header.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			b.t.Fatal(err)
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	return a
}

func (b *browser) form(path string, values ...string) answer {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i < len(values); i += 2 {
		v.Set(values[i], values[i+1])
	}
	return b.do("POST", path, v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// leads checks a redirect.
func (a answer) leads(to string) {
	a.t.Helper()
	if got := a.want(http.StatusSeeOther).header.Get("Location"); got != to {
		a.t.Fatalf("leads to %s, want %s", got, to)
	}
}

func (b *browser) start(body string) started {
	b.t.Helper()
	var st started
	b.do("POST", "/api/v1/runs", body).want(http.StatusAccepted).json(&st)
	return st
}

func (b *browser) signIn(name string) {
	b.t.Helper()
	b.form("/sign-in", "name", name, "password", passwordOf(name), "next", "/").leads("/")
}

func (b *browser) session() *http.Cookie {
	for name, c := range b.cookies {
		if strings.HasSuffix(name, "mqttdoctor_session") {
			return c
		}
	}
	return nil
}

func TestPeopleSignInByPassword(t *testing.T) {
	t.Parallel()
	s := startServer(t, basicConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	b := newBrowser(s)

	// Nobody gets past the door, and comes back to where he wanted to go.
	b.do("GET", "/console?url=mqtt://u:CANARY@h", "").leads("/sign-in?next=%2Fconsole")
	if page := string(b.do("GET", "/sign-in?next=%2Fconsole", "").want(http.StatusOK).body); !strings.Contains(page, `value="/console"`) {
		t.Errorf("the page forgets where to go: %s", page)
	}
	b.do("POST", "/api/v1/runs", plainRun).wantError(http.StatusUnauthorized, "sign_in_needed")
	wrong := b.form("/sign-in", "name", "bob", "password", "CANARY", "next", "/console").want(http.StatusForbidden)
	if b.session() != nil || !strings.Contains(string(wrong.body), `role="alert"`) || strings.Contains(string(wrong.body), "CANARY") {
		t.Errorf("%s", wrong.body)
	}

	// In.
	b.form("/sign-in", "name", "bob", "password", passwordOf("bob"), "next", "//evil.test/").leads("/")
	c := b.session()
	if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Fatalf("cookie %+v", c)
	}
	if page := string(b.do("GET", "/", "").want(http.StatusOK).body); !strings.Contains(page, "Signed in as bob") || strings.Contains(page, `href="/admin"`) {
		t.Error("the header does not say who is signed in")
	}
	run := b.start(plainRun)

	// The link is for everybody, who may do nothing with it.
	stranger := newBrowser(s)
	page := string(stranger.do("GET", "/runs/"+run.ID, "").want(http.StatusOK).body)
	if strings.Contains(page, "/rerun") || strings.Contains(page, "/delete") || !strings.Contains(page, "/sign-in?next=%2Fruns%2F"+run.ID) {
		t.Error("a reader gets buttons that do nothing for him, or no way in")
	}
	stranger.do("DELETE", "/api/v1/runs/"+run.ID, "").wantError(http.StatusUnauthorized, "token_missing")
	stranger.do("POST", "/api/v1/runs/"+run.ID+"/rerun", "").wantError(http.StatusUnauthorized, "sign_in_needed")

	// Somebody else at the same browser does not inherit it, an administrator may erase it.
	b.form("/sign-out").leads("/sign-in?out")
	if b.session() != nil {
		t.Error("the cookie stays")
	}
	ada := newBrowser(s)
	ada.cookies["mqttdoctor_owner"] = b.cookies["mqttdoctor_owner"]
	ada.signIn("ada")
	if ada.session().Value == c.Value {
		t.Error("a session's value came twice")
	}
	b.cookies["mqttdoctor_session"] = c
	b.do("GET", "/", "").leads("/sign-in?next=%2F") // the old value is worth nothing
	delete(b.cookies, "mqttdoctor_session")
	again := newBrowser(s)
	again.cookies["mqttdoctor_owner"] = b.cookies["mqttdoctor_owner"]
	again.do("DELETE", "/api/v1/runs/"+run.ID, "").want(http.StatusForbidden)
	ada.do("DELETE", "/api/v1/runs/"+run.ID, "").want(http.StatusNoContent)

	if strings.Contains(s.log.String(), "CANARY") {
		t.Error("a password is in the log")
	}
}

// Nobody can slip a session to somebody else, nor have one made by a page of another site.
func TestSessionsAreMadeAnewAndForThisSiteAlone(t *testing.T) {
	t.Parallel()
	c := basicConfig(t)
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	s := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	planted := strings.Repeat("A", 26)

	b := newBrowser(s)
	b.cookies["mqttdoctor_session"] = &http.Cookie{Value: planted}
	b.signIn("bob")
	if b.session().Value == planted {
		t.Error("the session has the value that was there before")
	}
	first := b.session()
	b.signIn("bob")
	stale := newBrowser(s)
	stale.cookies[first.Name] = first
	stale.do("GET", "/", "").leads("/sign-in?next=%2F")

	form := url.Values{"name": {"bob"}, "password": {passwordOf("bob")}}.Encode()
	for _, site := range []string{"cross-site", "same-site"} {
		a := s.do("POST", "/sign-in", form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", site)
		if a.status != http.StatusForbidden || len(a.header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %d", site, a.status)
		}
		out := b.do("POST", "/sign-out", "", "Sec-Fetch-Site", site)
		if out.status != http.StatusForbidden {
			t.Errorf("%s: %d", site, out.status)
		}
	}
	b.do("GET", "/", "").want(http.StatusOK)

	// Over HTTPS the cookie can be set by this host alone, and one that plain HTTP could have set is not looked at.
	tls := newBrowser(s, "X-Forwarded-Proto", "https")
	tls.cookies["mqttdoctor_session"] = b.session()
	tls.do("GET", "/", "").leads("/sign-in?next=%2F")
	tls.signIn("bob")
	if c := tls.cookies["__Host-mqttdoctor_session"]; c == nil || !c.Secure || c.Path != "/" || c.Domain != "" || !c.HttpOnly {
		t.Errorf("cookie %+v", c)
	}
	tls.do("GET", "/", "").want(http.StatusOK)
}

func TestProgramsSignInWithEachRequest(t *testing.T) {
	t.Parallel()
	s := startServer(t, basicConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	auth := func(name, password string) []string {
		r, _ := http.NewRequest("GET", "/", nil)
		r.SetBasicAuth(name, password)
		return []string{"Authorization", r.Header.Get("Authorization")}
	}
	a := s.do("POST", "/api/v1/runs", plainRun)
	a.wantError(http.StatusUnauthorized, "sign_in_needed")
	if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("challenge %q", a.header.Get("WWW-Authenticate"))
	}
	if a := s.do("POST", "/api/v1/runs", plainRun, "Sec-Fetch-Site", "same-origin"); strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic") {
		t.Error("a browser would ask for the password over the page")
	}
	run := s.start(plainRun, auth("bob", passwordOf("bob"))...)
	s.start(plainRun, auth("bob", passwordOf("bob"))...)
	s.do("DELETE", "/api/v1/runs/"+run.ID, "", auth("bob", passwordOf("bob"))...).want(http.StatusNoContent)
	s.do("GET", "/", "", auth("bob", passwordOf("bob"))...).want(http.StatusOK)
	s.do("POST", "/api/v1/runs", plainRun, auth("bob", passwordOf("ada"))...).wantError(http.StatusUnauthorized, "wrong_password")
	s.do("POST", "/api/v1/runs", plainRun, auth("eve", "x")...).wantError(http.StatusUnauthorized, "wrong_password")
	for range 30 {
		a = s.do("POST", "/api/v1/runs", plainRun, auth("bob", "x")...)
	}
	a.wantError(http.StatusTooManyRequests, "too_many_tries")
	if a.header.Get("Retry-After") == "" {
		t.Error("it does not say for how long")
	}
}

// A password file that changes counts at once, and a session goes with the password that it was begun with.
func TestPasswordsThatChangeEndSessions(t *testing.T) {
	t.Parallel()
	c := basicConfig(t)
	s := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	ada, bob := newBrowser(s), newBrowser(s)
	ada.signIn("ada")
	bob.signIn("bob")
	writePasswords(t, c.SignIn.File, "bob", "eve", "zoe") // bob's hash has another salt
	newBrowser(s).signIn("eve")
	ada.do("GET", "/", "").leads("/sign-in?next=%2F")
	bob.do("GET", "/", "").leads("/sign-in?next=%2F")
	bob.signIn("bob")
	if err := os.WriteFile(c.SignIn.File, []byte("half a li"), 0o600); err != nil {
		t.Fatal(err)
	}
	bob.do("GET", "/", "").want(http.StatusOK)
}

func TestTheProxySaysWhoItIs(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.SignIn.Method, c.SignIn.Admins, c.SignIn.GroupsHeader = signin.Proxy, []string{"group:chiefs"}, "X-Groups"
	c.SignIn.Allow, c.SignIn.LeaveURL, c.SignIn.NameHeader = []string{"@here.test"}, "/oauth2/sign_out", "X-Name"
	if err := c.check(); err == nil || !strings.Contains(err.Error(), "--trusted-proxies") {
		t.Errorf("got %v", err)
	}
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	s := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))

	a := newBrowser(s, "X-Forwarded-User", "bob@here.test", "X-Name", "Bob")
	page := string(a.do("GET", "/", "").want(http.StatusOK).body)
	if !strings.Contains(page, "Signed in as Bob") || !strings.Contains(page, `href="/oauth2/sign_out"`) || strings.Contains(page, `href="/admin"`) {
		t.Errorf("%s", page)
	}
	a.start(plainRun)
	if page := newBrowser(s, "X-Forwarded-User", "amy", "X-Groups", "all, chiefs").do("GET", "/", "").want(http.StatusOK).body; !strings.Contains(string(page), `href="/admin"`) {
		t.Error("the group's member is no administrator")
	}
	for _, headers := range [][]string{nil, {"X-Forwarded-User", "eve@there.test"}, {"X-Forwarded-User", strings.Repeat("a", 300) + "@here.test"}} {
		newBrowser(s, headers...).do("GET", "/", "").want(http.StatusUnauthorized)
	}

	c.TrustedProxies, c.Data = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, t.TempDir()
	past := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	newBrowser(past, "X-Forwarded-User", "bob@here.test").do("GET", "/", "").want(http.StatusUnauthorized)
}

// openRoutes are what stands open where people sign in: reports for whoever has their link, and what holds nothing of anybody.
var openRoutes = []string{
	"GET /healthz", "GET /readyz", "GET /metrics", "GET /static/*",
	"GET /runs/{id}", "GET /runs/{id}.json", "GET /runs/{id}.md", "GET /runs/{id}.html", "GET /runs/{id}/chain.pem", "GET /runs/{id}/live",
	"POST /runs/{id}/cancel", "POST /runs/{id}/delete", "POST /runs/{id}/share", // their own rights
	"GET /compare", "GET /guides", "GET /guides/{symptom}", "GET /causes", "POST /settings",
	"GET /api/openapi.json", "GET /api/v1/runs/{id}", "GET /api/v1/runs/{id}/history", "GET /api/v1/compare", "GET /api/v1/runs/{id}/share", "PUT /api/v1/runs/{id}/share", "DELETE /api/v1/runs/{id}", "POST /api/v1/runs/{id}/cancel", "GET /api/v1/runs/{id}/stream",
	"GET /api/v1/checks", "GET /api/v1/causes", "POST /api/v1/topic-match", "POST /api/v1/client-code",
	"GET /api/v1/runs/{id}/trace", "PUT /api/v1/runs/{id}/trace", "DELETE /api/v1/runs/{id}/trace", "POST /runs/{id}/trace/delete", // as their run
	// Whoever has a request's link may run what was asked for; its helper more.
	"GET /requests/{id}", "GET /requests/{id}/live", "POST /requests/{id}/runs", "POST /requests/{id}/delete", "POST /requests/{id}/runs/{run}/rerun",
	"GET /api/v1/requests/{id}", "DELETE /api/v1/requests/{id}", "POST /api/v1/requests/{id}/runs", "POST /api/v1/requests/{id}/wish",
	"GET /api/v1/requests/{id}/stream",
	// A console's address is its key, for MQTT clients too.
	"DELETE /api/v1/console/{id}", "GET /api/v1/console/{id}/mqtt", "GET /api/v1/console/{id}/trace", "GET /api/v1/console/{id}/trace.json",
	"GET /api/v1/console/{id}/trace.pcapng",
	"GET /sign-in", "POST /sign-in", "POST /sign-out",
}

func TestEveryOtherRouteTakesSomebody(t *testing.T) {
	t.Parallel()
	s := startServer(t, basicConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	var open []string
	b := newBrowser(s)
	err := chi.Walk(s.server.router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		path := strings.NewReplacer("{id}", strings.Repeat("a", 34), "{run}", strings.Repeat("b", 34), "{symptom}", "tls", "{scenario}", "healthy").Replace(route)
		a := b.do(method, path, "")
		shut := a.status == http.StatusUnauthorized && strings.Contains(string(a.body), "sign_in_needed") ||
			a.status == http.StatusSeeOther && strings.HasPrefix(a.header.Get("Location"), "/sign-in?next")
		if !shut {
			open = append(open, method+" "+route)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range open {
		if !slices.Contains(openRoutes, route) {
			t.Errorf("%s is open: put it into the group that takes people, or on the list above", route)
		}
	}
	for _, route := range openRoutes {
		if !slices.Contains(open, route) {
			t.Errorf("%s is shut, or not there", route)
		}
	}
}

func TestSignInFlags(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"--sign-in basic", "--password-file"},
		{"--sign-in basic --password-file x --session-life 1s", "--session-life"},
		{"--sign-in proxy --trusted-proxies 10.0.0.1 --sign-in-header=", "--sign-in-header"},
		{"--sign-in proxy", "--trusted-proxies"},
		{"--sign-in oidc", "--oidc-issuer"},
		{"--sign-in oidc --oidc-issuer https://x.test", "--oidc-client-id"},
		{"--sign-in oidc --oidc-issuer https://x.test --oidc-client-id a --listen :80", "--public-url"},
		{"--admins ada", "--sign-in"},
		{"--sign-in magic", "sign-in"},
		{"--sign-in basic --password-file x --admins ada,@x.test,group:y", ""},
	} {
		_, err := ParseConfig(strings.Fields(test.args), func(string) string { return "" }, nil)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", test.args, err)
		}
	}
}
