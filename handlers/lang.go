package handlers

import (
	"net/http"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// langCookie remembers the language that a reader chose.
const langCookie = "mqttdoctor_lang"

// lang is the reader's language: the one in the query, else the one chosen before, else fallback (a run's own), else
// what the browser asks for.
func (h *Handlers) lang(r *http.Request, fallback string) catalogue.Lang {
	if q := r.URL.Query().Get("lang"); q != "" {
		return catalogue.ParseLang(q)
	}
	if c, err := r.Cookie(langCookie); err == nil && c.Value != "" {
		return catalogue.ParseLang(c.Value)
	}
	if fallback != "" {
		return catalogue.ParseLang(fallback)
	}
	return catalogue.ParseLang(r.Header.Get("Accept-Language"))
}

// apiLang is the language of an API answer about a run: the one in the query, else the run's. Cookies and the browser's
// languages do not change what a program reads.
func (h *Handlers) apiLang(r *http.Request, ofRun string) catalogue.Lang {
	if q := r.URL.Query().Get("lang"); q != "" {
		return catalogue.ParseLang(q)
	}
	if ofRun != "" {
		return catalogue.ParseLang(ofRun)
	}
	return h.lang(r, "")
}

// inputLang checks the language that came in a body; empty: the reader's.
func (h *Handlers) inputLang(r *http.Request, given string) (string, error) {
	switch given {
	case "":
		return string(h.lang(r, "")), nil
	case string(catalogue.English), string(catalogue.Chinese):
		return given, nil
	}
	return "", diag.FieldErrors{"lang": diag.N("api.lang", "value", clipName(given))}
}
