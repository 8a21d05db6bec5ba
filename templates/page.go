package templates

import (
	"net/url"
	"strings"
	"time"

	"mqttdoctor/diag/catalogue"
)

// Page is what every page needs beside its own content.
type Page struct {
	Lang  catalogue.Lang
	Title string // of the tab; the program's name is added
	// State is what the tab's icon shows: running, healthy, attention, broken, inconclusive; empty: none.
	State string
	// Path of the request and its query without lang, for the links that change the language.
	Path  string
	Query url.Values
	// Theme is light or dark where the reader chose one; empty: what the system says.
	Theme string
	// Asset finds the address of a file of package static.
	Asset func(string) string
	// Version of the program, in the footer.
	Version string
	// NoIndex keeps search engines out: reports are for those who have the link.
	NoIndex bool
	// Standalone tells that the page is a file of its own: no scripts, links or addresses of this server.
	Standalone bool
	// Nowhere tells that the page is none of the navigation's, whatever its Path.
	Nowhere bool
	// Design shows the link to the component gallery.
	Design bool
	// SignIn is who is signed in.
	SignIn SignedIn
}

// langNames are the languages' names for themselves.
var langNames = map[catalogue.Lang]string{catalogue.English: "English", catalogue.Chinese: "中文"}

// langLink is the address of this page in another language.
func (p Page) langLink(lang catalogue.Lang) string {
	q := url.Values{}
	for name, values := range p.Query {
		if name != "lang" {
			q[name] = values
		}
	}
	q.Set("lang", string(lang))
	return p.Path + "?" + q.Encode()
}

// here is the address of this page without a language, to come back to.
func (p Page) here() string {
	q := url.Values{}
	for name, values := range p.Query {
		if name != "lang" {
			q[name] = values
		}
	}
	if len(q) == 0 {
		return p.Path
	}
	return p.Path + "?" + q.Encode()
}

// tabTitle is the title element's text.
func (p Page) tabTitle() string {
	if p.Title == "" {
		return p.T("app.tab")
	}
	return p.Title + " · mqttdoctor"
}

// favicon is the file of the tab's icon.
func (p Page) favicon() string {
	if p.State == "" {
		return "icons/favicon.svg"
	}
	return "icons/favicon-" + p.State + ".svg"
}

// iconRef is the address of a symbol of the sprite.
func (p Page) iconRef(name string) string {
	if p.Standalone {
		return "#" + name
	}
	return p.asset("icons/sprite.svg") + "#" + name
}

func (p Page) asset(name string) string {
	if p.Asset == nil {
		return "/static/" + name
	}
	return p.Asset(name)
}

// at tells whether this is the page of a path of the navigation.
func (p Page) at(path string) bool { return p.Path == path && !p.Nowhere }

// nextTheme is what the theme button changes to: as the system, light, dark, and round again.
func (p Page) nextTheme() string {
	switch p.Theme {
	case "":
		return "light"
	case "light":
		return "dark"
	}
	return "auto"
}

func (p Page) themeName() string {
	if p.Theme == "" {
		return "auto"
	}
	return p.Theme
}

func (p Page) themeIcon() string {
	switch p.Theme {
	case "light":
		return "sun"
	case "dark":
		return "moon"
	}
	return "theme"
}

// stamp is a time as every reader can read it; a script puts it into the reader's own form and zone.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func stampISO(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// domID makes an id for an element from any text: letters and digits stay, the rest is written in hexadecimal.
func domID(parts ...string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte('-')
		}
		for j := range len(part) {
			c := part[j]
			switch {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.':
				b.WriteByte(c)
			default:
				b.WriteByte('_')
				b.WriteByte(hex[c>>4])
				b.WriteByte(hex[c&15])
			}
		}
	}
	return b.String()
}
