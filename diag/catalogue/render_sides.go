package catalogue

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
)

// SidesView is what two runs saw side by side, whether it differs or not: what a broker offers, its certificates, and times.
type SidesView struct {
	Capabilities []CapabilityPairView
	Certificates []CertificatePairView
	Timings      []TimingPairView
}

// CapabilityPairView is a row of what the broker offers.
type CapabilityPairView struct {
	Label, Help   string
	Before, After CapabilitySideView
	Differs       bool
}

// CapabilitySideView is what a broker announced and what was measured; empty: nothing.
type CapabilitySideView struct{ Announced, Measured, Note string }

// CertificatePairView are the certificates at one place of the chains that were served; nil: the chain is shorter.
type CertificatePairView struct {
	Place         int // 0: the server's own
	Before, After *CertificateSideView
	Differs       bool
}

// CertificateSideView is a certificate in what people tell one from another by.
type CertificateSideView struct {
	Subject, Issuer, Names, Key, Signature, SHA256 string
	NotBefore, NotAfter                            time.Time
}

// TimingPairView is how long a step took; -1: it did not come to an end in that run.
type TimingPairView struct {
	Title, Subject    string
	BeforeMS, AfterMS float64
	Differs           bool // clearly, beyond what differs from run to run
}

// RenderSides sets two runs side by side. What differs comes first.
func RenderSides(before, after diag.Report, lang Lang) SidesView {
	was, is := newWriter(lang, before.Target), newWriter(lang, after.Target)
	return SidesView{Capabilities: capabilityPairs(before, after, was, is), Certificates: certificatePairs(before, after),
		Timings: timingPairs(before, after, is)}
}

func seen[T diag.Observation](r diag.Report, check diag.ProbeID, fits func(T) bool) (found T, ok bool) {
	for _, s := range r.Steps {
		if o, is := s.Observation.(T); is && s.Check == check && fits(o) {
			return o, true
		}
	}
	return found, false
}

func capabilityPairs(before, after diag.Report, was, is *writer) []CapabilityPairView {
	const check = "mqtt.capabilities"
	any := func(*diag.Capabilities) bool { return true }
	b, had := seen(before, check, any)
	a, has := seen(after, check, any)
	if !had && !has {
		return nil
	}
	side := func(w *writer, c *diag.Capabilities, name diag.CapabilityName) (row diag.Capability, v CapabilitySideView) {
		if c == nil {
			return row, v
		}
		if found := c.Row(name); found != nil {
			row = *found
		}
		return row, CapabilitySideView{w.value(diag.EvAnnounced, row.Announced), w.value(diag.EvMeasured, row.Measured),
			w.value(diag.EvCapNote, string(row.Note))}
	}
	var names []diag.CapabilityName
	for _, c := range []*diag.Capabilities{a, b} {
		if c == nil {
			continue
		}
		for _, row := range c.Rows {
			if !slices.Contains(names, row.Name) {
				names = append(names, row.Name)
			}
		}
	}
	var out []CapabilityPairView
	for _, name := range names {
		var v CapabilityPairView
		var rows [2]diag.Capability
		v.Label, v.Help = is.label("evidence.cap." + string(name))
		rows[0], v.Before = side(was, b, name)
		rows[1], v.After = side(is, a, name)
		v.Differs = had && has && rows[0].Differs(rows[1], b.Version == a.Version)
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b CapabilityPairView) int { return differingFirst(a.Differs, b.Differs) })
	return out
}

func differingFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func certificatePairs(before, after diag.Report) []CertificatePairView {
	served := func(h *diag.TLSHandshake) bool { return len(h.Chain) > 0 }
	chain := func(r diag.Report) []diag.CertFact {
		if h, ok := seen(r, "tls.handshake", served); ok {
			return h.Chain
		}
		return nil
	}
	b, a := chain(before), chain(after)
	var out []CertificatePairView
	for i := range max(len(a), len(b)) {
		v := CertificatePairView{Place: i}
		if i < len(b) {
			v.Before = certificateSide(b[i])
		}
		if i < len(a) {
			v.After = certificateSide(a[i])
		}
		v.Differs = v.Before == nil || v.After == nil || v.Before.SHA256 != v.After.SHA256
		out = append(out, v)
	}
	if len(a) == 0 || len(b) == 0 { // one run got none to see
		for i := range out {
			out[i].Differs = false
		}
	}
	return out
}

func certificateSide(c diag.CertFact) *CertificateSideView {
	key := c.KeyAlgorithm
	if c.KeyBits > 0 {
		key += " " + strconv.Itoa(c.KeyBits)
	}
	if c.Curve != "" {
		key += " " + c.Curve
	}
	return &CertificateSideView{Subject: clean(c.Subject), Issuer: clean(c.Issuer), Names: clean(strings.Join(slices.Concat(c.DNSNames, c.IPs), ", ")),
		Key: clean(key), Signature: clean(c.Signature), SHA256: c.SHA256, NotBefore: c.NotBefore, NotAfter: c.NotAfter}
}

// timingPairs are the steps that came to a good end in one of the runs at least, in the order of the later run.
func timingPairs(before, after diag.Report, w *writer) []TimingPairView {
	var out []TimingPairView
	for _, t := range diag.CompareTimes(before, after) {
		v := TimingPairView{Subject: clean(t.Subject), BeforeMS: -1, AfterMS: -1, Differs: t.Differs}
		v.Title, _ = w.label("check." + string(t.Check))
		if t.Before >= 0 {
			v.BeforeMS = milliseconds(t.Before.Seconds())
		}
		if t.After >= 0 {
			v.AfterMS = milliseconds(t.After.Seconds())
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b TimingPairView) int { return differingFirst(a.Differs, b.Differs) })
	return out
}
