package web

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// requestData is what is kept of a request beside what the archive itself reads. It holds no secret.
type requestData struct {
	From   string           `json:"from,omitempty"`
	Known  bool             `json:"known,omitempty"`
	Note   string           `json:"note,omitempty"`
	Ask    []string         `json:"ask,omitempty"`
	Target diag.TargetInput `json:"target"`
	Plan   diag.PlanInput   `json:"plan"`
	Lang   string           `json:"lang,omitempty"`
}

// anywhere stands for an address that the other one fills in, where the rest is checked.
const anywhere = "mqtts://broker.invalid"

// requestOf checks an input and makes what is kept of it: every secret is left out here.
func (m *Runs) requestOf(by handlers.Actor, in handlers.RequestInput) (requestData, error) {
	wrong := diag.FieldErrors{}
	for _, field := range in.Ask {
		if !slices.Contains(handlers.RequestFields, field) {
			wrong["ask"] = diag.N("api.request_ask")
		}
	}
	if utf8.RuneCountInString(in.Note) > handlers.MaxRequestNote {
		wrong["note"] = diag.N("api.too_long", "limit", strconv.Itoa(handlers.MaxRequestNote))
	}
	if utf8.RuneCountInString(in.From) > handlers.MaxRequestFrom {
		wrong["from"] = diag.N("api.too_long", "limit", strconv.Itoa(handlers.MaxRequestFrom))
	}
	if in.KeepDays != nil && (*in.KeepDays < 1 || *in.KeepDays > int(handlers.LongestRequest/(24*time.Hour))) {
		wrong["keep_days"] = diag.N("api.request_days", "limit", strconv.Itoa(int(handlers.LongestRequest/(24*time.Hour))))
	}
	// A key without its certificate is an error, and here the key comes later.
	bare := in.Target.WithoutSecrets()
	address, user, _ := diag.SplitUserInfo(bare.URL)
	if bare.URL = address; bare.Username == "" {
		bare.Username = user
	}
	check := bare
	check.TLS.CertPEM = ""
	open := slices.Contains(in.Ask, "target.url")
	if open && strings.TrimSpace(bare.URL) == "" {
		check.URL = anywhere
	}
	plan, err := m.engine.Plan(diag.RunInput{Target: check, Plan: in.Plan})
	if err := collect(wrong, err); err != nil {
		return requestData{}, err
	}
	if len(wrong) > 0 {
		return requestData{}, wrong
	}
	d := requestData{From: oneLine(by.Person.Name), Known: by.Person.SignedIn(), Note: strings.TrimSpace(plainText(in.Note)), Plan: in.Plan, Lang: in.Lang}
	if !d.Known {
		d.From = oneLine(in.From)
	}
	for _, field := range handlers.RequestFields {
		// A certificate is of no use without its key, which is never kept.
		// Nor is the query of an address: the technician enters the whole of it.
		if slices.Contains(in.Ask, field) || field == "target.url" && plan.Target.WS.Query.Given() ||
			strings.HasPrefix(field, "target.tls.") && field != "target.tls.ca_pem" && bare.TLS.CertPEM != "" {
			d.Ask = append(d.Ask, field)
		}
	}
	d.Target = plan.Target.Public().WithoutSecrets()
	d.Target.TLS.CertPEM = bare.TLS.CertPEM
	if check.URL == anywhere {
		d.Target.URL = ""
	}
	return d, nil
}

// plainText leaves out what does not show and may mislead: control characters, and marks that turn the direction of text.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

func oneLine(s string) string { return strings.Join(strings.Fields(plainText(s)), " ") }

func shownRequest(kept archive.Request, data requestData, by handlers.Actor) handlers.Request {
	r := handlers.Request{ID: kept.ID, CreatedAt: kept.CreatedAt, ExpiresAt: kept.ExpiresAt, OpenedAt: kept.OpenedAt, From: data.From, Known: data.Known,
		Note: data.Note, Ask: data.Ask, Target: data.Target, Plan: data.Plan, Lang: data.Lang, Helper: helps(by, kept)}
	var wish handlers.Wish
	if len(kept.Wish) > 0 && json.Unmarshal(kept.Wish, &wish) == nil {
		r.Wish = &wish
	}
	return r
}
