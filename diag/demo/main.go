package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// Main is the program `mqttdoctor demo`: it starts the broker, prints one line of JSON with its [Info] to stdout, and
// runs until ctx ends, SIGINT or SIGTERM comes, or, with --parent-stdin, stdin ends. It returns the exit code: 0 after
// such an end, 1 if the broker does not start, 2 for wrong usage.
//
// With --parent-stdin the first line of stdin is [Options] in JSON. That is how a [Child] hands over ports and CA, the
// CA's key on no command line.
//
// A test binary that uses a [Child] with itself as the program calls Main at the start of its TestMain when its first
// argument is "demo".
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("mqttdoctor demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintf(stderr, "Usage: mqttdoctor demo [flags]\n\nRuns a demo broker with healthy and broken listeners on loopback, "+
			"and prints where as a line of JSON.\n\n")
		flags.PrintDefaults()
	}
	var o Options
	flags.StringVar(&o.Host, "host", "127.0.0.1", "loopback `address` to listen on")
	flags.Func("ports", "wished ports, such as `mqtt=1883,mqtts=8883`; the others, and those that are taken, are free ones",
		func(text string) (err error) {
			o.Ports, err = parsePorts(text)
			return err
		})
	fromParent := flags.Bool("parent-stdin", false, "read options from the first line of standard input, and end when it ends")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "mqttdoctor demo: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	if *fromParent {
		input := bufio.NewReader(stdin)
		line, err := input.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &o)
		}
		if err != nil {
			fmt.Fprintf(stderr, "mqttdoctor demo: options on standard input: %v\n", err)
			return 2
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() {
			io.Copy(io.Discard, input)
			cancel()
		}()
	}
	err := Run(ctx, o, func(info Info) error { return json.NewEncoder(stdout).Encode(info) })
	if err != nil {
		fmt.Fprintf(stderr, "mqttdoctor demo: %v\n", err)
		return 1
	}
	return 0
}

func parsePorts(text string) (map[string]int, error) {
	known := map[string]bool{PortMQTT: true, PortMQTTS: true, PortWS: true, PortWSS: true, PortExpired: true,
		PortPassword: true, PortDroppingACL: true}
	ports := map[string]int{}
	for pair := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(pair), "=")
		port, err := strconv.ParseUint(number, 10, 16)
		if !known[name] || err != nil {
			return nil, fmt.Errorf("%q is not one of the listeners with a port", pair)
		}
		ports[name] = int(port)
	}
	return ports, nil
}
