package catalogue

import (
	"strings"
	"testing"

	"mqttdoctor/diag"
)

// A key that does not fit its certificate is refused before there is a run: what is said then has to be what the cause says, with
// the commands that show it.
func TestKeyMismatchIsSaidInTheCausesWords(t *testing.T) {
	for _, lang := range []Lang{English, Chinese} {
		said := Text(diag.N("input.key_mismatch"), lang)
		cause := RenderFinding(diag.Finding{Code: "tls.client_key_mismatch"}, diag.TargetInput{}, lang)
		parts := []string{cause.Title, cause.Explanation, string(cause.Code)}
		for _, fix := range cause.Fixes {
			parts = append(append(parts, strings.TrimRight(fix.Text, "。.")), fix.Commands...)
		}
		for _, part := range parts {
			if !strings.Contains(said, part) {
				t.Errorf("%s: %q does not say %q", lang, said, part)
			}
		}
	}
}
