package probe_test

import (
	"sync/atomic"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// losing drops the packets for which lost says so, of those that open a connection, counted from 1: the rest of the run then
// takes its usual time.
func losing(lost func(nth int64) bool) func(testing.TB, *diagtest.Path) farSide {
	return func(t testing.TB, p *diagtest.Path) farSide {
		w := pathBroker(false, func(*diagtest.Path) {})(t, p)
		var nth atomic.Int64
		p.SetFilter(func(packet diagtest.Packet) bool {
			d := packet.Data
			opens := packet.FromLeft && len(d) >= 40 && d[0]>>4 == 4 && d[9] == 6 && d[int(d[0]&15)*4+13] == 0x02 // RFC 9293 3.1: SYN alone
			return !opens || !lost(nth.Add(1))
		})
		return w
	}
}

func TestPacketLossScenarios(t *testing.T) {
	t.Parallel()
	slow := diag.PlanInput{Symptom: "slow"}
	runPathScenarios(t, []pathScenario{
		{scenario{name: "one in six lost", plan: slow, want: "net.packet_loss", variant: "connecting", attention: true, check: arg("total", "30")},
			losing(func(nth int64) bool { return nth%6 == 0 })},
		{scenario{name: "one lost", plan: slow}, losing(func(nth int64) bool { return nth == 12 })},
		{scenario{name: "none lost", plan: slow}, losing(func(int64) bool { return false })},
		{scenario{name: "a limit for connections", plan: slow}, losing(func(nth int64) bool { return nth > 20 })},
	})
}
