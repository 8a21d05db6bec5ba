package catalogue

import (
	"strings"
	"testing"
)

func TestWordsAreAsWritten(t *testing.T) {
	for _, lang := range Langs {
		words := Words("trace.", lang)
		if len(words) < 100 {
			t.Errorf("%s: only %d words of the trace", lang, len(words))
		}
		for key := range words {
			if !strings.HasPrefix(key, "trace.") {
				t.Errorf("%s is no word of the trace", key)
			}
		}
		if s := words["trace.suback"]; !strings.Contains(s, "{total}") || !strings.Contains(s, "[[") || !strings.Contains(s, "{granted}") {
			t.Errorf("%s: %q", lang, s)
		}
	}
}
