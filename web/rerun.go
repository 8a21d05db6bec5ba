package web

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"mqttdoctor/diag"
	"mqttdoctor/handlers"
)

// Rerun implements [handlers.Runs].
func (m *Runs) Rerun(ctx context.Context, id string, by handlers.Actor, with handlers.RerunOptions) (handlers.Started, error) {
	found, err := m.lookUp(ctx, id)
	if err != nil {
		return handlers.Started{}, err
	}
	if !owns(by, found.owner) && m.helpsWith(ctx, by, found) {
		return m.repeatForHelper(ctx, found, by, with)
	}
	if by.Token != "" && !owns(by, found.owner) {
		return handlers.Started{}, handlers.ErrNotYours
	}
	if !mayRepeat(by, found) {
		return handlers.Started{}, handlers.ErrNotYours
	}
	acts := mayAct(by, found.owner) == nil
	in, missing := m.inputOf(found.report, acts, with.Secrets)
	missing = append(missing, hiddenFields(by, found, &in.Target, with.Secrets)...)
	if len(missing) > 0 && found.held && acts && !anyGiven(with.Secrets) {
		token := newToken()
		return m.askRerun(ctx, found.process, rerunOrder{Run: id, NewID: newID(), Owner: m.ownerAgain(by, token, found), By: starterOf(by),
			Apply: with.Apply, Only: with.Only, Lang: with.Lang}, token, missing)
	}
	in, err = again(in, missing, found.report, with)
	if err != nil {
		return handlers.Started{}, err
	}
	next, token := newID(), newToken()
	if err := m.start(ctx, next, m.ownerAgain(by, token, found), starterOf(by), in); err != nil {
		return handlers.Started{}, err
	}
	return handlers.Started{ID: next, DeleteToken: token}, nil
}

// again is the input of a rerun: with what was asked to be changed, or the reason why there can be none.
func again(in diag.RunInput, missing []string, report diag.Report, with handlers.RerunOptions) (diag.RunInput, error) {
	if len(missing) > 0 {
		return in, &handlers.SecretsGone{Fields: missing}
	}
	if with.Apply != "" {
		i := slices.IndexFunc(report.Findings, func(f diag.Finding) bool { return f.Code == with.Apply })
		if i < 0 || report.Findings[i].Suggestion == nil {
			return in, handlers.ErrNoSuggestion
		}
		apply(&in.Target, *report.Findings[i].Suggestion)
	}
	in.Plan.Only = string(with.Only) // a whole run after the repetition of a step is whole
	in.Lang = cmp.Or(with.Lang, in.Lang)
	return in, nil
}

// mayRepeat tells whether a run can be repeated without showing what is hidden: who repeats a run owns the new one.
func mayRepeat(by handlers.Actor, f foundRun) bool {
	t := f.report.Target
	return owns(by, f.owner) || !slices.Contains(f.hide, diag.HideHost) &&
		!(slices.Contains(f.hide, diag.HideTopics) && (t.Topics.Publish != "" || len(t.Topics.Subscribe) > 0))
}

// hiddenFields are those that this actor must know by himself: they are taken from what he gave.
func hiddenFields(by handlers.Actor, f foundRun, t *diag.TargetInput, given diag.TargetInput) (missing []string) {
	if owns(by, f.owner) || !slices.Contains(f.hide, diag.HideUser) {
		return nil
	}
	for _, field := range []struct {
		name  string
		is    *string
		given string
	}{{"target.username", &t.Username, given.Username}, {"target.tls.cert_pem", &t.TLS.CertPEM, given.TLS.CertPEM}} {
		if *field.is != "" && field.given == "" {
			missing = append(missing, field.name)
		}
		if *field.is != "" {
			*field.is = field.given
		}
	}
	return missing
}

func anyGiven(t diag.TargetInput) bool {
	return t.Password.Given() || t.TLS.KeyPEM.Given() || t.WS.Query.Given() || len(t.WS.Headers) > 0
}

// inputOf is what a run was started with, with its secrets where they are still held and this actor may use them, else
// with the given ones. missing names the fields that would have to be typed again.
func (m *Runs) inputOf(report diag.Report, mayUseHeld bool, given diag.TargetInput) (in diag.RunInput, missing []string) {
	held, ok := m.vault.get(report.ID)
	if ok && mayUseHeld {
		in = held
	} else {
		in = inputFrom(report)
	}
	t := &in.Target
	if given.Password.Given() {
		t.Password = given.Password
	}
	if given.TLS.KeyPEM.Given() {
		t.TLS.KeyPEM = given.TLS.KeyPEM
	}
	if given.WS.Query.Given() {
		t.WS.Query = given.WS.Query
	}
	if len(given.WS.Headers) > 0 {
		t.WS.Headers = maps.Clone(t.WS.Headers)
		if t.WS.Headers == nil {
			t.WS.Headers = map[string]diag.Secret{}
		}
		maps.Copy(t.WS.Headers, given.WS.Headers)
	}
	if t.Password.Gone() {
		missing = append(missing, "target.password")
	}
	if t.TLS.KeyPEM.Gone() {
		missing = append(missing, "target.tls.key_pem")
	}
	if t.WS.Query.Gone() {
		missing = append(missing, "target.ws.query")
	}
	for _, value := range t.WS.Headers {
		if value.Gone() {
			missing = append(missing, "target.ws.headers")
			break
		}
	}
	return in, missing
}

// inputFrom makes an input of a report: the same but for the secrets, of which it is known that they were given.
func inputFrom(r diag.Report) diag.RunInput {
	t := r.Target
	t.Password, t.TLS.KeyPEM, t.WS.Query = forget(t.Password), forget(t.TLS.KeyPEM), forget(t.WS.Query)
	t.WS.Headers = maps.Clone(t.WS.Headers)
	for name, value := range t.WS.Headers {
		t.WS.Headers[name] = forget(value)
	}
	timeout, watch := r.TimeoutS, r.WatchS
	count, qos, payload := r.Plan.Burst.Count, int(r.Plan.Burst.QoS), r.Plan.Burst.PayloadBytes
	return diag.RunInput{Target: t, Lang: r.Lang, Plan: diag.PlanInput{
		Symptom: string(r.Plan.Symptom), Depth: string(r.Plan.Depth), Include: words(r.Plan.Include), Exclude: words(r.Plan.Exclude),
		Intrusive: r.Plan.Intrusive, TimeoutS: &timeout, WatchS: &watch, Resolvers: r.Plan.Resolvers,
		Burst: &diag.BurstInput{Count: &count, QoS: &qos, PayloadBytes: &payload}}}
}

// forget makes of a secret that one was given: what a run under way holds in memory is not for everybody with the link.
func forget(s diag.Secret) diag.Secret {
	return s.Forgotten()
}

func words(ids []diag.ProbeID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}

// apply takes a suggestion over, as a merge patch (RFC 7396).
func apply(t *diag.TargetInput, s diag.Suggestion) {
	splitQuery(t)
	if s.URL != "" {
		before, _ := diag.ParseTarget(*t)
		if after, err := diag.ParseTarget(diag.TargetInput{URL: s.URL}); err == nil && after.WS.Path != before.WS.Path {
			t.WS.Query = diag.Secret{} // another path worked without it
		}
		t.URL = s.URL
		t.WS.Path = "" // the URL carries it
	}
	if s.Protocol != "" {
		t.Protocol = string(s.Protocol)
	}
	if s.ClientID != nil {
		t.ClientID = *s.ClientID
	}
	if s.KeepAlive != nil {
		t.KeepaliveS = s.KeepAlive
	}
	if s.TLS != nil {
		t.TLS.ServerName = cmp.Or(s.TLS.ServerName, t.TLS.ServerName)
		if s.TLS.ALPN != nil {
			t.TLS.ALPN = s.TLS.ALPN
		}
		if s.TLS.CAPEM != nil {
			t.TLS.CAPEM = *s.TLS.CAPEM
		}
	}
	if s.WS != nil {
		if s.WS.Path != "" {
			t.WS.Query = diag.Secret{}
			applyPath(t, s.WS.Path)
		}
		if s.WS.Origin != nil {
			t.WS.Origin = *s.WS.Origin
		}
	}
	if s.Topics != nil {
		t.Topics.Publish = cmp.Or(s.Topics.Publish, t.Topics.Publish)
		if s.Topics.Subscribe != nil {
			t.Topics.Subscribe = s.Topics.Subscribe
		}
		if s.Topics.QoS != nil {
			t.Topics.QoS = s.Topics.QoS
		}
	}
}

// splitQuery takes the query out of the address and the path, so that a suggestion for these leaves it.
func splitQuery(t *diag.TargetInput) {
	for _, s := range []*string{&t.URL, &t.WS.Path} {
		if rest, query, found := strings.Cut(*s, "?"); found && query != "" {
			*s, t.WS.Query = rest, diag.NewSecret(query)
		}
	}
}

// applyPath puts a path where the URL carries one too: both must say the same.
func applyPath(t *diag.TargetInput, path string) {
	t.WS.Path = ""
	target, err := diag.ParseTarget(*t)
	if err != nil {
		t.WS.Path = path
		return
	}
	t.URL = target.URLFor(target.Scheme, target.Port, path)
}
