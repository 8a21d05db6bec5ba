package web

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
)

// TestGuidesAreFilledInForTheTarget: by an address, never with its password, and for a report's own target.
func TestGuidesAreFilledInForTheTarget(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	s.do("GET", "/guides", "").want(http.StatusOK)
	for _, symptom := range diag.Symptoms {
		for _, lang := range []string{"en", "zh"} {
			s.do("GET", "/guides/"+string(symptom)+"?lang="+lang, "").want(http.StatusOK)
		}
	}
	s.do("GET", "/guides/headache", "").want(http.StatusNotFound)
	s.do("GET", "/guides/refused?from=AAAAAAAAAAAAAAAAAAAAAAAAAA", "").want(http.StatusOK)

	page := s.do("GET", "/guides/refused?url="+url.QueryEscape("mqtt://meter:CANARY@broker.test:1884"), "").want(http.StatusOK).body
	if !bytes.Contains(page, []byte("sport = :1884")) || bytes.Contains(page, []byte("CANARY")) {
		t.Errorf("%s", page)
	}
	if page := s.do("GET", "/guides/refused?url="+url.QueryEscape("mqtt://broker.test:99999"), "").want(http.StatusOK).body; !bytes.Contains(page, []byte("field-error")) {
		t.Error("a mistake in the address is not told")
	}

	var st started
	s.do("POST", "/api/v1/runs", `{"target":{"url":"mqtts://broker.test:8884"},"plan":{"symptom":"tls"}}`).want(http.StatusAccepted).json(&st)
	s.watch(st.ID, "")
	if page := s.do("GET", "/guides/tls?from="+st.ID, "").body; !bytes.Contains(page, []byte(`-connect</span> broker.test:8884`)) {
		t.Error("the report's target is not filled in")
	}
	if page := s.do("GET", "/runs/"+st.ID, "").body; !bytes.Contains(page, []byte("/guides/tls?from="+st.ID)) {
		t.Error("the report does not lead to its guide")
	}
}
