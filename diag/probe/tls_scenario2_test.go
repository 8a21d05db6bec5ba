package probe_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

func TestFurtherTLSScenarios(t *testing.T) {
	t.Parallel()
	for _, c := range furtherTLSScenarios {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// servedAt starts a plain web server that answers every request with a body, and returns its URL.
func servedAt(t *testing.T, contentType string, body []byte) string {
	t.Helper()
	peer := diagtest.PatientHTTPPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		w.Write(body)
	}))
	return peer.URL("http", "/x")
}

// laterBy moves the client's clock.
func laterBy(d time.Duration) func(*diag.Env) {
	return func(env *diag.Env) { env.Now = func() time.Time { return time.Now().Add(d) } }
}

func confidence(want diag.Confidence) func(*testing.T, diag.Finding) {
	return func(t *testing.T, f diag.Finding) {
		if f.Confidence != want {
			t.Errorf("confidence %s, want %s", f.Confidence, want)
		}
	}
}

func severity(want diag.Severity) func(*testing.T, diag.Finding) {
	return func(t *testing.T, f diag.Finding) {
		if f.Severity != want {
			t.Errorf("severity %s, want %s", f.Severity, want)
		}
	}
}

func variant(want string) func(*testing.T, diag.Finding) {
	return func(t *testing.T, f diag.Finding) {
		if f.Variant != want {
			t.Errorf("variant %q, want %q", f.Variant, want)
		}
	}
}

// withClientCert gives the client a certificate.
func withClientCert(in diag.TargetInput, client *diagtest.Cert) diag.TargetInput {
	in.TLS.CertPEM, in.TLS.KeyPEM = client.CertPEM, diag.NewSecret(client.KeyPEM)
	return in
}

func byName(in diag.TargetInput) diag.TargetInput {
	in.URL = strings.Replace(in.URL, "127.0.0.1", "localhost", 1)
	return in
}

// onlyFor makes a server refuse hellos without the server name, as a shared front does.
func onlyFor(name string) func(*tls.Config) {
	return func(config *tls.Config) {
		cert := config.Certificates[0]
		config.Certificates = nil
		config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName != name {
				return nil, errors.New("no such name")
			}
			return &cert, nil
		}
	}
}

var deep = diag.PlanInput{Depth: "deep"}

var furtherTLSScenarios = []tlsCase{
	{name: "name only in the common name", root: "tls.cn_only",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return byName(brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{CNOnly: true, CommonName: "localhost"})))
		}},
	{name: "name among those of the certificate", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return byName(brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{CommonName: "localhost"})))
		}},
	{name: "common name alone, and another one", root: "tls.hostname_mismatch",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return byName(brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{CNOnly: true, CommonName: "broker"})))
		}, check: variant("no_names")},
	{name: "wrong CA file", root: "tls.wrong_ca",
		broken: func(t *testing.T) diag.TargetInput {
			return brokerWith(t, diagtest.NewCA(t, "Other"), diagtest.NewCA(t, "Root").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "CA file of a CA of the same name that was made anew", root: "tls.wrong_ca",
		broken: func(t *testing.T) diag.TargetInput {
			return brokerWith(t, diagtest.NewCA(t, "Root"), diagtest.NewCA(t, "Root").Issue(t, diagtest.CertOptions{}))
		}, check: variant("other_key")},
	{name: "intermediate left out, found by its URL", root: "tls.incomplete_chain",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			middle := ca.Intermediate(t, "Middle")
			return brokerWith(t, ca, middle.Issue(t, diagtest.CertOptions{OmitIntermediate: true,
				AIA: servedAt(t, "application/pkix-cert", middle.Cert.Raw)}))
		}},
	{name: "intermediate left out, known from the CA file", root: "tls.incomplete_chain",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			middle := ca.Intermediate(t, "Middle")
			in := brokerWith(t, ca, middle.Issue(t, diagtest.CertOptions{OmitIntermediate: true}))
			in.TLS.CAPEM = middle.PEM + ca.PEM
			return in
		}, check: severity(diag.SeverityWarning)},
	{name: "the URL of the issuer leads to another CA's", root: "tls.unknown_ca",
		broken: func(t *testing.T) diag.TargetInput {
			middle := diagtest.NewCA(t, "Root").Intermediate(t, "Middle")
			return brokerWith(t, nil, middle.Issue(t, diagtest.CertOptions{OmitIntermediate: true,
				AIA: servedAt(t, "application/pkix-cert", middle.Cert.Raw)}))
		}},
	{name: "intermediate expired", root: "tls.intermediate_expired",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.ExpiredIntermediate(t, "Old").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "key usage of an authority alone", root: "tls.key_usage", check: variant("bits"),
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}))
		}},
	{name: "key usage of a signature alone", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{KeyUsage: x509.KeyUsageDigitalSignature}))
		}},
	{name: "client's certificate used as a server's", root: "tls.key_usage",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{ClientOnly: true}))
		}},
	{name: "weak key", root: "tls.weak_key",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{RSABits: 1024}))
		}},
	{name: "RSA of 2048 bits", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{RSABits: 2048}))
		}},
	{name: "SHA-1", root: "tls.weak_signature",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{SHA1: true}))
		}, check: severity(diag.SeverityCritical)},
	{name: "ten days left", root: "tls.cert_expiring",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{NotAfter: time.Now().AddDate(0, 0, 10)}))
		}},
	{name: "a certificate for one day, fresh", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{NotAfter: time.Now().Add(23 * time.Hour)}))
		}},
	{name: "stapled revocation", root: "tls.revoked",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			cert := ca.Issue(t, diagtest.CertOptions{})
			cert.TLS.OCSPStaple = ca.OCSP(t, cert, ocsp.Revoked)
			return brokerWith(t, ca, cert)
		}, check: variant("staple")},
	{name: "stapled good", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			cert := ca.Issue(t, diagtest.CertOptions{})
			cert.TLS.OCSPStaple = ca.OCSP(t, cert, ocsp.Good)
			return brokerWith(t, ca, cert)
		}},
	{name: "revocation list", root: "tls.revoked",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			var list []byte
			peer := diagtest.PatientHTTPPeer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(list) }))
			cert := ca.Issue(t, diagtest.CertOptions{CRLs: []string{peer.URL("http", "/crl")}})
			list = ca.CRL(t, cert)
			return brokerWith(t, ca, cert)
		}, check: variant("crl")},
	{name: "OCSP responder", root: "tls.revoked",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			var answer []byte
			peer := diagtest.PatientHTTPPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Write(answer)
			}))
			cert := ca.Issue(t, diagtest.CertOptions{OCSPServers: []string{peer.URL("http")}})
			answer = ca.OCSP(t, cert, ocsp.Revoked)
			return brokerWith(t, ca, cert)
		}, check: variant("ocsp")},
	{name: "an OCSP answer that the issuer did not sign", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			var answer []byte
			peer := diagtest.PatientHTTPPeer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Write(answer)
			}))
			cert := ca.Issue(t, diagtest.CertOptions{OCSPServers: []string{peer.URL("http")}})
			answer = diagtest.NewCA(t, "Root").OCSP(t, cert, ocsp.Revoked)
			return brokerWith(t, ca, cert)
		}},
	{name: "client certificate of another CA, TLS 1.3", root: "tls.client_cert_rejected",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			in := brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), diagtest.ClientCertRequired(ca))
			return withClientCert(in, diagtest.NewCA(t, "Other").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "client certificate of another CA, TLS 1.2", root: "tls.client_cert_rejected",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			in := brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), diagtest.ClientCertRequired(ca), diagtest.MaxTLS(tls.VersionTLS12))
			return withClientCert(in, diagtest.NewCA(t, "Other").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "client certificate expired", root: "tls.client_cert_rejected",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			in := brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), diagtest.ClientCertRequired(ca))
			return withClientCert(in, ca.Issue(t, diagtest.CertOptions{Expired: true}))
		}, check: variant("expired")},
	{name: "mosquitto rejects the client certificate", root: "tls.client_cert_rejected",
		broken: func(t *testing.T) diag.TargetInput {
			b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt", "mqtts"}, ClientCA: diagtest.NewCA(t, "Clients")})
			in := diag.TargetInput{URL: b.MQTTS, TLS: diag.TLSInput{CAPEM: b.CAPEM}}
			return withClientCert(in, diagtest.NewCA(t, "Other").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "client certificate rejected, WebSocket", root: "tls.client_cert_rejected",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			broker := diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}},
				diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server(diagtest.ClientCertRequired(ca))))
			in := diag.TargetInput{URL: broker.URL("wss", "/mqtt"), TLS: diag.TLSInput{CAPEM: ca.PEM}}
			return withClientCert(in, diagtest.NewCA(t, "Other").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "a client certificate that nobody asks for", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return withClientCert(brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{})), diagtest.NewCA(t, "Other").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "TLS 1.1 at most", root: "tls.version_unsupported",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), diagtest.MaxTLS(tls.VersionTLS11))
		}, check: confidence(diag.Certain)},
	{name: "TLS 1.2 at most", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
		}},
	{name: "3DES alone", root: "tls.no_shared_cipher",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{RSABits: 2048}), func(c *tls.Config) {
				c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}
			})
		}, check: func(t *testing.T, f diag.Finding) {
			if f.Args["suites"] != "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA" || f.Confidence != diag.Certain {
				t.Errorf("%+v", f.Args)
			}
		}},
	{name: "DHE alone, openssl", root: "tls.no_shared_cipher",
		broken: func(t *testing.T) diag.TargetInput {
			return opensslServer(t, "-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-SHA256")
		}, check: func(t *testing.T, f diag.Finding) {
			if f.Args["suites"] != "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, TLS_DHE_RSA_WITH_AES_128_CBC_SHA256" {
				t.Errorf("%+v", f.Args)
			}
		}},
	{name: "TLS 1.0 alone, openssl", root: "tls.version_unsupported",
		broken: func(t *testing.T) diag.TargetInput { return opensslServer(t, "-tls1", "-cipher", "ALL:@SECLEVEL=0") },
		check: func(t *testing.T, f diag.Finding) {
			if f.Args["versions"] != "TLS 1.0" {
				t.Errorf("%+v", f.Args)
			}
		}},
	{name: "no certificate at all, openssl", root: "tls.no_shared_cipher",
		broken: func(t *testing.T) diag.TargetInput { return opensslServer(t, "-nocert") }, check: confidence(diag.Likely)},
	{name: "a suite of which current clients know nothing, openssl", root: "tls.no_shared_cipher",
		broken: func(t *testing.T) diag.TargetInput {
			return opensslServer(t, "-tls1_2", "-cipher", "CAMELLIA256-SHA:@SECLEVEL=0")
		}},
	{name: "client certificate required, TLS 1.3, openssl", root: "tls.client_cert_required",
		broken: func(t *testing.T) diag.TargetInput { return opensslServer(t, "-tls1_3", "-Verify", "1") }},
	{name: "client certificate required, TLS 1.2, openssl", root: "tls.client_cert_required",
		broken: func(t *testing.T) diag.TargetInput { return opensslServer(t, "-tls1_2", "-Verify", "1") }},
	{name: "client certificate of another CA, TLS 1.3, openssl", root: "tls.client_cert_rejected",
		broken: func(t *testing.T) diag.TargetInput {
			return withClientCert(opensslServer(t, "-tls1_3", "-Verify", "1", "-verify_return_error"), diagtest.NewCA(t, "Other").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "client certificate of another CA, TLS 1.2, openssl", root: "tls.client_cert_rejected",
		broken: func(t *testing.T) diag.TargetInput {
			return withClientCert(opensslServer(t, "-tls1_2", "-Verify", "1", "-verify_return_error"), diagtest.NewCA(t, "Other").Issue(t, diagtest.CertOptions{}))
		}},
	{name: "TLS and nothing behind it, openssl", root: "mqtt.no_connack", plan: soon(),
		broken: func(t *testing.T) diag.TargetInput { return opensslServer(t, "-tls1_3") }},
	{name: "a key exchange that no usual client offers", root: "tls.no_shared_cipher",
		broken: func(t *testing.T) diag.TargetInput { return opensslServer(t, "-tls1_3", "-groups", "X448") }, check: variant("group")},
	{name: "every other handshake is ended", root: "tls.handshake_closed",
		broken: func(t *testing.T) diag.TargetInput {
			var count atomic.Int32
			return beforeTLS(t, func(conn net.Conn, backend string) {
				if count.Add(1)%2 == 1 {
					io.ReadAtLeast(conn, make([]byte, 64), 5)
					conn.Close()
					return
				}
				relayTo(backend, conn)
			})
		}, check: variant("now_and_then")},
	{name: "hellos of two packets are refused", root: "tls.handshake_closed",
		broken: func(t *testing.T) diag.TargetInput { return beforeTLS(t, refuseLarge(false)) }, check: variant("large_hello")},
	{name: "hellos of two packets are not read", root: "tls.handshake_timeout", plan: soon(),
		broken: func(t *testing.T) diag.TargetInput { return beforeTLS(t, refuseLarge(true)) }, check: variant("large_hello")},
	{name: "hellos of two packets are passed on", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			return beforeTLS(t, func(conn net.Conn, backend string) { relayTo(backend, conn) })
		}},
	{name: "an intermediate that is no authority", root: "tls.wrong_ca",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			none := ca.Restricted(t, "Sub CA", func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })
			return brokerWith(t, ca, none.Issue(t, diagtest.CertOptions{}))
		}, check: variant("objection")},
	{name: "server name needed by devices", root: "", plan: deep, also: []diag.Code{"tls.sni_required", "tls.device_incompatible"},
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return byName(brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), onlyFor("localhost")))
		}},
	{name: "a wrong server name was set", root: "tls.sni_required",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			in := byName(brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), onlyFor("localhost")))
			in.TLS.ServerName = "wrong.example.com"
			return in
		},
		suggests: func(s *diag.Suggestion) bool { return s.TLS != nil && s.TLS.ServerName == "localhost" }},
	{name: "a server name was set that the only certificate does not bear", root: "tls.hostname_mismatch",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			in := byName(brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{})))
			in.TLS.ServerName = "wrong.example.com"
			return in
		},
		suggests: func(s *diag.Suggestion) bool { return s.TLS != nil && s.TLS.ServerName == "localhost" }},
	{name: "MQTT only under its ALPN name, else closed", root: "tls.alpn_required",
		broken: func(t *testing.T) diag.TargetInput {
			return alpnPeer(t, "x-amzn-mqtt-ca", diagtest.CloseAfterFirstBytes)
		},
		suggests: func(s *diag.Suggestion) bool {
			return s.TLS != nil && len(s.TLS.ALPN) == 1 && s.TLS.ALPN[0] == "x-amzn-mqtt-ca"
		}},
	{name: "MQTT only under its ALPN name, and that is offered", root: "",
		broken: func(t *testing.T) diag.TargetInput {
			in := alpnPeer(t, "x-amzn-mqtt-ca", diagtest.CloseAfterFirstBytes)
			in.TLS.ALPN = []string{"x-amzn-mqtt-ca"}
			return in
		}},
	{name: "MQTT only under its ALPN name, else silent", root: "tls.alpn_required", plan: soon(),
		broken: func(t *testing.T) diag.TargetInput { return alpnPeer(t, "mqtt", diagtest.Silent) }},
	{name: "a balancer knows MQTT by its ALPN name alone", root: "tls.alpn_required",
		broken: func(t *testing.T) diag.TargetInput { return knownByALPN(t, nil) }, check: variant("ended")},
	{name: "a balancer knows MQTT by its ALPN name, and that is offered", root: "",
		broken: func(t *testing.T) diag.TargetInput { return knownByALPN(t, []string{"mqtt"}) }},
	{name: "ALPN names in which nothing is shared", root: "tls.alpn_required", plan: soon(),
		broken: func(t *testing.T) diag.TargetInput {
			in := alpnPeer(t, "mqtt", diagtest.Silent)
			in.TLS.ALPN = []string{"h2"}
			return in
		}},
	{name: "hangs once", root: "tls.handshake_timeout", plan: soon(),
		broken: func(t *testing.T) diag.TargetInput { return hangingFirst(t, 1) }, check: variant("once")},
	{name: "hangs never", root: "", plan: soon(),
		broken: func(t *testing.T) diag.TargetInput { return hangingFirst(t, 0) }},
	{name: "silent after accept", root: "tls.handshake_timeout", plan: soon(),
		broken: func(t *testing.T) diag.TargetInput {
			return diag.TargetInput{URL: diagtest.Peer(t, diagtest.Silent).URL("mqtts")}
		}},
	{name: "internal error on every hello", root: "tls.handshake_closed",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), func(c *tls.Config) {
				c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("broken") }
			})
		}, check: variant("")},
	{name: "old versions beside new ones", root: "tls.legacy_versions_enabled", plan: deep, also: []diag.Code{"tls.device_incompatible"},
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), func(c *tls.Config) { c.MinVersion = tls.VersionTLS10 })
		}},
	{name: "versions and suites for every device", root: "tls.legacy_versions_enabled", plan: deep,
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{RSABits: 2048}), func(c *tls.Config) {
				c.MinVersion, c.CipherSuites = tls.VersionTLS10, everySuite()
			})
		}},
	{name: "healthy, deep", root: "", plan: deep, also: []diag.Code{"tls.device_incompatible"},
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}))
		}},
	{name: "an inspecting firewall that the client does not trust", root: "tls.intercepted", also: []diag.Code{"tls.unknown_ca"},
		broken: func(t *testing.T) diag.TargetInput {
			return brokerWith(t, nil, diagtest.NewCA(t, "FortiGate CA").Issue(t, diagtest.CertOptions{}))
		}, check: severity(diag.SeverityCritical)},
	{name: "an inspecting firewall that the client trusts", root: "tls.intercepted",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Zscaler Root CA")
			return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}))
		}, check: severity(diag.SeverityWarning)},
	{name: "a certificate made for every name", root: "tls.intercepted", also: []diag.Code{"tls.unknown_ca"},
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Company Root")
			return byName(brokerWith(t, nil, ca.Issue(t, diagtest.CertOptions{}), func(c *tls.Config) {
				c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
					cert := ca.Issue(t, diagtest.CertOptions{Names: []string{hello.ServerName}})
					return &cert.TLS, nil
				}
			}))
		}, check: variant("minted")},
	{name: "our clock is right", root: "", broken: wssBroker},
	{name: "our clock runs ahead", root: "tls.clock_skew", env: laterBy(100 * 24 * time.Hour),
		broken: wssBroker, check: confidence(diag.Likely)},
	{name: "our clock stands before this program was made", root: "tls.clock_skew",
		env:    func(env *diag.Env) { env.Now = fixedOffset(time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)) },
		broken: wssBroker, check: confidence(diag.Certain)},
	{name: "expired, and the peer's clock agrees", root: "tls.cert_expired",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			broker := diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}},
				diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{Expired: true}).Server()))
			return diag.TargetInput{URL: broker.URL("wss", "/mqtt"), TLS: diag.TLSInput{CAPEM: ca.PEM}}
		}, check: confidence(diag.Certain)},
	{name: "plain MQTT to a web server behind TLS", root: "mqtt.not_mqtt",
		broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			peer := diagtest.HTTPPeer(t, diagtest.HTTPStatus(404), diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server()))
			return diag.TargetInput{URL: peer.URL("mqtt")}
		}},
}

// everySuite is all that the library has, up to TLS 1.2: old devices have nothing else.
func everySuite() []uint16 {
	var out []uint16
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		out = append(out, s.ID)
	}
	return out
}

// hangingFirst is a broker behind a front that leaves its first connections without an answer, as one of several machines behind
// an address does that hangs.
func hangingFirst(t *testing.T, count int32) diag.TargetInput {
	t.Helper()
	ca := diagtest.NewCA(t, "Root")
	broker := diagtest.ScriptedBroker(t, diagtest.Script{}, diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server()))
	var greeted atomic.Int32
	front := diagtest.Peer(t, func(conn net.Conn) {
		first := make([]byte, 4096)
		n, err := conn.Read(first)
		switch {
		case err != nil:
		case greeted.Add(1) <= count:
			diagtest.Silent(conn)
		default:
			relayTo(broker.Addr, &prefixed{Conn: conn, first: first[:n]})
		}
	})
	return diag.TargetInput{URL: front.URL("mqtts"), TLS: diag.TLSInput{CAPEM: ca.PEM}}
}

func wssBroker(t *testing.T) diag.TargetInput {
	ca := diagtest.NewCA(t, "Root")
	broker := diagtest.ScriptedBroker(t, diagtest.Script{WS: &diagtest.WSScript{}},
		diagtest.WithTLS(ca.Issue(t, diagtest.CertOptions{}).Server()))
	return diag.TargetInput{URL: broker.URL("wss", "/mqtt"), TLS: diag.TLSInput{CAPEM: ca.PEM}}
}

// fixedOffset is a clock that shows the given time now and runs on from there.
func fixedOffset(shows time.Time) func() time.Time {
	offset := time.Since(shows)
	return func() time.Time { return time.Now().Add(-offset) }
}

// alpnPeer is an endpoint that is a broker under one ALPN name and something else without.
func alpnPeer(t *testing.T, name string, otherwise diagtest.Handler) diag.TargetInput {
	t.Helper()
	ca := diagtest.NewCA(t, "Root")
	cert := ca.Issue(t, diagtest.CertOptions{})
	broker := diagtest.ScriptedBroker(t, diagtest.Script{})
	peer := diagtest.TLSPeer(t, cert.Server(func(c *tls.Config) { c.NextProtos = []string{name} }), func(conn net.Conn) {
		secured, ok := conn.(*tls.Conn)
		if !ok || secured.ConnectionState().NegotiatedProtocol != name {
			otherwise(conn)
			return
		}
		behind, err := net.Dial("tcp", broker.Addr)
		if err != nil {
			return
		}
		defer behind.Close()
		go func() {
			io.Copy(conn, behind)
			conn.Close()
		}()
		io.Copy(behind, conn)
	})
	return diag.TargetInput{URL: peer.URL("mqtts"), TLS: diag.TLSInput{CAPEM: ca.PEM}}
}

// beforeTLS is a broker with TLS behind a peer that may do as it likes with each connection.
func beforeTLS(t *testing.T, handle func(conn net.Conn, backend string)) diag.TargetInput {
	t.Helper()
	ca := diagtest.NewCA(t, "Root")
	in := brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}))
	backend := strings.TrimPrefix(in.URL, "mqtts://")
	in.URL = diagtest.Peer(t, func(conn net.Conn) { handle(conn, backend) }).URL("mqtts")
	return in
}

// refuseLarge ends connections whose ClientHello does not fit into one packet, or never answers them.
func refuseLarge(silent bool) func(net.Conn, string) {
	return func(conn net.Conn, backend string) {
		head := make([]byte, 5)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		body := make([]byte, int(head[3])<<8|int(head[4]))
		switch _, err := io.ReadFull(conn, body); {
		case err != nil:
		case len(body) <= 1000:
			behind, err := net.Dial("tcp", backend)
			if err != nil {
				return
			}
			behind.Write(append(head, body...))
			go func() {
				io.Copy(conn, behind)
				conn.Close()
			}()
			io.Copy(behind, conn)
			behind.Close()
		case silent:
			io.Copy(io.Discard, conn)
		}
		conn.Close()
	}
}

// opensslServer starts openssl's own server, which speaks TLS and nothing behind it.
func opensslServer(t *testing.T, args ...string) diag.TargetInput {
	t.Helper()
	openssl := diagtest.Require(t, "openssl")
	ca := diagtest.NewCA(t, "Root")
	certFile, keyFile := ca.Issue(t, diagtest.CertOptions{RSABits: 2048}).Files(t)
	port := diagtest.FreePort(t)
	if args[0] != "-nocert" {
		args = append(args, "-cert", certFile, "-key", keyFile)
	}
	command := exec.Command(openssl, append([]string{"s_server", "-quiet", "-accept", "127.0.0.1:" + strconv.Itoa(port)}, args...)...)
	stdin, err := command.StdinPipe() // it ends with its input
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		command.Process.Kill()
		command.Wait()
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 3000 {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
			return diag.TargetInput{URL: "mqtts://" + address, TLS: diag.TLSInput{CAPEM: ca.PEM}}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("openssl s_server did not open its port")
	return diag.TargetInput{}
}

// A wrong CA file beside a certificate that the system trusts: to drop the file is what works.
func TestWrongCAWhereTheSystemTrusts(t *testing.T) {
	ca := diagtest.NewCA(t, "Public")
	in := brokerWith(t, diagtest.NewCA(t, "Other"), ca.Issue(t, diagtest.CertOptions{}))
	tlsCase{root: "tls.wrong_ca", broken: func(*testing.T) diag.TargetInput { return in },
		env:      func(env *diag.Env) { env.Roots = ca.Pool() },
		suggests: func(s *diag.Suggestion) bool { return s.TLS != nil && s.TLS.CAPEM != nil && *s.TLS.CAPEM == "" },
		check:    variant("system")}.run(t)
	in.TLS.CAPEM = ""
	tlsCase{root: "", broken: func(*testing.T) diag.TargetInput { return in }, env: func(env *diag.Env) { env.Roots = ca.Pool() }}.run(t)
}

// A public certificate for six days, as Let's Encrypt issues them, is renewed by a machine.
func TestShortLivedPublicCertificate(t *testing.T) {
	ca := diagtest.NewCA(t, "Public")
	in := brokerWith(t, nil, ca.Issue(t, diagtest.CertOptions{NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(136 * time.Hour)}))
	roots := func(env *diag.Env) { env.Roots = ca.Pool() }
	tlsCase{root: "", broken: func(*testing.T) diag.TargetInput { return in }, env: roots}.run(t)
	in = brokerWith(t, nil, ca.Issue(t, diagtest.CertOptions{NotBefore: time.Now().Add(-144 * time.Hour), NotAfter: time.Now().Add(16 * time.Hour)}))
	tlsCase{root: "tls.cert_expiring", broken: func(*testing.T) diag.TargetInput { return in }, env: roots}.run(t)
}

// knownByALPN is a broker behind a balancer that passes on what offers the ALPN name mqtt alone, and ends the rest.
func knownByALPN(t *testing.T, offered []string) diag.TargetInput {
	t.Helper()
	in := beforeTLS(t, func(conn net.Conn, backend string) {
		hello := make([]byte, 16<<10)
		n, _ := conn.Read(hello)
		if !bytes.Contains(hello[:n], []byte("\x00\x10\x00\x07\x00\x05\x04mqtt")) { // the extension with this name alone
			return
		}
		behind, err := net.Dial("tcp", backend)
		if err != nil {
			return
		}
		defer behind.Close()
		behind.Write(hello[:n])
		go func() {
			io.Copy(conn, behind)
			conn.Close()
		}()
		io.Copy(behind, conn)
	})
	in.TLS.ALPN = offered
	return in
}
