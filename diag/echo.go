package diag

import (
	"bytes"
	"encoding/binary"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// Echoes takes the target's secrets out of what peers send back. An echo service returns the whole CONNECT, a web server quotes
// the request that it refuses, a broker names the password in its reason: none of that may reach an observation.
type Echoes struct {
	// words are hidden wherever they stand.
	words []string
	// framed are hidden in raw bytes, as MQTT frames them (MQTT 5.0 1.5.4): behind their length, which makes short ones sure too.
	framed [][]byte
}

const (
	// minEcho is the length in bytes from which a secret is told from what stands there by chance.
	minEcho = 5
	// minWord is the same for a word of small letters alone: a broker that says "mosquitto" or "password" gives nobody's away.
	minWord = 12
)

// telling is whether a text that a peer says can only be the secret.
func telling(s string) bool {
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
	return len(s) >= minEcho && (!plain || len(s) >= minWord)
}

// NewEchoes lists what must not come back. What the target shows openly elsewhere, such as a client id that is the password too,
// is no secret.
func NewEchoes(t Target) Echoes {
	open := strings.Join(append([]string{t.URL(), t.HostTyped, t.ClientID, t.Username, t.Topics.Publish, t.WS.Origin, t.TLS.ServerName},
		t.Topics.Subscribe...), "\n")
	var e Echoes
	know := func(secret string) {
		if telling(secret) && !strings.Contains(open, secret) {
			e.words = append(e.words, secret)
		}
	}
	if password := t.Password.Reveal(); password != "" && len(password) <= maxStringBytes && password != t.Username {
		e.framed = append(e.framed, append(binary.BigEndian.AppendUint16(nil, uint16(len(password))), password...))
		know(password)
	}
	know(t.WS.Query.Reveal())
	for _, part := range strings.FieldsFunc(t.WS.Query.Reveal(), func(r rune) bool { return r == '&' || r == '=' }) {
		know(part)
		if plain, err := url.QueryUnescape(part); err == nil && plain != part {
			know(plain)
		}
	}
	for _, value := range t.WS.Headers {
		know(value.Reveal())
		// "Bearer TOKEN", "name=VALUE; name=VALUE": the server may quote a part.
		for _, part := range strings.FieldsFunc(value.Reveal(), func(r rune) bool { return strings.ContainsRune(" ;,=\"", r) }) {
			know(part)
		}
	}
	return e
}

// hush returns a result without the secrets. Nothing is copied where there are none, which is nearly always.
func (e Echoes) hush(r Result) Result {
	if len(e.words) == 0 && len(e.framed) == 0 {
		return r
	}
	out, changed := e.value(reflect.ValueOf(r))
	if !changed {
		return r
	}
	return out.Interface().(Result) //nolint:forcetypeassert // a copy has the type of what was copied
}

// value copies what has to change. Closed lists are types of their own and stay.
func (e Echoes) value(v reflect.Value) (out reflect.Value, changed bool) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() != reflect.TypeFor[string]() {
			return v, false
		}
		s := e.text(v.String())
		return reflect.ValueOf(s), s != v.String()
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return v, false
		}
		inner, changed := e.value(v.Elem())
		if !changed {
			return v, false
		}
		if v.Kind() == reflect.Interface {
			return inner, true
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(inner)
		return p, true
	case reflect.Struct:
		switch v.Interface().(type) {
		case time.Time, Secret:
			return v, false
		}
		out = reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if field, hit := e.value(v.Field(i)); hit {
				out.Field(i).Set(field)
				changed = true
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			raw, hit := e.Bytes(v.Bytes())
			return reflect.ValueOf(raw).Convert(v.Type()), hit
		}
		out = reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			item, hit := e.value(v.Index(i))
			out.Index(i).Set(item)
			changed = changed || hit
		}
	case reflect.Map:
		out = reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, key := range v.MapKeys() {
			item, hit := e.value(v.MapIndex(key))
			out.SetMapIndex(key, item)
			changed = changed || hit
		}
	default:
		return v, false
	}
	if !changed {
		return v, false
	}
	return out, true
}

// text hides the secrets in a text, whole or cut at its end.
func (e Echoes) text(s string) string {
	for _, word := range e.words {
		s = strings.ReplaceAll(s, word, secretMask)
	}
	body, ellipsis := strings.CutSuffix(s, "…")
	for _, word := range e.words {
		for n := min(len(word)-1, len(body)); n >= minEcho; n-- {
			if !telling(word[:n]) || !strings.HasSuffix(body, word[:n]) {
				continue
			}
			if s = body[:len(body)-n] + secretMask; ellipsis {
				s += "…"
			}
			return s
		}
	}
	return s
}

// Bytes puts asterisks over the secrets in raw bytes, so that what is around them can still be decoded.
func (e Echoes) Bytes(raw []byte) (out []byte, changed bool) {
	out = raw
	cover := func(from, to int) {
		if !changed {
			out, changed = bytes.Clone(raw), true
		}
		for i := from; i < to; i++ {
			out[i] = '*'
		}
	}
	hide := func(secret []byte, lead int) {
		for at := 0; ; {
			i := bytes.Index(out[at:], secret)
			if i < 0 {
				break
			}
			cover(at+i+lead, at+i+len(secret))
			at += i + len(secret)
		}
		for n := min(len(secret)-1, len(out)); n >= lead+minEcho; n-- { // cut at the end
			if (lead > 0 || telling(string(secret[:n]))) && bytes.HasSuffix(out, secret[:n]) {
				cover(len(out)-n+lead, len(out))
				return
			}
		}
	}
	for _, secret := range e.framed {
		hide(secret, 2)
	}
	for _, word := range e.words {
		hide([]byte(word), 0)
	}
	return out, changed
}
