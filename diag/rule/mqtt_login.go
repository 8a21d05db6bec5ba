package rule

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
)

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
