package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/web/archive"
)

// canaries are values that may appear nowhere, with every form in which they may be written down.
type canaries map[string][][]byte

// plant makes a secret of that name. It is looked for as it is, and as URLs, base64 and hex write it.
func (c canaries) plant(name string) string {
	value := "CANARY" + name + newToken()[:12]
	c.add(name, value)
	return value
}

func (c canaries) add(name, value string) {
	forms := [][]byte{[]byte(value), []byte(url.QueryEscape(value)), []byte(hex.EncodeToString([]byte(value)))}
	for skip := range 3 { // where it does not begin a text, base64 writes it in one of three ways
		whole := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", skip) + value))
		forms = append(forms, []byte(whole[4:len(whole)-4])) // without what its neighbours have a part in
	}
	c[name] = forms
}

// look fails for each canary that data holds.
func (c canaries) look(t *testing.T, where string, data []byte) {
	t.Helper()
	for name, forms := range c {
		for _, form := range forms {
			if i := bytes.Index(data, form); i >= 0 {
				t.Errorf("%s holds the %s: …%q…", where, name, data[max(0, i-60):min(len(data), i+80)])
				break
			}
		}
	}
}

// lookAtFiles looks into every file below a folder.
func (c canaries) lookAtFiles(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // removed meanwhile, by the database
		}
		data, err := os.ReadFile(path)
		if err == nil {
			c.look(t, path, data)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestNoSecretIsWrittenDown runs whole diagnoses and a console with every kind of secret, on both databases, and looks for them in
// everything that is kept, shown or logged.
func TestNoSecretIsWrittenDown(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		c := testConfig(t)
		wantNoSecret(t, c, func(k canaries, _ bool) { k.lookAtFiles(t, c.Data) })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		db := diagtest.Postgres(t)
		c := testConfig(t)
		address := db.Database(t)
		c.DatabaseURL = diag.NewSecret(address)
		wantNoSecret(t, c, func(k canaries, ended bool) {
			db.Query(t, address, "CHECKPOINT")
			k.look(t, "PostgreSQL's log of statements", []byte(db.Log()))
			k.lookAtFiles(t, db.Dir) // with its write-ahead log
			if !ended {
				for _, table := range strings.Fields(db.Query(t, address, "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")) {
					k.look(t, "the table "+table, []byte(db.Query(t, address, "SELECT * FROM "+table)))
				}
			}
		})
	})
}

func wantNoSecret(t *testing.T, c Config, lookAtDatabase func(k canaries, ended bool)) {
	k := canaries{}
	c.MetricsToken = diag.NewSecret(k.plant("metrics token"))
	s := startServer(t, c, NewEngine(guard.Policy{Name: guard.Laptop}, "test", nil))

	right, clients := k.plant("right password"), diagtest.NewCA(t, "clients")
	own := clients.Issue(t, diagtest.CertOptions{Names: []string{"device"}, ClientOnly: true})
	for i, line := range strings.Split(strings.TrimSpace(own.KeyPEM), "\n")[1:3] {
		k.add(fmt.Sprintf("private key's line %d", i+1), line)
	}
	broker := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Users: map[string]string{"meter": right}, ClientCA: clients})
	other := k.plant("wrong password")
	headers := map[string]string{"Cookie": "session=" + k.plant("cookie"), "Authorization": "Bearer " + k.plant("bearer token"), "X-Api-Key": k.plant("api key")}
	inQuery := func(what string) string {
		escaped := url.QueryEscape(k.plant(what))
		k.add(what+", escaped", escaped)
		return escaped
	}
	tls := map[string]any{"ca_pem": broker.CAPEM, "cert_pem": own.CertPEM, "key_pem": own.KeyPEM}
	target := func(address, password string) map[string]any {
		return map[string]any{"url": address, "username": "meter", "password": password, "tls": tls}
	}
	withUser := func(address, password string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("meter", password)
		return u.String()
	}
	wss := target(broker.WSS+"?token="+inQuery("token in the address"), right)
	wss["ws"] = map[string]any{"headers": headers}
	var ids, tokens []string
	var seen bytes.Buffer
	for name, body := range map[string]map[string]any{
		"healthy":          {"target": target(broker.MQTTS, right)},
		"healthy by WSS":   {"target": wss},
		"wrong password":   {"target": target(broker.MQTTS, other), "plan": map[string]any{"depth": "deep"}},
		"in the URL":       {"target": map[string]any{"url": withUser(broker.MQTT, right), "topics": map[string]any{"subscribe": []string{"a/#"}}}},
		"wrong in the URL": {"target": map[string]any{"url": withUser(broker.WS, other), "ws": map[string]any{"headers": headers}}},
	} {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		st := s.start(string(data))
		k.add("delete token of "+name, st.DeleteToken)
		ids, tokens = append(ids, st.ID), append(tokens, st.DeleteToken)
	}
	for i := 0; i < len(ids); i++ {
		conn, _, err := s.dial("/api/v1/runs/" + ids[i] + "/stream")
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadLimit(16 << 20)
		for {
			_, data, err := conn.Read(t.Context())
			if err != nil {
				break
			}
			seen.Write(data)
		}
		_ = conn.CloseNow()
		if i < 2 { // again, with what is held in memory
			var again started
			s.do("POST", "/api/v1/runs/"+ids[i]+"/rerun", `{"lang":"zh"}`, "Authorization", "Bearer "+tokens[i]).want(http.StatusAccepted).json(&again)
			k.add(fmt.Sprintf("delete token of rerun %d", i+1), again.DeleteToken)
			ids = append(ids, again.ID)
		}
		for _, path := range []string{"/api/v1/runs/%s", "/api/v1/runs/%s?lang=zh", "/runs/%s", "/runs/%s.json", "/runs/%s.md", "/runs/%s.html"} {
			seen.Write(s.do("GET", fmt.Sprintf(path, ids[i]), "").want(http.StatusOK).body)
		}
	}
	exported := s.do("GET", "/runs/"+ids[0]+".json", "").want(http.StatusOK).body
	if r := s.report(ids[0]); len(r.Steps) < 5 || r.Target["password"] != true {
		t.Errorf("the runs looked at nothing: %+v", r)
	}
	seen.Write(s.do("GET", "/compare?a="+ids[0]+"&b="+ids[len(ids)-1], "").body)
	var imported started
	s.do("POST", "/api/v1/runs/import", string(exported)).want(http.StatusCreated).json(&imported)
	seen.Write(s.do("GET", "/runs/"+imported.ID, "").want(http.StatusOK).body)

	// A request: what its helper typed, what the one who runs it types, and a repetition with what is held.
	var asked askedFor
	body, err := json.Marshal(map[string]any{"target": map[string]any{"url": withUser(broker.MQTT, k.plant("helper's password")), "password": k.plant("helper's other password"),
		"tls": map[string]any{"cert_pem": own.CertPEM, "key_pem": own.KeyPEM}, "ws": map[string]any{"headers": headers}},
		"ask": []string{"target.username", "target.password", "target.tls.ca_pem"}, "note": "a note"})
	if err != nil {
		t.Fatal(err)
	}
	s.do("POST", "/api/v1/requests", string(body)).want(http.StatusCreated).json(&asked)
	k.add("helper token", asked.HelperToken)
	helps := []string{"Authorization", "Bearer " + asked.HelperToken}
	body, err = json.Marshal(map[string]any{"target": target("", right), "may_repeat": true})
	if err != nil {
		t.Fatal(err)
	}
	var helped, repeated started
	s.do("POST", "/api/v1/requests/"+asked.ID+"/runs", string(body)).want(http.StatusAccepted).json(&helped)
	k.add("delete token of the helped run", helped.DeleteToken)
	s.watch(helped.ID, "")
	s.do("POST", "/api/v1/runs/"+helped.ID+"/rerun", `{"only":"mqtt.connect"}`, helps...).want(http.StatusAccepted).json(&repeated)
	s.watch(repeated.ID, "")
	for _, path := range []string{"/api/v1/requests/" + asked.ID, "/requests/" + asked.ID, "/runs/" + helped.ID, "/api/v1/runs/" + repeated.ID} {
		seen.Write(s.do("GET", path, "", helps...).want(http.StatusOK).body)
	}
	ids = append(ids, helped.ID, repeated.ID, asked.ID)

	// A console that traces what passes, the CONNECT with its password too.
	data, err := json.Marshal(map[string]any{"target": map[string]any{"url": broker.WS + "?token=" + inQuery("token of the console"), "ws": map[string]any{"headers": headers}}, "trace": true})
	if err != nil {
		t.Fatal(err)
	}
	o := s.open(string(data))
	k.add("delete token of the console", o.DeleteToken)
	mqttConnect(t, s, o.RelayURL, "meter", right)
	for _, path := range []string{"trace.json", "trace.pcapng"} {
		seen.Write(s.do("GET", "/api/v1/console/"+o.ID+"/"+path, "").want(http.StatusOK).body)
	}
	seen.Write(s.do("GET", "/metrics", "", "Authorization", "Bearer "+c.MetricsToken.Reveal()).want(http.StatusOK).body)
	seen.Write(s.do("GET", "/metrics", "", "Authorization", "Bearer "+k.plant("other metrics token")).want(http.StatusUnauthorized).body)

	k.look(t, "an answer", seen.Bytes())
	lookAtDatabase(k, false)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if !c.DatabaseURL.Given() {
		if err := archive.BackupSQLite(t.Context(), filepath.Join(c.Data, DatabaseFile), backup); err != nil {
			t.Error(err)
		}
	}
	k.lookAtFiles(t, filepath.Dir(backup))
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	lookAtDatabase(k, true)
	k.look(t, "the log", []byte(s.log.String()))
	for _, id := range append(ids, o.ID) {
		if strings.Contains(s.log.String(), id) {
			t.Error("the log holds what opens a report")
		}
	}
}

// mqttConnect signs in over a relay and out again.
func mqttConnect(t *testing.T, s *testServer, relayURL, username, password string) {
	t.Helper()
	conn := websocket.NetConn(context.Background(), s.relay(relayURL, "mqtt"), websocket.MessageBinary)
	client, result := mqttwire.Connect(t.Context(), mqttwire.NewConn(conn, mqttwire.ConnConfig{Version: mqttwire.V5}),
		mqttwire.ConnectOptions{Version: mqttwire.V5, ClientID: "canary", CleanStart: true, KeepAlive: 60, Username: &username, Password: []byte(password)})
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	if failure := client.Disconnect(t.Context()); failure != nil {
		t.Error(failure)
	}
	client.Close()
}
