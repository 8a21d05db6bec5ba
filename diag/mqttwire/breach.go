package mqttwire

import (
	"maps"
	"slices"
	"strings"
)

// Breach is a closed list of the ways in which a packet can break the specification, for those who put them into words.
type Breach string

// The breaches. {value} and {want} stand for [ErrMalformed].Value and Want.
const (
	BreachMissing        Breach = "missing"         // {value} bytes are missing
	BreachTrailing       Breach = "trailing"        // {value} bytes follow the last field
	BreachEndless        Breach = "endless"         // a Variable Byte Integer of more than four bytes
	BreachNotMinimal     Breach = "not_minimal"     // a Variable Byte Integer longer than its value {value} needs
	BreachUTF8           Breach = "not_utf8"        //
	BreachNUL            Breach = "nul"             // U+0000 in a string
	BreachZero           Breach = "zero"            // a field that must not be 0
	BreachFlags          Breach = "flags"           // fixed header flags are {value} in place of {want}
	BreachPacket         Breach = "packet"          // {want} (client or server) does not send it in version {value}
	BreachNotBoolean     Breach = "not_boolean"     // {value} is neither 0 nor 1
	BreachPropertyLength Breach = "property_length" // it is {value}, and only {want} bytes follow
	BreachPropertyID     Breach = "property_id"     // {value} is no property
	BreachPropertyPlace  Breach = "property_place"  // the property {value} may not stand in {want}
	BreachTwice          Breach = "twice"           // a property that may stand once
	BreachQoS            Breach = "qos"             // both QoS bits are set
	BreachDUP            Breach = "dup"             // DUP at QoS 0
	BreachWildcard       Breach = "wildcard"        // in a Topic Name
	BreachEmpty          Breach = "empty"           // a Topic Name or Filter
	BreachReason         Breach = "reason"          // the code {value} has no meaning in {want}
	BreachReserved       Breach = "reserved"        // reserved bits are set: {value}
	BreachSession        Breach = "session"         // Session Present in a refusal

	// Of packets that a client sends.
	BreachProtocol     Breach = "protocol"      // protocol name and level are {value}
	BreachWillFlags    Breach = "will_flags"    // Will QoS or Will Retain without Will Flag
	BreachNoUser       Breach = "no_user"       // a password without a user name, before MQTT 5
	BreachClientID     Breach = "client_id"     // empty, where a session is to be kept
	BreachClientIDLong Breach = "client_id_len" // {value} characters, more than the 23 of MQTT 3.1
	BreachAuthData     Breach = "auth_data"     // Authentication Data without a method
	BreachNoFilter     Breach = "no_filter"     // SUBSCRIBE or UNSUBSCRIBE without a filter
	BreachFilter       Breach = "filter"        // the filter {value} is not valid: {want} is the TopicFault
	BreachRetainValue  Breach = "retain_value"  // Retain Handling 3
	BreachNoLocal      Breach = "no_local"      // No Local in a shared subscription
)

// breachTexts are for errors and logs, in English. Pages have words of their own.
var breachTexts = map[Breach]string{
	BreachMissing:        "{value} bytes are missing",
	BreachTrailing:       "{value} bytes follow the last field",
	BreachEndless:        "the Variable Byte Integer goes on after its fourth byte",
	BreachNotMinimal:     "the Variable Byte Integer has more bytes than {value} needs",
	BreachUTF8:           "the string is not well-formed UTF-8",
	BreachNUL:            "the string contains U+0000",
	BreachZero:           "it is 0",
	BreachFlags:          "they are {value} in place of {want}",
	BreachPacket:         "a {want} does not send this packet in MQTT {value}",
	BreachNotBoolean:     "it is {value}, neither 0 nor 1",
	BreachPropertyLength: "it is {value} and only {want} bytes follow",
	BreachPropertyID:     "{value} is unknown",
	BreachPropertyPlace:  "{value} may not stand in {want}",
	BreachTwice:          "it stands twice",
	BreachQoS:            "both QoS bits are set",
	BreachDUP:            "it is set at QoS 0",
	BreachWildcard:       "it contains a wildcard",
	BreachEmpty:          "it is empty",
	BreachReason:         "{value} has no meaning in {want}",
	BreachReserved:       "reserved bits are set: {value}",
	BreachSession:        "it is set in a refusal",
	BreachProtocol:       "they are {value}",
	BreachWillFlags:      "Will QoS or Will Retain is set without Will Flag",
	BreachNoUser:         "a password without a user name",
	BreachClientID:       "it is empty, and the session is to be kept",
	BreachClientIDLong:   "it has {value} characters, more than 23",
	BreachAuthData:       "it stands there without Authentication Method",
	BreachNoFilter:       "there is none",
	BreachFilter:         "{value} is not valid ({want})",
	BreachRetainValue:    "it is 3",
	BreachNoLocal:        "it is set in a shared subscription",
}

// Breaches lists all of them.
func Breaches() []Breach { return slices.Sorted(maps.Keys(breachTexts)) }

func breachText(code Breach, value, want string) string {
	return strings.NewReplacer("{value}", value, "{want}", want).Replace(breachTexts[code])
}

// malformed makes the error of a breach.
func malformed(t PacketType, code Breach, where string, at int, section, value, want string) *ErrMalformed {
	return &ErrMalformed{Type: t, Where: where, Offset: at, Section: section, Code: code, Value: value, Want: want,
		Text: breachText(code, value, want)}
}
