package diag

import (
	"encoding/json"
	"math"
)

// Plot says how a table of measured values is best looked at.
type Plot string

// The plots. Each has a table beside it for those who cannot see it; a grid is that table alone.
const (
	PlotLine      Plot = "line"      // first column: x, such as seconds since the start; every other one a line
	PlotHistogram Plot = "histogram" // first column: the upper edge of each bin; every other one counts
	PlotRaster    Plot = "raster"    // first column: sequence number; every other one a dot, such as its time of arrival
	PlotGrid      Plot = "grid"      // words and numbers in rows, to be read
)

// MaxRows bounds the rows of one table: a longer series is thinned out by whoever measures it.
const MaxRows = 5000

// Table is what an observation measured as columns of equal length: for a plot, and for a table beside it. It is made from
// the observation whenever a report is rendered, and not stored itself.
type Table struct {
	// Name is the table's key in the report's measurements, such as "burst.latency"; its title and help are the catalogue's
	// text "table.<name>".
	Name    string
	Plot    Plot
	Columns []Column
	Marks   []Mark // what happened along the first column
}

// Column is one column of a table: numbers, or words in a grid.
type Column struct {
	Key     EvidenceKey // its label and help
	Suffix  string      // tells columns with the same key apart, such as "QoS 1"; no words of a language
	Unit    string      // as in [Evidence]
	Numbers Numbers
	Words   []string // translated as the values of Key are
}

// Len is the number of rows.
func (c Column) Len() int { return max(len(c.Numbers), len(c.Words)) }

// Mark is an event along the first column, such as a drop.
type Mark struct {
	At    float64 // in the first column's unit
	Key   EvidenceKey
	Value string
}

// Numbers are measured values; NaN stands for one that was not measured, and is null in JSON.
type Numbers []float64

// NotMeasured is the value of a cell that nobody measured.
var NotMeasured = math.NaN()

// MarshalJSON writes what was not measured as null.
func (n Numbers) MarshalJSON() ([]byte, error) {
	out := make([]*float64, len(n))
	for i := range n {
		if !math.IsNaN(n[i]) && !math.IsInf(n[i], 0) {
			out[i] = &n[i]
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (n *Numbers) UnmarshalJSON(data []byte) error {
	var in []*float64
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*n = make(Numbers, len(in))
	for i, v := range in {
		(*n)[i] = NotMeasured
		if v != nil {
			(*n)[i] = *v
		}
	}
	return nil
}

// Measured is an observation that has more to show than facts.
type Measured interface {
	Observation
	// Tables lists what was measured, each of at most MaxRows rows.
	Tables() []Table
}
