package catalogue

import (
	"errors"
	"fmt"
	"slices"

	"mqttdoctor/diag"
)

// Check tells which rules and probes lack texts: every rule has a cause of the same severity, every probe a name and what
// it does.
func Check(rules []diag.Rule, probes []diag.Probe) error {
	c := Default()
	var errs []error
	for _, r := range rules {
		facts, ok := c.facts[r.Code]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%s: a rule without a cause", r.Code))
		case facts.Severity != r.Severity:
			errs = append(errs, fmt.Errorf("%s: severity %s, the rule says %s", r.Code, facts.Severity, r.Severity))
		}
		for _, list := range [][]diag.Code{r.LookAlikes, r.Hides, r.Causes} {
			for _, code := range list {
				if _, ok := c.facts[code]; !ok {
					errs = append(errs, fmt.Errorf("%s: names %s, which is no cause", r.Code, code))
				}
			}
		}
	}
	for _, lang := range Langs {
		for _, p := range probes {
			if title, about := Label("check."+string(p.ID), lang); title == "" || about == "" {
				errs = append(errs, fmt.Errorf("%s: check.%s: no label or help", lang, p.ID))
			}
		}
	}
	return errors.Join(errs...)
}

// CheckConcluded tells which causes no rule concludes.
// Causes of the given layers are concluded elsewhere, from logs or by the device listener.
func CheckConcluded(rules []diag.Rule, elsewhere ...diag.Layer) error {
	var errs []error
	for _, code := range Default().codes {
		if !slices.Contains(elsewhere, code.Layer()) && !slices.ContainsFunc(rules, func(r diag.Rule) bool { return r.Code == code }) {
			errs = append(errs, fmt.Errorf("%s: a cause without a rule", code))
		}
	}
	return errors.Join(errs...)
}

// Gaps renders a report in every language and lists the texts, variants, labels and facts that were missing, for tests of
// scenarios: a report without gaps shows neither "?" nor a bare key.
func Gaps(r diag.Report) []string {
	var out []string
	for _, lang := range Langs {
		w := newWriter(lang, r.Target)
		w.gap = func(what string) {
			if line := string(lang) + ": " + what; !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
		w.report(r)
	}
	return out
}
