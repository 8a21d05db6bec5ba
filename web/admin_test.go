package web

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
	"mqttdoctor/handlers"
)

// The audit log says who did what with which target and from where, holds no secret and no link, and is for administrators alone.
func TestAdministratorsSeeWhoDiagnosedWhat(t *testing.T) {
	t.Parallel()
	c := basicConfig(t)
	c.SignIn.File = passwordFile(t, "ada", "bob", "=cmd")
	s := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	bob, ada, formula := newBrowser(s), newBrowser(s), newBrowser(s)
	bob.form("/sign-in", "name", "CANARY-typed-into-the-name", "password", "x")
	bob.form("/sign-in", "name", "bob", "password", "CANARY-wrong")
	bob.signIn("bob")
	run := bob.start(`{"target":{"url":"wss://broker.test:8443/CANARY-path","username":"CANARY-user","password":"CANARY-password"},"lang":"en"}`)
	formula.signIn("=cmd")
	formula.start(plainRun)
	bob.do("POST", "/api/v1/console", `{"target":{"url":"mqtt://console.test:1883"}}`).want(http.StatusCreated)
	bob.do("DELETE", "/api/v1/runs/"+run.ID, "").want(http.StatusNoContent)
	for _, path := range []string{"/admin", "/admin/audit", "/admin/audit.csv", "/admin/limits"} {
		bob.do("GET", path, "").want(http.StatusForbidden)
		if a := newBrowser(s).do("GET", path, ""); a.status != http.StatusSeeOther {
			t.Errorf("%s: %d for a stranger", path, a.status)
		}
	}
	bob.form("/admin/limits", "max-runs", "1").want(http.StatusForbidden)
	bob.form("/sign-out")

	ada.signIn("ada")
	for _, lang := range []string{"en", "zh"} {
		for _, path := range []string{"/admin", "/admin/audit", "/admin/limits"} {
			if page := string(ada.do("GET", path+"?lang="+lang, "").want(http.StatusOK).body); strings.Contains(page, ">admin.") || strings.Contains(page, ">signin.") {
				t.Errorf("%s has no text in %s", path, lang)
			}
		}
	}
	ada.do("GET", "/admin?lang=en", "")
	if page := string(ada.do("GET", "/admin?target=BROKER", "").want(http.StatusOK).body); !strings.Contains(page, "mqtt://broker.test:1883") || !strings.Contains(page, "=cmd") {
		t.Errorf("%s", page)
	}
	page := string(ada.do("GET", "/admin/audit?person=bob", "").want(http.StatusOK).body)
	if strings.Contains(page, run.ID) || strings.Contains(page, "=cmd") || !strings.Contains(page, tagOf(run.ID)) || !strings.Contains(page, "audit.csv?person=bob") {
		t.Errorf("%s", page)
	}

	a := ada.do("GET", "/admin/audit.csv", "").want(http.StatusOK)
	if strings.Contains(string(a.body), "CANARY") {
		t.Errorf("a secret is in the audit log: %s", a.body)
	}
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(a.body), "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, l := range lines[1:] {
		acts = append(acts, strings.TrimSpace(l[2]+" "+l[5]+" "+l[7]))
		if l[4] != "127.0.0.1" {
			t.Errorf("client %q", l[4])
		}
	}
	slices.Reverse(acts)
	want := []string{"sign_in_refused", "bob sign_in_refused", "bob sign_in", "bob run wss://broker.test:8443", "'=cmd sign_in", "'=cmd run mqtt://broker.test:1883",
		"bob console mqtt://console.test:1883", "bob erase wss://broker.test:8443", "bob sign_out", "ada sign_in"}
	if !slices.Equal(acts, want) {
		t.Errorf("%q, want %q", acts, want)
	}
}

// Without sign-in nobody is an administrator, and nothing is noted about anybody.
func TestNothingIsNotedWhereNobodySignsIn(t *testing.T) {
	t.Parallel()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	s.start(plainRun)
	s.do("GET", "/admin", "").want(http.StatusNotFound)
	s.do("GET", "/sign-in", "").want(http.StatusNotFound)
	if lines, err := (admin{store: s.server.store}).Audit(t.Context(), handlers.AuditQuery{Limit: 10}); err != nil || len(lines) != 0 {
		t.Errorf("%v, %v", lines, err)
	}
}

func TestAdministratorsSetLimits(t *testing.T) {
	t.Parallel()
	g := newGate()
	c := basicConfig(t)
	s := startServer(t, c, testEngine(guard.Laptop, g.probe("mqtt.test")))
	ada := newBrowser(s)
	ada.signIn("ada")
	for _, wrong := range []string{"0", "-1", "x", "1.5"} {
		if page := string(ada.form("/admin/limits", "max-runs", wrong, "retention", "7d").want(http.StatusBadRequest).body); strings.Count(page, `role="alert"`) != 1 {
			t.Errorf("%s: %s", wrong, page)
		}
	}
	ada.form("/admin/limits", "retention", "1s").want(http.StatusBadRequest)
	ada.form("/admin/limits", "max-database", "1MB").want(http.StatusBadRequest)
	if l := s.server.runs.limits(); l != c.limits() {
		t.Errorf("a wrong value has changed limits: %+v", l)
	}

	ada.form("/admin/limits", "max-runs", "1", "retention", "7d", "max-consoles", "").leads("/admin/limits?saved")
	ada.start(plainRun)
	ada.do("POST", "/api/v1/runs", plainRun).wantError(http.StatusTooManyRequests, "too_many_runs")
	page := string(ada.do("GET", "/admin/limits?saved", "").want(http.StatusOK).body)
	if !strings.Contains(page, `value="7d"`) || !strings.Contains(page, `role="status"`) || !strings.Contains(page, `placeholder="30d"`) {
		t.Errorf("%s", page)
	}
	if csv := string(ada.do("GET", "/admin/audit.csv", "").body); !strings.Contains(csv, "limits,,,max-runs=1 retention=7d") {
		t.Errorf("%s", csv)
	}

	// It outlives the process, and goes back to what is configured.
	close(g.leave)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s = startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	if l := s.server.runs.limits(); l.MaxRuns != 1 || l.Retention.Hours() != 7*24 || l.MaxConsoles != c.MaxConsoles {
		t.Errorf("%+v", l)
	}
	ada = newBrowser(s)
	ada.signIn("ada")
	ada.form("/admin/limits", "max-runs", "", "retention", "").leads("/admin/limits?saved")
	if l := s.server.runs.limits(); l != c.limits() {
		t.Errorf("%+v", l)
	}
}

// What is set, and who is signed in, holds at all servers at one database.
func TestServersShareSessionsAndLimits(t *testing.T) {
	t.Parallel()
	c := basicConfig(t)
	c.DatabaseURL = diag.NewSecret(diagtest.Postgres(t).Database(t))
	one := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	two := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	ada := newBrowser(one)
	ada.signIn("ada")
	there := newBrowser(two)
	there.cookies = ada.cookies
	there.do("GET", "/admin", "").want(http.StatusOK)
	ada.form("/admin/limits", "max-runs", "3").leads("/admin/limits?saved")
	if err := two.server.admin.settings.load(t.Context()); err != nil { // as its tick does
		t.Fatal(err)
	}
	if l := two.server.runs.limits(); l.MaxRuns != 3 {
		t.Errorf("%+v", l)
	}
	kept := *ada.session()
	ada.form("/sign-out")
	there.cookies = map[string]*http.Cookie{kept.Name: &kept}
	there.do("GET", "/admin", "").leads("/sign-in?next=%2Fadmin")
}
