//go:build !linux

package probe

import "net"

// ackQuickly does nothing where the system has no TCP_QUICKACK.
func ackQuickly(conn net.Conn) net.Conn { return conn }
