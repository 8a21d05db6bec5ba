package templates

import (
	"net/url"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// HistoryLine is a run in a list of somebody's own.
type HistoryLine struct {
	ID, Target string
	At         time.Time
	Tone       string // running, healthy, attention, broken, inconclusive
	Words      string // the verdict, or why there is none
	Cause      string // the root cause in words; empty: none
	// ConnectMS is from dialling until the broker accepted; 0: not measured.
	ConnectMS float64
	Imported  bool
}

// History is what became of a report's target before, for its owner.
type History struct {
	Lines []HistoryLine // the newest first
	More  bool          // there are older ones
	// Previous is the last run before that came to its end here, and Changes what differs since; nil: there is none.
	Previous *catalogue.ReportView
	Changes  catalogue.ComparisonView
}

// RunsPage is the list of somebody's own runs, or of those of one target.
type RunsPage struct {
	Page
	Lines []HistoryLine
	// Address is the target whose runs these are; empty: of all.
	Address string
	// Target and Verdict are what was searched for.
	Target, Verdict string
	Older           string // address of the next page; empty: that was all
	First           bool   // this is the first page
	// Latest is the newest run of the one target, to be run again, with its history; nil: see Address, or there is none.
	Latest  *RunPage
	Filters []diag.Overall // to choose from
}

// searched tells that not all runs were asked for, so that an empty list does not mean that there are none.
func (r RunsPage) searched() bool {
	return r.Address != "" || r.Target != "" || r.Verdict != "" || !r.First
}

// barOf is the width of a time's bar, in hundredths of the longest.
func barOf(lines []HistoryLine, l HistoryLine) string {
	longest := 0.0
	for _, other := range lines {
		longest = max(longest, other.ConnectMS)
	}
	if longest <= 0 || l.ConnectMS <= 0 {
		return "0"
	}
	return trimFloat(max(2, 100*l.ConnectMS/longest))
}

// timed tells whether any of the runs has a time to draw.
func timed(lines []HistoryLine) bool {
	for _, l := range lines {
		if l.ConnectMS > 0 {
			return true
		}
	}
	return false
}

// since is a comparison with the run before, as the page of comparisons has it.
func (h History) since(r RunPage) ComparePage {
	return ComparePage{Page: r.Page, Before: h.Previous, After: &r.Report, Changes: h.Changes}
}

// sinceWords is the key of the sentence that says how the comparison went.
func (h History) sinceWords() string {
	c := h.Changes
	switch {
	case !c.Same:
		return "history.changed"
	case len(c.Timings) > 0:
		return "history.same.times"
	case len(c.Unseen.Steps)+len(c.Unseen.Findings) > 0:
		return "history.same.seen"
	}
	return "history.same"
}

// sameIcon is the shape of that sentence.
func (h History) sameIcon() string {
	if h.Changes.Same {
		return "passed"
	}
	return "tune"
}

// stepChange is what became of a step, in words.
func (p Page) stepChange(c ComparePage, s catalogue.StepChangeView) (before, after string) {
	word := func(r *catalogue.ReportView, s *catalogue.StepView) string {
		if s == nil {
			return p.T("compare.did_not_run")
		}
		return NewRunPage(p, *r).statusWord(*s)
	}
	return word(c.Before, s.Before), word(c.After, s.After)
}

// stepSubject is what a changed step was about.
func stepSubject(s catalogue.StepChangeView) string {
	if s.After != nil {
		return s.After.Subject
	}
	return s.Before.Subject
}

// orNothing says that there was nothing.
func (p Page) orNothing(value string) string {
	if value == "" {
		return p.T("compare.nothing")
	}
	return value
}

func (p RunsPage) verdictWord(v diag.Overall) string { return p.W("verdict." + string(v)) }

// newest is the first page of the same list.
func (p RunsPage) newest() string {
	q := url.Values{}
	for name, value := range map[string]string{"address": p.Address, "target": p.Target, "verdict": p.Verdict} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/runs"
	}
	return "/runs?" + q.Encode()
}
