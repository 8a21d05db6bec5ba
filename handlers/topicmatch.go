package handlers

import (
	"net/http"
	"strconv"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/mqttwire"
)

type topicMatchBody struct {
	Filter string `json:"filter"`
	Topic  string `json:"topic"`
	Lang   string `json:"lang"`
}

// handleTopicMatch says whether a topic filter matches a topic name, and what decides.
func (h *Handlers) handleTopicMatch(w http.ResponseWriter, r *http.Request) error {
	var in topicMatchBody
	if err := readJSON(w, r, &in, false); err != nil {
		return err
	}
	lang, err := h.inputLang(r, in.Lang)
	if err != nil {
		return err
	}
	matches, reason, err := TopicMatch(in.Filter, in.Topic)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"matches": matches, "reason": say(reason, catalogue.Lang(lang))})
	return nil
}

// TopicMatch compares a filter with a topic (MQTT 5.0 4.7) and words what decides. The error is diag.FieldErrors, by
// "filter" and "topic", where one of them is none.
func TopicMatch(filter, topic string) (bool, diag.Note, error) {
	errs := diag.FieldErrors{}
	if note := diag.CheckTopicFilter(filter); !note.IsZero() {
		errs["filter"] = note
	}
	if note := diag.CheckTopicName(topic); !note.IsZero() {
		errs["topic"] = note
	}
	if len(errs) > 0 {
		return false, diag.Note{}, errs
	}
	matches, m := mqttwire.Match(filter, topic)
	if matches {
		return true, diag.N("api.match.yes", "filter", filter, "topic", topic), nil
	}
	// Levels are quoted: an empty one, or one with blanks, could not be seen otherwise.
	return false, diag.N("api.match."+string(m.Code), "filter", filter, "topic", topic, "count", strconv.Itoa(m.Level),
		"suggested", strconv.Quote(m.InFilter), "value", strconv.Quote(m.InTopic)), nil
}
