package static

import (
	"io/fs"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := fs.ReadFile(FS, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var token = regexp.MustCompile(`--([a-z-]+):\s*(#[0-9a-f]{6});`)

// colours are the values of one block of tokens.css.
func colours(t *testing.T, selector string) map[string]string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, "css/tokens.css"), selector+" {")
	if !found {
		t.Fatalf("no block %s", selector)
	}
	block, _, _ := strings.Cut(rest, "}")
	values := map[string]string{}
	for _, m := range token.FindAllStringSubmatch(block, -1) {
		values[m[1]] = m[2]
	}
	return values
}

// luminance and contrast are those of WCAG 2.2.
func luminance(hex string) float64 {
	channel := func(s string) float64 {
		n, _ := strconv.ParseUint(s, 16, 8)
		c := float64(n) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(hex[1:3]) + 0.7152*channel(hex[3:5]) + 0.0722*channel(hex[5:7])
}

func contrast(a, b string) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func TestColoursCanBeRead(t *testing.T) {
	for theme, c := range map[string]map[string]string{"light": colours(t, ":root"), "dark": colours(t, `:root[data-theme="dark"]`)} {
		check := func(least float64, front, back string) {
			if c[front] == "" || c[back] == "" {
				t.Errorf("%s: no %s or %s", theme, front, back)
			} else if got := contrast(c[front], c[back]); got < least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, %.1f is needed", theme, front, back, got, least)
			}
		}
		for _, back := range []string{"ground", "surface", "surface-sunk", "surface-hover"} {
			for _, front := range []string{"text", "text-soft", "text-faint", "accent"} {
				check(4.5, front, back)
			}
		}
		check(4.5, "on-accent", "accent")
		check(4.5, "on-accent", "accent-strong")
		check(4.5, "accent", "accent-soft")
		check(3, "focus", "ground")
		check(3, "line-strong", "surface") // borders of fields (WCAG 1.4.11)
		for _, tone := range []string{"passed", "warned", "failed", "idle", "running"} {
			check(4.5, tone, tone+"-soft")
			check(4.5, tone, "surface")
			check(4.5, "surface", tone) // a white shape on the tone
			check(4.5, "text", tone+"-soft")
			check(4.5, "text-soft", tone+"-soft")
		}
	}
}

func TestDarkIsTheSameByChoiceAndBySystem(t *testing.T) {
	system, chosen := colours(t, `:root:not([data-theme="light"])`), colours(t, `:root[data-theme="dark"]`)
	if !maps.Equal(system, chosen) {
		t.Errorf("by system %v\nby choice %v", system, chosen)
	}
	if light := colours(t, ":root"); !slices.Equal(slices.Sorted(maps.Keys(light)), slices.Sorted(maps.Keys(chosen))) {
		t.Error("light and dark do not name the same colours")
	}
}

func TestComponentsUseMeaningsOnly(t *testing.T) {
	for _, name := range []string{"css/base.css", "css/components.css"} {
		if m := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgb\(`).FindString(strings.ReplaceAll(read(t, name), "#findings", "")); m != "" && !strings.HasPrefix(m, "#f") {
			t.Errorf("%s has the colour %s: give it a meaning in tokens.css", name, m)
		}
	}
}

func TestEveryTokenIsThere(t *testing.T) {
	defined := map[string]bool{"tone": true, "tone-soft": true, "tone-line": true}
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+):`).FindAllStringSubmatch(read(t, "css/tokens.css"), -1) {
		defined[m[1]] = true
	}
	for _, name := range []string{"css/base.css", "css/components.css", "css/print.css"} {
		for _, m := range regexp.MustCompile(`var\(--([a-z0-9-]+)`).FindAllStringSubmatch(read(t, name), -1) {
			if !defined[m[1]] {
				t.Errorf("%s: no token --%s", name, m[1])
			}
		}
	}
}

func TestScriptsFetchNothingFromElsewhere(t *testing.T) {
	err := fs.WalkDir(FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name == "vendor" || strings.HasPrefix(name, "vendor/") { // of others; the Content-Security-Policy holds for them too
			return nil
		}
		text := read(t, name)
		for _, bad := range []string{"https://", "eval(", "new Function", "document.write", "@import"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
		if strings.HasSuffix(name, ".js") && !strings.HasPrefix(text, "// ") {
			t.Errorf("%s does not say what it is for", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The first page is read on site, over a phone: style sheets, scripts and icons stay small even before compression.
func TestFilesAreSmall(t *testing.T) {
	total := 0
	for _, pattern := range []string{"css/*", "js/*", "icons/*"} {
		names, err := fs.Glob(FS, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if name == "js/console" || name == "css/console.css" { // that page loads its own
				continue
			}
			total += len(read(t, name))
		}
	}
	if limit := 120 << 10; total > limit {
		t.Errorf("%d bytes in all, %d are allowed", total, limit)
	}
}
