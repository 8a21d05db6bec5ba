package mqttwire

import (
	"strings"
	"unicode"
)

// MismatchCode says why a filter does not match a topic: a closed list.
type MismatchCode string

// The reasons, the more telling first.
const (
	MismatchDollar        MismatchCode = "dollar"          // a leading wildcard does not match "$" topics ([MQTT-4.7.2-1])
	MismatchLeadingSlash  MismatchCode = "leading_slash"   // one begins with "/", the other does not
	MismatchTrailingSlash MismatchCode = "trailing_slash"  // one ends with "/", the other does not
	MismatchCase          MismatchCode = "case"            // a level differs in upper and lower case alone
	MismatchInvisible     MismatchCode = "invisible"       // a level differs in blanks or invisible characters alone
	MismatchTooFew        MismatchCode = "topic_too_short" // the topic has fewer levels than the filter
	MismatchTooMany       MismatchCode = "topic_too_long"  // the topic has more levels than the filter
	MismatchLevel         MismatchCode = "level"           // a level differs
)

// Mismatch says where and why a filter does not match.
type Mismatch struct {
	Code     MismatchCode
	Level    int    // from 1
	InTopic  string // that level
	InFilter string
}

// Match tells whether a Topic Filter matches a Topic Name (MQTT 5.0 4.7), and if not, why. A shared subscription's filter is
// what follows its share name (MQTT 5.0 4.8.2). Both must be valid.
func Match(filter, topic string) (bool, Mismatch) {
	if rest, shared := strings.CutPrefix(filter, "$share/"); shared {
		if _, inner, ok := strings.Cut(rest, "/"); ok {
			filter = inner
		}
	}
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	if strings.HasPrefix(topic, "$") && (f[0] == "+" || f[0] == "#") {
		return false, Mismatch{Code: MismatchDollar, Level: 1, InTopic: t[0], InFilter: f[0]}
	}
	if at := differ(f, t); at >= 0 {
		return false, explain(f, t, at)
	}
	return true, Mismatch{}
}

// differ is the first level, from 0, at which a filter does not match; -1: it matches.
func differ(f, t []string) int {
	for i, level := range f {
		switch {
		case level == "#":
			return -1
		case i == len(t), level != "+" && level != t[i]:
			return i
		}
	}
	if len(t) > len(f) {
		return len(f)
	}
	return -1
}

// explain names the most telling reason why levels up to i match and the i-th does not.
func explain(f, t []string, i int) Mismatch {
	at := func(levels []string) string {
		if i < len(levels) {
			return levels[i]
		}
		return ""
	}
	m := Mismatch{Level: i + 1, InTopic: at(t), InFilter: at(f)}
	rest := func(f, t []string) bool { return differ(f, t) < 0 }
	switch {
	case len(t) > 1 && t[0] == "" && f[0] != "" && rest(f, t[1:]), len(f) > 1 && f[0] == "" && t[0] != "" && rest(f[1:], t):
		m.Code = MismatchLeadingSlash
	case len(t) > 1 && t[len(t)-1] == "" && rest(f, t[:len(t)-1]), len(f) > 1 && f[len(f)-1] == "" && rest(f[:len(f)-1], t):
		m.Code = MismatchTrailingSlash
	case i >= len(t):
		m.Code = MismatchTooFew
	case i >= len(f):
		m.Code = MismatchTooMany
	case strings.EqualFold(t[i], f[i]):
		m.Code = MismatchCase
	case visible(t[i]) == visible(f[i]):
		m.Code = MismatchInvisible
	default:
		m.Code = MismatchLevel
	}
	return m
}

// visible drops blanks and what cannot be seen.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, s)
}
