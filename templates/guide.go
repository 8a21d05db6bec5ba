package templates

import (
	"net/url"

	"github.com/a-h/templ"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// NewGuidePage makes the page of a guide; one without a symptom lists them.
func NewGuidePage(p Page, guide catalogue.GuideView) GuidePage {
	p.Title = p.T("guide.list.title")
	if guide.Symptom != "" {
		p.Title = p.T("guide.title", "symptom", p.W("symptom."+string(guide.Symptom)))
	}
	return GuidePage{Page: p, Guide: guide}
}

// link is the address of a symptom's guide, for the same report.
func (g GuidePage) link(s diag.Symptom) templ.SafeURL {
	return templ.SafeURL("/guides/" + string(s))
}

// diagnoseLink leads to the form, filled in with what is known.
func (g GuidePage) diagnoseLink() templ.SafeURL {
	if g.From != "" {
		return templ.SafeURL("/?from=" + g.From)
	}
	q := url.Values{"symptom": {string(g.Guide.Symptom)}}
	if g.URL != "" {
		q.Set("url", g.URL)
	}
	return templ.SafeURL("/?" + q.Encode())
}
