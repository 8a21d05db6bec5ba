package probe

import (
	"slices"

	"mqttdoctor/diag"
)

// All lists every probe in display order: the layers' order, and inside a layer that of its own list.
var All = afterAll(atLast(slices.Concat(dnsProbes, tcpProbes, tlsProbes, wsProbes, peerProbes, mqttProbes, msgProbes, awayProbes, brokerProbes)))

// IDs lists the ids of every probe.
func IDs() []diag.ProbeID {
	ids := make([]diag.ProbeID, len(All))
	for i, p := range All {
		ids[i] = p.ID
	}
	return ids
}

// afterAll lets the watch wait for every other check: it may take a day, for which nothing else should hold connections or be
// waited for, and what the others do would disturb it.
func afterAll(all []diag.Probe) []diag.Probe {
	i := slices.IndexFunc(all, func(p diag.Probe) bool { return p.ID == checkWatch })
	for _, p := range all {
		if p.ID != checkWatch && !slices.Contains(p.Needs, checkWatch) {
			all[i].Needs = append(all[i].Needs, p.ID)
		}
	}
	return all
}

// atLast lets the last look at the broker's own figures wait for everything, the watch among it: it compares with the first.
func atLast(all []diag.Probe) []diag.Probe {
	i := slices.IndexFunc(all, func(p diag.Probe) bool { return p.ID == checkSysLater })
	for _, p := range all {
		if p.ID != checkSysLater {
			all[i].Needs = append(all[i].Needs, p.ID)
		}
	}
	return all
}
