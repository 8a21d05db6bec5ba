package web

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
)

// TestCompareTwoReports: by their links as people paste them, in either order; what is no report is told beside its field.
func TestCompareTwoReports(t *testing.T) {
	var broken atomic.Bool
	e := testEngine(guard.Laptop, diag.Probe{ID: "tls.handshake", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
		Run: func(context.Context, *diag.Env, diag.Subject) diag.Result {
			o := &diag.TLSHandshake{Outcome: diag.OutcomeOK, Chain: []diag.CertFact{{Subject: "CN=old.test", SHA256: "aa"}}}
			if broken.Load() {
				o.Chain[0] = diag.CertFact{Subject: "CN=new.test", SHA256: "bb"}
				return diag.Failed(o, diag.N("step.test"), &diag.Failure{Op: "tls.handshake", Code: "x", Text: "x"})
			}
			return diag.Passed(o, diag.N("step.test"))
		}})
	s := startServer(t, testConfig(t), e)
	run := func() string {
		var st started
		s.do("POST", "/api/v1/runs", `{"target":{"url":"mqtts://broker.test"}}`).want(http.StatusAccepted).json(&st)
		s.watch(st.ID, "")
		return st.ID
	}
	first := run()
	broken.Store(true)
	second := run()

	page := s.do("GET", "/compare?b="+first+"&a="+url.QueryEscape(s.base+"/runs/"+second+".html?lang=zh"), "").want(http.StatusOK).body
	earlier, later := bytes.Index(page, []byte("CN=old.test")), bytes.Index(page, []byte("CN=new.test"))
	if earlier < 0 || later < earlier {
		t.Errorf("old at %d, new at %d", earlier, later)
	}
	if same := s.do("GET", "/compare?a="+first+"&b="+first, "").body; !bytes.Contains(same, []byte("Nothing differs")) {
		t.Error("a report differs from itself")
	}
	for _, bad := range []string{"hello", "https://elsewhere.test/", first[:33]} {
		if page := s.do("GET", "/compare?a="+url.QueryEscape(bad)+"&b="+first, "").want(http.StatusOK).body; !bytes.Contains(page, []byte(`id="compare-error-a"`)) {
			t.Errorf("%s: no complaint", bad)
		}
	}
	s.do("GET", "/compare?lang=zh", "").want(http.StatusOK)
}
