package web

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"

	"mqttdoctor/diag"
	"mqttdoctor/diag/demo"
	"mqttdoctor/diag/guard"
	"mqttdoctor/handlers"
)

// demoBroker offers the demo broker, which starts at first use.
type demoBroker struct {
	child *demo.Child
	info  atomic.Pointer[demo.Info] // as last seen; nil: not started yet
}

var _ handlers.Demo = (*demoBroker)(nil)

// Scenarios implements [handlers.Demo].
func (d *demoBroker) Scenarios(ctx context.Context) ([]handlers.DemoScenario, error) {
	info, err := d.child.Info(ctx)
	if err != nil {
		return nil, err
	}
	d.info.Store(&info)
	out := make([]handlers.DemoScenario, 0, len(demo.Scenarios))
	for _, s := range demo.Scenarios {
		t := diag.TargetInput{URL: s.URL(info), Username: s.Username, Password: diag.NewSecret(s.Password),
			Topics: diag.TopicsInput{Publish: s.Publish, Subscribe: s.Subscribe}}
		if s.GiveCA {
			t.TLS.CAPEM = info.CAPEM
		}
		scenario := handlers.DemoScenario{ID: s.ID, Target: t}
		if s.Cause != "" {
			scenario.Expect = []diag.Code{diag.Code(s.Cause)}
		}
		out = append(out, scenario)
	}
	return out, nil
}

// door lets an engine reach the demo broker under any policy: it is this server's own, on loopback, and exactly its ports
// are meant. Everything else is judged as before.
func (d *demoBroker) door(e *Engine) {
	dial, allowed := e.Dial, e.Allowed
	own := guard.Dialer{Policy: guard.Policy{Name: guard.Laptop}}
	e.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if d.owns(address) {
			return own.DialContext(ctx, network, address)
		}
		return dial(ctx, network, address)
	}
	e.Allowed = func(address string) error {
		if d.owns(address) {
			return nil
		}
		return allowed(address)
	}
}

// owns tells whether the address is one of the demo broker's listeners.
func (d *demoBroker) owns(address string) bool {
	info := d.info.Load()
	if info == nil {
		return false
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != info.Host {
		return false
	}
	for _, p := range info.Ports {
		if port == strconv.Itoa(p) {
			return true
		}
	}
	return false
}
