//go:build !linux

package diagtest

import (
	"os/exec"
	"testing"
)

// Netns is a network namespace, which only Linux has: here there is no other than the test's own, nil.
type Netns struct{ IPv4, IPv6 string }

// RequireNetns skips the test.
func RequireNetns(t testing.TB) {
	t.Helper()
	Missing(t, "needs Linux's network namespaces")
}

// Do runs f.
func (n *Netns) Do(f func() error) error { return f() }

// Start starts cmd.
func (n *Netns) Start(cmd *exec.Cmd) error { return cmd.Start() }
