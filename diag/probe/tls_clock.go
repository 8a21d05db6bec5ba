package probe

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// tlsClock asks another clock, where a certificate looks out of date: the HTTP Date of a web server on the same host. The
// answers of a WebSocket upgrade bear one already.
var tlsClock = diag.Probe{
	ID: "tls.clock", Layer: diag.LayerTLS, Depth: diag.DepthQuick,
	Applies: ifTLS,
	Ready: func(v *diag.View) diag.Decision {
		return afterHandshake(v, func() diag.Decision {
			if _, ok := judgedHandshake(v, outOfDate); !ok {
				return diag.Skip(diag.N("skip.dates_hold"))
			}
			if !v.Target.Scheme.IsWebSocket() {
				return diag.Run()
			}
			for _, s := range diag.SeenBy[*diag.WSUpgrade](v, checkWS) {
				if s.Seen.Date != "" {
					return diag.Skip(diag.N("skip.already_clear"))
				}
			}
			if v.Ended(checkWS) {
				return diag.Run()
			}
			return diag.Wait()
		})
	},
	Subjects: func(v *diag.View) []diag.Subject {
		h, _ := judgedHandshake(v, outOfDate)
		return []diag.Subject{{Name: withPort(h.Address, 80), Value: false}, {Name: withPort(h.Address, 443), Value: true}}
	},
	Budget: 3 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, s diag.Subject) diag.Result {
		secure, _ := s.Value.(bool)
		// A web server is a windfall here: a port that nobody answers on must not hold up the run.
		ctx, cancel := patience.WithTimeout(ctx, min(env.Options.Timeout, 250*time.Millisecond+5*roundTripTo(env.View)))
		defer cancel()
		o := readClock(ctx, env, s.Name, secure)
		if o.Date == "" {
			return diag.Passed(o, diag.N("step.tls.clock.none", "address", s.Name))
		}
		return diag.Passed(o, diag.N("step.tls.clock.read", "address", s.Name, "clock", o.Date))
	},
}

// roundTripTo is the round trip time to the address whose certificate is in question.
func roundTripTo(v *diag.View) time.Duration {
	address, _ := where(v)
	return roundTrip(v, address)
}

func outOfDate(h *diag.TLSHandshake) bool {
	for _, c := range h.Trust.Served(h.Chain) {
		if h.Trust.Now.After(c.NotAfter) || h.Trust.Now.Before(c.NotBefore) {
			return true
		}
	}
	return false
}

// readClock makes a bodiless HTTP request for its Date alone.
func readClock(ctx context.Context, env *diag.Env, address string, secure bool) *diag.ClockReading {
	o := &diag.ClockReading{Source: address}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	client := &http.Client{
		Transport: &http.Transport{
			DialContext: env.Dial, DisableKeepAlives: true, Proxy: nil, MaxResponseHeaderBytes: 16 << 10,
			// Nothing is sent that anybody may not see, and the certificate's dates are the very question.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: sniOf(env.Target), MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	begun := time.Now()
	defer func() { o.Took = time.Since(begun) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, scheme+"://"+address+"/", nil)
	if err != nil {
		o.Outcome, o.Error = diag.OutcomeLocal, errorText(err)
		return o
	}
	req.Host = env.Target.Host
	resp, err := client.Do(req)
	if err != nil {
		o.Outcome, o.Error = outcomeOf(err), errorText(err)
		return o
	}
	resp.Body.Close()
	o.Outcome, o.Date, o.Local = diag.OutcomeOK, printable(resp.Header.Get("Date"), 60), env.Now()
	return o
}
