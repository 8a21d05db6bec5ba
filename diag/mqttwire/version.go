package mqttwire

import "fmt"

// Version is the protocol level as it stands in CONNECT (MQTT 5.0 3.1.2.2).
type Version byte

// The versions.
const (
	V31  Version = 3 // protocol name MQIsdp
	V311 Version = 4
	V5   Version = 5
)

// Versions lists all, newest first: the order in which a client that may choose tries them.
var Versions = []Version{V5, V311, V31}

// String is "3.1", "3.1.1" or "5".
func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V5:
		return "5"
	}
	return fmt.Sprintf("level %d", byte(v))
}

// ParseVersion reads "3.1", "3.1.1", "5" and "5.0".
func ParseVersion(s string) (Version, error) {
	switch s {
	case "3.1":
		return V31, nil
	case "3.1.1":
		return V311, nil
	case "5", "5.0":
		return V5, nil
	}
	return 0, fmt.Errorf("%q is no MQTT version", s)
}

// valid tells whether v is one of the constants.
func (v Version) valid() bool { return v == V31 || v == V311 || v == V5 }

// protocolName is the first field of CONNECT (MQTT 3.1 3.1, MQTT 5.0 3.1.2.1).
func (v Version) protocolName() string {
	if v == V31 {
		return "MQIsdp"
	}
	return "MQTT"
}
