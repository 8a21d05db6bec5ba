package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
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

// A helpdesk and a technician in two browsers. What the one types, the other one, the files and the log never hold.
func TestBrowserHelpdeskAsksTechnician(t *testing.T) {
	s, c, e2e := startE2E(t)
	e2e.node(t, "help.mjs")
	k := canaries{}
	k.add("password", e2ePassword)
	k.lookAtFiles(t, c.Data)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	k.lookAtFiles(t, c.Data)
	k.look(t, "the log", []byte(s.log.String()))
}

// Where people sign in, who was asked needs no account: for this run, and for no other.
func TestWhoWasAskedNeedsNoAccount(t *testing.T) {
	t.Parallel()
	s := startServer(t, basicConfig(t), testEngine(guard.Laptop, passing("dns.resolve")))
	bob, phone := newBrowser(s), newBrowser(s)
	phone.do("POST", "/api/v1/requests", askPassword).wantError(http.StatusUnauthorized, "sign_in_needed")
	bob.signIn("bob")
	q := bob.ask(askPassword)
	if got := phone.request(q.ID); got.From != "bob" || got.Helper {
		t.Errorf("who asks is who is signed in: %+v", got)
	}
	page := phone.form("/requests/"+q.ID+"/runs", "target.username", "meter", "target.password", "CANARY-technician", "may_repeat", "on").want(http.StatusSeeOther)
	run := strings.TrimPrefix(page.header.Get("Location"), "/runs/")
	s.watch(run, "")
	phone.do("POST", "/runs/"+run+"/rerun", "").want(http.StatusUnauthorized)
	again := phone.form("/requests/" + q.ID + "/runs/" + run + "/rerun").want(http.StatusSeeOther)
	s.watch(strings.TrimPrefix(again.header.Get("Location"), "/runs/"), "")
	phone.do("POST", "/api/v1/runs", plainRun).wantError(http.StatusUnauthorized, "sign_in_needed")

	// Another session of the same person is the helper, another person is not, and administrators may erase.
	elsewhere, ada := newBrowser(s), newBrowser(s)
	elsewhere.signIn("bob")
	if got := elsewhere.request(q.ID); !got.Helper || len(got.Runs) != 2 {
		t.Errorf("%+v", got)
	}
	var list struct{ Requests []askedFor }
	elsewhere.do("GET", "/api/v1/requests", "").want(http.StatusOK).json(&list)
	if len(list.Requests) != 1 || list.Requests[0].ID != q.ID {
		t.Errorf("%+v", list)
	}
	repeated := elsewhere.form("/requests/"+q.ID+"/runs/"+run+"/rerun", "only", "dns.resolve").want(http.StatusSeeOther)
	s.watch(strings.TrimPrefix(repeated.header.Get("Location"), "/runs/"), "")
	ada.signIn("ada")
	if got := ada.request(q.ID); got.Helper {
		t.Error("another person is taken for the helper")
	}
	lines := string(ada.do("GET", "/admin/audit.csv", "").want(http.StatusOK).body)
	if n := strings.Count(lines, ",bob,bob,127.0.0.1,run,"); n != 1 { // he repeated it, who has no account ran it twice
		t.Errorf("%d runs are the helper's:\n%s", n, lines)
	}
	for _, want := range []string{",ask,", "request " + q.ID[:8]} {
		if !strings.Contains(lines, want) {
			t.Errorf("the audit log lacks %s:\n%s", want, lines)
		}
	}
	if strings.Contains(lines, q.ID) {
		t.Error("the audit log holds the link")
	}
	ada.do("DELETE", "/api/v1/requests/"+q.ID, "").want(http.StatusNoContent)
	phone.form("/requests/" + q.ID + "/runs/" + run + "/rerun").want(http.StatusForbidden)
}

// The helper is at one server and the technician at another one: both learn of everything, and the secrets stay where they are.
func TestRequestWorksAcrossServers(t *testing.T) {
	t.Parallel()
	address := diagtest.Postgres(t).Database(t)
	config := func() Config {
		c := testConfig(t)
		c.DatabaseURL = diag.NewSecret(address)
		return c
	}
	here := startServer(t, config(), testEngine(guard.Laptop, passing("dns.resolve")))
	there := startServer(t, config(), testEngine(guard.Laptop, passing("dns.resolve")))
	helper, technician := newBrowser(here), newBrowser(there)
	q := helper.ask(askPassword)
	var cookies []string
	for name, c := range helper.cookies {
		cookies = append(cookies, name+"="+c.Value)
	}
	conn, _, err := here.dial("/api/v1/requests/"+q.ID+"/stream", "Cookie", strings.Join(cookies, "; "))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow() //nolint:errcheck // the server may be gone
	next := func(what string, is func(askedFor) bool) {
		t.Helper()
		for {
			_, data, err := conn.Read(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			var got askedFor
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			if is(got) {
				return
			}
		}
	}
	next("made", func(q askedFor) bool { return q.Helper && len(q.Runs) == 0 })
	technician.do("GET", "/requests/"+q.ID, "", "User-Agent", "Mozilla/5.0").want(http.StatusOK)
	st := technician.help(q.ID, `{"target":{"password":"CANARY-technician"},"may_repeat":true}`)
	next("finished", func(q askedFor) bool { return len(q.Runs) == 1 && q.Runs[0].State == "finished" })
	var again started
	helper.do("POST", "/api/v1/runs/"+st.ID+"/rerun", `{"only":"dns.resolve"}`).want(http.StatusAccepted).json(&again)
	next("repeated", func(q askedFor) bool {
		return len(q.Runs) == 2 && q.Runs[0].ID == again.ID && q.Runs[0].State == "finished"
	})
	var r report
	technician.do("GET", "/api/v1/runs/"+again.ID, "").want(http.StatusOK).json(&r)
	if r.Target["password"] != true || r.Target["username"] != "helper-knows" {
		t.Errorf("%+v", r.Target)
	}
	technician.do("DELETE", "/api/v1/runs/"+again.ID, "").want(http.StatusNoContent)
	next("deleted by its maker", func(q askedFor) bool { return len(q.Runs) == 1 })
	helper.do("DELETE", "/api/v1/requests/"+q.ID, "").want(http.StatusNoContent)
	if _, status := readFrames(t, conn); status != websocket.StatusNormalClosure {
		t.Errorf("the stream ends with %d", status)
	}
	late, _, err := here.dial("/requests/"+q.ID+"/live", "Origin", here.base) // a page that comes a moment late
	if err != nil {
		t.Fatal(err)
	}
	defer late.CloseNow() //nolint:errcheck // the server closes it
	if _, status := readFrames(t, late); status != websocket.StatusNormalClosure {
		t.Errorf("a page is told that the request is over with %d", status)
	}
	there.do("GET", "/requests/"+q.ID+"/live", "").want(http.StatusNotFound)
}
