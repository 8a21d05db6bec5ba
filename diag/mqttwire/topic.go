package mqttwire

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// TopicFault is a closed list of what can be wrong with a topic or filter.
type TopicFault string

// The faults.
const (
	TopicEmpty    TopicFault = "empty"    // [MQTT-4.7.3-1]
	TopicTooLong  TopicFault = "too_long" // more than 65,535 bytes, [MQTT-4.7.3-3]
	TopicNotUTF8  TopicFault = "not_utf8" // [MQTT-1.5.4-1]
	TopicNUL      TopicFault = "nul"      // [MQTT-4.7.3-2]
	TopicWildcard TopicFault = "wildcard" // a topic name has none, [MQTT-3.3.2-2]
	TopicHash     TopicFault = "hash"     // # not alone in the last level, [MQTT-4.7.1-1]
	TopicPlus     TopicFault = "plus"     // + not alone in its level, [MQTT-4.7.1-2]
	TopicShare    TopicFault = "share"    // not $share/name/filter, [MQTT-4.8.2-1], [MQTT-4.8.2-2]
)

// ErrTopic says what is wrong with a topic or filter.
type ErrTopic struct {
	Fault TopicFault
	Level int // from 1, where the fault is in one level of the text; else 0
}

func (e *ErrTopic) Error() string { return "invalid topic: " + string(e.Fault) }

// ValidateTopicName tells what is wrong with a Topic Name (MQTT 5.0 4.7); the error is *ErrTopic. U+FEFF is allowed, here as
// in filters, and means itself (MQTT 5.0 1.5.4).
func ValidateTopicName(topic string) error {
	if err := validateText(topic); err != nil {
		return err
	}
	for i, level := range strings.Split(topic, "/") {
		if strings.ContainsAny(level, "+#") {
			return &ErrTopic{TopicWildcard, i + 1}
		}
	}
	return nil
}

// ValidateTopicFilter tells what is wrong with a Topic Filter (MQTT 5.0 4.7.1), which may be that of a shared subscription
// (MQTT 5.0 4.8.2); the error is *ErrTopic.
func ValidateTopicFilter(filter string) error {
	if err := validateText(filter); err != nil {
		return err
	}
	levels, skip := strings.Split(filter, "/"), 0
	if levels[0] == "$share" {
		if len(levels) < 3 || levels[1] == "" || strings.ContainsAny(levels[1], "+#") || len(levels) == 3 && levels[2] == "" {
			return &ErrTopic{TopicShare, min(2, len(levels))}
		}
		skip = 2
	}
	for i, level := range levels[skip:] {
		at := i + skip + 1
		switch {
		case strings.Contains(level, "#") && (level != "#" || at != len(levels)):
			return &ErrTopic{TopicHash, at}
		case strings.Contains(level, "+") && level != "+":
			return &ErrTopic{TopicPlus, at}
		}
	}
	return nil
}

func validateText(s string) error {
	switch {
	case s == "":
		return &ErrTopic{TopicEmpty, 0}
	case len(s) > maxText:
		return &ErrTopic{TopicTooLong, 0}
	case !utf8.ValidString(s):
		return &ErrTopic{TopicNotUTF8, 0}
	case strings.ContainsRune(s, 0):
		return &ErrTopic{TopicNUL, 0}
	}
	return nil
}

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

// visible drops blanks and what cannot be seen, and makes one of the two ways to write an accented letter.
func visible(s string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, s))
}
