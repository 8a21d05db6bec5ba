package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"mqttdoctor/diag"
)

// maxBody bounds a request's body: PEM texts of 256 KiB each are the largest thing in it.
const maxBody = 1 << 20

// maxDrain is how much of a body that is too large is taken and thrown away, so that the answer arrives.
const maxDrain = 8 << 20

// readJSON reads a body into the value that dst points to. Unknown fields are refused by their full name, as are values
// of another type, so that a misspelt setting is never silently left out of a diagnosis. An empty body is an error unless
// optional.
func readJSON(w http.ResponseWriter, r *http.Request, dst any, optional bool) error {
	return readJSONOf(w, r, dst, optional, maxBody)
}

// readJSONOf is readJSON for a body of at most so many bytes.
func readJSONOf(w http.ResponseWriter, r *http.Request, dst any, optional bool, most int) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(most)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		// A client that is still sending when the connection is closed never reads the answer.
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
		return &badRequest{status: http.StatusBadRequest, code: "body_too_large",
			args:   diag.Args{"limit": strconv.Itoa(most)},
			fields: diag.FieldErrors{"body": diag.N("api.body_too_large", "limit", strconv.Itoa(most))}}
	case err != nil:
		return &badRequest{status: http.StatusBadRequest, code: "body_unreadable"}
	}
	if len(bytes.TrimSpace(body)) == 0 && optional {
		return nil
	}
	// A content type other than JSON is what a cross-site form can send without asking first.
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || (params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8")) {
		return &badRequest{status: http.StatusUnsupportedMediaType, code: "not_json_type"}
	}
	return decodeStrict(body, dst)
}

// decodeStrict decodes one JSON value and names, by full path, every field that is unknown, there twice or of the wrong type.
func decodeStrict(body []byte, dst any) error {
	if err := checkCharacters(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var raw any
	if err := d.Decode(&raw); err != nil {
		return syntaxProblem(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return notJSON("more")
	}
	if _, ok := raw.(map[string]any); !ok {
		return notJSON("object")
	}
	errs := twice(body)
	check("", raw, reflect.TypeOf(dst).Elem(), errs)
	if len(errs) > 0 {
		return errs
	}
	if err := json.Unmarshal(body, dst); err != nil {
		// What check did not foresee: still the client's fault.
		return syntaxProblem(err)
	}
	return nil
}

var unmarshalerType = reflect.TypeFor[json.Unmarshaler]()

// check compares a decoded value with the type it is meant for. The names are the JSON names, matched exactly: the
// decoder itself would take other cases for the same.
func check(path string, v any, t reflect.Type, errs diag.FieldErrors) {
	wrong := func(want string) { errs[orRoot(path)] = diag.N("api.wrong_type", "value", want) }
	if t.Kind() == reflect.Pointer {
		if v == nil {
			return
		}
		check(path, v, t.Elem(), errs)
		return
	}
	if v == nil { // null leaves the default
		return
	}
	if t == reflect.TypeFor[diag.Secret]() {
		if _, ok := v.(string); !ok {
			wrong("string")
		}
		return
	}
	if reflect.PointerTo(t).Implements(unmarshalerType) {
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		object, ok := v.(map[string]any)
		if !ok {
			wrong("object")
			return
		}
		fields := fieldsOf(t)
		for name, value := range object {
			ft, known := fields[name]
			if !known {
				errs[clipName(join(path, name))] = diag.N("api.unknown_field", "field", clipName(join(path, name)))
				continue
			}
			check(join(path, name), value, ft, errs)
		}
	case reflect.Map:
		object, ok := v.(map[string]any)
		if !ok {
			wrong("object")
			return
		}
		for _, value := range object {
			check(path, value, t.Elem(), errs) // the name is the user's: a header's, say
		}
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			wrong("list")
			return
		}
		for _, value := range list {
			if value == nil {
				wrong("list")
				return
			}
			check(path, value, t.Elem(), errs)
		}
	case reflect.String:
		if _, ok := v.(string); !ok {
			wrong("string")
		}
	case reflect.Bool:
		if _, ok := v.(bool); !ok {
			wrong("boolean")
		}
	case reflect.Int:
		n, ok := v.(json.Number)
		if _, err := strconv.Atoi(n.String()); !ok || err != nil {
			wrong("integer")
		}
	case reflect.Float64:
		if _, ok := v.(json.Number); !ok {
			wrong("number")
		}
	}
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out[name] = f.Type
		}
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func orRoot(path string) string {
	if path == "" {
		return "body"
	}
	return path
}

// clipName bounds what is echoed of a name that a client made up.
func clipName(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
