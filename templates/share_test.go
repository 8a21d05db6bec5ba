package templates

import (
	"bytes"
	"strings"
	"testing"

	"mqttdoctor/diag/catalogue"
)

func TestLinkIsDrawnAsQRCode(t *testing.T) {
	code := qrCode("https://helpdesk.example.com/runs/ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if code.ViewBox == "" || strings.Count(code.Path, "M") < 100 {
		t.Errorf("%+v", code)
	}
	// The finder pattern's corner, inside the quiet zone.
	if !strings.HasPrefix(code.Path, "M4 4h7v1h-7z") {
		t.Errorf("%.60s", code.Path)
	}
	if qrCode("").Path != "" || qrCode(strings.Repeat("x", 5000)).Path != "" {
		t.Error("something is drawn of nothing, or of too much")
	}
}

// TestPreviewNamesNoHost: a messenger that unfolds a link in a channel shows verdict and cause, and not whose broker it is.
func TestPreviewNamesNoHost(t *testing.T) {
	for _, lang := range catalogue.Langs {
		p := Page{Lang: lang}
		page := asOwner(NewRunPage(p, sampleBroken(p)))
		var html bytes.Buffer
		if err := runHead(page).Render(t.Context(), &html); err != nil {
			t.Fatal(err)
		}
		if text := html.String(); strings.Contains(text, "broker.example.com") || !strings.Contains(text, "tls.cert_expired") {
			t.Errorf("%s", text)
		}
		page.Preview = Preview{Title: "bare title", Host: true}
		html.Reset()
		if err := runHead(page).Render(t.Context(), &html); err != nil {
			t.Fatal(err)
		}
		if text := html.String(); !strings.Contains(text, "broker.example.com") || strings.Contains(text, "bare title") {
			t.Errorf("where the host may be named: %s", text)
		}
		page.Preview.Host = false
		if title := page.PreviewTitle(); !strings.Contains(title, "bare title") {
			t.Errorf("%s", title)
		}
		plain := page.Plain()
		for _, part := range []string{page.Link, "tls.cert_expired", "broker.example.com:8883"} {
			if !strings.Contains(plain, part) {
				t.Errorf("%s: no %q in\n%s", lang, part, plain)
			}
		}
	}
}
