package templates

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// families are keys that are made from data: every member must be there.
func families() []string {
	var keys []string
	add := func(prefix string, names ...string) {
		for _, n := range names {
			keys = append(keys, prefix+n)
		}
	}
	for _, p := range panels {
		add("panel.", p.id, p.id+".text")
	}
	for _, p := range consolePanels {
		add("panel.", p.id, p.id+".text")
	}
	for _, g := range symptomGroups {
		add("symptom.group.", g.id)
	}
	add("field.qos.", "0", "1", "2")
	add("theme.", "auto", "light", "dark")
	add("help.", "asks", "asks.unknown", "banner.owner", "banner.owner.unknown", "wish.asks", "wish.asks.unknown", "wish.asks_step", "wish.asks_step.unknown")
	add("admin.", "runs", "audit", "limits")
	add("admin.result.", "running", "healthy", "attention", "broken", "inconclusive")
	add("admin.act.", "run", "import", "cancel", "erase", "console", "ask", "ask_erase", "limits", "sign_in", "sign_in_refused", "sign_out")
	add("admin.limit.", "max-runs", "max-runs-per-client", "max-consoles", "max-consoles-per-client", "max-relays", "retention", "max-database")
	add("admin.wrong.", "number", "time", "size")
	add("path.", "you", "dns", "net", "tcp", "tls", "ws", "mqtt", "msg")
	add("path.state.", "passed", "warned", "failed", "running", "waiting", "unknown", "unreached")
	for _, g := range askGroups {
		add("ask.group.", g.id, g.id+".help")
	}
	for _, stage := range stages {
		add("help.stage.", stage, stage+".text")
	}
	add("help.show.", string(diag.HideUser), string(diag.HidePayloads))
	for _, what := range diag.Hides {
		add("share.", "show."+string(what), "show."+string(what)+".help", "hide."+string(what))
	}
	return keys
}

var (
	literalKey = regexp.MustCompile(`\b(T|N)\("([a-z0-9_.]+)"`)
	// otherKey finds keys that are handed to a component or looked up later.
	otherKey = regexp.MustCompile(`"((?:app|nav|home|console|panel|field|form|demo|run|path|suggest|copy|share|unit|error|causes|md|theme|foot|design|wizard|compare|history|runs)\.[a-z0-9_.]+)"`)
)

// usedKeys reads the sources: a key that nobody names is left over, and one that is named must be there.
func usedKeys(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	for _, pattern := range []string{"*.templ", "*.go", "../handlers/page_*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_templ.go") || strings.HasSuffix(name, "_test.go") {
				continue
			}
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range literalKey.FindAllStringSubmatch(string(data), -1) {
				if strings.HasSuffix(m[2], ".") {
					continue // the beginning of a family
				}
				if m[1] == "N" {
					if strings.Contains(m[2], "api.") {
						continue // a note of the catalogue
					}
					used[m[2]+".one"], used[m[2]+".other"] = true, true
					continue
				}
				used[m[2]] = true
			}
			for _, m := range otherKey.FindAllStringSubmatch(string(data), -1) {
				if _, ok := texts[catalogue.English][m[1]]; ok {
					used[m[1]] = true
				}
			}
		}
	}
	for _, key := range families() {
		used[key] = true
	}
	for _, key := range wordsOfScripts(t) {
		used[consoleWords+key] = true
	}
	return used
}

var (
	scriptKey      = regexp.MustCompile(`\b([tn])\("([a-z0-9_.]+)"`)
	scriptOtherKey = regexp.MustCompile(`"([a-z0-9_]+\.[a-z0-9_.]+)"`)
)

// wordsOfScripts are the keys that the console's scripts say, in calls and in tables.
func wordsOfScripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../static/js/console/*.js")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var keys []string
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range scriptKey.FindAllStringSubmatch(string(data), -1) {
			if m[1] == "n" {
				keys = append(keys, m[2]+".one", m[2]+".other")
			} else {
				keys = append(keys, m[2])
			}
		}
		for _, m := range scriptOtherKey.FindAllStringSubmatch(string(data), -1) {
			if texts[catalogue.English][consoleWords+m[1]] != "" {
				keys = append(keys, m[1])
			}
		}
	}
	return keys
}

func TestEveryTextIsThereInEachLanguageAndUsed(t *testing.T) {
	used := usedKeys(t)
	for _, lang := range catalogue.Langs {
		for key := range used {
			if texts[lang][key] == "" {
				t.Errorf("%s: no text %s", lang, key)
			}
		}
		for key := range texts[lang] {
			if !used[key] {
				t.Errorf("%s: %s is left over: no page says it", lang, key)
			}
		}
	}
}

var place = regexp.MustCompile(`\{(\w+)\}`)

func TestTextsHaveTheSamePlaces(t *testing.T) {
	places := func(s string) string {
		var names []string
		for _, m := range place.FindAllStringSubmatch(s, -1) {
			names = append(names, m[1])
		}
		sort.Strings(names)
		return strings.Join(slices.Compact(names), ",")
	}
	for key, text := range texts[catalogue.English] {
		if a, b := places(text), places(texts[catalogue.Chinese][key]); a != b {
			t.Errorf("%s: places differ: %q in English, %q in Chinese", key, a, b)
		}
	}
}

// Words that stay as they are in Chinese: names and abbreviations.
var sameInBoth = regexp.MustCompile(`^(TLS|WebSocket|ALPN|QoS|DNS|\{n\} .*|\{.*\}|.*ms.*)$`)

func TestChineseIsChinese(t *testing.T) {
	for key, text := range texts[catalogue.Chinese] {
		if text == texts[catalogue.English][key] && !sameInBoth.MatchString(text) {
			t.Errorf("%s is not translated: %q", key, text)
		}
	}
}

func TestCatalogueKnowsTheWordsOfClosedLists(t *testing.T) {
	keys := []string{"verdict.healthy", "verdict.attention", "verdict.broken", "verdict.inconclusive", "state.running",
		"state.canceled", "state.interrupted", "severity.critical", "severity.warning", "severity.info", "confidence.certain",
		"confidence.likely", "confidence.possible", "status.running", "status.passed", "status.warned", "status.failed",
		"status.skipped", "status.canceled"}
	for _, l := range diag.Layers {
		keys = append(keys, "layer."+string(l))
	}
	for _, s := range diag.Symptoms {
		keys = append(keys, "symptom."+string(s))
	}
	for _, d := range diag.Depths {
		keys = append(keys, "depth."+string(d))
	}
	for _, lang := range catalogue.Langs {
		for _, key := range keys {
			if label, _ := catalogue.Label(key, lang); label == "" {
				t.Errorf("%s: the catalogue has no word for %s", lang, key)
			}
		}
	}
}

func TestSymptomGroupsHoldEverySymptomOnce(t *testing.T) {
	var have []diag.Symptom
	for _, g := range symptomGroups {
		have = append(have, g.symptoms...)
	}
	want := slices.Clone(diag.Symptoms)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the form offers %v, the plan knows %v", have, want)
	}
}

func TestDurationsCarryTheDigitsThatMatter(t *testing.T) {
	p := Page{Lang: catalogue.English}
	for ms, want := range map[float64]string{-1: "<0.1 ms", 0.04: "<0.1 ms", 3.14: "3.1 ms", 44.9: "45 ms", 998: "998 ms",
		1234: "1.23 s", 12_345: "12.3 s", 61_000: "1 min 1 s"} {
		if got := p.Duration(ms); got != want {
			t.Errorf("Duration(%v) = %q, want %q", ms, got, want)
		}
	}
}

// A number sign after a blank begins a comment in YAML, and would cut a text short.
func TestNoTextIsCutByAComment(t *testing.T) {
	names, err := fs.Glob(i18nFiles, "i18n/*/*.yaml")
	if err != nil || len(names) < len(catalogue.Langs) {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := i18nFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			if !strings.HasPrefix(line, "#") && strings.Contains(line, " #") && !strings.HasSuffix(line, `"`) {
				t.Errorf("%s:%d: quote this text: %s", name, i+1, line)
			}
		}
	}
}
