package templates

import (
	"encoding/json"

	"mqttdoctor/diag"
)

// question is the one thing that is asked about a symptom. Its answers fill fields in, which the reader sees and can change.
type question struct {
	symptom diag.Symptom
	words   string // key of the question
	answers []answer
}

// answer is one reply: what it sets, which part of the form it unfolds, and what there is to say about it.
type answer struct {
	id, words string
	set       map[string]string
	open      string // panel
	hint      string // key; empty: nothing
}

// questions follow the entry table of the field guide: what the answer to each decides.
var questions = []question{
	{diag.SymptomCheckup, "wizard.checkup", []answer{
		{"quick", "wizard.checkup.quick", map[string]string{fieldDepth: "quick"}, "", ""},
		{"standard", "wizard.checkup.standard", map[string]string{fieldDepth: "standard"}, "", ""},
		{"deep", "wizard.checkup.deep", map[string]string{fieldDepth: "deep"}, "", ""},
	}},
	{diag.SymptomSecurity, "wizard.security", []answer{
		{"standard", "wizard.security.standard", map[string]string{fieldDepth: "standard"}, "", ""},
		{"deep", "wizard.security.deep", map[string]string{fieldDepth: "deep"}, "", ""},
	}},
	{diag.SymptomCannotConnect, "wizard.where", whereAnswers},
	{diag.SymptomTimeout, "wizard.where", whereAnswers},
	{diag.SymptomRefused, "wizard.where", whereAnswers},
	{diag.SymptomAuth, "wizard.auth", []answer{
		{"yes", "wizard.yes", nil, "client", "wizard.auth.yes.hint"},
		{"no", "wizard.no", nil, "login", "wizard.auth.no.hint"},
	}},
	{diag.SymptomTLS, "wizard.tls", []answer{
		{"computer", "wizard.tls.computer", map[string]string{fieldDepth: "standard"}, "tls", ""},
		{"device", "wizard.tls.device", map[string]string{fieldDepth: "deep"}, "tls", "wizard.tls.device.hint"},
	}},
	{diag.SymptomWebSocket, "wizard.ws", []answer{
		{"browser", "wizard.ws.browser", nil, "ws", "wizard.ws.browser.hint"},
		{"all", "wizard.ws.all", nil, "ws", ""},
	}},
	{diag.SymptomDrops, "wizard.drops", []answer{
		{"seconds", "wizard.drops.seconds", map[string]string{fieldWatch: "60"}, "advanced", ""},
		{"minutes", "wizard.drops.minutes", map[string]string{fieldWatch: "600"}, "advanced", "wizard.drops.hint"},
		{"hours", "wizard.drops.hours", map[string]string{fieldWatch: "28800"}, "advanced", "wizard.drops.hint"},
		{"irregular", "wizard.drops.irregular", map[string]string{fieldWatch: "3600"}, "advanced", "wizard.drops.hint"},
	}},
	{diag.SymptomLost, "wizard.qos", qosAnswers},
	{diag.SymptomDuplicate, "wizard.qos", qosAnswers},
	{diag.SymptomSlow, "wizard.slow", []answer{
		{"always", "wizard.slow.always", map[string]string{fieldDepth: "standard"}, "", ""},
		{"load", "wizard.slow.load", map[string]string{fieldDepth: "deep"}, "burst", "wizard.slow.load.hint"},
	}},
	{diag.SymptomNotReceiving, "wizard.topics", []answer{
		{"yes", "wizard.yes", nil, "topics", "wizard.topics.yes.hint"},
		{"no", "wizard.no", nil, "", "wizard.topics.no.hint"},
	}},
	{diag.SymptomCluster, "wizard.nodes", []answer{
		{"list", "wizard.nodes.list", map[string]string{fieldDepth: "deep"}, "", "wizard.nodes.list.hint"},
		{"balancer", "wizard.nodes.balancer", map[string]string{fieldDepth: "deep"}, "", "wizard.nodes.balancer.hint"},
	}},
}

var whereAnswers = []answer{
	{"everywhere", "wizard.where.everywhere", nil, "", ""},
	{"some", "wizard.where.some", map[string]string{fieldDepth: "deep"}, "", "wizard.where.some.hint"},
	{"unknown", "wizard.where.unknown", nil, "", ""},
}

var qosAnswers = []answer{
	{"0", "field.qos.0", map[string]string{fieldBurstQoS: "0", fieldQoS: "0"}, "", "wizard.qos.0.hint"},
	{"1", "field.qos.1", map[string]string{fieldBurstQoS: "1", fieldQoS: "1"}, "", ""},
	{"2", "field.qos.2", map[string]string{fieldBurstQoS: "2", fieldQoS: "2"}, "", ""},
}

// choice tells that it is a choice among settings rather than a question: what is set is marked from the beginning.
func (q question) choice() bool {
	return q.symptom == diag.SymptomCheckup || q.symptom == diag.SymptomSecurity
}

// marked tells whether the form stands as an answer of a choice would have it.
func (q question) marked(f Form, a answer) bool {
	for name, value := range a.set {
		if f.Value(name) != value {
			return false
		}
	}
	return q.choice()
}

// sets is what the script fills in.
func (a answer) sets() string {
	if len(a.set) == 0 {
		return "{}"
	}
	data, err := json.Marshal(a.set)
	if err != nil {
		return "{}"
	}
	return string(data)
}
