package templates

import (
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// Markdown is the report as text for a ticket: verdict, cause and fix first, then the steps.
func (r RunPage) Markdown() string {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line("# ", mdText(r.toneWord()), ": ", mdCode(r.Report.Target.URL))
	line()
	if r.Report.Summary != "" {
		line(mdText(r.Report.Summary))
		line()
	}
	if f := r.Report.RootCause; f != nil {
		line("## ", mdText(r.T("run.root_cause")), " ", mdText(f.Title))
		line()
		r.mdFinding(&b, *f)
	}
	if rest := r.rest(); len(rest) > 0 {
		line("## ", mdText(r.T("run.findings.more")))
		line()
		for _, f := range rest {
			line("### ", mdText(f.Title))
			line()
			r.mdFinding(&b, f)
		}
	}
	if len(r.Report.RuledOut) > 0 {
		line("## ", mdText(r.T("run.ruled_out")))
		line()
		for _, c := range r.Report.RuledOut {
			line("- **", mdText(c.Title), "**: ", mdWords(c.Because))
		}
		line()
	}
	line("## ", mdText(r.T("run.steps")))
	line()
	line("| ", strings.Join([]string{r.T("md.status"), r.T("md.step"), r.T("md.seen"), r.T("md.time")}, " | "), " |")
	line("|---|---|---|---|")
	var rows []catalogue.StepView
	for _, layer := range diag.Layers {
		rows = append(rows, r.stepsOf(layer)...)
	}
	rows = append(rows, r.tried()...)
	for _, s := range rows {
		name := mdCell(s.Title)
		if s.Subject != "" {
			name += " " + mdCode(s.Subject)
		}
		line("| ", mdCell(r.statusWord(s)), " | ", name, " | ", mdCell(s.Summary+s.SkippedBecause), " | ",
			mdCell(r.Duration(s.DurationMS)), " |")
	}
	line()
	for _, m := range r.measurements() {
		if !m.drawn() {
			m.markdown(&b)
		}
	}
	r.mdTrace(&b)
	for _, pair := range r.settings() {
		line("- ", mdText(pair[0]), ": ", mdText(pair[1]))
	}
	line()
	line(stamp(r.Report.CreatedAt), " · ", r.N("run.connections", r.Report.Connections))
	if r.Link != "" {
		line()
		line("<", r.Link, ">")
	}
	return b.String()
}

func (r RunPage) mdFinding(b *strings.Builder, f catalogue.FindingView) {
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line("*", mdText(r.W("severity."+string(f.Severity))), ", ", mdText(r.W("confidence."+string(f.Confidence))), "* ", mdCode(string(f.Code)))
	line()
	if f.Explanation != "" {
		line(mdWords(f.Explanation))
		line()
	}
	if f.Suggestion != nil {
		line("**", mdText(r.T("run.suggestion")), "**")
		line()
		for _, pair := range r.suggested(f.Suggestion) {
			line("- ", mdText(pair[0]), ": ", mdCode(pair[1]))
		}
		line()
	}
	for _, g := range fixGroups(f.Fixes) {
		line("**", mdText(r.T("run.fix")), " (", mdText(r.forWhom(g.For)), ")**")
		line()
		for _, fix := range g.Fixes {
			line("- ", mdWords(fix.Text))
			if len(fix.Commands) > 0 {
				commands := strings.Join(fix.Commands, "\n")
				fence := "```"
				for strings.Contains(commands, fence) {
					fence += "`"
				}
				line()
				line("  ", fence)
				line("  ", strings.ReplaceAll(commands, "\n", "\n  "))
				line("  ", fence)
			}
		}
		line()
	}
	if f.ToldApartBy != "" {
		line("> ", mdWords(f.ToldApartBy))
		line()
	}
}

// markdown writes a table; plots are for the page, and their numbers in the JSON export.
func (m measured) markdown(b *strings.Builder) {
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	b.WriteString("### " + mdText(m.Title) + "\n\n")
	var heads, rules []string
	for _, c := range m.Columns {
		heads, rules = append(heads, mdCell(heading(c))), append(rules, "---")
	}
	line(heads)
	line(rules)
	for _, i := range m.rows() {
		var cells []string
		for _, c := range m.Columns {
			cells = append(cells, mdCell(cell(c, i)))
		}
		line(cells)
	}
	b.WriteString("\n")
}

var mdEscaper = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;",
	"#", `\#`, "|", `\|`, "\r", " ", "\n", " ")

// mdText escapes what Markdown would read as its own: texts hold what a peer sent.
func mdText(s string) string { return mdEscaper.Replace(s) }

// mdWords is a text of the catalogue, in which backquotes mark code.
func mdWords(s string) string {
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			b.WriteString(mdCode(part))
		} else {
			b.WriteString(mdText(part))
		}
	}
	return b.String()
}

func mdCell(s string) string { return mdText(s) }

// mdCode quotes a value; the fence is longer than any inside.
func mdCode(s string) string {
	s = strings.NewReplacer("\r", " ", "\n", " ", "|", "¦").Replace(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}
