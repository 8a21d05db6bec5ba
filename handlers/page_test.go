package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/trace"
	"mqttdoctor/templates"
)

// pageRuns is a run manager with one run, made of events.
type pageRuns struct {
	id      string
	events  []diag.Event
	report  diag.Report
	started diag.RunInput
	err     error
	rights  Rights
	reran   RerunOptions
	trace   *trace.Attached
	shared  ShareChange
}

func (p *pageRuns) Start(_ context.Context, _ Actor, in diag.RunInput) (Started, error) {
	p.started = in
	return Started{ID: p.id}, p.err
}

func (p *pageRuns) Get(_ context.Context, id string, _ Actor) (diag.Report, error) {
	if id != p.id {
		return diag.Report{}, ErrNotFound
	}
	return p.report, nil
}

func (p *pageRuns) Watch(_ context.Context, id string, _ Actor, after int) (Viewer, error) {
	if id != p.id {
		return nil, ErrNotFound
	}
	return &pageViewer{events: p.events[after:]}, nil
}

func (p *pageRuns) Rights(context.Context, string, Actor) (Rights, error) { return p.rights, nil }
func (p *pageRuns) Cancel(context.Context, string, Actor) error           { return p.err }
func (p *pageRuns) Delete(context.Context, string, Actor) error           { return p.err }
func (p *pageRuns) Share(context.Context, string, Actor) (Share, error)   { return Share{}, p.err }
func (p *pageRuns) SetShare(_ context.Context, _ string, _ Actor, change ShareChange) error {
	p.shared = change
	return p.err
}
func (p *pageRuns) History(context.Context, string, Actor, int) (History, error) {
	return History{Of: p.report}, p.err
}
func (p *pageRuns) Viewed(context.Context, string, Actor) {}
func (p *pageRuns) Import(_ context.Context, _ Actor, r diag.Report) (Started, error) {
	p.report = r
	return Started{ID: p.id, DeleteToken: "token"}, p.err
}

func (p *pageRuns) Rerun(_ context.Context, _ string, _ Actor, with RerunOptions) (Started, error) {
	p.reran = with
	return Started{ID: p.id}, p.err
}

func (p *pageRuns) Attach(_ context.Context, id string, _ Actor, read func() (trace.Attached, error)) (trace.Attached, error) {
	if id != p.id {
		return trace.Attached{}, ErrNotFound
	}
	if p.err != nil {
		return trace.Attached{}, p.err
	}
	t, err := read()
	if err == nil {
		p.trace = &t
	}
	return t, err
}

func (p *pageRuns) Attached(_ context.Context, id string, _ Actor) (trace.Attached, error) {
	switch {
	case id != p.id:
		return trace.Attached{}, ErrNotFound
	case p.trace == nil:
		return trace.Attached{}, ErrNoAttached
	}
	return *p.trace, nil
}

func (p *pageRuns) Detach(context.Context, string, Actor) error {
	if p.err == nil {
		p.trace = nil
	}
	return p.err
}

func (p *pageRuns) Mine(context.Context, Actor, MineQuery) ([]RunLine, error) {
	return []RunLine{{ID: p.id, State: p.report.State, Verdict: p.report.Verdict, CreatedAt: p.report.CreatedAt, Target: p.report.Target.URL}}, p.err
}

type pageViewer struct{ events []diag.Event }

func (v *pageViewer) Next(context.Context) ([]diag.Event, error) {
	if len(v.events) == 0 {
		return nil, io.EOF
	}
	e := v.events[:1]
	v.events = v.events[1:]
	return e, nil
}

func (v *pageViewer) Stop() {}

const pageID = "abcdefghijklmnopqrstuvwxyz234567ab"

// pageRun is a run in which TLS fails, as events and as the report.
func pageRun() *pageRuns {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	target := diag.TargetInput{URL: "mqtts://broker.example.com:8883", Username: "meter"}
	step := func(check string, status diag.Status) *diag.Step {
		return &diag.Step{ID: check, Check: diag.ProbeID(check), Layer: diag.Code(check).Layer(), Status: status, StartedAt: begun}
	}
	running := diag.Report{ID: pageID, State: diag.StateRunning, CreatedAt: begun, Target: target,
		Checks: []diag.ProbeID{"dns.resolve", "tcp.connect", "tls.handshake"}}
	finding := diag.Finding{Code: "tls.cert_expired", Layer: diag.LayerTLS, Severity: diag.SeverityCritical, Confidence: diag.Certain}
	final := running
	final.State, final.Verdict, final.RootCause, final.Findings = diag.StateFinished, diag.OverallBroken, &finding, []diag.Finding{finding}
	p := &pageRuns{id: pageID}
	add := func(e diag.Event) {
		e.Seq, e.At = len(p.events)+1, begun
		p.events = append(p.events, e)
	}
	add(diag.Event{Type: diag.EventRunStarted, Report: &running})
	for _, check := range []string{"dns.resolve", "tcp.connect", "tls.handshake"} {
		status := diag.StatusPassed
		if check == "tls.handshake" {
			status = diag.StatusFailed
		}
		add(diag.Event{Type: diag.EventStepStarted, Step: step(check, diag.StatusRunning)})
		add(diag.Event{Type: diag.EventStepFinished, Step: step(check, status)})
		final.Steps = append(final.Steps, *step(check, status))
	}
	add(diag.Event{Type: diag.EventFinding, Finding: &finding})
	add(diag.Event{Type: diag.EventRunFinished, Report: &final})
	p.report = final
	return p
}

func pageServer(t *testing.T, runs *pageRuns) *httptest.Server {
	t.Helper()
	r := chi.NewRouter()
	New(Deps{Runs: runs, Design: true}).Register(r)
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return s
}

func send(t *testing.T, method, address, contentType string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(data)
}

func post(t *testing.T, address string, v url.Values, header ...string) (*http.Response, string) {
	t.Helper()
	return send(t, http.MethodPost, address, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()), header...)
}

const canary = "canary-51ca"

// formValuesOf fills every field of the form.
func formValuesOf() url.Values {
	return url.Values{
		"target.url": {" mqtts://broker.example.com:8883 "}, "target.protocol": {"3.1.1"}, "target.client_id": {"meter 17"},
		"target.username": {"user"}, "target.password": {canary + "1"}, "target.keepalive_s": {" ３０"}, "target.clean_start": {"on"},
		"target.session_expiry_s": {"7"}, "target.tls.server_name": {"other.example.com"}, "target.tls.alpn": {"mqtt，x-amzn-mqtt-ca"},
		"target.tls.insecure": {"on"}, "target.ws.path": {"/mqtt"}, "target.ws.origin": {"https://app.example.com"},
		"target.ws.headers": {"Authorization: Bearer " + canary + "2\r\nX-Empty:\r\n"}, "target.topics.publish": {"a/b "},
		"target.topics.subscribe": {"a/#\r\n b/+\r\n\r\n"}, "target.topics.qos": {"2"}, "target.nodes": {"n1.example.com n2.example.com:8884"},
		"plan.symptom": {"drops"}, "plan.depth": {"deep"}, "plan.intrusive": {"on"}, "plan.timeout_s": {"2,5"},
		"plan.resolvers": {"1.1.1.1\n9.9.9.9"}, "plan.watch_s": {"600"}, "plan.burst.count": {"500"}, "plan.burst.qos": {"0"}, "plan.burst.payload_bytes": {"64"},
	}
}

func TestFormBecomesTheRunThatWasTyped(t *testing.T) {
	runs := pageRun()
	s := pageServer(t, runs)
	res, body := post(t, s.URL+"/runs", formValuesOf())
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/runs/"+pageID {
		t.Fatalf("%d %s %s", res.StatusCode, res.Header, body)
	}
	if cookie := res.Header.Get("Set-Cookie"); !strings.HasPrefix(cookie, "mqttdoctor_owner=") {
		t.Errorf("the browser is not known as the owner: %q", cookie)
	}
	got := runs.started
	number := func(n int) *int { return &n }
	on, timeout := true, 2.5
	want := diag.RunInput{Lang: "en",
		Target: diag.TargetInput{URL: " mqtts://broker.example.com:8883 ", Protocol: "3.1.1", ClientID: "meter 17", Username: "user",
			Password: diag.NewSecret(canary + "1"), KeepaliveS: number(30), CleanStart: &on, SessionExpiryS: 7,
			TLS: diag.TLSInput{ServerName: "other.example.com", ALPN: []string{"mqtt", "x-amzn-mqtt-ca"}, Insecure: true},
			WS: diag.WSInput{Path: "/mqtt", Origin: "https://app.example.com", Headers: map[string]diag.Secret{
				"Authorization": diag.NewSecret("Bearer " + canary + "2"), "X-Empty": diag.NewSecret("")}},
			Topics: diag.TopicsInput{Publish: "a/b ", Subscribe: []string{"a/#", " b/+"}, QoS: number(2)},
			Nodes:  []string{"n1.example.com", "n2.example.com:8884"}},
		Plan: diag.PlanInput{Symptom: "drops", Depth: "deep", Intrusive: true, TimeoutS: &timeout, Resolvers: []string{"1.1.1.1", "9.9.9.9"}, WatchS: new(600),
			Burst: &diag.BurstInput{Count: number(500), QoS: number(0), PayloadBytes: number(64)}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
}

// Whatever field the page has, the handler reads: one that is left behind would silently change a diagnosis.
func TestEveryFieldOfTheFormIsRead(t *testing.T) {
	source := render(t, templates.Home(templates.HomePage{Page: templates.Page{Lang: catalogue.English, Path: "/"}}))
	filled := formValuesOf()
	for _, m := range regexp.MustCompile(` name="((?:target|plan)\.[a-z_.]+)"`).FindAllStringSubmatch(source, -1) {
		name := strings.TrimSuffix(m[1], ".file")
		if !strings.HasPrefix(name, "target.tls.") && !filled.Has(name) {
			t.Errorf("nobody tests %s", name)
		}
		v := url.Values{name: {"changed"}}
		empty, one := &typedForm{errs: map[string]string{}}, &typedForm{errs: map[string]string{}}
		empty.fill(url.Values{})
		one.fill(v)
		if reflect.DeepEqual(empty, one) {
			t.Errorf("%s changes nothing", name)
		}
	}
}

func render(t *testing.T, c interface {
	Render(context.Context, io.Writer) error
}) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMistakesKeepWhatWasTypedButNoSecret(t *testing.T) {
	s := pageServer(t, pageRun())
	v := formValuesOf()
	v.Set("target.url", "mqtt://bob:"+canary+"3@host:70000")
	v.Set("target.username", "")
	v.Set("target.keepalive_s", "often")
	v.Set("target.tls.key_pem", "-----BEGIN PRIVATE KEY-----\n"+canary+"4")
	v.Set("target.ws.headers", "no colon "+canary+"5")
	v.Set("target.client_id", `"><script>alert(1)</script>`)
	res, body := post(t, s.URL+"/runs", v)
	if res.StatusCode != http.StatusBadRequest {
		t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	if strings.Contains(body, canary) {
		t.Error("a secret is in the page")
	}
	if strings.Contains(body, "<script>alert") {
		t.Error("markup that was typed is markup in the page")
	}
	for _, want := range []string{`value="mqtt://host:70000"`, `value="bob"`, `value="often"`, `id="lost-target.password"`,
		`id="lost-target.tls.key_pem"`, `id="lost-target.ws.headers"`, `href="#target.keepalive_s"`, `aria-invalid="true"`, `value="2,5"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in the page", want)
		}
	}
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Data == "details" && slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "id" && a.Val == "panel-tls" }) &&
			!slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "open" }) {
			t.Error("the panel with a mistake is folded")
		}
	}
}

func TestFilesStandForTheirFields(t *testing.T) {
	runs := pageRun()
	runs.err = errors.New("not started")
	s := pageServer(t, runs)
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("target.url", "")
	part, _ := w.CreateFormFile("target.tls.ca_pem.file", "ca.pem")
	_, _ = part.Write([]byte("text of the file"))
	_ = w.Close()
	res, body := send(t, http.MethodPost, s.URL+"/runs", w.FormDataContentType(), &b)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, ">text of the file</textarea>") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestLargeInputIsNamedAndNotEchoed(t *testing.T) {
	s := pageServer(t, pageRun())
	v := url.Values{"target.url": {"mqtts://h"}, "target.tls.ca_pem": {strings.Repeat("x", 2<<20)}}
	res, body := post(t, s.URL+"/runs", v)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, `href="#target.tls.ca_pem"`) || len(body) > 200_000 {
		t.Errorf("%d, %d bytes", res.StatusCode, len(body))
	}
	v.Set("target.tls.ca_pem", strings.Repeat("x", 5<<20))
	if res, _ := post(t, s.URL+"/runs", v); res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestRefusalsComeBackWithTheForm(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		want   string
	}{
		{&ForbiddenTarget{Field: "target.url", Address: "10.0.0.1", Policy: "public"}, http.StatusForbidden, `id="error-target.url"`},
		{&Busy{RetryAfter: 3 * time.Second, Limit: 8}, http.StatusTooManyRequests, `class="problems"`},
		{ErrStopping, http.StatusServiceUnavailable, `class="problems"`},
	} {
		runs := pageRun()
		runs.err = test.err
		res, body := post(t, pageServer(t, runs).URL+"/runs", formValuesOf())
		if res.StatusCode != test.status || !strings.Contains(body, test.want) || !strings.Contains(body, `value="meter 17"`) {
			t.Errorf("%v: status %d", test.err, res.StatusCode)
		}
	}
}

// What is typed is looked at field by field, in the reader's language, and starts nothing.
func TestMistakesAreSaidBeforeTheFormIsSent(t *testing.T) {
	runs := pageRun()
	s := pageServer(t, runs)
	v := url.Values{"target.url": {"mqtt://broker.example.com:99999"}, "target.keepalive_s": {"often"},
		"target.topics.publish": {"a/#"}, "plan.symptom": {"checkup"}}
	res, body := send(t, http.MethodPost, s.URL+"/form/check", "application/x-www-form-urlencoded", strings.NewReader(v.Encode()),
		"Accept-Language", "zh-CN")
	if res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, %s", res.StatusCode, res.Header.Get("Cache-Control"))
	}
	for _, field := range []string{"target.url", "target.keepalive_s", "target.topics.publish"} {
		if !strings.Contains(body, `id="error-`+field+`"`) {
			t.Errorf("nothing is said of %s: %s", field, body)
		}
	}
	if strings.Count(body, `class="field-error"`) != 3 || !strings.Contains(body, "此处需要填写数字") {
		t.Errorf("other than the three mistakes: %s", body)
	}
	if runs.started.Target.URL != "" {
		t.Error("a run was started")
	}
	if _, body := send(t, http.MethodPost, s.URL+"/form/check", "application/x-www-form-urlencoded",
		strings.NewReader(formValuesOf().Encode())); strings.TrimSpace(body) != "" {
		t.Errorf("something is wrong with a right form: %s", body)
	}
}

func TestErrorsArePagesInTheReadersLanguage(t *testing.T) {
	s := pageServer(t, pageRun())
	for path, status := range map[string]int{"/nothing": 404, "/runs/xyz": 404, "/runs/" + strings.Repeat("a", len(pageID)): 404} {
		res, body := send(t, http.MethodGet, s.URL+path, "", nil, "Accept-Language", "zh-CN,zh;q=0.9")
		if res.StatusCode != status || !strings.Contains(body, `lang="zh-Hans"`) || !strings.Contains(body, "没有找到") {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}

func TestLanguageIsTheOneAskedForThenChosenThenTheBrowsers(t *testing.T) {
	s := pageServer(t, pageRun())
	for _, test := range []struct {
		path, cookie, browser, want string
	}{
		{"/", "", "zh-CN", "zh-Hans"},
		{"/", "", "fr", "en"},
		{"/", "mqttdoctor_lang=en", "zh-CN", "en"},
		{"/?lang=zh", "mqttdoctor_lang=en", "en", "zh-Hans"},
		{"/runs/" + pageID, "", "zh-CN", "zh-Hans"},
	} {
		res, body := send(t, http.MethodGet, s.URL+test.path, "", nil, "Accept-Language", test.browser, "Cookie", test.cookie)
		if !strings.Contains(body, `<html lang="`+test.want+`"`) {
			t.Errorf("%+v: another language", test)
		}
		if chosen := res.Header.Get("Set-Cookie"); strings.Contains(test.path, "lang=") != strings.HasPrefix(chosen, "mqttdoctor_lang=zh") {
			t.Errorf("%+v: cookie %q", test, chosen)
		}
	}
}

func TestAddressesInLinksDropTheirPassword(t *testing.T) {
	s := pageServer(t, pageRun())
	_, body := send(t, http.MethodGet, s.URL+"/?url="+url.QueryEscape("mqtt://u:"+canary+"@h:1883")+"&symptom=tls", "", nil)
	if strings.Contains(body, canary) || !strings.Contains(body, `value="mqtt://h:1883"`) || !strings.Contains(body, `value="u"`) {
		t.Error("the link's address is not shown as it should")
	}
}

func TestBackLeadsNowhereElse(t *testing.T) {
	for given, want := range map[string]string{"/runs/x?from=a": "/runs/x?from=a", "": "/", "https://evil.example": "/", "//evil.example": "/",
		`/\evil.example`: "/", "javascript:alert(1)": "/", "/\tevil": "/", "runs": "/"} {
		if got := localPath(given); got != want {
			t.Errorf("%q leads to %q, want %q", given, got, want)
		}
	}
}

func TestStreamSendsTheRestOfTheEventsAndTheSameEnd(t *testing.T) {
	runs := pageRun()
	s := pageServer(t, runs)
	_, page := send(t, http.MethodGet, s.URL+"/runs/"+pageID, "", nil)
	for after := range len(runs.events) {
		frames := watch(t, s.URL, after)
		if len(frames) != len(runs.events)-after || frames[0].Seq != after+1 {
			t.Fatalf("after %d: %d frames, the first is %d", after, len(frames), frames[0].Seq)
		}
		last := frames[len(frames)-1]
		if last.Type != diag.EventRunFinished || last.State != diag.StateFinished || last.Icon != "broken" || last.Say == "" ||
			len(last.Fragments) != 1 || last.Fragments[0].Target != "run-body" {
			t.Fatalf("the end is %+v", last)
		}
		if got := last.Fragments[0].HTML; !strings.Contains(page, got) {
			t.Error("the stream's end differs from the stored page")
		}
	}
}

// What a fragment is to be placed at must be there: in the page, or in a fragment before.
func TestFragmentsFindTheirPlace(t *testing.T) {
	runs := pageRun()
	final := runs.report
	runs.report.State, runs.report.Steps, runs.report.Findings, runs.report.RootCause, runs.report.Verdict = diag.StateRunning, nil, nil, nil, ""
	s := pageServer(t, runs)
	_, page := send(t, http.MethodGet, s.URL+"/runs/"+pageID, "", nil)
	runs.report = final
	for _, f := range watch(t, s.URL, 0) {
		for _, g := range f.Fragments {
			if !strings.Contains(page, `id="`+g.Target+`"`) {
				t.Errorf("%s: nothing with the id %s", f.Type, g.Target)
			}
			nodes, err := html.ParseFragment(strings.NewReader(g.HTML), &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div})
			if err != nil || len(nodes) != 1 {
				t.Errorf("%s: the fragment for %s is not one element", f.Type, g.Target)
			}
		}
	}
}

func watch(t *testing.T, base string, after int) []frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, strings.Replace(base, "http", "ws", 1)+"/runs/"+pageID+"/live?after="+itoa(after), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		defer res.Body.Close()
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	var frames []frame
	for {
		_, data, err := conn.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		var f frame
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestRerunTakesSecretsAndSuggestion(t *testing.T) {
	runs := pageRun()
	s := pageServer(t, runs)
	v := url.Values{"apply": {"tls.cert_expired"}, "target.password": {canary}}
	if res, _ := post(t, s.URL+"/runs/"+pageID+"/rerun", v); res.StatusCode != http.StatusSeeOther {
		t.Errorf("status %d", res.StatusCode)
	}
	if runs.reran.Apply != "tls.cert_expired" || runs.reran.Secrets.Password.Reveal() != canary {
		t.Errorf("%+v", runs.reran)
	}
	runs.err = &SecretsGone{Fields: []string{"target.password"}}
	runs.rights.Missing = []string{"target.password"}
	res, body := post(t, s.URL+"/runs/"+pageID+"/rerun", v)
	if res.StatusCode != http.StatusBadRequest || strings.Contains(body, canary) || !strings.Contains(body, `type="password"`) {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestEverySampleHasItsPage(t *testing.T) {
	s := pageServer(t, pageRun())
	for _, sample := range templates.Samples(templates.Page{Lang: catalogue.English}) {
		res, _ := send(t, http.MethodGet, s.URL+"/design?sample="+url.QueryEscape(sample.Name), "", nil)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", sample.Name, res.StatusCode)
		}
	}
}

func TestExportsAreFiles(t *testing.T) {
	s := pageServer(t, pageRun())
	for ending, kind := range map[string]string{".md": "text/markdown", ".html": "text/html", ".json": "application/json"} {
		res, body := send(t, http.MethodGet, s.URL+"/runs/"+pageID+ending, "", nil)
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), kind) ||
			!strings.Contains(res.Header.Get("Content-Disposition"), pageID+ending) || !strings.Contains(body, "broker.example.com") {
			t.Errorf("%s: %d %v", ending, res.StatusCode, res.Header)
		}
		if ending == ".html" && !strings.Contains(res.Header.Get("Content-Security-Policy"), "sha256-") {
			t.Error("the file has no policy of its own")
		}
	}
}
