package diag

// Layer is the part of a connection that a check, step or finding belongs to.
type Layer string

// The layers in causal order: what breaks an earlier one hides every later one.
const (
	LayerInput   Layer = "input"
	LayerDNS     Layer = "dns"
	LayerNet     Layer = "net"
	LayerTCP     Layer = "tcp"
	LayerTLS     Layer = "tls"
	LayerWS      Layer = "ws"
	LayerMQTT    Layer = "mqtt"
	LayerMsg     Layer = "msg"
	LayerSec     Layer = "sec"
	LayerCluster Layer = "cluster"
	LayerBroker  Layer = "broker"
	LayerHost    Layer = "host"
	LayerLog     Layer = "log"
	LayerDevice  Layer = "device"
)

// Layers lists every layer in causal order.
var Layers = []Layer{
	LayerInput, LayerDNS, LayerNet, LayerTCP, LayerTLS, LayerWS, LayerMQTT, LayerMsg,
	LayerSec, LayerCluster, LayerBroker, LayerHost, LayerLog, LayerDevice,
}

// Rank is the place of the layer in causal order, from 0; an unknown layer ranks last.
func (l Layer) Rank() int {
	for i, known := range Layers {
		if l == known {
			return i
		}
	}
	return len(Layers)
}
