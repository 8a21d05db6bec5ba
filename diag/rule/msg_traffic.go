package rule

import (
	"strconv"

	"mqttdoctor/diag"
)

const (
	checkPair    diag.ProbeID = "msg.pair"
	checkQoSGrid diag.ProbeID = "msg.qos_grid"
)

// gridDowngraded finds a message between two clients that lost QoS on the way, of those with no more QoS than was asked for.
func gridDowngraded(v *diag.View, asked byte) (diag.Finding, bool) {
	for _, s := range diag.SeenBy[*diag.QoSGrid](v, checkQoSGrid) {
		for _, c := range s.Seen.Cells {
			if c.Publish > asked || c.Subscribe > asked || !c.Lowered() {
				continue
			}
			f := diag.Finding{Step: s.Step.ID, Evidence: s.Step.Evidence, Variant: "between", Args: diag.Args{
				"qos": strconv.Itoa(int(c.Publish)), "granted": strconv.Itoa(c.Granted), "delivered": strconv.Itoa(c.Delivered),
			}}
			return f, true
		}
	}
	return diag.Finding{}, false
}
