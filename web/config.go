package web

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"mqttdoctor/diag"
	"mqttdoctor/diag/guard"
	"mqttdoctor/web/archive"
	"mqttdoctor/web/signin"
)

// Config is how a server is set up. [ParseConfig] makes one from flags and environment; a test makes its own from
// [DefaultConfig].
type Config struct {
	Listen string // host:port; port 0: any free one
	Data   string // folder of the archive
	// DatabaseURL is that of a PostgreSQL database that keeps the reports instead, also for several processes.
	DatabaseURL    diag.Secret
	Policy         string   // laptop, public or intranet; empty: laptop on loopback, else public
	AllowCIDR      []string // as package guard reads them
	DenyCIDR       []string
	Open           bool     // open the browser
	PublicURL      *url.URL // nil: what requests say
	TrustedProxies []netip.Prefix
	MaxRuns        int
	MaxPerClient   int
	MaxConsoles    int           // consoles at once in all
	MaxConsolesPer int           // of them for each person who is signed in, or client address
	MaxRelays      int           // connections of all consoles
	ConsoleIdle    time.Duration // a console ends that has had no connection for so long
	Retention      time.Duration
	AuditRetention time.Duration // how long the audit log is kept
	MaxDatabase    int64         // bytes of all reports; 0: no bound
	Drain          time.Duration // how long it works on after it was told to end, and is not ready
	Vantage        string        // name of where probes run from; empty: the machine's
	Demo           bool          // offer the demo broker
	Design         bool          // serve the gallery of the pages' parts, for development
	// MetricsToken is what a scraper of /metrics sends as Authorization: Bearer; none: only this machine may scrape.
	MetricsToken diag.Secret
	SignIn       signin.Config
	LogFormat    string // text or json
	LogLevel     slog.Level
}

// EnvPrefix begins the names of the environment variables: --max-runs is MQTTDOCTOR_MAX_RUNS.
const EnvPrefix = "MQTTDOCTOR_"

// DefaultConfig is what a server does that nobody configured.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:8080", Data: defaultData(), Open: true, MaxRuns: 64, MaxPerClient: 8,
		MaxConsoles: 64, MaxConsolesPer: 8, MaxRelays: 1024, ConsoleIdle: 30 * time.Minute,
		Retention: 30 * 24 * time.Hour, AuditRetention: 365 * 24 * time.Hour, MaxDatabase: 5e9, Demo: true, SignIn: signin.DefaultConfig(), LogFormat: "text", LogLevel: slog.LevelInfo}
}

func defaultData() string {
	dir, err := os.UserCacheDir()
	if err != nil { // no home: a container, say
		return "mqttdoctor-data"
	}
	return filepath.Join(dir, "mqttdoctor")
}

// ParseConfig reads flags, and for what they leave out the environment. It returns flag.ErrHelp where help was asked for
// and written to out. Other errors say what is wrong with which setting.
func ParseConfig(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	c := DefaultConfig()
	fs := flag.NewFlagSet("mqttdoctor serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the caller writes the error
	fs.StringVar(&c.Listen, "listen", c.Listen, "address to listen on, `host:port`; port 0 takes any free one")
	fs.StringVar(&c.Data, "data", c.Data, "`folder` of the reports")
	fs.Var(secret{&c.DatabaseURL}, "database-url", "`address` of a PostgreSQL database for the reports, which several servers may share, instead of a file in --data: postgres://user:password@host:5432/name. Everybody on this machine can read flags: better set the variable")
	fs.Var(oneOf(&c.Policy, guard.Laptop, guard.Public, guard.Intranet), "policy", "which targets may be diagnosed: laptop (everything), public (no private, loopback or reserved addresses), intranet (public and private networks); empty: laptop while listening on loopback only, else public")
	fs.Var((*list)(&c.AllowCIDR), "allow-cidr", "`networks` that may be diagnosed whatever the policy, separated by commas")
	fs.Var((*list)(&c.DenyCIDR), "deny-cidr", "`networks` that may not be diagnosed whatever the policy, separated by commas")
	fs.BoolVar(&c.Open, "open", c.Open, "open the browser")
	fs.Var(publicURL{&c.PublicURL}, "public-url", "`address` under which people reach this server, such as https://mqtt.example.com")
	fs.Var((*prefixes)(&c.TrustedProxies), "trusted-proxies", "`networks` of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed")
	fs.IntVar(&c.MaxRuns, "max-runs", c.MaxRuns, "runs at once in all")
	fs.IntVar(&c.MaxPerClient, "max-runs-per-client", c.MaxPerClient, "runs at once for each person who is signed in, or else client address")
	fs.IntVar(&c.MaxConsoles, "max-consoles", c.MaxConsoles, "consoles at once in all; each keeps up to 6 MB of what passed")
	fs.IntVar(&c.MaxConsolesPer, "max-consoles-per-client", c.MaxConsolesPer, "consoles at once for each person who is signed in, or else client address")
	fs.IntVar(&c.MaxRelays, "max-relays", c.MaxRelays, "connections of all consoles at once")
	fs.Var((*days)(&c.ConsoleIdle), "console-idle", "how long a console stays without a connection, such as 30m")
	fs.Var((*days)(&c.Retention), "retention", "how long reports are kept, such as 30d or 12h")
	fs.Var((*size)(&c.MaxDatabase), "max-database", "how much all reports may take, such as 500MB or 5GB; the oldest are erased before their time to make room. The database itself takes up to twice as much while it does. 0: no bound")
	fs.DurationVar(&c.Drain, "drain", c.Drain, "how long to work on after being told to end, while /readyz tells balancers to look elsewhere: longer than they take to notice, such as 10s")
	fs.StringVar(&c.Vantage, "vantage", c.Vantage, "`name` of where this server stands, shown in reports; empty: the machine's name")
	fs.BoolVar(&c.Demo, "demo", c.Demo, "offer the demo broker")
	fs.BoolVar(&c.Design, "design", c.Design, "serve a gallery of the pages' parts at /design, for development")
	fs.Var(secret{&c.MetricsToken}, "metrics-token", "`token` with which Prometheus may fetch /metrics (Authorization: Bearer), 16 characters or more; empty: only programs on this machine may. Everybody on this machine can read flags: better set the variable")
	c.signInFlags(fs)
	fs.Var(oneOf(&c.LogFormat, "text", "json"), "log-format", "text or json")
	fs.TextVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")

	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		describe(fs, out)
		return c, err
	}
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err == nil {
		err = fromEnv(fs, getenv)
	}
	if err == nil {
		err = c.check()
	}
	return c, err
}

// fromEnv sets what no flag has set.
func fromEnv(fs *flag.FlagSet, getenv func(string) string) error {
	var given []string
	fs.Visit(func(f *flag.Flag) { given = append(given, f.Name) })
	var errs []error
	fs.VisitAll(func(f *flag.Flag) {
		value := getenv(envName(f.Name))
		if value == "" || slices.Contains(given, f.Name) {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", envName(f.Name), err))
		}
	})
	return errors.Join(errs...)
}

func envName(name string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// describe writes every flag with its variable and default.
func describe(fs *flag.FlagSet, out io.Writer) {
	fmt.Fprintf(out, "Usage: mqttdoctor [serve] [flags]\n\nEach flag can be given as an environment variable too; the flag wins.\n\n")
	fs.VisitAll(func(f *flag.Flag) {
		arg, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(out, "  --%s %s\n      %s\n      %s", f.Name, arg, usage, envName(f.Name))
		if f.DefValue != "" {
			fmt.Fprintf(out, ", default %s", f.DefValue)
		}
		fmt.Fprintln(out)
	})
}

func (c Config) check() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if wrong := c.limits().wrong(); len(wrong) > 0 {
		return fmt.Errorf("--%s: %s", wrong[0], atLeast[wrong[0]])
	}
	if c.ConsoleIdle < time.Minute {
		return errors.New("--console-idle: at least a minute")
	}
	if c.MetricsToken.Given() && len(c.MetricsToken.Reveal()) < 16 {
		return errors.New("--metrics-token: at least 16 characters")
	}
	if c.AuditRetention < 24*time.Hour {
		return errors.New("--audit-retention: at least a day")
	}
	if c.Drain < 0 || c.Drain > 10*time.Minute {
		return errors.New("--drain: from 0 to 10m")
	}
	if c.Data == "" {
		return errors.New("--data: a folder is needed")
	}
	if c.DatabaseURL.Given() {
		if err := archive.CheckPostgresURL(c.DatabaseURL); err != nil {
			return fmt.Errorf("--database-url: %w", err)
		}
	}
	if err := c.checkSignIn(); err != nil {
		return err
	}
	_, err := c.TargetPolicy()
	return err
}

// Loopback tells whether the server can be reached from this machine alone.
func (c Config) Loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// TargetPolicy is the policy that holds: the one given, else by who can reach the server.
func (c Config) TargetPolicy() (guard.Policy, error) {
	name := guard.Public
	switch {
	case c.Policy != "":
		name = c.Policy
	case c.Loopback():
		name = guard.Laptop
	}
	return guard.ParsePolicy(name, c.AllowCIDR, c.DenyCIDR)
}

// The flag types that the standard library lacks.

type choice struct {
	to  *string
	all []string
}

func oneOf(to *string, all ...string) *choice { return &choice{to: to, all: all} }

func (c *choice) String() string {
	if c.to == nil {
		return ""
	}
	return *c.to
}

func (c *choice) Set(s string) error {
	if !slices.Contains(c.all, s) {
		return fmt.Errorf("one of %s", strings.Join(c.all, ", "))
	}
	*c.to = s
	return nil
}

// list adds up where the flag is given more than once.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}

type prefixes []netip.Prefix

func (p *prefixes) String() string {
	var parts []string
	for _, prefix := range *p {
		parts = append(parts, prefix.String())
	}
	return strings.Join(parts, ",")
}

func (p *prefixes) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			addr, addrErr := netip.ParseAddr(part) // a single address
			if addrErr != nil {
				return fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", part)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		*p = append(*p, prefix.Masked())
	}
	return nil
}

// secret takes anything: package flag quotes a value that is refused. What is wrong with it, check tells.
type secret struct{ to *diag.Secret }

func (s secret) String() string {
	if s.to == nil {
		return ""
	}
	return s.to.String()
}

func (s secret) Set(value string) error {
	*s.to = diag.NewSecret(value)
	return nil
}

type publicURL struct{ to **url.URL }

func (p publicURL) String() string {
	if p.to == nil || *p.to == nil {
		return ""
	}
	return (*p.to).String()
}

func (p publicURL) Set(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return errors.New("an address such as https://mqtt.example.com, without a path")
	}
	u.Path = ""
	*p.to = u
	return nil
}

// size is in bytes.
type size int64

func (s *size) String() string {
	if *s == 0 {
		return "0"
	}
	return strings.ReplaceAll(humanize.Bytes(uint64(*s)), " ", "")
}

func (s *size) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt64 {
		return errors.New("a size such as 500MB or 5GB")
	}
	*s = size(n)
	return nil
}

type days time.Duration

func (d *days) String() string { return formatDays(time.Duration(*d)) }

func formatDays(d time.Duration) string {
	const day = 24 * time.Hour
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}

func (d *days) Set(s string) error {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		var count int
		if _, err := fmt.Sscanf(n, "%d", &count); err != nil || fmt.Sprint(count) != n || count < 1 || count > 36500 {
			return errors.New("a duration such as 30d or 12h")
		}
		*d = days(time.Duration(count) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return errors.New("a duration such as 30d or 12h")
	}
	*d = days(v)
	return nil
}
