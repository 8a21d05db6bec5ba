//go:build !race

package probe_test

// patience is by how much time bounds are widened.
const patience = 1
