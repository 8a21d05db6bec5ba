package diag

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// given is what users have of a client certificate, in every form that it comes in.
type given struct{ cert, key, certDER, pkcs8, sec1, csr, public string }

func newGiven(t *testing.T) given {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "device"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: template.Subject}, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(crypto.PublicKey(key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	return given{cert: block("CERTIFICATE", cert), key: block("PRIVATE KEY", pkcs8), certDER: string(cert), pkcs8: string(pkcs8), sec1: string(sec1),
		csr: block("CERTIFICATE REQUEST", csr), public: block("PUBLIC KEY", public)}
}

func block(kind string, data []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
}

// asText is what a browser makes of a binary file that it reads as text.
func asText(binary string) string { return string([]rune(binary)) }

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

// Whatever is given in place of a certificate or key is told for what it is, in the field where it stands.
func TestClientCertificateInput(t *testing.T) {
	const cert, key, ca = "target.tls.cert_pem", "target.tls.key_pem", "target.tls.ca_pem"
	a, b := newGiven(t), newGiven(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaDER := string(x509.MarshalPKCS1PrivateKey(rsaKey))
	pkcs12 := "\x30\x82\x09\xc1\x02\x01\x03\x30\x82\x09\x87\x06\x09*\x86H\x86\xf7"
	legacy := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")}))
	parameters := block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	for _, tt := range []struct {
		name          string
		cert, key, ca string
		want          map[string]string
	}{
		{name: "both right", cert: a.cert, key: a.key},
		{name: "as Windows editors save them", cert: "\ufeff" + crlf(a.cert), key: "\ufeff" + crlf(a.key), ca: "\ufeff" + crlf(b.cert)},
		{name: "parameters before the key", cert: a.cert, key: parameters + block("EC PRIVATE KEY", []byte(a.sec1))},
		{name: "both in each field", cert: a.cert + a.key, key: a.cert + a.key},
		{name: "both in the certificate's field", cert: a.cert + a.key},
		{name: "another device's key", cert: a.cert, key: b.key, want: map[string]string{key: "input.key_mismatch"}},
		{name: "a key of another kind", cert: a.cert, key: block("RSA PRIVATE KEY", []byte(rsaDER)), want: map[string]string{key: "input.key_mismatch"}},
		{name: "another certificate first", cert: b.cert + a.cert, key: a.key, want: map[string]string{key: "input.key_mismatch"}},
		{name: "swapped", cert: a.key, key: a.cert, want: map[string]string{cert: "input.cert_key_swapped", key: "input.cert_key_swapped"}},
		{name: "the certificate twice", cert: a.cert, key: a.cert, want: map[string]string{key: "input.key_is_certificate"}},
		{name: "the key twice", cert: a.key, key: a.key, want: map[string]string{cert: "input.cert_is_key"}},
		{name: "the key alone, as certificate", cert: a.key, want: map[string]string{cert: "input.cert_is_key", key: "input.key_missing"}},
		{name: "passphrase, PKCS#8", cert: a.cert, key: block("ENCRYPTED PRIVATE KEY", []byte("x")), want: map[string]string{key: "input.key_encrypted"}},
		{name: "passphrase, legacy", cert: a.cert, key: legacy, want: map[string]string{key: "input.key_encrypted"}},
		{name: "OpenSSH", cert: a.cert, key: block("OPENSSH PRIVATE KEY", []byte("x")), want: map[string]string{key: "input.key_openssh"}},
		{name: "public key", cert: a.cert, key: a.public, want: map[string]string{key: "input.key_is_public"}},
		{name: "damaged key", cert: a.cert, key: block("PRIVATE KEY", []byte("x")), want: map[string]string{key: "input.key_unusable"}},
		{name: "no key", cert: a.cert, key: "hello", want: map[string]string{key: "input.pem_no_key"}},
		{name: "request", cert: a.csr, key: a.key, want: map[string]string{cert: "input.cert_is_request"}},
		{name: "PKCS#7", cert: block("PKCS7", []byte("x")), key: a.key, want: map[string]string{cert: "input.cert_is_pkcs7"}},
		{name: "DER certificate", cert: a.certDER, key: a.key, want: map[string]string{cert: "input.der_certificate"}},
		{name: "DER certificate, read as text", cert: asText(a.certDER), key: a.key, want: map[string]string{cert: "input.der_certificate"}},
		{name: "DER key, PKCS#8", cert: a.cert, key: a.pkcs8, want: map[string]string{key: "input.der_key"}},
		{name: "DER key, SEC 1", cert: a.cert, key: a.sec1, want: map[string]string{key: "input.der_key"}},
		{name: "DER key, PKCS#1", cert: a.cert, key: rsaDER, want: map[string]string{key: "input.der_key"}},
		{name: "DER key, read as text", cert: a.cert, key: asText(rsaDER), want: map[string]string{key: "input.der_key"}},
		{name: "both DER", cert: a.certDER, key: a.pkcs8, want: map[string]string{cert: "input.der_certificate", key: "input.der_key"}},
		{name: "PKCS#12", cert: pkcs12, key: pkcs12, want: map[string]string{cert: "input.der_pkcs12", key: "input.der_pkcs12"}},
		{name: "PKCS#12, read as text", cert: asText(pkcs12), want: map[string]string{cert: "input.der_pkcs12", key: "input.key_missing"}},
		{name: "base64 without lines", cert: base64.StdEncoding.EncodeToString([]byte(a.certDER)), key: a.key, want: map[string]string{cert: "input.pem_no_lines"}},
		{name: "a key as CA", ca: a.key, want: map[string]string{ca: "input.cert_is_key"}},
		{name: "a CA with its key", ca: a.cert + a.key},
		{name: "DER CA", ca: a.certDER, want: map[string]string{ca: "input.der_certificate"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, err := ParseTarget(TargetInput{URL: "mqtts://broker.example.com", TLS: TLSInput{CAPEM: tt.ca, CertPEM: tt.cert, KeyPEM: NewSecret(tt.key)}})
			got := map[string]string{}
			if errs, ok := err.(FieldErrors); ok {
				for field, note := range errs {
					got[field] = note.Key
				}
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("says %v, want %v", got, tt.want)
			}
			if public := target.Public(); slices.ContainsFunc([]string{public.TLS.CertPEM, public.TLS.CAPEM}, func(s string) bool { return strings.Contains(s, "PRIVATE KEY") }) {
				t.Error("a private key is shown as a certificate")
			}
			if err == nil && tt.cert != "" && !target.TLS.KeyPEM.Given() {
				t.Error("the key was lost")
			}
		})
	}
}
