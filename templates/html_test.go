package templates

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"golang.org/x/net/html"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// everyPage renders every page in every state and language.
func everyPage(t *testing.T) map[string]*html.Node {
	t.Helper()
	pages := map[string]*html.Node{}
	add := func(name string, c templ.Component) {
		pages[name] = parse(t, c)
	}
	for _, lang := range catalogue.Langs {
		p := Page{Lang: lang, Path: "/", Query: url.Values{}, Version: "1.0.0", Design: true}
		demo := []DemoCard{{ID: "healthy", Title: "A", Text: "B", Healthy: true}, {ID: "wrong-password", Title: "C", Text: "D"}}
		add(fmt.Sprintf("%s home", lang), Home(HomePage{Page: p, Demo: demo}))
		add(fmt.Sprintf("%s home with notice", lang), Home(HomePage{Page: p, Notice: "x"}))
		for _, s := range otherSamples(p) {
			add(fmt.Sprintf("%s %s", lang, s.name), s.page)
		}
		for _, s := range Samples(p) {
			add(fmt.Sprintf("%s run %s", lang, s.Name), Run(s.Page))
		}
		add(fmt.Sprintf("%s console", lang), Console(ConsolePage{Page: p}))
		add(fmt.Sprintf("%s console of a run", lang), Console(ConsolePage{Page: p, Form: FormOf(diag.TargetInput{URL: "wss://broker.example.com"}, diag.PlanOptions{})}))
		add(fmt.Sprintf("%s causes", lang), Causes(CausesPage{Page: p, Causes: catalogue.Causes(lang)}))
		for _, status := range []int{400, 403, 404, 429, 500, 503} {
			add(fmt.Sprintf("%s error %d", lang, status), Error(ErrorPage{Page: p, Status: status, Code: "c", Message: "m"}))
		}
		add(fmt.Sprintf("%s design", lang), Design(p))
	}
	return pages
}

func parse(t *testing.T, c templ.Component) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(render(t, c)))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func elements(doc *html.Node) []*html.Node {
	var out []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n)
		}
	}
	return out
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestPagesCarryNothingThatAStrictPolicyRefuses(t *testing.T) {
	for name, doc := range everyPage(t) {
		for _, n := range elements(doc) {
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s %s>: inline style or script", name, n.Data, a.Key)
				}
				if rel, _ := attr(n, "rel"); n.Data == "a" && strings.Contains(rel, "noreferrer") {
					continue // a source to read, and only when followed
				}
				if (a.Key == "href" || a.Key == "src" || a.Key == "action") && strings.Contains(a.Val, "//") && !strings.HasPrefix(a.Val, "/") {
					t.Errorf("%s: <%s %s=%q> leads off this server", name, n.Data, a.Key, a.Val)
				}
				if strings.HasPrefix(strings.ToLower(a.Val), "javascript:") {
					t.Errorf("%s: <%s %s=%q>", name, n.Data, a.Key, a.Val)
				}
			}
			if kind, _ := attr(n, "type"); n.Data == "script" && kind == "application/json" {
				continue // data, which no browser runs
			}
			if _, external := attr(n, "src"); n.Data == "style" || (n.Data == "script" && (!external || n.FirstChild != nil)) {
				t.Errorf("%s: inline <%s>", name, n.Data)
			}
		}
	}
}

func TestPagesCanBeReadWithoutEyes(t *testing.T) {
	for name, doc := range everyPage(t) {
		all := elements(doc)
		ids, labels := map[string]int{}, map[string]bool{}
		for _, n := range all {
			if id, ok := attr(n, "id"); ok {
				ids[id]++
			}
			if target, ok := attr(n, "for"); ok && n.Data == "label" && text(n) != "" {
				labels[target] = true
			}
		}
		for id, count := range ids {
			if count > 1 {
				t.Errorf("%s: id %q stands %d times", name, id, count)
			}
			if id == "" || strings.ContainsAny(id, " \t\n") {
				t.Errorf("%s: id %q", name, id)
			}
		}
		headings, level := 0, 0
		for _, n := range all {
			for _, ref := range []string{"aria-labelledby", "aria-describedby", "for", "data-copy"} {
				value, _ := attr(n, ref)
				for _, id := range strings.Fields(value) {
					if ids[id] == 0 {
						t.Errorf("%s: <%s %s> refers to %q, which is not there", name, n.Data, ref, id)
					}
				}
			}
			switch n.Data {
			case "html":
				want := map[byte]string{'e': "en", 'z': "zh-Hans"}[name[0]]
				if lang, _ := attr(n, "lang"); lang != want {
					t.Errorf("%s: lang is %q", name, lang)
				}
			case "title":
				if n.Parent.Data == "head" && text(n) == "" {
					t.Errorf("%s: no title", name)
				}
			case "input", "select", "textarea", "progress":
				if !named(n, labels) {
					id, _ := attr(n, "id")
					t.Errorf("%s: <%s id=%q> has no label", name, n.Data, id)
				}
			case "button", "a", "summary":
				label, _ := attr(n, "aria-label")
				if text(n) == "" && label == "" {
					t.Errorf("%s: <%s> says nothing: %s", name, n.Data, outer(n))
				}
			case "h1":
				headings++
				level = 1
			case "h2", "h3", "h4":
				here := int(n.Data[1] - '0')
				if here > level+1 {
					t.Errorf("%s: <%s> %q follows a heading of level %d", name, n.Data, text(n), level)
				}
				level = here
			case "svg":
				if hidden, _ := attr(n, "aria-hidden"); hidden != "true" {
					t.Errorf("%s: a picture that is read out: %s", name, outer(n))
				}
			}
		}
		if headings != 1 {
			t.Errorf("%s: %d headings of the first level", name, headings)
		}
	}
}

func named(n *html.Node, labels map[string]bool) bool {
	if kind, _ := attr(n, "type"); kind == "hidden" {
		return true
	}
	if label, _ := attr(n, "aria-label"); label != "" {
		return true
	}
	if id, ok := attr(n, "id"); ok && labels[id] {
		return true
	}
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == "label" && text(p) != "" {
			return true
		}
	}
	return false
}

func outer(n *html.Node) string {
	var b strings.Builder
	_ = html.Render(&b, n)
	return b.String()
}

// leakedKey is a text that looks like a key nobody put into words. Checks whose names come from the engine are codes.
var leakedKey = regexp.MustCompile(`^(app|nav|home|panel|field|form|demo|run|path|suggest|copy|share|unit|error|causes|md|theme|foot|symptom|verdict|state|status|layer|severity|confidence|for)\.[a-z_.]+$`)

// Whoever wonders what a field is for finds a sentence beside it, and a screen reader reads it out.
func TestEveryFieldExplainsItself(t *testing.T) {
	for _, lang := range catalogue.Langs {
		doc := parse(t, Home(HomePage{Page: Page{Lang: lang, Path: "/", Query: url.Values{}}}))
		words := map[string]string{}
		for _, n := range elements(doc) {
			if id, ok := attr(n, "id"); ok {
				words[id] = text(n)
			}
		}
		fields := 0
		for _, n := range elements(doc) {
			name, named := attr(n, "name")
			kind, _ := attr(n, "type")
			if !named || !slices.Contains([]string{"input", "select", "textarea"}, n.Data) || kind == "radio" || kind == "hidden" || kind == "file" {
				continue
			}
			fields++
			by, _ := attr(n, "aria-describedby")
			said := ""
			for _, id := range strings.Fields(by) {
				said += words[id]
			}
			if said == "" {
				t.Errorf("%s: nothing explains %s", lang, name)
			}
		}
		if fields < 25 {
			t.Errorf("%d fields looked at", fields)
		}
	}
}

func TestPagesShowWordsAndNoKeys(t *testing.T) {
	for name, doc := range everyPage(t) {
		for n := range doc.Descendants() {
			if n.Type == html.TextNode && leakedKey.MatchString(strings.TrimSpace(n.Data)) {
				t.Errorf("%s: shows the key %q", name, strings.TrimSpace(n.Data))
			}
			if n.Type == html.TextNode && n.Parent.Data != "pre" && n.Parent.Data != "dd" && n.Parent.Data != "script" && place.MatchString(n.Data) && !strings.HasSuffix(name, "causes") {
				t.Errorf("%s: a place was left open: %q", name, n.Data)
			}
		}
	}
}

func TestStatusIsNeverColourAlone(t *testing.T) {
	for name, doc := range everyPage(t) {
		for _, n := range elements(doc) {
			class, _ := attr(n, "class")
			if strings.Contains(class, "step-row") && !strings.Contains(outer(n), "sr-only") {
				t.Errorf("%s: a step without its status in words", name)
			}
			if strings.HasPrefix(class, "station ") && !strings.Contains(outer(n), "station-state") {
				t.Errorf("%s: a station without its state in words", name)
			}
		}
	}
}

func TestNoSecretIsEverInTheForm(t *testing.T) {
	const canary = "canary-7f3a"
	in := diag.TargetInput{URL: "mqtts://h", Password: diag.NewSecret(canary), TLS: diag.TLSInput{KeyPEM: diag.NewSecret(canary)},
		WS: diag.WSInput{Query: diag.NewSecret(canary), Headers: map[string]diag.Secret{"Authorization": diag.NewSecret(canary)}}}
	form := FormOf(in, diag.PlanOptions{})
	values := map[string]string{}
	for _, name := range SecretFields {
		values[name] = canary
		if !form.Lost[name] {
			t.Errorf("%s was given, and the form does not say that it has to be entered again", name)
		}
	}
	for _, f := range []Form{form, {Values: values}} {
		page := render(t, Home(HomePage{Page: Page{Lang: catalogue.English, Path: "/"}, Form: f}))
		if strings.Contains(page, canary) {
			t.Error("a secret is in the page")
		}
	}
}

func TestFormKeepsWhatWasTyped(t *testing.T) {
	values := map[string]string{}
	for _, p := range panels {
		for _, name := range p.fields {
			values[name] = "typed in " + name
		}
	}
	values[fieldURL] = `mqtt://"><script>`
	values[fieldProtocol], values[fieldQoS], values[fieldBurstQoS], values[fieldDepth] = "3.1.1", "2", "0", "deep"
	for _, name := range Checkboxes {
		values[name] = ""
	}
	doc := parse(t, Home(HomePage{Page: Page{Lang: catalogue.English, Path: "/"}, Form: Form{Values: values, Errors: map[string]string{"x": "y"}}}))
	for _, n := range elements(doc) {
		name, _ := attr(n, "name")
		want, known := values[name]
		if !known || name == fieldSymptom {
			continue
		}
		got, _ := attr(n, "value")
		switch {
		case n.Data == "textarea":
			if n.FirstChild != nil {
				got = n.FirstChild.Data
			}
			if isSecret(name) {
				got, want = "", ""
			}
		case n.Data == "select":
			for o := range n.ChildNodes() {
				if _, on := attr(o, "selected"); o.Data == "option" && on {
					got, _ = attr(o, "value")
				}
			}
		case isSecret(name):
			want = ""
		}
		if kind, _ := attr(n, "type"); kind == "checkbox" {
			if _, on := attr(n, "checked"); on {
				t.Errorf("%s is on, and was switched off", name)
			}
			continue
		}
		if got != want {
			t.Errorf("%s: %q was typed, %q is shown", name, want, got)
		}
	}
}

func isSecret(name string) bool {
	for _, s := range SecretFields {
		if s == name {
			return true
		}
	}
	return false
}

func TestAnEmptyTextareaIsEmpty(t *testing.T) {
	doc := parse(t, Home(HomePage{Page: Page{Lang: catalogue.English, Path: "/"}}))
	for _, n := range elements(doc) {
		if n.Data == "textarea" && n.FirstChild != nil && n.FirstChild.Data != "" {
			t.Errorf("%v begins with %q", n.Attr, n.FirstChild.Data)
		}
	}
}
