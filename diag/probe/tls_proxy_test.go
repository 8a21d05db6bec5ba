package probe_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// nginxTLS starts an nginx that ends TLS before a mosquitto's WebSocket listener, with further lines in its server.
func nginxTLS(t *testing.T, ca *diagtest.CA, lines string) diag.TargetInput {
	t.Helper()
	certFile, keyFile := ca.Issue(t, diagtest.CertOptions{}).Files(t)
	backend, err := url.Parse(mosquittoWS(t).WS)
	if err != nil {
		t.Fatal(err)
	}
	port := diagtest.FreePort(t)
	program(t, "nginx", port, fmt.Sprintf(`daemon off; master_process off; pid DIR/pid; error_log DIR/error.log;
events {}
http {
  access_log off; client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; uwsgi_temp_path DIR/d; scgi_temp_path DIR/e;
  server { listen 127.0.0.1:%d ssl; ssl_certificate %s; ssl_certificate_key %s; %s
    location / { proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_pass http://%s; } }
}`, port, certFile, keyFile, strings.ReplaceAll(lines, "PORT", fmt.Sprint(port)), backend.Host),
		func(dir, file string) []string {
			return []string{"-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log")}
		})
	return diag.TargetInput{URL: fmt.Sprintf("wss://127.0.0.1:%d/mqtt", port), TLS: diag.TLSInput{CAPEM: ca.PEM}}
}

// haproxyTLS starts a haproxy that ends TLS before a mosquitto.
func haproxyTLS(t *testing.T, ca *diagtest.CA, cert *diagtest.Cert, bind string) diag.TargetInput {
	t.Helper()
	backend, err := url.Parse(diagtest.Mosquitto(t, diagtest.MosquittoOptions{Listeners: []string{"mqtt"}}).MQTT)
	if err != nil {
		t.Fatal(err)
	}
	both := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(both, []byte(cert.CertPEM+cert.KeyPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	port := diagtest.FreePort(t)
	program(t, "haproxy", port, fmt.Sprintf(`defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen mqtt
  bind 127.0.0.1:%d ssl crt %s %s
  server one %s
`, port, both, bind, backend.Host), func(_, file string) []string { return []string{"-db", "-f", file} })
	return diag.TargetInput{URL: fmt.Sprintf("mqtts://127.0.0.1:%d", port), TLS: diag.TLSInput{CAPEM: ca.PEM}}
}

func TestTLSBehindRealProxies(t *testing.T) {
	for _, c := range []tlsCase{
		{name: "nginx, healthy", root: "", broken: func(t *testing.T) diag.TargetInput { return nginxTLS(t, diagtest.NewCA(t, "Root"), "") }},
		{name: "nginx wants a client certificate", root: "tls.client_cert_required", check: variant("http"),
			broken: func(t *testing.T) diag.TargetInput {
				return nginxTLS(t, diagtest.NewCA(t, "Root"), "ssl_verify_client on; ssl_client_certificate "+diagtest.NewCA(t, "Clients").File(t)+";")
			}},
		{name: "nginx forbids what comes without a client certificate", root: "tls.client_cert_required", check: variant("http_status"),
			broken: func(t *testing.T) diag.TargetInput {
				return nginxTLS(t, diagtest.NewCA(t, "Root"), "ssl_verify_client optional; if ($ssl_client_verify != SUCCESS) { return 403; } ssl_client_certificate "+
					diagtest.NewCA(t, "Clients").File(t)+";")
			}},
		{name: "nginx leaves client certificates optional", root: "", broken: func(t *testing.T) diag.TargetInput {
			return nginxTLS(t, diagtest.NewCA(t, "Root"), "ssl_verify_client optional; ssl_client_certificate "+diagtest.NewCA(t, "Clients").File(t)+";")
		}},
		{name: "nginx rejects the client certificate", root: "tls.client_cert_rejected",
			broken: func(t *testing.T) diag.TargetInput {
				in := nginxTLS(t, diagtest.NewCA(t, "Root"), "ssl_verify_client on; ssl_client_certificate "+diagtest.NewCA(t, "Clients").File(t)+";")
				return withClientCert(in, diagtest.NewCA(t, "Other").Issue(t, diagtest.CertOptions{}))
			}},
		{name: "nginx rejects names that it does not know", root: "tls.sni_required",
			broken: func(t *testing.T) diag.TargetInput {
				return byName(nginxTLS(t, diagtest.NewCA(t, "Root"), `server_name broker.example.com; }
  server { listen 127.0.0.1:PORT ssl default_server; ssl_reject_handshake on;`))
			}, check: variant("unknown_name")},
		{name: "nginx with TLS, asked without", root: "tls.required",
			broken: func(t *testing.T) diag.TargetInput {
				in := nginxTLS(t, diagtest.NewCA(t, "Root"), "")
				in.URL = strings.Replace(in.URL, "wss://", "ws://", 1)
				return in
			}},
		{name: "haproxy, healthy", root: "", broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return haproxyTLS(t, ca, ca.Issue(t, diagtest.CertOptions{}), "")
		}},
		{name: "haproxy with TLS, asked without", root: "tls.required", broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			in := haproxyTLS(t, ca, ca.Issue(t, diagtest.CertOptions{}), "")
			in.URL = strings.Replace(in.URL, "mqtts://", "mqtt://", 1)
			return in
		}},
		{name: "haproxy with strict names", root: "tls.sni_required", broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			in := byName(haproxyTLS(t, ca, ca.Issue(t, diagtest.CertOptions{Names: []string{"broker.example.com"}}), "strict-sni"))
			return in
		}},
		{name: "haproxy wants a client certificate", root: "tls.client_cert_required", broken: func(t *testing.T) diag.TargetInput {
			ca := diagtest.NewCA(t, "Root")
			return haproxyTLS(t, ca, ca.Issue(t, diagtest.CertOptions{}), "verify required ca-file "+ca.File(t))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}
