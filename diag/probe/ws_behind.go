package probe

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

const checkBehind diag.ProbeID = "ws.behind"

// otherMethod is one that asks for properties and changes nothing (RFC 4918 9.1). WebSocket servers know GET alone.
const otherMethod = "PROPFIND"

// wsBehind asks the proxy that says Bad Gateway something that is no GET. A broker that ends the connection at a GET without
// Upgrade, as libwebsockets does, answers other methods: what then comes back shows that the proxy does reach it.
var wsBehind = diag.Probe{
	ID: checkBehind, Layer: diag.LayerWS, Depth: diag.DepthQuick,
	Applies: func(t diag.Target, _ diag.PlanOptions) bool { return t.Scheme.IsWebSocket() },
	Ready: func(v *diag.View) diag.Decision {
		return afterUpgrade(v, func(o *diag.WSUpgrade) bool { return o.Status == http.StatusBadGateway })
	},
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		address, ok := reachable(env.View)
		if !ok {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		r := askedRoute(env.Target, address).with(diag.PurposeQuestion, otherMethod, nil)
		a, l := walk(ctx, env, r, upToTLS)
		defer l.Close()
		if l == nil || l.Conn == nil {
			return attemptResult(a)
		}
		o := &diag.WSUpgrade{Purpose: r.Purpose, Address: address, TLS: r.Transport.UsesTLS(), Path: r.WS.Path}
		begun := time.Now()
		resp, err := askOtherwise(ctx, env, r, l)
		o.Took = time.Since(begun)
		args := []string{"address", address, "value", otherMethod}
		if err != nil {
			o.Outcome, o.Error = outcomeOf(err), printable(err.Error(), 200)
			return diag.Passed(o, diag.N("step.ws.behind.none", args...))
		}
		describeHTTP(o, resp)
		o.Outcome = diag.OutcomeRefused
		return diag.Passed(o, diag.N("step.ws.behind.answered", append(args, "status", statusText(o))...))
	},
}

// askOtherwise sends the request and reads the answer's head, bounded in bytes and time.
func askOtherwise(ctx context.Context, env *diag.Env, r route, l *line) (*http.Response, error) {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request, err := http.NewRequestWithContext(ctx, otherMethod, "http://"+hostHeader(env.Target, r)+env.Target.RequestURI(r.WS.Path), nil)
	if err != nil {
		return nil, err
	}
	for name, value := range env.Target.WS.Headers {
		request.Header.Set(name, value.Reveal())
	}
	request.Header.Set("Depth", "0")
	request.Close = true
	if err := request.Write(l.Conn); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(l.Conn, maxHTTPHeaderBytes)), request)
	if err != nil {
		return nil, err
	}
	// The body says nothing that matters here, and may never end.
	resp.Body = http.NoBody
	return resp, nil
}
