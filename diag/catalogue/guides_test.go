package catalogue

import (
	"strings"
	"testing"

	"mqttdoctor/diag"
)

// TestGuidesAreFilledIn: each symptom has a guide in each language, whose commands name this target, and hold a place where
// something is not known.
func TestGuidesAreFilledIn(t *testing.T) {
	target := diag.TargetInput{URL: "mqtts://broker.test:8884", Username: "o'neil"}
	for _, symptom := range diag.Symptoms {
		for _, lang := range Langs {
			g := Guide(symptom, target, lang)
			if len(g.Sections) < 3 {
				t.Errorf("%s %s: %d sections", lang, symptom, len(g.Sections))
			}
			var lines []string
			for _, s := range g.Sections {
				for _, f := range s.Fixes {
					lines = append(lines, f.Commands...)
				}
			}
			all := strings.Join(lines, "\n")
			if strings.Contains(all, "{port}") || strings.Contains(all, "{host}") || strings.Contains(all, "{hostport}") {
				t.Errorf("%s %s: a known fact is left open:\n%s", lang, symptom, all)
			}
			if open := Guide(symptom, diag.TargetInput{}, lang); len(open.Sections) != len(g.Sections) {
				t.Errorf("%s: without a target it is another guide", symptom)
			}
		}
	}
	var auth strings.Builder
	for _, s := range Guide("auth", target, English).Sections {
		for _, f := range s.Fixes {
			auth.WriteString(strings.Join(f.Commands, "\n"))
		}
	}
	for _, part := range []string{"-h broker.test -p 8884", `-u 'o'\''neil'`, "{client_id}"} {
		if !strings.Contains(auth.String(), part) {
			t.Errorf("no %q in\n%s", part, auth.String())
		}
	}
}
