package templates

import (
	"slices"
	"strings"
	"testing"
)

func TestAddressesBreakBeforeTheirParts(t *testing.T) {
	for s, want := range map[string][]string{
		"":                             {""},
		"broker":                       {"broker"},
		"mqtts://b.example.com:8883":   {"mqtts", "://b", ".example", ".com", ":8883"},
		"ws://[2001:db8::1]:8083/mqtt": {"ws", "://[2001", ":db8", "::1]", ":8083", "/mqtt"},
		"http://例.cn/?a=b":             {"http", "://例", ".cn", "/?a=b"},
	} {
		if got := breaks(s); !slices.Equal(got, want) || strings.Join(got, "") != s {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestAddressesInSentencesBreak(t *testing.T) {
	for text, want := range map[string]string{
		"a < b":                         "a &lt; b",
		"到 mqtts://b.cn:8883，正常。":       "到 mqtts<wbr>://b<wbr>.cn<wbr>:8883，正常。",
		"To ws://b:80/mqtt; it <works>": "To ws<wbr>://b<wbr>:80<wbr>/mqtt; it &lt;works&gt;",
	} {
		if got := escapeBreakable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
