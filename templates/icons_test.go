package templates

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"mqttdoctor/diag"
)

func TestEveryIconIsInTheSprite(t *testing.T) {
	data, err := os.ReadFile("../static/icons/sprite.svg")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, m := range regexp.MustCompile(`<symbol id="([a-z]+)"`).FindAllStringSubmatch(string(data), -1) {
		have = append(have, m[1])
	}
	want := slices.Clone(iconNames)
	for _, l := range diag.Layers {
		want = append(want, string(l))
	}
	for _, p := range panels {
		want = append(want, p.icon)
	}
	for name, doc := range everyPage(t) {
		for _, n := range elements(doc) {
			if n.Data != "use" {
				continue
			}
			href, _ := attr(n, "href")
			m := regexp.MustCompile(`#([a-z]+)$`).FindStringSubmatch(href)
			if m == nil || !slices.Contains(have, m[1]) {
				t.Errorf("%s: no symbol for %q", name, href)
			}
		}
	}
	for _, name := range want {
		if !slices.Contains(have, name) {
			t.Errorf("the sprite has no %s", name)
		}
	}
	for _, name := range have {
		if !slices.Contains(want, name) {
			t.Errorf("%s is in the sprite, and nobody uses it", name)
		}
	}
}
