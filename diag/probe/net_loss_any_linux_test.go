package probe_test

import (
	"sync/atomic"
	"testing"

	"mqttdoctor/diag/diagtest"
)

// everyNth loses one in n of the packets that the client sends, bare acknowledgements aside: nobody misses those.
func everyNth(n int64, secured bool) func(testing.TB, *diagtest.Path) farSide {
	return func(t testing.TB, p *diagtest.Path) farSide {
		w := pathBroker(secured, nil)(t, p)
		var sent atomic.Int64
		const bare = 20 + 32 // IPv4 and TCP with timestamps
		p.SetFilter(func(packet diagtest.Packet) bool {
			return !packet.FromLeft || len(packet.Data) <= bare || sent.Add(1)%n != 0
		})
		return w
	}
}

// Nobody has to say that packets are lost: the run's own connections show it.
func TestPacketLossShowsInAnyRun(t *testing.T) {
	t.Parallel()
	runPathScenarios(t, []pathScenario{
		{scenario{name: "one packet in five lost", want: "net.packet_loss", attention: true}, everyNth(5, false)},
		{scenario{name: "one packet in five lost with TLS", want: "net.packet_loss", attention: true}, everyNth(5, true)},
	})
}
