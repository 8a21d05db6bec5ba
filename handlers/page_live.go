package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/trace"
	"mqttdoctor/templates"
)

// frame is one message of the page's stream: what to place where. The components are those of the page itself.
type frame struct {
	Seq       int            `json:"seq"`
	Type      diag.EventType `json:"type"`
	Fragments []fragment     `json:"fragments,omitempty"`
	Title     string         `json:"title,omitempty"` // of the tab
	Icon      string         `json:"icon,omitempty"`  // of the tab, by state
	Say       string         `json:"say,omitempty"`   // for screen readers: layers and the end, not every step
	State     diag.State     `json:"state,omitempty"`
}

type fragment struct {
	Target string `json:"target"` // id of an element
	Mode   string `json:"mode"`   // replace: the element; append: into it, or in place of one with the same id
	HTML   string `json:"html"`
}

// handleLive streams a run to its page as fragments, from ?after= on.
func (h *Handlers) handleLive(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	after, err := afterParam(r)
	if err != nil {
		return err
	}
	report, err := h.Runs.Get(r.Context(), id, h.actor(r))
	if err != nil {
		return err
	}
	actor := h.actor(r)
	rights, err := h.pageRights(r.Context(), id, actor)
	if err != nil {
		return err
	}
	p := templates.Page{Lang: h.lang(r, ""), Path: "/runs/" + id, Asset: h.Asset, Version: h.Version}
	// Only what the run was asked for: what became of it comes with the events.
	start := report
	start.Steps, start.Findings, start.RootCause, start.RuledOut = nil, nil, nil, nil
	start.State, start.Verdict, start.Duration = diag.StateRunning, "", 0
	f := &livePage{after: after, target: report.Target, sent: map[string]string{},
		page: templates.NewRunPage(p, catalogue.Render(start, p.Lang)),
		trace: func() (*trace.Attached, error) {
			return h.attachedIn(r.WithContext(context.WithoutCancel(r.Context())), id, p.Lang)
		},
		rights: func() (templates.Rights, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*time.Second)
			defer cancel()
			return h.pageRights(ctx, id, actor)
		}}
	f.history = func(rights templates.Rights) *templates.History {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*time.Second)
		defer cancel()
		return h.pageHistory(r.WithContext(ctx), id, rights, p.Lang)
	}
	f.page.Link = h.absolute(r, "/runs/"+id)
	f.page.Rights, f.page.Share = rights, h.pageShare(r, id, rights)
	// What a page shows is made of all events: they are read from the first, and sent from the one asked for.
	all := r.Clone(r.Context())
	q := all.URL.Query()
	q.Del("after")
	all.URL.RawQuery = q.Encode()
	return h.stream(w, all, id, f.render)
}

// livePage follows a run and tells what of its page has changed. It is for one viewer.
type livePage struct {
	after  int
	target diag.TargetInput
	page   templates.RunPage
	sent   map[string]string // what was sent last, by target: the same is not sent again
	rights func() (templates.Rights, error)
	trace  func() (*trace.Attached, error)
	// history is what became of the target before; nil: nothing, or the viewer is not the owner.
	history func(templates.Rights) *templates.History
}

func (l *livePage) render(e diag.Event) ([]byte, error) {
	view := catalogue.RenderEvent(e, l.target, l.page.Lang)
	said := l.page.Apply(view)
	if e.Seq <= l.after {
		return nil, nil
	}
	f := frame{Seq: e.Seq, Type: e.Type, Title: l.page.Headline(), Icon: l.page.Tone(), Say: said}
	var err error
	add := func(target, mode string, c templ.Component) {
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err = c.Render(context.Background(), &b); err != nil {
			return
		}
		html := b.String()
		if mode == "replace" && l.sent[target] == html {
			return
		}
		l.sent[target] = html
		f.Fragments = append(f.Fragments, fragment{Target: target, Mode: mode, HTML: html})
	}
	if e.Type == diag.EventRunFinished {
		if rights, rightsErr := l.rights(); rightsErr == nil {
			l.page.Rights = rights
		}
		l.page.Rights.Cancel = false
		if attached, traceErr := l.trace(); traceErr == nil {
			l.page.Trace = attached
		}
		l.page.History = l.history(l.page.Rights)
		f.State = l.page.Report.State
		add("run-body", "replace", templates.RunBody(l.page))
		return marshal(f, err)
	}
	if view.Step != nil {
		add(templates.StepHome(*view.Step), "append", templates.Step(l.page, *view.Step))
	}
	add("tried-title", "replace", templates.TriedTitle(l.page))
	add("verdict", "replace", templates.Verdict(l.page))
	add("path", "replace", templates.Path(l.page))
	add("progress", "replace", templates.ProgressBar(l.page))
	add("findings", "replace", templates.Findings(l.page))
	return marshal(f, err)
}

func marshal(f frame, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(f)
}
