package mqttwire

// ReasonInfo is what the specification says about a return or reason code in one kind of packet.
type ReasonInfo struct {
	Code    byte
	Name    string // "unknown code" where it has none
	Section string // of the version's specification
	Known   bool   // the code may stand in this packet
}

// unknownReason is the name of a code that has no meaning.
const unknownReason = "unknown code"

// connackCodes3 are the return codes of MQTT 3.1.1 3.2.2.3 (MQTT 3.1 3.2 has the same).
var connackCodes3 = [...]string{"Connection Accepted", "Connection Refused, unacceptable protocol version",
	"Connection Refused, identifier rejected", "Connection Refused, Server unavailable",
	"Connection Refused, bad user name or password", "Connection Refused, not authorized"}

// reason5 is a row of table 2-6 of MQTT 5.0 2.4.
type reason5 struct {
	name string
	in   in
}

var (
	pubAcks    = packets(PUBACK, PUBREC)
	pubTails   = packets(PUBREL, PUBCOMP)
	subAnswers = packets(SUBACK, UNSUBACK)
)

// reasons5 is that table. 0x00 has three names: see LookupReason.
var reasons5 = map[byte]reason5{
	0x00: {"Success", packets(CONNACK, UNSUBACK, AUTH, SUBACK, DISCONNECT) | pubAcks | pubTails},
	0x01: {"Granted QoS 1", packets(SUBACK)},
	0x02: {"Granted QoS 2", packets(SUBACK)},
	0x04: {"Disconnect with Will Message", packets(DISCONNECT)},
	0x10: {"No matching subscribers", pubAcks},
	0x11: {"No subscription existed", packets(UNSUBACK)},
	0x18: {"Continue authentication", packets(AUTH)},
	0x19: {"Re-authenticate", packets(AUTH)},
	0x80: {"Unspecified error", packets(CONNACK, DISCONNECT) | pubAcks | subAnswers},
	0x81: {"Malformed Packet", packets(CONNACK, DISCONNECT)},
	0x82: {"Protocol Error", packets(CONNACK, DISCONNECT)},
	0x83: {"Implementation specific error", packets(CONNACK, DISCONNECT) | pubAcks | subAnswers},
	0x84: {"Unsupported Protocol Version", packets(CONNACK)},
	0x85: {"Client Identifier not valid", packets(CONNACK)},
	0x86: {"Bad User Name or Password", packets(CONNACK)},
	0x87: {"Not authorized", packets(CONNACK, DISCONNECT) | pubAcks | subAnswers},
	0x88: {"Server unavailable", packets(CONNACK)},
	0x89: {"Server busy", packets(CONNACK, DISCONNECT)},
	0x8a: {"Banned", packets(CONNACK)},
	0x8b: {"Server shutting down", packets(DISCONNECT)},
	0x8c: {"Bad authentication method", packets(CONNACK, DISCONNECT)},
	0x8d: {"Keep Alive timeout", packets(DISCONNECT)},
	0x8e: {"Session taken over", packets(DISCONNECT)},
	0x8f: {"Topic Filter invalid", packets(DISCONNECT) | subAnswers},
	0x90: {"Topic Name invalid", packets(CONNACK, DISCONNECT) | pubAcks},
	0x91: {"Packet Identifier in use", pubAcks | subAnswers},
	0x92: {"Packet Identifier not found", pubTails},
	0x93: {"Receive Maximum exceeded", packets(DISCONNECT)},
	0x94: {"Topic Alias invalid", packets(DISCONNECT)},
	0x95: {"Packet too large", packets(CONNACK, DISCONNECT)},
	0x96: {"Message rate too high", packets(DISCONNECT)},
	0x97: {"Quota exceeded", packets(CONNACK, SUBACK, DISCONNECT) | pubAcks},
	0x98: {"Administrative action", packets(DISCONNECT)},
	0x99: {"Payload format invalid", packets(CONNACK, DISCONNECT) | pubAcks},
	0x9a: {"Retain not supported", packets(CONNACK, DISCONNECT)},
	0x9b: {"QoS not supported", packets(CONNACK, DISCONNECT)},
	0x9c: {"Use another server", packets(CONNACK, DISCONNECT)},
	0x9d: {"Server moved", packets(CONNACK, DISCONNECT)},
	0x9e: {"Shared Subscriptions not supported", packets(SUBACK, DISCONNECT)},
	0x9f: {"Connection rate exceeded", packets(CONNACK, DISCONNECT)},
	0xa0: {"Maximum connect time", packets(DISCONNECT)},
	0xa1: {"Subscription Identifiers not supported", packets(SUBACK, DISCONNECT)},
	0xa2: {"Wildcard Subscriptions not supported", packets(SUBACK, DISCONNECT)},
}

// sections5 are where MQTT 5.0 lists the codes of each packet.
var sections5 = map[PacketType]string{CONNACK: "3.2.2.2", PUBACK: "3.4.2.1", PUBREC: "3.5.2.1", PUBREL: "3.6.2.1",
	PUBCOMP: "3.7.2.1", SUBACK: "3.9.3", UNSUBACK: "3.11.3", DISCONNECT: "3.14.2.1", AUTH: "3.15.2.1"}

// LookupReason says what a code means in a packet of a version. A code that may not stand there keeps the name that it has
// elsewhere in MQTT 5, if any, with Known false.
func LookupReason(v Version, packet PacketType, code byte) ReasonInfo {
	if v != V5 {
		return lookup3(packet, code)
	}
	info := ReasonInfo{Code: code, Name: unknownReason, Section: sections5[packet]}
	row, ok := reasons5[code]
	if !ok {
		return info
	}
	info.Name, info.Known = row.name, row.in&(1<<packet) != 0
	if code == 0 {
		switch packet {
		case SUBACK:
			info.Name = "Granted QoS 0"
		case DISCONNECT:
			info.Name = "Normal disconnection"
		}
	}
	return info
}

func lookup3(packet PacketType, code byte) ReasonInfo {
	info := ReasonInfo{Code: code, Name: unknownReason}
	switch packet {
	case CONNACK:
		info.Section = "3.2.2.3"
		if int(code) < len(connackCodes3) {
			info.Name, info.Known = connackCodes3[code], true
		} else if row, ok := reasons5[code]; ok {
			info.Name = row.name // a server that answers MQTT 3 with a code of MQTT 5
		}
	case SUBACK:
		info.Section = "3.9.3"
		switch {
		case code <= 2:
			info.Name, info.Known = [...]string{"Success - Maximum QoS 0", "Success - Maximum QoS 1",
				"Success - Maximum QoS 2"}[code], true
		case code == 0x80: // MQTT 3.1.1; MQTT 3.1 knows no failure, and its servers send this one
			info.Name, info.Known = "Failure", true
		default:
			if row, ok := reasons5[code]; ok {
				info.Name = row.name
			}
		}
	}
	return info
}

// SubackReason is the name of a SUBACK's code.
func SubackReason(v Version, code byte) string { return LookupReason(v, SUBACK, code).Name }
