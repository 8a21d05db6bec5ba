//go:build !linux

package netprobe

import "syscall"

func tcpInfo(syscall.Conn) (Info, error) { return Info{}, ErrUnsupported }
