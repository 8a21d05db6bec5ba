package archive

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"mqttdoctor/diag"
)

const (
	// BeatEvery is how often a process says that it lives.
	BeatEvery = 2 * time.Second
	// Lease is how long it is taken for alive after that: several beats, so that a slow answer of the database kills nobody.
	Lease = 10 * time.Second
	// orderLife is how long an order waits for somebody to begin with it.
	orderLife = 15 * time.Second
)

// Crew is what the processes at one database know of each other.
type Crew interface {
	// Process is this process's id.
	Process() string
	// Alone tells that no other process can be at this database.
	Alone() bool
	// Beat says that this process lives, and returns the runs under way that it carries.
	Beat(ctx context.Context) ([]Duty, error)
	// Orphans lists the runs under way whose process is dead.
	Orphans(ctx context.Context) ([]string, error)
	// Want asks whoever carries a run under way to end it.
	Want(ctx context.Context, id string) error

	// Take takes a place of this process's under a limit that is over all processes; id names it. Errors: *Full.
	Take(ctx context.Context, kind, id string, room Room) error
	// Leave gives places back.
	Leave(ctx context.Context, ids ...string) error

	// Ask puts an order before another process.
	Ask(ctx context.Context, o Order) error
	// Orders are those for this process that nobody has begun with.
	Orders(ctx context.Context) ([]Order, error)
	// Claim begins with an order: it is true once, and never after Withdraw.
	Claim(ctx context.Context, id string) (bool, error)
	// Answer ends an order that was claimed.
	Answer(ctx context.Context, id string, answer []byte) error
	// Answered returns the answer; nil: none yet.
	Answered(ctx context.Context, id string) ([]byte, error)
	// Withdraw takes an order back: true where nobody had begun with it, so that nobody will.
	Withdraw(ctx context.Context, id string) (bool, error)

	// Listen calls heard with the key of whatever has changed, and with "" where something may have been missed, until the
	// context ends. See [Key].
	Listen(ctx context.Context, heard func(key string))
}

// Duty is a run under way as the database has it.
type Duty struct {
	ID     string
	Wanted bool // to be ended
}

// Order is something that only the process asked can do, such as to use secrets that it holds. Its data holds none.
type Order struct {
	ID      string
	Process string // who is asked
	Data    []byte
}

// Key is by what a run or process is named in a signal: not the id, which is the key to a report.
func Key(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// Process implements [Crew].
func (s *SQL) Process() string { return s.process }

// Alone implements [Crew].
func (s *SQL) Alone() bool { return s.engine.alone() }

// Listen implements [Crew].
func (s *SQL) Listen(ctx context.Context, heard func(key string)) { s.engine.listen(ctx, heard) }

// sinceLease is an expression: whoever has not been seen since is dead.
func (s *SQL) sinceLease() string {
	return fmt.Sprintf("%s - %d", s.engine.clock(), s.lease.Milliseconds())
}

// live says that this process lives, also where another has struck it off the list.
func (s *SQL) live(ctx context.Context, on querier) error {
	_, err := s.exec(ctx, on, `INSERT INTO processes (id, seen_at) VALUES (?, `+s.engine.clock()+`)
		ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at`, s.process)
	return err
}

// Beat implements [Crew].
func (s *SQL) Beat(ctx context.Context) ([]Duty, error) {
	if err := s.live(ctx, s.pulse); err != nil {
		return nil, err
	}
	var duties []Duty
	err := s.rows(ctx, s.pulse, func(rows *sql.Rows) error {
		var d Duty
		var wanted string
		err := rows.Scan(&d.ID, &wanted)
		d.Wanted = wanted != ""
		duties = append(duties, d)
		return err
	}, `SELECT id, wanted FROM runs WHERE state = 'running' AND process_id = ?`, s.process)
	return duties, err
}

// Orphans implements [Crew].
func (s *SQL) Orphans(ctx context.Context) ([]string, error) {
	// What the dead leave beside their runs. Their rows stay for a while: a run that begins is counted by them.
	if _, err := s.exec(ctx, s.pulse, `DELETE FROM processes WHERE seen_at < `+s.engine.clock()+` - ?`, 10*s.lease.Milliseconds()); err != nil {
		return nil, err
	}
	if _, err := s.exec(ctx, s.pulse, `DELETE FROM orders WHERE made_at < `+s.engine.clock()+` - ?`, 10*orderLife.Milliseconds()); err != nil {
		return nil, err
	}
	var ids []string
	err := s.rows(ctx, s.pulse, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT r.id FROM runs r WHERE r.state = 'running' AND NOT EXISTS (SELECT 1 FROM processes p
		WHERE p.id = r.process_id AND p.seen_at > `+s.sinceLease()+`) ORDER BY r.created_at`)
	return ids, err
}

// Want implements [Crew].
func (s *SQL) Want(ctx context.Context, id string) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		var process string
		err := s.row(ctx, tx, `UPDATE runs SET wanted = 'cancel' WHERE id = ? AND state = ? RETURNING process_id`, id,
			string(diag.StateRunning)).Scan(&process)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // it has ended, or is gone
		}
		if err != nil {
			return err
		}
		return s.engine.signal(ctx, tx, Key(process))
	})
}

// Take implements [Crew].
func (s *SQL) Take(ctx context.Context, kind, id string, room Room) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.engine.takeTurn(ctx, tx); err != nil {
			return err
		}
		if err := s.live(ctx, tx); err != nil {
			return err
		}
		if err := s.count(ctx, tx, room, `SELECT count(*), COALESCE(sum(CASE WHEN l.client = ? THEN 1 ELSE 0 END), 0) FROM places l
			JOIN processes p ON p.id = l.process_id WHERE l.kind = ? AND p.seen_at > `+s.sinceLease(), kind); err != nil {
			return err
		}
		_, err := s.exec(ctx, tx, `INSERT INTO places (id, process_id, kind, client) VALUES (?, ?, ?, ?)`, id, s.process, kind, room.Client)
		return err
	})
}

// Leave implements [Crew].
func (s *SQL) Leave(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if _, err := s.exec(ctx, s.write, `DELETE FROM places WHERE id = ?`, id); err != nil {
			return err
		}
	}
	return nil
}

// Ask implements [Crew].
func (s *SQL) Ask(ctx context.Context, o Order) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := s.exec(ctx, tx, `INSERT INTO orders (id, process_id, made_at, data) VALUES (?, ?, `+s.engine.clock()+`, ?)`,
			o.ID, o.Process, string(o.Data)); err != nil {
			return err
		}
		return s.engine.signal(ctx, tx, Key(o.Process))
	})
}

// Orders implements [Crew].
func (s *SQL) Orders(ctx context.Context) ([]Order, error) {
	var orders []Order
	err := s.rows(ctx, s.pulse, func(rows *sql.Rows) error {
		o := Order{Process: s.process}
		err := rows.Scan(&o.ID, &o.Data)
		orders = append(orders, o)
		return err
	}, `SELECT id, data FROM orders WHERE process_id = ? AND claimed = 0 AND made_at > `+s.engine.clock()+` - ? ORDER BY made_at`,
		s.process, orderLife.Milliseconds())
	return orders, err
}

// Claim implements [Crew].
func (s *SQL) Claim(ctx context.Context, id string) (bool, error) {
	n, err := s.exec(ctx, s.pulse, `UPDATE orders SET claimed = 1 WHERE id = ? AND claimed = 0`, id)
	return n == 1, err
}

// Answer implements [Crew].
func (s *SQL) Answer(ctx context.Context, id string, answer []byte) error {
	return inTxOf(ctx, s.pulse, func(tx *sql.Tx) error {
		if _, err := s.exec(ctx, tx, `UPDATE orders SET answer = ? WHERE id = ?`, string(answer), id); err != nil {
			return err
		}
		return s.engine.signal(ctx, tx, Key(id))
	})
}

// Answered implements [Crew].
func (s *SQL) Answered(ctx context.Context, id string) ([]byte, error) {
	var answer sql.NullString
	err := s.row(ctx, s.read, `SELECT answer FROM orders WHERE id = ?`, id).Scan(&answer)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil || !answer.Valid {
		return nil, err
	}
	return []byte(answer.String), nil
}

// Withdraw implements [Crew].
func (s *SQL) Withdraw(ctx context.Context, id string) (bool, error) {
	n, err := s.exec(ctx, s.write, `DELETE FROM orders WHERE id = ? AND claimed = 0`, id)
	return n == 1, err
}
