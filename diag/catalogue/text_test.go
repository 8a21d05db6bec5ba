package catalogue

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	facts := map[string]string{"host": "a.example", "names": "b, c", "banner": "evil\x1b[2J\u202etxt", "value": "{host}[[ {port}]]"}
	for _, tt := range []struct {
		text, want string
		missing    []string
	}{
		{"plain", "plain", nil},
		{"{host} is up", "a.example is up", nil},
		{"none[[: {port}]].", "none.", nil},
		{"names[[: {names}]][[ and {near}]].", "names: b, c.", nil},
		{"both or none[[ {names} {port}]]", "both or none", nil},
		{"needed {port}", "needed ?", []string{"port"}},
		{"braces { x } {1} {} stay, mqtt { port: 1883 }", "braces { x } {1} {} stay, mqtt { port: 1883 }", nil},
		{"it says {banner}", "it says evil\ufffd[2J\ufffdtxt", nil},
		{"a fact is no text: {value}", "a fact is no text: {host}[[ {port}]]", nil},
	} {
		parsed, err := parseTemplate(tt.text, knownFact)
		if err != nil {
			t.Fatalf("%s: %v", tt.text, err)
		}
		got, missing := parsed.expand(func(name string) string { return facts[name] })
		if got != tt.want || !slices.Equal(missing, tt.missing) {
			t.Errorf("%s: got %q %v, want %q %v", tt.text, got, missing, tt.want, tt.missing)
		}
	}
}

func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		name, text, topic string
		posix, windows    string // empty: left out
	}{
		{"plain word", "sub -t {topic}", "a/b", "sub -t a/b", "sub -t a/b"},
		{"blank", "sub -t {topic}", "a b", "sub -t 'a b'", `sub -t "a b"`},
		{"wildcard", "sub -t {topic}", "a/#", "sub -t 'a/#'", `sub -t "a/#"`},
		{"single quote", "sub -t {topic}", "it's", `sub -t 'it'\''s'`, `sub -t "it's"`},
		{"command substitution", "sub -t {topic}", "$(id)", "sub -t '$(id)'", ""},
		{"double quote", "sub -t {topic}", `a"b`, `sub -t 'a"b'`, ""},
		{"percent", "sub -t {topic}", "%PATH%", "sub -t '%PATH%'", ""},
		{"curly quote, which PowerShell takes for one", "sub -t {topic}", "a\u201db", "sub -t 'a\u201db'", ""},
		{"backslash at the end", "sub -t {topic}", `a\`, `sub -t 'a\'`, ""},
		{"new line", "sub -t {topic}", "a\nrm -rf ~", "", ""},
		{"escape", "sub -t {topic}", "a\x1b[31m", "", ""},
		{"right to left", "sub -t {topic}", "a\u202eb", "", ""},
		{"Chinese", "sub -t {topic}", "温度/客厅", "sub -t '温度/客厅'", `sub -t "温度/客厅"`},
		{"absent", "sub -t {topic}", "", "", ""},
		{"absent option", "sub[[ -t {topic}]] -d", "", "sub -d", "sub -d"},
		{"refused option", "sub[[ -t {topic}]] -d", "a\nb", "sub -d", "sub -d"},
	} {
		parsed, err := parseTemplate(tt.text, knownFact)
		if err != nil {
			t.Fatal(err)
		}
		fact := func(string) string { return tt.topic }
		if got, _ := parsed.command(fact, quotePOSIX); got != tt.posix {
			t.Errorf("%s: POSIX %q, want %q", tt.name, got, tt.posix)
		}
		if got, _ := parsed.command(fact, quoteWindows); got != tt.windows {
			t.Errorf("%s: Windows %q, want %q", tt.name, got, tt.windows)
		}
	}
}

// FuzzQuotePOSIX reads the quoted value back as a shell does: it must be one word with the value, and nothing besides.
func FuzzQuotePOSIX(f *testing.F) {
	for _, seed := range hostile {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		quoted, ok := quotePOSIX(value)
		if !ok {
			return
		}
		words, whole := shellWords("cmd " + quoted + " end")
		if !whole || !slices.Equal(words, []string{"cmd", value, "end"}) {
			t.Fatalf("%q became %q", value, words)
		}
	})
}

// FuzzQuoteWindows demands that nothing which cmd or PowerShell read inside double quotes is let through.
func FuzzQuoteWindows(f *testing.F) {
	for _, seed := range hostile {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		quoted, ok := quoteWindows(value)
		if !ok {
			return
		}
		inside, isQuoted := strings.CutPrefix(quoted, `"`)
		if isQuoted {
			inside, isQuoted = strings.CutSuffix(inside, `"`)
		}
		if inside != value || strings.ContainsAny(value, "\"%$`!\\^\r\n\x00\u201c\u201d\u201e") {
			t.Fatalf("%q became %s", value, quoted)
		}
		if !isQuoted && strings.ContainsAny(value, " \t&|<>;(),@#'{}=") {
			t.Fatalf("%q stands without quotes", value)
		}
	})
}

var hostile = []string{"a", "a b", "'", "''", `"`, "$(id)", "`id`", `\`, `\'`, "a;b", "a|b", "#", "~", "-x", "=x", "!x", "%PATH%", "*",
	"{a,b}", "\n", "\r", "\x00", "\x1b", "\u201d", "\u202e", "温度", "a\xff", "\u00a0", "\u3000", "\u2028"}

// shellWords splits a line as POSIX 2.2 and 2.3 say, for lines without substitutions; whole is false where a character
// stands outside quotes that means something to a shell.
func shellWords(line string) (words []string, whole bool) {
	var word strings.Builder
	in := false
	for rest := line; rest != ""; {
		switch c := rest[0]; {
		case c == ' ':
			if in {
				words = append(words, word.String())
				word.Reset()
			}
			in, rest = false, rest[1:]
		case c == '\'':
			inside, tail, ok := strings.Cut(rest[1:], "'")
			if !ok {
				return words, false
			}
			word.WriteString(inside)
			in, rest = true, tail
		case c == '\\' && len(rest) > 1:
			word.WriteByte(rest[1])
			in, rest = true, rest[2:]
		case strings.IndexByte("\t\n|&;<>()$`\\\"*?[#~=%!{}", c) >= 0 && !(in && strings.IndexByte("%=", c) >= 0):
			return words, false
		default:
			word.WriteByte(c)
			in, rest = true, rest[1:]
		}
	}
	if in {
		words = append(words, word.String())
	}
	return words, true
}

// TestRealShell asks a shell itself about the same values.
func TestRealShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh here: ", err)
	}
	for _, value := range hostile {
		quoted, ok := quotePOSIX(value)
		if !ok {
			continue
		}
		out, err := exec.Command(sh, "-c", "printf '%s' "+quoted).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q as %s: sh read %q, %v", value, quoted, out, err)
		}
	}
}

func TestParseLang(t *testing.T) {
	for in, want := range map[string]Lang{
		"": English, "zh": Chinese, "zh-CN": Chinese, "ZH_cn": Chinese, "en-GB,en;q=0.9,zh;q=0.8": English, "de,zh-Hans;q=0.4": Chinese,
		"zh;q=0.1, en;q=0.2": English, "en;q=0, zh;q=0.1": Chinese, "fr": English, "zh;q=x": English, "*": English,
		"zh-CN,zh;q=0.9,en;q=0.8": Chinese,
	} {
		if got := ParseLang(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestSpans(t *testing.T) {
	got := Spans("set `max_qos 1` now")
	want := []Span{{Text: "set "}, {Text: "max_qos 1", Code: true}, {Text: " now"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
