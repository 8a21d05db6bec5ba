package web

import (
	"context"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
)

// Import implements [handlers.Runs]. The report gets an id and an expiry of this server, and is marked.
func (m *Runs) Import(ctx context.Context, by handlers.Actor, r diag.Report) (handlers.Started, error) {
	if m.Stopping() {
		return handlers.Started{}, handlers.ErrStopping
	}
	id, token, now := newID(), newToken(), m.now()
	r.ID, r.ImportedAt, r.ExpiresAt = id, now, now.Add(m.limits().Retention)
	header := r
	header.Steps, header.Findings, header.RootCause, header.RuledOut, header.State = nil, nil, nil, nil, diag.StateRunning
	if err := m.store.Create(ctx, header, ownerOf(by, token), m.room(by.Person.ID, by.Addr)); err != nil {
		return handlers.Started{}, m.busy(err)
	}
	if err := m.store.Append(ctx, id, []diag.Event{{Seq: 1, Type: diag.EventRunFinished, At: now, Report: &r}}); err != nil {
		_ = m.store.Erase(context.WithoutCancel(ctx), id) // half a report helps nobody
		return handlers.Started{}, err
	}
	m.grown()
	m.audit.by(ctx, by, actImport, r)
	return handlers.Started{ID: id, DeleteToken: token}, nil
}
