// Package rule holds the rules: pure functions from observations to conclusions, one file per layer, in causal order.
// Rules do no I/O, so that every pair of look-alikes is a table test over recorded observations.
package rule
