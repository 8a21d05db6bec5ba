package web

import (
	"context"
	"errors"
	"flag"
	"io"
	"slices"
	"sync"
	"time"

	"mqttdoctor/handlers"
	"mqttdoctor/web/archive"
)

// Limits are what administrators can set while the server runs. The flags of the same names say what holds without them.
type Limits struct {
	MaxRuns, MaxPerClient       int
	MaxConsoles, MaxConsolesPer int
	MaxRelays                   int
	Retention                   time.Duration
	MaxDatabase                 int64 // bytes; 0: no bound
}

func (c Config) limits() Limits {
	return Limits{MaxRuns: c.MaxRuns, MaxPerClient: c.MaxPerClient, MaxConsoles: c.MaxConsoles, MaxConsolesPer: c.MaxConsolesPer,
		MaxRelays: c.MaxRelays, Retention: c.Retention, MaxDatabase: c.MaxDatabase}
}

// limitNames are their names, in the order in which they are shown.
var limitNames = []string{"max-runs", "max-runs-per-client", "max-consoles", "max-consoles-per-client", "max-relays", "retention", "max-database"}

// atLeast says what a limit takes.
var atLeast = map[string]string{"max-runs": "at least 1", "max-runs-per-client": "at least 1", "max-consoles": "at least 1",
	"max-consoles-per-client": "at least 1", "max-relays": "at least 1", "retention": "at least a minute",
	"max-database": "at least 50MB, or 0 for no bound"}

// values reads and writes limits as the flags do.
func (l *Limits) values() *flag.FlagSet {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&l.MaxRuns, "max-runs", l.MaxRuns, "")
	fs.IntVar(&l.MaxPerClient, "max-runs-per-client", l.MaxPerClient, "")
	fs.IntVar(&l.MaxConsoles, "max-consoles", l.MaxConsoles, "")
	fs.IntVar(&l.MaxConsolesPer, "max-consoles-per-client", l.MaxConsolesPer, "")
	fs.IntVar(&l.MaxRelays, "max-relays", l.MaxRelays, "")
	fs.Var((*days)(&l.Retention), "retention", "")
	fs.Var((*size)(&l.MaxDatabase), "max-database", "")
	return fs
}

// wrong names the limits that cannot be.
func (l Limits) wrong() []string {
	var names []string
	for name, ok := range map[string]bool{"max-runs": l.MaxRuns > 0, "max-runs-per-client": l.MaxPerClient > 0, "max-consoles": l.MaxConsoles > 0,
		"max-consoles-per-client": l.MaxConsolesPer > 0, "max-relays": l.MaxRelays > 0, "retention": l.Retention >= time.Minute,
		"max-database": l.MaxDatabase == 0 || l.MaxDatabase >= 50e6} { // a report may have 9 MB
		if !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// with are the limits with settings over them, and the names of settings that are wrong.
func (l Limits) with(settings map[string]string) (Limits, []string) {
	values := l.values()
	var wrong []string
	for name, value := range settings {
		if value != "" && slices.Contains(limitNames, name) && values.Set(name, value) != nil {
			wrong = append(wrong, name)
		}
	}
	return l, append(wrong, l.wrong()...)
}

// settings keeps to what administrators have set, in this process or another one.
type settings struct {
	config   Limits // what holds without
	people   archive.People
	runs     *Runs
	consoles *Consoles

	loading sync.Mutex // one at a time: what was read first does not undo what was read later

	mu  sync.Mutex
	set map[string]string // as it was read last
}

// settingsEvery is how often a process looks for what was set in another one.
const settingsEvery = 15 * time.Second

// load reads what was set and goes by it. What cannot be, set by another version perhaps, is left out.
func (s *settings) load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	set, err := s.people.Settings(ctx)
	if err != nil {
		return err
	}
	_, wrong := s.config.with(set)
	for _, name := range wrong {
		delete(set, name)
	}
	l, wrong := s.config.with(set)
	if len(wrong) > 0 { // the configuration alone is right
		l, set = s.config, nil
	}
	s.mu.Lock()
	s.set = set
	s.mu.Unlock()
	s.runs.limit(l)
	s.consoles.limit(l)
	return nil
}

// keep goes by what is set until the context ends.
func (s *settings) keep(ctx context.Context) {
	tick := time.NewTicker(settingsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = s.load(ctx) // the archive tells of its trouble elsewhere; what was set holds
		case <-ctx.Done():
			return
		}
	}
}

// list is what holds, and what would without the settings.
func (s *settings) list() []handlers.Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	config := s.config
	values := config.values()
	list := make([]handlers.Limit, len(limitNames))
	for i, name := range limitNames {
		list[i] = handlers.Limit{Name: name, Value: s.set[name], Configured: values.Lookup(name).Value.String()}
	}
	return list
}

// errNoLimit: there is no setting of that name.
var errNoLimit = errors.New("no such limit")

// change sets limits; an empty value goes back to the configuration. It returns what has changed.
func (s *settings) change(ctx context.Context, to map[string]string) (map[string]string, error) {
	for name := range to {
		if !slices.Contains(limitNames, name) {
			return nil, errNoLimit
		}
	}
	if _, wrong := s.config.with(to); len(wrong) > 0 {
		return nil, &handlers.WrongLimits{Names: wrong}
	}
	before, err := s.people.Settings(ctx)
	if err != nil {
		return nil, err
	}
	changed := map[string]string{}
	for name, value := range to {
		if before[name] != value {
			changed[name] = value
		}
	}
	if err := s.people.Set(ctx, changed); err != nil {
		return nil, err
	}
	return changed, s.load(ctx)
}
