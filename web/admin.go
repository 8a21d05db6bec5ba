package web

import (
	"context"
	"maps"
	"slices"
	"strings"

	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// admin implements [handlers.Admin].
type admin struct {
	store    archive.Store
	settings *settings
	audit    *audit
}

// Runs implements [handlers.Admin].
func (a admin) Runs(ctx context.Context, q handlers.RunQuery) ([]handlers.ListedRun, error) {
	lines, err := a.store.Runs(ctx, archive.RunFilter{Target: q.Target, Before: archive.Cursor{At: q.Before}, Limit: q.Limit})
	out := make([]handlers.ListedRun, len(lines))
	for i, l := range lines {
		out[i] = handlers.ListedRun{RunLine: handlers.RunLine{ID: l.ID, State: l.State, Verdict: l.Verdict, RootCause: l.RootCause, CreatedAt: l.CreatedAt,
			Target: l.Target}, ExpiresAt: l.ExpiresAt, Person: handlers.Person{ID: l.Person, Name: l.Name}, Bytes: l.Bytes}
	}
	return out, err
}

// Audit implements [handlers.Admin].
func (a admin) Audit(ctx context.Context, q handlers.AuditQuery) ([]handlers.AuditLine, error) {
	lines, err := a.store.Audit(ctx, archive.AuditFilter{Person: q.Person, Target: q.Target, Before: q.Before, Limit: q.Limit})
	out := make([]handlers.AuditLine, len(lines))
	for i, l := range lines {
		out[i] = handlers.AuditLine{ID: l.ID, At: l.At, Person: handlers.Person{ID: l.Person, Name: l.Name}, Client: l.Client, Act: l.Act, Run: l.Run,
			Target: l.Target, Note: l.Note}
	}
	return out, err
}

// Limits implements [handlers.Admin].
func (a admin) Limits() []handlers.Limit { return a.settings.list() }

// SetLimits implements [handlers.Admin].
func (a admin) SetLimits(ctx context.Context, by handlers.Actor, to map[string]string) error {
	changed, err := a.settings.change(ctx, to)
	if err != nil || len(changed) == 0 {
		return err
	}
	var notes []string
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		notes = append(notes, name+"="+changed[name])
	}
	a.audit.note(ctx, archive.AuditLine{Act: actLimits, Person: by.Person.ID, Name: by.Person.Name, Client: by.Addr.String(), Note: strings.Join(notes, " ")})
	return nil
}

// Bytes implements [handlers.Admin].
func (a admin) Bytes(ctx context.Context) (int64, error) { return a.store.Bytes(ctx) }
