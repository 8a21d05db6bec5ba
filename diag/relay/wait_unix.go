//go:build unix

package relay

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// canWait: a socket can be waited for before there is a buffer to read into.
const canWait = true

// tryRead is called when the socket may be readable, by the runtime's poller, and returns false to be called again then.
func (s *source) tryRead(fd uintptr) bool {
	buf := takeBuffer(s.large)
	for {
		n, err := syscall.Read(int(fd), buf.b[headRoom:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			buf.release()
			return false
		case err != nil:
			s.err = os.NewSyscallError("read", err)
		case n == 0:
			s.err = io.EOF
		}
		s.buf, s.n = buf, n
		return true
	}
}
