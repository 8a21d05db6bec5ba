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
	return []otherSample{
		{"form with the demo", Home(HomePage{Page: p, Demo: demo, Notice: p.T("home.deleted")})},
		{"form with mistakes", Home(HomePage{Page: p, Form: forms[0]})},
		{"form refused", Home(HomePage{Page: p, Form: forms[1]})},
		{"form of an earlier report", Home(HomePage{Page: p, Form: FormOf(sampleBroken(p).Target, diag.PlanOptions{Symptom: diag.SymptomTLS})})},
		{"comparison", Compare(sampleComparison(p))},
		{"import refused", Import(NewImportPage(p, p.T("error.400")))},
		{"too many", Error(ErrorPage{Page: p, Status: 429, Code: "busy", Message: p.T("error.429"), RetryAfter: 3 * time.Second})},
		{"defect", Error(ErrorPage{Page: p, Status: 500, Code: "internal", Message: p.T("error.500")})},
	}
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
	return c
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
