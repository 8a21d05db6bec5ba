package templates

import (
	"context"
	"io"
	"regexp"
	"strings"

	"github.com/a-h/templ"
)

// breakable is an address with places where a line may end: before what separates its parts. Without them it would break at any
// letter, and a port of which half stands on the next line is misread. What is copied has no spaces in it.
func breakable(address string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, escapeAddress(address))
		return err
	})
}

func escapeAddress(address string) string {
	parts := breaks(address)
	for i, part := range parts {
		parts[i] = templ.EscapeString(part)
	}
	return strings.Join(parts, "<wbr>")
}

var addressInText = regexp.MustCompile(`[a-z]+://[^\s,;，；。、）)]+`)

// escapeBreakable writes a sentence as HTML, with breakable addresses.
func escapeBreakable(text string) string {
	var b strings.Builder
	rest := 0
	for _, at := range addressInText.FindAllStringIndex(text, -1) {
		b.WriteString(templ.EscapeString(text[rest:at[0]]) + escapeAddress(text[at[0]:at[1]]))
		rest = at[1]
	}
	return b.String() + templ.EscapeString(text[rest:])
}

// breaks cuts an address before each separator that follows something else: "mqtts", "://broker", ".example", ".com", ":8883".
func breaks(s string) []string {
	var parts []string
	from := 0
	for i := 1; i < len(s); i++ {
		if strings.IndexByte(".:/@?", s[i]) >= 0 && strings.IndexByte(".:/@?", s[i-1]) < 0 {
			parts = append(parts, s[from:i])
			from = i
		}
	}
	return append(parts, s[from:])
}
