package templates

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// shownRows bounds the rows of a table beside a plot. The plot and the JSON export have them all.
const shownRows = 60

// measured is a table of measured values as the page shows it.
type measured struct {
	name string
	catalogue.TableView
}

// measurements are the run's tables, those to be read first, then by name.
func (r RunPage) measurements() []measured {
	var out []measured
	for _, name := range slices.Sorted(maps.Keys(r.Report.Measurements)) {
		if t := r.Report.Measurements[name]; len(t.Columns) > 0 {
			out = append(out, measured{name, t})
		}
	}
	slices.SortStableFunc(out, func(a, b measured) int { return strings.Compare(a.rank(), b.rank()) })
	return out
}

func (m measured) rank() string {
	if m.Plot == diag.PlotGrid {
		return "a"
	}
	return "b"
}

// drawn tells whether the table has a picture.
func (m measured) drawn() bool { return m.Plot != diag.PlotGrid }

func (m measured) rowCount() int {
	n := 0
	for _, c := range m.Columns {
		n = max(n, len(c.Values), len(c.Texts))
	}
	return n
}

// rows are the numbers of the rows that the table shows: all of a grid, and of a long series evenly spread ones with the last.
func (m measured) rows() []int {
	n := m.rowCount()
	step := 1
	if m.drawn() && n > shownRows {
		step = int(math.Ceil(float64(n) / shownRows))
	}
	var out []int
	for i := 0; i < n; i += step {
		out = append(out, i)
	}
	if last := n - 1; n > 0 && out[len(out)-1] != last {
		out = append(out, last)
	}
	return out
}

// thinned tells whether the table leaves rows out.
func (m measured) thinned() bool { return len(m.rows()) < m.rowCount() }

// cell is a value as people read it; empty: not measured.
func cell(c catalogue.ColumnView, row int) string {
	switch {
	case row < len(c.Texts):
		if text := c.Texts[row]; c.Key == diag.EvAnnounced || c.Key == diag.EvMeasured { // numbers among words
			return groupedNumber(text)
		}
		return c.Texts[row]
	case row < len(c.Values) && !math.IsNaN(c.Values[row]):
		return number(c.Values[row])
	}
	return ""
}

// number writes a measured value with the digits that carry meaning.
func number(v float64) string {
	digits := 0
	switch a := math.Abs(v); {
	case v == math.Trunc(v):
	case a < 1:
		digits = 3
	case a < 10:
		digits = 2
	case a < 1000:
		digits = 1
	}
	return grouped(strconv.FormatFloat(v, 'f', digits, 64))
}

// groupedNumber parts thousands where text is a whole number.
func groupedNumber(text string) string {
	if _, err := strconv.ParseInt(text, 10, 64); err != nil {
		return text
	}
	return grouped(text)
}

// grouped parts thousands, from five digits on: both languages do it with commas.
func grouped(s string) string {
	whole, rest, _ := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	if len(whole) < 5 {
		return s
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return sign + whole
}

// heading is a column's label with its unit.
func heading(c catalogue.ColumnView) string {
	if c.Unit == "" {
		return c.Label
	}
	return c.Label + " (" + c.Unit + ")"
}

// plotData is what the script draws from.
type plotData struct {
	Columns []plotColumn `json:"columns"`
	Marks   []plotMark   `json:"marks,omitempty"`
}

type plotColumn struct {
	Label  string       `json:"label"`
	Values diag.Numbers `json:"values"`
}

type plotMark struct {
	At   float64 `json:"at"`
	Text string  `json:"text"`
}

func (m measured) data() plotData {
	d := plotData{Columns: []plotColumn{}}
	for _, c := range m.Columns {
		if len(c.Values) > 0 {
			d.Columns = append(d.Columns, plotColumn{heading(c), c.Values})
		}
	}
	for _, k := range m.Marks {
		d.Marks = append(d.Marks, plotMark{k.At, strings.TrimSpace(k.Label + " " + k.Text)})
	}
	return d
}
