package web

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

var _ handlers.Requests = (*Runs)(nil)

const (
	// maxRequests and maxRequestsOf bound the links that work at once, in all and of one helper.
	maxRequests   = 10_000
	maxRequestsOf = 200
	// maxRequestBytes bounds one: a note and certificates.
	maxRequestBytes = 256 << 10
	// maxRequestRuns bounds what can be done with one link, whoever it is passed on to.
	maxRequestRuns = 200
)

// Ask implements [handlers.Requests].
func (m *Runs) Ask(ctx context.Context, by handlers.Actor, in handlers.RequestInput) (handlers.Asked, error) {
	data, err := m.requestOf(by, in)
	if err != nil {
		return handlers.Asked{}, err
	}
	text, err := json.Marshal(data)
	if err != nil {
		return handlers.Asked{}, err
	}
	if len(text) > maxRequestBytes {
		return handlers.Asked{}, diag.FieldErrors{"body": diag.N("api.body_too_large", "limit", strconv.Itoa(maxRequestBytes))}
	}
	keep := handlers.UsualRequest
	if in.KeepDays != nil {
		keep = time.Duration(*in.KeepDays) * 24 * time.Hour
	}
	now, token := m.now(), newToken()
	r := archive.Request{ID: newID(), CreatedAt: now, ExpiresAt: now.Add(keep), HelperHash: hashOf(by.Owner), TokenHash: hashOf(token),
		Helper: by.Person.ID, Data: text}
	err = m.store.SaveRequest(ctx, r, archive.Room{InAll: maxRequests, PerClient: maxRequestsOf})
	var full *archive.Full
	if errors.As(err, &full) {
		limit := maxRequests
		if full.PerClient {
			limit = maxRequestsOf
		}
		return handlers.Asked{}, &handlers.Busy{Requests: true, PerClient: full.PerClient, Limit: limit, RetryAfter: time.Hour}
	}
	if err != nil {
		return handlers.Asked{}, err
	}
	m.meter.asked.WithLabelValues(askedMade).Inc()
	m.noteRequest(ctx, by, actAsk, r.ID, data.Target)
	return handlers.Asked{ID: r.ID, ExpiresAt: r.ExpiresAt, HelperToken: token}, nil
}

// noteRequest adds what was done with a request to the audit log.
func (m *Runs) noteRequest(ctx context.Context, by handlers.Actor, act, id string, t diag.TargetInput) {
	where := ""
	if target, err := diag.ParseTarget(diag.TargetInput{URL: t.URL}); err == nil {
		where = place(target)
	}
	m.audit.note(ctx, archive.AuditLine{Act: act, Person: by.Person.ID, Name: by.Person.Name, Client: by.Addr.String(), Target: where,
		Note: requestNote(id)})
}

// requestNote names a request in the audit log, without what opens it.
func requestNote(id string) string {
	if id == "" {
		return ""
	}
	return "request " + tagOf(id)
}

// keptRequest finds a request.
func (m *Runs) keptRequest(ctx context.Context, id string) (archive.Request, requestData, error) {
	kept, err := m.store.Request(ctx, id)
	if errors.Is(err, archive.ErrNotFound) {
		return kept, requestData{}, handlers.ErrNoRequest
	}
	if err != nil {
		return kept, requestData{}, err
	}
	var data requestData
	err = json.Unmarshal(kept.Data, &data)
	return kept, data, err
}

// helperOf is who made a request, known again like the maker of a run.
func helperOf(r archive.Request) archive.Owner {
	return archive.Owner{TokenHash: r.TokenHash, CookieHash: r.HelperHash, Person: r.Helper}
}

// helps tells whether the actor made the request.
func helps(by handlers.Actor, r archive.Request) bool { return owns(by, helperOf(r)) }

// Request implements [handlers.Requests].
func (m *Runs) Request(ctx context.Context, id string, by handlers.Actor) (handlers.Request, error) {
	kept, data, err := m.keptRequest(ctx, id)
	if err != nil {
		return handlers.Request{}, err
	}
	r := shownRequest(kept, data, by)
	var filter archive.RunFilter
	if !r.Helper { // he sees all of them
		var known bool
		if filter, known = madeBy(ownerOf(by, "")); !known {
			return r, nil // whoever it is, he has made none
		}
	}
	filter.Request, filter.Limit = id, maxRequestRuns
	lines, err := m.store.Runs(ctx, filter)
	if err != nil {
		return handlers.Request{}, err
	}
	if len(lines) == 0 { // none was made, or the request was erased since it was read, which takes all of them from it at once
		if _, _, err := m.keptRequest(ctx, id); err != nil {
			return handlers.Request{}, err
		}
	}
	for _, l := range lines {
		r.Runs = append(r.Runs, handlers.RequestRun{ID: l.ID, State: l.State, Verdict: l.Verdict, RootCause: l.RootCause, CreatedAt: l.CreatedAt,
			FinishedAt: l.FinishedAt})
	}
	return r, nil
}

// Requests implements [handlers.Requests].
func (m *Runs) Requests(ctx context.Context, by handlers.Actor, limit int) ([]handlers.Request, error) {
	mine, known := madeBy(ownerOf(by, ""))
	if !known {
		return nil, nil
	}
	list, err := m.store.Requests(ctx, archive.RequestFilter{Helper: mine.Person, Maker: mine.Maker, Limit: limit})
	if err != nil {
		return nil, err
	}
	var out []handlers.Request
	for _, kept := range list {
		var data requestData
		if err := json.Unmarshal(kept.Data, &data); err != nil {
			return nil, err
		}
		out = append(out, shownRequest(kept, data, by))
	}
	return out, nil
}

// OpenedRequest implements [handlers.Requests].
func (m *Runs) OpenedRequest(ctx context.Context, id string, by handlers.Actor) {
	kept, _, err := m.keptRequest(ctx, id)
	if err != nil || helps(by, kept) {
		return
	}
	if kept.OpenedAt.IsZero() {
		m.meter.asked.WithLabelValues(askedOpened).Inc()
	}
	if err := m.store.RequestOpened(ctx, id); err != nil {
		m.log.Warn("not noted that a request was opened", "request", tagOf(id), "err", err)
	}
	m.changedRequest(id)
}

// EraseRequest implements [handlers.Requests].
func (m *Runs) EraseRequest(ctx context.Context, id string, by handlers.Actor) error {
	kept, data, err := m.keptRequest(ctx, id)
	if err != nil {
		return err
	}
	if err := mustOwn(by, helperOf(kept)); err != nil && !by.Person.Admin {
		return err
	}
	err = m.store.EraseRequest(ctx, id)
	if errors.Is(err, archive.ErrNotFound) {
		return handlers.ErrNoRequest
	}
	if err == nil {
		m.meter.asked.WithLabelValues(askedErased).Inc()
		m.noteRequest(ctx, by, actAskErase, id, data.Target)
	}
	m.changedRequest(id)
	return err
}
