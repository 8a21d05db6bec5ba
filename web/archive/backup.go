package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ErrNoArchive: the file is no archive of this program.
var ErrNoArchive = errors.New("archive: this is no database of mqttdoctor")

// restoreLockWait is shorter than a server's: whoever restores sits before the screen and is told to end the server.
const restoreLockWait = time.Second

// BackupSQLite copies the archive in a file to another one, which must not exist. A server may be at work on it: the copy is how
// things were at one moment, and holds nothing that was erased. It is for this user's eyes alone. The folder gets no file else.
func BackupSQLite(ctx context.Context, path, to string) error {
	return copyWhole(ctx, path, to)
}

// RestoreSQLite puts a copy in the place of the archive. What is there is lost. Errors: ErrInUse where a server is at work on it,
// ErrNoArchive, ErrNewer; then nothing has changed.
func RestoreSQLite(ctx context.Context, from, path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the archive's folder: %w", err)
	}
	if err := makePrivate(path + ".lock"); err != nil {
		return err
	}
	held, err := takeLock(ctx, path+".lock", restoreLockWait)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.release()) }()
	part := path + ".restoring"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) { // of one that was broken off
		return err
	}
	if err := copyWhole(ctx, from, part); err != nil {
		return err
	}
	// The log of the old file must be gone before the new one has its name: SQLite would take it for the new file's.
	for _, name := range []string{path + "-wal", path + "-shm"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Join(err, os.Remove(part))
		}
	}
	return os.Rename(part, path)
}

// copyWhole copies an archive in one piece, after a look at what it is and whether it is whole.
func copyWhole(ctx context.Context, from, to string) (err error) {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // SQLite writes into an empty file
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(to)
		}
	}()
	if err := f.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", fileURL(from)+fmt.Sprintf("?mode=rw&_pragma=busy_timeout(%d)", busyTimeout.Milliseconds()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if err := recognize(ctx, db); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return flush(to)
}

// recognize tells whether a database is an archive that this program can work with, and whole.
func recognize(ctx context.Context, db *sql.DB) error {
	s := &SQL{write: db, read: db, engine: sqliteEngine{}}
	var tables int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name IN ('runs', 'events', 'goose_db_version')`).Scan(&tables); err != nil {
		return fmt.Errorf("%w: %w", ErrNoArchive, err)
	}
	if tables != 3 {
		return ErrNoArchive
	}
	p, err := s.migrations()
	if err != nil {
		return err
	}
	if have, want, err := p.GetVersions(ctx); err != nil {
		return err
	} else if have > want {
		return fmt.Errorf("%w: its schema has version %d, this program knows %d", ErrNewer, have, want)
	}
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("the database is damaged: %s", verdict)
	}
	return nil
}

// flush brings a file to the disk: a backup is what is left after a power cut.
func flush(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
