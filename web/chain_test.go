package web

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

// TestServedCertificatesCanBeKept: what was served is on the page with its fingerprint, and as a file.
func TestServedCertificatesCanBeKept(t *testing.T) {
	ca := diagtest.NewCA(t, "private authority")
	cert := ca.Issue(t, diagtest.CertOptions{})
	e := testEngine(guard.Laptop, diag.Probe{ID: "tls.handshake", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
		Run: func(context.Context, *diag.Env, diag.Subject) diag.Result {
			return diag.Passed(&diag.TLSHandshake{Outcome: diag.OutcomeOK, Chain: []diag.CertFact{
				{Subject: "CN=broker.test", Issuer: "CN=private authority", SHA256: "ab12", PEM: cert.CertPEM},
				{Subject: "CN=private authority", SHA256: "cd34", PEM: ca.PEM},
			}}, diag.N("step.test"))
		}}, passing("dns.test"))
	s := startServer(t, testConfig(t), e)
	var st started
	s.do("POST", "/api/v1/runs", `{"target":{"url":"mqtts://broker.test"}}`).want(http.StatusAccepted).json(&st)
	s.watch(st.ID, "")

	file := s.do("GET", "/runs/"+st.ID+"/chain.pem?step=tls.handshake", "").want(http.StatusOK)
	if string(file.body) != cert.CertPEM+ca.PEM || !strings.Contains(file.header.Get("Content-Disposition"), "chain.pem") {
		t.Errorf("%v\n%s", file.header, file.body)
	}
	for _, path := range []string{"/runs/" + st.ID, "/runs/" + st.ID + ".html"} {
		if page := s.do("GET", path, "").want(http.StatusOK).body; !bytes.Contains(page, []byte("SHA-256 AB:12")) {
			t.Errorf("%s shows no fingerprint", path)
		}
	}
	s.do("GET", "/runs/"+st.ID+"/chain.pem?step=dns.test", "").want(http.StatusNotFound)
	s.do("GET", "/runs/AAAAAAAAAAAAAAAAAAAAAAAAAA/chain.pem", "").want(http.StatusNotFound)
}
