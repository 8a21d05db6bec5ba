package catalogue

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@_+:,./-]+$`)

// quotePOSIX makes a value one word of a POSIX shell. Control and format characters are refused: a terminal acts on them
// while they are pasted, whatever the quotes.
func quotePOSIX(s string) (string, bool) {
	switch {
	case s == "" || !printable(s):
		return "", false
	case plainWord.MatchString(s):
		return s, true
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'", true
}

// quoteWindows makes a value one word of both cmd and PowerShell. What either of them reads inside double quotes (variables,
// escapes, quotes of any shape) cannot be written for both, so it is refused.
func quoteWindows(s string) (string, bool) {
	switch {
	case s == "" || !printable(s) || strings.ContainsAny(s, "\"%$`!\\^\u201c\u201d\u201e"):
		return "", false
	case plainWord.MatchString(s) && !strings.ContainsAny(s, "@,"):
		return s, true
	}
	return `"` + s + `"`, true
}

func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r != ' ' && !unicode.IsGraphic(r) || unicode.Is(unicode.Z, r) && r != ' ' || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// checkCommand refuses a command whose facts stand inside quotes: the quoting of the value would end them.
func checkCommand(t template) error {
	needed, optional := t.facts()
	s := quoteScan{hasFacts: len(needed)+len(optional) > 0}
	if err := s.parts(t.parts); err != nil {
		return err
	}
	if s.single || s.double {
		return fmt.Errorf("open quote")
	}
	return nil
}

// quoteScan follows the quotes of a command from its start.
type quoteScan struct {
	single, double bool
	hasFacts       bool
}

func (s *quoteScan) parts(parts []part) error {
	for _, p := range parts {
		if p.fact != "" && (s.single || s.double) {
			return fmt.Errorf("argument {%s} inside quotes", p.fact)
		}
		single, double := s.single, s.double
		if err := s.parts(p.segment); err != nil {
			return err
		}
		if s.single != single || s.double != double {
			return fmt.Errorf("optional segment with half a quote")
		}
		for i, r := range p.words {
			switch {
			case r == '\n' || r == '\r':
				return fmt.Errorf("more than one line")
			case (r == '\\' || r == '`') && s.hasFacts && !s.single && (i+1 == len(p.words) || strings.ContainsRune("\"'\\`", rune(p.words[i+1]))):
				return fmt.Errorf("escaped quote in a command with arguments") // the scan would lose count
			case r == '\'' && !s.double:
				s.single = !s.single
			case r == '"' && !s.single:
				s.double = !s.double
			}
		}
	}
	return nil
}
