package handlers

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/templates"
)

// maxForm bounds what a form may carry. It is above the API's bound, so that a file that is too large is named as such
// beside its field and costs nothing of what was typed; all of it stays in memory, since there are keys in it.
const maxForm = 4 << 20

// maxEcho bounds what is sent back in one field: more than that was no input but an accident.
const maxEcho = 256 << 10

// typedForm is what came in: what was typed, for the page, and what it means, for the run.
type typedForm struct {
	form templates.Form
	run  diag.RunInput
	// errs are what only a form can get wrong, such as a number that is none: keys of the page's texts by field.
	errs map[string]string
}

// readForm reads the home page's form, which comes as multipart (with files) or URL-encoded.
func readForm(w http.ResponseWriter, r *http.Request) (*typedForm, error) {
	values, err := formValues(w, r)
	if err != nil {
		return nil, err
	}
	f := &typedForm{errs: map[string]string{}, form: templates.Form{Values: map[string]string{}, Lost: map[string]bool{}}}
	f.fill(values)
	for name := range values {
		value := values.Get(name)
		switch {
		case slices.Contains(templates.SecretFields, name), strings.Contains(value, "PRIVATE KEY-----"): // in whatever field
			f.form.Lost[name] = value != ""
		case len(value) <= maxEcho:
			f.form.Values[name] = value
		}
	}
	// A password in the address goes where passwords go, and never back.
	address, user, password := diag.SplitUserInfo(values.Get("target.url"))
	f.form.Values["target.url"] = clipTo(address, 4096)
	if f.form.Values["target.username"] == "" {
		f.form.Values["target.username"] = user
	}
	if password.Given() {
		f.form.Lost["target.password"] = true
	}
	return f, nil
}

// formValues are the fields, with the text of an uploaded file in place of its field's.
func formValues(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm() // first, since the other forgets this one's error
	if err == nil {
		if err = r.ParseMultipartForm(maxForm); errors.Is(err, http.ErrNotMultipart) {
			err = nil
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge), errors.Is(err, multipart.ErrMessageTooLarge):
		return nil, &badRequest{status: http.StatusBadRequest, code: "body_too_large",
			args: diag.Args{"limit": strconv.Itoa(maxForm)}}
	case err != nil:
		return nil, &badRequest{status: http.StatusBadRequest, code: "body_unreadable"}
	}
	values := r.PostForm
	if r.MultipartForm == nil {
		return values, nil
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	for name, files := range r.MultipartForm.File {
		field, isFile := strings.CutSuffix(name, ".file")
		if !isFile || len(files) == 0 || files[0].Size == 0 {
			continue
		}
		text, err := fileText(files[0])
		if err != nil {
			return nil, &badRequest{status: http.StatusBadRequest, code: "body_unreadable"}
		}
		values.Set(field, text)
	}
	return values, nil
}

func fileText(header *multipart.FileHeader) (string, error) {
	file, err := header.Open()
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	return string(data), err
}

// fill makes the run's input of the fields. Names are those of the interface.
func (f *typedForm) fill(v url.Values) {
	t, p := &f.run.Target, &f.run.Plan
	t.URL = v.Get("target.url")
	t.Protocol = v.Get("target.protocol")
	t.ClientID = v.Get("target.client_id")
	t.Username = v.Get("target.username")
	t.Password = diag.NewSecret(v.Get("target.password"))
	t.KeepaliveS = f.integer(v, "target.keepalive_s")
	clean := v.Get("target.clean_start") != ""
	t.CleanStart = &clean
	if n := f.integer(v, "target.session_expiry_s"); n != nil {
		t.SessionExpiryS = *n
	}
	t.TLS = diag.TLSInput{CAPEM: v.Get("target.tls.ca_pem"), CertPEM: v.Get("target.tls.cert_pem"),
		KeyPEM: diag.NewSecret(v.Get("target.tls.key_pem")), ServerName: v.Get("target.tls.server_name"),
		ALPN: words(v.Get("target.tls.alpn")), Insecure: v.Get("target.tls.insecure") != ""}
	t.WS = diag.WSInput{Path: v.Get("target.ws.path"), Query: diag.NewSecret(strings.TrimPrefix(strings.TrimSpace(v.Get("target.ws.query")), "?")), Origin: v.Get("target.ws.origin"),
		Headers: f.headers(v.Get("target.ws.headers"))}
	t.Topics = diag.TopicsInput{Publish: v.Get("target.topics.publish"), Subscribe: lines(v.Get("target.topics.subscribe")),
		QoS: f.integer(v, "target.topics.qos")}
	t.Nodes = words(v.Get("target.nodes"))
	p.Symptom = v.Get("plan.symptom")
	p.Depth = v.Get("plan.depth")
	p.Intrusive = v.Get("plan.intrusive") != ""
	p.Resolvers = words(v.Get("plan.resolvers"))
	p.WatchS = f.integer(v, "plan.watch_s")
	if burst := (diag.BurstInput{Count: f.integer(v, "plan.burst.count"), QoS: f.integer(v, "plan.burst.qos"),
		PayloadBytes: f.integer(v, "plan.burst.payload_bytes")}); burst != (diag.BurstInput{}) {
		p.Burst = &burst
	}
	if s := number(v.Get("plan.timeout_s")); s != "" {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil {
			f.errs["plan.timeout_s"] = "form.number"
		}
		p.TimeoutS = &seconds
	}
}

// integer reads a whole number; nothing typed is none.
func (f *typedForm) integer(v url.Values, name string) *int {
	s := number(v.Get(name))
	if s == "" {
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		f.errs[name] = "form.number"
		return nil
	}
	return &n
}

// number allows for full-width digits and a comma, as keyboards yield them.
func number(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		case r == ',' || r == '．' || r == '，':
			return '.'
		}
		return r
	}, s))
}

// headers reads "name: value" lines.
func (f *typedForm) headers(s string) map[string]diag.Secret {
	headers := map[string]diag.Secret{}
	for _, line := range lines(s) {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" {
			f.errs["target.ws.headers"] = "form.header"
			continue
		}
		headers[strings.TrimSpace(name)] = diag.NewSecret(strings.TrimSpace(value))
	}
	if len(headers) == 0 {
		return nil
	}
	return headers
}

// lines leaves blanks inside a line alone: in a topic they count, and are a finding.
func lines(s string) []string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimSuffix(line, "\r"); strings.TrimSpace(line) != "" {
			out = append(out, line)
		}
	}
	return out
}

// words splits at commas and white space, full-width ones too.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(", \t\r\n，、　", r) })
}

func clipTo(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}
