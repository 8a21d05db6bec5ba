package templates

import (
	"bytes"
	"strings"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// TestMeasurementsAreForEveryReader: each plot has a table beside it, which says what was not measured and what it leaves out;
// files without scripts have the tables alone.
func TestMeasurementsAreForEveryReader(t *testing.T) {
	for _, lang := range catalogue.Langs {
		p := Page{Lang: lang}
		page := NewRunPage(p, sampleMeasured(p))
		var html bytes.Buffer
		if err := Measurements(page).Render(t.Context(), &html); err != nil {
			t.Fatal(err)
		}
		text := html.String()
		if plots, tables := strings.Count(text, `class="plot`), strings.Count(text, "<table"); plots != 3 || tables != 4 {
			t.Errorf("%d plots, %d tables", plots, tables)
		}
		for _, part := range []string{page.T("measured.not_measured"), page.T("measured.thinned", "shown", "61", "total", "180"), "null"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q", lang, part)
			}
		}
		page.Standalone = true
		html.Reset()
		if err := Measurements(page).Render(t.Context(), &html); err != nil {
			t.Fatal(err)
		}
		if text := html.String(); strings.Contains(text, "<script") || strings.Count(text, "<details class=\"why\" open") != 3 {
			t.Error("a file without scripts hides its tables")
		}
		if md := page.Markdown(); !strings.Contains(md, "| Receive Maximum | 20 |  |") {
			t.Errorf("the text export has no table of limits:\n%s", md)
		}
	}
}

func TestNumbersCarryTheDigitsThatMatter(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 262144: "262,144", 0.1234: "0.123", 3.14159: "3.14", 21.66: "21.7", 1234.5: "1234"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if got := cell(catalogue.ColumnView{Values: diag.Numbers{diag.NotMeasured}}, 0); got != "" {
		t.Errorf("not measured shows as %q", got)
	}
}
