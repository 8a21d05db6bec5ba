package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	gooselock "github.com/pressly/goose/v3/lock"

	"mqttdoctor/diag"
)

// ErrDatabaseURL: the address of the database is none. The error says nothing of what stands in it: there is a password.
var ErrDatabaseURL = errors.New("not the address of a PostgreSQL database, such as postgres://user:password@host:5432/name")

// postgresConns bounds the connections of one process: PostgreSQL allows 100 in all by default, and three processes and a
// backup have room in that. pulseConns of them are for the rounds and for readiness, which come one at a time.
const (
	postgresConns = 16
	pulseConns    = 2
)

// postgresEngine is a PostgreSQL server, with other processes at it.
type postgresEngine struct{ config *pgx.ConnConfig }

// CheckPostgresURL tells whether an address can be one of PostgreSQL. It dials nothing.
func CheckPostgresURL(address diag.Secret) error {
	_, err := parsePostgres(address)
	return err
}

func parsePostgres(address diag.Secret) (*pgx.ConnConfig, error) {
	u, err := url.Parse(strings.TrimSpace(address.Reveal()))
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, ErrDatabaseURL
	}
	config, err := pgx.ParseConfig(u.String())
	if err != nil { // its text holds parts of the address
		return nil, ErrDatabaseURL
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "mqttdoctor"
	}
	// A statement that somebody's lock holds up gives up in time, as every read from a peer does.
	if config.RuntimeParams["statement_timeout"] == "" {
		config.RuntimeParams["statement_timeout"] = "30000"
	}
	return config, nil
}

// OpenPostgres opens the archive in a PostgreSQL database, which other processes may have open too, and brings its schema up
// to date. Errors name host and database and never the password.
func OpenPostgres(ctx context.Context, address diag.Secret) (*SQL, error) {
	config, err := parsePostgres(address)
	if err != nil {
		return nil, err
	}
	open := func(conns int) *sql.DB {
		db := stdlib.OpenDB(*config)
		db.SetMaxOpenConns(conns)
		// All stay for a while: to open one costs more than hundreds of questions, and most of all when there are many.
		db.SetMaxIdleConns(conns)
		db.SetConnMaxIdleTime(5 * time.Minute)
		return db
	}
	db := open(postgresConns - pulseConns)
	s := &SQL{write: db, read: db, pulse: open(pulseConns), engine: postgresEngine{config}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the database %s on %s: %w", config.Database, config.Host, err), s.Close())
	}
	return s, nil
}

func (e postgresEngine) dialect() (goose.Dialect, string, []goose.ProviderOption, error) {
	// Processes that start together take turns.
	turns, err := gooselock.NewPostgresSessionLocker(gooselock.WithLockTimeout(1, 60))
	return goose.DialectPostgres, "postgres", []goose.ProviderOption{goose.WithSessionLocker(turns)}, err
}

func (e postgresEngine) bind(query string) string { return numbered(query) }

// scrub gives the space of deleted rows free to be overwritten. PostgreSQL itself decides when that happens, and its
// write-ahead log and the backups made of it are beyond reach.
func (e postgresEngine) scrub(ctx context.Context, write *sql.DB) error {
	_, err := write.ExecContext(ctx, `VACUUM runs, events`)
	return err
}

func (e postgresEngine) clock() string {
	return `CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)`
}

// turnLock is the number of the lock that takes turns; the one of the migrations is another.
const turnLock = 0x6d717474 // "mqtt"

func (e postgresEngine) takeTurn(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, turnLock)
	return err
}

// channel is where processes wake each other. A signal carries a key and no news: who is woken reads the rows.
const channel = "mqttdoctor"

func (e postgresEngine) signal(ctx context.Context, tx *sql.Tx, keys ...string) error {
	for _, key := range keys {
		if _, err := tx.ExecContext(ctx, `SELECT pg_notify($1, $2)`, channel, key); err != nil {
			return err
		}
	}
	return nil
}

const (
	// listenProbe is how long a quiet connection is believed in.
	listenProbe = 20 * time.Second
	// listenAgain bounds the wait before a lost connection is made anew. Meanwhile nothing is lost but speed: whoever waits for a
	// signal looks now and then without one.
	listenAgain = 5 * time.Second
)

func (e postgresEngine) listen(ctx context.Context, heard func(key string)) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, listenAgain) {
		if e.hear(ctx, heard) {
			wait = 100 * time.Millisecond
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// hear listens on one connection until that breaks, and tells whether it stood.
func (e postgresEngine) hear(ctx context.Context, heard func(key string)) (stood bool) {
	conn, err := pgx.ConnectConfig(ctx, e.config.Copy())
	if err != nil {
		return false
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		_ = conn.Close(ctx) // it is given up either way
	}()
	if _, err := conn.Exec(ctx, `LISTEN `+channel); err != nil {
		return false
	}
	heard("") // what was said while nobody listened
	for {
		quiet, cancel := context.WithTimeout(ctx, listenProbe)
		n, err := conn.WaitForNotification(quiet)
		over := quiet.Err() != nil
		cancel()
		switch {
		case err == nil:
			heard(n.Payload)
		case ctx.Err() != nil || !over:
			return true
		default: // quiet: does it stand?
			probe, cancel := context.WithTimeout(ctx, closeTime)
			err := conn.Ping(probe)
			cancel()
			if err != nil {
				return true
			}
		}
	}
}

func (e postgresEngine) alone() bool { return false }

func (e postgresEngine) close() error { return nil }
