package web

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/mask"
	"mqttdoctor/diag/trace"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

const (
	// shareLife is how long a run's share is remembered: an event for each of hundreds of viewers must not be a query each.
	// A change at another process takes as long.
	shareLife = time.Second
	// maxShares bounds what is remembered.
	maxShares = 10_000
	// lookEvery is how often the same address counts as a look: a page that is loaded again is one reader.
	lookEvery = 30 * time.Minute
)

// shares remembers what links show, for a moment, and who has looked.
type shares struct {
	mu      sync.Mutex
	known   map[string]knownShare
	changes int // how many shares were changed here: what was read before a change is not remembered after it
	looked  map[look]time.Time
}

type knownShare struct {
	share archive.Share
	at    time.Time
}

type look struct {
	run  string
	addr netip.Addr
}

// shareOf returns how a run is shared, at most shareLife old.
func (m *Runs) shareOf(ctx context.Context, id string) (archive.Share, error) {
	m.shares.mu.Lock()
	k, ok := m.shares.known[id]
	changes := m.shares.changes
	m.shares.mu.Unlock()
	if ok && m.now().Sub(k.at) < shareLife {
		return k.share, nil
	}
	share, err := m.store.Share(ctx, id)
	if err != nil {
		return archive.Share{}, err
	}
	m.shares.mu.Lock()
	defer m.shares.mu.Unlock()
	if m.shares.changes != changes {
		return share, nil
	}
	if len(m.shares.known) >= maxShares {
		clear(m.shares.known)
	}
	m.shares.known[id] = knownShare{share, m.now()}
	return share, nil
}

// shownOf is how a run of this process is shared. Where the archive does not say, everything is hidden.
func (m *Runs) shownOf(ctx context.Context, id string) archive.Share {
	share, err := m.shareOf(ctx, id)
	if err != nil {
		return archive.Share{Hide: diag.Hides}
	}
	return share
}

// maskFor is what an actor does not see of a run.
func maskFor(by handlers.Actor, f foundRun) *mask.Mask {
	if sees(by, f.owner) {
		return &mask.Mask{}
	}
	return maskOf(f.hide, f)
}

func maskOf(hide []diag.Hide, f foundRun) *mask.Mask {
	key := f.owner.CookieHash // the same names in all reports of one owner, so that they can be compared
	if len(key) == 0 {
		key = f.owner.TokenHash
	}
	return mask.New(hide, key, f.report.Target, f.report.Plan)
}

// maskTrace is what may be seen of an attached trace.
func maskTrace(m *mask.Mask, t trace.Attached) (trace.Attached, error) {
	if !m.Any() {
		return t, nil
	}
	out := t
	if t.Payloads && m.Hides(diag.HidePayloads) {
		bare, err := trace.Attach(t.Packets, t.Lost, false, catalogue.Has)
		if err != nil {
			return trace.Attached{}, err
		}
		out.Packets, out.Lost, out.Payloads = bare.Packets, bare.Lost, false
	}
	out.Target, out.Packets = m.Link(out.Target), slices.Clone(out.Packets)
	for i := range out.Packets {
		f := &out.Packets[i]
		f.Explanation, f.Note = "", m.Note(f.Note) // words are made of the note
		f.Warnings = slices.Clone(f.Warnings)
		for j := range f.Warnings {
			f.Warnings[j].Text, f.Warnings[j].Note = "", m.Note(f.Warnings[j].Note)
		}
		if f.Fields != nil {
			f.Fields, _ = m.Field("", f.Fields).(map[string]any)
		}
	}
	return out, nil
}

// maskedViewer hands out events of which parts are hidden, as the share says at the moment.
type maskedViewer struct {
	handlers.Viewer
	runs *Runs
	run  foundRun
	hide []diag.Hide
	mask *mask.Mask
}

// Next implements [handlers.Viewer].
func (v *maskedViewer) Next(ctx context.Context) ([]diag.Event, error) {
	events, err := v.Viewer.Next(ctx)
	if err != nil {
		return nil, err
	}
	hide := v.runs.shownOf(ctx, v.run.report.ID).Hide
	if !slices.Equal(hide, v.hide) {
		v.hide, v.mask = hide, maskOf(hide, v.run)
	}
	out := make([]diag.Event, len(events))
	for i, e := range events {
		out[i] = v.mask.Event(e)
	}
	return out, nil
}

// Share implements [handlers.Runs].
func (m *Runs) Share(ctx context.Context, id string, by handlers.Actor) (handlers.Share, error) {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return handlers.Share{}, err
	}
	if err := mustOwn(by, found.owner); err != nil {
		return handlers.Share{}, err
	}
	kept, err := m.store.Share(ctx, id)
	if errors.Is(err, archive.ErrNotFound) {
		return handlers.Share{}, handlers.ErrNotFound
	}
	return handlers.Share{Hide: kept.Hide, PreviewHost: kept.PreviewHost, ExpiresAt: kept.ExpiresAt, Views: kept.Views, ViewedAt: kept.ViewedAt}, err
}

// SetShare implements [handlers.Runs].
func (m *Runs) SetShare(ctx context.Context, id string, by handlers.Actor, change handlers.ShareChange) error {
	now, err := m.Share(ctx, id, by)
	if err != nil {
		return err
	}
	to := archive.Share{Hide: now.Hide, PreviewHost: now.PreviewHost, ExpiresAt: now.ExpiresAt}
	if change.Hide != nil {
		to.Hide = *change.Hide
	}
	if change.PreviewHost != nil {
		to.PreviewHost = *change.PreviewHost
	}
	if change.Keep > 0 {
		to.ExpiresAt = m.now().Add(min(change.Keep, m.longest()))
	}
	err = m.store.SetShare(ctx, id, to)
	if errors.Is(err, archive.ErrNotFound) {
		return handlers.ErrNotFound
	}
	m.shares.mu.Lock()
	m.shares.changes++
	delete(m.shares.known, id)
	m.shares.mu.Unlock()
	return err
}

// longest is for how long a report can be kept from now on.
func (m *Runs) longest() time.Duration { return max(m.limits().Retention, handlers.LongestShare) }

// Viewed implements [handlers.Runs].
func (m *Runs) Viewed(ctx context.Context, id string, by handlers.Actor) {
	found, err := m.lookUp(ctx, id)
	if err != nil || sees(by, found.owner) {
		return
	}
	now, seen := m.now(), look{id, by.Addr}
	m.shares.mu.Lock()
	last, again := m.shares.looked[seen]
	if again = again && now.Sub(last) < lookEvery; !again {
		if len(m.shares.looked) >= maxShares {
			clear(m.shares.looked)
		}
		m.shares.looked[seen] = now
	}
	m.shares.mu.Unlock()
	if again {
		return
	}
	if err := m.store.Viewed(ctx, id); err != nil {
		m.log.Warn("look not counted", "run", tagOf(id), "err", err)
	}
}
