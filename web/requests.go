package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

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

// requestData is what is kept of a request beside what the archive itself reads. It holds no secret.
type requestData struct {
	From   string           `json:"from,omitempty"`
	Known  bool             `json:"known,omitempty"`
	Note   string           `json:"note,omitempty"`
	Ask    []string         `json:"ask,omitempty"`
	Target diag.TargetInput `json:"target"`
	Plan   diag.PlanInput   `json:"plan"`
	Lang   string           `json:"lang,omitempty"`
}

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

// anywhere stands for an address that the other one fills in, where the rest is checked.
const anywhere = "mqtts://broker.invalid"

// requestOf checks an input and makes what is kept of it: every secret is left out here.
func (m *Runs) requestOf(by handlers.Actor, in handlers.RequestInput) (requestData, error) {
	wrong := diag.FieldErrors{}
	for _, field := range in.Ask {
		if !slices.Contains(handlers.RequestFields, field) {
			wrong["ask"] = diag.N("api.request_ask")
		}
	}
	if utf8.RuneCountInString(in.Note) > handlers.MaxRequestNote {
		wrong["note"] = diag.N("api.too_long", "limit", strconv.Itoa(handlers.MaxRequestNote))
	}
	if utf8.RuneCountInString(in.From) > handlers.MaxRequestFrom {
		wrong["from"] = diag.N("api.too_long", "limit", strconv.Itoa(handlers.MaxRequestFrom))
	}
	if in.KeepDays != nil && (*in.KeepDays < 1 || *in.KeepDays > int(handlers.LongestRequest/(24*time.Hour))) {
		wrong["keep_days"] = diag.N("api.request_days", "limit", strconv.Itoa(int(handlers.LongestRequest/(24*time.Hour))))
	}
	// A key without its certificate is an error, and here the key comes later.
	bare := in.Target.WithoutSecrets()
	address, user, _ := diag.SplitUserInfo(bare.URL)
	if bare.URL = address; bare.Username == "" {
		bare.Username = user
	}
	check := bare
	check.TLS.CertPEM = ""
	open := slices.Contains(in.Ask, "target.url")
	if open && strings.TrimSpace(bare.URL) == "" {
		check.URL = anywhere
	}
	plan, err := m.engine.Plan(diag.RunInput{Target: check, Plan: in.Plan})
	if err := collect(wrong, err); err != nil {
		return requestData{}, err
	}
	if len(wrong) > 0 {
		return requestData{}, wrong
	}
	d := requestData{From: oneLine(by.Person.Name), Known: by.Person.SignedIn(), Note: strings.TrimSpace(plainText(in.Note)), Plan: in.Plan, Lang: in.Lang}
	if !d.Known {
		d.From = oneLine(in.From)
	}
	for _, field := range handlers.RequestFields {
		// A certificate is of no use without its key, which is never kept.
		if slices.Contains(in.Ask, field) || strings.HasPrefix(field, "target.tls.") && field != "target.tls.ca_pem" && bare.TLS.CertPEM != "" {
			d.Ask = append(d.Ask, field)
		}
	}
	d.Target = plan.Target.Public().WithoutSecrets()
	d.Target.TLS.CertPEM = bare.TLS.CertPEM
	if check.URL == anywhere {
		d.Target.URL = ""
	}
	return d, nil
}

// plainText leaves out what does not show and may mislead: control characters, and marks that turn the direction of text.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

func oneLine(s string) string { return strings.Join(strings.Fields(plainText(s)), " ") }

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

// helps tells whether the actor made the request: by the token, or as the person who was signed in, else by the browser's cookie.
func helps(by handlers.Actor, r archive.Request) bool {
	if matches(by.Token, r.TokenHash) {
		return true
	}
	if r.Helper != "" {
		return by.Person.ID == r.Helper
	}
	return matches(by.Owner, r.HelperHash)
}

// mustHelp lets only the helper through.
func mustHelp(by handlers.Actor, r archive.Request) error {
	switch {
	case helps(by, r):
		return nil
	case by.Token == "" && by.Owner == "" && !by.Person.SignedIn():
		return handlers.ErrNoToken
	}
	return handlers.ErrNotYours
}

// Request implements [handlers.Requests].
func (m *Runs) Request(ctx context.Context, id string, by handlers.Actor) (handlers.Request, error) {
	kept, data, err := m.keptRequest(ctx, id)
	if err != nil {
		return handlers.Request{}, err
	}
	r := shownRequest(kept, data, by)
	filter := archive.RunFilter{Request: id, Limit: maxRequestRuns}
	switch {
	case r.Helper:
	case by.Person.SignedIn():
		filter.Person = by.Person.ID
	case by.Owner != "":
		filter.Maker = hashOf(by.Owner)
	default: // whoever it is, he has made none
		return r, nil
	}
	lines, err := m.store.Runs(ctx, filter)
	for _, l := range lines {
		r.Runs = append(r.Runs, handlers.RequestRun{ID: l.ID, State: l.State, Verdict: l.Verdict, RootCause: l.RootCause, CreatedAt: l.CreatedAt,
			FinishedAt: l.FinishedAt})
	}
	return r, err
}

func shownRequest(kept archive.Request, data requestData, by handlers.Actor) handlers.Request {
	r := handlers.Request{ID: kept.ID, CreatedAt: kept.CreatedAt, ExpiresAt: kept.ExpiresAt, OpenedAt: kept.OpenedAt, From: data.From, Known: data.Known,
		Note: data.Note, Ask: data.Ask, Target: data.Target, Plan: data.Plan, Lang: data.Lang, Helper: helps(by, kept)}
	var wish handlers.Wish
	if len(kept.Wish) > 0 && json.Unmarshal(kept.Wish, &wish) == nil {
		r.Wish = &wish
	}
	return r
}

// Requests implements [handlers.Requests].
func (m *Runs) Requests(ctx context.Context, by handlers.Actor, limit int) ([]handlers.Request, error) {
	filter := archive.RequestFilter{Limit: limit}
	switch {
	case by.Person.SignedIn():
		filter.Helper = by.Person.ID
	case by.Owner != "":
		filter.Maker = hashOf(by.Owner)
	default:
		return nil, nil
	}
	list, err := m.store.Requests(ctx, filter)
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

// changedRequest wakes those who look at a request in this process, whatever the archive does for others.
func (m *Runs) changedRequest(id string) {
	if id != "" {
		m.wakes.heard(archive.Key(id))
	}
}

// EraseRequest implements [handlers.Requests].
func (m *Runs) EraseRequest(ctx context.Context, id string, by handlers.Actor) error {
	kept, data, err := m.keptRequest(ctx, id)
	if err != nil {
		return err
	}
	if err := mustHelp(by, kept); err != nil && !by.Person.Admin {
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

// Help implements [handlers.Requests].
func (m *Runs) Help(ctx context.Context, id string, by handlers.Actor, in handlers.HelpInput) (handlers.Started, error) {
	kept, data, err := m.keptRequest(ctx, id)
	if err != nil {
		return handlers.Started{}, err
	}
	run := diag.RunInput{Target: data.Target, Plan: data.Plan, Lang: in.Lang}
	if err := fillIn(&run.Target, in.Target, data.Ask); err != nil {
		return handlers.Started{}, err
	}
	lines, err := m.store.Runs(ctx, archive.RunFilter{Request: id, Limit: maxRequestRuns})
	if err != nil {
		return handlers.Started{}, err
	}
	if len(lines) >= maxRequestRuns {
		return handlers.Started{}, handlers.ErrRequestSpent
	}
	runID, token := newID(), newToken()
	owner := ownerOf(by, token)
	owner.Request, owner.Hide = id, notNil(in.Hide)
	if in.MayRepeat {
		owner.HelperHash = kept.HelperHash
		if len(owner.HelperHash) == 0 {
			owner.HelperHash = kept.TokenHash
		}
	}
	if err := m.start(ctx, runID, owner, starterOf(by), run); err != nil {
		return handlers.Started{}, err
	}
	m.meter.asked.WithLabelValues(askedRun).Inc()
	return handlers.Started{ID: runID, DeleteToken: token}, nil
}

// notNil tells an owner who hides nothing from one who was not asked.
func notNil(hide []diag.Hide) []diag.Hide {
	if hide == nil {
		return []diag.Hide{}
	}
	return hide
}

// fillIn puts what was given into what was asked for. What was not asked for is fixed, whoever has the link.
func fillIn(t *diag.TargetInput, given diag.TargetInput, ask []string) error {
	wrong := diag.FieldErrors{}
	put := func(field string, is bool, take func()) {
		switch {
		case !is:
		case slices.Contains(ask, field):
			take()
		default:
			wrong[field] = diag.N("api.not_asked")
		}
	}
	put("target.url", given.URL != "", func() { t.URL, t.WS.Path = given.URL, "" })
	put("target.client_id", given.ClientID != "", func() { t.ClientID = given.ClientID })
	put("target.username", given.Username != "", func() { t.Username = given.Username })
	put("target.password", given.Password.Given(), func() { t.Password = given.Password })
	put("target.tls.ca_pem", given.TLS.CAPEM != "", func() { t.TLS.CAPEM = given.TLS.CAPEM })
	put("target.tls.cert_pem", given.TLS.CertPEM != "", func() { t.TLS.CertPEM = given.TLS.CertPEM })
	put("target.tls.key_pem", given.TLS.KeyPEM.Given(), func() { t.TLS.KeyPEM = given.TLS.KeyPEM })
	put("target.ws.headers", len(given.WS.Headers) > 0, func() { t.WS.Headers = maps.Clone(given.WS.Headers) })
	put("target.topics.publish", given.Topics.Publish != "", func() { t.Topics.Publish = given.Topics.Publish })
	put("target.topics.subscribe", len(given.Topics.Subscribe) > 0, func() { t.Topics.Subscribe = given.Topics.Subscribe })
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// Wish implements [handlers.Requests].
func (m *Runs) Wish(ctx context.Context, id string, by handlers.Actor, wish handlers.Wish) error {
	kept, _, err := m.keptRequest(ctx, id)
	if err != nil {
		return err
	}
	if err := mustHelp(by, kept); err != nil {
		return err
	}
	found, err := m.lookUp(ctx, wish.Run)
	if err != nil {
		return err
	}
	if found.owner.Request != id {
		return handlers.ErrNotFound
	}
	data, err := json.Marshal(wish)
	if err != nil {
		return err
	}
	err = m.store.Wish(ctx, id, data)
	m.changedRequest(id)
	if errors.Is(err, archive.ErrNotFound) {
		return handlers.ErrNoRequest
	}
	return err
}

// requestPoll is how often a request is looked at without a signal.
const requestPoll = 3 * time.Second

// requestViewer looks at a request whenever something may have changed.
type requestViewer struct {
	runs  *Runs
	id    string
	by    handlers.Actor
	woken <-chan struct{}
	stop  func()
	last  []byte // what was returned last
}

// WatchRequest implements [handlers.Requests].
func (m *Runs) WatchRequest(ctx context.Context, id string, by handlers.Actor) (handlers.RequestViewer, error) {
	if _, _, err := m.keptRequest(ctx, id); err != nil {
		return nil, err
	}
	if m.viewers.Add(1) > maxViewers {
		m.viewers.Add(-1)
		return nil, &handlers.TooManyViewers{Limit: maxViewers}
	}
	m.meter.viewers.Inc()
	woken, deaf := m.wakes.on(archive.Key(id))
	stop := sync.OnceFunc(func() { deaf(); m.viewers.Add(-1); m.meter.viewers.Dec() })
	return &requestViewer{runs: m, id: id, by: by, woken: woken, stop: stop}, nil
}

// Next implements [handlers.RequestViewer].
func (v *requestViewer) Next(ctx context.Context) (handlers.Request, error) {
	for {
		if v.runs.Stopping() {
			return handlers.Request{}, handlers.ErrStopping
		}
		r, err := v.runs.Request(ctx, v.id, v.by)
		if err != nil {
			return r, err
		}
		now, err := json.Marshal(r)
		if err != nil {
			return r, err
		}
		if !bytes.Equal(now, v.last) {
			v.last = now
			return r, nil
		}
		poll := time.NewTimer(requestPoll)
		select {
		case <-v.woken:
		case <-poll.C:
		case <-ctx.Done():
		}
		poll.Stop()
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}
}

// Stop implements [handlers.RequestViewer].
func (v *requestViewer) Stop() { v.stop() }

// helpsWith tells whether the actor made the request that a run was made for.
func (m *Runs) helpsWith(ctx context.Context, by handlers.Actor, f foundRun) bool {
	if f.owner.Request == "" {
		return false
	}
	kept, err := m.store.Request(ctx, f.owner.Request)
	return err == nil && helps(by, kept)
}

// ownerAgain is who owns a run that repeats one: whoever made that one for a request makes the new one for it too, under the same
// conditions.
func (m *Runs) ownerAgain(by handlers.Actor, token string, f foundRun) archive.Owner {
	o := ownerOf(by, token)
	if owns(by, f.owner) && f.owner.Request != "" {
		o.Request, o.HelperHash, o.Hide = f.owner.Request, f.owner.HelperHash, notNil(f.hide)
	}
	return o
}

// repeatForHelper repeats a run with the secrets that are held of it, where its maker let the helper do so. The new run is its
// maker's as well: to repeat a run must not show what is hidden in it.
func (m *Runs) repeatForHelper(ctx context.Context, f foundRun, by handlers.Actor, with handlers.RerunOptions) (handlers.Started, error) {
	in, missing := m.inputOf(f.report, true, diag.TargetInput{})
	if len(f.owner.HelperHash) == 0 {
		return handlers.Started{}, &handlers.SecretsGone{Fields: missing}
	}
	owner := f.owner
	owner.Hide = notNil(f.hide)
	if len(missing) > 0 && f.held {
		return m.askRerun(ctx, f.process, rerunOrder{Run: f.report.ID, NewID: newID(), Owner: owner, By: starterOf(by), Apply: with.Apply, Only: with.Only, Lang: with.Lang}, "", missing)
	}
	in, err := again(in, missing, f.report, with)
	if err != nil {
		return handlers.Started{}, err
	}
	id := newID()
	return handlers.Started{ID: id}, m.start(ctx, id, owner, starterOf(by), in)
}
