package probe

import (
	"slices"

	"mqttdoctor/diag"
)

// All lists every probe in display order: the layers' order, and inside a layer that of its own list.
var All = slices.Concat(dnsProbes, tcpProbes, tlsProbes, wsProbes, peerProbes, mqttProbes, msgProbes)

// IDs lists the ids of every probe.
func IDs() []diag.ProbeID {
	ids := make([]diag.ProbeID, len(All))
	for i, p := range All {
		ids[i] = p.ID
	}
	return ids
}
