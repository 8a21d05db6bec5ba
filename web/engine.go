package web

import (
	"context"
	"log/slog"
	"maps"
	"net/url"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
	"mqttdoctor/diag/probe"
	"mqttdoctor/diag/rule"
	"mqttdoctor/handlers"
)

// Engine checks inputs and runs plans: the same for the server and for `mqttdoctor check`. It is never changed after it
// was made, and safe to share.
type Engine struct {
	Probes []diag.Probe
	Rules  []diag.Rule
	Dial   diag.DialFunc
	// DialResolver reaches the DNS servers that this system is configured with, whatever the policy: they are mostly at
	// addresses that no target may have (127.0.0.53, the router's, Docker's 127.0.0.11), and no user chose them. nil: Dial.
	DialResolver diag.DialFunc
	// Allowed asks the policy about host:port without dialling; a name that it cannot judge passes. nil: everything.
	Allowed func(address string) error
	Policy  string // its name, for messages
	Vantage diag.Vantage
	Log     *slog.Logger // nil: none
}

// NewEngine makes the engine that all of mqttdoctor uses: every probe and rule, dialling through the guard.
func NewEngine(policy guard.Policy, vantage string, log *slog.Logger) *Engine {
	dialer := guard.Dialer{Policy: policy}
	system := guard.Dialer{Policy: guard.Policy{Name: guard.Laptop}} // everything: no user chooses these addresses
	return &Engine{Probes: probe.All, Rules: rule.All, Dial: dialer.DialContext, DialResolver: system.DialContext, Allowed: policy.CheckHostPort,
		Policy: policy.Name, Vantage: newVantage(vantage), Log: log}
}

// Plan checks an input and makes its plan. Errors: diag.FieldErrors that name every wrong field, and
// *handlers.ForbiddenTarget where an address that was typed as such, or localhost, may not be reached. Other names are
// judged when they have been resolved, at the moment of dialling.
func (e *Engine) Plan(in diag.RunInput) (diag.Plan, error) {
	wrong := diag.FieldErrors{}
	target, err := diag.ParseTarget(in.Target)
	if err := collect(wrong, err); err != nil {
		return diag.Plan{}, err
	}
	known := make([]diag.ProbeID, len(e.Probes))
	for i, p := range e.Probes {
		known[i] = p.ID
	}
	opts, err := diag.ParsePlan(in.Plan, known)
	if err := collect(wrong, err); err != nil {
		return diag.Plan{}, err
	}
	if len(wrong) > 0 {
		return diag.Plan{}, wrong
	}
	if err := e.judge(target, opts); err != nil {
		return diag.Plan{}, err
	}
	return diag.MakePlan(target, opts, e.Probes), nil
}

// collect adds field errors to those found so far; any other error is returned.
func collect(into diag.FieldErrors, err error) error {
	if err == nil {
		return nil
	}
	fields, ok := err.(diag.FieldErrors)
	if !ok {
		return err
	}
	maps.Copy(into, fields)
	return nil
}

// judge asks the policy about everything that was typed.
func (e *Engine) judge(t diag.Target, opts diag.PlanOptions) error {
	if e.Allowed == nil {
		return nil
	}
	type typed struct{ field, address string }
	all := []typed{{"target.url", t.HostPort()}}
	for _, node := range t.Nodes {
		if u, err := url.Parse(node); err == nil {
			all = append(all, typed{"target.nodes", u.Host})
		}
	}
	if u, err := url.Parse(t.BridgeURL); err == nil && t.BridgeURL != "" {
		all = append(all, typed{"target.bridge_url", u.Host})
	}
	for _, server := range opts.Resolvers {
		all = append(all, typed{"plan.resolvers", server})
	}
	for _, a := range all {
		if err := e.Allowed(a.address); err != nil {
			return &handlers.ForbiddenTarget{Field: a.field, Address: a.address, Policy: e.Policy, Cause: err}
		}
	}
	return nil
}

// Run walks a plan. The header carries id, creation, expiry and language.
func (e *Engine) Run(ctx context.Context, plan diag.Plan, header diag.Report, emit func(diag.Event)) diag.Report {
	header.Vantage = e.Vantage
	env := diag.Env{RunID: tagOf(header.ID), Dial: e.Dial, DialResolver: e.DialResolver, Allowed: e.Allowed}
	runner := diag.Runner{Rules: e.Rules, Log: e.Log}
	return runner.Run(ctx, plan, env, header, emit)
}

// Check plans and runs an input, for `mqttdoctor check`: the same run as the server's, kept nowhere. Errors are those of
// Plan.
func (e *Engine) Check(ctx context.Context, in diag.RunInput, emit func(diag.Event)) (diag.Report, error) {
	plan, err := e.Plan(in)
	if err != nil {
		return diag.Report{}, err
	}
	now := time.Now()
	return e.Run(ctx, plan, diag.Report{ID: newID(), CreatedAt: now, Lang: in.Lang}, emit), nil
}
