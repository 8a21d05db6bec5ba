package diag

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

func parseTopics(in TargetInput, t *Target, errs FieldErrors) {
	if in.Topics.QoS != nil {
		if *in.Topics.QoS < 0 || *in.Topics.QoS > 2 {
			errs.set("target.topics.qos", N("input.qos", "value", strconv.Itoa(*in.Topics.QoS)))
		} else {
			t.Topics.QoS = byte(*in.Topics.QoS)
		}
	}
	if t.Topics.Publish != "" {
		if note := CheckTopicName(t.Topics.Publish); !note.IsZero() {
			errs.set("target.topics.publish", note)
		}
	}
	for _, filter := range in.Topics.Subscribe {
		if filter == "" {
			continue
		}
		if note := CheckTopicFilter(filter); !note.IsZero() {
			errs.set("target.topics.subscribe", note)
			continue
		}
		t.Topics.Subscribe = append(t.Topics.Subscribe, filter)
	}
	if len(t.Topics.Subscribe) > maxSubscriptions {
		errs.set("target.topics.subscribe", N("input.too_many", "limit", strconv.Itoa(maxSubscriptions)))
	}
}

// CheckTopicName says what is wrong with a Topic Name (MQTT 5.0 4.7): zero where nothing is.
func CheckTopicName(topic string) Note {
	if note := checkTopicText(topic); !note.IsZero() {
		return note
	}
	if strings.ContainsAny(topic, "+#") { // [MQTT-3.3.2-2]
		return N("input.topic_wildcard", "value", clip(topic, 80))
	}
	return Note{}
}

// CheckTopicFilter says what is wrong with a Topic Filter (MQTT 5.0 4.7.1, 4.8.2): zero where nothing is.
func CheckTopicFilter(filter string) Note {
	if filter == "" { // [MQTT-4.7.3-1]
		return N("input.filter_empty")
	}
	if note := checkTopicText(filter); !note.IsZero() {
		return note
	}
	levels := strings.Split(filter, "/")
	if levels[0] == "$share" { // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
		if len(levels) < 3 || levels[1] == "" || strings.ContainsAny(levels[1], "+#") || (len(levels) == 3 && levels[2] == "") {
			return N("input.filter_share", "value", clip(filter, 80))
		}
		levels = levels[2:]
	}
	for i, level := range levels {
		switch {
		case strings.Contains(level, "#") && (level != "#" || i != len(levels)-1): // [MQTT-4.7.1-1]
			return N("input.filter_hash", "value", clip(filter, 80))
		case strings.Contains(level, "+") && level != "+": // [MQTT-4.7.1-2]
			return N("input.filter_plus", "value", clip(filter, 80))
		}
	}
	return Note{}
}

func checkTopicText(s string) Note {
	switch {
	case s == "": // [MQTT-4.7.3-1]
		return N("input.topic_empty")
	case len(s) > maxStringBytes: // [MQTT-4.7.3-3]
		return N("input.too_long", "limit", strconv.Itoa(maxStringBytes))
	case !utf8.ValidString(s):
		return N("input.not_utf8")
	case strings.ContainsRune(s, 0): // [MQTT-4.7.3-2]
		return N("input.nul")
	}
	return Note{}
}
