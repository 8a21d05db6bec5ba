package templates

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"mqttdoctor/diag/catalogue"
)

//go:embed i18n/*/*.yaml
var i18nFiles embed.FS

// texts are the pages' words by language and key. Both languages have the same keys with the same places; tests see to it.
var texts = func() map[catalogue.Lang]map[string]string {
	all := map[catalogue.Lang]map[string]string{}
	for _, lang := range catalogue.Langs {
		words, err := loadTexts(string(lang))
		if err != nil {
			panic(err) // the files are part of the program
		}
		all[lang] = words
	}
	return all
}()

// loadTexts reads the files of one language: flat maps from key to text, without repeated keys or empty texts.
func loadTexts(lang string) (map[string]string, error) {
	names, err := fs.Glob(i18nFiles, "i18n/"+lang+"/*.yaml")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no texts for %s: %w", lang, err)
	}
	all := map[string]string{}
	for _, name := range names {
		words, err := loadFile(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for key, text := range words {
			if strings.TrimSpace(text) == "" {
				return nil, fmt.Errorf("%s: %s is empty", name, key)
			}
			if _, twice := all[key]; twice {
				return nil, fmt.Errorf("%s: %s is in another file too", name, key)
			}
			all[key] = text
		}
	}
	return all, nil
}

func loadFile(name string) (map[string]string, error) {
	data, err := i18nFiles.ReadFile(name)
	if err != nil {
		return nil, err
	}
	words := map[string]string{}
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict(), yaml.DisallowUnknownField())
	if err := d.Decode(&words); err != nil {
		return nil, err
	}
	if err := d.Decode(&words); err != io.EOF {
		return nil, errors.New("more than one document")
	}
	return words, nil
}

// T is the text of a key in the page's language; pairs are names and values for its {places}. A missing key shows itself,
// and fails a test.
func (p Page) T(key string, pairs ...string) string {
	text, ok := texts[p.Lang][key]
	if !ok {
		if text, ok = texts[catalogue.English][key]; !ok {
			return key
		}
	}
	if len(pairs) == 0 {
		return text
	}
	old := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		old = append(old, "{"+pairs[i]+"}", pairs[i+1])
	}
	return strings.NewReplacer(old...).Replace(text)
}

// N is T with a count: key+".one" or key+".other", with the place {n}.
func (p Page) N(key string, n int, pairs ...string) string {
	form := ".other"
	if n == 1 {
		form = ".one"
	}
	return p.T(key+form, append(pairs, "n", strconv.Itoa(n))...)
}

// W is the catalogue's word for a member of a closed list, such as "status.passed" or "for.mosquitto"; what it does not know
// is shown as it is.
func (p Page) W(key string) string {
	if label, _ := catalogue.Label(key, p.Lang); label != "" {
		return label
	}
	_, name, _ := strings.Cut(key, ".")
	return name
}

// Help is the sentence that explains such a word; empty: there is none.
func (p Page) Help(key string) string {
	_, help := catalogue.Label(key, p.Lang)
	return help
}

// HTMLLang is the value of the lang attribute (BCP 47).
func (p Page) HTMLLang() string { return htmlLang(p.Lang) }

func htmlLang(lang catalogue.Lang) string {
	if lang == catalogue.Chinese {
		return "zh-Hans"
	}
	return "en"
}

// Duration words a time in milliseconds with the digits that carry meaning.
func (p Page) Duration(ms float64) string {
	switch {
	case ms < 0.1: // finer than people need, and never "0"
		return p.T("unit.ms", "n", "<0.1")
	case ms < 10:
		return p.T("unit.ms", "n", strconv.FormatFloat(ms, 'f', 1, 64))
	case ms < 999.5:
		return p.T("unit.ms", "n", strconv.FormatFloat(ms, 'f', 0, 64))
	case ms < 9995:
		return p.T("unit.s", "n", strconv.FormatFloat(ms/1000, 'f', 2, 64))
	case ms < 60_000:
		return p.T("unit.s", "n", strconv.FormatFloat(ms/1000, 'f', 1, 64))
	}
	s := int(ms/1000 + 0.5)
	if s >= 2*3600 {
		return p.T("unit.h_min", "h", strconv.Itoa(s/3600), "min", strconv.Itoa(s%3600/60))
	}
	return p.T("unit.min_s", "min", strconv.Itoa(s/60), "s", strconv.Itoa(s%60))
}

// Unit words the unit of a piece of evidence.
func (p Page) Unit(unit string) string { return p.W("unit." + unit) }
