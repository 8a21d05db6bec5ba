package probe_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// numbered tells which burst a message belongs to, and its number in it.
func numbered(m diagtest.Message) (burst string, number int, ok bool) {
	words := strings.Fields(string(m.Payload))
	if !strings.HasSuffix(m.Topic, "/pair") || len(words) < 4 || words[0] != "mqttdoctor" || words[1] != "scenario" {
		return "", 0, false
	}
	number, err := strconv.Atoi(words[3])
	return words[2], number, err == nil
}

// bursting is a peer that decides about numbered messages; others pass.
func bursting(decide func(burst string, number int, m diagtest.Message) diagtest.PublishAnswer) func(testing.TB) string {
	return scripted(diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
		if burst, number, ok := numbered(m); ok {
			return decide(burst, number, m)
		}
		return diagtest.PublishAnswer{}
	}})
}

// bucket lets size messages pass at once and rate per second after that.
type bucket struct {
	size, rate float64

	mu     sync.Mutex
	tokens float64
	last   time.Time
}

func (b *bucket) pass() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.last.IsZero() {
		b.tokens = b.size
	} else {
		b.tokens = min(b.size, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// overRate answers what is over a rate in one way.
func overRate(size, rate float64, over diagtest.PublishAnswer) func(testing.TB) string {
	return func(t testing.TB) string {
		b := &bucket{size: size, rate: rate}
		return bursting(func(string, int, diagtest.Message) diagtest.PublishAnswer {
			if b.pass() {
				return diagtest.PublishAnswer{}
			}
			return over
		})(t)
	}
}

var (
	drop     = diagtest.PublishAnswer{Action: diagtest.Drop}
	lostPlan = diag.PlanInput{Symptom: "lost", TimeoutS: seconds(1)}
)

// atQoS is a plan's burst at another QoS.
func atQoS(plan diag.PlanInput, qos int) diag.PlanInput {
	plan.Burst = &diag.BurstInput{QoS: &qos}
	return plan
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	suggested := func(rate string) func(*testing.T, diag.Report) {
		return func(t *testing.T, r diag.Report) {
			if r.RootCause == nil || r.RootCause.Args["suggested"] == rate {
				return
			}
			// A machine that was too busy to keep that rate tells of a slower one.
			got, _ := strconv.ParseFloat(r.RootCause.Args["suggested"], 64)
			most, _ := strconv.ParseFloat(rate, 64)
			busy := slices.ContainsFunc(r.Steps, func(s diag.Step) bool {
				b, ok := s.Observation.(*diag.BurstRun)
				return ok && b.Busy > 300*time.Millisecond
			})
			if !busy || got <= 0 || got > most {
				t.Errorf("suggests a rate of %q, want %s", r.RootCause.Args["suggested"], rate)
			}
		}
	}
	dropped := scenario{name: "dropped over 20 per second", peer: overRate(10, 20, drop), plan: lostPlan, want: "msg.rate_limited", check: suggested("10")}
	exact := dropped
	exact.name, exact.plan = "dropped over 20 per second at QoS 2", atQoS(lostPlan, 2)
	fast := dropped
	fast.name, fast.peer, fast.check = "dropped over 80 per second", overRate(20, 80, drop), suggested("50")
	once := dropped
	once.name, once.plan = "dropped over 20 per second at QoS 0", atQoS(lostPlan, 0)
	runScenarios(t, slices.Concat(
		inVersions(dropped, "3.1.1", "5"), inVersions(exact, "3.1.1"), []scenario{fast, once},
		[]scenario{
			{name: "DISCONNECT 0x96", peer: overRate(30, 20, diagtest.PublishAnswer{Action: diagtest.Close, Code: 0x96}), plan: lostPlan,
				want: "msg.rate_limited", variant: "disconnect", check: suggested("10")},
			{name: "closed", peer: overRate(30, 20, diagtest.PublishAnswer{Action: diagtest.Close}), in: diag.TargetInput{Protocol: "3.1.1"}, plan: lostPlan,
				want: "msg.rate_limited", variant: "closed", check: suggested("10")},
			{name: "reset", peer: overRate(30, 20, diagtest.PublishAnswer{Action: diagtest.Cut}), in: diag.TargetInput{Protocol: "3.1.1"}, plan: atQoS(lostPlan, 0),
				want: "msg.rate_limited", variant: "closed"},
			{name: "quota in PUBACK", peer: overRate(30, 20, diagtest.PublishAnswer{Action: diagtest.Refuse, Code: 0x97}), plan: lostPlan,
				want: "msg.rate_limited", variant: "quota"},
			{name: "quota in PUBREC", peer: overRate(30, 20, diagtest.PublishAnswer{Action: diagtest.Refuse, Code: 0x97}), plan: atQoS(lostPlan, 2),
				want: "msg.rate_limited", variant: "quota"},
			{name: "refused without saying why", peer: overRate(30, 20, diagtest.PublishAnswer{Action: diagtest.Refuse, Code: 0x80}), plan: lostPlan,
				want: "msg.rate_limited", variant: "refused"},
			{name: "not acknowledged", peer: overRate(30, 20, diagtest.PublishAnswer{Action: diagtest.Silence}), plan: lostPlan,
				want: "msg.rate_limited"},
			// The twins: limits that nothing comes near.
			{name: "under the limit", peer: overRate(200, 50, drop), plan: lostPlan},
		}))
}

func TestLosses(t *testing.T) {
	t.Parallel()
	every := func(n int) func(testing.TB) string {
		return bursting(func(_ string, number int, _ diagtest.Message) diagtest.PublishAnswer {
			if number%n == n-1 {
				return drop
			}
			return diagtest.PublishAnswer{}
		})
	}
	where := func(bad func(number int) bool) func(testing.TB) string {
		return bursting(func(_ string, number int, _ diagtest.Message) diagtest.PublishAnswer {
			if bad(number) {
				return drop
			}
			return diagtest.PublishAnswer{}
		})
	}
	hashed := func(percent int) func(number int) bool {
		return func(number int) bool { return (number*7919+104729)%997 < 997*percent/100 }
	}
	pattern := func(p diag.LossPattern, firstLost int) func(*testing.T, diag.Report) {
		return func(t *testing.T, r diag.Report) {
			if b := burstsOf(t, r, "msg.burst"); len(b) > 0 && (b[0].Pattern != p || firstLost > 0 && b[0].FirstLost != firstLost) {
				t.Errorf("pattern %s from %d (%d lost), want %s from %d", b[0].Pattern, b[0].FirstLost, b[0].Lost, p, firstLost)
			}
		}
	}
	onlyFirst := func(bad func(number int) bool) func(testing.TB) string {
		return func(t testing.TB) string {
			var mu sync.Mutex
			first := ""
			return bursting(func(burst string, number int, _ diagtest.Message) diagtest.PublishAnswer {
				mu.Lock()
				defer mu.Unlock()
				if first == "" {
					first = burst
				}
				if burst == first && bad(number) {
					return drop
				}
				return diagtest.PublishAnswer{}
			})(t)
		}
	}
	afterInAll := func(n int) func(testing.TB) string {
		return func(t testing.TB) string {
			var mu sync.Mutex
			count := 0
			return bursting(func(string, int, diagtest.Message) diagtest.PublishAnswer {
				mu.Lock()
				defer mu.Unlock()
				if count++; count > n {
					return drop
				}
				return diagtest.PublishAnswer{}
			})(t)
		}
	}
	third := scenario{name: "every third", peer: every(3), plan: lostPlan, want: "msg.lost", variant: "regular", check: pattern(diag.LossRegular, 3)}
	thirdExact := third
	thirdExact.name, thirdExact.plan = "every third at QoS 2", atQoS(lostPlan, 2)
	thirdOnce := third
	thirdOnce.name, thirdOnce.plan = "every third at QoS 0", atQoS(lostPlan, 0)
	runScenarios(t, slices.Concat(
		inVersions(third, "3.1", "3.1.1", "5"), []scenario{thirdExact, thirdOnce},
		[]scenario{
			{name: "every second", peer: every(2), plan: lostPlan, want: "msg.lost", variant: "regular"},
			{name: "the first", peer: where(func(n int) bool { return n == 0 }), plan: lostPlan, want: "msg.lost", variant: "start", check: pattern(diag.LossStart, 1)},
			{name: "the first seven", peer: where(func(n int) bool { return n < 7 }), plan: lostPlan, want: "msg.lost", variant: "start", check: pattern(diag.LossStart, 1)},
			{name: "the last", peer: where(func(n int) bool { return n == 99 }), plan: lostPlan, want: "msg.lost", variant: "few", check: pattern(diag.LossEnd, 100)},
			{name: "here and there", peer: where(hashed(30)), plan: lostPlan, want: "msg.lost", check: pattern(diag.LossScattered, 0)},
			{name: "after sixty in all", peer: afterInAll(60), plan: lostPlan, want: "msg.lost", check: pattern(diag.LossFrom, 61)},
			{name: "all of them", peer: where(func(int) bool { return true }), plan: lostPlan, want: "msg.lost", variant: "all", check: pattern(diag.LossAll, 1)},
			{name: "once at QoS 1", peer: onlyFirst(func(n int) bool { return n == 50 }), plan: lostPlan, want: "msg.lost", variant: "once", check: pattern(diag.LossBlock, 51)},
			{name: "once at QoS 0", peer: onlyFirst(func(n int) bool { return n == 50 }), plan: atQoS(lostPlan, 0), want: "msg.lost", variant: "once_qos0", attention: true},
			{name: "QoS 0 alone, when quick", peer: func(t testing.TB) string {
				b := &bucket{size: 10, rate: 100}
				return bursting(func(_ string, _ int, m diagtest.Message) diagtest.PublishAnswer {
					if m.QoS == 0 && !b.pass() {
						return drop
					}
					return diagtest.PublishAnswer{}
				})(t)
			}, plan: atQoS(lostPlan, 0), want: "msg.lost", variant: "qos0", attention: true},
			{name: "closed after so many, at any rate", peer: bursting(func(_ string, number int, _ diagtest.Message) diagtest.PublishAnswer {
				if number == 7 {
					return diagtest.PublishAnswer{Action: diagtest.Close}
				}
				return diagtest.PublishAnswer{}
			}), plan: lostPlan, want: "msg.lost", variant: "closed"},
			{name: "nothing", peer: where(func(int) bool { return false }), plan: lostPlan},
		}))
}

func TestDoublesAndOrder(t *testing.T) {
	t.Parallel()
	copies := func(answer diagtest.PublishAnswer, every int) func(testing.TB) string {
		return bursting(func(_ string, number int, _ diagtest.Message) diagtest.PublishAnswer {
			if number%every == 0 {
				return answer
			}
			return diagtest.PublishAnswer{}
		})
	}
	plan := diag.PlanInput{Symptom: "duplicate"}
	doubled := scenario{name: "doubled", peer: copies(diagtest.PublishAnswer{Copies: 2}, 1), plan: plan, want: "msg.duplicated", attention: true}
	late := diagtest.PublishAnswer{After: 15 * time.Millisecond}
	runScenarios(t, slices.Concat(
		inVersions(doubled, "3.1", "3.1.1", "5"),
		[]scenario{
			{name: "some doubled", peer: copies(diagtest.PublishAnswer{Copies: 2}, 10), plan: plan, want: "msg.duplicated", attention: true},
			{name: "delivered again with DUP", peer: copies(diagtest.PublishAnswer{Copies: 2, Dup: true}, 4), plan: plan, want: "msg.duplicated", variant: "redelivered", attention: true},
			{name: "doubled at QoS 2", peer: copies(diagtest.PublishAnswer{Copies: 2}, 3), plan: atQoS(plan, 2), want: "msg.duplicated", variant: "exactly_once", attention: true},
			{name: "doubled at QoS 0", peer: copies(diagtest.PublishAnswer{Copies: 2}, 3), plan: atQoS(plan, 0), want: "msg.duplicated", attention: true},
			{name: "round and round", peer: copies(diagtest.PublishAnswer{Copies: 40}, 1), plan: plan, want: "msg.duplicated", variant: "loop", attention: true},
			{name: "some overtaken", peer: copies(late, 7), plan: lostPlan, want: "msg.out_of_order", attention: true},
			{name: "overlapping filters", peer: scripted(diagtest.Script{OnPublish: onTopic(diagtest.PublishAnswer{Copies: 2}, not(ours))}),
				in: topics("plant/temp", "plant/#", "plant/+", "office/#"), plan: plan, want: "msg.duplicated", variant: "overlap", attention: true},
			{name: "doubled on the own topic alone", peer: scripted(diagtest.Script{OnPublish: onTopic(diagtest.PublishAnswer{Copies: 2}, not(ours))}),
				in: topics("plant/temp", "plant/#"), plan: plan, want: "msg.duplicated", variant: "own", attention: true},
			{name: "overlapping filters and one copy", peer: scripted(diagtest.Script{}), in: topics("plant/temp", "plant/#", "plant/+"), plan: plan},
			{name: "once each", peer: copies(diagtest.PublishAnswer{Copies: 1}, 1), plan: plan},
			{name: "all equally late", peer: copies(late, 1), plan: diag.PlanInput{Symptom: "slow"}},
		}))
}

func TestSlowDelivery(t *testing.T) {
	t.Parallel()
	plan := diag.PlanInput{Symptom: "slow"}
	pairTopic := func(answer func(m diagtest.Message) diagtest.PublishAnswer) func(testing.TB) string {
		return scripted(diagtest.Script{OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
			if strings.HasSuffix(m.Topic, "/pair") {
				return answer(m)
			}
			return diagtest.PublishAnswer{}
		}})
	}
	each := func(n time.Duration) func(testing.TB) string {
		return bursting(func(_ string, number int, _ diagtest.Message) diagtest.PublishAnswer {
			return diagtest.PublishAnswer{After: time.Duration(number+1) * n}
		})
	}
	runScenarios(t, []scenario{
		{name: "each message late", peer: pairTopic(func(diagtest.Message) diagtest.PublishAnswer {
			return diagtest.PublishAnswer{After: 1500 * time.Millisecond}
		}),
			plan: plan, want: "msg.slow", attention: true},
		{name: "each message late by a little", peer: pairTopic(func(diagtest.Message) diagtest.PublishAnswer {
			return diagtest.PublishAnswer{After: 700 * time.Millisecond}
		}), plan: plan, want: "msg.slow", variant: "steady", attention: true},
		{name: "everything late", peer: scripted(diagtest.Script{Delay: 700 * time.Millisecond}), plan: diag.PlanInput{Symptom: "slow", TimeoutS: seconds(5),
			Burst: &diag.BurstInput{Count: integer(2)}, Exclude: []string{"msg.qos_grid"}}, want: "msg.slow", variant: "everything", attention: true},
		{name: "queued", peer: each(40 * time.Millisecond), plan: plan, want: "msg.slow", variant: "queue", attention: true},
		{name: "throttled", peer: bursting(func(string, int, diagtest.Message) diagtest.PublishAnswer {
			return diagtest.PublishAnswer{Pause: 40 * time.Millisecond}
		}),
			plan: plan, want: "msg.slow", variant: "throttled", attention: true},
		{name: "as late as a delayed acknowledgement", peer: pairTopic(func(diagtest.Message) diagtest.PublishAnswer {
			return diagtest.PublishAnswer{After: 200 * time.Millisecond}
		}), plan: plan},
		{name: "a little queue", peer: each(2 * time.Millisecond), plan: plan},
	})
}

func TestSmallWindows(t *testing.T) {
	t.Parallel()
	window := func(n uint16) func(testing.TB) string {
		return scripted(diagtest.Script{Properties: func(p *v5.Properties) { p.ReceiveMaximum = &n }})
	}
	tooMany := overRate(15, 1, diagtest.PublishAnswer{Action: diagtest.Close, Code: 0x93})
	old := diag.TargetInput{Protocol: "3.1.1"}
	runScenarios(t, []scenario{
		{name: "announced", peer: window(2), plan: lostPlan, info: []diag.Code{"msg.inflight_limited"}, check: wholeBurst},
		{name: "usual", peer: window(20), plan: lostPlan, check: func(t *testing.T, r diag.Report) {
			wholeBurst(t, r)
			if len(r.Findings) > 0 {
				t.Errorf("found %+v", r.Findings)
			}
		}},
		// mosquitto 2.0.11 acknowledges more than 20 messages of QoS 2 at once, and drops them: of note to who uses QoS 2.
		{name: "QoS 2 beyond the window of mosquitto", peer: mosquittoAlone, in: old, plan: atQoS(lostPlan, 2), info: []diag.Code{"msg.inflight_limited"}, check: wholeBurst},
		{name: "QoS 2 beyond the window of mosquitto, and messages are missed", peer: mosquittoAlone, in: withQoS(old, 2), plan: atQoS(lostPlan, 2),
			want: "msg.inflight_limited", variant: "dropped", attention: true, check: wholeBurst},
		{name: "smaller than announced", peer: tooMany, in: diag.TargetInput{Protocol: "5"}, plan: lostPlan, want: "msg.inflight_limited", variant: "exceeded", attention: true},
	})
}

// Bulk goes to the user's own topic only where the broker denies ours, and with consent; the report says what was sent there.
func TestBurstOnTheUsersTopic(t *testing.T) {
	t.Parallel()
	deny := func(decide func(m diagtest.Message) diagtest.PublishAnswer) func(testing.TB) string {
		return scripted(diagtest.Script{OnSubscribe: denySubscribe(0x87, ours), OnPublish: func(m diagtest.Message) diagtest.PublishAnswer {
			if ours(m.Topic) {
				return diagtest.PublishAnswer{Action: diagtest.Refuse, Code: 0x87}
			}
			return decide(m)
		}})
	}
	accept := func(diagtest.Message) diagtest.PublishAnswer { return diagtest.PublishAnswer{} }
	half := func(m diagtest.Message) diagtest.PublishAnswer {
		if words := strings.Fields(string(m.Payload)); len(words) > 3 && words[1] == "scenario" && strings.HasSuffix(words[3], "7") {
			return drop
		}
		return diagtest.PublishAnswer{}
	}
	own := topics("plant/temp", "plant/#")
	plan, consent := lostPlan, lostPlan
	consent.Intrusive, consent.Exclude = true, []string{"mqtt.limit"}
	sent := func(want int) func(*testing.T, diag.Report) {
		return func(t *testing.T, r diag.Report) {
			if got := diag.CountSent(r.Sent); got < want || want < 100 && got > want {
				t.Errorf("%d messages went to the user's topics, want %d: %+v", got, want, r.Sent)
			}
		}
	}
	runScenarios(t, []scenario{
		{name: "without consent", peer: deny(accept), in: own, plan: plan, check: sent(1)},
		{name: "with consent", peer: deny(accept), in: own, plan: consent, check: func(t *testing.T, r diag.Report) {
			wholeBurst(t, r)
			sent(106)(t, r)
		}},
		{name: "with consent and losses", peer: deny(half), in: own, plan: consent, want: "msg.lost", variant: "*"},
		{name: "no subscription that matches", peer: deny(accept), in: topics("plant/temp"), plan: consent, check: sent(1)},
	})
}
