package templates

import (
	"slices"

	"mqttdoctor/diag/catalogue"
)

// sameWords is the key of the sentence that nothing differs: in all, or in what both runs looked at.
func (c ComparePage) sameWords() string {
	if c.unseen() > 0 {
		return "compare.same.seen"
	}
	return "compare.same"
}

// unseen is how much only one of the runs has seen: as many lines as the page has for it.
func (c ComparePage) unseen() int {
	n := 0
	for _, before := range []bool{true, false} {
		checks, findings := c.unseenTitles(before)
		n += len(checks) + len(findings)
	}
	return n
}

// unseenTitles are the checks that only one of the runs made, each once, and the findings of that run.
func (c ComparePage) unseenTitles(inBefore bool) (checks []string, findings []string) {
	add := func(to *[]string, title string) {
		if !slices.Contains(*to, title) {
			*to = append(*to, title)
		}
	}
	for _, s := range c.Changes.Unseen.Steps {
		if seenBefore(s) == inBefore {
			add(&checks, s.Title)
		}
	}
	for _, f := range c.Changes.Unseen.Findings {
		if f.Before != nil && inBefore {
			add(&findings, f.Before.Title)
		} else if f.After != nil && !inBefore {
			add(&findings, f.After.Title)
		}
	}
	return checks, findings
}

// seenBefore tells which of the runs a step that only one has seen is of.
func seenBefore(s catalogue.StepChangeView) bool {
	return s.Before != nil && s.Before.Status != "skipped" && s.Before.Status != "canceled"
}

// folded are the rows of a table that differ, and those that are the same.
func folded[T any](list []T, differs func(T) bool) (different, same []T) {
	for _, row := range list {
		if differs(row) {
			different = append(different, row)
		} else {
			same = append(same, row)
		}
	}
	return different, same
}

// alike is how many rows are the same, in a list of which all are or none.
func alike[T any](list []T, differs func(T) bool) int {
	_, same := folded(list, differs)
	return len(same)
}

// tableName names a table, apart from that of the rows that differ.
func (p Page) tableName(label string, alike int) string {
	if alike == 0 {
		return label
	}
	return label + ": " + p.N("compare.alike", alike)
}

// capabilityText is what a broker offers: what was measured, else what it says.
func (p Page) capabilityText(c catalogue.CapabilitySideView) string {
	switch {
	case c.Measured != "" && c.Announced != "" && c.Measured != c.Announced:
		return p.T("compare.measured", "value", c.Measured, "said", c.Announced)
	case c.Measured != "":
		return c.Measured
	case c.Announced != "":
		return p.T("compare.announced", "value", c.Announced)
	}
	return c.Note
}

// certificateRow is a property of two certificates.
type certificateRow struct {
	label, before, after string
	times                bool // they are moments: of NotBefore, or else of NotAfter
	from                 bool
	differs              bool
}

// certificateRows are the properties by which certificates are told apart, those that differ first.
func (p Page) certificateRows(c catalogue.CertificatePairView) []certificateRow {
	none := catalogue.CertificateSideView{}
	b, a := &none, &none
	if c.Before != nil {
		b = c.Before
	}
	if c.After != nil {
		a = c.After
	}
	rows := []certificateRow{
		{label: "compare.cert.subject", before: b.Subject, after: a.Subject},
		{label: "compare.cert.names", before: b.Names, after: a.Names},
		{label: "compare.cert.issuer", before: b.Issuer, after: a.Issuer},
		{label: "compare.cert.from", times: true, from: true, differs: !b.NotBefore.Equal(a.NotBefore)},
		{label: "compare.cert.until", times: true, differs: !b.NotAfter.Equal(a.NotAfter)},
		{label: "compare.cert.key", before: b.Key, after: a.Key},
		{label: "compare.cert.signature", before: b.Signature, after: a.Signature},
		{label: "compare.cert.sha256", before: b.SHA256, after: a.SHA256},
	}
	both := c.Before != nil && c.After != nil
	kept := rows[:0]
	for _, r := range rows {
		r.differs = both && (r.differs || r.before != r.after)
		if r.times || r.before != "" || r.after != "" {
			kept = append(kept, r)
		}
	}
	slices.SortStableFunc(kept, func(x, y certificateRow) int {
		switch {
		case x.differs == y.differs:
			return 0
		case x.differs:
			return -1
		}
		return 1
	})
	return kept
}

// certificatePlace names a certificate by where in the chain it was served.
func (p Page) certificatePlace(place int) string {
	if place == 0 {
		return p.T("compare.cert.own")
	}
	return p.N("compare.cert.above", place)
}
