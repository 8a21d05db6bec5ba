package rule

import (
	"regexp"
	"slices"

	"mqttdoctor/diag"
)

// Return codes of MQTT 3.1.1 3.2.2.3 and reason codes of MQTT 5.0 3.2.2.2 that the rules tell apart.
const (
	v3Version       = 1
	v3Identifier    = 2
	v3Unavailable   = 3
	v3BadLogin      = 4
	v3NotAuthorized = 5

	v5ContinueAuth    = 0x18
	v5Unspecified     = 0x80
	v5Malformed       = 0x81
	v5Protocol        = 0x82
	v5Implementation  = 0x83
	v5Version         = 0x84
	v5Identifier      = 0x85
	v5BadLogin        = 0x86
	v5NotAuthorized   = 0x87
	v5Unavailable     = 0x88
	v5Busy            = 0x89
	v5Banned          = 0x8A
	v5AuthMethod      = 0x8C
	v5PacketTooLarge  = 0x95
	v5QuotaExceeded   = 0x97
	v5UseAnother      = 0x9C
	v5ServerMoved     = 0x9D
	v5RateExceeded    = 0x9F
	v5TakenOver       = 0x8E
	noCode            = -1
	checkNoCreds      = diag.ProbeID("mqtt.without_credentials")
	checkOtherID      = diag.ProbeID("mqtt.other_client_id")
	checkVersions     = diag.ProbeID("mqtt.versions")
	checkIDForm       = diag.ProbeID("mqtt.client_id_form")
	checkKeepAlive    = diag.ProbeID("mqtt.keepalive")
	checkShortConnect = diag.ProbeID("mqtt.short_connect")
	checkLongConnect  = diag.ProbeID("mqtt.long_connect")
	checkHeld         = diag.ProbeID("mqtt.limit")
	checkRoom         = diag.ProbeID("mqtt.room")
)

// isCode tells whether a refusal bears one of the codes of its own version.
func isCode(c *diag.MQTTConnect, v3, v5 []int) bool {
	if c.Outcome != diag.OutcomeRefused {
		return false
	}
	if c.Version == diag.Version5 {
		// Brokers that know no MQTT 5 answer it with a 3.1.1 CONNACK.
		return slices.Contains(v5, c.Code) || slices.Contains(v3, c.Code)
	}
	// MQTT 3.1.1 has codes up to 5 alone; gateways send those of MQTT 5 in their form.
	return slices.Contains(v3, c.Code) || c.Code >= v5Unspecified && slices.Contains(v5, c.Code)
}

// versionRefused tells whether the answer is that the version is not taken: by code, or by an acceptance of an older one.
func versionRefused(c *diag.MQTTConnect) bool {
	return isCode(c, []int{v3Version}, []int{v5Version}) || c.OldForm()
}

func idRefused(c *diag.MQTTConnect) bool { return isCode(c, []int{v3Identifier}, []int{v5Identifier}) }

func loginRefused(c *diag.MQTTConnect) bool {
	return isCode(c, []int{v3BadLogin, v3NotAuthorized}, []int{v5BadLogin, v5NotAuthorized})
}

// loginWords are what brokers say in the WebSocket close frame that they send in place of a CONNACK: RabbitMQ "unauthenticated".
var loginWords = regexp.MustCompile(`(?i)unauthenti|unauthori|not authori|not authenti|bad (user|cred|pass)|invalid (user|cred|pass)|authentication fail`)

// loginClosed tells whether the broker ended the connection over the login, and said so in the WebSocket close frame.
func loginClosed(c *diag.MQTTConnect) bool {
	return withoutAnswer(c) && loginWords.MatchString(c.WSCloseReason)
}

// withoutAnswer tells whether the peer took the CONNECT and ended the connection without a CONNACK.
func withoutAnswer(c *diag.MQTTConnect) bool {
	return c.Code < 0 && c.Outcome.Ended() && len(c.First) == 0
}

func excludedByCode(c *diag.MQTTConnect) diag.Verdict {
	return diag.Excluded(diag.N("because.connack_code", "code", diag.CodeText(c.Code, c.Version), "reason", c.Reason))
}

// unnamed tells a refusal whose code names no reason that another rule concludes.
func unnamed(c *diag.MQTTConnect) bool {
	return c.Outcome == diag.OutcomeRefused && !isCode(c, []int{v3Version, v3Identifier, v3Unavailable, v3BadLogin, v3NotAuthorized},
		[]int{v5Version, v5Identifier, v5BadLogin, v5NotAuthorized, v5Unavailable, v5Busy, v5Banned, v5AuthMethod, v5ContinueAuth, v5PacketTooLarge,
			v5QuotaExceeded, v5UseAnother, v5ServerMoved, v5RateExceeded})
}
