package diagtest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ocsp"
)

// handshake dials a TLS server and returns what the client thinks of it.
func handshake(t *testing.T, server *tls.Config, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	p := TLSPeer(t, server, func(conn net.Conn) { Silent(conn) })
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: startLimit}, "tcp", p.Addr, client)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

func TestCertificatesAreBrokenAsTheySay(t *testing.T) {
	ca := NewCA(t, "root")
	intermediate := ca.Intermediate(t, "intermediate")
	expired := ca.ExpiredIntermediate(t, "expired intermediate")
	invalid := func(reason x509.InvalidReason) func(error) bool {
		return func(err error) bool {
			var e x509.CertificateInvalidError
			return errors.As(err, &e) && e.Reason == reason
		}
	}
	good := func(err error) bool { return err == nil }
	unknown := func(err error) bool { var e x509.UnknownAuthorityError; return errors.As(err, &e) }
	wrongName := func(err error) bool { var e x509.HostnameError; return errors.As(err, &e) }
	for _, test := range []struct {
		name string
		cert *Cert
		want func(error) bool
	}{
		{"valid", ca.Issue(t, CertOptions{}), good},
		{"RSA 1024", ca.Issue(t, CertOptions{RSABits: 1024}), func(err error) bool { return err == nil || strings.Contains(err.Error(), "1024") }},
		{"RSA 2048", ca.Issue(t, CertOptions{RSABits: 2048}), good},
		{"expired", ca.Issue(t, CertOptions{Expired: true}), invalid(x509.Expired)},
		{"not yet valid", ca.Issue(t, CertOptions{NotYetValid: true}), invalid(x509.Expired)},
		{"wrong name", ca.Issue(t, CertOptions{Names: []string{"other.test"}}), wrongName},
		{"common name only", ca.Issue(t, CertOptions{CNOnly: true}), wrongName},
		{"self-signed", SelfSigned(t, CertOptions{}), unknown},
		{"false authority of the same name", NewCA(t, "root").Issue(t, CertOptions{}), unknown},
		{"client certificate as server", ca.Issue(t, CertOptions{ClientOnly: true}), invalid(x509.IncompatibleUsage)},
		{"intermediate served", intermediate.Issue(t, CertOptions{}), good},
		{"intermediate missing", intermediate.Issue(t, CertOptions{OmitIntermediate: true}), unknown},
		// Go tries what it can and reports the unknown authority with the expiry as a hint.
		{"intermediate expired", expired.Issue(t, CertOptions{}), func(err error) bool { return err != nil }},
		{"SHA-1", ca.Issue(t, CertOptions{SHA1: true}), func(err error) bool { return err != nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := handshake(t, test.cert.Server(), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
			if !test.want(err) {
				t.Errorf("got %v", err)
			}
			if _, err := handshake(t, test.cert.Server(), &tls.Config{InsecureSkipVerify: true}); err != nil {
				t.Errorf("without verification: %v", err)
			}
		})
	}
}

func TestClientCertificates(t *testing.T) {
	ca := NewCA(t, "root")
	server := ca.Issue(t, CertOptions{}).Server(ClientCertRequired(ca), MaxTLS(tls.VersionTLS12))
	client := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
	if _, err := handshake(t, server, client); err == nil {
		t.Error("a handshake without client certificate succeeded")
	}
	client.Certificates = []tls.Certificate{ca.Issue(t, CertOptions{ClientOnly: true}).TLS}
	state, err := handshake(t, server, client)
	if err != nil || state.Version != tls.VersionTLS12 {
		t.Errorf("with one: version %x, %v", state.Version, err)
	}
}

func TestCertificateExtras(t *testing.T) {
	ca := NewCA(t, "root")
	cert := ca.Intermediate(t, "below").Issue(t, CertOptions{AIA: "http://127.0.0.1/ca", OCSPServers: []string{"http://127.0.0.1/ocsp"},
		CRLs: []string{"http://127.0.0.1/crl"}, MustStaple: true, Names: []string{"a.test"}})
	leaf := cert.Leaf
	if leaf.Subject.CommonName != "a.test" || leaf.IssuingCertificateURL[0] != "http://127.0.0.1/ca" ||
		leaf.OCSPServer[0] == "" || leaf.CRLDistributionPoints[0] == "" {
		t.Errorf("leaf: %+v", leaf.Subject)
	}
	if strings.Count(cert.CertPEM, "BEGIN CERTIFICATE") != 2 || !strings.Contains(cert.KeyPEM, "PRIVATE KEY") {
		t.Error("the PEM does not hold leaf, intermediate and key")
	}
	certFile, keyFile := cert.Files(t)
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(ca.File(t))
	if block, _ := pem.Decode(data); err != nil || block == nil {
		t.Errorf("CA file: %v", err)
	}
	direct := ca.Issue(t, CertOptions{})
	response, err := ocsp.ParseResponseForCert(ca.OCSP(t, direct, ocsp.Revoked), direct.Leaf, ca.Cert)
	if err != nil || response.Status != ocsp.Revoked {
		t.Errorf("OCSP: %+v %v", response, err)
	}
	list, err := x509.ParseRevocationList(ca.CRL(t, direct))
	if err != nil || len(list.RevokedCertificateEntries) != 1 || list.CheckSignatureFrom(ca.Cert) != nil {
		t.Errorf("CRL: %v", err)
	}
}
