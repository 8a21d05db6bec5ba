package handlers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/trace"
)

// traceBody is a trace as the console's page sends it: a CONNECT, a message, and how it ended.
func traceBody(packets ...string) string {
	if len(packets) == 0 {
		packets = []string{
			`{"seq":1,"at":"2026-01-02T03:04:05.000Z","conn":1,"dir":"out","type":"CONNECT","length":40,"explanation":"PASSWORD-canary",
				"note":{"key":"trace.connect","args":{"version":"5","client_id":"c-7","keepalive":"60"}},
				"fields":{"protocol":"MQTT","version":"5","client_id":"c-7","clean_start":true,"keepalive_s":60,"username":"u?token=TOKEN-canary","password":"PASSWORD-canary"}}`,
			`{"seq":2,"at":"2026-01-02T03:04:05.100Z","conn":1,"dir":"in","type":"CONNACK","length":5,"answers":1,"took_ms":12.5,"explanation":"",
				"note":{"key":"trace.connack.refused","args":{"code":"135 (0x87)","reason":"Not authorized"}},
				"fields":{"session_present":false,"reason":{"code":135,"name":"Not authorized","key":"trace.reason.0x87"}}}`,
			`{"seq":3,"at":"2026-01-02T03:04:05.200Z","conn":1,"dir":"out","type":"PUBLISH","length":20,"explanation":"",
				"note":{"key":"trace.publish.out","args":{"length":"7","topic":"site/<b>|1","qos":"0"}},
				"warnings":[{"text":"x","section":"MQTT 5.0 3.14.4 [MQTT-3.14.4-1]","note":{"key":"trace.warn.after_end","args":{"name":"PUBLISH"}}}],
				"fields":{"topic":"site/<b>|1","qos":0,"retain":false,"dup":false,"payload_bytes":7,"payload":"` + base64.StdEncoding.EncodeToString([]byte("PAYLOAD")) + `"}}`,
			`{"seq":4,"at":"2026-01-02T03:04:05.300Z","conn":1,"type":"closed","explanation":"","note":{"key":"trace.closed.direct","args":{"code":"1006"}}}`,
		}
	}
	return `{"schema":"mqttdoctor.trace/1","exported_at":"2026-01-02T03:05:00Z","target":{"url":"wss://user:URL-canary@broker.example.com:8084/mqtt?sig=QUERY-canary","password":true},
		"lost":3,"packets":[` + strings.Join(packets, ",") + `]}`
}

func TestTraceIsAttachedShownExportedAndRemoved(t *testing.T) {
	runs := pageRun()
	runs.rights = Rights{Owner: true, Delete: true}
	s := pageServer(t, runs)
	api := s.URL + apiPrefix + "/runs/" + pageID + "/trace"

	if resp, body := send(t, http.MethodGet, api, "", nil); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "trace_not_found") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if _, body := send(t, http.MethodGet, s.URL+"/runs/"+pageID, "", nil); strings.Contains(body, `id="trace"`) {
		t.Error("a trace is shown where there is none")
	}
	for _, payloads := range []bool{true, false} {
		address := api
		if payloads {
			address += "?payloads=1"
		}
		resp, body := send(t, http.MethodPut, address, "application/json", strings.NewReader(traceBody()))
		var answer attachedAnswer
		if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != http.StatusOK || answer.Packets != 4 || answer.Lost != 3 ||
			!strings.HasSuffix(answer.URL, "/runs/"+pageID+"#trace") {
			t.Fatalf("%d %s, %v", resp.StatusCode, body, err)
		}
		for _, lang := range []string{"en", "zh"} {
			said := map[string]string{"en": "asks to connect with MQTT 5 as c-7", "zh": "c-7"}[lang]
			for name, address := range map[string]string{"api": api, "page": s.URL + "/runs/" + pageID, "json": s.URL + "/runs/" + pageID + ".json",
				"html": s.URL + "/runs/" + pageID + ".html", "md": s.URL + "/runs/" + pageID + ".md"} {
				resp, body := send(t, http.MethodGet, address+"?lang="+lang, "", nil, "Accept-Language", lang)
				if resp.StatusCode != http.StatusOK || !strings.Contains(body, said) || !strings.Contains(body, "wss://broker.example.com:8084/mqtt") {
					t.Errorf("%s in %s: %d, without %q or the target", name, lang, resp.StatusCode, said)
				}
				if i := strings.Index(body, "canary"); i >= 0 {
					t.Errorf("%s in %s holds a secret: %s", name, lang, body[max(0, i-80):i+6])
				}
				if strings.Contains(body, "site/<b>") {
					t.Errorf("%s in %s holds markup of somebody else", name, lang)
				}
				shown := strings.Contains(body, "PAYLOAD") || strings.Contains(body, base64.StdEncoding.EncodeToString([]byte("PAYLOAD")))
				if name != "md" && shown != payloads {
					t.Errorf("%s in %s: payload shown %t, chosen %t", name, lang, shown, payloads)
				}
			}
		}
	}
	if resp, _ := send(t, http.MethodDelete, api, "", nil); resp.StatusCode != http.StatusNoContent || runs.trace != nil {
		t.Error(resp.Status)
	}
	send(t, http.MethodPut, api, "application/json", strings.NewReader(traceBody()))
	if resp, _ := send(t, http.MethodPost, s.URL+"/runs/"+pageID+"/trace/delete", "application/x-www-form-urlencoded", nil); resp.StatusCode >= 400 || runs.trace != nil {
		t.Error(resp.Status)
	}
}

func TestTraceThatDoesNotFitIsRefused(t *testing.T) {
	runs := pageRun()
	s := pageServer(t, runs)
	api := s.URL + apiPrefix + "/runs/" + pageID + "/trace"
	ping := `{"seq":1,"at":"2026-01-02T03:04:05Z","dir":"out","type":"PINGREQ","length":2,"explanation":"","note":{"key":"trace.pingreq"}}`
	for name, test := range map[string]struct {
		body, code string
	}{
		"no JSON":         {"{", "not_json"},
		"other schema":    {`{"schema":"mqttdoctor.report/1","packets":[` + ping + `]}`, "not_a_trace"},
		"no packets":      {`{"schema":"mqttdoctor.trace/1","packets":[]}`, "not_a_trace"},
		"unknown field":   {`{"schema":"mqttdoctor.trace/1","more":1,"packets":[` + ping + `]}`, "invalid_input"},
		"packet's field":  {traceBody(strings.Replace(ping, `"length"`, `"lenght"`, 1)), "invalid_input"},
		"twice":           {traceBody(ping, ping), "bad_trace"},
		"no packet":       {traceBody(strings.Replace(ping, "PINGREQ", "PINGPONG", 1)), "bad_trace"},
		"a text of ours":  {traceBody(strings.Replace(ping, "trace.pingreq", "api.run_not_found", 1)), "bad_trace"},
		"negative number": {traceBody(strings.Replace(ping, `"seq":1`, `"seq":-1`, 1)), "not_json"},
		"too large":       {traceBody(strings.Replace(ping, "trace.pingreq", strings.Repeat("x", maxTraceBody), 1)), "body_too_large"},
	} {
		resp, body := send(t, http.MethodPut, api, "application/json", strings.NewReader(test.body))
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"`+test.code+`"`) || runs.trace != nil {
			t.Errorf("%s: %d %.300s", name, resp.StatusCode, body)
		}
	}
	for err, status := range map[error]int{ErrNotYours: http.StatusForbidden, ErrNoToken: http.StatusUnauthorized, ErrNotFound: http.StatusNotFound} {
		runs.err = err
		if resp, _ := send(t, http.MethodPut, api, "application/json", strings.NewReader("{")); resp.StatusCode != status {
			t.Errorf("%v: %s", err, resp.Status) // before the body is looked at
		}
		if resp, _ := send(t, http.MethodDelete, api, "", nil); resp.StatusCode != status {
			t.Errorf("%v: %s", err, resp.Status)
		}
	}
}

func TestImportTakesTheTraceToo(t *testing.T) {
	runs := pageRun()
	s := pageServer(t, runs)
	runs.report.Schema = diag.Schema
	send(t, http.MethodPut, s.URL+apiPrefix+"/runs/"+pageID+"/trace?payloads=1", "application/json", strings.NewReader(traceBody()))
	_, file := send(t, http.MethodGet, s.URL+"/runs/"+pageID+".json", "", nil)
	kept := *runs.trace
	for name, post := range map[string]func() *http.Response{
		"api": func() *http.Response {
			resp, _ := send(t, http.MethodPost, s.URL+apiPrefix+"/runs/import", "application/json", strings.NewReader(file))
			return resp
		},
		"form": func() *http.Response {
			var b bytes.Buffer
			form := multipart.NewWriter(&b)
			part, _ := form.CreateFormFile("report", "report.json")
			_, _ = part.Write([]byte(file))
			_ = form.Close()
			resp, _ := send(t, http.MethodPost, s.URL+"/import", form.FormDataContentType(), &b)
			return resp
		},
	} {
		runs.trace = nil
		if resp := post(); resp.StatusCode >= 400 || runs.trace == nil {
			t.Fatalf("%s: %s, %+v", name, resp.Status, runs.trace)
		}
		want, _ := json.Marshal(trace.Attached{Schema: kept.Schema, Target: kept.Target, Payloads: true, Lost: kept.Lost, Packets: kept.Packets})
		if got, _ := json.Marshal(runs.trace); !bytes.Equal(got, want) {
			t.Errorf("%s: %s\nnot %s", name, got, want)
		}
	}
	bad := strings.Replace(file, `"type":"PUBLISH"`, `"type":"PUBLIC"`, 1)
	if resp, body := send(t, http.MethodPost, s.URL+apiPrefix+"/runs/import", "application/json", strings.NewReader(bad)); resp.StatusCode != http.StatusBadRequest ||
		!strings.Contains(body, "bad_trace") {
		t.Error(resp.Status, body)
	}
}

func TestMyRunsAreListed(t *testing.T) {
	runs := pageRun()
	s := pageServer(t, runs)
	for _, lang := range []string{"en", "zh"} {
		resp, body := send(t, http.MethodGet, s.URL+apiPrefix+"/runs?lang="+lang, "", nil)
		var answer struct{ Runs []mineLine }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != http.StatusOK || len(answer.Runs) != 1 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		if l := answer.Runs[0]; l.ID != pageID || l.Words == "" || !strings.HasSuffix(l.URL, "/runs/"+pageID) {
			t.Errorf("%+v", l)
		}
	}
}
