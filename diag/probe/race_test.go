//go:build race

package probe_test

// patience is by how much time bounds are widened: the race detector makes handshakes several times slower.
const patience = 3
