package catalogue

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// missingFact stands for an argument that the text needs and nobody gave.
const missingFact = "?"

// template is a text with places for facts.
type template struct {
	parts []part
}

// part is words, a fact, or an optional segment of both.
type part struct {
	words   string
	fact    string
	segment []part
}

var placeholder = regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`)

// parseTemplate reads a text; known tells which facts there are.
func parseTemplate(s string, known func(string) bool) (template, error) {
	var t template
	for rest := s; rest != ""; {
		before, after, optional := strings.Cut(rest, "[[")
		if strings.Contains(before, "]]") {
			return t, fmt.Errorf("]] without [[")
		}
		parts, err := parseParts(before, known)
		if err != nil {
			return t, err
		}
		t.parts = append(t.parts, parts...)
		if !optional {
			break
		}
		inside, tail, ok := strings.Cut(after, "]]")
		if !ok || strings.Contains(inside, "[[") {
			return t, fmt.Errorf("[[ without ]]")
		}
		segment, err := parseParts(inside, known)
		if err != nil {
			return t, err
		}
		if !slices.ContainsFunc(segment, func(p part) bool { return p.fact != "" }) {
			return t, fmt.Errorf("optional segment %q without an argument", inside)
		}
		t.parts = append(t.parts, part{segment: segment})
		rest = tail
	}
	return t, nil
}

func parseParts(s string, known func(string) bool) ([]part, error) {
	var parts []part
	at := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(s, -1) {
		if m[0] > at {
			parts = append(parts, part{words: s[at:m[0]]})
		}
		name := s[m[2]:m[3]]
		if !known(name) {
			return nil, fmt.Errorf("unknown argument {%s}", name)
		}
		parts = append(parts, part{fact: name})
		at = m[1]
	}
	if at < len(s) {
		parts = append(parts, part{words: s[at:]})
	}
	return parts, nil
}

// facts lists the arguments of a text: those it needs, and those of its optional segments.
func (t template) facts() (needed, optional []string) {
	for _, p := range t.parts {
		if p.fact != "" {
			needed = append(needed, p.fact)
		}
		for _, q := range p.segment {
			if q.fact != "" {
				optional = append(optional, q.fact)
			}
		}
	}
	slices.Sort(needed)
	slices.Sort(optional)
	return slices.Compact(needed), slices.Compact(optional)
}

// expand fills in the facts; missing lists those that are needed and absent.
func (t template) expand(fact func(string) string) (text string, missing []string) {
	return t.expandOr(missingFact, fact)
}

// expandOr shows absent facts that are needed in a way of its own.
func (t template) expandOr(absent string, fact func(string) string) (text string, missing []string) {
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.fact != "":
			value := fact(p.fact)
			if value == "" {
				missing = append(missing, p.fact)
				value = absent
			}
			b.WriteString(clean(value))
		case p.segment != nil:
			if said, lacking := (template{parts: p.segment}).expand(fact); len(lacking) == 0 {
				b.WriteString(said)
			}
		default:
			b.WriteString(p.words)
		}
	}
	return b.String(), missing
}

// command fills in the facts, quoted; ok is false where one is absent or cannot be quoted.
func (t template) command(fact func(string) string, quote func(string) (string, bool)) (line string, ok bool) {
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.fact != "":
			value, ok := quote(fact(p.fact))
			if !ok {
				return "", false
			}
			b.WriteString(value)
		case p.segment != nil:
			if said, ok := (template{parts: p.segment}).command(fact, quote); ok {
				b.WriteString(said)
			}
		default:
			b.WriteString(p.words)
		}
	}
	return b.String(), true
}

// clean makes characters visible that would steer a terminal or turn the direction of the text around a fact.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// open writes a text without any facts: their names stand for them, and optional segments are left out.
func (t template) open() string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.words)
		if p.fact != "" {
			b.WriteString("{" + p.fact + "}")
		}
	}
	return b.String()
}

// Span is a piece of a text.
type Span struct {
	Text string
	Code bool // it stood in backticks: what is typed or configured literally
}

// Spans takes a text apart at its backticks, for pages that set code apart.
func Spans(text string) []Span {
	var out []Span
	for i, piece := range strings.Split(text, "`") {
		if piece != "" {
			out = append(out, Span{Text: piece, Code: i%2 == 1})
		}
	}
	return out
}
