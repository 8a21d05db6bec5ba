package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/guard"
	"mqttdoctor/handlers"
	"mqttdoctor/web"
)

// checkFlags are those of `mqttdoctor check`: a field of the interface each, and how to print.
type checkFlags struct {
	input         diag.RunInput
	password      string
	passwordStdin bool
	ca, cert, key string // files
	asJSON        bool
	lang          string
}

// runCheck is the subcommand `mqttdoctor check URL`: one diagnosis in a terminal.
func runCheck(ctx context.Context, args []string, w world) int {
	f, err := parseCheck(args, w)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(w.stderr, "mqttdoctor check: %v\nmqttdoctor check --help lists the flags.\n", err)
		return exitUsage
	}
	lang := catalogue.Lang(f.input.Lang)
	if f.password != "" {
		fmt.Fprintln(w.stderr, word("cli.password_seen", lang))
	}
	// Whoever has a terminal here can reach what this machine reaches anyway.
	engine := web.NewEngine(guard.Policy{Name: guard.Laptop}, "", nil)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	printer := newPrinter(w.stdout, lang, w.getenv)
	emit := func(diag.Event) {}
	if !f.asJSON {
		emit = printer.event
	}
	report, err := engine.Check(ctx, f.input, emit)
	if err != nil {
		explain(w.stderr, err, lang)
		return exitUsage
	}
	if f.asJSON {
		e := json.NewEncoder(w.stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(catalogue.Render(report, lang)); err != nil {
			return exitFinding
		}
	} else {
		printer.report(catalogue.Render(report, lang))
	}
	if report.Verdict != diag.OverallHealthy {
		return exitFinding
	}
	return exitOK
}

func parseCheck(args []string, w world) (checkFlags, error) {
	var f checkFlags
	t, p := &f.input.Target, &f.input.Plan
	fs := flag.NewFlagSet("mqttdoctor check", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&t.Username, "username", "", "user `name`")
	fs.StringVar(&f.password, "password", "", "password; better in MQTTDOCTOR_PASSWORD or by --password-stdin: everybody on the machine sees this one")
	fs.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from the first line of standard input")
	fs.StringVar(&t.ClientID, "client-id", "", "client `id`; it may push a client of the same id off. Empty: a temporary one")
	fs.StringVar(&t.Protocol, "protocol", "", "MQTT `version`: auto, 5, 3.1.1 or 3.1")
	fs.Func("keepalive", "keep alive in `seconds` (default 60)", intInto(&t.KeepaliveS))
	fs.BoolFunc("no-clean-start", "take over a session that the broker holds", func(string) error { no := false; t.CleanStart = &no; return nil })
	fs.IntVar(&t.SessionExpiryS, "session-expiry", 0, "session expiry in `seconds`")
	fs.StringVar(&f.ca, "ca", "", "`file` of the certificate authority, PEM")
	fs.StringVar(&f.cert, "cert", "", "`file` of the client certificate, PEM")
	fs.StringVar(&f.key, "key", "", "`file` of the client's private key, PEM")
	fs.StringVar(&t.TLS.ServerName, "server-name", "", "`name` for TLS, where it is not the host")
	fs.Func("alpn", "ALPN `protocol` to offer; more than one is fine", appendTo(&t.TLS.ALPN))
	fs.BoolVar(&t.TLS.Insecure, "insecure", false, "the client does not verify the certificate")
	fs.StringVar(&t.WS.Path, "path", "", "WebSocket `path` (default /mqtt)")
	fs.StringVar(&t.WS.Origin, "origin", "", "WebSocket `origin`")
	fs.Func("header", "WebSocket `header`, \"Name: value\"; more than one is fine", headerInto(&t.WS.Headers))
	fs.StringVar(&t.Topics.Publish, "publish", "", "`topic` that the client publishes to; a few test messages will be sent there")
	fs.Func("subscribe", "topic `filter` that the client subscribes to; more than one is fine", appendTo(&t.Topics.Subscribe))
	fs.Func("qos", "`QoS` of the client: 0, 1 or 2 (default 1)", intInto(&t.Topics.QoS))
	fs.Func("node", "further `address` of a cluster; more than one is fine", appendTo(&t.Nodes))
	fs.StringVar(&t.BridgeURL, "bridge", "", "`address` of a bridged broker")
	fs.StringVar(&p.Symptom, "symptom", "", "what is wrong, a `symptom` of "+joined(diag.Symptoms))
	fs.StringVar(&p.Depth, "depth", "", "how much to look at, a `depth` of "+joined(diag.Depths))
	fs.Func("include", "`check` to include at any depth; more than one is fine", appendTo(&p.Include))
	fs.Func("exclude", "`check` to leave out; more than one is fine", appendTo(&p.Exclude))
	fs.Func("timeout", "how long to wait for one answer, such as 5s", secondsInto(&p.TimeoutS))
	fs.Func("watch", "how long to hold connections and watch for drops, a `duration` such as 3m or 8h, at most 24h (default 30s for the symptom drops, 3m at depth deep); interrupt to end it with what was seen", wholeSecondsInto(&p.WatchS))
	fs.Func("resolver", "further DNS `server` to compare; more than one is fine", appendTo(&p.Resolvers))
	fs.BoolVar(&p.Intrusive, "intrusive", false, "consent to checks that may disturb others")
	fs.BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	fs.StringVar(&f.lang, "lang", "", "en or zh; empty: that of the environment (LC_ALL, LC_MESSAGES, LANG)")

	// Flags may stand before and after the address.
	var positional []string
	for rest := args; ; {
		if err := fs.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				describeCheck(fs, w.stdout)
			}
			return f, err
		}
		if fs.NArg() == 0 {
			break
		}
		positional, rest = append(positional, fs.Arg(0)), fs.Args()[1:]
	}
	if len(positional) != 1 {
		return f, errors.New("one broker address is needed, such as mqtts://broker.example.com:8883")
	}
	t.URL = positional[0]
	return f, f.finish(w)
}

// finish reads what flags only point to.
func (f *checkFlags) finish(w world) error {
	t := &f.input.Target
	switch {
	case f.passwordStdin && f.password != "":
		return errors.New("--password and --password-stdin exclude each other")
	case f.passwordStdin:
		line, err := bufio.NewReader(io.LimitReader(w.stdin, 1<<17)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("--password-stdin: %w", err)
		}
		t.Password = diag.NewSecret(strings.TrimRight(line, "\r\n"))
	case f.password != "":
		t.Password = diag.NewSecret(f.password)
	default:
		t.Password = diag.NewSecret(w.getenv(web.EnvPrefix + "PASSWORD"))
	}
	var key string
	for _, file := range []struct {
		flag, path string
		into       *string
	}{{"--ca", f.ca, &t.TLS.CAPEM}, {"--cert", f.cert, &t.TLS.CertPEM}, {"--key", f.key, &key}} {
		if file.path == "" {
			continue
		}
		data, err := os.ReadFile(file.path)
		if err != nil {
			return fmt.Errorf("%s: %w", file.flag, err)
		}
		*file.into = string(data)
	}
	t.TLS.KeyPEM = diag.NewSecret(key)
	switch f.lang {
	case "en", "zh":
		f.input.Lang = f.lang
	case "":
		f.input.Lang = string(localeLang(w.getenv))
	default:
		return errors.New("--lang: en or zh")
	}
	return nil
}

// localeLang is the language of messages by POSIX (XBD 8.2), such as zh_CN.UTF-8.
func localeLang(getenv func(string) string) catalogue.Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			v, _, _ = strings.Cut(v, ".")
			return catalogue.ParseLang(strings.ReplaceAll(v, "_", "-"))
		}
	}
	return catalogue.English
}

// explain says what is wrong with an input.
func explain(out io.Writer, err error, lang catalogue.Lang) {
	var fields diag.FieldErrors
	var forbidden *handlers.ForbiddenTarget
	switch {
	case errors.As(err, &fields):
		fmt.Fprintln(out, word("cli.invalid", lang))
		texts := catalogue.FieldErrors(fields, lang)
		for _, field := range slices.Sorted(maps.Keys(texts)) {
			fmt.Fprintf(out, "  %s: %s\n", field, printable(texts[field]))
		}
	case errors.As(err, &forbidden):
		fmt.Fprintln(out, forbidden.Cause)
	default:
		fmt.Fprintln(out, err)
	}
}

func describeCheck(fs *flag.FlagSet, out io.Writer) {
	fmt.Fprintf(out, "Usage: mqttdoctor check URL [flags]\n\nURL is mqtt://, mqtts://, ws:// or wss:// and host[:port], or host[:port] alone.\n"+
		"Exit code: 0 healthy, 1 something was found or nothing could be told, 2 wrong usage.\n\n")
	fs.VisitAll(func(f *flag.Flag) {
		arg, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(out, "  --%s %s\n      %s\n", f.Name, arg, usage)
	})
}

func joined[T ~string](all []T) string {
	parts := make([]string, len(all))
	for i, v := range all {
		parts[i] = string(v)
	}
	return strings.Join(parts, " ")
}

func appendTo(list *[]string) func(string) error {
	return func(s string) error {
		*list = append(*list, s)
		return nil
	}
}

func intInto(to **int) func(string) error {
	return func(s string) error {
		var n int
		if _, err := fmt.Sscanf(s, "%d", &n); err != nil || fmt.Sprint(n) != s {
			return errors.New("not a whole number")
		}
		*to = &n
		return nil
	}
}

func secondsInto(to **float64) func(string) error {
	return func(s string) error {
		d, err := time.ParseDuration(s)
		if err != nil {
			return errors.New("not a duration such as 5s")
		}
		seconds := d.Seconds()
		*to = &seconds
		return nil
	}
}

// wholeSecondsInto reads a duration such as 3m, or a number of seconds.
func wholeSecondsInto(to **int) func(string) error {
	return func(s string) error {
		if n, err := strconv.Atoi(s); err == nil {
			*to = &n
			return nil
		}
		d, err := time.ParseDuration(s)
		if err != nil || d%time.Second != 0 {
			return errors.New("not a duration such as 3m")
		}
		*to = new(int(d / time.Second))
		return nil
	}
}

func headerInto(to *map[string]diag.Secret) func(string) error {
	return func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New(`not "Name: value"`)
		}
		if *to == nil {
			*to = map[string]diag.Secret{}
		}
		(*to)[strings.TrimSpace(name)] = diag.NewSecret(strings.TrimSpace(value))
		return nil
	}
}
