package handlers

import (
	"net/http"
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
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
	errs := diag.FieldErrors{}
	if note := diag.CheckTopicFilter(in.Filter); !note.IsZero() {
		errs["filter"] = note
	}
	if note := diag.CheckTopicName(in.Topic); !note.IsZero() {
		errs["topic"] = note
	}
	if len(errs) > 0 {
		return errs
	}
	matches, reason := topicMatch(in.Filter, in.Topic)
	writeJSON(w, http.StatusOK, map[string]any{"matches": matches, "reason": catalogue.Text(reason, catalogue.Lang(lang))})
	return nil
}

// topicMatch compares level by level (MQTT 5.0 4.7) and names the level that decides.
func topicMatch(filter, topic string) (bool, diag.Note) {
	plain := filter
	if rest, ok := strings.CutPrefix(filter, "$share/"); ok { // the share name takes no part (MQTT 5.0 4.8.2)
		_, plain, _ = strings.Cut(rest, "/")
	}
	f, t := strings.Split(plain, "/"), strings.Split(topic, "/")
	if strings.HasPrefix(topic, "$") && (f[0] == "+" || f[0] == "#") { // [MQTT-4.7.2-1]
		return false, diag.N("match.dollar", "topic", topic, "filter", filter)
	}
	for i, level := range f {
		switch {
		case level == "#": // also the parent level itself: "a/#" matches "a"
			return true, diag.N("match.hash", "topic", topic, "filter", filter)
		case i >= len(t):
			return false, diag.N("match.too_short", "topic", topic, "filter", filter, "suggested", level)
		case level != "+" && level != t[i]:
			note := diag.N("match.level", "topic", topic, "filter", filter, "suggested", level, "value", t[i])
			if strings.EqualFold(level, t[i]) {
				note.Key = "match.case"
			}
			if strings.TrimSpace(level) == strings.TrimSpace(t[i]) {
				note.Key = "match.space"
			}
			return false, note
		}
	}
	if len(t) > len(f) {
		return false, diag.N("match.too_long", "topic", topic, "filter", filter, "value", t[len(f)])
	}
	return true, diag.N("match.yes", "topic", topic, "filter", filter)
}
