package web

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

// The key of another device is refused over the interface and on the page before anything is sent, in the words of the cause and
// with the commands that show it. The twin, with the key that fits, is a healthy run at a broker that wants the certificate.
func TestKeyOfAnotherDevice(t *testing.T) {
	s := realServer(t, guard.Laptop)
	ca := diagtest.NewCA(t, "test authority")
	mine, other := ca.Issue(t, diagtest.CertOptions{CommonName: "meter 17"}), ca.Issue(t, diagtest.CertOptions{CommonName: "meter 18"})
	broker := diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server(diagtest.ClientCertRequired(ca))))
	run := func(key string) map[string]any {
		return map[string]any{"target": map[string]any{"url": broker.Target(), "tls": map[string]any{"ca_pem": ca.PEM, "cert_pem": mine.CertPEM, "key_pem": key}}}
	}
	if r := s.finish(run(mine.KeyPEM)); r.Verdict != string(diag.OverallHealthy) {
		t.Errorf("with the key that fits: %s, %+v", r.Verdict, r.RootCause)
	}
	before := broker.Connections()
	for _, lang := range []string{"en", "zh"} {
		cause := catalogue.RenderFinding(diag.Finding{Code: "tls.client_key_mismatch"}, diag.TargetInput{}, catalogue.Lang(lang))
		var refused struct {
			Error struct {
				Code   string
				Fields map[string]string
			}
		}
		s.do("POST", "/api/v1/runs", toJSON(t, run(other.KeyPEM)), "Accept-Language", lang).want(http.StatusBadRequest).json(&refused)
		form := url.Values{"target.url": {broker.Target()}, "target.tls.ca_pem": {ca.PEM}, "target.tls.cert_pem": {mine.CertPEM}, "target.tls.key_pem": {other.KeyPEM}}
		page := s.do("POST", "/runs", form.Encode(), "Accept-Language", lang, "Content-Type", "application/x-www-form-urlencoded").want(http.StatusBadRequest)
		for where, said := range map[string]string{"interface": refused.Error.Fields["target.tls.key_pem"], "page": html.UnescapeString(string(page.body))} {
			for _, part := range []string{cause.Title, cause.Explanation, "tls.client_key_mismatch", cause.Fixes[0].Commands[0], cause.Fixes[0].Commands[1]} {
				if !strings.Contains(said, part) {
					t.Errorf("%s in %s: does not say %q", where, lang, part)
				}
			}
			if strings.Contains(said, "PRIVATE KEY-----\n"+strings.Split(other.KeyPEM, "\n")[1]) {
				t.Errorf("%s in %s: shows the key", where, lang)
			}
		}
	}
	if broker.Connections() != before {
		t.Error("the broker was connected to with a key that does not fit")
	}
}

// A file that holds both is taken as such, and its key is nowhere to be seen.
func TestCertificateAndKeyInOneFile(t *testing.T) {
	s := realServer(t, guard.Laptop)
	ca := diagtest.NewCA(t, "test authority")
	mine := ca.Issue(t, diagtest.CertOptions{CommonName: "meter 17"})
	broker := diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server(diagtest.ClientCertRequired(ca))))
	st := s.start(toJSON(t, map[string]any{"target": map[string]any{"url": broker.Target(), "tls": map[string]any{"ca_pem": ca.PEM, "cert_pem": mine.CertPEM + mine.KeyPEM}}}))
	s.watch(st.ID, "")
	if r := s.report(st.ID); r.Verdict != string(diag.OverallHealthy) {
		t.Errorf("is %s, %+v", r.Verdict, r.RootCause)
	}
	secret := strings.Split(mine.KeyPEM, "\n")[1]
	for _, path := range []string{"/runs/" + st.ID, "/runs/" + st.ID + ".html", "/api/v1/runs/" + st.ID} {
		if strings.Contains(string(s.do("GET", path, "").want(http.StatusOK).body), secret) {
			t.Errorf("%s shows the key", path)
		}
	}
	swapped := url.Values{"target.url": {broker.Target()}, "target.tls.cert_pem": {mine.KeyPEM}, "target.tls.key_pem": {mine.CertPEM}}
	page := s.do("POST", "/runs", swapped.Encode(), "Content-Type", "application/x-www-form-urlencoded").want(http.StatusBadRequest)
	if body := html.UnescapeString(string(page.body)); strings.Contains(body, secret) || !strings.Contains(body, "Swap them") {
		t.Error("the page shows the key that was typed into the certificate's field, or does not say that it is in the wrong one")
	}
	if strings.Contains(s.log.String(), secret) {
		t.Error("the log holds the key")
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
