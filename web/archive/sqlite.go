package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite", in Go: one static binary
)

// sqliteEngine is one file, with its -wal and -shm beside it.
type sqliteEngine struct{ lock *lock }

// busyTimeout is how long a statement waits for another process, such as a backup, to let go of the file.
const busyTimeout = 5 * time.Second

// readers is how many queries run side by side.
const readers = 4

// OpenSQLite opens the archive in a file and brings its schema up to date. The file and its folder are made where they
// are missing, for this user's eyes alone. ErrInUse: another process has it.
func OpenSQLite(ctx context.Context, path string) (*SQL, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the archive's folder: %w", err)
	}
	for _, name := range []string{path, path + ".lock"} {
		if err := makePrivate(name); err != nil {
			return nil, fmt.Errorf("opening the archive: %w", err)
		}
	}
	held, err := takeLock(ctx, path+".lock", lockWait)
	if err != nil {
		return nil, err
	}
	write, err := sql.Open("sqlite", dsn(path, "_txlock=immediate"))
	if err != nil {
		return nil, errors.Join(err, held.release())
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn(path, "_pragma=query_only(1)"))
	if err != nil {
		return nil, errors.Join(err, write.Close(), held.release())
	}
	read.SetMaxOpenConns(readers)
	// write has one connection: SQLite has one writer, and waiting here is fair, where waiting for the file's lock is not.
	s := &SQL{write: write, read: read, pulse: write, engine: sqliteEngine{held}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the archive %s: %w", path, err), s.Close())
	}
	return s, nil
}

// makePrivate makes a file before SQLite does, which would let everybody read it; -wal, -shm and -journal take after it.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// fileURL is the path as SQLite takes it where options follow (https://www.sqlite.org/uri.html).
func fileURL(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") { // C:/…
		slashed = "/" + slashed
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: slashed}).String()
}

func dsn(path, extra string) string {
	pragmas := []string{
		"_pragma=busy_timeout(" + fmt.Sprint(busyTimeout.Milliseconds()) + ")", // first: the others may have to wait
		"_pragma=journal_mode(WAL)",
		// NORMAL loses nothing when the process dies; a power cut may take the last moments of runs under way.
		"_pragma=synchronous(NORMAL)",
		"_pragma=foreign_keys(1)",
		"_pragma=secure_delete(1)", // deleted rows are overwritten with zeros
		extra,
	}
	return fileURL(path) + "?" + strings.Join(pragmas, "&")
}

func (e sqliteEngine) dialect() (goose.Dialect, string, []goose.ProviderOption, error) {
	return goose.DialectSQLite3, "sqlite", nil, nil
}

func (e sqliteEngine) bind(query string) string { return query }

func (e sqliteEngine) clock() string { return `CAST(unixepoch('subsec') * 1000 AS INTEGER)` }

// takeTurn does nothing: there is one writer.
func (e sqliteEngine) takeTurn(context.Context, *sql.Tx) error { return nil }

// signal does nothing: there is one process, which knows what it does.
func (e sqliteEngine) signal(context.Context, *sql.Tx, ...string) error { return nil }

func (e sqliteEngine) listen(ctx context.Context, _ func(string)) { <-ctx.Done() }

func (e sqliteEngine) alone() bool { return true }

func (e sqliteEngine) close() error { return e.lock.release() }

// scrub makes deletion true in the files: secure_delete has zeroed the rows in new pages, and the old pages are in the
// file and in the write-ahead log until those are carried over and the log is cut to nothing.
func (e sqliteEngine) scrub(ctx context.Context, write *sql.DB) error {
	for wait := 5 * time.Millisecond; ; wait *= 2 {
		var busy, frames, done int
		if err := write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &done); err != nil {
			return fmt.Errorf("erasing from the log: %w", err)
		}
		if busy == 0 {
			return nil
		}
		// Somebody still reads the old state; that takes milliseconds.
		if wait > time.Second {
			return errors.New("erasing from the log: a reader does not let go")
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
