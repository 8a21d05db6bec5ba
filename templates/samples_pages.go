package templates

import (
	"time"

	"github.com/a-h/templ"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// otherSample is a page in a state that only a mistake or much data leads to.
type otherSample struct {
	name string
	page templ.Component
}

// otherSamples are whole pages that are no run.
func otherSamples(p Page) []otherSample {
	forms := sampleForms(p)
	demo := []DemoCard{{ID: "healthy", Title: either(p, "A healthy broker", "正常的服务器"), Text: either(p, "Everything should pass.", "所有检查都应通过。"), Healthy: true},
		{ID: "wrong-password", Title: either(p, "A wrong password", "密码错误"), Text: either(p, "The broker asks for another one.", "服务器要求的是另一个密码。")}}
	return append([]otherSample{
		{"form with the demo", Home(HomePage{Page: p, Demo: demo, Notice: p.T("home.deleted")})},
		{"form with mistakes", Home(HomePage{Page: p, Form: forms[0]})},
		{"form refused", Home(HomePage{Page: p, Form: forms[1]})},
		{"form of an earlier report", Home(HomePage{Page: p, Form: FormOf(sampleBroken(p).Target, diag.PlanOptions{Symptom: diag.SymptomTLS})})},
		{"comparison", Compare(sampleComparison(p))},
		{"import refused", Import(NewImportPage(p, p.T("error.400")))},
		{"too many", Error(ErrorPage{Page: p, Status: 429, Code: "busy", Message: p.T("error.429"), RetryAfter: 3 * time.Second})},
		{"defect", Error(ErrorPage{Page: p, Status: 500, Code: "internal", Message: p.T("error.500")})},
	}, requestSamples(p)...)
}

func sampleNames(p Page) []string {
	var names []string
	for _, s := range Samples(p) {
		names = append(names, s.Name)
	}
	for _, s := range otherSamples(p) {
		names = append(names, s.name)
	}
	return names
}

// sampleComparison is of the broken and the healthy run.
func sampleComparison(p Page) ComparePage {
	before, after := sampleHealthy(p), sampleBroken(p)
	p.Title = p.T("compare.title")
	c := ComparePage{Page: p, Before: &before, After: &after}
	c.Changes.Findings = []catalogue.FindingChangeView{{After: after.RootCause}}
	c.Changes.Steps = []catalogue.StepChangeView{{Title: before.Steps[2].Title, Before: &before.Steps[2], After: &after.Steps[2]},
		{Title: before.Steps[4].Title, Before: &before.Steps[4]}}
	label, _ := catalogue.Label("evidence."+string(diag.EvCertNotAfter), p.Lang)
	c.Changes.Facts = []catalogue.FactChangeView{{Step: before.Steps[2].Title, Label: label, Before: "2027-02-01T00:00:00Z", After: "2026-11-08T23:59:59Z"}}
	c.Changes.Timings = []catalogue.TimingChangeView{{Title: before.Steps[1].Title, BeforeMS: 21.7, AfterMS: 180.2}}
	c.Changes.Unseen.Steps = []catalogue.StepChangeView{{Title: before.Steps[4].Title, Before: &before.Steps[4]}}
	c.Sides = sampleSides(p, before)
	return c
}

// sampleSides are tables of which some rows differ.
func sampleSides(p Page, r catalogue.ReportView) catalogue.SidesView {
	label := func(key string) string {
		text, _ := catalogue.Label("evidence.cap."+key, p.Lang)
		return text
	}
	day := time.Date(2026, 11, 8, 23, 59, 59, 0, time.UTC)
	old := catalogue.CertificateSideView{Subject: "CN=broker.example.com", Issuer: "CN=R11,O=Let's Encrypt,C=US", Names: "broker.example.com, mqtt.example.com",
		Key: "ECDSA 256 P-256", Signature: "SHA256-RSA", SHA256: "3a9d0e51b06f7c8ad7f2b4e1c95d603f8e7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c", NotBefore: day.AddDate(0, -3, 0), NotAfter: day}
	renewed, above := old, old
	renewed.SHA256, renewed.NotBefore, renewed.NotAfter = "b1f4"+old.SHA256[4:], day.AddDate(0, -1, 0), day.AddDate(0, 2, 0)
	above.Subject, above.Issuer, above.Names = "CN=R11,O=Let's Encrypt,C=US", "CN=ISRG Root X1,O=Internet Security Research Group,C=US", ""
	return catalogue.SidesView{
		Capabilities: []catalogue.CapabilityPairView{
			{Label: label("retain"), Before: catalogue.CapabilitySideView{Measured: p.T("run.yes")}, After: catalogue.CapabilitySideView{Announced: "—", Measured: "—"}, Differs: true},
			{Label: label("maximum_qos"), Before: catalogue.CapabilitySideView{Announced: "2", Measured: "2"}, After: catalogue.CapabilitySideView{Announced: "2"}},
			{Label: label("topic_length"), Before: catalogue.CapabilitySideView{Measured: "65535"}}},
		Certificates: []catalogue.CertificatePairView{{Before: &old, After: &renewed, Differs: true}, {Place: 1, Before: &above, After: &above}},
		Timings: []catalogue.TimingPairView{{Title: r.Steps[1].Title, Subject: sampleAddr, BeforeMS: 21.7, AfterMS: 180.2, Differs: true},
			{Title: r.Steps[0].Title, BeforeMS: 3.1, AfterMS: 2.9}, {Title: r.Steps[2].Title, Subject: sampleAddr, BeforeMS: 41, AfterMS: -1}}}
}

// sampleEveryStep is one step in each state.
func sampleEveryStep(p Page) []catalogue.StepView {
	steps := sampleSteps(p)
	passed, warned, failed := steps[0], steps[1], sampleBroken(p).Steps[2]
	warned.Status = diag.StatusWarned
	return sample(p, sampleTLS, "", "", passed, warned, failed,
		sampleStep(p, "mqtt.connect", sampleAddr, diag.StatusRunning, 0, "", ""),
		sampleStep(p, "mqtt.ping", "", diag.StatusCanceled, 12, "", ""),
		sampleStep(p, "ws.upgrade", "", diag.StatusSkipped, 0, "The address does not use WebSocket.", "该地址不使用 WebSocket。"),
	).Steps
}
