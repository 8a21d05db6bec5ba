//go:build !linux

package probe

import (
	"net"

	"mqttdoctor/diag"
)

// ackQuickly does nothing where the system has no TCP_QUICKACK.
func ackQuickly(_ *diag.Env, conn net.Conn, _ int) net.Conn { return conn }
