package catalogue

import (
	"encoding/json"
	"strings"
	"testing"

	"mqttdoctor/diag"
)

// grid is an observation with a table; it borrows a name that has texts.
type grid struct{}

func (grid) Kind() string           { return "test.grid" }
func (grid) Facts() []diag.Evidence { return nil }
func (grid) Tables() []diag.Table {
	return []diag.Table{{Name: "no.such", Plot: diag.PlotGrid, Columns: []diag.Column{
		{Key: diag.EvRTT, Suffix: "QoS 1", Unit: "ms", Numbers: diag.Numbers{1, diag.NotMeasured}},
		{Key: diag.EvOutcome, Words: []string{"refused", "ok"}},
	}, Marks: []diag.Mark{{At: 1, Key: diag.EvOutcome, Value: "reset"}}}}
}

func TestTablesAreInWords(t *testing.T) {
	r := diag.Report{State: diag.StateFinished, Steps: []diag.Step{{ID: "tcp.connect@a", Check: "tcp.connect", Subject: "a", Observation: grid{}}}}
	view := Render(r, Chinese)
	table, ok := view.Measurements["no.such@a"]
	if !ok || table.Step != "tcp.connect@a" || len(table.Columns) != 2 {
		t.Fatalf("%+v", view.Measurements)
	}
	if c := table.Columns[0]; !strings.HasSuffix(c.Label, " · QoS 1") || c.Label == string(diag.EvRTT)+" · QoS 1" {
		t.Errorf("%+v", c)
	}
	if c := table.Columns[1]; len(c.Texts) != 2 || c.Texts[0] == "refused" {
		t.Errorf("values are not in words: %+v", c)
	}
	if data, err := json.Marshal(table); err != nil || !strings.Contains(string(data), `"values":[1,null]`) {
		t.Error(string(data), err)
	}
	if gaps := strings.Join(Gaps(r), "\n"); !strings.Contains(gaps, "table.no.such: no title") {
		t.Errorf("a table without a title is no gap: %s", gaps)
	}
}
