package rule

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

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

var mqttRules = slices.Concat(connectRules, sessionRules, watchRules, keptRules)

// connectRules are about the CONNECT and its answer.
var connectRules = []diag.Rule{
	{Code: "mqtt.provider_rule", Severity: diag.SeverityCritical,
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkNoCreds, "tls.alpn"},
		MayHide:    []diag.Code{"tcp.refused", "tcp.filtered", "tcp.wrong_port", "mqtt.not_mqtt"},
		LookAlikes: []diag.Code{"mqtt.bad_credentials", "mqtt.client_id_rejected", "mqtt.closed_without_connack"},
		Hides: []diag.Code{"mqtt.bad_credentials", "mqtt.auth_required", "mqtt.client_id_rejected", "mqtt.not_authorized",
			"mqtt.closed_without_connack", "mqtt.no_connack", "mqtt.version_unsupported"},
		When: providerRule},
	{Code: "mqtt.version_unsupported", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-3.1.2-2]", "MQTT 5.0 3.1.2.2", "MQTT 3.1.1 3.1.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkVersions, checkOtherID, "net.mtu"},
		LookAlikes: []diag.Code{"mqtt.closed_without_connack", "mqtt.no_connack", "mqtt.not_mqtt", "mqtt.client_id_rejected", "mqtt.bad_credentials"},
		Hides:      []diag.Code{"mqtt.closed_without_connack", "mqtt.no_connack"},
		When:       versionUnsupported},
	{Code: "mqtt.use_another_server", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.11", "MQTT 5.0 3.2.2.3.16"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, "mqtt.server_reference"},
		LookAlikes: []diag.Code{"mqtt.server_unavailable", "mqtt.server_busy"},
		When:       useAnotherServer},
	{Code: "mqtt.banned", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"mqtt.not_authorized", "mqtt.bad_credentials", "mqtt.server_busy"},
		When:       codeRule([]int{}, []int{v5Banned})},
	{Code: "mqtt.auth_method", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 4.12"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder},
		LookAlikes: []diag.Code{"mqtt.bad_credentials", "mqtt.auth_required", "mqtt.not_authorized"},
		When:       authMethod},
	{Code: "mqtt.connection_limit", Severity: diag.SeverityCritical,
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkHeld, checkRoom},
		LookAlikes: []diag.Code{"mqtt.server_unavailable", "mqtt.server_busy", "mqtt.closed_without_connack"},
		Hides:      []diag.Code{"mqtt.server_unavailable", "mqtt.server_busy"},
		When:       connectionLimit},
	{Code: "mqtt.server_unavailable", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 3.1.1 3.2.2.3", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkAgain}, // a code that names no reason waits for more, below
		LookAlikes: []diag.Code{"mqtt.server_busy", "mqtt.connection_limit", "mqtt.not_authorized", "mqtt.version_unsupported", "mqtt.connect_too_large"},
		When:       serverUnavailable},
	{Code: "mqtt.server_busy", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkAgain},
		LookAlikes: []diag.Code{"mqtt.server_unavailable", "mqtt.banned"},
		When:       serverBusy},
	{Code: "mqtt.connect_too_large", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.1.2.11.4", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkShortConnect, checkLongConnect},
		LookAlikes: []diag.Code{"mqtt.closed_without_connack", "mqtt.bad_credentials", "net.mtu_blackhole", "mqtt.no_connack"},
		Hides:      []diag.Code{"mqtt.closed_without_connack", "mqtt.no_connack", "mqtt.auth_required"},
		When:       connectTooLarge},
	{Code: "mqtt.keepalive_rejected", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.1.2.10"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkKeepAlive},
		LookAlikes: []diag.Code{"mqtt.client_id_rejected", "mqtt.closed_without_connack"},
		Hides: []diag.Code{"mqtt.client_id_rejected", "mqtt.closed_without_connack", "mqtt.server_unavailable", "mqtt.auth_required",
			"mqtt.not_authorized", "mqtt.bad_credentials"},
		When: keepAliveRejected},
	{Code: "mqtt.client_id_rejected", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.1.3.1", "MQTT 3.1.1 3.1.3.1", "[MQTT-3.1.3-8]"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkIDForm, checkKeepAlive},
		LookAlikes: []diag.Code{"mqtt.keepalive_rejected", "mqtt.not_authorized", "mqtt.bad_credentials", "mqtt.version_unsupported"},
		When:       clientIDRejected},
	{Code: "mqtt.auth_required", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 3.1.1 3.2.2.3", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkAgain},
		LookAlikes: []diag.Code{"mqtt.bad_credentials", "mqtt.not_authorized", "tls.client_cert_required"},
		When:       authRequired},
	{Code: "mqtt.not_authorized", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 3.1.1 3.2.2.3", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkNoCreds},
		LookAlikes: []diag.Code{"mqtt.bad_credentials", "mqtt.auth_required", "mqtt.client_id_rejected"},
		When:       notAuthorized},
	{Code: "mqtt.bad_credentials", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 3.1.1 3.2.2.3", "MQTT 5.0 3.2.2.2"},
		Awaits:     []diag.ProbeID{checkMQTT, checkOlder, checkOtherID, checkNoCreds, checkAgain},
		LookAlikes: []diag.Code{"mqtt.auth_required", "mqtt.not_authorized", "mqtt.client_id_rejected"},
		When:       badCredentials},
	{Code: "mqtt.not_mqtt", Severity: diag.SeverityCritical,
		Awaits:     notMQTTAwaits,
		LookAlikes: []diag.Code{"ws.expected", "tls.required", "tls.plaintext_peer", "mqtt.no_connack", "tcp.wrong_port"},
		Hides:      []diag.Code{"mqtt.no_connack", "mqtt.closed_without_connack", "tcp.closed_on_accept", "tls.handshake_closed", "tls.handshake_timeout"},
		When:       notMQTT},
	{Code: "mqtt.no_connack", Severity: diag.SeverityCritical,
		Sources:    []string{"[MQTT-3.1.4-5]", "MQTT 5.0 3.1.4"},
		Awaits:     []diag.ProbeID{checkWS, checkMQTT, checkOlder, checkPeerMQTT, "peer.paths", "peer.listen", checkVersions, "tcp.absurd_port", "tcp.ports", "net.mtu", "tls.alpn", checkAgain},
		LookAlikes: []diag.Code{"mqtt.closed_without_connack", "mqtt.not_mqtt", "tls.required", "ws.expected", "tcp.accepts_everything", "net.mtu_blackhole"},
		When:       noConnack},
	{Code: "mqtt.closed_without_connack", Severity: diag.SeverityCritical,
		Sources:    []string{"MQTT 5.0 3.1.4", "MQTT 5.0 4.13"},
		Awaits:     []diag.ProbeID{checkWS, checkMQTT, checkOlder, checkVersions, checkPeerMQTT, "peer.paths", "peer.listen", checkQuestions, "tcp.proxy_header", checkOtherID, checkIDForm, checkNoCreds, checkShortConnect, checkLongConnect, checkKeepAlive, checkAgain},
		LookAlikes: []diag.Code{"tcp.closed_on_accept", "tcp.proxy_protocol_expected", "mqtt.version_unsupported", "mqtt.connect_too_large", "tls.required", "mqtt.no_connack"},
		When:       closedWithoutConnack},
}

// refusal is the asked CONNECT where the broker answered and declined.
func refusal(v *diag.View) (diag.Sight[*diag.MQTTConnect], diag.Verdict, bool) {
	c, ok := askedConnect(v)
	switch {
	case !ok:
		return c, diag.Open(), false
	case c.Seen.Accepted():
		return c, diag.Excluded(diag.N("because.connack_accepted")), false
	case c.Seen.Outcome != diag.OutcomeRefused:
		return c, diag.Excluded(diag.N("because.no_connack_came")), false
	}
	return c, diag.Verdict{}, true
}

// loginRefusal is the asked CONNECT where the broker declined the login, by a code or in a WebSocket close frame.
func loginRefusal(v *diag.View) (diag.Sight[*diag.MQTTConnect], diag.Verdict, bool) {
	if c, ok := askedConnect(v); ok && loginClosed(c.Seen) {
		return c, diag.Verdict{}, true
	}
	c, no, ok := refusal(v)
	if ok && !loginRefused(c.Seen) {
		return c, excludedByCode(c.Seen), false
	}
	return c, no, ok
}

func connectFinding(c diag.Sight[*diag.MQTTConnect]) diag.Finding {
	f := diag.Finding{Step: c.Step.ID, Evidence: c.Step.Evidence, Args: diag.Args{
		"reason": c.Seen.Reason, "reason_string": c.Seen.ReasonString,
		"version": string(c.Seen.Version), "client_id": c.Seen.ClientID, "keepalive": strconv.Itoa(c.Seen.KeepAliveS),
		"duration": diag.FormatMS(c.Seen.Took) + " ms",
	}}
	if c.Seen.Code >= 0 {
		f.Args["code"] = diag.CodeText(c.Seen.Code, c.Seen.Version)
	}
	return f
}

func excludedByCode(c *diag.MQTTConnect) diag.Verdict {
	return diag.Excluded(diag.N("because.connack_code", "code", diag.CodeText(c.Code, c.Version), "reason", c.Reason))
}

// codeRule concludes a cause from the CONNACK's code alone.
func codeRule(v3, v5 []int) func(*diag.View) diag.Verdict {
	return func(v *diag.View) diag.Verdict {
		c, no, ok := refusal(v)
		if !ok {
			return no
		}
		if !isCode(c.Seen, v3, v5) {
			return excludedByCode(c.Seen)
		}
		return diag.Holds(connectFinding(c))
	}
}

// serverBusy is what the broker says, always or now and then.
func serverBusy(v *diag.View) diag.Verdict {
	codes := []int{v5Busy, v5QuotaExceeded, v5RateExceeded}
	if f, some := refusedNowAndThen(v, nil, codes); some {
		return diag.Holds(f)
	}
	return codeRule(nil, codes)(v)
}

// serverUnavailable is what the broker says; and what remains where it refuses with a code that names no reason (0x80, 0x83, or
// one that is none for a CONNECT), or finds fault with a CONNECT that is in order, and nothing that was varied helps.
func serverUnavailable(v *diag.View) diag.Verdict {
	if f, some := refusedNowAndThen(v, []int{v3Unavailable}, []int{v5Unavailable}); some {
		return diag.Holds(f)
	}
	c, no, ok := refusal(v)
	if !ok {
		return no
	}
	f := connectFinding(c)
	switch {
	case isCode(c.Seen, []int{v3Unavailable}, []int{v5Unavailable}):
		if c.Seen.Code == v3Unavailable {
			// MQTT 3.1.1 has no code for a limit: EMQX says this at one (emqx_reason_codes:compat/2), where MQTT 5 has 0x97.
			f.Readings = []diag.Code{"mqtt.connection_limit"}
		}
		return diag.Holds(f)
	case !unnamed(c.Seen):
		return excludedByCode(c.Seen)
	case slices.ContainsFunc([]diag.ProbeID{checkVersions, checkOtherID, checkNoCreds, checkKeepAlive, checkShortConnect, checkLongConnect},
		func(id diag.ProbeID) bool { return !v.Ended(id) }):
		return diag.Open()
	}
	for _, better := range []func(*diag.View) diag.Verdict{versionUnsupported, connectTooLarge, keepAliveRejected, clientIDRejected, badCredentials} {
		if held(v, better) {
			return diag.Excluded(diag.N("because.other_reason_found"))
		}
	}
	f.Variant, f.Confidence = "unnamed", diag.Possible
	f.Readings = []diag.Code{"mqtt.not_authorized", "mqtt.client_id_rejected", "mqtt.version_unsupported"}
	if c.Seen.Credentials {
		f.Readings = append(f.Readings, "mqtt.bad_credentials")
	}
	return diag.Holds(f)
}

// unnamed tells a refusal whose code names no reason that another rule concludes.
func unnamed(c *diag.MQTTConnect) bool {
	return c.Outcome == diag.OutcomeRefused && !isCode(c, []int{v3Version, v3Identifier, v3Unavailable, v3BadLogin, v3NotAuthorized},
		[]int{v5Version, v5Identifier, v5BadLogin, v5NotAuthorized, v5Unavailable, v5Busy, v5Banned, v5AuthMethod, v5ContinueAuth, v5PacketTooLarge,
			v5QuotaExceeded, v5UseAnother, v5ServerMoved, v5RateExceeded})
}

// versionUnsupported needs a refusal of the asked version (by code or by a close) and another version that works. In auto
// no version was asked for: falling back is what a client does then.
func versionUnsupported(v *diag.View) diag.Verdict {
	c, ok := askedConnect(v)
	if !ok {
		return diag.Open()
	}
	o := c.Seen
	if o.Accepted() {
		return diag.Excluded(diag.N("because.connack_accepted"))
	}
	if s, ok := swallowedConnect(v); ok {
		return diag.Excluded(diag.N("because.connect_swallowed", "address", s.Seen.Address))
	}
	var works []string
	for _, s := range attempts(v, diag.PurposeVersion) {
		// A login that is refused shows the version understood.
		if s.Seen.MQTT != nil && s.Seen.MQTT.Version != o.Version && s.Seen.SpeaksMQTT() && !versionRefused(s.Seen.MQTT) {
			works = append(works, string(s.Seen.MQTT.Version))
		}
	}
	slices.Sort(works)
	works = slices.Compact(works)
	says := versionRefused(o)
	answered, understood := answeredInVersion(v, o.Version)
	_, accepted := first(attempts(v, diag.PurposeVersion), func(a *diag.Attempt) bool { return a.Accepted() && a.MQTT.Version != o.Version })
	variant := ""
	switch {
	case o.OldForm():
		variant = "old_form"
	case says:
		// The broker itself says that it does not take this version, even where none works.
	case o.Code >= 0 && !(accepted && isCode(o, nil, []int{v5Unspecified, v5Malformed, v5Protocol, v5Implementation})):
		return excludedByCode(o)
	case len(works) == 0:
		return diag.Excluded(diag.N("because.no_version_works"))
	case understood:
		return diag.Excluded(diag.N("because.version_answered", "version", string(o.Version), "check", string(answered.Step.Check)))
	case o.Code >= 0:
		variant = "other_code"
	case withoutAnswer(o):
		variant = "closed"
	case o.Outcome == diag.OutcomeSilent:
		variant = "silent"
	default:
		return diag.Excluded(diag.N("because.connect_stayed_open"))
	}
	f := connectFinding(c)
	f.Args["versions"] = strings.Join(works, ", ")
	f.Variant = variant
	// The other version went with a temporary client id: where the user's own id was sent, that may be the difference.
	if variant == "silent" || variant == "other_code" || variant == "closed" && o.OwnClientID && !otherIDFails(v, o.Version) {
		f.Confidence = diag.Likely
	}
	for _, version := range diag.Versions {
		if s, ok := first(attempts(v, diag.PurposeVersion), func(a *diag.Attempt) bool {
			return a.Accepted() && a.MQTT.Version == version
		}); ok {
			f.Suggestion = &diag.Suggestion{Protocol: s.Seen.MQTT.Version}
			break
		}
	}
	return diag.Holds(f)
}

// answeredInVersion is a variation of the asked CONNECT in the same version that got a proper answer: the version is understood,
// and what was varied is what matters.
func answeredInVersion(v *diag.View, version diag.Version) (diag.Sight[*diag.Attempt], bool) {
	return first(attempts(v, diag.PurposeOtherClientID, diag.PurposeNoCredentials, diag.PurposeKeepAlive, diag.PurposeShortConnect, diag.PurposeLongConnect,
		diag.PurposeRetry),
		func(a *diag.Attempt) bool {
			return a.SpeaksMQTT() && a.MQTT.Version == version && !versionRefused(a.MQTT) && !unnamed(a.MQTT)
		})
}

// otherIDFails tells whether a temporary client id met the same end in the same version: then it is not the id.
func otherIDFails(v *diag.View, version diag.Version) bool {
	_, ok := first(attempts(v, diag.PurposeOtherClientID), func(a *diag.Attempt) bool {
		return a.MQTT != nil && a.MQTT.Version == version && withoutAnswer(a.MQTT)
	})
	return ok
}

func useAnotherServer(v *diag.View) diag.Verdict {
	c, no, ok := refusal(v)
	if !ok {
		return no
	}
	if !isCode(c.Seen, nil, []int{v5UseAnother, v5ServerMoved}) {
		return excludedByCode(c.Seen)
	}
	f := connectFinding(c)
	if c.Seen.Code == v5ServerMoved {
		f.Variant = "moved"
	}
	if p := c.Seen.Props; p != nil && p.ServerReference != "" {
		f.Args["reference"] = p.ServerReference
		if s, ok := first(attempts(v), func(a *diag.Attempt) bool { return a.Label == "server_reference" && a.Accepted() }); ok {
			f.Suggestion = &diag.Suggestion{URL: urlOf(v, s.Seen)}
		}
	}
	return diag.Holds(f)
}

func authMethod(v *diag.View) diag.Verdict {
	c, no, ok := refusal(v)
	if !ok {
		return no
	}
	// AUTH in place of the CONNACK goes on with an exchange that nobody has begun (MQTT 5.0 4.12).
	if !isCode(c.Seen, nil, []int{v5AuthMethod, v5ContinueAuth}) {
		return excludedByCode(c.Seen)
	}
	f := connectFinding(c)
	if p := c.Seen.Props; p != nil {
		f.Args["method"] = p.AuthenticationMethod
	}
	return diag.Holds(f)
}

// connectComplaints are those that a limit on connections explains.
var connectComplaints = []diag.Symptom{diag.SymptomCannotConnect, diag.SymptomTimeout, diag.SymptomRefused, diag.SymptomDrops}

// connectionLimit needs several connections held at once by us, the refusal of a further one, and its success after one was
// closed: see mqtt.limit.
func connectionLimit(v *diag.View) diag.Verdict {
	for _, s := range diag.Seen[*diag.HeldConnections](v) {
		if s.Seen.Refused && s.Seen.RetryWorked {
			f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Args: diag.Args{"count": strconv.Itoa(s.Seen.Held)}}
			if s.Seen.Held == 1 {
				f.Variant = "one"
			}
			if s.Step.Check == checkRoom && !slices.Contains(connectComplaints, v.Options.Symptom) {
				f.Severity = diag.SeverityInfo // the client has its place, and nobody complains of another's
			}
			return diag.Holds(f)
		}
		if s.Seen.Refused && !s.Seen.Closed {
			// None of the held ones could be closed for a retry. A quota is the broker's own word for it.
			if s.Seen.Held > 0 && s.Seen.Code == v5QuotaExceeded {
				return diag.Holds(diag.Finding{Variant: "quota", Confidence: diag.Likely, Step: s.Step.ID, Evidence: s.Step.Evidence,
					Args: diag.Args{"count": strconv.Itoa(s.Seen.Held), "code": diag.CodeText(s.Seen.Code, diag.Version5)}})
			}
			return diag.Open()
		}
		if s.Seen.Held > 0 {
			return diag.Excluded(diag.N("because.held_connections", "count", strconv.Itoa(s.Seen.Held)))
		}
	}
	return diag.Open()
}

func connectTooLarge(v *diag.View) diag.Verdict {
	c, ok := askedConnect(v)
	if !ok {
		return diag.Open()
	}
	o := c.Seen
	if o.Accepted() {
		return diag.Excluded(diag.N("because.connack_accepted"))
	}
	f := connectFinding(c)
	f.Args["length"] = strconv.Itoa(o.ConnectBytes)
	if isCode(o, nil, []int{v5PacketTooLarge}) {
		return diag.Holds(f)
	}
	if o.Code >= 0 && !isCode(o, nil, []int{v5Unspecified, v5Malformed, v5Protocol, v5Implementation, v5QuotaExceeded}) {
		return excludedByCode(o)
	}
	sights := attempts(v, diag.PurposeShortConnect)
	if s, ok := first(sights, func(a *diag.Attempt) bool { return a.SpeaksMQTT() && a.MQTT.Code != o.Code }); ok {
		f.Confidence = diag.Likely
		if long := attempts(v, diag.PurposeLongConnect); len(long) > 0 && long[0].Seen.MQTT != nil {
			if long[0].Seen.SpeaksMQTT() && long[0].Seen.MQTT.Code != o.Code {
				return diag.Excluded(diag.N("because.long_connect_answered"))
			}
			f.Confidence = diag.Certain
			f.Evidence = append(f.Evidence, long[0].Step.Evidence...)
		}
		f.Evidence = append(f.Evidence, s.Step.Evidence...)
		return diag.Holds(f)
	}
	if len(sights) > 0 {
		return diag.Excluded(diag.N("because.short_connect_same"))
	}
	return diag.Excluded(diag.N("because.connect_is_short", "length", strconv.Itoa(o.ConnectBytes)))
}

func keepAliveRejected(v *diag.View) diag.Verdict {
	c, ok := askedConnect(v)
	if !ok {
		return diag.Open()
	}
	o := c.Seen
	if o.Accepted() {
		return diag.Excluded(diag.N("because.connack_accepted"))
	}
	// Brokers answer with whatever code their author thought of: that the control was refused too decides, below.
	if o.Outcome != diag.OutcomeRefused && !withoutAnswer(o) {
		return diag.Excluded(diag.N("because.not_that_answer"))
	}
	sights := attempts(v, diag.PurposeKeepAlive)
	small, works := first(sights, func(a *diag.Attempt) bool { return a.Accepted() && a.MQTT.KeepAliveS != o.KeepAliveS })
	control, controlled := first(sights, func(a *diag.Attempt) bool { return a.MQTT != nil && a.MQTT.KeepAliveS == o.KeepAliveS })
	switch {
	case !works && len(sights) > 0:
		return diag.Excluded(diag.N("because.smaller_keepalive_same"))
	case !works:
		return diag.Excluded(diag.N("because.keepalive_is_usual", "keepalive", strconv.Itoa(o.KeepAliveS)))
	case controlled && control.Seen.Accepted(), !controlled && !idRefused(o) && !withoutAnswer(o):
		return diag.Excluded(diag.N("because.keepalive_passes_with_other_id"))
	}
	f := connectFinding(c)
	f.Args["suggested"] = strconv.Itoa(small.Seen.MQTT.KeepAliveS)
	seconds := small.Seen.MQTT.KeepAliveS
	f.Suggestion = &diag.Suggestion{KeepAlive: &seconds}
	return diag.Holds(f)
}

func clientIDRejected(v *diag.View) diag.Verdict {
	c, no, ok := refusal(v)
	if !ok {
		return no
	}
	o := c.Seen
	if other, works := acceptedOtherID(v); !idRefused(o) && !(unnamed(o) && works && other.Seen.MQTT.Version == o.Version) {
		return excludedByCode(o)
	}
	if s, ok := first(attempts(v, diag.PurposeKeepAlive), func(a *diag.Attempt) bool {
		return a.Accepted() && a.MQTT.KeepAliveS != o.KeepAliveS
	}); ok {
		if _, byKeepAlive := keepAliveRejected(v).Concluded(); byKeepAlive {
			return diag.Excluded(diag.N("because.keepalive_matters", "suggested", strconv.Itoa(s.Seen.MQTT.KeepAliveS)))
		}
	}
	f := connectFinding(c)
	f.Args["length"] = strconv.Itoa(len([]rune(o.ClientID)))
	other := slices.Concat(attempts(v, diag.PurposeOtherClientID), plainID(v), attempts(v, diag.PurposeVersion, diag.PurposeOtherAddress))
	if s, ok := first(other, func(a *diag.Attempt) bool { return a.Accepted() && a.MQTT.ClientID != o.ClientID }); ok {
		id := s.Seen.MQTT.ClientID
		if sameVersion := s.Seen.MQTT.Version == o.Version; sameVersion && s.Seen.Purpose != diag.PurposeVersion && s.Seen.Purpose != diag.PurposeOtherAddress {
			f.Suggestion = &diag.Suggestion{ClientID: &id}
		}
		f.Args["suggested"] = id
	}
	var control diag.Sight[*diag.Attempt]
	f.Variant, control = mindedOfID(v, o)
	f.Evidence = append(slices.Clone(f.Evidence), control.Step.Evidence...)
	if f.Variant == "kept" {
		f.Suggestion = nil // the user's own id is as good as the other, with a clean start
		delete(f.Args, "suggested")
	}
	return diag.Holds(f)
}

// refusedLogin is the finding of a login that was refused by a code, or by the close of a WebSocket.
func refusedLogin(c diag.Sight[*diag.MQTTConnect]) diag.Finding {
	f := connectFinding(c)
	if c.Seen.Code >= 0 {
		return f
	}
	f.Variant = "websocket_close"
	f.Args["reason"] = c.Seen.WSCloseReason
	if !strings.EqualFold(c.Seen.WSCloseReason, "unauthenticated") {
		// RabbitMQ's own word for a refused login; others come from gateways as well, which judge a token of HTTP.
		f.Confidence = diag.Likely
		f.Readings = []diag.Code{"ws.auth_required"}
	}
	return f
}

// mindedOfID is what of the client id the broker minds, as a variant, with the connection that showed it: one that shared just
// that with the user's and was refused as well. It is empty where nothing but this id is known to be refused.
func mindedOfID(v *diag.View, o *diag.MQTTConnect) (variant string, control diag.Sight[*diag.Attempt]) {
	if !o.OwnClientID {
		return "temporary", control // the broker wants ids of its own form
	}
	for _, s := range attempts(v, diag.PurposeClientIDForm) {
		refused := s.Seen.MQTT != nil && !s.Seen.Accepted() && s.Seen.MQTT.Version == o.Version &&
			(s.Seen.MQTT.Code == o.Code && s.Seen.MQTT.Outcome == o.Outcome || withoutAnswer(s.Seen.MQTT) && withoutAnswer(o))
		switch {
		case s.Seen.Label == diag.FormPlain && s.Seen.Accepted():
			switch {
			case len(o.ClientID) <= len(s.Seen.MQTT.ClientID):
				return "characters", s
			case strings.IndexFunc(o.ClientID, notLetterOrDigit) < 0:
				return "long", s
			}
		case refused && s.Seen.Label == diag.FormKept:
			return "kept", s
		case refused && s.Seen.Label == diag.FormCharacters:
			return "characters", s
		case refused && s.Seen.Label == diag.FormLength:
			return "long", s
		}
	}
	if len(attempts(v, diag.PurposeClientIDForm)) == 0 && o.Version == diag.Version31 && len([]rune(o.ClientID)) > 23 {
		return "long", control // more than the specification allows (MQTT 3.1 3.1)
	}
	return "", control
}

// plainID are the connections under a temporary client id of letters and digits alone.
func plainID(v *diag.View) []diag.Sight[*diag.Attempt] {
	return slices.DeleteFunc(slices.Clone(attempts(v, diag.PurposeClientIDForm)),
		func(s diag.Sight[*diag.Attempt]) bool { return s.Seen.Label != diag.FormPlain })
}

// notLetterOrDigit tells characters that a server need not accept in a client id (MQTT 3.1.1 3.1.3.1).
func notLetterOrDigit(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}

// authRequired: nothing was given and the broker wants some. Where the user's own client id was sent, another id decides:
// a broker that takes that one without a login minds the id.
func authRequired(v *diag.View) diag.Verdict {
	if f, some := refusedNowAndThen(v, []int{v3BadLogin, v3NotAuthorized}, []int{v5BadLogin, v5NotAuthorized}); some && !v.Target.Credentials() {
		return diag.Holds(f)
	}
	c, no, ok := loginRefusal(v)
	if !ok {
		return no
	}
	o := c.Seen
	switch {
	case o.CredentialsWithheld:
		return diag.Open() // we held the login back; the broker may well accept it
	case o.Credentials:
		return diag.Excluded(diag.N("because.credentials_were_sent"))
	}
	if s, ok := acceptedOtherID(v); ok {
		return diag.Excluded(diag.N("because.other_client_id_works", "client_id", s.Seen.MQTT.ClientID))
	}
	f := refusedLogin(c)
	if isCode(o, []int{v3NotAuthorized}, []int{v5NotAuthorized}) {
		// The same answer is given to a client id or address that may not connect at all.
		f.Confidence = diag.Likely
		f.Readings = []diag.Code{"mqtt.not_authorized"}
	}
	return diag.Holds(f)
}

// acceptedOtherID is a connection with the same login and another client id that the broker accepted.
func acceptedOtherID(v *diag.View) (diag.Sight[*diag.Attempt], bool) {
	c, ok := askedConnect(v)
	if !ok || !c.Seen.OwnClientID {
		return diag.Sight[*diag.Attempt]{}, false
	}
	// The same version decides best, and is what can be suggested.
	tried := slices.Concat(attempts(v, diag.PurposeOtherClientID), attempts(v, diag.PurposeVersion))
	return first(tried, func(a *diag.Attempt) bool {
		return a.Accepted() && a.MQTT.Credentials == c.Seen.Credentials
	})
}

// notAuthorized needs the login known to be right: another client id, or another address, is accepted with it.
func notAuthorized(v *diag.View) diag.Verdict {
	c, no, ok := loginRefusal(v)
	if !ok {
		return no
	}
	o := c.Seen
	if s, ok := acceptedOtherID(v); ok {
		f := connectFinding(c)
		f.Variant = "client_id"
		f.Args["suggested"] = s.Seen.MQTT.ClientID
		if s.Seen.Purpose == diag.PurposeOtherClientID {
			id := s.Seen.MQTT.ClientID
			f.Suggestion = &diag.Suggestion{ClientID: &id}
		}
		return diag.Holds(f)
	}
	if s, ok := first(attempts(v, diag.PurposeOtherAddress), func(a *diag.Attempt) bool {
		return a.Accepted() && a.MQTT.Credentials == o.Credentials
	}); ok && o.Credentials {
		f := connectFinding(c)
		f.Variant = "address"
		f.Args["address"] = s.Seen.Address
		return diag.Holds(f)
	}
	return diag.Excluded(diag.N("because.login_never_worked"))
}

func badCredentials(v *diag.View) diag.Verdict {
	if f, some := refusedNowAndThen(v, []int{v3BadLogin, v3NotAuthorized}, []int{v5BadLogin, v5NotAuthorized}); some && v.Target.Credentials() {
		return diag.Holds(f)
	}
	c, no, ok := loginRefusal(v)
	if !ok {
		return no
	}
	o := c.Seen
	switch {
	case !o.Credentials && !o.CredentialsWithheld:
		return diag.Excluded(diag.N("because.no_credentials_were_sent"))
	case o.CredentialsWithheld:
		return diag.Open()
	}
	if s, ok := acceptedOtherID(v); ok {
		return diag.Excluded(diag.N("because.other_client_id_works", "client_id", s.Seen.MQTT.ClientID))
	}
	if _, ok := notAuthorized(v).Concluded(); ok {
		return diag.Excluded(diag.N("because.login_works_elsewhere"))
	}
	f := refusedLogin(c)
	if isCode(o, []int{v3NotAuthorized}, []int{v5NotAuthorized}) {
		// Many brokers answer a wrong password so; the code alone leaves an account without rights as another reading.
		f.Variant = "not_authorized_code"
		f.Confidence = diag.Likely
		f.Readings = []diag.Code{"mqtt.not_authorized"}
	}
	if _, ok := first(attempts(v, diag.PurposeNoCredentials), (*diag.Attempt).Accepted); ok {
		f.Variant = "anonymous_works"
	}
	return diag.Holds(f)
}

// askedUpgraded tells that the asked upgrade succeeded: what the port says outside of it is HTTP, as it should be.
func askedUpgraded(v *diag.View) bool {
	up, ok := askedUpgrade(v)
	return ok && up.Seen.Outcome == diag.OutcomeOK
}

// foreign is a protocol other than MQTT that the peer was heard to speak on the asked port, the most direct answer first.
func foreign(v *diag.View) (protocol, banner, step string, evidence []diag.Evidence) {
	known := func(p string) bool { return p != "" && p != "mqtt" }
	// Where TLS was asked for, TLS is what the port should speak to those who come without.
	outside := func(p string) bool { return known(p) && !(p == "tls" && v.Target.Scheme.UsesTLS()) }
	for _, s := range diag.SeenBy[*diag.PeerAnswer](v, "peer.listen") {
		if outside(s.Seen.Speaks) && !askedUpgraded(v) {
			return s.Seen.Speaks, s.Seen.Banner, s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range askedConnects(v) {
		if known(s.Seen.Speaks) && s.Seen.Outcome == diag.OutcomeOther {
			return s.Seen.Speaks, s.Seen.Banner, s.Step.ID, s.Step.Evidence
		}
	}
	if askedUpgraded(v) {
		return "", "", "", nil
	}
	for _, s := range diag.SeenBy[*diag.PeerAnswer](v, checkQuestions) {
		if outside(s.Seen.Speaks) {
			return s.Seen.Speaks, "", s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		if outside(s.Seen.Speaks) && !s.Seen.ServerHello {
			return s.Seen.Speaks, "", s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if known(s.Seen.Speaks) && s.Seen.Outcome == diag.OutcomeOther {
			return s.Seen.Speaks, "", s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range attempts(v, diag.PurposePlain, diag.PurposeTLS, diag.PurposeWebSocket, diag.PurposeRaw) {
		a := s.Seen
		switch {
		case a.MQTT != nil && a.MQTT.Speaks == "http" && v.Target.Scheme == diag.SchemeWSS: // as a web server says to who comes without TLS
		case a.MQTT != nil && a.MQTT.Outcome == diag.OutcomeOther && outside(a.MQTT.Speaks):
			return a.MQTT.Speaks, a.MQTT.Banner, s.Step.ID, s.Step.Evidence
		case a.WS != nil && a.WS.HTTP() && a.Transport.UsesTLS() == v.Target.Scheme.UsesTLS() && !v.Target.Scheme.IsWebSocket():
			return "http", a.WS.Server, s.Step.ID, s.Step.Evidence
		case a.WS != nil && a.WS.Outcome == diag.OutcomeOther && outside(a.WS.Speaks):
			return a.WS.Speaks, "", s.Step.ID, s.Step.Evidence
		case a.TLS != nil && !a.TLS.ServerHello && outside(a.TLS.Speaks):
			return a.TLS.Speaks, "", s.Step.ID, s.Step.Evidence
		}
	}
	for _, s := range attempts(v, diag.PurposeWebSocket) {
		// An HTTPS server where TLS was not asked for: whatever it is, it is no broker; tls.required leaves it to us.
		if a := s.Seen; a.WS != nil && a.WS.HTTP() && !v.Target.Scheme.IsWebSocket() {
			return "http", a.WS.Server, s.Step.ID, s.Step.Evidence
		}
	}
	return "", "", "", nil
}

// otherBytes tells whether the peer answered the asked path with bytes that are no known protocol and no MQTT.
func otherBytes(v *diag.View) (step string, evidence []diag.Evidence, ok bool) {
	for _, s := range askedConnects(v) {
		if s.Seen.Outcome == diag.OutcomeOther || s.Seen.Outcome == diag.OutcomeMalformed {
			return s.Step.ID, s.Step.Evidence, true
		}
	}
	if askedUpgraded(v) {
		return "", nil, false
	}
	for _, s := range diag.SeenBy[*diag.TLSHandshake](v, checkTLS) {
		if s.Seen.Outcome == diag.OutcomeOther && !s.Seen.ServerHello {
			return s.Step.ID, s.Step.Evidence, true
		}
	}
	for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if s.Seen.Outcome == diag.OutcomeOther {
			return s.Step.ID, s.Step.Evidence, true
		}
	}
	for _, s := range diag.SeenBy[*diag.PeerAnswer](v, "peer.listen") {
		if len(s.Seen.First) > 0 {
			return s.Step.ID, s.Step.Evidence, true
		}
	}
	return "", nil, false
}

// notMQTTAwaits are all that speaks where no broker does; what hides mqtt.not_mqtt is among them.
var notMQTTAwaits = []diag.ProbeID{checkTCP, checkMQTT, checkOlder, checkVersions, checkTransports, checkPeerMQTT, checkPeerPaths, checkListen, checkQuestions,
	"tcp.ports", "tcp.proxy_header", "tcp.absurd_port", "net.mtu", "net.large", "net.loss", checkCaptive, "mqtt.addresses", checkOtherID, checkNoCreds}

func notMQTT(v *diag.View) diag.Verdict {
	if c, ok := askedConnect(v); ok && c.Seen.Answered() {
		return diag.Excluded(diag.N("because.connack_came"))
	}
	if s, ok := otherTransport(v); ok {
		return diag.Excluded(diag.N("because.broker_in_other_transport", "transport", string(s.Seen.Transport)))
	}
	if c, ok := askedConnect(v); ok && textMQTT(c.Seen) {
		return diag.Excluded(diag.N("because.text_frames"))
	}
	if up, ok := askedUpgrade(v); ok && up.Seen.HTTP() && !askedUpgraded(v) {
		return diag.Excluded(diag.N("because.http_answered", "status", statusOf(up.Seen)))
	}
	if s, ok := httpBehindSilence(v); ok {
		return diag.Excluded(diag.N("because.http_answered", "status", s.Seen.MQTT.Banner))
	}
	protocol, banner, step, evidence := foreign(v)
	if protocol == "" {
		var ok bool
		if step, evidence, ok = otherBytes(v); !ok {
			return diag.Excluded(diag.N("because.nothing_said"))
		}
		return diag.Holds(diag.Finding{Variant: "unknown", Step: step, Evidence: evidence, Confidence: diag.Likely})
	}
	if protocol == "tls" && !v.Target.Scheme.UsesTLS() {
		return diag.Excluded(diag.N("because.tls_answered"))
	}
	return diag.Holds(diag.Finding{Step: step, Evidence: evidence, Args: diag.Args{"protocol": protocolName(protocol), "banner": banner}})
}

// protocolName writes a recognised protocol as people know it.
func protocolName(p string) string {
	names := map[string]string{"http": "HTTP", "ssh": "SSH", "smtp": "SMTP", "ftp": "FTP", "pop3": "POP3", "imap": "IMAP",
		"amqp": "AMQP", "redis": "Redis", "kafka": "Kafka", "postgresql": "PostgreSQL", "mysql": "MySQL", "tls": "TLS",
		"opcua": "OPC UA", "coap": "CoAP (TCP)", "mongodb": "MongoDB", "activemq": "ActiveMQ (OpenWire)", "oracle": "Oracle Net", "telnet": "Telnet", "nats": "NATS", "stomp": "STOMP", "vnc": "VNC", "rdp": "RDP", "memcached": "Memcached",
		"echo": "Echo (RFC 862)"}
	if name, ok := names[p]; ok {
		return name
	}
	return strings.ToUpper(p)
}

// upgradeUnanswered is the asked upgrade where nothing at all came back to it, and nothing that is known came back to anything
// else: no CONNECT could be sent in it.
func upgradeUnanswered(v *diag.View) (diag.Sight[*diag.WSUpgrade], bool) {
	up, ok := askedUpgrade(v)
	if _, sent := askedConnect(v); sent || !ok || up.Seen.HTTP() || len(up.Seen.First) > 0 {
		return up, false
	}
	if _, ok := alertIn(up.Seen.Error); ok {
		return up, false
	}
	if _, ok := otherTransport(v); ok {
		return up, false
	}
	protocol, _, _, _ := foreign(v)
	return up, protocol == ""
}

func unansweredFinding(up diag.Sight[*diag.WSUpgrade]) diag.Finding {
	f := wsFinding(up)
	delete(f.Args, "status")
	f.Variant, f.Args["duration"] = "upgrade", diag.FormatMS(up.Seen.Took)+" ms"
	return f
}

func noConnack(v *diag.View) diag.Verdict {
	if up, mute := upgradeUnanswered(v); mute && up.Seen.Outcome == diag.OutcomeSilent {
		f := unansweredFinding(up)
		f.Args["limit"] = seconds(v.Options.Timeout)
		return diag.Holds(f)
	}
	if s, ok := swallowedConnect(v); ok {
		f := swallowedFinding(v, s)
		f.Args["limit"] = seconds(v.Options.Timeout)
		return diag.Holds(f)
	}
	if f, some := nowAndThen(v, func(o *diag.SessionSeries) int { return o.Silent }); some {
		return diag.Holds(f)
	}
	c, ok := askedConnect(v)
	switch {
	case !ok:
		return diag.Open()
	case c.Seen.Answered():
		return diag.Excluded(diag.N("because.connack_came"))
	case c.Seen.Outcome.Ended():
		return diag.Excluded(diag.N("because.connection_ended"))
	case c.Seen.Outcome != diag.OutcomeSilent:
		return diag.Excluded(diag.N("because.not_that_answer"))
	}
	if s, ok := otherTransport(v); ok {
		return diag.Excluded(diag.N("because.broker_in_other_transport", "transport", string(s.Seen.Transport)))
	}
	again, passes := passedAgain(v, checkMQTT)
	if s, ok := first(attempts(v, diag.PurposeVersion, diag.PurposeALPN, diag.PurposeSmallSegments), (*diag.Attempt).Accepted); ok && !passes {
		return diag.Excluded(diag.N("because.variation_works", "value", s.Seen.Label))
	}
	if s, ok := first(attempts(v, diag.PurposeVersion), (*diag.Attempt).SpeaksMQTT); ok && !passes && held(v, versionUnsupported) {
		return diag.Excluded(diag.N("because.variation_works", "value", s.Seen.Label))
	}
	f := connectFinding(c)
	f.Args["limit"] = seconds(v.Options.Timeout)
	if passes {
		return hungOnce(v, f, again)
	}
	return diag.Holds(f)
}

// swallowedConnect is the asked CONNECT where the network lost it and each of its repeats, and that of another attempt in the same
// transport as well: an older version is no help against what drops packets by what they hold, though one may be spelled otherwise.
func swallowedConnect(v *diag.View) (diag.Sight[*diag.MQTTConnect], bool) {
	s, ok := first(askedConnects(v), (*diag.MQTTConnect).Swallowed)
	if !ok {
		return s, false
	}
	_, again := first(attempts(v), func(a *diag.Attempt) bool {
		return a.Transport == s.Seen.Transport && a.Address == s.Seen.Address && a.MQTT != nil && a.MQTT.Swallowed()
	})
	return s, again
}

// swallowedFinding says whether other bytes on the same port were answered: then it is what the packets hold, or how a program
// reads them, that something on the way looks at.
func swallowedFinding(v *diag.View, s diag.Sight[*diag.MQTTConnect]) diag.Finding {
	f := connectFinding(s)
	f.Variant = "swallowed"
	f.Args["address"], f.Args["count"], f.Args["length"] = s.Seen.Address, strconv.Itoa(s.Seen.TCP.Retransmits), strconv.Itoa(s.Seen.ConnectBytes)
	if other, ok := first(attempts(v), func(a *diag.Attempt) bool {
		return a.Address == s.Seen.Address && (a.SpeaksMQTT() || a.TLS != nil && (a.TLS.Outcome.Ended() || a.TLS.Outcome == diag.OutcomeOK) ||
			a.WS != nil && a.WS.Outcome.Ended())
	}); ok {
		f.Variant = "by_content"
		f.Args["check"] = string(other.Step.Check)
		f.Evidence = append(slices.Clone(f.Evidence), other.Step.Evidence...)
	}
	return f.Hiding("mqtt.version_unsupported")
}

func closedWithoutConnack(v *diag.View) diag.Verdict {
	if up, mute := upgradeUnanswered(v); mute && up.Seen.Outcome.Ended() {
		return diag.Holds(unansweredFinding(up))
	}
	if f, some := nowAndThen(v, func(o *diag.SessionSeries) int { return o.Ended }); some {
		return diag.Holds(f)
	}
	c, ok := askedConnect(v)
	switch {
	case !ok:
		return diag.Open()
	case c.Seen.Answered():
		return diag.Excluded(diag.N("because.connack_came"))
	case c.Seen.Alert != nil:
		return diag.Excluded(diag.N("because.tls_alert", "alert", c.Seen.Alert.String()))
	case loginClosed(c.Seen):
		return diag.Excluded(diag.N("because.close_names_login", "reason", c.Seen.WSCloseReason))
	case !c.Seen.Outcome.Ended():
		return diag.Excluded(diag.N("because.connection_stayed_open"))
	}
	if s, ok := otherTransport(v); ok {
		return diag.Excluded(diag.N("because.broker_in_other_transport", "transport", string(s.Seen.Transport)))
	}
	if held(v, connectTooLarge) {
		return diag.Excluded(diag.N("because.variation_works"))
	}
	f := connectFinding(c)
	// The same version with another client id decides before the others, which had another id too.
	if s, ok := first(attempts(v, diag.PurposeOtherClientID), (*diag.Attempt).Accepted); ok && c.Seen.OwnClientID {
		if minded, control := mindedOfID(v, c.Seen); minded == "kept" {
			f.Variant, f.Evidence = minded, append(slices.Clone(f.Evidence), control.Step.Evidence...)
			return diag.Holds(f)
		}
		id := s.Seen.MQTT.ClientID
		f.Variant = "client_id"
		f.Args["suggested"] = id
		f.Suggestion = &diag.Suggestion{ClientID: &id}
		return diag.Holds(f)
	}
	if s, ok := first(attempts(v, diag.PurposeKeepAlive), func(a *diag.Attempt) bool {
		return a.SpeaksMQTT() && a.MQTT.Version == c.Seen.Version && a.MQTT.KeepAliveS == c.Seen.KeepAliveS
	}); ok && !c.Seen.OwnClientID {
		// The very same CONNECT passed later: one of several servers behind the address, or a server at its limit.
		f.Variant, f.Confidence = "sometimes", diag.Likely
		f.Evidence = append(slices.Clone(f.Evidence), s.Step.Evidence...)
		return diag.Holds(f)
	}
	if s, ok := first(attempts(v, diag.PurposeVersion, diag.PurposeProxyHeader, diag.PurposeALPN), (*diag.Attempt).SpeaksMQTT); ok {
		return diag.Excluded(diag.N("because.variation_works", "value", s.Seen.Label))
	}
	if s, ok := first(attempts(v, diag.PurposeNoCredentials), (*diag.Attempt).SpeaksMQTT); ok {
		f.Variant = "credentials"
		f.Evidence = append(f.Evidence, s.Step.Evidence...)
	}
	return diag.Holds(f)
}
