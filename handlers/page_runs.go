package handlers

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/templates"
)

const (
	// runsLines is how many lines a page of somebody's runs has, historyRuns how far the history beside a report goes back, and
	// homeRuns how many runs the home page shows.
	runsLines   = 25
	historyRuns = 8
	homeRuns    = 5
)

// handleRuns lists the reader's own runs, or those of one target (?address=).
func (h *Handlers) handleRuns(w http.ResponseWriter, r *http.Request) error {
	p := h.page(w, r)
	p.Title, p.NoIndex = p.T("runs.title"), true
	q := mineQuery(r)
	q.Address = plainAddress(q.Address)
	for name, value := range map[string]string{"address": q.Address, "target": q.Target, "verdict": string(q.Verdict)} {
		if value != "" {
			p.Query.Set(name, value)
		}
	}
	list, next, err := h.mine(r, q, runsLines)
	if err != nil {
		return err
	}
	page := templates.RunsPage{Page: p, Lines: historyLines(list, p.Lang), Address: q.Address, Target: q.Target, Verdict: string(q.Verdict),
		First: q.Before == Cursor{}, Filters: diag.Overalls}
	if next != "" {
		older := url.Values{"before": {next}}
		for name, values := range p.Query {
			older[name] = values
		}
		page.Older = "/runs?" + older.Encode()
	}
	if q.Address != "" && page.First {
		if page.Latest, err = h.latest(r, p, q.Address); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	return h.show(w, r, http.StatusOK, templates.Runs(page))
}

// plainAddress is an address as reports have it, where it can be read as one: people type it in many ways. What looks like a
// password in it is left out.
func plainAddress(typed string) string {
	typed, _, _ = diag.SplitUserInfo(typed)
	if t, err := diag.ParseTarget(diag.TargetInput{URL: typed}); err == nil {
		return t.URL()
	}
	return typed
}

// latest is the reader's newest run of a target, with its history; nil: he has none.
func (h *Handlers) latest(r *http.Request, p templates.Page, address string) (*templates.RunPage, error) {
	list, _, err := h.mine(r, MineQuery{Address: address}, 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	page, err := h.latestOf(r, p, list[0].ID)
	if errors.Is(err, ErrNotFound) { // erased since: the list is worth showing without
		return nil, nil
	}
	return page, err
}

func (h *Handlers) latestOf(r *http.Request, p templates.Page, id string) (*templates.RunPage, error) {
	history, err := h.Runs.History(r.Context(), id, h.actor(r), 1)
	if err != nil {
		return nil, err
	}
	page := templates.NewRunPage(p, catalogue.Render(history.Of, p.Lang))
	if page.Rights, err = h.pageRights(r.Context(), id, h.actor(r)); err != nil {
		return nil, err
	}
	if history.Of.State == diag.StateRunning { // its page is the place for it
		page.Rights.Rerun, page.Rights.Missing = false, nil
		return &page, nil
	}
	page.History = historyOf(history, p.Lang)
	return &page, nil
}

// pageHistory is what became of a report's target, for its owner; nil: this is not the owner, or there is nothing beside it.
func (h *Handlers) pageHistory(r *http.Request, id string, rights templates.Rights, lang catalogue.Lang) *templates.History {
	if !rights.Owner && !PersonOf(r.Context()).Admin {
		return nil
	}
	history, err := h.Runs.History(r.Context(), id, h.actor(r), historyRuns+1)
	if err != nil || len(history.Runs) < 2 {
		return nil // the report is worth showing without
	}
	return historyOf(history, lang)
}

func historyOf(history History, lang catalogue.Lang) *templates.History {
	out := &templates.History{More: len(history.Runs) > historyRuns}
	out.Lines = historyLines(history.Runs[:min(len(history.Runs), historyRuns)], lang)
	if history.Previous != nil {
		previous := catalogue.Render(*history.Previous, lang)
		out.Previous, out.Changes = &previous, catalogue.RenderComparison(*history.Previous, history.Of, lang)
	}
	return out
}

func historyLines(list []RunLine, lang catalogue.Lang) []templates.HistoryLine {
	out := make([]templates.HistoryLine, 0, len(list))
	for _, l := range list {
		line := templates.HistoryLine{ID: l.ID, Target: l.Target, At: l.CreatedAt, Words: lineWords(l, lang), Imported: l.Imported,
			Tone: string(cmp.Or(l.Verdict, diag.OverallInconclusive)), ConnectMS: float64(l.Connect) / float64(time.Millisecond)}
		if l.State == diag.StateRunning {
			line.Tone = "running"
		}
		if l.RootCause != "" {
			line.Cause = catalogue.TitleAt(l.RootCause, l.Target, lang)
		}
		out = append(out, line)
	}
	return out
}
