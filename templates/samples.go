package templates

import (
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// Sample is a run page in one state, made up: for the gallery, for tests, and for those who work on the page.
type Sample struct {
	Name string
	Page RunPage
}

// Samples are run pages in every state, in the page's language. They use the catalogue's own findings.
func Samples(p Page) []Sample {
	healthy := sampleHealthy(p)
	broken := sampleBroken(p)
	running := sampleRunning(p)
	return []Sample{
		{"broken", asOwner(NewRunPage(p, broken))},
		{"broken, secrets gone", withMissing(NewRunPage(p, broken))},
		{"attention", asOwner(NewRunPage(p, sampleAttention(p)))},
		{"healthy", asOwner(NewRunPage(p, healthy))},
		{"measured", asOwner(NewRunPage(p, sampleMeasured(p)))},
		{"long names", asOwner(NewRunPage(p, sampleLong(p)))},
		{"inconclusive", NewRunPage(p, sampleInconclusive(p))},
		{"canceled", NewRunPage(p, sampleCanceled(p))},
		{"interrupted", NewRunPage(p, sampleInterrupted(p))},
		{"running", withProgress(asOwner(NewRunPage(p, running)))},
		{"running, cause seen", asOwner(NewRunPage(p, sampleRunningBroken(p)))},
		{"just begun", asOwner(NewRunPage(p, sampleBegun(p)))},
	}
}

func asOwner(r RunPage) RunPage {
	r.Rights = Rights{Owner: true, Delete: true, Rerun: !r.running(), Cancel: r.running()}
	r.Link = "https://helpdesk.example.com/runs/" + r.Report.ID
	return r
}

func withMissing(r RunPage) RunPage {
	r = asOwner(r)
	r.Rights.Rerun, r.Rights.Missing = false, []string{fieldPassword, fieldKey}
	return r
}

func withProgress(r RunPage) RunPage {
	r.Progress = map[string]Progress{"msg.burst": {Done: 37, Total: 100}}
	return r
}

var sampleStart = time.Date(2026, 11, 20, 14, 3, 22, 0, time.UTC)

// sample makes a report; steps follow one another.
func sample(p Page, url string, verdict diag.Overall, summary string, steps ...catalogue.StepView) catalogue.ReportView {
	finished := sampleStart
	r := catalogue.ReportView{
		Schema: diag.Schema, ID: "sample", State: diag.StateFinished, CreatedAt: sampleStart, FinishedAt: &finished,
		ExpiresAt: sampleStart.AddDate(0, 0, 30), Lang: p.Lang, Verdict: verdict, Summary: summary,
		Target:  diag.TargetInput{URL: url, Username: "meter-17", Password: diag.NewSecret("given"), Protocol: "auto"},
		Vantage: diag.Vantage{Name: "helpdesk-1", OS: "linux/amd64", Version: "1.0.0"}, Connections: 14,
		Plan: catalogue.PlanView{PlanOptions: diag.PlanOptions{Symptom: diag.SymptomCannotConnect, Depth: diag.DepthStandard}, TimeoutS: 5},
	}
	at := 4.0
	for i := range steps {
		s := &steps[i]
		s.StartedAt = sampleStart.Add(time.Duration(at * float64(time.Millisecond)))
		at += s.DurationMS
		r.Plan.Checks = append(r.Plan.Checks, s.Check)
		if label, _ := catalogue.Label("check."+string(s.Check), p.Lang); label != "" {
			s.Title = label
		}
	}
	r.Steps, r.DurationMS = steps, at+3
	return r
}

// sampleStep makes a step; evidence alternates key and value.
func sampleStep(p Page, check, subject string, status diag.Status, ms float64, en, zh string, evidence ...string) catalogue.StepView {
	s := catalogue.StepView{ID: check, Check: diag.ProbeID(check), Title: check, Layer: sampleLayer(check), Subject: subject,
		Status: status, DurationMS: ms, Summary: either(p, en, zh)}
	if subject != "" {
		s.ID += "@" + subject
	}
	if status == diag.StatusSkipped {
		s.Summary, s.SkippedBecause = "", s.Summary
	}
	for i := 0; i+1 < len(evidence); i += 2 {
		label, help := catalogue.Label("evidence."+evidence[i], p.Lang)
		s.Evidence = append(s.Evidence, catalogue.EvidenceView{Key: diag.EvidenceKey(evidence[i]), Value: evidence[i+1], Text: evidence[i+1], Label: label, Help: help})
	}
	return s
}

// sampleLayer is the layer of a check; those that look for other listeners belong to TCP.
func sampleLayer(check string) diag.Layer {
	if layer := diag.Code(check).Layer(); layer != "peer" {
		return layer
	}
	return diag.LayerTCP
}

func either(p Page, en, zh string) string {
	if p.Lang == catalogue.Chinese {
		return zh
	}
	return en
}

func sampleFinding(r *catalogue.ReportView, f diag.Finding, lang catalogue.Lang) *catalogue.FindingView {
	f.Layer = f.Code.Layer()
	v := catalogue.RenderFinding(f, r.Target, lang)
	r.Findings = append(r.Findings, v)
	return &v
}

const (
	sampleTLS  = "mqtts://broker.example.com:8883"
	sampleAddr = "192.0.2.17:8883"
)

func sampleSteps(p Page) []catalogue.StepView {
	return []catalogue.StepView{
		sampleStep(p, "dns.resolve", "broker.example.com", diag.StatusPassed, 18.4, "One address: 192.0.2.17.", "一个地址：192.0.2.17。",
			"dns.a", "192.0.2.17", "dns.ttl", "300"),
		sampleStep(p, "tcp.connect", sampleAddr, diag.StatusPassed, 21.7, "Connected after 21.7 ms.", "21.7 ms 后连接成功。", "rtt", "21.7 "+p.Unit("ms"), "address", sampleAddr),
		sampleStep(p, "tls.handshake", sampleAddr, diag.StatusPassed, 44.9, "TLS 1.3, certificate trusted.", "TLS 1.3，证书受信任。",
			"tls.version", "TLS 1.3", "cert.subject", "CN=broker.example.com", "cert.not_after", "2027-02-01T00:00:00Z",
			"cert.sha256", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
	}
}

func sampleHealthy(p Page) catalogue.ReportView {
	r := sample(p, sampleTLS, diag.OverallHealthy, either(p, "Everything that was asked for works: login, subscribing, and messages at QoS 0, 1 and 2.",
		"所要求的一切都正常：登录、订阅，以及 QoS 0、1、2 的消息。"),
		append(sampleSteps(p),
			sampleStep(p, "mqtt.connect", sampleAddr, diag.StatusPassed, 24.1, "The broker accepted the login with MQTT 5.", "服务器以 MQTT 5 接受了登录。", "mqtt.version", "5"),
			sampleStep(p, "mqtt.ping", "", diag.StatusPassed, 22.2, "The broker answered a ping after 22.2 ms.", "服务器在 22.2 ms 后回应了 ping。"),
			sampleStep(p, "msg.subscribe", "", diag.StatusPassed, 23.0, "Subscribed at QoS 2.", "已以 QoS 2 订阅。"),
			sampleStep(p, "msg.roundtrip", "", diag.StatusPassed, 45.8, "A message came back at QoS 0, 1 and 2.", "QoS 0、1、2 的消息都已返回。"),
			sampleStep(p, "ws.upgrade", "", diag.StatusSkipped, 0, "The address does not use WebSocket.", "该地址不使用 WebSocket。"))...)
	r.Sent = []diag.SentMessage{{Topic: "site/1/command", QoS: 1, Bytes: 32}}
	return r
}

func sampleBroken(p Page) catalogue.ReportView {
	steps := sampleSteps(p)
	steps[2] = sampleStep(p, "tls.handshake", sampleAddr, diag.StatusFailed, 44.9, "The certificate expired 12 days ago.", "证书已过期 12 天。",
		"tls.version", "TLS 1.3", "cert.subject", "CN=broker.example.com", "cert.not_after", "2026-11-08T23:59:59Z",
		"cert.issuer", "CN=Example CA R3, O=Example Trust Services")
	steps[2].Failure = &diag.Failure{Op: "tls.handshake", Code: "cert_expired", Text: "x509: certificate has expired or is not yet valid"}
	r := sample(p, sampleTLS, diag.OverallBroken, either(p, "The certificate of the broker has expired on 8 November 2026; clients that check it no longer connect.",
		"服务器的证书已于 2026 年 11 月 8 日过期，会校验证书的客户端无法再连接。"),
		append(steps,
			sampleStep(p, "peer.transports", "192.0.2.17:1883", diag.StatusPassed, 48.3, "Plain MQTT answers here.", "此处有普通 MQTT 响应。"),
			sampleStep(p, "mqtt.connect", sampleAddr, diag.StatusPassed, 25.3, "Behind the certificate, the broker accepts the login.", "抛开证书问题，服务器接受登录。"),
			sampleStep(p, "msg.roundtrip", "", diag.StatusSkipped, 0, "It could tell nothing more about the cause.", "它无法提供更多关于原因的信息。"))...)
	r.RootCause = sampleFinding(&r, diag.Finding{Code: "tls.cert_expired", Severity: diag.SeverityCritical, Confidence: diag.Certain,
		Step: steps[2].ID, Args: diag.Args{"days": "12", "not_after": "2026-11-08"},
		Evidence:   []diag.Evidence{{Key: diag.EvCertNotAfter, Value: "2026-11-08T23:59:59Z"}, {Key: diag.EvCertSubject, Value: "CN=broker.example.com"}},
		Suggestion: &diag.Suggestion{URL: "mqtts://broker2.example.com:8883"}}, p.Lang)
	by := diag.Code("tls.cert_expired")
	sampleFinding(&r, diag.Finding{Code: "tls.legacy_versions_enabled", Severity: diag.SeverityWarning, Confidence: diag.Likely, CausedBy: by}, p.Lang)
	r.RuledOut = []catalogue.RuledOutView{
		{Code: "tls.clock_skew", Title: either(p, "The clock of this computer is wrong", "本机的时钟不准"),
			Because: either(p, "Two other servers showed the same time as this computer, to the second.", "另外两台服务器显示的时间与本机相差不到一秒。")},
		{Code: "tls.intermediate_expired", Title: either(p, "A certificate above it has expired", "上级证书已过期"),
			Because: either(p, "The certificates above are valid until 2031.", "上级证书有效期至 2031 年。")},
	}
	return r
}

// sampleLong is the broken run with names that have no place to break.
func sampleLong(p Page) catalogue.ReportView {
	const host = "a-very-long-host-name-that-nobody-would-type.eu-central-1.elb.internal.example.corporation.invalid"
	r := sampleBroken(p)
	r.Target.URL, r.Target.Username = "mqtts://"+host+":8883", strings.Repeat("meter", 20)
	r.Summary = strings.ReplaceAll(r.Summary, "8", "8 "+host+" ")
	r.RuledOut[0].Title, r.RuledOut[1].Because = host, strings.Repeat("f", 150)
	r.Steps[0].Subject, r.Steps[0].Summary = host, host
	r.Steps[1].Evidence[1].Text = host + "/" + strings.Repeat("x", 100)
	r.Sent = []diag.SentMessage{{Topic: strings.Repeat("site/", 30), QoS: 1, Bytes: 32}}
	for i := range r.Findings {
		r.Findings[i].Title = host
	}
	r.RootCause.Title = host
	return r
}

func sampleAttention(p Page) catalogue.ReportView {
	r := sampleHealthy(p)
	r.Verdict = diag.OverallAttention
	r.Summary = either(p, "The connection works, but messages arrive with a lower QoS than asked.", "连接可用，但消息到达时的 QoS 低于所要求的。")
	r.Steps[6].Status = diag.StatusWarned
	r.Steps[6].Summary = either(p, "QoS 2 was asked for, QoS 1 came back.", "要求 QoS 2，返回的是 QoS 1。")
	r.RootCause = sampleFinding(&r, diag.Finding{Code: "msg.qos_downgraded", Severity: diag.SeverityWarning, Confidence: diag.Likely,
		Step: "msg.roundtrip"}, p.Lang)
	return r
}

func sampleInconclusive(p Page) catalogue.ReportView {
	const url = "mqtt://broker.example.com:1883"
	return sample(p, url, diag.OverallInconclusive, either(p, "The connection was not seen to work, and what was seen does not name one cause.", "没有看到连接正常工作，所见也不足以确定唯一的原因。"),
		sampleSteps(p)[0],
		sampleStep(p, "tcp.connect", "192.0.2.17:1883", diag.StatusFailed, 5000, "No answer within 5 s.", "5 s 内没有响应。"))
}

func sampleCanceled(p Page) catalogue.ReportView {
	r := sampleInconclusive(p)
	r.State = diag.StateCanceled
	r.Steps[1].Status, r.Steps[1].Summary = diag.StatusCanceled, ""
	r.Summary = either(p, "The run was canceled before its end; what it had seen is listed.", "诊断在结束前被取消，已看到的内容如下。")
	return r
}

func sampleInterrupted(p Page) catalogue.ReportView {
	r := sampleCanceled(p)
	r.State = diag.StateInterrupted
	r.Summary = either(p, "The run was interrupted before its end because the server stopped; what it had seen is listed.", "诊断因服务器停止而中断，已看到的内容如下。")
	return r
}

func sampleRunning(p Page) catalogue.ReportView {
	r := sample(p, sampleTLS, "", "", append(sampleSteps(p),
		sampleStep(p, "mqtt.connect", sampleAddr, diag.StatusRunning, 0, "", ""),
		sampleStep(p, "msg.burst", "", diag.StatusRunning, 0, "", ""))...)
	r.State, r.FinishedAt = diag.StateRunning, nil
	for i := range 8 {
		r.Plan.Checks = append(r.Plan.Checks, diag.ProbeID("to.come"+strconv.Itoa(i)))
	}
	return r
}

func sampleRunningBroken(p Page) catalogue.ReportView {
	r := sampleBroken(p)
	r.State, r.FinishedAt, r.Verdict, r.Summary, r.RootCause = diag.StateRunning, nil, "", "", nil
	r.Steps[4].Status = diag.StatusRunning
	return r
}

func sampleBegun(p Page) catalogue.ReportView {
	r := sampleRunning(p)
	r.Steps = nil
	return r
}
