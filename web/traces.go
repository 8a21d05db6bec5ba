package web

import (
	"context"
	"encoding/json"
	"errors"

	"mqttdoctor/diag/trace"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// Attach implements [handlers.Runs].
func (m *Runs) Attach(ctx context.Context, id string, by handlers.Actor, read func() (trace.Attached, error)) (trace.Attached, error) {
	if err := m.mustOwnRun(ctx, id, by); err != nil {
		return trace.Attached{}, err
	}
	t, err := read()
	if err != nil {
		return trace.Attached{}, err
	}
	t.AttachedAt = m.now().UTC()
	data, err := json.Marshal(t)
	if err != nil {
		return t, err
	}
	err = m.store.Attach(ctx, id, data)
	if errors.Is(err, archive.ErrNotFound) { // erased meanwhile
		err = handlers.ErrNotFound
	}
	return t, err
}

// Attached implements [handlers.Runs].
func (m *Runs) Attached(ctx context.Context, id string, by handlers.Actor) (trace.Attached, error) {
	var t trace.Attached
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return t, err
	}
	data, err := m.store.Attached(ctx, id)
	switch {
	case err == nil:
		if err := json.Unmarshal(data, &t); err != nil {
			return t, err
		}
		return maskTrace(maskFor(by, found), t)
	case !errors.Is(err, archive.ErrNotFound):
		return t, err
	}
	return t, handlers.ErrNoAttached
}

// Detach implements [handlers.Runs].
func (m *Runs) Detach(ctx context.Context, id string, by handlers.Actor) error {
	if err := m.mustOwnRun(ctx, id, by); err != nil {
		return err
	}
	err := m.store.Detach(ctx, id)
	if errors.Is(err, archive.ErrNotFound) {
		return handlers.ErrNoAttached
	}
	return err
}

func (m *Runs) mustOwnRun(ctx context.Context, id string, by handlers.Actor) error {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return err
	}
	return mustOwn(by, found.owner)
}
