package probe

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/patience"
)

// The series is long enough that one packet in twenty lost is found in four runs of five, and slow enough not to meet a limit
// for connections per second.
const (
	seriesTries = 30
	seriesPace  = 80 * time.Millisecond
)

// netLoss connects many times in a row to an address that works, and counts the SYNs that had to be sent again: the kernel
// does so where the SYN or its answer was lost. It runs where loss is the question, and where TCP had to send anything again on
// a connection of the run.
var netLoss = diag.Probe{
	ID: "net.loss", Layer: diag.LayerNet, Depth: diag.DepthQuick,
	Needs: []diag.ProbeID{checkResolve},
	Ready: func(v *diag.View) diag.Decision {
		_, ok := reachable(v)
		switch {
		case ok && (lossIsTheQuestion(v) || repeatedSYNs(v) >= suspicious):
			return diag.Run()
		case !ok && v.Ended(checkTCP):
			return diag.Skip(diag.N("skip.no_tcp"))
		case brokenAt(v) != "":
			return diag.Skip(diag.N("skip.nothing_lost"))
		case connected(v) && v.Ended(checkVersions) && v.Ended(checkRoundTrip) && v.Ended(checkQoS2) && v.Ended(checkPublish):
			return diag.Run() // and look at the connections themselves
		}
		return diag.Wait()
	},
	Budget: seriesTries*seriesPace + 6*time.Second + lossPingTime,
	Run: func(ctx context.Context, env *diag.Env, _ diag.Subject) diag.Result {
		address, ok := reachable(env.View)
		if !ok {
			return diag.Skipped(diag.N("skip.no_tcp"))
		}
		if !lossIsTheQuestion(env.View) && env.Repeats.Total() < suspicious {
			return diag.Skipped(diag.N("skip.nothing_lost"))
		}
		o := &diag.ConnectSeries{Address: address, Again: env.Repeats.Total(), Ends: make([]string, seriesTries)}
		rtts := make([]time.Duration, seriesTries)
		var connecting sync.WaitGroup
		pace := time.NewTicker(seriesPace)
		defer pace.Stop()
		for i := range seriesTries {
			select {
			case <-pace.C:
			case <-ctx.Done():
				connecting.Wait()
				return diag.Skipped(diag.N("skip.canceled"))
			}
			connecting.Go(func() { o.Ends[i], rtts[i] = connectOnce(ctx, env, address) })
		}
		connecting.Wait()
		rtts = slices.DeleteFunc(rtts, func(d time.Duration) bool { return d == 0 })
		if slices.Sort(rtts); len(rtts) > 0 {
			o.Median = rtts[len(rtts)/2]
		}
		lost := o.Count(diag.EndRepeated, diag.EndSilent)
		if lost > 0 {
			o.Pings, o.PingsAgain = pingSeries(ctx, env, address)
		}
		args := []string{"address", address, "count", strconv.Itoa(lost), "total", strconv.Itoa(seriesTries - o.Count(diag.EndBusy))}
		if lost == 0 {
			return diag.Passed(o, diag.N("step.net.loss.none", args...))
		}
		return diag.Warned(o, diag.N("step.net.loss.some", args...))
	},
}

func lossIsTheQuestion(v *diag.View) bool {
	return v.Options.Depth == diag.DepthDeep || slices.Contains(v.Options.Include, "net.loss") ||
		slices.Contains([]diag.Symptom{diag.SymptomSlow, diag.SymptomDrops, diag.SymptomTimeout}, v.Options.Symptom)
}

// suspicious is how many repeats make it worth a series: a single one happens on any path.
const suspicious = 2

// repeatedSYNs counts the connections of the run that came about and needed a second SYN.
func repeatedSYNs(v *diag.View) int {
	n := 0
	count := func(c *diag.TCPConnect) {
		if c != nil && c.Outcome == diag.OutcomeOK && c.Retransmits > 0 {
			n++
		}
	}
	for _, s := range v.Steps {
		switch o := s.Observation.(type) {
		case *diag.TCPConnect:
			count(o)
		case *diag.Attempt:
			count(o.TCP)
		}
	}
	return n
}

// muchLag is by how much less our own machine may run while a connection is made whose SYN is sent again for that.
const muchLag = 100 * time.Millisecond

// connectOnce tells how a connection ended, and its round trip where that was measured.
func connectOnce(ctx context.Context, env *diag.Env, address string) (end string, rtt time.Duration) {
	lag := patience.Watch()
	o, conn := dialTCP(ctx, env, askedRoute(env.Target, address))
	busy := lag.Stop()
	if conn != nil {
		conn.Close()
	}
	switch {
	case busy > muchLag && (o.Outcome == diag.OutcomeSilent || o.Outcome == diag.OutcomeOK && o.Retransmits > 0):
		return diag.EndBusy, 0
	case o.Outcome == diag.OutcomeSilent:
		return diag.EndSilent, 0
	case o.Outcome != diag.OutcomeOK:
		return diag.EndOther, 0
	case o.Retransmits > 0:
		return diag.EndRepeated, 0
	}
	return diag.EndOK, o.RTT
}
