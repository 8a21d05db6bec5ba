package archive

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite", in Go: one static binary

	"mqttdoctor/diag"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// SQLite keeps runs in one file, with its -wal and -shm beside it.
type SQLite struct {
	// write has one connection: SQLite has one writer, and waiting here is fair, where waiting for the file's lock is not.
	write *sql.DB
	read  *sql.DB
	lock  *lock
	now   clock
	// unscrubbed: rows were deleted whose old pages may still be in the files; the next sweep sees to it.
	unscrubbed atomic.Bool
}

var _ Store = (*SQLite)(nil)

// busyTimeout is how long a statement waits for another process, such as a backup, to let go of the file.
const busyTimeout = 5 * time.Second

// readers is how many queries run side by side.
const readers = 4

// OpenSQLite opens the archive in a file and brings its schema up to date. The file and its folder are made where they
// are missing, for this user's eyes alone. ErrInUse: another process has it.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
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
	s := &SQLite{write: write, read: read, lock: held, now: time.Now}
	if err := s.migrate(ctx); err != nil {
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

func (s *SQLite) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, files)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// Create implements [Store].
func (s *SQLite) Create(ctx context.Context, header diag.Report, owner Owner) error {
	data, err := json.Marshal(header)
	if err != nil {
		return err
	}
	_, err = s.write.ExecContext(ctx, `INSERT INTO runs (id, state, created_at, expires_at, token_hash, owner_hash, report)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, header.ID, header.State, header.CreatedAt.UnixMilli(), header.ExpiresAt.UnixMilli(),
		owner.TokenHash, nullable(owner.CookieHash), string(data))
	return err
}

func nullable(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// Append implements [Store].
func (s *SQLite) Append(ctx context.Context, id string, events []diag.Event) error {
	if len(events) == 0 {
		return nil
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	// Numbers go on from the last one, and an ended run stays as it is: a late writer must not change what was shown.
	res, err := tx.ExecContext(ctx, `UPDATE runs SET last_seq = ? WHERE id = ? AND last_seq = ? AND state = ?`,
		events[len(events)-1].Seq, id, events[0].Seq-1, diag.StateRunning)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return s.whyNotAppended(ctx, tx, id, events[0].Seq)
	}
	for _, e := range events {
		if err := insertEvent(ctx, tx, id, e); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (s *SQLite) whyNotAppended(ctx context.Context, tx *sql.Tx, id string, seq int) error {
	var state string
	var last int
	err := tx.QueryRowContext(ctx, `SELECT state, last_seq FROM runs WHERE id = ?`, id).Scan(&state, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("archive: event %d does not follow event %d of a run that is %s", seq, last, state)
}

func insertEvent(ctx context.Context, tx *sql.Tx, id string, e diag.Event) error {
	if e.Type == diag.EventRunFinished && e.Report != nil {
		if err := finish(ctx, tx, *e.Report); err != nil {
			return err
		}
		e.Report = nil
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO events (run_id, seq, data) VALUES (?, ?, ?)`, id, e.Seq, string(data))
	return err
}

func finish(ctx context.Context, tx *sql.Tx, r diag.Report) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var cause diag.Code
	if r.RootCause != nil {
		cause = r.RootCause.Code
	}
	_, err = tx.ExecContext(ctx, `UPDATE runs SET state = ?, verdict = ?, root_cause = ?, finished_at = ?, report = ? WHERE id = ?`,
		r.State, r.Verdict, cause, r.FinishedAt.UnixMilli(), string(data), r.ID)
	return err
}

// Run implements [Store].
func (s *SQLite) Run(ctx context.Context, id string) (Run, error) {
	var run Run
	var data string
	err := s.read.QueryRowContext(ctx, `SELECT report, token_hash, owner_hash, last_seq FROM runs WHERE id = ? AND expires_at > ?`,
		id, s.now().UnixMilli()).Scan(&data, &run.Owner.TokenHash, &run.Owner.CookieHash, &run.LastSeq)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, ErrNotFound
	}
	if err != nil {
		return Run{}, err
	}
	return run, json.Unmarshal([]byte(data), &run.Report)
}

// Events implements [Store].
func (s *SQLite) Events(ctx context.Context, id string, after, limit int) ([]diag.Event, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT e.data, r.report FROM events e JOIN runs r ON r.id = e.run_id
		WHERE e.run_id = ? AND e.seq > ? AND r.expires_at > ? ORDER BY e.seq LIMIT ?`, id, after, s.now().UnixMilli(), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var events []diag.Event
	for rows.Next() {
		var data, report sql.RawBytes
		if err := rows.Scan(&data, &report); err != nil {
			return nil, err
		}
		var e diag.Event
		if err := json.Unmarshal(data, &e); err != nil {
			return nil, err
		}
		if e.Type == diag.EventRunFinished {
			e.Report = &diag.Report{}
			if err := json.Unmarshal(report, e.Report); err != nil {
				return nil, err
			}
		}
		events = append(events, e)
	}
	return events, rows.Err()
}

// Erase implements [Store].
func (s *SQLite) Erase(ctx context.Context, id string) error {
	res, err := s.write.ExecContext(ctx, `DELETE FROM runs WHERE id = ?`, id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return ErrNotFound
	}
	return s.scrub(ctx)
}

// Expire implements [Store].
func (s *SQLite) Expire(ctx context.Context) (int, error) {
	// A run that is under way is left alone: its keeper still writes.
	res, err := s.write.ExecContext(ctx, `DELETE FROM runs WHERE expires_at <= ? AND state <> ?`, s.now().UnixMilli(), diag.StateRunning)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	if err != nil || (n == 0 && !s.unscrubbed.Load()) {
		return 0, err
	}
	return int(n), s.scrub(ctx)
}

// scrub makes deletion true in the files: secure_delete has zeroed the rows in new pages, and the old pages are in the
// file and in the write-ahead log until those are carried over and the log is cut to nothing.
func (s *SQLite) scrub(ctx context.Context) error {
	s.unscrubbed.Store(true)
	for wait := 5 * time.Millisecond; ; wait *= 2 {
		var busy, frames, done int
		if err := s.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &done); err != nil {
			return fmt.Errorf("erasing from the log: %w", err)
		}
		if busy == 0 {
			s.unscrubbed.Store(false)
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

// Unfinished implements [Store].
func (s *SQLite) Unfinished(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id FROM runs WHERE state = ? ORDER BY created_at`, diag.StateRunning)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Ping implements [Store].
func (s *SQLite) Ping(ctx context.Context) error {
	// Taking the write lock shows a full or read-only disk no worse than a lost file.
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	return tx.Rollback()
}

// Close implements [Store].
func (s *SQLite) Close() error {
	err := s.read.Close() // first, so that the last connection is the writer's and carries the log over
	return errors.Join(err, s.write.Close(), s.lock.release())
}
