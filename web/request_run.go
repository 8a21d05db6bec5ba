package web

import (
	"context"
	"maps"
	"slices"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

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
