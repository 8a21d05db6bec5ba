package templates

import (
	"strings"

	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/trace"
)

// ConsolePage is the MQTT client in the page.
type ConsolePage struct {
	Page
	Form Form
	// Run is the report that the target comes from; empty: none.
	Run string
}

// The fields of the console's form beside those of a target. They are not the interface's: the page alone uses them.
const (
	fieldWay             = "way"
	fieldName            = "name"
	fieldWillTopic       = "will.topic"
	fieldWillPayload     = "will.payload"
	fieldWillQoS         = "will.qos"
	fieldWillRetain      = "will.retain"
	fieldWillDelay       = "will.delay_s"
	fieldReconnect       = "reconnect"
	fieldUserProperties  = "properties.user"
	fieldReceiveMaximum  = "properties.receive_maximum"
	fieldMaximumPacket   = "properties.maximum_packet_size"
	fieldAliasMaximum    = "properties.topic_alias_maximum"
	fieldRequestResponse = "properties.request_response"
)

// consolePanels are the folded parts of the console's form that the home page's does not have.
var consolePanels = []panel{
	{"will", "broker", []string{fieldWillTopic}},
	{"properties", "tune", []string{fieldUserProperties}},
}

func consolePanel(id string) panel {
	for _, p := range consolePanels {
		if p.id == id {
			return p
		}
	}
	return panelByID(id)
}

// consoleWords begins the keys of what the console's scripts say.
const consoleWords = "console.js."

// scriptWords are what the console's scripts are given: their own words, the catalogue's for packets, and the sections of the
// specifications for each rule.
type scriptWords struct {
	Words     map[string]string    `json:"words"`
	Catalogue map[string]string    `json:"catalogue"`
	Sections  map[string][3]string `json:"sections"`
}

func (p Page) scriptWords() scriptWords {
	return scriptWords{Words: p.words(consoleWords), Catalogue: catalogue.Words("trace.", p.Lang), Sections: trace.Places()}
}

// words are the texts of a family by the rest of their keys, for scripts.
func (p Page) words(family string) map[string]string {
	words := map[string]string{}
	for key, english := range texts[catalogue.English] {
		name, ok := strings.CutPrefix(key, family)
		if !ok {
			continue
		}
		if words[name] = texts[p.Lang][key]; words[name] == "" {
			words[name] = english
		}
	}
	return words
}
