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
// backup have room in that.
const postgresConns = 16

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
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns / 2)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s := &SQL{write: db, read: db, engine: postgresEngine{config}, now: time.Now}
	if err := s.migrate(ctx); err != nil {
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

func (e postgresEngine) close() error { return nil }
