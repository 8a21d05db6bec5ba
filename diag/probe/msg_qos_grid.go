package probe

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

const checkQoSGrid diag.ProbeID = "msg.qos_grid"

// msgQoSGrid sends a message for each QoS of publisher and subscription, and shows the QoS with which it arrives.
var msgQoSGrid = diag.Probe{
	ID: checkQoSGrid, Layer: diag.LayerMsg, Depth: diag.DepthDeep, Symptoms: trafficSymptoms,
	Needs: []diag.ProbeID{checkPair},
	Ready: func(v *diag.View) diag.Decision {
		if d := needPair(v); !d.Runs() {
			return d
		}
		if _, _, ours := pairTopic(v, ""); !ours || !diag.SeenBy[*diag.ClientPair](v, checkPair)[0].Seen.Scratch {
			return diag.Skip(diag.N("skip.scratch_denied")) // nine filters of the user's are not to be had
		}
		return diag.Run()
	},
	Budget: 60 * time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		p, ok := borrowPair(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_pair"))
		}
		p.turn.Lock()
		defer p.turn.Unlock()
		g := &qosGrid{pair: p, o: &diag.QoSGrid{Version: p.like.version}, cells: map[string]int{}, changed: make(chan struct{}, 1)}
		if !g.run(ctx, env) {
			return diag.Skipped(diag.N("skip.no_pair"))
		}
		return gridResult(g.o)
	},
}

func gridResult(o *diag.QoSGrid) diag.Result {
	arrived, lowered := 0, 0
	for _, c := range o.Cells {
		if c.Delivered >= 0 {
			arrived++
		}
		if c.Lowered() {
			lowered++
		}
	}
	args := []string{"count", strconv.Itoa(arrived), "total", strconv.Itoa(len(o.Cells))}
	if lowered > 0 {
		return diag.Passed(o, diag.N("step.msg.qos_grid.lower", args...)) // what was not asked for may be lowered
	}
	return diag.Passed(o, diag.N("step.msg.qos_grid.ok", args...))
}

// qosGrid is the measurement while it goes on.
type qosGrid struct {
	pair *pair
	o    *diag.QoSGrid

	mu      sync.Mutex
	cells   map[string]int // by payload
	changed chan struct{}  // one token: something came
}

func (g *qosGrid) run(ctx context.Context, env *diag.Env) bool {
	if _, ok := g.pair.renew(ctx, env); !ok {
		return false
	}
	granted := [3]int{-1, -1, -1}
	var filters []string
	for qos := range granted {
		one := &diag.ClientPair{Outcome: diag.OutcomeOK, Code: -1, Granted: -1}
		filter := g.topic(env, byte(qos))
		g.pair.subscribe(ctx, env, one, filter, byte(qos))
		granted[qos] = one.Granted
		if one.Works() {
			filters = append(filters, filter)
		}
	}
	defer g.pair.forget(ctx, filters)
	g.pair.listen(g.take)
	defer g.pair.listen(nil)
	highest := g.pair.highestQoS(env.View)
	for publish := range 3 {
		for subscribe := range 3 {
			g.o.Cells = append(g.o.Cells, diag.QoSCell{Publish: byte(publish), Subscribe: byte(subscribe), Granted: granted[subscribe], Delivered: -1})
		}
	}
	// QoS 2 last: a broker that does not take it may end the connection.
	for publish := range highest + 1 {
		for range 2 { // once more what did not come: a route through a cluster may need a moment after the SUBACK
			g.send(ctx, env, publish)
			if g.await(ctx, env, publish) {
				break
			}
		}
	}
	return ctx.Err() == nil
}

func (g *qosGrid) topic(env *diag.Env, subscribe byte) string {
	return "mqttdoctor/" + env.RunID + "/qos/" + strconv.Itoa(int(subscribe))
}

// highestQoS is what may be published to our own topics: what the CONNACK allows, and not what was seen to be declined where a
// lower one was not.
func highestQoS(v *diag.View, o *diag.MQTTConnect) byte { return highestQoSOn(v, o, true) }

// highestQoS is that for the pair's topic.
func (p *pair) highestQoS(v *diag.View) byte { return highestQoSOn(v, p.pub.connect, p.scratch) }

func highestQoSOn(v *diag.View, o *diag.MQTTConnect, scratch bool) byte {
	highest := maximumQoS(o)
	seen := slices.DeleteFunc(diag.Seen[*diag.Delivery](v), func(s diag.Sight[*diag.Delivery]) bool { return s.Seen.Scratch != scratch })
	for _, s := range seen {
		d := s.Seen
		declined := d.Published.Ended() || d.Published == diag.OutcomeRefused
		lowerTaken := slices.ContainsFunc(seen, func(s diag.Sight[*diag.Delivery]) bool {
			return s.Seen.Topic == d.Topic && s.Seen.QoS < d.QoS && s.Seen.Published == diag.OutcomeOK
		})
		if declined && lowerTaken && d.QoS <= highest {
			highest = d.QoS - 1
		}
	}
	return highest
}

// missing lists the cells of one publishing QoS whose message should come and has not.
func (g *qosGrid) missing(publish byte) []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []int
	for i, c := range g.o.Cells {
		if c.Publish == publish && c.Granted >= 0 && c.Delivered < 0 && (c.Published == "" || c.Published == diag.OutcomeOK) {
			out = append(out, i)
		}
	}
	return out
}

func (g *qosGrid) send(ctx context.Context, env *diag.Env, publish byte) {
	ctx, cancel := patience.WithTimeout(ctx, env.Options.Timeout)
	defer cancel()
	pending := map[int]*mqttwire.PendingPublish{}
	for _, i := range g.missing(publish) {
		marker := newMarker(env.RunID)
		g.mu.Lock()
		g.cells[marker] = i
		subscribe := g.o.Cells[i].Subscribe
		g.mu.Unlock()
		pending[i] = g.pair.pub.StartPublishContext(ctx, mqttwire.Message{Topic: g.topic(env, subscribe), Payload: []byte(marker), QoS: publish})
	}
	for i, p := range pending {
		acked, failure := p.Wait(ctx)
		outcome := diag.OutcomeOK
		switch {
		case failure != nil:
			outcome = outcomeOfFailure(failure.Kind)
		case acked.Code >= 0x80:
			outcome = diag.OutcomeRefused
		}
		g.mu.Lock()
		g.o.Cells[i].Published = outcome
		g.mu.Unlock()
	}
}

// take notes a message of the grid; it is called on the goroutine that reads.
func (g *qosGrid) take(m mqttwire.Received) {
	g.mu.Lock()
	if i, ours := g.cells[string(m.Payload)]; ours {
		c := &g.o.Cells[i]
		if c.Copies++; c.Copies == 1 {
			c.Delivered = int(m.QoS)
		}
	}
	g.mu.Unlock()
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// await waits until all messages of a publishing QoS have come.
func (g *qosGrid) await(ctx context.Context, env *diag.Env, publish byte) bool {
	waiting, cancel := patience.WithTimeout(ctx, echoWait(env, g.pair.like.address))
	defer cancel()
	for {
		if len(g.missing(publish)) == 0 {
			return true
		}
		select {
		case <-g.changed:
		case <-waiting.Done():
			return false
		case <-g.pair.sub.Done():
			return false
		}
	}
}

// forget ends subscriptions that one measurement made.
func (p *pair) forget(ctx context.Context, filters []string) {
	p.mu.Lock()
	for _, f := range filters {
		delete(p.filters, f)
	}
	p.mu.Unlock()
	if len(filters) == 0 || ended(p.sub) {
		return
	}
	ctx, cancel := patience.WithTimeout(context.WithoutCancel(ctx), leaveBound)
	defer cancel()
	_, _ = p.sub.Unsubscribe(ctx, filters)
}
