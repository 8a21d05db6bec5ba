package templates

import "testing"

func TestTimesInTextsAreMarkedForTheReadersZone(t *testing.T) {
	for text, want := range map[string]string{
		"It expired on 2026-11-18 11:33 UTC.": `It expired on <time datetime="2026-11-18T11:33:00Z">2026-11-18 11:33 UTC</time>.`,
		"于 2026-11-18 11:33:20 UTC 过期":        `于 <time datetime="2026-11-18T11:33:20Z">2026-11-18 11:33:20 UTC</time> 过期`,
		"2026-11-18T11:33:25Z":                `<time datetime="2026-11-18T11:33:25Z">2026-11-18T11:33:25Z</time>`,
		"2026-02-31 11:33 UTC <b>":            `2026-02-31 11:33 UTC &lt;b&gt;`,
		"no time":                             "no time",
	} {
		if got := render(t, withTimes(text)); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
	const quoted = "x509: current time 2026-11-21T11:36:12Z is after 2026-11-18T11:33:25Z"
	if got := render(t, evidenceText(quoted)); got != quoted {
		t.Errorf("the words of the verifier were changed: %q", got)
	}
}
