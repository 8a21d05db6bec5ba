package probe

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/ocsp"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// FuzzServedCertificates reads any bytes as what a server presents: certificates one behind the other, and a stapled OCSP
// response.
func FuzzServedCertificates(f *testing.F) {
	root := diagtest.NewCA(f, "root")
	middle := root.Intermediate(f, "middle")
	leaf := middle.Issue(f, diagtest.CertOptions{AIA: "http://ca.test/middle.crt", OCSPServers: []string{"http://ocsp.test"}})
	ders := func(text string) []byte {
		var out []byte
		for rest := []byte(text); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				return out
			}
			out = append(out, block.Bytes...)
		}
	}
	staple := middle.OCSP(f, leaf, ocsp.Good)
	f.Add(ders(leaf.CertPEM), staple)
	f.Add(ders(diagtest.SelfSigned(f, diagtest.CertOptions{CNOnly: true}).CertPEM), []byte{})
	f.Add(append(ders(middle.PEM), ders(root.PEM)...), []byte{0x30, 3, 0x0a, 1, 6})
	env := &diag.Env{Target: diag.Target{Host: "broker.test"}, Roots: root.Pool(), Now: time.Now}
	env.Target.TLS.CAPEM = root.PEM
	f.Fuzz(func(t *testing.T, served, staple []byte) {
		chain, err := x509.ParseCertificates(served)
		if err != nil || len(chain) == 0 || len(chain) > maxChain {
			return
		}
		h := &diag.TLSHandshake{Outcome: diag.OutcomeOK, ServerHello: true}
		for _, c := range chain {
			h.Chain = append(h.Chain, certFact(c))
		}
		trust := newTrust(env, chain)
		h.Trust = trust.judge("broker.test")
		h.OCSPStaple, h.StapleAt = trust.readOCSP(staple)
		if h.Trust.Trusted() && len(h.Trust.Path) == 0 {
			t.Error("trusted without a path")
		}
		for _, e := range h.Facts() {
			if !utf8.ValidString(e.Value) {
				t.Errorf("%s is not UTF-8: %q", e.Key, e.Value)
			}
		}
		lacksIssuer(h)
	})
}

func FuzzPlainAlert(f *testing.F) {
	f.Add([]byte{0x15, 3, 3, 0, 2, 2, 40})
	f.Add([]byte{0x15, 3, 1, 0, 2, 2, 255, 0x15, 3})
	f.Fuzz(func(t *testing.T, first []byte) {
		if alert, ok := plainAlert(first); ok && alert.Name == "" {
			t.Errorf("alert %d has no name", alert.Number)
		}
	})
}
