//go:build !linux

package diagtest

import "testing"

// ClosedPort returns a port of 127.0.0.1 that refuses connections: a free one, which another process might take.
func ClosedPort(t testing.TB) int {
	t.Helper()
	return FreePort(t)
}

// FilteredPort skips the test: how it is done is Linux's own.
func FilteredPort(t testing.TB) int {
	t.Helper()
	Missing(t, "needs Linux to make a port that does not answer")
	return 0
}
