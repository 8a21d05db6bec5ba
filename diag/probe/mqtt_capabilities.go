package probe

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
	"mqttdoctor/diag/patience"
)

const (
	checkCapabilities diag.ProbeID = "mqtt.capabilities"

	// The bounds of what is tried: the specification's own for a topic (MQTT 5.0 1.5.4), and more levels than any known broker
	// takes (mosquitto has 200, EMQX 128, AWS IoT Core 8).
	longestTopic     = 65535
	mostLevels       = 256
	topicConnections = 8
	topicTime        = 20 * time.Second

	// askedExpiry is more than most servers that shorten it allow, and over by itself should a session of ours stay.
	askedExpiry = 7 * 24 * time.Hour
)

// clientIDLengths are tried one after the other until one is refused. Every server takes 23 (MQTT 5.0 3.1.3.1).
var clientIDLengths = []int{64, 128, 256, 1024}

// mqttCapabilities puts what the broker announces beside what was measured: by the checks before it, and by its own.
var mqttCapabilities = diag.Probe{
	ID: checkCapabilities, Layer: diag.LayerMsg, Depth: diag.DepthDeep,
	Needs:  append([]diag.ProbeID{checkSize, checkRetained, checkFilterKinds, checkBurst}, afterMessages...),
	Ready:  needSession,
	Budget: topicTime*2 + 40*time.Second,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		main, ok := borrowMain(env)
		if !ok {
			return diag.Skipped(diag.N("skip.no_session"))
		}
		c := &capabilities{env: env, like: main, levels: -1, length: -1}
		c.measure(ctx)
		if ctx.Err() != nil {
			return diag.Skipped(diag.N("skip.canceled"))
		}
		o := &diag.Capabilities{Version: main.version, Address: main.address, Rows: c.rows(env.View)}
		return diag.Passed(o, diag.N("step.mqtt.capabilities.ok", "count", strconv.Itoa(len(o.Rows))))
	},
}

// capabilities is what was tried for the table. Each field is written by one goroutine, and read when all have ended.
type capabilities struct {
	env  *diag.Env
	like *exchange

	length, levels           int // bytes and levels of the largest topic that passed; -1: not tried
	lengthEnded, levelsEnded bool
	clientID                 int // characters of the longest that was accepted; 0: not tried
	clientIDRefused          bool
	alias, subscriptionID    string // yes, no; empty: not tried
	assigned                 string
	responseInfo             string
	expiry                   string // seconds
}

func yesNo(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

func (c *capabilities) measure(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { c.clientIDs(ctx) })
	group.Go(func() {
		c.emptyID(ctx)
		if c.like.version == diag.Version5 {
			c.sessionExpiry(ctx)
		}
	})
	if needScratch(c.env.View).Runs() {
		group.Go(func() {
			if c.like.version == diag.Version5 {
				c.properties(ctx)
			}
			c.topics(ctx)
		})
	}
	group.Wait()
}

// open connects as the asked session did, with a change.
func (c *capabilities) open(ctx context.Context, label string, change func(*mqttOffer)) (*diag.MQTTConnect, *exchange) {
	r := askedRoute(c.env.Target, c.like.address).with(diag.PurposeOtherClientID, label, func(r *route) {
		r.MQTT.Version, r.WS.Subprotocols = c.like.version, subprotocolsFor(c.like.version)
		change(&r.MQTT)
	})
	a, l := walk(ctx, c.env, r, upToMQTT)
	if l == nil || l.Session == nil {
		return a.MQTT, nil
	}
	return a.MQTT, newExchange(l.Session, a.MQTT)
}

// clientIDs raises the length of the client id until one is refused.
func (c *capabilities) clientIDs(ctx context.Context) {
	c.clientID = len(temporaryClientID()) // the asked connection, or those beside it, had one like it
	for _, n := range clientIDLengths {
		id := temporaryClientID()
		id += strings.Repeat("x", n-len(id))
		o, x := c.open(ctx, "client id", func(m *mqttOffer) { m.ClientID = id })
		if x == nil {
			c.clientIDRefused = o != nil && (o.Outcome == diag.OutcomeRefused || o.Outcome.Ended())
			return
		}
		leave(ctx, x)
		c.clientID = n
	}
}

// emptyID leaves the client id to the broker, and asks for Response Information.
func (c *capabilities) emptyID(ctx context.Context) {
	o, x := c.open(ctx, "client id", func(m *mqttOffer) {
		m.EmptyClientID, m.ResponseInfo = true, c.like.version == diag.Version5
	})
	if x == nil {
		if o != nil && (o.Outcome == diag.OutcomeRefused || o.Outcome.Ended()) {
			c.assigned = yesNo(false)
		}
		return
	}
	defer leave(ctx, x)
	c.assigned = yesNo(true)
	if o.Props != nil {
		c.responseInfo = yesNo(o.Props.ResponseInformation != "")
	}
}

// sessionExpiry asks for a session to be kept for long, sees what the broker makes of it (MQTT 5.0 3.2.2.3.2), and ends the
// session by connecting once more without.
func (c *capabilities) sessionExpiry(ctx context.Context) {
	id := temporaryClientID()
	asked := uint32(askedExpiry.Seconds())
	answered, heard := answerTime(ctx)
	defer heard()
	o, x := c.open(answered, "session expiry", func(m *mqttOffer) { m.ClientID, m.SessionExpiryS = id, asked })
	if o == nil { // not even a CONNECT went out
		return
	}
	if x != nil {
		_ = x.Close()
	}
	// Also without an answer, as where the run was canceled meanwhile: the broker may have made the session.
	after, cancel := patience.WithTimeout(context.WithoutCancel(ctx), clearBound+boundOf(ctx, c.env.Options.Timeout))
	defer cancel()
	if _, again := c.open(after, "session expiry", func(m *mqttOffer) { m.ClientID = id }); again != nil {
		leave(after, again)
	}
	if x == nil {
		return
	}
	if o.Props != nil && o.Props.SessionExpiryS != nil {
		asked = *o.Props.SessionExpiryS
	}
	c.expiry = strconv.FormatUint(uint64(asked), 10)
}

// properties tries a subscription identifier, and a topic alias where the broker takes any.
func (c *capabilities) properties(ctx context.Context) {
	topic := "mqttdoctor/" + c.env.RunID + "/properties"
	try := func(label string, id uint32, use func(*exchange, string) bool) string {
		_, x := another(ctx, c.env, c.like, diag.PurposeOtherClientID, label)
		if x == nil {
			return ""
		}
		defer leave(ctx, x)
		bounded, cancel := patience.WithTimeout(ctx, c.env.Options.Timeout)
		defer cancel()
		granted, failure := x.Subscribe(bounded, []mqttwire.Subscription{{Filter: topic, ID: id}})
		switch {
		case failure != nil && failure.Kind == mqttwire.FailNoAnswer || ctx.Err() != nil:
			return ""
		case failure != nil || granted.Codes[0] >= 0x80:
			return yesNo(false)
		}
		marker := x.expect(c.env.RunID)
		return yesNo(use(x, marker))
	}
	wait := echoWait(c.env, c.like.address)
	c.subscriptionID = try("subscription id", 7, func(x *exchange, marker string) bool {
		publishOn(ctx, c.env, x, mqttwire.Message{Topic: topic, Payload: []byte(marker)})
		m, came := x.await(ctx, marker, wait)
		return came && len(m.SubscriptionIDs) == 1 && m.SubscriptionIDs[0] == 7
	})
	if props := c.like.connect.Props; props == nil || props.TopicAliasMaximum == nil || *props.TopicAliasMaximum == 0 {
		return
	}
	c.alias = try("topic alias", 0, func(x *exchange, marker string) bool {
		publishOn(ctx, c.env, x, mqttwire.Message{Topic: topic, Payload: []byte("alias"), TopicAlias: 1})
		publishOn(ctx, c.env, x, mqttwire.Message{Payload: []byte(marker), TopicAlias: 1})
		m, came := x.await(ctx, marker, wait)
		return came && m.Topic == topic
	})
}

// topics searches the longest topic, and the one with the most levels.
func (c *capabilities) topics(ctx context.Context) {
	base := "mqttdoctor/" + c.env.RunID + "/"
	limit := longestTopic
	if props := c.like.connect.Props; props != nil && props.MaximumPacketBytes != nil && *props.MaximumPacketBytes > 0 {
		limit = min(limit, int(*props.MaximumPacketBytes)-200)
	}
	for _, s := range c.env.View.Steps { // a message that is too large is no topic that is too long
		if o, ok := s.Observation.(*diag.SizeSearch); ok && o.Limited() {
			limit = min(limit, o.LargestBytes)
		}
	}
	if limit > len(base)+100 {
		length := topicHunt{capabilities: c, hunt: sizeHunt{pass: len(base) + 4, bound: limit, first: 128, growth: 4},
			topic: func(n int) string { return base + "l/" + strings.Repeat("x", n-len(base)-2) }, filter: base + "l/+"}
		c.length, c.lengthEnded = length.run(ctx)
	}
	known := strings.Count(base, "/") + 1
	levels := topicHunt{capabilities: c, hunt: sizeHunt{pass: known, bound: mostLevels, first: known + 4, growth: 2},
		topic: func(n int) string { return base + "d" + strings.Repeat("/d", n-known) }, filter: base + "d/#"}
	c.levels, c.levelsEnded = levels.run(ctx)
}

// topicHunt searches along topics that grow.
type topicHunt struct {
	*capabilities
	hunt   sizeHunt
	topic  func(int) string
	filter string // brings them all

	x      *exchange
	opened int
}

// run returns the largest that came back, -1 where the filter brings nothing, and whether a larger one was seen to fail.
func (h *topicHunt) run(ctx context.Context) (largest int, ended bool) {
	defer func() {
		if h.x != nil {
			leave(ctx, h.x)
		}
	}()
	clock := patience.Watch()
	defer clock.Stop()
	for {
		n, more := h.hunt.next()
		if !more || h.opened > 1 && h.hunt.near() || ctx.Err() != nil || clock.Ran() > topicTime {
			break
		}
		passed, ok := h.try(ctx, n)
		if !ok {
			break
		}
		h.hunt.tell(n, passed)
	}
	if h.opened == 0 || h.x == nil && h.hunt.fail == 0 {
		return -1, false
	}
	return h.hunt.pass, h.hunt.fail > 0
}

// try publishes to the topic of a size, and behind it to the smallest one: what is taken and dropped shows by the second
// coming alone.
func (h *topicHunt) try(ctx context.Context, n int) (passed, ok bool) {
	if h.x == nil || h.x.ended() {
		if h.x != nil {
			_ = h.x.Close()
			h.x = nil
		}
		if h.opened >= topicConnections {
			return false, false
		}
		h.opened++
		if _, h.x = another(ctx, h.env, h.like, diag.PurposeOtherClientID, "topic"); h.x == nil {
			return false, false
		}
		if subscribeQuietly(ctx, h.env, h.x, h.filter, 1) < 0 {
			leave(ctx, h.x)
			h.x = nil
			return false, false
		}
	}
	qos := min(1, h.x.maxQoS)
	long, short := h.x.expect(h.env.RunID), h.x.expect(h.env.RunID)
	if p := publishOn(ctx, h.env, h.x, mqttwire.Message{Topic: h.topic(n), Payload: []byte(long), QoS: qos}); p.outcome != diag.OutcomeOK {
		return false, p.outcome == diag.OutcomeRefused || p.outcome.Ended()
	}
	publishOn(ctx, h.env, h.x, mqttwire.Message{Topic: h.topic(h.hunt.pass), Payload: []byte(short), QoS: qos})
	wait := echoWait(h.env, h.like.address)
	if _, came := h.x.await(ctx, short, wait); !came && !h.x.ended() {
		return false, false // nothing comes by this filter: it says nothing of the topic
	}
	_, passed = h.x.await(ctx, long, max(wait/8, 2*roundTrip(h.env.View, h.like.address)))
	return passed, ctx.Err() == nil
}
