//go:build !linux

package netprobe

import (
	"context"
	"net"
	"net/netip"
)

func connectTCP(context.Context, netip.AddrPort, ConnectOptions) (net.Conn, ConnectResult) {
	return nil, failed(OutcomeOther, ErrUnsupported)
}
