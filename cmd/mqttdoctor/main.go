// Command mqttdoctor diagnoses MQTT connections: as a server with a browser page (serve, the default), once in a terminal
// (check), or as a broker to try it on (demo).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"mqttdoctor/web"
)

// The exit codes.
const (
	exitOK      = 0
	exitFinding = 1 // of check: something was found, or nothing could be told; of serve: it failed
	exitUsage   = 2
)

const usage = `mqttdoctor diagnoses MQTT connections.

  mqttdoctor [serve] [flags]   start the server and open its page in the browser
  mqttdoctor check URL [flags] diagnose once, in this terminal
  mqttdoctor demo              start a broker to try it on
  mqttdoctor backup FILE       copy the reports to a file, also while the server runs
  mqttdoctor restore FILE      put such a file in the place of the reports
  mqttdoctor version           print the version

Each command lists its flags with --help.
`

// world is what the program has of its surroundings; tests set it.
type world struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
}

func main() {
	// The first signal ends things in order, the second ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], world{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}))
}

func run(ctx context.Context, args []string, w world) int {
	command := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	if len(args) == 1 && (args[0] == "--version" || args[0] == "-version") {
		command = "version" // as other programs take it
	}
	switch command {
	case "serve":
		return runServe(ctx, args, w)
	case "check":
		return runCheck(ctx, args, w)
	case "demo":
		return runDemo(ctx, args, w.stdout)
	case "backup":
		return runBackup(ctx, args, w)
	case "restore":
		return runRestore(ctx, args, w)
	case "version":
		fmt.Fprintln(w.stdout, "mqttdoctor", web.Version())
		return exitOK
	case "help":
		fmt.Fprint(w.stdout, usage)
		return exitOK
	}
	fmt.Fprintf(w.stderr, "mqttdoctor: unknown command %q\n\n%s", command, usage)
	return exitUsage
}
