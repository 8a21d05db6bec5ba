package templates

import (
	"math"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// sampleMeasured has a table of each kind, with gaps and marks.
func sampleMeasured(p Page) catalogue.ReportView {
	r := sampleHealthy(p)
	column := func(en, zh, unit string, values ...float64) catalogue.ColumnView {
		return catalogue.ColumnView{Key: diag.EvDuration, Label: either(p, en, zh), Unit: unit, Values: values}
	}
	var at, trip, sequence, arrived, edge, qos0, qos1 []float64
	for i := range 180 {
		at = append(at, float64(i))
		value := 21 + 3*math.Sin(float64(i)/9)
		if i >= 80 && i < 90 {
			value = diag.NotMeasured
		}
		trip = append(trip, value)
	}
	for i := range 100 {
		sequence = append(sequence, float64(i+1))
		value := 20 + float64(i)*1.7
		if i%17 == 16 {
			value = diag.NotMeasured
		}
		arrived = append(arrived, value)
	}
	for i := range 8 {
		edge = append(edge, float64(5*(i+1)))
		qos0 = append(qos0, float64([]int{0, 2, 31, 42, 17, 6, 1, 1}[i]))
		qos1 = append(qos1, float64([]int{0, 0, 4, 22, 48, 19, 5, 2}[i]))
	}
	texts := func(en, zh string, rows ...string) catalogue.ColumnView {
		return catalogue.ColumnView{Key: diag.EvMeasured, Label: either(p, en, zh), Texts: rows}
	}
	r.Measurements = map[string]catalogue.TableView{
		"rtt": {Title: either(p, "Round trip over time", "往返时间随时间的变化"), Help: either(p, "PINGREQ to PINGRESP.", "从 PINGREQ 到 PINGRESP。"),
			Plot: diag.PlotLine, Columns: []catalogue.ColumnView{column("time", "时间", "s", at...), column("round trip", "往返时间", "ms", trip...)},
			Marks: []catalogue.MarkView{{At: 80, Label: either(p, "dropped", "断开"), Text: "reset"}}},
		"arrival": {Title: either(p, "When each message arrived", "每条消息的到达时间"), Plot: diag.PlotRaster,
			Columns: []catalogue.ColumnView{column("message", "消息", "", sequence...), column("arrived", "到达", "ms", arrived...)}},
		"latency": {Title: either(p, "How long messages took", "消息耗时"), Plot: diag.PlotHistogram,
			Columns: []catalogue.ColumnView{column("up to", "不超过", "ms", edge...), column("QoS 0", "QoS 0", "", qos0...), column("QoS 1", "QoS 1", "", qos1...)}},
		"limits": {Title: either(p, "What the broker allows", "服务器的限制"), Plot: diag.PlotGrid, Columns: []catalogue.ColumnView{
			texts("limit", "项目", either(p, "largest message (bytes)", "最大消息（字节）"), either(p, "retained messages", "保留消息"), "Receive Maximum"),
			texts("announced", "声明值", strconv.Itoa(1<<20), either(p, "yes", "是"), "20"),
			texts("measured", "实测值", "262144", either(p, "yes", "是"), ""),
		}},
	}
	keepAlive := 60
	accepted := diag.Report{State: diag.StateFinished, Target: diag.TargetInput{URL: sampleTLS, Username: "meter-17", KeepaliveS: &keepAlive},
		Steps: []diag.Step{{Check: "mqtt.connect", Observation: &diag.MQTTConnect{Purpose: diag.PurposeAsked, Outcome: diag.OutcomeOK, Version: diag.Version5,
			KeepAliveS: keepAlive, Took: 180 * time.Millisecond}}}}
	r.Advice = catalogue.Render(accepted, p.Lang).Advice
	return r
}
