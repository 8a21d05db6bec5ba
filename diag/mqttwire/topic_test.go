package mqttwire

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestValidateTopics(t *testing.T) {
	long := strings.Repeat("x", 65535)
	for _, c := range []struct {
		topic        string
		name, filter TopicFault
	}{
		{"a", "", ""},
		{"/", "", ""},
		{"//", "", ""},
		{"a/b c/\ufeff", "", ""},
		{"温度/客厅", "", ""},
		{"$SYS/broker", "", ""},
		{long, "", ""},
		{"", TopicEmpty, TopicEmpty},
		{long + "x", TopicTooLong, TopicTooLong},
		{"a\x00b", TopicNUL, TopicNUL},
		{"a/\xff", TopicNotUTF8, TopicNotUTF8},
		{"a/\xed\xa0\x80", TopicNotUTF8, TopicNotUTF8}, // a surrogate
		{"#", TopicWildcard, ""},
		{"+", TopicWildcard, ""},
		{"a/+/b", TopicWildcard, ""},
		{"+/+/#", TopicWildcard, ""},
		{"/+", TopicWildcard, ""},
		{"a/#", TopicWildcard, ""},
		{"a#", TopicWildcard, TopicHash},
		{"a/#/b", TopicWildcard, TopicHash},
		{"a/b#", TopicWildcard, TopicHash},
		{"##", TopicWildcard, TopicHash},
		{"a+", TopicWildcard, TopicPlus},
		{"a/+b/c", TopicWildcard, TopicPlus},
		{"++", TopicWildcard, TopicPlus},
		{"$share", "", TopicShare},
		{"$share/", "", TopicShare},
		{"$share/g", "", TopicShare},
		{"$share/g/", "", TopicShare},
		{"$share//a", "", TopicShare},
		{"$share/g+/a", TopicWildcard, TopicShare},
		{"$share/#/a", TopicWildcard, TopicShare},
		{"$share/g/a", "", ""},
		{"$share/g//a", "", ""},
		{"$share/g/#", TopicWildcard, ""},
		{"$share/g/a/#/b", TopicWildcard, TopicHash},
		{"$shared/a", "", ""},
	} {
		for what, err := range map[string]error{"name": ValidateTopicName(c.topic), "filter": ValidateTopicFilter(c.topic)} {
			want := c.name
			if what == "filter" {
				want = c.filter
			}
			var got TopicFault
			var fault *ErrTopic
			if errors.As(err, &fault) {
				got = fault.Fault
			}
			if got != want {
				t.Errorf("%s %.40q: %q, want %q", what, c.topic, got, want)
			}
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          Mismatch // zero: matches
	}{
		// The examples of MQTT 5.0 4.7.1 to 4.7.3.
		{"sport/tennis/player1/#", "sport/tennis/player1", Mismatch{}},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", Mismatch{}},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", Mismatch{}},
		{"sport/#", "sport", Mismatch{}},
		{"#", "a/b/c", Mismatch{}},
		{"sport/tennis/+", "sport/tennis/player1", Mismatch{}},
		{"sport/tennis/+", "sport/tennis/player1/ranking", Mismatch{MismatchTooMany, 4, "ranking", ""}},
		{"sport/+", "sport", Mismatch{MismatchTooFew, 2, "", "+"}},
		{"sport/+", "sport/", Mismatch{}},
		{"+/+", "/finance", Mismatch{}},
		{"/+", "/finance", Mismatch{}},
		{"+", "/finance", Mismatch{MismatchLeadingSlash, 2, "finance", ""}},
		{"#", "$SYS/monitor/Clients", Mismatch{MismatchDollar, 1, "$SYS", "#"}},
		{"+/monitor/Clients", "$SYS/monitor/Clients", Mismatch{MismatchDollar, 1, "$SYS", "+"}},
		{"$SYS/#", "$SYS/monitor/Clients", Mismatch{}},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", Mismatch{}},
		{"ACCOUNTS", "Accounts", Mismatch{MismatchCase, 1, "Accounts", "ACCOUNTS"}},
		// What people get wrong.
		{"home/temp", "home/temp", Mismatch{}},
		{"home/temp", "home/Temp", Mismatch{MismatchCase, 2, "Temp", "temp"}},
		{"home/temp", "/home/temp", Mismatch{MismatchLeadingSlash, 1, "", "home"}},
		{"/home/temp", "home/temp", Mismatch{MismatchLeadingSlash, 1, "home", ""}},
		{"home/temp", "home/temp/", Mismatch{MismatchTrailingSlash, 3, "", ""}},
		{"home/temp/", "home/temp", Mismatch{MismatchTrailingSlash, 3, "", ""}},
		{"home/temp", "home/temp ", Mismatch{MismatchInvisible, 2, "temp ", "temp"}},
		{"home/temp", "home/\u200btemp", Mismatch{MismatchInvisible, 2, "\u200btemp", "temp"}},
		{"home/temp", "\ufeffhome/temp", Mismatch{MismatchInvisible, 1, "\ufeffhome", "home"}},
		{"café/1", "cafe\u0301/1", Mismatch{MismatchInvisible, 1, "cafe\u0301", "café"}},
		{"home/temp", "home", Mismatch{MismatchTooFew, 2, "", "temp"}},
		{"home", "home/temp", Mismatch{MismatchTooMany, 2, "temp", ""}},
		{"home/+/temp", "home/1/hum", Mismatch{MismatchLevel, 3, "hum", "temp"}},
		{"devices/+/state", "device/1/state", Mismatch{MismatchLevel, 1, "device", "devices"}},
		{"$share/group/home/+", "home/temp", Mismatch{}},
		{"$share/group/#", "$SYS/x", Mismatch{MismatchDollar, 1, "$SYS", "#"}},
		{"$share/group/home/+", "home/temp/1", Mismatch{MismatchTooMany, 3, "1", ""}},
	} {
		ok, got := Match(c.filter, c.topic)
		if got != c.want || ok != (c.want == Mismatch{}) {
			t.Errorf("Match(%q, %q) = %t, %+v; want %+v", c.filter, c.topic, ok, got, c.want)
		}
	}
}

// slowMatch is the same rule by other means: the filter as a regular expression.
func slowMatch(filter, topic string) bool {
	if rest, shared := strings.CutPrefix(filter, "$share/"); shared {
		_, filter, _ = strings.Cut(rest, "/")
	}
	if strings.HasPrefix(topic, "$") && strings.ContainsAny(filter[:min(1, len(filter))], "+#") {
		return false
	}
	expr := ""
	for i, level := range strings.Split(filter, "/") {
		slash := "/"
		if i == 0 {
			slash = ""
		}
		switch {
		case level == "#" && i == 0:
			expr += ".*"
		case level == "#":
			expr += "(/.*)?"
		case level == "+":
			expr += slash + "[^/]*"
		default:
			expr += slash + regexp.QuoteMeta(level)
		}
	}
	return regexp.MustCompile("(?s)^" + expr + "$").MatchString(topic)
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{{"a/+/#", "a/b"}, {"#", "$SYS"}, {"/", "//"}, {"$share/g/+/x", "/x"}, {"+/a", "a/a"}, {"a/b/", "a/b"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if ValidateTopicFilter(filter) != nil || ValidateTopicName(topic) != nil {
			return
		}
		ok, why := Match(filter, topic)
		if want := slowMatch(filter, topic); ok != want {
			t.Fatalf("Match(%q, %q) = %t, %+v", filter, topic, ok, why)
		}
		if ok != (why == Mismatch{}) || !ok && (why.Code == "" || why.Level < 1) {
			t.Fatalf("Match(%q, %q) = %t with %+v", filter, topic, ok, why)
		}
	})
}
