package catalogue

import (
	"strings"

	"mqttdoctor/diag"
)

// Words are the texts whose keys begin with a prefix, as they are written: with their {facts} and [[optional parts]]. They are
// for programs that fill them in themselves, such as scripts of a page.
func Words(prefix string, lang Lang) map[string]string {
	words := map[string]string{}
	for key, e := range newWriter(lang, diag.TargetInput{}).l.texts {
		if strings.HasPrefix(key, prefix) {
			words[key] = e.text.source()
		}
	}
	return words
}

// Has tells whether there is a text of that key.
func Has(key string) bool {
	_, ok := newWriter(English, diag.TargetInput{}).l.texts[key]
	return ok
}

// source writes a text as it stands in its file.
func (t template) source() string {
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.fact != "":
			b.WriteString("{" + p.fact + "}")
		case p.segment != nil:
			b.WriteString("[[" + template{parts: p.segment}.source() + "]]")
		default:
			b.WriteString(p.words)
		}
	}
	return b.String()
}
