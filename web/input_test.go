package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mqttdoctor/diag/diagtest"
	"mqttdoctor/diag/guard"
)

func TestBadInputNamesItsField(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	target := func(fields string) string { return `{"target":{"url":"broker.test",` + fields + `}}` }
	url := func(u string) string {
		data, _ := json.Marshal(u)
		return `{"target":{"url":` + string(data) + `}}`
	}
	for name, c := range map[string]struct {
		body  string
		field string
	}{
		"empty":              {url(""), "target.url"},
		"missing":            {`{}`, "target.url"},
		"blank":              {url("   "), "target.url"},
		"space inside":       {url("mqtt://a b"), "target.url"},
		"full-width colon":   {url("mqtt：//broker.test"), "target.url"},
		"full-width port":    {url("broker.test：1883"), "target.url"},
		"full-width dots":    {url("mqtt://broker。test"), "target.url"},
		"unknown scheme":     {url("http://broker.test"), "target.url"},
		"port 0":             {url("broker.test:0"), "target.url"},
		"port 70000":         {url("broker.test:70000"), "target.url"},
		"port in words":      {url("broker.test:mqtt"), "target.url"},
		"zero-width space":   {url("broker\u200b.test"), "target.url"},
		"no address":         {url("300.1.1.1"), "target.url"},
		"not closed":         {url("mqtt://[::1"), "target.url"},
		"protocol":           {target(`"protocol":"4"`), "target.protocol"},
		"keepalive":          {target(`"keepalive_s":70000`), "target.keepalive_s"},
		"keepalive fraction": {target(`"keepalive_s":1.5`), "target.keepalive_s"},
		"keepalive text":     {target(`"keepalive_s":"60"`), "target.keepalive_s"},
		"client id NUL":      {target(`"client_id":"a\u0000"`), "target.client_id"},
		"CA is no PEM":       {target(`"tls":{"ca_pem":"hello"}`), "target.tls.ca_pem"},
		"CA is a key":        {target(fmt.Sprintf(`"tls":{"ca_pem":%q}`, "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----")), "target.tls.ca_pem"},
		"key without cert":   {target(`"tls":{"key_pem":"x"}`), "target.tls.cert_pem"},
		"publish wildcard":   {target(`"topics":{"publish":"a/#"}`), "target.topics.publish"},
		"publish NUL":        {target(`"topics":{"publish":"a\u0000b"}`), "target.topics.publish"},
		"subscribe hash":     {target(`"topics":{"subscribe":["a/#/b"]}`), "target.topics.subscribe"},
		"subscribe plus":     {target(`"topics":{"subscribe":["a+/b"]}`), "target.topics.subscribe"},
		"subscribe NUL":      {target(`"topics":{"subscribe":["\u0000"]}`), "target.topics.subscribe"},
		"qos 3":              {target(`"topics":{"qos":3}`), "target.topics.qos"},
		"paths differ":       {`{"target":{"url":"ws://broker.test/a","ws":{"path":"/b"}}}`, "target.ws.path"},
		"header name":        {`{"target":{"url":"ws://broker.test","ws":{"headers":{"a b":"c"}}}}`, "target.ws.headers"},
		"header injection":   {`{"target":{"url":"ws://broker.test","ws":{"headers":{"A":"b\r\nC: d"}}}}`, "target.ws.headers"},
		"unknown symptom":    {`{"target":{"url":"broker.test"},"plan":{"symptom":"pain"}}`, "plan.symptom"},
		"unknown depth":      {`{"target":{"url":"broker.test"},"plan":{"depth":"abyss"}}`, "plan.depth"},
		"unknown check":      {`{"target":{"url":"broker.test"},"plan":{"include":["no.such"]}}`, "plan.include"},
		"timeout":            {`{"target":{"url":"broker.test"},"plan":{"timeout_s":0}}`, "plan.timeout_s"},
		"resolver name":      {`{"target":{"url":"broker.test"},"plan":{"resolvers":["dns.test"]}}`, "plan.resolvers"},
		"burst consent":      {`{"target":{"url":"broker.test"},"plan":{"burst":{"count":101}}}`, "plan.burst.count"},
		"unknown language":   {`{"target":{"url":"broker.test"},"lang":"fr"}`, "lang"},
		"unknown top field":  {`{"target":{"url":"broker.test"},"lnag":"en"}`, "lnag"},
		"unknown in target":  {target(`"user":"x"`), "target.user"},
		"unknown in tls":     {target(`"tls":{"ca":"x"}`), "target.tls.ca"},
		"other case":         {`{"target":{"URL":"broker.test","url":"broker.test"}}`, "target.URL"},
		"password as flag":   {target(`"password":true`), "target.password"},
		"url as number":      {`{"target":{"url":1883}}`, "target.url"},
		"list as text":       {target(`"nodes":"a"`), "target.nodes"},
		"null in a list":     {target(`"nodes":[null]`), "target.nodes"},
		"target as list":     {`{"target":[]}`, "target"},
		"header as object":   {`{"target":{"url":"ws://broker.test","ws":{"headers":{"A":{}}}}}`, "target.ws.headers"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, lang := range []string{"en", "zh"} {
				a := s.do("POST", "/api/v1/runs", c.body, "Accept-Language", lang)
				a.t = t
				a.wantError(http.StatusBadRequest, "invalid_input", c.field)
			}
		})
	}
}

func TestKeyMustFitItsCertificate(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	ca := diagtest.NewCA(t, "test authority")
	one, other := ca.Issue(t, diagtest.CertOptions{}), ca.Issue(t, diagtest.CertOptions{})
	body := func(cert, key string) string {
		data, err := json.Marshal(map[string]any{"target": map[string]any{"url": "mqtts://broker.test",
			"tls": map[string]any{"cert_pem": cert, "key_pem": key}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	s.do("POST", "/api/v1/runs", body(one.CertPEM, other.KeyPEM)).wantError(http.StatusBadRequest, "invalid_input", "target.tls.key_pem")
	s.do("POST", "/api/v1/runs", body(one.CertPEM, "")).wantError(http.StatusBadRequest, "invalid_input", "target.tls.key_pem")
	s.do("POST", "/api/v1/runs", body("x", "")).wantError(http.StatusBadRequest, "invalid_input", "target.tls.cert_pem", "target.tls.key_pem")
	s.do("POST", "/api/v1/runs", body(one.CertPEM, one.KeyPEM)).want(http.StatusAccepted)
}

func TestBodiesAreBoundedAndJSON(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	large := `{"target":{"url":"broker.test","username":"` + strings.Repeat("x", 2<<20) + `"}}`
	e := s.do("POST", "/api/v1/runs", large).wantError(http.StatusBadRequest, "body_too_large")
	if !strings.Contains(e.Error.Message, "1048576") {
		t.Errorf("the limit is not named: %s", e.Error.Message)
	}
	s.do("POST", "/api/v1/runs", plainRun, "Content-Type", "text/plain").wantError(http.StatusUnsupportedMediaType, "not_json_type")
	s.do("POST", "/api/v1/runs", plainRun, "Content-Type", "application/json; charset=latin1").wantError(http.StatusUnsupportedMediaType, "not_json_type")
	s.do("POST", "/api/v1/runs", plainRun, "Content-Type", "application/json; charset=UTF-8").want(http.StatusAccepted)
	for _, body := range []string{`{`, `[]`, `"x"`, `{"target":{}} {}`, `{"target":}`, "\xff", `null`} {
		s.do("POST", "/api/v1/runs", body).wantError(http.StatusBadRequest, "not_json")
	}
	a := s.do("POST", "/api/v1/runs", `{"target":{"password":"CANARY}`)
	if a.wantError(http.StatusBadRequest, "not_json"); strings.Contains(string(a.body), "CANARY") {
		t.Errorf("the input is quoted: %s", a.body)
	}
}
