package web

import (
	"net/http"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
)

func TestRunFromPostToReport(t *testing.T) {
	t.Parallel()
	g := newGate()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test"), g.probe("mqtt.test", "dns.test")))
	a := s.do("POST", "/api/v1/runs", plainRun).want(http.StatusAccepted)
	var st started
	a.json(&st)
	if st.URL != s.base+"/runs/"+st.ID || st.StreamURL != "ws"+strings.TrimPrefix(s.base, "http")+"/api/v1/runs/"+st.ID+"/stream" {
		t.Errorf("%+v", st)
	}
	if a.header.Get("Location") != st.URL || len(st.ID) < 26 || len(st.DeleteToken) < 26 {
		t.Errorf("%+v, %s", st, a.header)
	}
	receive(t, g.entered)
	var r report
	await(t, "the second step is shown", func() bool { r = s.report(st.ID); return len(r.Steps) == 2 })
	if r.State != diag.StateRunning || r.Steps[0].Status != "passed" || r.Steps[1].Status != "running" {
		t.Errorf("report under way: %+v", r)
	}
	close(g.leave)
	frames, status := s.watch(st.ID, "")
	wantNumbers(t, frames, 0)
	if status != 1000 || frames[0].Type != diag.EventRunStarted {
		t.Errorf("status %d, first %+v", status, frames[0])
	}
	r = s.report(st.ID)
	if r.State != diag.StateFinished || r.Schema != diag.Schema || r.ID != st.ID || len(r.Steps) != 2 {
		t.Errorf("%+v", r)
	}
	if end := frames[len(frames)-1].Report; end == nil || end.State != diag.StateFinished {
		t.Errorf("run.finished carries %+v", end)
	}
	export := s.do("GET", "/runs/"+st.ID+".json", "").want(http.StatusOK)
	if !strings.Contains(export.header.Get("Content-Disposition"), "attachment") || export.header.Get("X-Robots-Tag") == "" {
		t.Errorf("%v", export.header)
	}
}

func TestReportIsInTheRunsLanguageOrTheReaders(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	st := s.start(`{"target":{"url":"broker.test"},"lang":"zh"}`)
	s.watch(st.ID, "")
	if got := s.report(st.ID); got.Lang != "zh" {
		t.Errorf("language %s", got.Lang)
	}
	var r report
	s.do("GET", "/api/v1/runs/"+st.ID+"?lang=en", "").want(http.StatusOK).json(&r)
	if r.Lang != "en" {
		t.Errorf("language %s", r.Lang)
	}
	st = s.start(`{"target":{"url":"broker.test"}}`, "Accept-Language", "zh-CN,zh;q=0.9,en;q=0.5")
	s.watch(st.ID, "")
	if got := s.report(st.ID); got.Lang != "zh" {
		t.Errorf("language %s", got.Lang)
	}
	e := s.do("GET", "/api/v1/runs/nothing?lang=zh", "").wantError(http.StatusNotFound, "run_not_found")
	if !strings.Contains(e.Error.Message, "报告") {
		t.Error(e.Error.Message)
	}
}

func TestForbiddenTargets(t *testing.T) {
	e := testEngine(guard.Public, passing("dns.test"))
	s := startServer(t, testConfig(t), e)
	for _, url := range []string{"mqtt://127.0.0.1:1883", "mqtt://[::1]", "mqtt://[::ffff:10.0.0.1]", "localhost:1883",
		"ws://169.254.169.254/", "mqtts://192.168.1.1"} {
		s.do("POST", "/api/v1/runs", `{"target":{"url":"`+url+`"}}`).wantError(http.StatusForbidden, "target_forbidden", "target.url")
	}
	s.do("POST", "/api/v1/runs", `{"target":{"url":"broker.test","nodes":["10.1.1.1"]}}`).
		wantError(http.StatusForbidden, "target_forbidden", "target.nodes")
	s.do("POST", "/api/v1/runs", `{"target":{"url":"broker.test"},"plan":{"resolvers":["127.0.0.53"]}}`).
		wantError(http.StatusForbidden, "target_forbidden", "plan.resolvers")
	s.start(`{"target":{"url":"mqtt://8.8.8.8"}}`)
}

func TestLimitsOnRunsAtOnce(t *testing.T) {
	g := newGate()
	c := testConfig(t)
	c.MaxRuns, c.MaxPerClient = 3, 2
	c.TrustedProxies = mustPrefixes(t, "127.0.0.1")
	s := startServer(t, c, testEngine(guard.Laptop, g.probe("mqtt.test")))
	from := func(addr string) answer {
		return s.do("POST", "/api/v1/runs", plainRun, "X-Forwarded-For", addr)
	}
	from("192.0.2.1").want(http.StatusAccepted)
	from("192.0.2.1").want(http.StatusAccepted)
	a := from("192.0.2.1")
	a.wantError(http.StatusTooManyRequests, "too_many_runs_client")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	from("192.0.2.2").want(http.StatusAccepted)
	from("192.0.2.3").wantError(http.StatusTooManyRequests, "too_many_runs")
	close(g.leave)
	await(t, "a place is free again", func() bool { return from("192.0.2.3").status == http.StatusAccepted })
}

// Many who sign in come from one address: each has places of his own, wherever he sits.
func TestLimitsOfThoseWhoSignIn(t *testing.T) {
	g := newGate()
	c := basicConfig(t)
	c.MaxPerClient, c.MaxConsolesPer = 1, 1
	s := startServer(t, c, testEngine(guard.Laptop, g.probe("mqtt.test")))
	defer close(g.leave)
	for _, name := range []string{"ada", "bob"} {
		desk, elsewhere := newBrowser(s), newBrowser(s)
		desk.signIn(name)
		elsewhere.signIn(name)
		desk.start(plainRun)
		elsewhere.do("POST", "/api/v1/runs", plainRun).wantError(http.StatusTooManyRequests, "too_many_runs_client")
		desk.do("POST", "/api/v1/console", `{"target":{"url":"mqtt://broker.test"}}`).want(http.StatusCreated)
		elsewhere.do("POST", "/api/v1/console", `{"target":{"url":"mqtt://broker.test"}}`).wantError(http.StatusTooManyRequests, "too_many_consoles_client")
	}
}

func TestCancelEndsTheRun(t *testing.T) {
	g := newGate()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test"), g.probe("mqtt.test", "dns.test")))
	st := s.start(plainRun)
	receive(t, g.entered)
	s.do("POST", "/api/v1/runs/"+st.ID+"/cancel", "", "Authorization", "Bearer wrong").wantError(http.StatusForbidden, "token_wrong")
	var got struct{ State diag.State }
	s.do("POST", "/api/v1/runs/"+st.ID+"/cancel", "", "Authorization", "Bearer "+st.DeleteToken).want(http.StatusAccepted).json(&got)
	if got.State != diag.StateCanceled {
		t.Errorf("state %s", got.State)
	}
	r := s.report(st.ID)
	if r.State != diag.StateCanceled || r.Steps[0].Status != "passed" || r.Steps[1].Status != "canceled" || r.Verdict != "inconclusive" {
		t.Errorf("%+v", r)
	}
	s.do("POST", "/api/v1/runs/"+st.ID+"/cancel", "", "Authorization", "Bearer "+st.DeleteToken).want(http.StatusAccepted)
}

func TestABrowsersRunIsItsOwn(t *testing.T) {
	t.Parallel()
	g := newGate()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, g.probe("mqtt.test")))
	a := s.do("POST", "/api/v1/runs", plainRun, "Sec-Fetch-Site", "same-origin").want(http.StatusAccepted)
	var st started
	a.json(&st)
	cookie := a.header.Get("Set-Cookie")
	for _, flag := range []string{"mqttdoctor_owner=", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, flag) {
			t.Errorf("cookie %s lacks %s", cookie, flag)
		}
	}
	mine, _, _ := strings.Cut(cookie, ";")
	cancel := "/api/v1/runs/" + st.ID + "/cancel"
	s.do("POST", cancel, "").wantError(http.StatusUnauthorized, "token_missing")
	s.do("POST", cancel, "", "Cookie", "mqttdoctor_owner=AAAAAAAAAAAAAAAAAAAAAAAAAA").wantError(http.StatusForbidden, "token_wrong")
	s.do("POST", cancel, "", "Cookie", mine).want(http.StatusAccepted)
	// One that a program made has its link alone.
	st = s.start(plainRun)
	s.do("POST", "/api/v1/runs/"+st.ID+"/cancel", "").want(http.StatusAccepted)
	s.do("DELETE", "/api/v1/runs/"+st.ID, "").wantError(http.StatusUnauthorized, "token_missing")
}

func TestDeleteEndsAndErases(t *testing.T) {
	g := newGate()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, g.probe("mqtt.test")))
	st := s.start(plainRun)
	receive(t, g.entered)
	path := "/api/v1/runs/" + st.ID
	conn, _, err := s.dial(path + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if a := s.do("DELETE", path, ""); a.header.Get("WWW-Authenticate") == "" {
		t.Error("401 without WWW-Authenticate")
	}
	s.do("DELETE", path, "", "Authorization", "Bearer "+newToken()).wantError(http.StatusForbidden, "token_wrong")
	s.do("DELETE", "/api/v1/runs/"+newID(), "", "Authorization", "Bearer "+st.DeleteToken).wantError(http.StatusNotFound, "run_not_found")
	s.do("DELETE", path, "", "Authorization", "Bearer "+st.DeleteToken).want(http.StatusNoContent)
	s.do("GET", path, "").wantError(http.StatusNotFound, "run_not_found")
	s.do("DELETE", path, "", "Authorization", "Bearer "+st.DeleteToken).wantError(http.StatusNotFound, "run_not_found")
	if _, status := readFrames(t, conn); status != 1001 {
		t.Errorf("viewers of a deleted run are closed with %d", status)
	}
	await(t, "the run is over", func() bool { _, ok := s.server.runs.find(st.ID); return !ok })
	s.do("GET", path, "").wantError(http.StatusNotFound, "run_not_found")
}

func TestRerun(t *testing.T) {
	t.Parallel()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	first := s.start(`{"target":{"url":"broker.test:1884","client_id":"c","password":"pw"},"plan":{"depth":"deep","timeout_s":2}}`)
	s.watch(first.ID, "")
	path := "/api/v1/runs/" + first.ID + "/rerun"
	var again started
	s.do("POST", path, "").want(http.StatusAccepted).json(&again)
	s.watch(again.ID, "")
	r := s.report(again.ID)
	if again.ID == first.ID || r.Target["url"] != "mqtt://broker.test:1884" || r.Target["client_id"] != "c" || r.Target["password"] != true {
		t.Errorf("%+v", r)
	}
	s.do("POST", path, "", "Authorization", "Bearer "+newToken()).wantError(http.StatusForbidden, "token_wrong")
	s.do("POST", path, `{"apply":"tcp.refused"}`).wantError(http.StatusBadRequest, "no_suggestion", "apply")
	s.do("POST", path, `{"targets":{}}`).wantError(http.StatusBadRequest, "invalid_input", "targets")
	s.do("POST", "/api/v1/runs/"+newID()+"/rerun", "").wantError(http.StatusNotFound, "run_not_found")

	// Once the secrets are gone they are asked again, by name.
	s.server.runs.vault.drop(first.ID)
	s.do("POST", path, "").wantError(http.StatusBadRequest, "secrets_gone", "target.password")
	s.do("POST", path, `{"target":{"password":"pw"}}`).want(http.StatusAccepted).json(&again)
	s.watch(again.ID, "")
	if r := s.report(again.ID); r.Target["password"] != true {
		t.Errorf("%+v", r.Target)
	}
	// The new run holds them itself.
	s.do("POST", "/api/v1/runs/"+again.ID+"/rerun", "").want(http.StatusAccepted)
}

func TestStrangersDoNotUseSecretsThatAreHeld(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	st := s.start(`{"target":{"url":"ws://broker.test","password":"pw","ws":{"headers":{"Cookie":"x"}}}}`, "Sec-Fetch-Site", "same-origin")
	path := "/api/v1/runs/" + st.ID + "/rerun"
	s.do("POST", path, "").wantError(http.StatusBadRequest, "secrets_gone", "target.password", "target.ws.headers")
	s.watch(st.ID, "")
	s.do("POST", path, "").wantError(http.StatusBadRequest, "secrets_gone", "target.password", "target.ws.headers")
	s.do("POST", path, "", "Authorization", "Bearer "+st.DeleteToken).want(http.StatusAccepted)
}

func TestLists(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	var checks struct{ Checks []struct{ ID string } }
	s.do("GET", "/api/v1/checks", "").want(http.StatusOK).json(&checks)
	if len(checks.Checks) != 1 || checks.Checks[0].ID != "dns.test" {
		t.Errorf("%+v", checks)
	}
	var causes struct {
		Causes []struct{ Code, Title string }
	}
	s.do("GET", "/api/v1/causes?lang=zh", "").want(http.StatusOK).json(&causes)
	if len(causes.Causes) == 0 || causes.Causes[0].Title == "" {
		t.Errorf("%+v", causes)
	}
}

func TestTheInterfaceIsDescribed(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop))
	var doc struct{ OpenAPI string }
	s.do("GET", "/api/openapi.json", "").want(http.StatusOK).json(&doc)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("%+v", doc)
	}
}

func TestTopicMatch(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop))
	for body, want := range map[string]string{
		`{"filter":"a/+/c","topic":"a/b/c"}`:            "matches the topic",
		`{"filter":"a/#","topic":"a"}`:                  "matches the topic",
		`{"filter":"#","topic":"$SYS/x"}`:               "begin with $",
		`{"filter":"Home/x","topic":"home/x"}`:          "capital",
		`{"filter":"a/b","topic":"a/b/c"}`:              "goes on",
		`{"filter":"a/b/c","topic":"a/b"}`:              "ends before",
		`{"filter":"/a","topic":"a"}`:                   "begins with a slash",
		`{"filter":"a/b","topic":"a/b/"}`:               "ends with a slash",
		`{"filter":"a","topic":"b"}`:                    `"a"`,
		`{"filter":"a ","topic":"a"}`:                   "cannot be seen",
		`{"filter":"a/+","topic":"a/b","lang":"zh"}`:    "匹配主题",
		`{"filter":"$share/g/a/+","topic":"a/b"}`:       "matches the topic",
		`{"filter":"a/b","topic":"a/c","lang":"zh"}`:    "层不同",
		`{"filter":"a//b","topic":"a/b/c","lang":"en"}`: `""`,
	} {
		var got struct {
			Matches bool
			Reason  string
		}
		s.do("POST", "/api/v1/topic-match", body).want(http.StatusOK).json(&got)
		if !strings.Contains(got.Reason, want) || strings.Contains(got.Reason, "api.match") ||
			got.Matches != (strings.Contains(want, "matches the topic") || strings.Contains(want, "匹配主题")) {
			t.Errorf("%s: %+v, want %s", body, got, want)
		}
	}
	s.do("POST", "/api/v1/topic-match", `{"filter":"a/#/b","topic":"a/+"}`).wantError(http.StatusBadRequest, "invalid_input", "filter", "topic")
	s.do("POST", "/api/v1/topic-match", `{"filter":"","topic":"a\u0000"}`).wantError(http.StatusBadRequest, "invalid_input", "filter", "topic")
}

func TestClientCode(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop))
	body := s.do("POST", "/api/v1/client-code", `{"target":{"url":"mqtts://broker.test","protocol":"5","username":"o'neil","password":"CANARY","keepalive_s":45,"clean_start":false,"session_expiry_s":600,"tls":{"ca_pem":"there","cert_pem":"there"}},"lang":"zh"}`).want(http.StatusOK).body
	for _, want := range []string{"paho-python", "hivemq-java", "o'neil", "45", "600", "MQTT_PASSWORD", "8883", "ca.pem", "client.key"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if strings.Contains(string(body), "CANARY") {
		t.Error("the password is in the code")
	}
	s.do("POST", "/api/v1/client-code", `{"target":{"url":"http://broker.test"}}`).wantError(http.StatusBadRequest, "invalid_input", "target.url")
}

func TestHealth(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	s.do("GET", "/healthz", "").want(http.StatusOK)
	s.do("GET", "/readyz", "").want(http.StatusOK)
	st := s.start(plainRun)
	s.watch(st.ID, "")
	await(t, "the run is counted", func() bool {
		return strings.Contains(string(s.do("GET", "/metrics", "").want(http.StatusOK).body),
			`mqttdoctor_runs_total{state="finished",verdict="inconclusive"} 1`)
	})
	if err := s.server.runs.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.do("GET", "/readyz", "").wantError(http.StatusServiceUnavailable, "stopping")
	s.do("POST", "/api/v1/runs", plainRun).wantError(http.StatusServiceUnavailable, "stopping")
	s.do("GET", "/healthz", "").want(http.StatusOK)
}

func TestUnknownRoutesAreInTheErrorShape(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop))
	s.do("GET", "/api/v1/nothing", "").wantError(http.StatusNotFound, "not_found")
	s.do("GET", "/api", "").wantError(http.StatusNotFound, "not_found")
	a := s.do("PUT", "/api/v1/runs", "{}")
	if a.wantError(http.StatusMethodNotAllowed, "method_not_allowed"); a.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}
	if a := s.do("GET", "/nothing", ""); a.status != http.StatusNotFound {
		t.Errorf("status %d", a.status)
	}
	if a := s.do("GET", "/static/nothing.js", ""); a.status != http.StatusNotFound {
		t.Errorf("status %d", a.status)
	}
}

func TestRerunTakesASuggestionOver(t *testing.T) {
	e := testEngine(guard.Laptop, passing("dns.test"))
	e.Rules = []diag.Rule{{Code: "tls.required", Severity: diag.SeverityCritical, When: func(v *diag.View) diag.Verdict {
		return diag.Holds(diag.Finding{Suggestion: &diag.Suggestion{URL: "mqtts://broker.test:8883", Protocol: diag.Version311}})
	}}}
	s := startServer(t, testConfig(t), e)
	first := s.start(`{"target":{"url":"broker.test","client_id":"c"}}`)
	s.watch(first.ID, "")
	var again started
	s.do("POST", "/api/v1/runs/"+first.ID+"/rerun", `{"apply":"tls.required","lang":"zh"}`).want(http.StatusAccepted).json(&again)
	if r := s.report(again.ID); r.Target["url"] != "mqtts://broker.test:8883" || r.Target["protocol"] != "3.1.1" ||
		r.Target["client_id"] != "c" || r.Lang != "zh" {
		t.Errorf("%+v", r)
	}
}

func TestSuggestionsFitTheirTarget(t *testing.T) {
	empty, origin, qos := "", "https://app.test", 0
	for name, c := range map[string]struct {
		target diag.TargetInput
		change diag.Suggestion
		want   func(diag.Target) bool
	}{
		"another path than the URL's": {diag.TargetInput{URL: "ws://broker.test/a", WS: diag.WSInput{Path: "/a"}},
			diag.Suggestion{WS: &diag.WSSuggestion{Path: "/mqtt"}}, func(t diag.Target) bool { return t.WS.Path == "/mqtt" }},
		"another path than the field's": {diag.TargetInput{URL: "wss://broker.test", WS: diag.WSInput{Path: "/a"}},
			diag.Suggestion{WS: &diag.WSSuggestion{Path: "/b?c=d"}}, func(t diag.Target) bool {
				return t.RequestURI("/b") == "/b?c=d" && t.WS.Path == "/b" && t.Port == 443
			}},
		"another transport, with the query": {diag.TargetInput{URL: "ws://broker.test/a?token=x"},
			diag.Suggestion{URL: "wss://broker.test:443/a"}, func(t diag.Target) bool { return t.RequestURI("/a") == "/a?token=x" && t.Port == 443 }},
		"another path worked without the query": {diag.TargetInput{URL: "ws://broker.test/a?token=x"},
			diag.Suggestion{WS: &diag.WSSuggestion{Path: "/mqtt"}}, func(t diag.Target) bool { return !t.WS.Query.Given() && t.WS.Path == "/mqtt" }},
		"another URL with a path": {diag.TargetInput{URL: "broker.test", WS: diag.WSInput{Path: "/a"}},
			diag.Suggestion{URL: "ws://broker.test:9001/mqtt"}, func(t diag.Target) bool { return t.URL() == "ws://broker.test:9001/mqtt" }},
		"no CA": {diag.TargetInput{URL: "mqtts://broker.test", TLS: diag.TLSInput{CAPEM: "x"}},
			diag.Suggestion{TLS: &diag.TLSSuggestion{CAPEM: &empty, ServerName: "other.test", ALPN: []string{"mqtt"}}},
			func(t diag.Target) bool {
				return t.TLS.CAPEM == "" && t.TLS.ServerName == "other.test" && len(t.TLS.ALPN) == 1
			}},
		"origin and QoS": {diag.TargetInput{URL: "ws://broker.test"},
			diag.Suggestion{WS: &diag.WSSuggestion{Origin: &origin}, Topics: &diag.TopicsSuggestion{QoS: &qos, Subscribe: []string{"a"}}},
			func(t diag.Target) bool {
				return t.WS.Origin == origin && t.Topics.QoS == 0 && len(t.Topics.Subscribe) == 1
			}},
	} {
		apply(&c.target, c.change)
		if target, err := diag.ParseTarget(c.target); err != nil || !c.want(target) {
			t.Errorf("%s: %+v, %v", name, c.target, err)
		}
	}
}
