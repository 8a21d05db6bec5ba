package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
	"mqttdoctor/web/archive"
)

// askedFor is a request as the API tells it.
type askedFor struct {
	ID, URL     string
	HelperToken string `json:"helper_token"`
	OpenedAt    *time.Time
	From, Note  string
	Ask         []string
	Helper      bool
	Target      map[string]any
	Runs        []struct{ ID, State, Verdict string }
	Wish        *struct{ Run, Only string }
}

func (b *browser) ask(body string) askedFor {
	b.t.Helper()
	var q askedFor
	b.do("POST", "/api/v1/requests", body).want(http.StatusCreated).json(&q)
	return q
}

func (b *browser) request(id string) askedFor {
	b.t.Helper()
	var q askedFor
	b.do("GET", "/api/v1/requests/"+id, "").want(http.StatusOK).json(&q)
	return q
}

func (b *browser) help(id, body string) started {
	b.t.Helper()
	var st started
	b.do("POST", "/api/v1/requests/"+id+"/runs", body).want(http.StatusAccepted).json(&st)
	return st
}

const askPassword = `{"target":{"url":"mqtts://ada:CANARY-url@broker.test:8883","username":"helper-knows","password":"CANARY-helper",
	"ws":{"headers":{"Authorization":"CANARY-header"}}},"plan":{"symptom":"auth"},"ask":["target.username","target.password"],"note":"Hall 3\u202e","from":"Ada\nLovelace"}`

// The whole way: a helper asks, a technician runs with his own secrets, both see the same run, and the helper repeats it.
func TestSomebodyRunsWhatAHelperAskedFor(t *testing.T) {
	gate := newGate()
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, gate.probe("dns.resolve")))
	helper, technician, stranger := newBrowser(s), newBrowser(s), newBrowser(s)
	q := helper.ask(askPassword)
	if q.URL == "" || q.HelperToken == "" {
		t.Fatalf("%+v", q)
	}
	if got := helper.request(q.ID); !got.Helper || got.From != "Ada Lovelace" || got.Note != "Hall 3" || len(got.Runs) != 0 ||
		got.Target["password"] != false || got.Target["url"] != "mqtts://broker.test:8883" {
		t.Errorf("%+v", got)
	}
	page := string(technician.do("GET", "/requests/"+q.ID, "", "User-Agent", "Mozilla/5.0").want(http.StatusOK).body)
	for _, want := range []string{"Ada Lovelace", "Hall 3", "mqtts://broker.test:8883", `name="target.password"`, "helper-knows"} {
		if !strings.Contains(page, want) {
			t.Errorf("the technician's page lacks %s", want)
		}
	}
	if strings.Contains(page, `name="target.tls.key_pem"`) || strings.Contains(page, "CANARY") {
		t.Error("the technician's page asks for more than it was to, or knows a secret")
	}
	technician.do("POST", "/api/v1/requests/"+q.ID+"/runs", `{"target":{"url":"mqtts://elsewhere.test"}}`).wantError(http.StatusBadRequest, "invalid_input", "target.url")
	st := technician.help(q.ID, `{"target":{"username":"device-7","password":"CANARY-technician"},"may_repeat":true}`)

	got := helper.request(q.ID)
	if len(got.Runs) != 1 || got.Runs[0].ID != st.ID || got.Runs[0].State != "running" {
		t.Errorf("the helper sees %+v", got.Runs)
	}
	if got := stranger.request(q.ID); len(got.Runs) != 0 || got.Helper {
		t.Errorf("another one with the link sees %+v", got)
	}
	if got := technician.request(q.ID); len(got.Runs) != 1 || got.Helper {
		t.Errorf("the technician sees %+v", got)
	}
	close(gate.leave)
	s.watch(st.ID, "")
	// The helper sees the report as everybody with the link does.
	var r report
	helper.do("GET", "/api/v1/runs/"+st.ID, "").want(http.StatusOK).json(&r)
	if r.Target["username"] == "device-7" || r.Target["password"] != true {
		t.Errorf("the helper sees %+v", r.Target)
	}
	helper.do("DELETE", "/api/v1/runs/"+st.ID, "").wantError(http.StatusForbidden, "token_wrong")

	// He repeats it with what he does not see, and the new run is the technician's too.
	var again started
	helper.do("POST", "/api/v1/runs/"+st.ID+"/rerun", `{}`).want(http.StatusAccepted).json(&again)
	if again.DeleteToken != "" {
		t.Error("the helper owns the technician's run")
	}
	s.watch(again.ID, "")
	helper.do("GET", "/api/v1/runs/"+again.ID, "").want(http.StatusOK).json(&r)
	if r.Target["username"] == "device-7" {
		t.Error("a repeated run shows what was hidden")
	}
	technician.do("GET", "/api/v1/runs/"+again.ID, "").want(http.StatusOK).json(&r)
	if r.Target["username"] != "device-7" || r.Target["password"] != true {
		t.Errorf("the technician sees %+v", r.Target)
	}
	if got := technician.request(q.ID); len(got.Runs) != 2 {
		t.Errorf("the technician sees %+v", got.Runs)
	}
	stranger.do("POST", "/api/v1/runs/"+st.ID+"/rerun", `{}`).wantError(http.StatusBadRequest, "secrets_gone")

	s.do("DELETE", "/api/v1/requests/"+q.ID, "").wantError(http.StatusUnauthorized, "token_missing")
	stranger.do("DELETE", "/api/v1/requests/"+q.ID, "").wantError(http.StatusForbidden, "token_wrong")
	technician.do("DELETE", "/api/v1/requests/"+q.ID, "").wantError(http.StatusForbidden, "token_wrong")
	helper.do("DELETE", "/api/v1/requests/"+q.ID, "").want(http.StatusNoContent)
	technician.do("GET", "/api/v1/requests/"+q.ID, "").wantError(http.StatusNotFound, "request_not_found")
	technician.do("POST", "/api/v1/requests/"+q.ID+"/runs", `{}`).wantError(http.StatusNotFound, "request_not_found")
	// What he ran stays his, and is no longer the helper's to repeat.
	technician.do("GET", "/api/v1/runs/"+st.ID, "").want(http.StatusOK)
	helper.do("POST", "/api/v1/runs/"+st.ID+"/rerun", `{}`).wantError(http.StatusBadRequest, "secrets_gone")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.log.String(), "CANARY") || strings.Contains(s.log.String(), q.ID) {
		t.Error("the log holds a secret, or the link")
	}
}

// Who was not let repeat a run asks for it on its maker's page.
func TestHelperAsksForWhatHeMayNotRepeat(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.resolve")))
	helper, technician := newBrowser(s), newBrowser(s)
	q := helper.ask(askPassword)
	st := technician.help(q.ID, `{"target":{"password":"CANARY-technician"}}`)
	s.watch(st.ID, "")
	helper.do("POST", "/api/v1/runs/"+st.ID+"/rerun", `{}`).wantError(http.StatusBadRequest, "secrets_gone")
	helper.do("POST", "/api/v1/runs/"+st.ID+"/rerun", `{"target":{"password":"another"}}`).wantError(http.StatusBadRequest, "secrets_gone")
	wish := `{"run":"` + st.ID + `","only":"dns.resolve"}`
	technician.do("POST", "/api/v1/requests/"+q.ID+"/wish", wish).wantError(http.StatusForbidden, "token_wrong")
	other := technician.start(`{"target":{"url":"mqtt://broker.test"}}`)
	helper.do("POST", "/api/v1/requests/"+q.ID+"/wish", `{"run":"`+other.ID+`"}`).wantError(http.StatusNotFound, "run_not_found")
	helper.do("POST", "/api/v1/requests/"+q.ID+"/wish", wish).want(http.StatusAccepted)
	if got := technician.request(q.ID); got.Wish == nil || got.Wish.Run != st.ID || got.Wish.Only != "dns.resolve" {
		t.Errorf("%+v", got.Wish)
	}
	var again started
	technician.do("POST", "/api/v1/runs/"+st.ID+"/rerun", `{}`).want(http.StatusAccepted).json(&again)
	if got := helper.request(q.ID); got.Wish != nil || len(got.Runs) != 2 || got.Runs[0].ID != again.ID {
		t.Errorf("%+v", got)
	}
}

func TestRequestIsJudgedWhenItIsMade(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Public, passing("dns.resolve")))
	helper, technician := newBrowser(s), newBrowser(s)
	long, _ := json.Marshal(strings.Repeat("x", 2001))
	for field, body := range map[string]string{
		"target.url": `{"target":{"url":""}}`,
		"ask":        `{"target":{"url":"mqtt://broker.test"},"ask":["plan.depth"]}`,
		"note":       `{"target":{"url":"mqtt://broker.test"},"note":` + string(long) + `}`,
		"keep_days":  `{"target":{"url":"mqtt://broker.test"},"keep_days":91}`,
		"plan.depth": `{"target":{"url":"mqtt://broker.test"},"plan":{"depth":"x"}}`,
	} {
		helper.do("POST", "/api/v1/requests", body).wantError(http.StatusBadRequest, "invalid_input", field)
	}
	s.do("POST", "/api/v1/requests", `{"target":{"url":"mqtt://broker.test"}}`).want(http.StatusCreated)
	helper.do("POST", "/api/v1/requests", `{"target":{"url":"mqtt://10.0.0.1"}}`).wantError(http.StatusForbidden, "target_forbidden", "target.url")
	// The address may be left to the other one, and the policy holds for him.
	q := helper.ask(`{"target":{},"ask":["target.topics.publish","target.url"]}`)
	if got := helper.request(q.ID); !slices.Equal(got.Ask, []string{"target.url", "target.topics.publish"}) || got.Target["url"] != "" {
		t.Errorf("%+v", got)
	}
	technician.do("POST", "/api/v1/requests/"+q.ID+"/runs", `{"target":{"url":"mqtt://10.0.0.1"}}`).wantError(http.StatusForbidden, "target_forbidden", "target.url")
	technician.do("POST", "/api/v1/requests/"+q.ID+"/runs", `{}`).wantError(http.StatusBadRequest, "invalid_input", "target.url")
	s.watch(technician.help(q.ID, `{"target":{"url":"mqtt://broker.test"}}`).ID, "")
}

// A link that was passed around is no scanner for the world.
func TestRequestHasAsManyRunsAsItMay(t *testing.T) {
	s := startServer(t, testConfig(t), testEngine(guard.Laptop, passing("dns.resolve")))
	helper := newBrowser(s)
	q := helper.ask(`{"target":{"url":"mqtt://broker.test"}}`)
	now := time.Now()
	for range maxRequestRuns {
		h := diag.Report{ID: newID(), State: diag.StateRunning, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		if err := s.server.store.Create(t.Context(), h, archive.Owner{TokenHash: []byte("x"), Request: q.ID}, archive.Room{}); err != nil {
			t.Fatal(err)
		}
		h.State, h.FinishedAt = diag.StateFinished, now
		if err := s.server.store.Append(t.Context(), h.ID, []diag.Event{{Seq: 1, Type: diag.EventRunFinished, Report: &h}}); err != nil {
			t.Fatal(err)
		}
	}
	helper.do("POST", "/api/v1/requests/"+q.ID+"/runs", `{}`).wantError(http.StatusTooManyRequests, "request_spent")
}
