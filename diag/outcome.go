package diag

// Outcome is how an exchange with a peer ended: one closed list for every layer, so that rules compare like with like.
// Each says what was seen, not what it means.
type Outcome string

// The outcomes.
const (
	// OutcomeOK: the peer answered as its protocol demands, and agreed.
	OutcomeOK Outcome = "ok"
	// OutcomeRefused: it answered as its protocol demands, and declined: RST to a SYN, a TLS alert, an HTTP status,
	// a return or reason code. Which one is in the observation's own fields.
	OutcomeRefused Outcome = "refused"
	// OutcomeSilent: nothing came until the time-out, and the connection (or the SYN) stayed open.
	OutcomeSilent Outcome = "silent"
	// OutcomeClosed: the peer ended the connection in order (FIN) without the awaited answer.
	OutcomeClosed Outcome = "closed"
	// OutcomeReset: the peer reset the connection (RST) without the awaited answer.
	OutcomeReset Outcome = "reset"
	// OutcomeOther: bytes came that belong to another protocol.
	OutcomeOther Outcome = "other_protocol"
	// OutcomeMalformed: the right protocol, against its own rules.
	OutcomeMalformed Outcome = "malformed"
	// OutcomeICMP: a router or firewall answered with an ICMP error.
	OutcomeICMP Outcome = "icmp"
	// OutcomeUnreachable: this machine has no route, or was told that there is none.
	OutcomeUnreachable Outcome = "unreachable"
	// OutcomeForbidden: the policy of this server does not let the address be dialled.
	OutcomeForbidden Outcome = "forbidden"
	// OutcomeLocal: trouble on our own side (no ports left, no memory); says nothing of the target.
	OutcomeLocal Outcome = "local_error"
	// OutcomeCanceled: the run was canceled before an answer.
	OutcomeCanceled Outcome = "canceled"
)

// Ended tells whether the peer ended the connection, in whatever way.
func (o Outcome) Ended() bool { return o == OutcomeClosed || o == OutcomeReset }

// Purpose says why a connection was made beside the asked one.
type Purpose string

// The purposes.
const (
	PurposeAsked         Purpose = "asked"           // exactly what the user asked for
	PurposeOtherAddress  Purpose = "other_address"   // another address of the same name
	PurposePlain         Purpose = "plain"           // without TLS, where TLS was asked for
	PurposeTLS           Purpose = "tls"             // with TLS, where plain was asked for
	PurposeWebSocket     Purpose = "websocket"       // WebSocket, where raw MQTT was asked for
	PurposeRaw           Purpose = "raw"             // raw MQTT, where WebSocket was asked for
	PurposePort          Purpose = "port"            // a usual MQTT port of the same host
	PurposeVersion       Purpose = "version"         // another MQTT version
	PurposeNoCredentials Purpose = "no_credentials"  // the same without user name and password
	PurposeOtherClientID Purpose = "other_client_id" // the same with a temporary client id
	PurposeClientIDForm  Purpose = "client_id_form"  // with a temporary client id that shares one thing with the user's
	PurposeNoSNI         Purpose = "no_sni"          // without server name
	PurposeSNI           Purpose = "sni"             // with another server name
	PurposeTLSVersion    Purpose = "tls_version"     // held to one TLS version
	PurposeCipher        Purpose = "cipher"          // held to one cipher suite
	PurposeALPN          Purpose = "alpn"            // with an ALPN name, or without
	PurposeDevice        Purpose = "device"          // with what a usual device offers
	PurposeNoClientCert  Purpose = "no_client_cert"  // without the given client certificate
	PurposeSmallSegments Purpose = "small_segments"  // with a small maximum segment size
	PurposeSmallHello    Purpose = "small_hello"     // with a ClientHello that fits one segment
	PurposePath          Purpose = "path"            // another WebSocket path
	PurposeOrigin        Purpose = "origin"          // with another Origin, or none
	PurposeSubprotocol   Purpose = "subprotocol"     // with other WebSocket subprotocols
	PurposeKeepAlive     Purpose = "keepalive"       // with a smaller keep alive
	PurposeShortConnect  Purpose = "short_connect"   // with a CONNECT as short as can be
	PurposeLongConnect   Purpose = "long_connect"    // as long as the asked CONNECT, with other contents
	PurposeProxyHeader   Purpose = "proxy_header"    // with a PROXY protocol header in front
	PurposeAbsurdPort    Purpose = "absurd_port"     // a port where nothing can be meant to listen
	PurposeListen        Purpose = "listen"          // sending nothing, to see who speaks first
	PurposeQuestion      Purpose = "question"        // in the language of another kind of server
	PurposeRetry         Purpose = "retry"           // the same once more
	PurposeHeld          Purpose = "held"            // while others are held open
)

// What a temporary client id shares with the user's, as the label of an attempt of [PurposeClientIDForm].
const (
	FormCharacters = "characters" // its characters that are neither letters, digits nor hyphens
	FormLength     = "length"     // its length
	FormKept       = "kept"       // the session that is to be kept
	FormPlain      = "plain"      // nothing: letters and digits alone, 14 of them
)
