package templates

import (
	"context"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/a-h/templ"
)

// instant is a time as texts of the catalogue and evidence have it, always in UTC.
var instant = regexp.MustCompile(`\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)? UTC|T\d\d:\d\d:\d\d(?:\.\d+)?Z)`)

// withTimes is a text whose times are marked as such: a script puts them into the reader's form and zone, and keeps what stood
// there as their title. Without it they stand in UTC, and say so.
func withTimes(text string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		rest := 0
		for _, at := range instant.FindAllStringIndex(text, -1) {
			t, ok := readInstant(text[at[0]:at[1]])
			if !ok {
				continue
			}
			b.WriteString(escapeBreakable(text[rest:at[0]]))
			b.WriteString(`<time datetime="` + stampISO(t) + `">` + templ.EscapeString(text[at[0]:at[1]]) + `</time>`)
			rest = at[1]
		}
		b.WriteString(escapeBreakable(text[rest:]))
		_, err := io.WriteString(w, b.String())
		return err
	})
}

// readInstant reads one match of instant; ok is false where it is no time, such as the 31st of February.
func readInstant(s string) (t time.Time, ok bool) {
	for _, layout := range []string{"2006-01-02 15:04 UTC", "2006-01-02 15:04:05 UTC", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// evidenceText is a fact's value in words. What is no time as a whole stays as it was seen, byte for byte.
func evidenceText(text string) templ.Component {
	if instant.FindString(text) == text {
		return withTimes(text)
	}
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, templ.EscapeString(text))
		return err
	})
}
