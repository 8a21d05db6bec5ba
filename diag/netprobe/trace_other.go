//go:build !linux

package netprobe

import (
	"context"
	"net/netip"
)

func traceTCP(context.Context, netip.AddrPort, int) ([]Hop, error) { return nil, ErrUnsupported }
