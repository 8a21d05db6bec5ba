package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrInUse: another process has the archive open. Two servers on one file would each take the other's runs under way for
// those of a crash.
var ErrInUse = errors.New("archive: in use by another process")

// lockWait is how long a new process waits for an old one that is going down.
const lockWait = 5 * time.Second

// lock holds a file for as long as the process lives, by an exclusive transaction that never ends: the system gives it
// back however the process dies, on every platform that SQLite runs on.
type lock struct {
	db   *sql.DB
	conn *sql.Conn
}

func takeLock(ctx context.Context, path string, wait time.Duration) (*lock, error) {
	db, err := sql.Open("sqlite", fileURL(path)+fmt.Sprintf("?_pragma=busy_timeout(%d)", wait.Milliseconds()))
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err == nil {
		if _, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err == nil {
			return &lock{db: db, conn: conn}, nil
		}
		_ = conn.Close()
	}
	_ = db.Close()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("%w (%s): %w", ErrInUse, path, err)
}

func (l *lock) release() error {
	return errors.Join(l.conn.Close(), l.db.Close())
}
