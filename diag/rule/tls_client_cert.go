package rule

import (
	"net/http"
	"slices"
	"strings"

	"mqttdoctor/diag"
)

// objection is how a server ended a connection in which it had asked for a client certificate.
type objection struct {
	alert *diag.TLSAlert // nil: none came
	how   diag.Outcome
	step  diag.Step
	http  string // an HTTP status in place of an end
	vague bool   // the HTTP status names no certificate
}

// objected tells what came of an asked handshake whose server asked for a client certificate: an objection inside the
// handshake (TLS 1.2), or on the first read after it (TLS 1.3, RFC 8446 4.4.2.4). The note says why there was none.
func objected(v *diag.View, s diag.Sight[*diag.TLSHandshake]) (objection, diag.Note, bool) {
	h := s.Seen
	switch {
	case h.Alert != nil:
		return objection{alert: h.Alert, how: h.Outcome, step: s.Step}, diag.Note{}, true
	case h.Outcome.Ended():
		return objection{how: h.Outcome, step: s.Step}, diag.Note{}, true
	case h.Outcome != diag.OutcomeOK:
		return objection{}, diag.Note{}, false
	case h.AfterHandshake != nil:
		return objection{alert: h.AfterHandshake, how: diag.OutcomeClosed, step: s.Step}, diag.Note{}, true
	}
	for _, w := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
		if w.Seen.Address != h.Address {
			continue
		}
		if text, ok := certComplaint(w.Seen); ok {
			return objection{how: w.Seen.Outcome, step: w.Step, http: text}, diag.Note{}, true
		}
		if refusesEverybody(v, w.Seen) {
			return objection{how: w.Seen.Outcome, step: w.Step, http: statusOf(w.Seen), vague: true}, diag.Note{}, true
		}
		if w.Seen.HTTP() {
			return objection{}, diag.N("because.http_answered", "status", statusOf(w.Seen)), false
		}
		if alert, ok := alertIn(w.Seen.Error); ok {
			return objection{alert: alert, how: diag.OutcomeClosed, step: w.Step}, diag.Note{}, true
		}
		if w.Seen.Outcome.Ended() {
			return objection{how: w.Seen.Outcome, step: w.Step}, diag.Note{}, true
		}
	}
	connects := slices.DeleteFunc(askedConnects(v), func(c diag.Sight[*diag.MQTTConnect]) bool { return c.Seen.Address != h.Address })
	if _, ok := first(connects, func(c *diag.MQTTConnect) bool { return c.Answered() }); ok {
		return objection{}, diag.N("because.connack_came"), false
	}
	for _, c := range connects {
		switch {
		case c.Seen.Alert != nil:
			return objection{alert: c.Seen.Alert, how: c.Seen.Outcome, step: c.Step}, diag.Note{}, true
		case withoutAnswer(c.Seen):
			return objection{how: c.Seen.Outcome, step: c.Step}, diag.Note{}, true
		case c.Seen.Outcome == diag.OutcomeSilent:
			return objection{}, diag.N("because.connection_stayed_open"), false
		}
	}
	return objection{}, diag.Note{}, false
}

// certComplaint reads what nginx says over HTTP, in place of an alert, to a client whose certificate is missing or not to
// its liking (ngx_http_special_response.c, 495 and 496 sent as 400).
func certComplaint(w *diag.WSUpgrade) (string, bool) {
	for _, phrase := range []string{"No required SSL certificate was sent", "The SSL certificate error"} {
		if w.Status >= 400 && strings.Contains(w.BodyStart, phrase) {
			return phrase, true
		}
	}
	return "", w.Status == 495 || w.Status == 496
}

// refusesEverybody tells a web server that refuses the upgrade as forbidden, wants no login over HTTP for it, and does so whatever
// path, Origin or subprotocol is asked for.
func refusesEverybody(v *diag.View, w *diag.WSUpgrade) bool {
	if w.WWWAuth != "" || w.Status != http.StatusForbidden && w.Status != http.StatusUnauthorized {
		return false
	}
	_, refuses := wsAuthRequired(v).Concluded()
	return refuses
}

// alertWords are the words of crypto/tls for the alerts that can object to a client certificate: the WebSocket library hands
// on the text of the error alone.
var alertWords = map[string]diag.TLSAlert{
	"tls: certificate required":          {Number: 116, Name: "certificate_required"},
	"tls: handshake failure":             {Number: 40, Name: "handshake_failure"},
	"tls: bad certificate":               {Number: 42, Name: "bad_certificate"},
	"tls: unsupported certificate":       {Number: 43, Name: "unsupported_certificate"},
	"tls: revoked certificate":           {Number: 44, Name: "certificate_revoked"},
	"tls: expired certificate":           {Number: 45, Name: "certificate_expired"},
	"tls: unknown certificate authority": {Number: 48, Name: "unknown_ca"},
	"tls: unknown certificate":           {Number: 46, Name: "certificate_unknown"},
	"tls: access denied":                 {Number: 49, Name: "access_denied"},
	"tls: internal error":                {Number: 80, Name: "internal_error"},
	"tls: error decrypting message":      {Number: 51, Name: "decrypt_error"},
	"tls: error decoding message":        {Number: 50, Name: "decode_error"},
}

func alertIn(text string) (*diag.TLSAlert, bool) {
	_, words, found := strings.Cut(text, "remote error: ")
	if !found {
		return nil, false
	}
	longest := ""
	for phrase := range alertWords {
		if strings.HasPrefix(words, phrase) && len(phrase) > len(longest) {
			longest = phrase
		}
	}
	alert, ok := alertWords[longest]
	return &alert, ok
}

// connackWithout tells whether a connection over TLS without a client certificate got a CONNACK: then none is needed.
func connackWithout(v *diag.View) bool {
	_, ok := first(attempts(v), func(a *diag.Attempt) bool {
		return a.Transport.UsesTLS() && a.TLS != nil && !a.TLS.ClientCertSent && a.SpeaksMQTT() && samePort(a)
	})
	return ok
}

func clientCertRequired(v *diag.View) diag.Verdict {
	if !v.Target.Scheme.UsesTLS() {
		return diag.Open()
	}
	asked := false
	var why diag.Note
	for _, s := range askedHandshakes(v) {
		h := s.Seen
		if !h.CertRequested {
			continue
		}
		asked = true
		if h.ClientCertSent {
			return diag.Excluded(diag.N("because.client_cert_was_sent"))
		}
		o, note, ok := objected(v, s)
		if !ok {
			why = note
			continue
		}
		if connackWithout(v) {
			return diag.Excluded(diag.N("because.connack_without_cert"))
		}
		f := diag.Finding{Step: o.step.ID, Evidence: append(append([]diag.Evidence{}, o.step.Evidence...), s.Step.Evidence...),
			Args: diag.Args{"names": strings.Join(h.AcceptableCAs, "; "), "address": h.Address}}
		switch {
		case o.alert != nil:
			f.Args["alert"] = o.alert.String()
		case o.vague:
			f.Variant, f.Args["status"], f.Confidence = "http_status", o.http, diag.Likely
			f.Readings = []diag.Code{"ws.auth_required"}
		case o.http != "":
			f.Variant, f.Args["reason_string"] = "http", o.http
		default:
			f.Variant, f.Confidence = "closed", diag.Likely
			if h.Outcome == diag.OutcomeOK {
				f.Readings = []diag.Code{"mqtt.closed_without_connack"}
			}
		}
		return diag.Holds(f)
	}
	switch {
	case !why.IsZero():
		return diag.Excluded(why)
	case !asked && len(askedHandshakes(v)) > 0:
		return diag.Excluded(diag.N("because.no_cert_requested"))
	}
	return diag.Open()
}

func clientKeyMismatch(v *diag.View) diag.Verdict {
	s, ok := first(diag.SeenBy[*diag.ClientCert](v, checkClientCert), func(c *diag.ClientCert) bool { return len(c.Chain) > 0 })
	switch {
	case !ok:
		return diag.Open()
	case s.Seen.KeyMatches:
		return diag.Excluded(diag.N("because.key_matches"))
	}
	return diag.Holds(diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence,
		Args: diag.Args{"subject": s.Seen.Chain[0].Subject, "fingerprint": s.Seen.Chain[0].SHA256}})
}

// ownFault is what is wrong with the given client certificate whatever a server says, as a variant of the text.
func ownFault(v *diag.View, h *diag.TLSHandshake) string {
	for _, s := range diag.SeenBy[*diag.ClientCert](v, checkClientCert) {
		c := s.Seen
		if len(c.Chain) == 0 {
			continue
		}
		switch leaf := c.Chain[0]; {
		case c.Now.After(leaf.NotAfter):
			return "expired"
		case c.Now.Before(leaf.NotBefore):
			return "not_yet_valid"
		case !c.ClientAuth:
			return "usage"
		case len(h.AcceptableCAs) > 0 && !acceptable(c.Chain, h.AcceptableCAs):
			return "issuer"
		}
	}
	return ""
}

// acceptable tells whether the server's list names an authority of the client's chain.
func acceptable(chain []diag.CertFact, names []string) bool {
	return slices.ContainsFunc(chain, func(c diag.CertFact) bool { return slices.Contains(names, c.Issuer) })
}

// clientCertRejected needs the certificate to be what matters: an alert, or an end inside the handshake, or that it goes
// without one. A connection that ends after a handshake with TLS 1.3 and without an alert may have ended over the CONNECT.
func clientCertRejected(v *diag.View) diag.Verdict {
	if !v.Target.Scheme.UsesTLS() {
		return diag.Open()
	}
	var why diag.Note
	for _, s := range askedHandshakes(v) {
		h := s.Seen
		if !h.ClientCertSent {
			why = diag.N("because.no_client_cert_sent")
			continue
		}
		o, note, ok := objected(v, s)
		if !ok {
			why = note
			continue
		}
		without, works := first(attempts(v, diag.PurposeNoClientCert), (*diag.Attempt).SpeaksMQTT)
		own := ownFault(v, h)
		f := diag.Finding{Step: o.step.ID, Evidence: append(append([]diag.Evidence{}, o.step.Evidence...), s.Step.Evidence...), Variant: own,
			Args: diag.Args{"names": strings.Join(h.AcceptableCAs, "; "), "address": h.Address}}
		for _, c := range diag.SeenBy[*diag.ClientCert](v, checkClientCert) {
			if len(c.Seen.Chain) > 0 {
				leaf := c.Seen.Chain[0]
				f.Args["subject"], f.Args["issuer"] = leaf.Subject, leaf.Issuer
				f.Args["not_before"], f.Args["not_after"] = dateText(leaf.NotBefore), dateText(leaf.NotAfter)
			}
		}
		inside := h.Outcome != diag.OutcomeOK
		switch {
		case o.alert != nil:
			f.Args["alert"] = o.alert.String()
			if o.alert.Number == 40 || o.alert.Number == 80 { // these name no certificate
				f.Confidence = diag.Likely
			}
		case works:
			f.Evidence = append(f.Evidence, without.Step.Evidence...)
			if f.Variant == "" {
				f.Variant = "works_without"
			}
		case o.vague:
			if own == "" {
				return diag.Open() // whether the certificate or something else is minded, nothing tells
			}
			f.Confidence = diag.Likely
		case o.http != "":
			f.Args["reason_string"] = o.http
		case inside || own != "":
			f.Confidence = diag.Likely
		default:
			return diag.Open()
		}
		return diag.Holds(f)
	}
	if !why.IsZero() {
		return diag.Excluded(why)
	}
	return diag.Open()
}
