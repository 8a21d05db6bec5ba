package archive

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*/*.sql
var migrationFiles embed.FS

// SQL keeps runs in a database that speaks SQL: made by [OpenSQLite] or [OpenPostgres]. What the two do differently is in
// its engine; every query is the same.
type SQL struct {
	write *sql.DB
	read  *sql.DB // the same as write where the database has many writers
	// pulse is for what says that this process lives and does what others ask of it: hundreds of viewers who come back at once, and
	// whose questions wait for a connection, must not make it look dead.
	pulse  *sql.DB
	engine engine
	now    clock
	// process is this process's id at the database, lease how long it is taken for alive after it last said so.
	process string
	lease   time.Duration
	// unscrubbed: rows were deleted whose old pages may still be in the files; the next sweep sees to it.
	unscrubbed atomic.Bool
}

var _ Store = (*SQL)(nil)

// engine is what a database does its own way.
type engine interface {
	// dialect names it to the migrations and their folder.
	dialect() (name goose.Dialect, folder string, options []goose.ProviderOption, err error)
	// bind writes a query's placeholders, which are ? in this package, as the database wants them.
	bind(query string) string
	// scrub makes deletion true in the files. A reader may keep it from doing so: then it is an error, and tried again.
	scrub(ctx context.Context, write *sql.DB) error
	// clock is an expression for the database's time, in milliseconds since 1970: processes may disagree on theirs.
	clock() string
	// takeTurn lets the transactions that count and add wait for each other.
	takeTurn(ctx context.Context, tx *sql.Tx) error
	// signal wakes those who listen for the keys, in all processes, when the transaction is done.
	signal(ctx context.Context, tx *sql.Tx, keys ...string) error
	// listen calls heard with each key, and with "" where some may have been missed, until the context ends.
	listen(ctx context.Context, heard func(key string))
	// alone tells that no other process works with this database.
	alone() bool
	// close gives back what the engine holds beside the two pools, which are closed by then.
	close() error
}

// closeTime is how long a process that goes tries to say so.
const closeTime = 5 * time.Second

// open brings the schema up to date and joins the processes at this database.
func (s *SQL) open(ctx context.Context) error {
	s.now, s.process, s.lease = time.Now, strings.ToLower(rand.Text()), Lease
	if err := s.migrate(ctx); err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if s.engine.alone() {
			if _, err := s.exec(ctx, tx, `DELETE FROM processes`); err != nil { // they died: the file is ours
				return err
			}
		}
		return s.live(ctx, tx)
	})
}

// migrations are the steps between the versions of the schema.
func (s *SQL) migrations() (*goose.Provider, error) {
	name, folder, options, err := s.engine.dialect()
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrationFiles, "migrations/"+folder)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(name, s.write, files, options...)
}

// migrate brings the schema up to date.
func (s *SQL) migrate(ctx context.Context) error {
	p, err := s.migrations()
	if err != nil {
		return err
	}
	if have, want, err := p.GetVersions(ctx); err == nil && have > want {
		return fmt.Errorf("%w: its schema has version %d, this program knows %d", ErrNewer, have, want)
	}
	_, err = p.Up(ctx)
	return err
}

// querier is a pool or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// exec changes rows and returns how many.
func (s *SQL) exec(ctx context.Context, on querier, query string, args ...any) (int, error) {
	res, err := on.ExecContext(ctx, s.engine.bind(query), args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// row asks for one row, which Scan reads.
func (s *SQL) row(ctx context.Context, on querier, query string, args ...any) oneRow {
	on, ctx, done, err := s.uninterrupted(ctx, on)
	if err != nil {
		return oneRow{err: err}
	}
	return oneRow{row: on.QueryRowContext(ctx, s.engine.bind(query), args...), done: done}
}

// oneRow is a row that was asked for. Scan is called once.
type oneRow struct {
	row  *sql.Row
	done func()
	err  error // it could not be asked for
}

// Scan reads the row, as [sql.Row.Scan] does.
func (r oneRow) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.done()
	return r.row.Scan(into...)
}

// readTime bounds a question whose asker has gone, as the database bounds every statement.
const readTime = 30 * time.Second

// uninterrupted lets a question that was begun come to its end also where its asker goes meanwhile: to break it off costs the driver of
// PostgreSQL the connection, and a new one costs more than any question; hundreds of viewers who come and go at once would leave no
// time for anything else. The wait for a connection ends with the asker, and the question with the context's deadline. done is called in the end.
func (s *SQL) uninterrupted(ctx context.Context, on querier) (_ querier, _ context.Context, done func(), _ error) {
	db, pool := on.(*sql.DB)
	if !pool || s.engine.alone() {
		return on, ctx, func() {}, nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	calm, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTime)
	forget := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancel()
		}
	})
	return conn, calm, func() {
		forget()
		cancel()
		_ = conn.Close() // back into the pool
	}, nil
}

// rows hands each row to scan.
func (s *SQL) rows(ctx context.Context, on querier, scan func(*sql.Rows) error, query string, args ...any) error {
	on, ctx, done, err := s.uninterrupted(ctx, on)
	if err != nil {
		return err
	}
	defer done()
	rows, err := on.QueryContext(ctx, s.engine.bind(query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// inTx runs f in one transaction.
func (s *SQL) inTx(ctx context.Context, f func(tx *sql.Tx) error) error {
	return inTxOf(ctx, s.write, f)
}

func inTxOf(ctx context.Context, db *sql.DB, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// scrub makes deletion true in the files, now or with the next sweep.
func (s *SQL) scrub(ctx context.Context) error {
	s.unscrubbed.Store(true)
	if err := s.engine.scrub(ctx, s.write); err != nil {
		return err
	}
	s.unscrubbed.Store(false)
	return nil
}

// Ping implements [Store].
func (s *SQL) Ping(ctx context.Context) error {
	// Beginning to write shows a full or read-only disk no worse than a lost database.
	return inTxOf(ctx, s.pulse, func(tx *sql.Tx) error {
		var one int
		return tx.QueryRowContext(ctx, "SELECT 1").Scan(&one)
	})
}

// Close implements [Store].
func (s *SQL) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_, err := s.exec(ctx, s.write, `DELETE FROM processes WHERE id = ?`, s.process) // else its lease runs out
	errs := []error{err}
	if s.read != s.write {
		errs = append(errs, s.read.Close()) // first, so that the last connection is the writer's and carries SQLite's log over
	}
	if s.pulse != s.write {
		errs = append(errs, s.pulse.Close())
	}
	errs = append(errs, s.write.Close(), s.engine.close())
	return errors.Join(errs...)
}

// numbered turns each ? into $1, $2 and so on. No query of this package has one in a text.
func numbered(query string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		fmt.Fprintf(&b, "$%d", n)
		query = after
	}
}
