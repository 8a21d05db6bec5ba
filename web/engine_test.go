package web

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

// realServer runs the engine that the program runs.
func realServer(t *testing.T, policy string) *testServer {
	return startServer(t, testConfig(t), NewEngine(guard.Policy{Name: policy}, "test", nil))
}

func (s *testServer) finish(body map[string]any) report {
	s.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	st := s.start(string(data))
	frames, _ := s.watch(st.ID, "")
	wantNumbers(s.t, frames, 0)
	return s.report(st.ID)
}

func TestTheRealEngineOverTheInterface(t *testing.T) {
	s := realServer(t, guard.Laptop)
	broker := diagtest.Mochi(t, diagtest.MochiOptions{Users: map[string]string{"user": "CANARY-right"}})
	target := func(password string) map[string]any {
		return map[string]any{"target": map[string]any{"url": broker.MQTT, "username": "user", "password": password}}
	}
	if r := s.finish(target("CANARY-right")); r.Verdict != "healthy" {
		t.Errorf("%+v", r)
	}
	if r := s.finish(target("CANARY-wrong")); r.Verdict != "broken" || r.RootCause["layer"] != "mqtt" {
		t.Errorf("%+v", r)
	}
	closed := net.JoinHostPort("127.0.0.1", strconv.Itoa(diagtest.ClosedPort(t)))
	r := s.finish(map[string]any{"target": map[string]any{"url": closed}, "lang": "zh"})
	if r.Verdict != "broken" || r.RootCause["code"] != "tcp.refused" || r.Lang != "zh" {
		t.Errorf("%+v", r)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if strings.Contains(s.log.String(), "CANARY") {
		t.Error("the log holds a password")
	}
	if data, err := os.ReadFile(s.data + "/mqttdoctor.db"); err != nil || strings.Contains(string(data), "CANARY") {
		t.Errorf("the archive holds a password, or cannot be read: %v", err)
	}
}

// TestANameThatResolvesToAForbiddenAddressIsNotDialled uses this machine's own name, which resolves to an address of its
// own: no page can tell that before it asks.
func TestANameThatResolvesToAForbiddenAddressIsNotDialled(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip", name)
	if err != nil || len(addrs) == 0 {
		t.Skipf("this machine's name %s does not resolve: %v", name, err)
	}
	policy := guard.Policy{Name: guard.Public}
	for _, a := range addrs {
		if policy.Check(a) == nil {
			t.Skipf("%s is a public address", a)
		}
	}
	var accepted atomic.Int32
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_ = conn.Close()
		}
	}()
	defer func() { _ = l.Close(); <-done }()
	s := realServer(t, guard.Public)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	var st started
	a := s.do("POST", "/api/v1/runs", `{"target":{"url":"`+name+":"+port+`"},"plan":{"timeout_s":1}}`)
	a.want(http.StatusAccepted).json(&st)
	frames, _ := s.watch(st.ID, "")
	wantNumbers(t, frames, 0)
	r := s.report(st.ID)
	if r.Verdict == "healthy" || r.State != diag.StateFinished {
		t.Errorf("%+v", r)
	}
	if n := accepted.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	if !strings.Contains(string(s.do("GET", "/api/v1/runs/"+st.ID, "").body), "policy") {
		t.Error("the report does not say that it is policy")
	}
}
