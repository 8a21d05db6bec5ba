package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
	"mqttdoctor/diag/mask"
	"mqttdoctor/diag/trace"
)

// sharedHost is searched for in everything that a viewer can get.
const sharedHost = "canary-plant7.example"

// sharingServer has a run in which the host, an address, the user and topics stand wherever they can.
func sharingServer(t *testing.T) (*testServer, started) {
	t.Helper()
	ca := diagtest.NewCA(t, "authority of "+sharedHost)
	cert := ca.Issue(t, diagtest.CertOptions{})
	e := testEngine(guard.Laptop, diag.Probe{ID: "tls.handshake", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
		Run: func(_ context.Context, env *diag.Env, _ diag.Subject) diag.Result {
			o := &diag.TLSHandshake{Address: "198.51.100.77:8883", Outcome: diag.OutcomeOK, Chain: []diag.CertFact{
				{Subject: "CN=" + sharedHost, Issuer: "CN=authority of " + sharedHost, SHA256: "ab12", DNSNames: []string{"x." + sharedHost}, PEM: cert.CertPEM}}}
			return diag.Failed(o, diag.N("step.tls.handshake.failed", "name", sharedHost, "address", "198.51.100.77:8883"),
				&diag.Failure{Op: "tls.handshake", Code: "x", Text: "lookup gateway." + sharedHost + " for canary-user at 198.51.100.77"})
		}})
	s := startServer(t, testConfig(t), e)
	st := s.start(`{"target":{"url":"mqtts://` + sharedHost + `:8883","username":"canary-user","password":"p",
		"topics":{"publish":"canary-topic/a"}}}`)
	s.watch(st.ID, "")
	return s, st
}

// everything is all that the link yields, by where it came from.
func (s *testServer) everything(id string, header ...string) map[string]string {
	s.t.Helper()
	out := map[string]string{}
	for _, path := range []string{"/runs/" + id, "/runs/" + id + "?lang=zh", "/runs/" + id + ".json", "/runs/" + id + ".md", "/runs/" + id + ".html",
		"/runs/" + id + "/chain.pem", "/api/v1/runs/" + id, "/compare?a=" + id + "&b=" + id, "/?from=" + id, "/console?run=" + id,
		"/guides/tls?from=" + id} {
		a := s.do("GET", path, "", header...)
		out[path] = strings.ToLower(string(a.body))
		for name, values := range a.header {
			out[path] += strings.ToLower(name + strings.Join(values, " "))
		}
	}
	for _, path := range []string{"/api/v1/runs/" + id + "/stream", "/runs/" + id + "/live"} {
		out[path] = strings.ToLower(strings.Join(s.frames(path, header...), "\n"))
	}
	return out
}

// frames are what a websocket sends until it ends.
func (s *testServer) frames(path string, header ...string) (out []string) {
	s.t.Helper()
	conn, _, err := s.dial(path, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.CloseNow() //nolint:errcheck // the peer has closed
	conn.SetReadLimit(16 << 20)
	for {
		_, data, err := conn.Read(s.t.Context())
		if err != nil {
			return out
		}
		out = append(out, string(data))
	}
}

func TestLinkShowsWhatItsOwnerChose(t *testing.T) {
	s, st := sharingServer(t)
	token := []string{"Authorization", "Bearer " + st.DeleteToken}
	share := "/api/v1/runs/" + st.ID + "/share"
	for _, c := range []struct {
		hide []string
		gone []string
	}{
		{nil, []string{"canary-user"}}, // the default
		{[]string{"host"}, []string{"canary-plant7", "198.51.100.77", "end certificate"}},
		{[]string{"topics"}, []string{"canary-topic"}},
		{[]string{"host", "user", "topics", "payloads"}, []string{"canary-plant7", "198.51.100.77", "canary-user", "canary-topic"}},
	} {
		if c.hide != nil {
			body, _ := json.Marshal(map[string]any{"hide": c.hide})
			s.do("PUT", share, string(body), token...).want(http.StatusOK)
		}
		for path, text := range s.everything(st.ID) {
			for _, secret := range c.gone {
				if i := strings.Index(text, secret); i >= 0 {
					t.Errorf("%v: %s shows %q: …%s…", c.hide, path, secret, text[max(0, i-100):min(len(text), i+60)])
				}
			}
		}
	}
	var own struct {
		Target struct{ URL, Username string }
	}
	s.do("GET", "/api/v1/runs/"+st.ID, "", token...).want(http.StatusOK).json(&own)
	if !strings.Contains(own.Target.URL, sharedHost) || own.Target.Username != "canary-user" {
		t.Errorf("the owner sees %+v", own)
	}
	s.do("PUT", share, `{"hide":[]}`, token...).want(http.StatusOK)
	if page := s.do("GET", "/runs/"+st.ID, "").body; !bytes.Contains(page, []byte("canary-user")) {
		t.Error("what is shown again is hidden")
	}
}

// Who does not see a host must not get it by running the same again, since the new run would be his own.
func TestHiddenRunIsNotRepeatedByOthers(t *testing.T) {
	s, st := sharingServer(t)
	rerun := "/api/v1/runs/" + st.ID + "/rerun"
	e := s.do("POST", rerun, `{"target":{"password":"p"}}`).wantError(http.StatusBadRequest, "secrets_gone")
	if e.Error.Fields["target.username"] == "" {
		t.Errorf("fields %v", e.Error.Fields)
	}
	s.do("POST", rerun, `{"target":{"password":"p","username":"other"}}`).want(http.StatusAccepted)
	for _, hide := range []string{"host", "topics"} {
		s.do("PUT", "/api/v1/runs/"+st.ID+"/share", `{"hide":["`+hide+`"]}`, "Authorization", "Bearer "+st.DeleteToken).want(http.StatusOK)
		s.do("POST", rerun, `{"target":{"password":"p","username":"other"}}`).wantError(http.StatusForbidden, "token_wrong")
	}
}

func TestShareBelongsToTheOwner(t *testing.T) {
	s, st := sharingServer(t)
	path, token := "/api/v1/runs/"+st.ID+"/share", []string{"Authorization", "Bearer " + st.DeleteToken}
	s.do("GET", path, "").want(http.StatusUnauthorized)
	s.do("PUT", path, `{"hide":[]}`, "Authorization", "Bearer wrong").want(http.StatusForbidden)
	s.do("PUT", path, `{"hide":["nothing"]}`, token...).wantError(http.StatusBadRequest, "invalid_input", "hide")
	s.do("PUT", path, `{"keep_days":0}`, token...).wantError(http.StatusBadRequest, "invalid_input", "keep_days")
	var share struct {
		Hide      []string
		ExpiresAt time.Time `json:"expires_at"`
		Views     int
	}
	s.do("PUT", path, `{"keep_days":90}`, token...).want(http.StatusOK).json(&share)
	if left := time.Until(share.ExpiresAt); left < 89*24*time.Hour || left > 91*24*time.Hour || strings.Join(share.Hide, ",") != "user,payloads" {
		t.Errorf("%+v", share)
	}
	if r := s.do("GET", "/api/v1/runs/"+st.ID, "").want(http.StatusOK); !bytes.Contains(r.body, []byte(share.ExpiresAt.Format("2006-01-02"))) {
		t.Error("the report does not say when it ends now")
	}
	agent := []string{"User-Agent", "Mozilla/5.0"}
	s.do("GET", "/runs/"+st.ID, "", "User-Agent", "Slackbot-LinkExpanding 1.0")
	s.do("GET", "/runs/"+st.ID, "", append(agent, token...)...)
	s.do("GET", "/runs/"+st.ID, "", agent...)
	s.do("GET", "/runs/"+st.ID, "", agent...) // loaded again
	s.do("GET", path, "", token...).want(http.StatusOK).json(&share)
	if share.Views != 1 {
		t.Errorf("%d views", share.Views)
	}
}

// Who watches while the owner hides something sees no more of it.
func TestHidingReachesThoseWhoWatch(t *testing.T) {
	g := newGate()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, g.probe("mqtt.test")))
	st := s.start(`{"target":{"url":"mqtts://` + sharedHost + `"}}`)
	receive(t, g.entered)
	conn, _, err := s.dial("/api/v1/runs/" + st.ID + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow() //nolint:errcheck // closed below
	_, first, err := conn.Read(t.Context())
	if err != nil || !bytes.Contains(first, []byte(sharedHost)) {
		t.Fatalf("%s %v", first, err)
	}
	s.do("PUT", "/api/v1/runs/"+st.ID+"/share", `{"hide":["host"]}`, "Authorization", "Bearer "+st.DeleteToken).want(http.StatusOK)
	close(g.leave)
	for {
		_, frame, err := conn.Read(t.Context())
		if err != nil {
			break
		}
		if bytes.Contains(frame, []byte("run.finished")) && bytes.Contains(frame, []byte(sharedHost)) {
			t.Errorf("%s", frame)
		}
	}
}

func TestTraceHides(t *testing.T) {
	in := diag.TargetInput{URL: "wss://mqtt.plant-seven.example/mqtt", Username: "line7"}
	kept := trace.Attached{Target: in.URL, Payloads: true, Packets: []trace.Frame{
		{Seq: 1, At: time.Now(), Length: 40, Dir: "out", Type: "CONNECT", Fields: map[string]any{"username": "line7", "client_id": "press",
			"will": map[string]any{"topic": "plant/line7/will"}}},
		{Seq: 2, At: time.Now(), Length: 40, Dir: "out", Type: "PUBLISH", Fields: map[string]any{"topic": "x", "qos": 0.0}},
		{Seq: 3, At: time.Now(), Length: 40, Dir: "out", Type: "SUBSCRIBE", Fields: map[string]any{"filters": []any{map[string]any{"filter": "plant/#"}}},
			Note: diag.N("trace.subscribe", "filter", "plant/#")},
		{Seq: 4, At: time.Now(), Length: 40, Dir: "in", Type: "DISCONNECT", Fields: map[string]any{"server_reference": "other.plant-seven.example"}}}}
	for _, c := range []struct {
		hide []diag.Hide
		gone string
	}{{[]diag.Hide{diag.HideHost}, "plant-seven"}, {[]diag.Hide{diag.HideUser}, `"line7"`}, {[]diag.Hide{diag.HideTopics}, "plant/"}} {
		got, err := maskTrace(mask.New(c.hide, []byte("key"), in, diag.PlanOptions{}), kept)
		if err != nil {
			t.Fatal(err)
		}
		if data, _ := json.Marshal(got); strings.Contains(string(data), c.gone) {
			t.Errorf("%v: %s", c.hide, data)
		}
	}
	if kept.Packets[0].Fields["username"] != "line7" {
		t.Error("the trace itself has changed")
	}
}

// Messengers show the verdict and the cause of a link to a whole channel, and whose broker it is only where its owner said so.
func TestPreviewNamesTheHostWhereAllowed(t *testing.T) {
	s, st := sharingServer(t)
	path, token := "/api/v1/runs/"+st.ID+"/share", []string{"Authorization", "Bearer " + st.DeleteToken}
	head := func() string {
		t.Helper()
		page := string(s.do("GET", "/runs/"+st.ID, "", "User-Agent", "Slackbot-LinkExpanding 1.0").want(http.StatusOK).body)
		before, _, _ := strings.Cut(page, "</head>")
		if !strings.Contains(before, `property="og:title"`) || !strings.Contains(before, `property="og:description"`) {
			t.Errorf("no preview in %s", before)
		}
		return before
	}
	for _, c := range []struct {
		set   string
		named bool
	}{{"", false}, {`{"preview_host":true}`, true}, {`{"keep_days":3}`, true}, {`{"hide":["host"]}`, false}, {`{"hide":[]}`, true}, {`{"preview_host":false}`, false}} {
		if c.set != "" {
			s.do("PUT", path, c.set, token...).want(http.StatusOK)
		}
		if text := head(); strings.Contains(text, "plant7") != c.named {
			t.Errorf("after %s: %s", c.set, text)
		}
	}
}
