package templates

import (
	"fmt"
	"image/color"
	"slices"
	"strings"

	"github.com/boombuler/barcode/qr"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// qrDrawing is a QR code (ISO/IEC 18004) as an SVG path.
type qrDrawing struct{ ViewBox, Path string }

// qrQuiet is the margin that readers need, in modules.
const qrQuiet = 4

// qrCode draws a link; empty where there is none, or none that fits.
func qrCode(link string) qrDrawing {
	if link == "" {
		return qrDrawing{}
	}
	code, err := qr.Encode(link, qr.M, qr.Auto)
	if err != nil {
		return qrDrawing{}
	}
	var path strings.Builder
	size := code.Bounds().Dx()
	for y := range size {
		dark := func(x int) bool {
			if x >= size {
				return false
			}
			gray, ok := color.GrayModel.Convert(code.At(x, y)).(color.Gray)
			return ok && gray.Y < 128
		}
		for x := 0; x < size; x++ {
			from := x
			for dark(x) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+qrQuiet, y+qrQuiet, x-from, x-from)
			}
		}
	}
	return qrDrawing{ViewBox: fmt.Sprintf("0 0 %d %d", size+2*qrQuiet, size+2*qrQuiet), Path: path.String()}
}

// hiddenWords lists what is hidden from this reader.
func (r RunPage) hiddenWords() string {
	words := make([]string, len(r.Report.Hidden))
	for i, what := range r.Report.Hidden {
		words[i] = r.T("share.hide." + string(what))
	}
	return strings.Join(words, r.T("share.hide.and"))
}

// namesHost tells whether previews of the link name the target: its owner allows it, and hides it from nobody.
func (r RunPage) namesHost() bool {
	hidden := slices.Contains(r.Report.Hidden, diag.HideHost) || r.Share != nil && !r.Share.shows(diag.HideHost)
	return r.Preview.Host && !hidden
}

// PreviewTitle is what messengers show of the link: verdict and cause, and the host where its owner allows it.
func (r RunPage) PreviewTitle() string {
	parts := []string{r.toneWord()}
	if r.namesHost() {
		parts = append(parts, r.host())
	}
	if f := r.Report.RootCause; f != nil && !r.running() {
		switch {
		case r.namesHost():
			parts = append(parts, f.Title)
		case r.Preview.Title != "":
			parts = append(parts, r.Preview.Title)
		default:
			parts = append(parts, r.W("layer."+string(f.Layer)), string(f.Code))
		}
	}
	return strings.Join(parts, " · ")
}

// previewText is the sentence below it.
func (r RunPage) previewText() string {
	if r.namesHost() && !r.running() && r.Report.Summary != "" {
		return r.Report.Summary
	}
	return r.T("share.preview")
}

// Plain is the report as text for a ticket: verdict, cause, fix and link.
func (r RunPage) Plain() string {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line(r.toneWord(), ": ", r.Report.Target.URL)
	if r.Report.Summary != "" {
		line(r.Report.Summary)
	}
	if f := r.Report.RootCause; f != nil {
		line()
		line(r.T("run.root_cause"), " ", f.Title, " (", string(f.Code), ", ", r.W("confidence."+string(f.Confidence)), ")")
		line(plainWords(f.Explanation))
		for _, g := range fixGroups(f.Fixes) {
			line()
			line(r.T("run.fix"), " (", r.forWhom(g.For), "):")
			for _, fix := range g.Fixes {
				line("- ", plainWords(fix.Text))
				for _, command := range fix.Commands {
					line("    ", command)
				}
			}
		}
	}
	if rest := r.rest(); len(rest) > 0 {
		line()
		line(r.T("run.findings.more"), ":")
		for _, f := range rest {
			r.plainFinding(line, f)
		}
	}
	line()
	line(stamp(r.Report.CreatedAt))
	if r.Link != "" {
		line(r.Link)
	}
	return b.String()
}

func (r RunPage) plainFinding(line func(...string), f catalogue.FindingView) {
	line("- ", f.Title, " (", string(f.Code), ", ", r.W("severity."+string(f.Severity)), ")")
}

// plainWords is a text of the catalogue without its marks.
func plainWords(s string) string { return strings.ReplaceAll(s, "`", "") }
