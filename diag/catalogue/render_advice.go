package catalogue

import (
	"embed"
	"encoding/json"
	"net"
	"net/url"
	"strings"
	code "text/template"

	"mqttdoctor/diag"
)

// clientFiles are code for client libraries, one file each. They hold no sentence: what is to be said of a library is in
// advice.yaml.
//
//go:embed clients/*.tmpl
var clientFiles embed.FS

// clients are the libraries in the order in which they are shown.
var clients = []struct {
	id, language string
	websocket    bool // it can
	mqtt5        bool
}{
	{"paho-python", "Python", true, true},
	{"mqttjs", "JavaScript", true, true},
	{"paho-go", "Go", true, true},
	{"paho-c", "C", true, true},
	{"esp-mqtt", "C (ESP-IDF)", true, true},
	{"pubsubclient", "C++ (Arduino)", false, false},
	{"mqttnet", "C# (.NET)", true, true},
	{"hivemq-java", "Java", true, true},
}

var clientTemplates = code.Must(code.New("").Funcs(code.FuncMap{
	"str":    stringLiteral,
	"ms":     func(seconds int) int { return seconds * 1000 },
	"double": func(n int) int { return 2 * n },
}).ParseFS(clientFiles, "clients/*.tmpl"))

// stringLiteral writes a string as all of the languages read it: what JSON escapes, they escape alike.
func stringLiteral(s string) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// AdviceView are settings for the client in words, and as code to copy.
type AdviceView struct {
	Settings []SettingView `json:"settings"`
	Clients  []ClientView  `json:"clients"`
}

// SettingView is one setting and why.
type SettingView struct {
	Name     diag.SettingName `json:"name"`
	Label    string           `json:"label"`
	Help     string           `json:"help"`
	Value    string           `json:"value"`
	Text     string           `json:"text"` // the value in words, with its unit
	Because  string           `json:"because"`
	Measured bool             `json:"measured"`
}

// ClientView is the settings for one library. Code is empty where the library cannot do what the target needs; Note says why.
type ClientView struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Language string `json:"language"`
	Note     string `json:"note,omitempty"`
	Code     string `json:"code,omitempty"`
}

// clientData is what the code of a library is made of. Secrets are named, never written.
type clientData struct {
	diag.Advice
	URL, CURL, Scheme, Host, Port, Path, PathOnly string
	ClientID, Username                            string
	Password, TLS, WS, CA, ClientCert, V5, V31    bool
}

func (w *writer) advice(r diag.Report) *AdviceView {
	a := diag.Advise(r)
	if a == nil {
		return nil
	}
	v := &AdviceView{Settings: []SettingView{}, Clients: []ClientView{}}
	for _, s := range a.Settings {
		sv := SettingView{Name: s.Name, Value: s.Value, Because: w.note(s.Because), Measured: s.Measured}
		sv.Label, sv.Help = w.label("advice." + string(s.Name))
		sv.Text = w.word("value.yesno."+s.Value, s.Value)
		if s.Unit != "" {
			sv.Text += " " + w.word("unit."+s.Unit, s.Unit)
		}
		v.Settings = append(v.Settings, sv)
	}
	v.Clients = append(v.Clients, w.clients(*a, r.Target)...)
	return v
}

// ClientCode are settings for a target as code for each library, in the order in which they are shown; none where its URL has
// no port. Secrets are named, never written.
func ClientCode(a diag.Advice, target diag.TargetInput, lang Lang) []ClientView {
	return newWriter(lang, target).clients(a, target)
}

// ClientNames are the libraries in the order in which they are shown, without code.
func ClientNames(lang Lang) []ClientView {
	w := newWriter(lang, diag.TargetInput{})
	views := make([]ClientView, 0, len(clients))
	for _, c := range clients {
		name, _ := w.label("client." + c.id)
		views = append(views, ClientView{ID: c.id, Name: name, Language: c.language})
	}
	return views
}

func (w *writer) clients(a diag.Advice, target diag.TargetInput) []ClientView {
	views := []ClientView{}
	data, ok := newClientData(a, target)
	if !ok {
		return views
	}
	for _, c := range clients {
		cv := ClientView{ID: c.id, Language: c.language}
		cv.Name, cv.Note = w.label("client." + c.id)
		d := data
		switch {
		case data.WS && !c.websocket:
			cv.Note = w.note(diag.N("advice.no_websocket", "name", cv.Name))
		case !c.mqtt5:
			d.V5 = false
			fallthrough
		default:
			var text strings.Builder
			if err := clientTemplates.ExecuteTemplate(&text, c.id+".tmpl", d); err != nil {
				w.missing("client " + c.id + ": " + err.Error())
				continue
			}
			cv.Code = strings.TrimSpace(text.String()) + "\n"
		}
		views = append(views, cv)
	}
	return views
}

// yourQuery stands for the query of an address, which is a secret.
const yourQuery = "YOUR_QUERY"

// newClientData takes the target apart; ok is false where its URL cannot be read, as in a report of another version.
func newClientData(a diag.Advice, t diag.TargetInput) (clientData, bool) {
	if t.WS.Query.Given() {
		t.URL += "?" + yourQuery
	}
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" {
		return clientData{}, false
	}
	scheme := diag.Scheme(u.Scheme)
	d := clientData{Advice: a, URL: t.URL, Scheme: u.Scheme, Host: u.Hostname(), Port: u.Port(), Path: u.RequestURI(),
		ClientID: t.ClientID, Username: t.Username, Password: t.Password.Given(), TLS: scheme.UsesTLS(), WS: scheme.IsWebSocket(),
		CA: t.TLS.CAPEM != "", ClientCert: t.TLS.CertPEM != "", V5: a.Version == diag.Version5, V31: a.Version == diag.Version31}
	if d.Port == "" {
		return clientData{}, false
	}
	d.PathOnly = strings.TrimPrefix(u.Path, "/")
	if d.ClientID == "" {
		d.ClientID = "my-client-1"
	}
	d.CURL = t.URL
	if !d.WS {
		d.CURL = map[bool]string{true: "ssl://", false: "tcp://"}[d.TLS] + net.JoinHostPort(d.Host, d.Port)
	}
	return d, true
}
