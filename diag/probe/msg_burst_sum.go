package probe

import (
	"slices"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/mqttwire"
)

// headMessages is how many of the first messages the head's median is of.
const headMessages = 100

// conclude sums up the single messages. Nothing else uses the burst any more.
func (b *burst) conclude() {
	o := b.o
	o.Ours = b.pair.sub.Dropped() - b.dropped
	o.End = endOfPair(b.pair, o.Sent)
	o.Stalled = o.Stalled && o.End == nil
	if end := b.pair.pub.ClosedBy(); end.Kind == mqttwire.FailWriteError { // ours, since the broker had stopped to read
		o.Stalled = true
	}
	o.Received = b.received
	o.Unacked = b.unacked()
	b.latencies()
	lost := b.lost()
	o.Lost = max(0, len(lost)-o.Pending)
	if o.Lost == 0 {
		lost = nil
	}
	if b.seen != nil {
		o.Witness = &diag.BurstWitness{}
		for _, seen := range b.seen {
			if seen {
				o.Witness.Received++
			}
		}
		for _, number := range lost {
			if b.seen[number] {
				o.Witness.OfLost++
			}
		}
	}
	o.Pattern, o.FirstLost, o.Period = lossPattern(lost, o.Sent)
	b.raster(lost)
}

// endOfPair tells how a connection ended; nil where both last.
func endOfPair(p *pair, sent int) *diag.BurstEnd {
	for _, side := range []struct {
		name diag.Side
		s    *pairEnd
	}{{diag.SidePublisher, p.pub}, {diag.SideSubscriber, p.sub}} {
		end := side.s.ClosedBy()
		switch end.Kind {
		case "", mqttwire.FailLocal, mqttwire.FailWriteError, mqttwire.FailCanceled:
			continue
		}
		e := &diag.BurstEnd{Side: side.name, Outcome: outcomeOfFailure(end.Kind), Code: -1, After: sent}
		if end.Kind == mqttwire.FailRefused {
			e.Code, e.Reason, e.ReasonString = int(end.Code), end.Reason, printable(end.ReasonString, 300)
		}
		return e
	}
	return nil
}

func (b *burst) unacked() int {
	if b.spec.qos == 0 {
		return 0
	}
	return b.o.Sent - b.o.Acked - b.o.Refused
}

// lost lists the numbers of what the broker had and did not deliver. Where the publisher's connection ended or the broker does
// not read from it, what was not acknowledged may never have reached it: at QoS 0 only what lies before the last that came is
// known to be lost.
func (b *burst) lost() []int32 {
	var out []int32
	cut := b.o.Stalled || b.o.End != nil && b.o.End.Side == diag.SidePublisher
	for number := range b.spec.count {
		switch {
		case b.sent[number] == 0 || b.arrived[number] != 0 || b.acked[number] < 0:
		case cut && b.spec.qos > 0 && b.acked[number] == 0:
		case cut && b.spec.qos == 0 && number > b.highest:
		default:
			out = append(out, int32(number))
		}
	}
	return out
}

func (b *burst) latencies() {
	var all, head, acks []time.Duration
	b.o.Bins = make([]int, len(diag.LatencyEdges)+1)
	firstSent, lastSent, lastCame := int32(0), int32(0), int32(0)
	for number := range b.spec.count {
		sent := b.sent[number]
		if sent == 0 {
			continue
		}
		if firstSent == 0 {
			firstSent = sent
		}
		lastSent = sent
		if b.acked[number] > 0 {
			acks = append(acks, micros(b.acked[number]-sent))
		}
		if b.arrived[number] == 0 {
			continue
		}
		lastCame = max(lastCame, b.arrived[number])
		d := micros(b.arrived[number] - sent)
		all = append(all, d)
		if number < headMessages {
			head = append(head, d)
		}
		bin, _ := slices.BinarySearch(diag.LatencyEdges, d)
		b.o.Bins[bin]++
	}
	slices.Sort(all)
	slices.Sort(head)
	slices.Sort(acks)
	o := b.o
	o.P50, o.P95, o.P99, o.Max = diag.Percentile(all, 50), diag.Percentile(all, 95), diag.Percentile(all, 99), diag.Percentile(all, 100)
	o.Head, o.AckMedian = diag.Percentile(head, 50), diag.Percentile(acks, 50)
	o.Sending, o.Took = micros(lastSent-firstSent), micros(lastCame-firstSent)
}

func micros(n int32) time.Duration { return time.Duration(max(0, n)) * time.Microsecond }

// raster keeps the single messages: all of few, of many what was lost or doubled (up to half of the room) and every nth.
func (b *burst) raster(lost []int32) {
	isLost := map[int32]bool{}
	for _, number := range lost {
		isLost[number] = true
	}
	every := (b.o.Sent + diag.MaxRaster/2 - 1) / (diag.MaxRaster / 2)
	if b.o.Sent <= diag.MaxRaster {
		every = 1
	}
	r := &b.o.Raster
	special := 0
	for number := range b.spec.count {
		if b.sent[number] == 0 {
			continue
		}
		regular := number%max(1, every) == 0
		odd := isLost[int32(number)] || b.copies[number] > 1
		if !regular && (!odd || special >= diag.MaxRaster/2) {
			continue
		}
		if !regular {
			special++
		}
		r.Sequence = append(r.Sequence, int32(number+1))
		r.Sent = append(r.Sent, ms(b.sent[number]))
		r.Arrived = append(r.Arrived, ms(b.arrived[number]))
		r.Again = append(r.Again, ms(b.again[int32(number)]))
	}
}

// ms is a time in milliseconds, -1 for none.
func ms(micros int32) float32 {
	if micros <= 0 {
		return -1
	}
	return float32(micros-1) / 1000
}

const (
	fewLost     = 5   // fewer, and no pattern but the first, the last or a gap is seen in them
	alwaysWhole = 5   // a limit lets at least so many pass before it bites
	thinnedFrom = 0.2 // of what follows is lost at least
)

// lossPattern tells where the lost ones of n messages lie; numbers are from 0 and sorted.
func lossPattern(lost []int32, n int) (pattern diag.LossPattern, first, period int) {
	if len(lost) == 0 {
		return "", 0, 0
	}
	first = int(lost[0]) + 1
	last := int(lost[len(lost)-1]) + 1
	oneGap := last-first+1 == len(lost)
	switch {
	case len(lost) >= n:
		return diag.LossAll, first, 0
	case oneGap && first == 1:
		return diag.LossStart, first, 0
	case oneGap && last == n && len(lost) <= max(2, n/20):
		return diag.LossEnd, first, 0
	case oneGap && last == n:
		return diag.LossFrom, first, 0
	case oneGap:
		return diag.LossBlock, first, 0
	}
	if step := regular(lost); step > 1 && first <= step {
		return diag.LossRegular, first, step
	}
	if after := n - first + 1; len(lost) >= fewLost && first > alwaysWhole && first > 2*after/len(lost) && float64(len(lost)) >= thinnedFrom*float64(after) {
		return diag.LossThinned, first, 0
	}
	return diag.LossScattered, first, 0
}

// regular is the distance that nine in ten neighbours have; 0: there is none, or too few to tell.
func regular(lost []int32) int {
	if len(lost) < 3 {
		return 0
	}
	counts := map[int]int{}
	for i := 1; i < len(lost); i++ {
		counts[int(lost[i]-lost[i-1])]++
	}
	for step, n := range counts {
		if n*10 >= (len(lost)-1)*9 {
			return step
		}
	}
	return 0
}
