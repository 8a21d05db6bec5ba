package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
	"mqttdoctor/diag/mqttwire"
)

// TestTraceOfAConsoleIsAttachedToAReport goes the whole way: a client through the relay, the console's trace as a file, the report,
// and that nobody but its maker may attach and remove.
func TestTraceOfAConsoleIsAttachedToAReport(t *testing.T) {
	b := diagtest.Mosquitto(t, diagtest.MosquittoOptions{Users: map[string]string{"user": tracedPassword}})
	s := consoleServer(t, guard.Laptop)
	body, _ := json.Marshal(map[string]any{"target": map[string]any{"url": b.URLs()[0], "tls": map[string]any{"ca_pem": b.CAPEM}}})
	o := s.open(string(body))
	for _, v := range mqttwire.Versions {
		mqttSession(t, s, o.RelayURL, v, "user")
	}
	file := s.do("GET", "/api/v1/console/"+o.ID+"/trace.json", "").want(http.StatusOK).body

	st := s.start(`{"target":{"url":"mqtt://127.0.0.1:1"}}`)
	at := "/api/v1/runs/" + st.ID + "/trace"
	owner := []string{"Authorization", "Bearer " + st.DeleteToken}
	s.do("PUT", at, string(file)).want(http.StatusUnauthorized)
	s.do("PUT", at, string(file), "Authorization", "Bearer "+st.DeleteToken[1:]+"a").want(http.StatusForbidden)
	s.do("PUT", "/api/v1/runs/"+strings.Repeat("a", 34)+"/trace", string(file), owner...).want(http.StatusNotFound)
	s.do("GET", at, "").want(http.StatusNotFound)
	var answer struct{ Packets int }
	s.do("PUT", at, string(file), owner...).want(http.StatusOK).json(&answer)
	var sent struct{ Packets []json.RawMessage }
	if err := json.Unmarshal(file, &sent); err != nil || answer.Packets != len(sent.Packets) || answer.Packets < 100 {
		t.Errorf("%d of %d packets, %v", answer.Packets, len(sent.Packets), err)
	}
	for lang, words := range map[string]string{"en": "asks to connect", "zh": "请求"} {
		got := s.do("GET", at+"?lang="+lang, "").want(http.StatusOK).body
		if !bytes.Contains(got, []byte(words)) || bytes.Contains(got, []byte(tracedPassword)) || bytes.Contains(got, []byte(`"payload":`)) {
			t.Errorf("%s: %.2000s", lang, got)
		}
		page := s.do("GET", "/runs/"+st.ID+"?lang="+lang, "").want(http.StatusOK).body
		if !bytes.Contains(page, []byte(words)) || bytes.Contains(page, []byte("/trace/delete")) {
			t.Errorf("%s: the page does not show the packets, or lets a stranger remove them", lang)
		}
	}
	s.do("DELETE", at, "").want(http.StatusUnauthorized)
	s.do("DELETE", at, "", owner...).want(http.StatusNoContent)
	s.do("DELETE", at, "", owner...).want(http.StatusNotFound)
	s.do("PUT", at, string(file), owner...).want(http.StatusOK)
	s.do("DELETE", "/api/v1/runs/"+st.ID, "", owner...).want(http.StatusNoContent)
	s.do("GET", at, "").want(http.StatusNotFound)
}

// TestBrowserFindsItsRuns: by its owner cookie, and no other's.
func TestBrowserFindsItsRuns(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	mine := func(cookie string) string {
		return string(s.do("GET", "/api/v1/runs", "", "Cookie", cookie).want(http.StatusOK).body)
	}
	one, two := "mqttdoctor_owner="+strings.Repeat("A", 26), "mqttdoctor_owner="+strings.Repeat("B", 26)
	var st started
	s.do("POST", "/api/v1/runs", `{"target":{"url":"mqtt://user:hidden@broker.test"}}`, "Cookie", one).want(http.StatusAccepted).json(&st)
	if got := mine(one); !strings.Contains(got, st.ID) || !strings.Contains(got, "mqtt://broker.test") || strings.Contains(got, "hidden") {
		t.Error(got)
	}
	for _, cookie := range []string{two, "", "mqttdoctor_owner=x"} {
		if got := mine(cookie); strings.Contains(got, st.ID) {
			t.Errorf("%q: %s", cookie, got)
		}
	}
}
