package trace

import (
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// Warning is a mistake of whoever sent a packet.
type Warning struct {
	// Note is a key of the catalogue, trace.warn.<code> or trace.breach.<code>, with its facts.
	Note diag.Note
	// Section is where the specification says so, such as "MQTT 5.0 3.3.1.2 [MQTT-3.3.1-4]".
	Section string
}

// rule is a sentence of the specification that the order of packets can break.
type rule string

// The rules. What is wrong in a packet by itself is a mqttwire.Breach.
const (
	ruleFirstConnect   rule = "first_connect"   // a client's first packet is CONNECT
	ruleSecondConnect  rule = "second_connect"  // and it sends one
	ruleFirstConnack   rule = "first_connack"   // a server's first packet is CONNACK
	ruleSecondConnack  rule = "second_connack"  //
	ruleAfterEnd       rule = "after_end"       // nothing follows DISCONNECT
	ruleIDInUse        rule = "id_in_use"       // an id that is still in use for something else
	ruleUnknownID      rule = "unknown_id"      // an answer to nothing
	ruleWrongAnswer    rule = "wrong_answer"    // an answer of the wrong kind
	ruleRepeat         rule = "repeat"          // sent again on a connection that lasts
	ruleReceiveMaximum rule = "receive_maximum" // more in flight than the other side takes
	rulePacketSize     rule = "packet_size"     // larger than the other side takes
	ruleMaximumQoS     rule = "maximum_qos"     //
	ruleRetain         rule = "retain_unavailable"
	ruleWildcard       rule = "wildcard_unavailable"
	ruleShared         rule = "shared_unavailable"
	ruleSubID          rule = "subid_unavailable"
	ruleClientSubID    rule = "client_subid"  // a client puts no Subscription Identifier into PUBLISH
	ruleAliasZero      rule = "alias_zero"    //
	ruleAliasMaximum   rule = "alias_maximum" // a Topic Alias above what the other side takes
	ruleAliasUnknown   rule = "alias_unknown" // an alias alone that was never given a topic
	ruleResponseTopic  rule = "response_topic"
	ruleKeepAlive      rule = "keep_alive" // silent for longer than promised
	rulePong           rule = "pong"       // PINGRESP without PINGREQ
	ruleAuth           rule = "auth"       // AUTH where no method was agreed on
	ruleCodes          rule = "codes"      // not one code for each filter
	ruleSubprotocol    rule = "subprotocol"
)

// place is where each version says it; empty: the version does not.
type place struct{ v5, v311, v31 string }

// The names of the specifications before their sections.
var specifications = map[mqttwire.Version]string{mqttwire.V5: "MQTT 5.0 ", mqttwire.V311: "MQTT 3.1.1 ", mqttwire.V31: "MQTT 3.1 "}

func (p place) of(v mqttwire.Version) string {
	section := p.v5
	switch v {
	case mqttwire.V311:
		section = p.v311
	case mqttwire.V31:
		section = p.v31
	}
	if section == "" {
		return ""
	}
	return specifications[v] + section
}

var rulePlaces = map[rule]place{
	ruleFirstConnect:   {"3.1 [MQTT-3.1.0-1]", "3.1 [MQTT-3.1.0-1]", "3.1"},
	ruleSecondConnect:  {"3.1 [MQTT-3.1.0-2]", "3.1 [MQTT-3.1.0-2]", "3.1"},
	ruleFirstConnack:   {"3.2 [MQTT-3.2.0-1]", "3.2 [MQTT-3.2.0-1]", "3.2"},
	ruleSecondConnack:  {"3.2 [MQTT-3.2.0-2]", "3.2", "3.2"},
	ruleAfterEnd:       {"3.14.4 [MQTT-3.14.4-1]", "3.14.4 [MQTT-3.14.4-2]", "3.14"},
	ruleIDInUse:        {"2.2.1 [MQTT-2.2.1-3]", "2.3.1 [MQTT-2.3.1-2]", "2.4"},
	ruleUnknownID:      {"2.2.1 [MQTT-2.2.1-5]", "2.3.1 [MQTT-2.3.1-6]", "2.4"},
	ruleWrongAnswer:    {"4.3", "4.3", "4.1"},
	ruleRepeat:         {"4.4 [MQTT-4.4.0-1]", "", ""},
	ruleReceiveMaximum: {"3.3.4 [MQTT-3.3.4-7], [MQTT-3.3.4-9]", "", ""},
	rulePacketSize:     {"3.2.2.3.6 [MQTT-3.2.2-15], 3.1.2.11.4 [MQTT-3.1.2-24]", "", ""},
	ruleMaximumQoS:     {"3.2.2.3.4 [MQTT-3.2.2-11]", "", ""},
	ruleRetain:         {"3.2.2.3.5 [MQTT-3.2.2-14]", "", ""},
	ruleWildcard:       {"3.2.2.3.11", "", ""},
	ruleShared:         {"3.2.2.3.13", "", ""},
	ruleSubID:          {"3.2.2.3.12", "", ""},
	ruleClientSubID:    {"3.3.4 [MQTT-3.3.4-6]", "", ""},
	ruleAliasZero:      {"3.3.2.3.4 [MQTT-3.3.2-8]", "", ""},
	ruleAliasMaximum:   {"3.3.2.3.4 [MQTT-3.3.2-9], [MQTT-3.3.2-11]", "", ""},
	ruleAliasUnknown:   {"3.3.2.3.4", "", ""},
	ruleResponseTopic:  {"3.3.2.3.5 [MQTT-3.3.2-14]", "", ""},
	ruleKeepAlive:      {"3.1.2.10 [MQTT-3.1.2-20]", "3.1.2.10 [MQTT-3.1.2-23]", "3.1"},
	rulePong:           {"3.13", "3.13", "3.13"},
	ruleAuth:           {"4.12 [MQTT-4.12.0-6], [MQTT-4.12.0-7]", "", ""},
	ruleCodes:          {"3.9.3, 3.11.3", "3.9.3", "3.9"},
	ruleSubprotocol:    {"6 [MQTT-6.0.0-4]", "6 [MQTT-6.0.0-4]", ""},
}

// breachPlaces are the sections of older versions for what mqttwire finds, which names those of MQTT 5. What is not here, or
// empty, is no mistake in that version.
var breachPlaces = map[mqttwire.Breach]place{
	mqttwire.BreachMissing:      {"", "2.2.3", "2.1"},
	mqttwire.BreachTrailing:     {"", "2.2.3", "2.1"},
	mqttwire.BreachEndless:      {"", "2.2.3", "2.1"},
	mqttwire.BreachUTF8:         {"", "1.5.3 [MQTT-1.5.3-1]", "2.5"},
	mqttwire.BreachNUL:          {"", "1.5.3 [MQTT-1.5.3-2]", ""},
	mqttwire.BreachZero:         {"", "2.3.1 [MQTT-2.3.1-1]", "2.4"},
	mqttwire.BreachFlags:        {"", "2.2.2 [MQTT-2.2.2-1]", ""},
	mqttwire.BreachPacket:       {"", "2.2.1", "2.1"},
	mqttwire.BreachQoS:          {"", "3.3.1.2 [MQTT-3.3.1-4]", "2.1"},
	mqttwire.BreachDUP:          {"", "3.3.1.1 [MQTT-3.3.1-2]", "2.1"},
	mqttwire.BreachWildcard:     {"", "3.3.2.1 [MQTT-3.3.2-2]", "3.3"},
	mqttwire.BreachEmpty:        {"", "4.7.3 [MQTT-4.7.3-1]", "3.1, 3.3"},
	mqttwire.BreachReason:       {"", "3.2.2.3, 3.9.3", "3.2, 3.9"},
	mqttwire.BreachReserved:     {"", "3.1.2.3 [MQTT-3.1.2-3], 3.2.2.1, 3.8.3 [MQTT-3.8.3-4]", ""},
	mqttwire.BreachSession:      {"", "3.2.2.2 [MQTT-3.2.2-4]", ""},
	mqttwire.BreachProtocol:     {"", "3.1.2.1 [MQTT-3.1.2-1], 3.1.2.2 [MQTT-3.1.2-2]", "3.1"},
	mqttwire.BreachWillFlags:    {"", "3.1.2.6 [MQTT-3.1.2-11]", "3.1"},
	mqttwire.BreachNoUser:       {"", "3.1.2.9 [MQTT-3.1.2-22]", "3.1"},
	mqttwire.BreachClientID:     {"", "3.1.3.1 [MQTT-3.1.3-7]", ""},
	mqttwire.BreachClientIDLong: {"", "", "3.1"},
	mqttwire.BreachNoFilter:     {"", "3.8.3 [MQTT-3.8.3-3], 3.10.3 [MQTT-3.10.3-2]", "3.8, 3.10"},
	mqttwire.BreachFilter:       {"", "4.7.1", "Appendix A"},
}

// breachIDs5 are the statements of MQTT 5.0 that stand beside mqttwire's sections.
var breachIDs5 = map[mqttwire.Breach]string{
	mqttwire.BreachNotMinimal: "[MQTT-1.5.5-1]", mqttwire.BreachUTF8: "[MQTT-1.5.4-1]", mqttwire.BreachNUL: "[MQTT-1.5.4-2]",
	mqttwire.BreachFlags: "[MQTT-2.1.3-1]", mqttwire.BreachDUP: "[MQTT-3.3.1-2]", mqttwire.BreachWildcard: "[MQTT-3.3.2-2]",
	mqttwire.BreachSession: "[MQTT-3.2.2-6]", mqttwire.BreachNoLocal: "[MQTT-3.8.3-4]",
}

// ofBreach makes a warning of what mqttwire found; false: this version has no such rule.
func ofBreach(v mqttwire.Version, e *mqttwire.ErrMalformed) (Warning, bool) {
	section := specifications[mqttwire.V5] + e.Section
	if id := breachIDs5[e.Code]; id != "" {
		section += " " + id
	}
	if v == mqttwire.V31 || v == mqttwire.V311 {
		if section = breachPlaces[e.Code].of(v); section == "" {
			return Warning{}, false
		}
	}
	return Warning{Note: note("trace.breach."+string(e.Code), "name", e.Where, "value", e.Value, "expected", e.Want), Section: section}, true
}

// note leaves out facts that are empty.
func note(key string, pairs ...string) diag.Note {
	kept := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			kept = append(kept, pairs[i], pairs[i+1])
		}
	}
	return diag.N(key, kept...)
}

// seconds writes a duration for people.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s" }
