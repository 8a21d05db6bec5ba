package diag

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Depth says how much a run does.
type Depth string

// The depths, least first.
const (
	DepthQuick    Depth = "quick"
	DepthStandard Depth = "standard"
	DepthDeep     Depth = "deep"
)

// Depths lists the depths, least first.
var Depths = []Depth{DepthQuick, DepthStandard, DepthDeep}

func (d Depth) rank() int { return slices.Index(Depths, d) }

// Covers tells whether a run of this depth includes what belongs to the other depth.
func (d Depth) Covers(other Depth) bool { return d.rank() >= other.rank() }

// Symptom is what the user says is wrong; it chooses checks.
type Symptom string

// The symptoms of the wizard.
const (
	SymptomCheckup       Symptom = "checkup"
	SymptomCannotConnect Symptom = "cannot_connect"
	SymptomTimeout       Symptom = "timeout"
	SymptomRefused       Symptom = "refused"
	SymptomAuth          Symptom = "auth"
	SymptomTLS           Symptom = "tls"
	SymptomWebSocket     Symptom = "websocket"
	SymptomDrops         Symptom = "drops"
	SymptomLost          Symptom = "lost"
	SymptomDuplicate     Symptom = "duplicate"
	SymptomSlow          Symptom = "slow"
	SymptomNotReceiving  Symptom = "not_receiving"
	SymptomSecurity      Symptom = "security"
	SymptomCluster       Symptom = "cluster"
)

// Symptoms lists the symptoms in the wizard's order.
var Symptoms = []Symptom{
	SymptomCheckup, SymptomCannotConnect, SymptomTimeout, SymptomRefused, SymptomAuth, SymptomTLS, SymptomWebSocket,
	SymptomDrops, SymptomLost, SymptomDuplicate, SymptomSlow, SymptomNotReceiving, SymptomSecurity, SymptomCluster,
}

// PlanOptions are the user's wishes for a run, checked by [ParsePlan].
type PlanOptions struct {
	Symptom   Symptom       `json:"symptom"`
	Depth     Depth         `json:"depth"`
	Include   []ProbeID     `json:"include"`
	Exclude   []ProbeID     `json:"exclude"`
	Only      ProbeID       `json:"only,omitempty"` // this check and what it needs, of those that are wanted anyway; empty: all
	Intrusive bool          `json:"intrusive"`      // consent to probes that may disturb others
	Timeout   time.Duration `json:"-"`              // how long one awaited answer may take
	Watch     time.Duration `json:"-"`
	Resolvers []string      `json:"resolvers"` // further DNS servers, host:port with literal hosts
	Burst     Burst         `json:"burst"`
}

// Burst describes the numbered messages of a loss measurement.
type Burst struct {
	Count        int  `json:"count"`
	QoS          byte `json:"qos"`
	PayloadBytes int  `json:"payload_bytes"`

	likeClient bool // no QoS was given: it is to be that of the client's messages
}

// checkBurst is the check that sends the numbered messages.
const checkBurst ProbeID = "msg.burst"

// checkSession is the check that leaves and comes back, for messages that were kept meanwhile.
const checkSession ProbeID = "msg.session"

// Bound is how long a burst and what tells its faults apart may take: ninety seconds for a hundred messages at a broker that
// loses some, and for more what a broker needs that delivers ten in a round trip.
func (b Burst) Bound() time.Duration {
	return min(90*time.Second+time.Duration(b.Count)*15*time.Millisecond, 30*time.Minute)
}

// MaxWatch bounds how long a connection is watched: a day shows what comes once a day.
const MaxWatch = 24 * time.Hour

// Bounds of a plan.
const (
	defaultTimeout = 5 * time.Second
	minTimeout     = 100 * time.Millisecond
	maxTimeout     = 60 * time.Second
	maxResolvers   = 8
	burstNoConsent = 100 // larger bursts need PlanOptions.Intrusive
	maxBurst       = 100_000
	maxBurstBytes  = 1 << 20
)

// UsualPayloadBytes is what a burst's messages carry where nobody said otherwise.
const UsualPayloadBytes = 256

// ParsePlan checks a plan's input; known lists the probes that include and exclude may name.
func ParsePlan(in PlanInput, known []ProbeID) (PlanOptions, error) {
	errs := FieldErrors{}
	p := PlanOptions{
		Symptom: SymptomCheckup, Depth: DepthStandard, Intrusive: in.Intrusive, Timeout: defaultTimeout,
		Burst: Burst{Count: burstNoConsent, QoS: 1, PayloadBytes: UsualPayloadBytes, likeClient: true},
	}
	if in.Symptom != "" {
		p.Symptom = Symptom(in.Symptom)
		if !slices.Contains(Symptoms, p.Symptom) {
			errs.set("plan.symptom", N("input.symptom", "value", clip(in.Symptom, 40)))
		}
	}
	if in.Depth != "" {
		p.Depth = Depth(in.Depth)
		if p.Depth.rank() < 0 {
			errs.set("plan.depth", N("input.depth", "value", clip(in.Depth, 40)))
		}
	}
	if in.TimeoutS != nil {
		p.Timeout = time.Duration(*in.TimeoutS * float64(time.Second))
		if !(p.Timeout >= minTimeout && p.Timeout <= maxTimeout) { // also refuses NaN's odd conversion
			errs.set("plan.timeout_s", N("input.timeout", "limit", strconv.Itoa(int(maxTimeout/time.Second))))
		}
	}
	p.Watch = p.UsualWatch()
	if in.WatchS != nil {
		p.Watch = time.Duration(*in.WatchS) * time.Second
		if *in.WatchS < 0 || *in.WatchS > int(MaxWatch/time.Second) {
			errs.set("plan.watch_s", N("input.watch", "limit", strconv.Itoa(int(MaxWatch/time.Second))))
		}
	}
	p.Include = parseIDs(in.Include, known, "plan.include", errs)
	p.Exclude = parseIDs(in.Exclude, known, "plan.exclude", errs)
	if in.Only != "" {
		if only := parseIDs([]string{in.Only}, known, "plan.only", errs); len(only) == 1 {
			p.Only = only[0]
		}
	}
	if len(in.Resolvers) > maxResolvers {
		errs.set("plan.resolvers", N("input.too_many", "limit", strconv.Itoa(maxResolvers)))
	}
	for _, r := range in.Resolvers {
		server, ok := cleanResolver(r)
		if !ok {
			errs.set("plan.resolvers", N("input.resolver", "value", clip(r, 60)))
			continue
		}
		p.Resolvers = append(p.Resolvers, server)
	}
	if in.Burst != nil {
		parseBurst(*in.Burst, &p, errs)
	}
	return p, errs.orNil()
}

// How long the connection is watched where drops are the complaint and no length was asked for: half a minute shows the worst
// ones, three minutes the usual time-outs.
const (
	usualWatch     = 30 * time.Second
	usualWatchDeep = 3 * time.Minute
)

// UsualWatch is the length of the watch where none was asked for.
func (o PlanOptions) UsualWatch() time.Duration {
	switch {
	case o.Symptom != SymptomDrops || !o.Depth.Covers(DepthStandard):
		return 0
	case o.Depth.Covers(DepthDeep):
		return usualWatchDeep
	}
	return usualWatch
}

func parseIDs(in []string, known []ProbeID, field string, errs FieldErrors) []ProbeID {
	var out []ProbeID
	for _, s := range in {
		id := ProbeID(s)
		if !slices.Contains(known, id) {
			errs.set(field, N("input.check", "value", clip(s, 60)))
			continue
		}
		out = append(out, id)
	}
	return out
}

// cleanResolver accepts an address or address:port: a resolver given by name would itself need one.
func cleanResolver(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return net.JoinHostPort(addr.String(), "53"), true
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return "", false
	}
	return ap.String(), true
}

func parseBurst(in BurstInput, p *PlanOptions, errs FieldErrors) {
	if in.Count != nil {
		p.Burst.Count = *in.Count
		switch {
		case *in.Count < 1 || *in.Count > maxBurst:
			errs.set("plan.burst.count", N("input.burst_count", "limit", strconv.Itoa(maxBurst)))
		case *in.Count > burstNoConsent && !p.Intrusive:
			errs.set("plan.burst.count", N("input.burst_consent", "limit", strconv.Itoa(burstNoConsent)))
		}
	}
	if in.QoS != nil {
		if *in.QoS < 0 || *in.QoS > 2 {
			errs.set("plan.burst.qos", N("input.qos", "value", strconv.Itoa(*in.QoS)))
		} else {
			p.Burst.QoS, p.Burst.likeClient = byte(*in.QoS), false
		}
	}
	if in.PayloadBytes != nil {
		p.Burst.PayloadBytes = *in.PayloadBytes
		if *in.PayloadBytes < 1 || *in.PayloadBytes > maxBurstBytes {
			errs.set("plan.burst.payload_bytes", N("input.burst_payload", "limit", strconv.Itoa(maxBurstBytes)))
		}
	}
}

// Plan is a run before it runs: the target, the wishes, and the checks that belong to it.
type Plan struct {
	Target  Target
	Options PlanOptions
	Checks  []Probe // in display order
}

// MakePlan chooses from all probes those that apply. It is pure, so that whole plans can be compared in a table.
func MakePlan(t Target, opts PlanOptions, all []Probe) Plan {
	if opts.Burst.likeClient {
		opts.Burst.QoS = t.Topics.QoS
	}
	p := Plan{Target: t, Options: opts}
	needed := neededBy(opts.Only, all)
	for _, probe := range all {
		if slices.Contains(opts.Exclude, probe.ID) || opts.Only != "" && !needed[probe.ID] {
			continue
		}
		wanted := opts.Depth.Covers(probe.Depth) || slices.Contains(probe.Symptoms, opts.Symptom) ||
			slices.Contains(opts.Include, probe.ID) || probe.ID == opts.Only
		if !wanted || (probe.Applies != nil && !probe.Applies(t, opts)) {
			continue
		}
		p.Checks = append(p.Checks, probe)
	}
	return p
}

// neededBy are a check and all that it rests on: what it names, directly or by others, and the quick checks of its layer and of
// those below, which are the way to where it looks.
func neededBy(only ProbeID, all []Probe) map[ProbeID]bool {
	needed := map[ProbeID]bool{}
	find := func(id ProbeID) int { return slices.IndexFunc(all, func(p Probe) bool { return p.ID == id }) }
	next := []ProbeID{only}
	for len(next) > 0 {
		id := next[0]
		next = next[1:]
		i := find(id)
		if i < 0 || needed[id] {
			continue
		}
		needed[id] = true
		next = append(append(next, all[i].Needs...), all[i].Follows...)
	}
	if i := find(only); i >= 0 {
		for _, p := range all {
			if p.Depth == DepthQuick && p.Layer.Rank() <= all[i].Layer.Rank() {
				needed[p.ID] = true // and not what it waits for: that is the order of a whole run
			}
		}
	}
	return needed
}

// IDs lists the plan's checks.
func (p Plan) IDs() []ProbeID {
	ids := make([]ProbeID, len(p.Checks))
	for i, c := range p.Checks {
		ids[i] = c.ID
	}
	return ids
}

// Deadline bounds a whole run: whatever peers do, it ends by then. A healthy run needs a fraction of it; silence
// everywhere needs one time-out for the asked listener and one for what narrows it down.
func (p Plan) Deadline() time.Duration {
	d := 6*p.Options.Timeout + 10*time.Second
	if p.Options.Depth == DepthDeep {
		d += 2 * time.Minute
	}
	if slices.ContainsFunc(p.Checks, func(c Probe) bool { return c.ID == checkBurst }) {
		d += p.Options.Burst.Bound()
	}
	if slices.ContainsFunc(p.Checks, func(c Probe) bool { return c.ID == checkSession }) {
		d += 10 * p.Options.Timeout // messages that nobody kept are awaited twice, for more than two time-outs each
	}
	if p.Options.Watch > 0 { // what is still open is asked once more at its end
		d += p.Options.Watch + 2*p.Options.Timeout + 5*time.Second
	}
	return d
}
