package main

import (
	"context"
	"io"
	"os"

	"mqttdoctor/diag/demo"
)

// runDemo is the subcommand `mqttdoctor demo`: a broker on loopback with healthy and broken listeners. It prints one
// line of JSON to stdout with where they are, and runs until ctx ends, SIGINT or SIGTERM comes, or, with the flag
// --parent-stdin (as the server starts it), standard input ends. args are what follows the word demo. It returns the
// exit code: 0, 1 if the broker does not start, 2 for wrong usage.
func runDemo(ctx context.Context, args []string, stdout io.Writer) int {
	return demo.Main(ctx, args, os.Stdin, stdout, os.Stderr)
}
