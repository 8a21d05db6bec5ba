package templates

import (
	"time"

	"github.com/a-h/templ"

	"mqttdoctor/diag"
)

// sampleRequest is a request that asks for everything, with all that can become of it.
func sampleRequest(p Page) HelpRequest {
	at := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	broken := sampleBroken(p)
	return HelpRequest{ID: "sample", Link: "https://mqttdoctor.example.com/requests/orxits6r3mt4so7ysstres6xvotc3c4rts", CreatedAt: at, ExpiresAt: at.Add(168 * time.Hour),
		From: either(p, "Ada of the helpdesk", "服务台 小艾"), Note: either(p, "The meter in hall 3 has been offline since Monday.\nPlease use its own user name.", "3 号车间的电表从周一起离线。\n请使用该设备自己的用户名。"),
		Target:  diag.TargetInput{URL: "mqtt://a-rather-long-name-of-a-broker.site-7.plant.example.com:1883", Protocol: "5", Topics: diag.TopicsInput{Subscribe: []string{"site/7/#", "site/8/+/state"}}},
		Symptom: string(diag.SymptomAuth), Depth: string(diag.DepthStandard),
		Ask: AskFields([]string{"login", "tls", "ca", "ws", "client", "address"}), OpenedAt: at.Add(time.Minute),
		Runs: []HelpRun{{ID: "sample-2", State: diag.StateRunning, CreatedAt: at.Add(3 * time.Minute)},
			{ID: "sample-1", State: diag.StateFinished, Verdict: diag.OverallBroken, RootCause: broken.RootCause.Code, CreatedAt: at.Add(2 * time.Minute), Summary: broken.Summary},
			{ID: "sample-0", State: diag.StateFinished, Verdict: diag.OverallHealthy, CreatedAt: at.Add(time.Minute), Summary: sampleHealthy(p).Summary}}}
}

// requestSamples are the pages of a request, for those on both sides.
func requestSamples(p Page) []otherSample {
	whole := sampleRequest(p)
	waiting, opened, ended := whole, whole, whole
	waiting.Runs, waiting.OpenedAt, waiting.Ask = nil, time.Time{}, AskFields([]string{"login"})
	opened.Runs = nil
	ended.Runs, ended.Wish = whole.Runs[1:], &HelpWish{Run: "sample-1", Mine: true, Missing: []string{fieldPassword, fieldKey}}
	helper := func(q HelpRequest) templ.Component {
		return Request(RequestPage{Page: p, Request: q, Helper: true, Made: q.OpenedAt.IsZero()})
	}
	wrong := RequestPage{Page: p, Request: whole, MayRepeat: true, Unsafe: true, Show: []diag.Hide{diag.HideUser}, Form: Form{Values: map[string]string{fieldURL: "mqtt：//x"},
		Errors: map[string]string{fieldURL: p.T("home.url.scheme", "scheme", "mqtt："), fieldKey: p.T("form.lost")}, Lost: map[string]bool{fieldKey: true, fieldPassword: true}}}
	ended.Wish.Only = "mqtt.connect"
	asked := RequestPage{Page: p, Request: ended, MayRepeat: true, Form: Form{Values: map[string]string{}}}
	run := func(helper bool) templ.Component {
		r := NewRunPage(p, sampleBroken(p))
		r.Rights = Rights{Owner: !helper, Helper: helper, Request: whole.ID}
		r.Report.Plan.Only = "tls.handshake"
		r.Request = &RequestPage{Page: p, Request: ended, Helper: helper, Run: "sample-0"}
		return Run(r)
	}
	form := FormOf(sampleBroken(p).Target, diag.PlanOptions{Symptom: diag.SymptomTLS, Depth: diag.DepthDeep})
	return []otherSample{
		{"request to make", Ask(AskPage{Page: p, Form: form, Ask: AskUsual(form), Keep: 7, NoteLimit: 2000,
			Errors: map[string]string{"note": p.T("error.400"), fieldURL: p.T("error.400")}})},
		{"request waits", helper(waiting)}, {"request opened", helper(opened)}, {"request runs", helper(whole)}, {"request has run", helper(ended)},
		{"request to run", Request(asked)}, {"request with mistakes", Request(wrong)},
		{"requested run, for its helper", run(true)}, {"requested run, for its maker", run(false)},
		{"requests", Requests(RequestsPage{Page: p, Requests: []HelpRequest{whole, waiting}})}, {"no requests", Requests(RequestsPage{Page: p})},
	}
}
