package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"mqttdoctor/diag"
)

// notJSON says in the reader's language why a body is not readable, by the text api.not_json_<why>. It never quotes the input,
// which may hold a password.
func notJSON(why string, pairs ...string) *badRequest {
	note := diag.N("api.not_json_"+why, pairs...)
	return &badRequest{status: http.StatusBadRequest, code: "not_json", text: &note}
}

// syntaxProblem words an error of the decoder.
func syntaxProblem(err error) *badRequest {
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return notJSON("at", "value", strconv.FormatInt(syntax.Offset, 10))
	case errors.As(err, &typed):
		return notJSON("value", "field", clipName(typed.Field))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return notJSON("end")
	}
	return notJSON("odd")
}

// checkCharacters refuses what the decoder would silently turn into U+FFFD, bytes that are no UTF-8 (RFC 8259 8.1) and halves of
// surrogate pairs (8.2): a password changed on its way to the broker makes a wrong diagnosis.
func checkCharacters(body []byte) error {
	if !utf8.Valid(body) {
		return notJSON("utf8")
	}
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		first, ok := escaped(body[i:])
		switch {
		case !ok:
			i++ // what is escaped is no backslash that escapes
		case !utf16.IsSurrogate(first):
			i += 5
		default:
			second, _ := escaped(body[min(i+6, len(body)):])
			if utf16.DecodeRune(first, second) == utf8.RuneError {
				return notJSON("half")
			}
			i += 11
		}
	}
	return nil
}

// escaped reads \uXXXX at the beginning of s.
func escaped(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	return rune(n), err == nil
}

// twice lists the fields that an object has more than once, by their path, up to a few: which of the values is meant cannot be
// told (RFC 8259 4). The body is one valid JSON value.
func twice(body []byte) diag.FieldErrors {
	const most = 16
	type level struct {
		path  string
		names map[string]bool // nil for a list
		name  string          // of the value that comes next, in an object
		named bool            // a name was read, and its value comes next
	}
	errs := diag.FieldErrors{}
	var levels []level
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for len(errs) < most {
		token, err := d.Token()
		if err != nil {
			return errs
		}
		var top *level
		if len(levels) > 0 {
			top = &levels[len(levels)-1]
		}
		switch name, isText := token.(string); {
		case token == json.Delim('{'), token == json.Delim('['):
			next := level{}
			if top != nil {
				next.path = top.path // of a list: that of what stands in it
				if top.named {
					next.path = clipName(join(top.path, top.name)) // so that depth costs nothing
				}
				top.named = false
			}
			if token == json.Delim('{') {
				next.names = map[string]bool{}
			}
			levels = append(levels, next)
		case token == json.Delim('}'), token == json.Delim(']'):
			levels = levels[:len(levels)-1]
		case top == nil || top.names == nil:
		case !top.named && isText:
			path := clipName(join(top.path, name))
			if top.names[name] {
				errs[path] = diag.N("api.field_twice", "field", path)
			}
			top.names[name], top.name, top.named = true, name, true
		default:
			top.named = false
		}
	}
	return errs
}
