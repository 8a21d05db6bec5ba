package probe

import (
	"net"
	"strconv"
)

// joinPort makes address:port of each address.
func joinPort(addresses []string, port uint16) []string {
	out := make([]string, len(addresses))
	for i, a := range addresses {
		out[i] = net.JoinHostPort(a, strconv.Itoa(int(port)))
	}
	return out
}

// withPort is the same address with another port.
func withPort(address string, port uint16) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
