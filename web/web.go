package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"mqttdoctor/diag/catalogue"
	"mqttdoctor/diag/demo"
	awake "mqttdoctor/diag/patience"
	"mqttdoctor/handlers"
	"mqttdoctor/static"
	"mqttdoctor/web/archive"
	"mqttdoctor/web/signin"
)

// Options are what a test sets otherwise than the program. The zero value is the program's.
type Options struct {
	Log *slog.Logger // nil: none
	// Engine replaces the one made of the configuration.
	Engine *Engine
	// Program is started for the demo broker; empty: this one.
	Program string
}

// Server is mqttdoctor as a value: made by [New], which also listens, and run by [Server.Run].
type Server struct {
	config   Config
	log      *slog.Logger
	store    archive.Store
	runs     *Runs
	consoles *Consoles
	signIn   *signin.Desk // nil: nobody signs in
	admin    *admin       // nil: nobody signs in
	demo     *demoBroker  // nil: none
	listener net.Listener
	http     *http.Server
	router   chi.Routes
	base     context.Context // that of requests and viewers
	drop     context.CancelFunc
	active   sync.WaitGroup // handlers at work
	after    func(time.Duration) <-chan time.Time
	draining atomic.Bool // told to end, and not ready: balancers are to look elsewhere
	pings    pings
}

// How long the parts of an end in order may take. Together they stay under the 30 s after which Kubernetes kills, and the
// first is longer than the runner's grace for slow probes.
const (
	stopRuns = 10 * time.Second
	// stopRequests is longer than the 5 s for which http.Server takes a new connection for one that will say something, such as those
	// that browsers open beforehand.
	stopRequests = 7 * time.Second
)

// sweepEvery is how often expired reports are erased: their time is given in days.
const sweepEvery = 5 * time.Minute

// New opens the archive, ends the runs that a crash left unfinished, and listens. Errors are for the administrator.
func New(ctx context.Context, c Config, o Options) (_ *Server, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	catalogue.Default() // a defect in it shows now, and the first reader waits for nothing
	s := &Server{config: c, log: o.Log, after: time.After}
	s.base, s.drop = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if s.store, err = openStore(ctx, c); err != nil {
		return nil, err
	}
	engine := o.Engine
	if engine == nil {
		policy, err := c.TargetPolicy()
		if err != nil {
			return nil, err
		}
		engine = NewEngine(policy, c.Vantage, o.Log)
	}
	if c.Demo {
		program := o.Program
		if program == "" {
			if program, err = os.Executable(); err != nil {
				return nil, fmt.Errorf("finding the program for the demo broker: %w", err)
			}
		}
		s.demo = &demoBroker{child: demo.NewChild(program)}
		withDoor := *engine
		engine = &withDoor
		s.demo.door(engine)
	}
	meter := newMeter()
	var noted *audit
	if c.SignIn.Method != signin.None {
		noted = &audit{people: s.store, life: c.AuditRetention, log: o.Log}
	}
	s.runs = NewRuns(RunsConfig{Engine: engine, Store: s.store, MaxRuns: c.MaxRuns, MaxPerClient: c.MaxPerClient,
		Retention: c.Retention, MaxBytes: c.MaxDatabase, audit: noted, Log: o.Log, meter: meter})
	s.consoles = NewConsoles(ConsolesConfig{Engine: engine, Crew: s.store, MaxConsoles: c.MaxConsoles, MaxPerClient: c.MaxConsolesPer,
		MaxRelays: c.MaxRelays, audit: noted, Idle: c.ConsoleIdle, Log: o.Log, meter: meter})
	if noted != nil {
		s.admin = &admin{store: s.store, audit: noted, settings: &settings{config: c.limits(), people: s.store, runs: s.runs, consoles: s.consoles}}
		if err := s.admin.settings.load(ctx); err != nil {
			return nil, fmt.Errorf("reading what administrators have set: %w", err)
		}
	}
	if s.store.Alone() { // else others may carry what is under way
		if err := s.runs.Recover(ctx); err != nil {
			return nil, fmt.Errorf("ending interrupted runs: %w", err)
		}
	}
	handler, err := s.routes(engine, meter)
	if err != nil {
		return nil, err
	}
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return s.base },
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second, // a body is 1 MB at most
		WriteTimeout:      60 * time.Second, // streams are hijacked and have limits of their own
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// DatabaseFile is the name of the archive below the data folder.
const DatabaseFile = "mqttdoctor.db"

// openStore opens the database that was asked for, else the file.
func openStore(ctx context.Context, c Config) (archive.Store, error) {
	if c.DatabaseURL.Given() {
		store, err := archive.OpenPostgres(ctx, c.DatabaseURL)
		if err != nil { // not the store: a nil pointer in an interface is none
			return nil, fmt.Errorf("--database-url: %w", err)
		}
		return store, nil
	}
	store, err := archive.OpenSQLite(ctx, filepath.Join(c.Data, DatabaseFile))
	if err != nil {
		return nil, err
	}
	return store, nil
}

// routes joins handlers and middleware.
func (s *Server) routes(engine *Engine, meter *meter) (http.Handler, error) {
	files, err := newAssets(static.FS, map[string]string{static.SheetName: static.Sheet()})
	if err != nil {
		return nil, err
	}
	from := origin{trusted: s.config.TrustedProxies, public: s.config.PublicURL}
	if s.config.SignIn.Method != signin.None {
		s.signIn, err = signin.New(s.config.SignIn, signin.Deps{Sessions: s.store, Addr: from.addr, Secure: from.secure, Trusted: from.trusts,
			BaseURL: from.base, Noted: s.admin.audit.signed, Log: s.log})
		if err != nil {
			return nil, err
		}
	}
	deps := handlers.Deps{Runs: s.runs, Requests: s.runs, Consoles: s.consoles, Health: health{s}, Context: s.base, Probes: engine.Probes, Version: Version(),
		PublicURL: s.config.PublicURL, ClientAddr: from.addr, Secure: from.secure, Metrics: meter.handler(), MayMeter: meterDoor(s.config.MetricsToken), Asset: files.url,
		Design: s.config.Design, Log: s.log}
	if s.demo != nil {
		deps.Demo = s.demo
	}
	if s.signIn != nil {
		deps.SignIn, deps.Admin = s.signIn, s.admin
	}
	h := handlers.New(deps)
	guarded, err := sameOrigin(s.config.PublicURL, h)
	if err != nil {
		return nil, err
	}
	squeeze, err := compress()
	if err != nil {
		return nil, err
	}
	r := chi.NewRouter()
	r.Use(track(&s.active), identify, secure, observe(s.log, meter, from.addr), squeeze, rescue(s.log, h))
	if s.config.Loopback() {
		r.Use(onlyHosts(s.config.PublicURL, h))
	}
	r.Use(guarded, middleware.GetHead)
	if s.signIn != nil {
		r.Use(except(s.signIn.Recognise(h.Fail), staticPrefix, "/healthz", "/readyz", "/metrics"))
	}
	r.Get(staticPrefix+"*", func(w http.ResponseWriter, req *http.Request) {
		if !files.serve(w, req) {
			h.NotFound(w, req)
		}
	})
	h.Register(r)
	s.router = r
	return r, nil
}

// URL is where the server is reached from this machine.
func (s *Server) URL() string {
	host, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/"}).String()
}

// Run serves until the context ends, and then ends in order: for the time of --drain it works on and is not ready; then no new runs, those under way interrupted and kept, their
// viewers told, requests answered, the archive closed. It returns nil where all of that went well. It is called once.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	consolesDone := make(chan struct{})
	tended := make(chan struct{})
	tendCtx, stopTending := context.WithCancel(context.WithoutCancel(ctx)) // to the end: others must not take us for dead
	defer stopTending()
	go func() {
		defer close(tended)
		s.runs.Tend(tendCtx)
	}()
	sweeping := make(chan struct{})
	sweepCtx, stopSweep := context.WithCancel(context.WithoutCancel(ctx)) // to the end of the drain
	defer stopSweep()
	go func() {
		defer close(sweeping)
		s.sweep(sweepCtx)
	}()
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		if s.admin != nil {
			s.admin.settings.keep(sweepCtx)
		}
	}()
	go func() {
		defer close(consolesDone)
		s.consoles.Run(sweepCtx)
	}()

	var errs []error
	select {
	case <-ctx.Done():
		errs = append(errs, s.drain(served))
	case err := <-served: // the listener broke
		errs = append(errs, err)
	}
	stopSweep()
	s.log.Info("stopping")
	errs = append(errs, s.stopServing())
	<-sweeping
	<-settled
	<-consolesDone
	stopTending()
	<-tended
	errs = append(errs, s.release())
	return errors.Join(errs...)
}

// drain goes on working for a while, so that balancers notice that this server is not ready before it refuses anybody. It
// returns the error of a listener that broke meanwhile.
func (s *Server) drain(served <-chan error) error {
	s.draining.Store(true)
	if s.config.Drain == 0 {
		return nil
	}
	s.log.Info("draining", "for", s.config.Drain)
	select {
	case <-s.after(s.config.Drain):
		return nil
	case err := <-served:
		return err
	}
}

// stopServing ends runs, then viewers and requests.
func (s *Server) stopServing() error {
	var errs []error
	ctx, cancel := awake.WithTimeout(context.Background(), stopRuns)
	defer cancel()
	if err := s.runs.Stop(ctx); err != nil {
		errs = append(errs, fmt.Errorf("runs did not end in time: %w", err))
	}
	if err := s.consoles.Stop(ctx); err != nil {
		errs = append(errs, fmt.Errorf("consoles did not end in time: %w", err))
	}
	// Viewers got run.finished and go by themselves; what is left after the time is dropped.
	ctx, cancel = awake.WithTimeout(context.Background(), stopRequests)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		errs = append(errs, fmt.Errorf("requests did not end in time: %w", err), s.http.Close())
	}
	idle := make(chan struct{})
	go func() { // ends with the handlers, whose writes are bounded
		s.active.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	s.drop()
	<-idle
	return errors.Join(errs...)
}

// release gives back what New took.
func (s *Server) release() error {
	s.drop()
	var errs []error
	if s.listener != nil {
		if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.demo != nil {
		errs = append(errs, s.demo.child.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}

// Close gives back what New took, where Run was not called.
func (s *Server) Close() error { return s.release() }

func (s *Server) sweep(ctx context.Context) {
	small := make(chan struct{})
	go func() {
		defer close(small)
		s.runs.keepSmall(ctx)
	}()
	defer func() { <-small }()
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		s.runs.Sweep(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// health implements [handlers.Health].
type health struct{ s *Server }

func (h health) Ready(ctx context.Context) error {
	if h.s.draining.Load() || h.s.runs.Stopping() {
		return handlers.ErrStopping
	}
	if err := h.s.runs.Working(); err != nil {
		return err
	}
	return h.s.pings.ping(ctx, h.s.store)
}

// pings asks the archive whether it works, one at a time, however many ask for it: whoever may ask, may ask often. The zero value is
// ready.
type pings struct {
	mu sync.Mutex
	at time.Time // of the last one that went well
}

// pingLife is for how long that is believed: less than balancers wait between two looks.
const pingLife = 500 * time.Millisecond

func (p *pings) ping(ctx context.Context, store archive.Store) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) < pingLife {
		return nil
	}
	if err := ctx.Err(); err != nil { // the one before took as long as this one may
		return err
	}
	begun := time.Now()
	err := store.Ping(ctx)
	if err == nil {
		p.at = begun
	}
	return err
}
