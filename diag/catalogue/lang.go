package catalogue

import (
	"slices"
	"strconv"
	"strings"
)

// Langs lists the languages.
var Langs = []Lang{English, Chinese}

// ParseLang finds the language of a code ("zh", "en-GB") or of an Accept-Language header (RFC 9110 12.5.4); English where
// none of ours is asked for.
func ParseLang(s string) Lang {
	best, bestQ := English, 0.0
	for _, item := range strings.Split(s, ",") {
		tag, params, _ := strings.Cut(item, ";")
		primary, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(tag)), "_", "-"), "-")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(value, 64); err != nil {
				continue
			}
		}
		if lang := Lang(primary); slices.Contains(Langs, lang) && q > bestQ {
			best, bestQ = lang, q
		}
	}
	return best
}
