// Package errno reads the errors of the network the same way on every system. On Windows they are those of Winsock, which
// package syscall neither names nor compares with its own ECONNREFUSED and the like.
package errno

import (
	"errors"
	"runtime"
	"syscall"
)

// winsock are Windows' numbers for what other systems call otherwise (Windows Sockets Error Codes).
var winsock = map[syscall.Errno]syscall.Errno{
	10013: syscall.EACCES,
	10022: syscall.EINVAL,
	10049: syscall.EADDRNOTAVAIL,
	10050: syscall.ENETDOWN,
	10051: syscall.ENETUNREACH,
	10052: syscall.ECONNRESET, // WSAENETRESET
	10053: syscall.ECONNABORTED,
	10054: syscall.ECONNRESET,
	10058: syscall.EPIPE, // WSAESHUTDOWN
	10060: syscall.ETIMEDOUT,
	10061: syscall.ECONNREFUSED,
	10064: syscall.EHOSTDOWN,
	10065: syscall.EHOSTUNREACH,
}

// Is tells whether an error is, or wraps, one of the system's errors.
func Is(err error, any ...syscall.Errno) bool { return is(err, runtime.GOOS == "windows", any) }

func is(err error, windows bool, any []syscall.Errno) bool {
	for _, want := range any {
		if errors.Is(err, want) {
			return true
		}
	}
	var got syscall.Errno
	if !windows || !errors.As(err, &got) {
		return false
	}
	for _, want := range any {
		if winsock[got] == want {
			return true
		}
	}
	return false
}
