package diag

// Arg names an argument of a [Note]. The catalogue refuses a text that uses an argument which is not in [ArgNames].
type Arg string

// Args are the arguments of a note. Values are facts (addresses, numbers, names), never sentences.
type Args map[Arg]string

// Note is a worded thing before it has words: a key of the catalogue and the facts that go into its text.
type Note struct {
	Key  string `json:"key"`
	Args Args   `json:"args,omitempty"`
}

// N makes a note from a key and alternating argument names and values.
func N(key string, pairs ...string) Note {
	n := Note{Key: key}
	for i := 0; i+1 < len(pairs); i += 2 {
		if n.Args == nil {
			n.Args = Args{}
		}
		n.Args[Arg(pairs[i])] = pairs[i+1]
	}
	return n
}

// IsZero tells whether the note says nothing.
func (n Note) IsZero() bool { return n.Key == "" }

// ArgNames is the closed list of argument names that notes and findings may carry. Target-wide ones (host, port,
// address, url, path, username_given, client_id) are supplied to every text.
var ArgNames = map[Arg]string{
	"host":          "host name as asked",
	"port":          "port as asked",
	"url":           "URL as asked, without secrets",
	"scheme":        "scheme as asked",
	"path":          "WebSocket path as asked",
	"client_id":     "client id that was used",
	"username":      "user name as asked",
	"address":       "address and port that was dialled",
	"addresses":     "list of addresses",
	"good":          "list of what works",
	"bad":           "list of what fails",
	"name":          "a host name or resolver",
	"names":         "list of names",
	"near":          "near names that exist",
	"chain":         "CNAME chain",
	"resolver":      "DNS server",
	"rcode":         "DNS response code",
	"ttl":           "time to live in seconds",
	"duration":      "time taken",
	"limit":         "time-out or limit",
	"rtt":           "round trip time",
	"count":         "a number of things",
	"pings":         "a number of pings that were answered",
	"total":         "a number of things in all",
	"hop":           "address of the last hop that answered",
	"icmp":          "ICMP type and code in words",
	"errno":         "operating system error",
	"error":         "error text as it came",
	"found":         "URL of the listener that was found",
	"answering":     "URL at which something answered, and no CONNECT was seen to be accepted",
	"protocol":      "protocol that was recognised",
	"banner":        "first line that the peer sent, cleaned",
	"version":       "MQTT or TLS version",
	"versions":      "list of versions",
	"suite":         "TLS cipher suite",
	"suites":        "list of TLS cipher suites",
	"alert":         "TLS alert in words",
	"alpn":          "ALPN name",
	"subject":       "certificate subject",
	"issuer":        "certificate issuer",
	"serial":        "certificate serial number",
	"fingerprint":   "SHA-256 fingerprint",
	"not_before":    "start of validity",
	"not_after":     "end of validity",
	"days":          "number of days",
	"clock":         "a clock's reading",
	"bits":          "key size in bits",
	"algorithm":     "algorithm name",
	"status":        "HTTP status",
	"server":        "HTTP Server header",
	"retry":         "HTTP Retry-After header",
	"location":      "redirect target",
	"origin":        "Origin header",
	"subprotocol":   "WebSocket subprotocol",
	"found_path":    "WebSocket path that works",
	"opcode":        "WebSocket frame opcode",
	"code":          "return or reason code in digits",
	"reason":        "return or reason code in words",
	"reason_string": "the broker's own reason string",
	"length":        "a length in bytes or characters",
	"keepalive":     "keep alive in seconds",
	"method":        "authentication method",
	"reference":     "server reference",
	"provider":      "cloud provider",
	"rule":          "the provider's rule in words",
	"filter":        "topic filter",
	"topic":         "topic name",
	"qos":           "asked QoS",
	"granted":       "granted QoS",
	"delivered":     "delivered QoS",
	"interval":      "interval between events",
	"check":         "a check's id",
	"field":         "a field of the input",
	"value":         "a value of the input",
	"suggested":     "a value that would do",
	"expected":      "a value that should stand there",
	"transport":     "mqtt, mqtts, ws or wss",
	"symbol":        "a failure code",
	"product":       "name of a product",
	"os":            "operating system",
	"lost":          "number of lost messages",
	"doubled":       "number of messages that came more than once",
	"reordered":     "number of messages out of order",
	"rate":          "messages per second",
}
