package templates

import (
	"context"
	"io"
	"strings"

	"github.com/a-h/templ"
)

// commandLine is a line to copy. On a narrow page it breaks between words alone, never behind the hyphens of an option,
// where "--list-all" would read as two; only a word that is wider than the page breaks within.
func commandLine(line string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		for i, word := range strings.Split(line, " ") {
			if i > 0 {
				b.WriteByte(' ')
			}
			if strings.Contains(word, "-") {
				b.WriteString(`<span class="word">` + templ.EscapeString(word) + `</span>`)
			} else {
				b.WriteString(templ.EscapeString(word))
			}
		}
		_, err := io.WriteString(w, b.String())
		return err
	})
}
