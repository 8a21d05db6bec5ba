package errno

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestWinsock is about the numbers that Windows gives, wrapped as package net wraps them.
func TestWinsock(t *testing.T) {
	for _, tt := range []struct {
		number  syscall.Errno
		windows bool
		is      syscall.Errno
		want    bool
	}{
		{10061, true, syscall.ECONNREFUSED, true},
		{10054, true, syscall.ECONNRESET, true},
		{10053, true, syscall.ECONNABORTED, true},
		{10051, true, syscall.ENETUNREACH, true},
		{10065, true, syscall.EHOSTUNREACH, true},
		{10013, true, syscall.EACCES, true},
		{10061, true, syscall.ECONNRESET, false},
		{10061, false, syscall.ECONNREFUSED, false},
		{1, true, syscall.ECONNREFUSED, false},
		{syscall.ECONNREFUSED, false, syscall.ECONNREFUSED, true},
		{syscall.ECONNREFUSED, true, syscall.ECONNREFUSED, true},
	} {
		err := fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connectex", tt.number)})
		if got := is(err, tt.windows, []syscall.Errno{syscall.EISDIR, tt.is}); got != tt.want {
			t.Errorf("%d is %d, on Windows %v: %v, want %v", tt.number, tt.is, tt.windows, got, tt.want)
		}
	}
}
