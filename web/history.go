package web

import (
	"context"
	"errors"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// Mine implements [handlers.Runs].
func (m *Runs) Mine(ctx context.Context, by handlers.Actor, q handlers.MineQuery) ([]handlers.RunLine, error) {
	f, known := madeBy(ownerOf(by, ""))
	if !known {
		return nil, nil
	}
	f.Address, f.Target, f.Verdict, f.Before, f.Limit = q.Address, q.Target, q.Verdict, archive.Cursor(q.Before), q.Limit
	return m.list(ctx, f)
}

func (m *Runs) list(ctx context.Context, f archive.RunFilter) ([]handlers.RunLine, error) {
	lines, err := m.store.Runs(ctx, f)
	if err != nil {
		return nil, err
	}
	out := make([]handlers.RunLine, len(lines))
	for i, l := range lines {
		out[i] = runLine(l)
	}
	return out, nil
}

func runLine(l archive.RunLine) handlers.RunLine {
	line := handlers.RunLine{ID: l.ID, State: l.State, Verdict: l.Verdict, RootCause: l.RootCause, CreatedAt: l.CreatedAt, Target: l.Target,
		Connect: l.Connect, Imported: l.Imported}
	if !l.FinishedAt.IsZero() {
		line.Duration = l.FinishedAt.Sub(l.CreatedAt)
	}
	return line
}

// History implements [handlers.Runs]. The runs are those of the same owner: of the person, else of the browser. The delete token
// makes somebody the owner of one run, and of no other.
func (m *Runs) History(ctx context.Context, id string, by handlers.Actor, limit int) (handlers.History, error) {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return handlers.History{}, err
	}
	if !sees(by, found.owner) {
		return handlers.History{}, mustOwn(by, found.owner)
	}
	h := handlers.History{Of: found.report}
	f, known := madeBy(found.owner)
	asMaker := by
	asMaker.Token = ""
	if !known || !sees(asMaker, found.owner) {
		return h, nil
	}
	f.Address, f.Limit = found.report.Target.URL, limit
	if h.Runs, err = m.list(ctx, f); err != nil {
		return handlers.History{}, err
	}
	for i := range h.Runs { // its end may not be kept yet
		if l := &h.Runs[i]; l.ID == id && l.State == diag.StateRunning {
			l.State, l.Verdict, l.Duration = found.report.State, found.report.Verdict, found.report.Duration
			l.Connect, _ = found.report.ConnectTime()
			if cause := found.report.RootCause; cause != nil {
				l.RootCause = cause.Code
			}
		}
	}
	if found.report.State == diag.StateFinished && found.report.ImportedAt.IsZero() {
		h.Previous, err = m.previous(ctx, f, found.report)
	}
	return h, err
}

// madeBy chooses the runs of one owner; known is false for a program, of which nothing is known again from run to run.
func madeBy(o archive.Owner) (f archive.RunFilter, known bool) {
	switch {
	case o.Person != "":
		f.Person = o.Person
	case len(o.CookieHash) > 0:
		f.Maker = o.CookieHash
	default:
		return f, false
	}
	return f, true
}

// previous is the last run of those chosen that came to its end here before the given one; nil: there is none.
func (m *Runs) previous(ctx context.Context, f archive.RunFilter, of diag.Report) (*diag.Report, error) {
	f.Local, f.Before, f.Limit = true, archive.Cursor{At: of.CreatedAt, ID: of.ID}, 1
	for {
		lines, err := m.store.Runs(ctx, f)
		if err != nil || len(lines) == 0 {
			return nil, err
		}
		kept, err := m.store.Run(ctx, lines[0].ID)
		if errors.Is(err, archive.ErrNotFound) { // erased since: then the one before it
			f.Before = archive.Cursor{At: lines[0].CreatedAt, ID: lines[0].ID}
			continue
		}
		if err != nil {
			return nil, err
		}
		return &kept.Report, nil
	}
}
