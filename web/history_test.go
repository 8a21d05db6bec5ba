package web

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
)

// historyServer has a broker with a certificate, which can be changed for another one and a failure.
func historyServer(t *testing.T, c Config) (*testServer, *atomic.Bool) {
	t.Helper()
	var broken atomic.Bool
	handshake := diag.Probe{ID: "tls.handshake", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
		Run: func(context.Context, *diag.Env, diag.Subject) diag.Result {
			o := &diag.TLSHandshake{Outcome: diag.OutcomeOK, Chain: []diag.CertFact{{Subject: "CN=old.test", SHA256: "aa"}}}
			if broken.Load() {
				o.Chain[0] = diag.CertFact{Subject: "CN=new.test", SHA256: "bb"}
				return diag.Failed(o, diag.N("step.test"), &diag.Failure{Op: "tls.handshake", Code: "x", Text: "x"})
			}
			return diag.Passed(o, diag.N("step.test"))
		}}
	return startServer(t, c, testEngine(guard.Laptop, handshake)), &broken
}

type historyOf struct {
	Target string
	Runs   []struct {
		ID, Target, Words string
		Imported          bool
	}
	Previous *string
	Changes  *struct {
		Same  bool
		Steps []struct{ Title string }
		Facts []struct{ Key, Before, After string }
	}
}

// The owner of a report sees what became of its target before, and what changed since; nobody else does.
func TestHistoryIsForTheOwner(t *testing.T) {
	t.Parallel()
	s, broken := historyServer(t, testConfig(t))
	b, other := newBrowser(s), newBrowser(s)
	run := func(b *browser, address string) string {
		t.Helper()
		id := b.start(`{"target":{"url":"` + address + `"}}`).ID
		s.watch(id, "")
		return id
	}
	const address = "mqtts://broker.test:8883"
	first := run(b, address)
	alone := b.do("GET", "/runs/"+first, "").want(http.StatusOK).body
	if bytes.Contains(alone, []byte(`id="history"`)) {
		t.Error("a history of one run")
	}
	second := run(b, "ssl://Broker.test") // the same, as others write it
	strangers := run(other, address)
	run(b, "mqtts://broker.test:8884")
	history := func(b *browser, id string) (h historyOf) {
		t.Helper()
		b.do("GET", "/api/v1/runs/"+id+"/history", "").want(http.StatusOK).json(&h)
		return h
	}
	h := history(b, second)
	if h.Target != address || len(h.Runs) != 2 || h.Runs[0].ID != second || h.Runs[1].ID != first || h.Previous == nil || *h.Previous != first || !h.Changes.Same {
		t.Errorf("%+v", h)
	}
	if h := history(other, strangers); len(h.Runs) != 1 || h.Previous != nil || h.Changes != nil {
		t.Errorf("a stranger's history is %+v", h)
	}
	broken.Store(true)
	third := run(b, address)
	h = history(b, third)
	if len(h.Runs) != 3 || *h.Previous != second || h.Changes.Same || len(h.Changes.Steps) != 1 || len(h.Changes.Facts) == 0 {
		t.Errorf("%+v", h)
	}
	page := string(b.do("GET", "/runs/"+third, "").want(http.StatusOK).body)
	for _, part := range []string{`id="history"`, "/runs/" + first, "/compare?a=" + second + "&amp;b=" + third, "old.test", "This is what changed"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page has no %s", part)
		}
	}
	list := string(b.do("GET", "/runs?address="+url.QueryEscape("ssl://user:secret@broker.test"), "").want(http.StatusOK).body)
	for part, there := range map[string]bool{first: true, second: true, third: true, strangers: false, "8884": false, "secret": false, `action="/runs/` + third + `/rerun"`: true} {
		if strings.Contains(list, part) != there {
			t.Errorf("the list has %s: %t", part, !there)
		}
	}
	if home := string(b.do("GET", "/", "").want(http.StatusOK).body); !strings.Contains(home, third) || strings.Contains(home, strangers) {
		t.Error("the home page does not list this browser's runs alone")
	}

	// With the link alone nothing is learned, whatever is asked for.
	for path, text := range map[string]string{"/runs/" + third: "", "/runs/" + third + ".html": "", "/runs/" + third + ".json": "", "/runs": "",
		"/runs?address=" + url.QueryEscape(address): "", "/": "", "/api/v1/runs": ""} {
		text = string(other.do("GET", path, "").want(http.StatusOK).body)
		if strings.Contains(text, first) || strings.Contains(text, second) || strings.Contains(text, `id="history"`) && strings.HasPrefix(path, "/runs/") {
			t.Errorf("%s tells others of the runs before", path)
		}
	}
	other.do("GET", "/api/v1/runs/"+third+"/history", "").want(http.StatusForbidden)
	s.do("GET", "/api/v1/runs/"+third+"/history", "").want(http.StatusUnauthorized)

	// What is erased is in no history, and not compared with.
	b.do("DELETE", "/api/v1/runs/"+second, "").want(http.StatusNoContent)
	if h := history(b, third); len(h.Runs) != 2 || *h.Previous != first {
		t.Errorf("after an erasure %+v", h)
	}
}

// The delete token makes somebody the owner of one run, and of no other.
func TestHistoryIsNotForTheToken(t *testing.T) {
	t.Parallel()
	s, _ := historyServer(t, testConfig(t))
	b := newBrowser(s)
	for range 2 {
		s.watch(b.start(plainRun).ID, "")
	}
	st := b.start(plainRun)
	s.watch(st.ID, "")
	var h historyOf
	s.do("GET", "/api/v1/runs/"+st.ID+"/history", "", "Authorization", "Bearer "+st.DeleteToken).want(http.StatusOK).json(&h)
	if len(h.Runs) != 0 || h.Previous != nil {
		t.Errorf("%+v", h)
	}
}

// Where people sign in, the history is the person's, in whichever browser, and administrators see it beside the report.
func TestHistoryIsThePersons(t *testing.T) {
	t.Parallel()
	s, _ := historyServer(t, basicConfig(t))
	bob, bobElsewhere, admin := newBrowser(s), newBrowser(s), newBrowser(s)
	bob.signIn("bob")
	bobElsewhere.signIn("bob")
	admin.signIn("ada")
	first := bob.start(plainRun).ID
	s.watch(first, "")
	second := bobElsewhere.start(plainRun).ID
	s.watch(second, "")
	for name, b := range map[string]*browser{"bob": bob, "the administrator": admin} {
		var h historyOf
		b.do("GET", "/api/v1/runs/"+second+"/history", "").want(http.StatusOK).json(&h)
		if len(h.Runs) != 2 || h.Previous == nil || *h.Previous != first || !h.Changes.Same {
			t.Errorf("%s: %+v", name, h)
		}
		if page := b.do("GET", "/runs/"+second, "").want(http.StatusOK).body; !bytes.Contains(page, []byte(`id="history"`)) {
			t.Errorf("%s sees no history", name)
		}
	}
	if list := admin.do("GET", "/runs", "").want(http.StatusOK).body; bytes.Contains(list, []byte(first)) {
		t.Error("an administrator's own runs are those of others")
	}
}

func TestPagesOfOwnRuns(t *testing.T) {
	t.Parallel()
	s, _ := historyServer(t, testConfig(t))
	b := newBrowser(s)
	for range 3 {
		s.watch(b.start(plainRun).ID, "")
	}
	seen, next := map[string]bool{}, ""
	for range 5 {
		var list struct {
			Runs []struct{ ID string }
			Next *string
		}
		b.do("GET", "/api/v1/runs?limit=2&before="+next, "").want(http.StatusOK).json(&list)
		for _, r := range list.Runs {
			seen[r.ID] = true
		}
		if list.Next == nil {
			break
		}
		next = *list.Next
	}
	if len(seen) != 3 {
		t.Errorf("%d runs", len(seen))
	}
	for query, n := range map[string]int{"verdict=broken": 0, "target=nothing": 0, "before=nonsense": 3} {
		var list struct{ Runs []struct{ ID string } }
		b.do("GET", "/api/v1/runs?"+query, "").want(http.StatusOK).json(&list)
		if len(list.Runs) != n {
			t.Errorf("%s: %d runs", query, len(list.Runs))
		}
		b.do("GET", "/runs?lang=zh&"+query, "").want(http.StatusOK)
	}
}
