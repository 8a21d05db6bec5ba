package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/diagtest"
)

// What is wrong with the files of --cert and --key is said before anything is sent, by the field and in the reader's language, and
// the program ends with 2. The twin is healthy at a broker that wants the certificate.
func TestCheckTheClientsCertificate(t *testing.T) {
	t.Parallel()
	ca := diagtest.NewCA(t, "test authority")
	mine, other := ca.Issue(t, diagtest.CertOptions{CommonName: "meter 17"}), ca.Issue(t, diagtest.CertOptions{CommonName: "meter 18"})
	start := func() *diagtest.ScriptedPeer {
		return diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server(diagtest.ClientCertRequired(ca))))
	}
	broker, unused := start(), start()
	target := broker.Target()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	authority, cert, key := file("ca.pem", ca.PEM), file("client.pem", mine.CertPEM), file("client.key", mine.KeyPEM)
	foreign, both := file("other.key", other.KeyPEM), file("both.pem", mine.CertPEM+mine.KeyPEM)
	check := func(lang, cert, key string) (int, string, string) {
		args := []string{"check", target, "--lang", lang, "--ca", authority, "--cert", cert}
		if key != "" {
			args = append(args, "--key", key)
		}
		return runHere(t, "", nil, args...)
	}
	for _, keyFile := range []string{key, both} {
		if code, out, errs := check("en", both, keyFile); code != exitOK {
			t.Errorf("both in one file: code %d\n%s%s", code, out, errs)
		}
	}
	if code, out, errs := check("en", cert, key); code != exitOK {
		t.Errorf("the key that fits: code %d\n%s%s", code, out, errs)
	}
	if code, out, errs := check("en", both, ""); code != exitOK {
		t.Errorf("both in one file, named once: code %d\n%s%s", code, out, errs)
	}
	target = unused.Target()
	for _, lang := range []string{"en", "zh"} {
		code, out, errs := check(lang, cert, foreign)
		cause := catalogue.RenderFinding(diag.Finding{Code: "tls.client_key_mismatch"}, diag.TargetInput{}, catalogue.Lang(lang))
		for _, part := range []string{"target.tls.key_pem", cause.Title, cause.Explanation, cause.Fixes[0].Commands[0], cause.Fixes[0].Commands[1]} {
			if code != exitUsage || out != "" || !strings.Contains(errs, part) {
				t.Errorf("another device's key in %s: code %d, %q in %q", lang, code, part, errs)
			}
		}
	}
	// What openssl makes of the same certificate and key.
	diagtest.Require(t, "openssl")
	made := func(name string, args ...string) string {
		path := filepath.Join(dir, name)
		if out, err := exec.CommandContext(t.Context(), "openssl", append(args, "-out", path)...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return path
	}
	p12 := made("client.p12", "pkcs12", "-export", "-in", cert, "-inkey", key, "-passout", "pass:x")
	for _, c := range []struct{ cert, key, says string }{
		{cert, made("encrypted.key", "pkcs8", "-topk8", "-in", key, "-passout", "pass:x"), "passphrase"},
		{key, cert, "Swap them"},
		{cert, cert, "This is a certificate, not a private key"},
		{made("client.der", "x509", "-in", cert, "-outform", "der"), key, "openssl x509 -inform der"},
		{cert, made("key.der", "pkey", "-in", key, "-outform", "der"), "openssl pkey -inform der"},
		{p12, p12, "openssl pkcs12 -in client.p12 -clcerts"},
		{p12, "", "openssl pkcs12 -in client.p12 -clcerts"},
		{made("certs.p7b", "crl2pkcs7", "-nocrl", "-certfile", cert), key, "openssl pkcs7 -print_certs"},
		{cert, made("public.pem", "pkey", "-in", key, "-pubout"), "public key"},
	} {
		if code, out, errs := check("en", c.cert, c.key); code != exitUsage || out != "" || !strings.Contains(errs, c.says) {
			t.Errorf("--cert %s --key %s: code %d, %q does not say %q", c.cert, c.key, code, errs, c.says)
		}
	}
	if unused.Connections() != 0 {
		t.Error("the broker was connected to with a certificate that could not be used")
	}
}
