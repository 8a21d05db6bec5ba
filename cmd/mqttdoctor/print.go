package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/mattn/go-colorable"
	"github.com/mattn/go-isatty"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// printer writes a run as it goes on, and its report. In a terminal the check that runs is shown in a line that is
// written over; elsewhere each finished step is one plain line.
type printer struct {
	out      io.Writer
	lang     catalogue.Lang
	terminal bool
	color    bool
	target   diag.TargetInput
	running  []string // titles of what runs, the newest last
	progress string   // of the one that counts, such as "12/180 s"
	shown    bool     // the line of what runs stands there
}

func newPrinter(out io.Writer, lang catalogue.Lang, getenv func(string) string) *printer {
	p := &printer{out: out, lang: lang}
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) && getenv("TERM") != "dumb" {
		p.out, p.terminal = colorable.NewColorable(f), true
		p.color = getenv("NO_COLOR") == "" // https://no-color.org
	}
	return p
}

// word is a text of the catalogue.
func word(key string, lang catalogue.Lang, pairs ...string) string {
	return catalogue.Text(diag.N(key, pairs...), lang)
}

func (p *printer) event(e diag.Event) {
	if e.Type == diag.EventRunStarted && e.Report != nil {
		p.target = e.Report.Target
		p.line("%s", word("cli.checking", p.lang, "url", p.target.URL))
		return
	}
	if e.Step == nil {
		return
	}
	v := catalogue.RenderStep(*e.Step, p.target, p.lang)
	title := printable(v.Title)
	if v.Subject != "" {
		title += " " + printable(v.Subject)
	}
	switch e.Type {
	case diag.EventStepStarted:
		p.running = append(p.running, title)
	case diag.EventStepProgress:
		if !p.terminal || e.Total <= 0 {
			return
		}
		p.progress = fmt.Sprintf("%d/%d %s", e.Done, e.Total, word("unit."+e.Unit, p.lang))
	case diag.EventStepFinished:
		p.progress = ""
		for i, running := range p.running {
			if running == title {
				p.running = append(p.running[:i], p.running[i+1:]...)
				break
			}
		}
		text := v.Summary
		if text == "" {
			text = v.SkippedBecause
		}
		if v.Status == diag.StatusSkipped {
			p.line("%s", p.dim("– "+title+"  "+printable(text)))
			break
		}
		p.line("%s %s  %s  %s", p.mark(v.Status), title, p.dim(diag.FormatMS(e.Step.Duration)+" ms"), printable(text))
	}
	p.showRunning()
}

// mark is a status in a character that needs no color.
func (p *printer) mark(s diag.Status) string {
	switch s {
	case diag.StatusPassed:
		return p.paint("32", "✓")
	case diag.StatusWarned:
		return p.paint("33", "!")
	case diag.StatusFailed:
		return p.paint("31", "✗")
	}
	return p.dim("–")
}

func (p *printer) paint(code, s string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *printer) dim(s string) string  { return p.paint("2", s) }
func (p *printer) bold(s string) string { return p.paint("1", s) }

// line writes a line in place of that of what runs.
func (p *printer) line(format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *printer) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

func (p *printer) showRunning() {
	p.clear()
	if !p.terminal || len(p.running) == 0 {
		return
	}
	const width = 70 // a line that wraps could not be written over
	text := []rune("… " + p.running[len(p.running)-1])
	if p.progress != "" {
		text = []rune("… " + p.progress + "  " + p.running[len(p.running)-1])
	}
	fmt.Fprint(p.out, p.dim(string(text[:min(len(text), width)])))
	p.shown = true
}

// report writes what came of it.
func (p *printer) report(r catalogue.ReportView) {
	p.clear()
	verdict, _ := catalogue.Label("verdict."+string(r.Verdict), p.lang)
	color := map[diag.Overall]string{diag.OverallHealthy: "1;32", diag.OverallAttention: "1;33", diag.OverallBroken: "1;31"}[r.Verdict]
	if color == "" {
		color = "1"
	}
	p.line("\n%s: %s", word("cli.verdict", p.lang), p.paint(color, verdict))
	p.line("%s", printable(r.Summary))
	if r.RootCause != nil {
		p.heading("cli.root_cause")
		p.finding(*r.RootCause)
	}
	var others []catalogue.FindingView
	for _, f := range r.Findings {
		if r.RootCause == nil || f.Code != r.RootCause.Code {
			others = append(others, f)
		}
	}
	if len(others) > 0 {
		p.heading("cli.others")
		for _, f := range others {
			p.finding(f)
		}
	}
	if len(r.RuledOut) > 0 {
		p.heading("cli.ruled_out")
		for _, out := range r.RuledOut {
			p.line("  %s: %s", printable(out.Title), printable(out.Because))
		}
	}
	p.line("\n%s: %d", word("cli.connections", p.lang), r.Connections)
}

func (p *printer) heading(key string) { p.line("\n%s", p.bold(word(key, p.lang))) }

func (p *printer) finding(f catalogue.FindingView) {
	severity, _ := catalogue.Label("severity."+string(f.Severity), p.lang)
	confidence, _ := catalogue.Label("confidence."+string(f.Confidence), p.lang)
	p.line("  %s %s", p.bold(printable(f.Title)), p.dim(fmt.Sprintf("(%s, %s, %s)", f.Code, severity, confidence)))
	p.line("  %s", printable(f.Explanation))
	if f.ToldApartBy != "" {
		p.line("  %s: %s", word("cli.told_apart_by", p.lang), printable(f.ToldApartBy))
	}
	if len(f.Evidence) > 0 {
		p.line("  %s:", word("cli.evidence", p.lang))
		for _, e := range f.Evidence {
			p.line("    %s: %s", printable(e.Label), printable(strings.TrimSpace(e.Value+" "+e.Unit)))
		}
	}
	for i, code := range f.Readings {
		if i == 0 {
			p.line("  %s:", word("cli.readings", p.lang))
		}
		p.line("    %s", code)
	}
	p.fixes(f.Decide)
	if f.Suggestion != nil {
		if data, err := json.Marshal(f.Suggestion); err == nil {
			p.line("  %s: %s", word("cli.suggestion", p.lang), printable(string(data)))
		}
	}
	if len(f.Fixes) > 0 {
		p.line("  %s:", word("cli.fixes", p.lang))
		p.fixes(f.Fixes)
	}
}

func (p *printer) fixes(fixes []catalogue.FixView) {
	for _, fix := range fixes {
		reader := ""
		if label, _ := catalogue.Label("for."+fix.For, p.lang); label != "" && fix.For != "any" {
			reader = "[" + label + "] "
		}
		p.line("    - %s%s", reader, printable(fix.Text))
		for _, command := range fix.Commands {
			for l := range strings.Lines(command) {
				p.line("        %s", printable(strings.TrimRight(l, "\n")))
			}
		}
	}
}

// printable keeps what a peer sent from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
