package web

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

// TestSecretsStayInMemory plants values that may appear nowhere and looks for them everywhere.
func TestSecretsStayInMemory(t *testing.T) {
	c := testConfig(t)
	s := startServer(t, c, testEngine(guard.Laptop, passing("dns.test")))
	cert := diagtest.NewCA(t, "test authority").Issue(t, diagtest.CertOptions{})
	body, err := json.Marshal(map[string]any{"target": map[string]any{"url": "wss://user:CANARY-in-url@broker.test/mqtt",
		"password": "CANARY-password", "tls": map[string]any{"cert_pem": cert.CertPEM, "key_pem": cert.KeyPEM},
		"ws": map[string]any{"headers": map[string]string{"Cookie": "CANARY-cookie", "Authorization": "Bearer CANARY-bearer"}}}})
	if err != nil {
		t.Fatal(err)
	}
	keyLine := strings.Split(cert.KeyPEM, "\n")[1]
	first := s.do("POST", "/api/v1/runs", string(body), "Sec-Fetch-Site", "same-origin").want(202)
	var st started
	first.json(&st)
	cookie, _, _ := strings.Cut(strings.TrimPrefix(first.header.Get("Set-Cookie"), ownerCookieName+"="), ";")

	var seen bytes.Buffer
	for _, path := range []string{"/api/v1/runs/" + st.ID, "/api/v1/runs/" + st.ID + "?lang=zh", "/runs/" + st.ID + ".json", "/runs/" + st.ID,
		"/metrics", "/api/v1/checks"} {
		seen.Write(s.do("GET", path, "").body)
	}
	frames, _ := s.watch(st.ID, "")
	data, err := json.Marshal(frames)
	if err != nil {
		t.Fatal(err)
	}
	seen.Write(data)
	// Bodies that are refused must not be quoted or logged either.
	seen.Write(s.do("POST", "/api/v1/runs", `{"target":{"url":"broker.test","passwort":"CANARY-typo"}}`).body)
	seen.Write(s.do("POST", "/api/v1/runs", `{"target":{"url":"mqtt://u:CANARY-bad-url@broker.test:0"}}`).body)
	seen.Write(s.do("GET", "/api/v1/runs/"+st.ID+"?lang=en&password=CANARY-query", "").body)
	if r := s.report(st.ID); r.Target["password"] != true {
		t.Errorf("target %v", r.Target)
	}

	secrets := []string{"CANARY", keyLine}
	look := func(where string, data []byte, secrets ...string) {
		for _, secret := range secrets {
			if i := bytes.Index(data, []byte(secret)); i >= 0 {
				t.Errorf("%s holds a secret: …%s…", where, data[max(0, i-40):min(len(data), i+40)])
			}
		}
	}
	look("an answer", seen.Bytes(), secrets...)
	look("an answer", seen.Bytes(), st.DeleteToken)
	lookAtFiles := func() {
		err := filepath.WalkDir(c.Data, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			look(path, data, append(secrets, st.DeleteToken, cookie)...)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	lookAtFiles() // with the write-ahead log
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	lookAtFiles()
	look("the log", []byte(s.log.String()), append(secrets, st.DeleteToken, cookie)...)
	if strings.Contains(s.log.String(), st.ID) {
		t.Error("the log holds the link of a report")
	}
}

// ownerCookieName is that of package handlers, written out: a change of it signs every browser out.
const ownerCookieName = "mqttdoctor_owner"
