package web

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"mqttdoctor/diag/guard"
)

// TestReportsTravelAsFiles: what one server exports, another shows in either language, marked as made elsewhere, and its owner
// can delete it there.
func TestReportsTravelAsFiles(t *testing.T) {
	laptop := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	var st started
	laptop.do("POST", "/api/v1/runs", `{"target":{"url":"mqtts://broker.test","username":"meter","password":"CANARY"}}`).want(http.StatusAccepted).json(&st)
	laptop.watch(st.ID, "")
	file := laptop.do("GET", "/runs/"+st.ID+".json", "").want(http.StatusOK).body
	if bytes.Contains(file, []byte("CANARY")) {
		t.Fatal("the file holds a secret")
	}

	helpdesk := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.test")))
	var here started
	helpdesk.do("POST", "/api/v1/runs/import", string(file)).want(http.StatusCreated).json(&here)
	if here.ID == st.ID {
		t.Error("the id of another server was taken over")
	}
	var report struct {
		ImportedAt string `json:"imported_at"`
		Steps      []struct{ ID string }
	}
	helpdesk.do("GET", "/api/v1/runs/"+here.ID, "").want(http.StatusOK).json(&report)
	if report.ImportedAt == "" || len(report.Steps) != 1 {
		t.Errorf("%+v", report)
	}
	for lang, words := range map[string]string{"en": "Imported:", "zh": "导入的报告"} {
		if page := helpdesk.do("GET", "/runs/"+here.ID+"?lang="+lang, "").want(http.StatusOK).body; !bytes.Contains(page, []byte(words)) {
			t.Errorf("%s: the page does not say that it was imported", lang)
		}
	}
	helpdesk.do("DELETE", "/api/v1/runs/"+here.ID, "", "Authorization", "Bearer "+here.DeleteToken).want(http.StatusNoContent)

	// Who wrote the file by hand may have put into it what a report never holds.
	written := strings.NewReplacer(`"url":"mqtts://broker.test:8883"`, `"url":"mqtts://meter:CANARY@broker.test:8883"`,
		`"ca_pem":""`, `"ca_pem":"-----BEGIN PRIVATE KEY-----\nQ0FOQVJZ\n-----END PRIVATE KEY-----"`).Replace(string(file))
	helpdesk.do("POST", "/api/v1/runs/import", written).want(http.StatusCreated).json(&here)
	for _, path := range []string{"/runs/" + here.ID, "/runs/" + here.ID + ".json", "/runs/" + here.ID + ".md", "/runs/" + here.ID + ".html"} {
		if body := helpdesk.do("GET", path, "").want(http.StatusOK).body; bytes.Contains(body, []byte("CANARY")) || bytes.Contains(body, []byte("Q0FOQVJZ")) {
			t.Errorf("%s shows what was hidden in the file", strings.TrimPrefix(path, "/runs/"+here.ID))
		}
	}

	running := strings.Replace(string(file), `"state":"finished"`, `"state":"running"`, -1)
	for name, body := range map[string]string{"nothing": "", "no JSON": "hello", "no report": "{}", "another schema": `{"schema":"x/2","raw":{}}`,
		"no raw report": `{"schema":"mqttdoctor.report/1"}`, "under way": running,
		"an unknown status":  strings.ReplaceAll(string(file), `"status":"passed"`, `"status":"<b>"`),
		"an unknown verdict": strings.ReplaceAll(string(file), `"verdict":"`, `"verdict":"<b>`)} {
		if a := helpdesk.do("POST", "/api/v1/runs/import", body); a.status != http.StatusBadRequest || !json.Valid(a.body) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}

	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, err := m.CreateFormFile("report", "report.json")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(file)
	m.Close()
	helpdesk.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := helpdesk.do("POST", "/import", form.String(), "Content-Type", m.FormDataContentType(), "Sec-Fetch-Site", "same-origin").want(http.StatusSeeOther)
	if !strings.HasPrefix(a.header.Get("Location"), "/runs/") {
		t.Error(a.header)
	}
	helpdesk.do("POST", "/import", "", "Content-Type", "multipart/form-data; boundary=x", "Sec-Fetch-Site", "same-origin").want(http.StatusBadRequest)
	helpdesk.do("GET", "/import", "").want(http.StatusOK)
}
