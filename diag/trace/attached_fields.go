package trace

import (
	"encoding/base64"
	"math"
	"regexp"
	"strings"
)

// form is what may stand in a field. It returns the value as it is kept; false: nothing of it is.
type form func(c *cleaner, at string, v any) (kept any, keep bool)

// frameFields are the fields of packets and events, as [Writer] and the browser's decoder make them.
var frameFields = map[string]form{
	// Events.
	"address": asText, "dial_ms": asNumber, "rtt_ms": asNumber, "tls_version": asText, "cipher": asText, "verified": asFlag, "tls_ms": asNumber,
	"alpn": asText, "upgrade_ms": asNumber, "subprotocol": asText, "by": asText, "why": asText, "close_code": asNumber, "peer_close_code": asNumber,
	"text": asText, "count": asNumber, "from": asNumber, "to": asNumber,
	// Packets.
	"packet_type": asText, "bytes": payloadText, "session_present": asFlag, "packet_id": asNumber, "protocol": asText, "version": asText,
	"client_id": asText, "clean_start": asFlag, "keepalive_s": asNumber, "username": asText, "password": secret, "will": will,
	"topic": asText, "qos": asNumber, "retain": asFlag, "dup": asFlag, "payload_bytes": asNumber, "payload": payload(maxPayload),
	"filters": listOf(filter), "reason": reason, "reasons": listOf(reason), "properties": propertyList,
}

var willFields = map[string]form{"topic": asText, "qos": asNumber, "retain": asFlag, "payload_bytes": asNumber, "payload": payload(maxWill),
	"properties": propertyList}

var filterFields = map[string]form{"filter": asText, "qos": asNumber, "no_local": asFlag, "retain_as_published": asFlag, "retain_handling": asNumber}

// propertyFields are the properties of MQTT 5.0 2.2.2.2.
var propertyFields = map[string]form{
	"payload_format_indicator": asNumber, "message_expiry_interval_s": asNumber, "content_type": asText, "response_topic": asText,
	"correlation_data": payload(maxList), "subscription_identifiers": listOf(asNumber), "session_expiry_interval_s": asNumber,
	"assigned_client_identifier": asText, "server_keep_alive_s": asNumber, "authentication_method": asText, "authentication_data": secret,
	"request_problem_information": asFlag, "will_delay_interval_s": asNumber, "request_response_information": asFlag,
	"response_information": asText, "server_reference": asText, "reason_string": asText, "receive_maximum": asNumber,
	"topic_alias_maximum": asNumber, "topic_alias": asNumber, "maximum_qos": asNumber, "retain_available": asFlag,
	"maximum_packet_size": asNumber, "wildcard_subscription_available": asFlag, "subscription_identifier_available": asFlag,
	"shared_subscription_available": asFlag, "user_properties": listOf(pair),
}

// object checks the fields of an object.
func (c *cleaner) object(at string, fields map[string]any, forms map[string]form) map[string]any {
	var kept map[string]any
	for name, v := range fields {
		one, known := forms[name]
		if !known {
			c.refuse(at)
			return nil
		}
		if v == nil {
			continue
		}
		clean, keep := one(c, at+"."+name, v)
		if !keep {
			continue
		}
		if kept == nil {
			kept = map[string]any{}
		}
		kept[name] = clean
	}
	return kept
}

func nested(forms func() map[string]form) form {
	return func(c *cleaner, at string, v any) (any, bool) {
		object, ok := v.(map[string]any)
		if !ok {
			c.refuse(at)
			return nil, false
		}
		clean := c.object(at, object, forms())
		return clean, len(clean) > 0
	}
}

var (
	will         = nested(func() map[string]form { return willFields })
	propertyList = nested(func() map[string]form { return propertyFields })
)

func asText(c *cleaner, at string, v any) (any, bool) {
	s, ok := v.(string)
	if !ok {
		c.refuse(at)
	}
	return maskText(s), ok
}

func asNumber(c *cleaner, at string, v any) (any, bool) {
	n, ok := v.(float64)
	if !ok || math.IsNaN(n) || n < 0 || n > 1<<53 {
		c.refuse(at)
		return nil, false
	}
	return n, true
}

func asFlag(c *cleaner, at string, v any) (any, bool) {
	b, ok := v.(bool)
	if !ok {
		c.refuse(at)
	}
	return b, ok
}

// secret keeps that there was one.
func secret(*cleaner, string, any) (any, bool) { return Mask, true }

// payload is base64 of at most so many bytes, where payloads are chosen.
func payload(most int) form {
	return func(c *cleaner, at string, v any) (any, bool) {
		s, ok := v.(string)
		if !ok || len(s) > base64.StdEncoding.EncodedLen(most) {
			c.refuse(at)
			return nil, false
		}
		if _, err := base64.StdEncoding.DecodeString(s); err != nil {
			c.refuse(at)
			return nil, false
		}
		return s, c.payloads
	}
}

// payloadText is text that may be part of a payload.
func payloadText(c *cleaner, at string, v any) (any, bool) {
	clean, ok := asText(c, at, v)
	return clean, ok && c.payloads
}

func listOf(one form) form {
	return func(c *cleaner, at string, v any) (any, bool) {
		list, ok := v.([]any)
		if !ok || len(list) > maxList {
			c.refuse(at)
			return nil, false
		}
		clean := make([]any, 0, len(list))
		for _, v := range list {
			if kept, keep := one(c, at, v); keep {
				clean = append(clean, kept)
			}
		}
		return clean, len(clean) > 0
	}
}

// filter is one that is unsubscribed, or one with its options.
func filter(c *cleaner, at string, v any) (any, bool) {
	if _, ok := v.(string); ok {
		return asText(c, at, v)
	}
	return nested(func() map[string]form { return filterFields })(c, at, v)
}

// reason is a code with its name; its text is made of the key.
func reason(c *cleaner, at string, v any) (any, bool) {
	object, _ := v.(map[string]any)
	code, ok := object["code"].(float64)
	name, named := object["name"].(string)
	if !ok || !named || code != math.Trunc(code) || code < 0 || code > 255 {
		c.refuse(at)
		return nil, false
	}
	clean := map[string]any{"code": code, "name": maskText(name)}
	if key, _ := object["key"].(string); key != "" {
		if !strings.HasPrefix(key, "trace.") {
			c.refuse(at + ".key")
		}
		if c.known(key) { // not every code needs words beside its name
			clean["key"] = key
		}
	}
	return clean, true
}

// pair is a user property. The value of one whose name speaks of a secret is masked.
func pair(c *cleaner, at string, v any) (any, bool) {
	list, ok := v.([]any)
	if !ok || len(list) != 2 {
		c.refuse(at)
		return nil, false
	}
	name, named := list[0].(string)
	value, valued := list[1].(string)
	if !named || !valued {
		c.refuse(at)
		return nil, false
	}
	if secretName.MatchString(name) && value != "" {
		value = Mask
	}
	return []any{maskText(name), maskText(value)}, true
}

// secretWords are in the names of what is secret: of user properties, and of parameters that some put into user names, topics and
// URLs (AWS custom authorizers, Azure's signatures).
const secretWords = `pass(?:word|wd|phrase)?|pwd|secret|token|bearer|jwt|authori[sz]ation|credentials?|signature|sig|api[-_.]?key|access[-_.]?key|private[-_.]?key`

var (
	secretName  = regexp.MustCompile(`(?i)(?:^|[^a-z])(?:` + secretWords + `)(?:$|[^a-z])|(?:[a-z](?:Password|Passwd|Secret|Token|ApiKey|AccessKey))$`)
	secretParam = regexp.MustCompile(`(?i)((?:^|[^a-z])(?:` + secretWords + `)\s*[=:]\s*(?:bearer\s+|basic\s+)?)[^&;,\s"'{}]+`)
	// jsonWebToken is one wherever it stands (RFC 7519 3): header and claims are JSON objects in base64url.
	jsonWebToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?`)
)

// maskText masks what looks like a secret in a text, and cuts a long one.
func maskText(s string) string {
	if r := []rune(s); len(r) > maxText {
		s = string(r[:maxText]) + "…"
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = jsonWebToken.ReplaceAllLiteralString(s, Mask)
	return secretParam.ReplaceAllString(s, "${1}"+Mask)
}
