package catalogue

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
)

// CauseView is an entry of the catalogue as such, with its facts left open.
type CauseView struct {
	Code        diag.Code     `json:"code"`
	Layer       diag.Layer    `json:"layer"`
	Severity    diag.Severity `json:"severity"`
	Title       string        `json:"title"`
	Explanation string        `json:"explanation"`
	ToldApartBy string        `json:"told_apart_by"`
	Fixes       []FixView     `json:"fixes"`
	Sources     []string      `json:"sources"`
}

// CheckView is a check that a run can make.
type CheckView struct {
	ID       diag.ProbeID   `json:"id"`
	Layer    diag.Layer     `json:"layer"`
	Title    string         `json:"title"`
	About    string         `json:"about"`
	Depth    diag.Depth     `json:"depth"`
	Symptoms []diag.Symptom `json:"symptoms"` // at any depth
	Needs    []diag.ProbeID `json:"needs"`
}

// Causes lists the catalogue in causal order.
func Causes(lang Lang) []CauseView {
	w := newWriter(lang, diag.TargetInput{})
	out := make([]CauseView, 0, len(w.c.codes))
	for _, code := range w.c.codes {
		c, facts := w.l.causes[code], w.c.facts[code]
		v := CauseView{Code: code, Layer: code.Layer(), Severity: facts.Severity, Sources: append([]string{}, facts.Sources...),
			Title:       c.words[wordTitle].open(),
			Explanation: c.words[wordExplanation].open(),
			ToldApartBy: c.words[wordToldApartBy].open(),
			Fixes:       []FixView{}}
		for _, f := range c.fixes {
			fix := FixView{For: f.reader, Text: f.text.open(), Commands: []string{}}
			for _, command := range f.commands {
				fix.Commands = append(fix.Commands, command.open())
			}
			v.Fixes = append(v.Fixes, fix)
		}
		out = append(out, v)
	}
	return out
}

// BareTitle is a finding's title where it names nothing of the run, such as a host; else empty.
func BareTitle(f diag.Finding, lang Lang) string {
	c := newWriter(lang, diag.TargetInput{}).l.causes[f.Code]
	t, ok := c.variants[f.Variant].words[wordTitle]
	if !ok {
		t = c.words[wordTitle]
	}
	for _, p := range t.parts {
		if p.fact != "" {
			return ""
		}
	}
	return t.open()
}

// TitleAt is the title of a cause of which the code and the target are known, with "…" in place of what else it would name.
func TitleAt(code diag.Code, url string, lang Lang) string {
	return newWriter(lang, diag.TargetInput{URL: url}).titleOf(code, nil)
}

// Checks lists checks with their names, in the given order.
func Checks(probes []diag.Probe, lang Lang) []CheckView {
	w := newWriter(lang, diag.TargetInput{})
	out := make([]CheckView, 0, len(probes))
	for _, p := range probes {
		title, about := w.label("check." + string(p.ID))
		if title == "" {
			title = string(p.ID)
		}
		out = append(out, CheckView{ID: p.ID, Layer: p.Layer, Title: title, About: about, Depth: p.Depth,
			Symptoms: append([]diag.Symptom{}, p.Symptoms...), Needs: append([]diag.ProbeID{}, p.Needs...)})
	}
	return out
}

// DiagnosisTable is the catalogue as a Markdown table for the documentation, a section for each layer.
func DiagnosisTable(lang Lang) string {
	w := newWriter(lang, diag.TargetInput{})
	var b strings.Builder
	var layer diag.Layer
	for _, v := range Causes(lang) {
		if v.Layer != layer {
			layer = v.Layer
			b.WriteString("\n## " + w.word("layer."+string(layer), string(layer)) + "\n\n")
			b.WriteString("| " + strings.Join([]string{w.word("table.code", "code"), w.word("table.severity", "severity"),
				w.word("table.meaning", "meaning"), w.word("table.told_apart_by", "told apart by")}, " | ") + " |\n|---|---|---|---|\n")
		}
		row := []string{"`" + string(v.Code) + "`", w.word("severity."+string(v.Severity), string(v.Severity)), v.Title, v.ToldApartBy}
		for i := range row {
			row[i] = strings.ReplaceAll(strings.ReplaceAll(row[i], "\n", " "), "|", `\|`)
		}
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return strings.TrimLeft(b.String(), "\n")
}

// Codes lists the codes in causal order.
func Codes() []diag.Code { return slices.Clone(Default().codes) }
