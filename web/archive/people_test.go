package archive

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
)

func TestSessionsEnd(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		one, two := []byte("hash one"), []byte("hash two")
		session := Session{Person: "sub", Name: "Ada", Admin: true, Stamp: "of the password", ExpiresAt: now.Add(time.Hour)}
		if err := errors.Join(s.SaveSession(ctx, one, session), s.SaveSession(ctx, two, session)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Session(ctx, one); err != nil || got.Person != "sub" || got.Name != "Ada" || !got.Admin || got.Stamp != session.Stamp || !got.ExpiresAt.Equal(session.ExpiresAt) {
			t.Errorf("%+v, %v", got, err)
		}
		if err := s.EndSession(ctx, one); err != nil {
			t.Error(err)
		}
		*now = now.Add(time.Hour)
		for _, hash := range [][]byte{one, two, []byte("other")} {
			if _, err := s.Session(ctx, hash); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", hash, err)
			}
		}
		if _, err := s.Expire(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestAuditIsListedFromTheNewest(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		for i := range 5 {
			l := AuditLine{Person: []string{"ada", "Bob_%"}[i%2], Client: "192.0.2.1", Act: "run", Run: fmt.Sprint(i), Target: "mqtt://broker.test:1883"}
			if err := s.Note(ctx, l); err != nil {
				t.Fatal(err)
			}
			*now = now.Add(time.Minute)
		}
		lines, err := s.Audit(ctx, AuditFilter{Limit: 2})
		if err != nil || len(lines) != 2 || lines[0].Run != "4" || lines[1].Run != "3" {
			t.Fatalf("%+v, %v", lines, err)
		}
		if lines, err := s.Audit(ctx, AuditFilter{Limit: 9, Before: lines[1].ID}); err != nil || len(lines) != 3 || lines[0].Run != "2" {
			t.Errorf("%+v, %v", lines, err)
		}
		if lines, err := s.Audit(ctx, AuditFilter{Limit: 9, Person: "A_%", Target: "BROKER"}); err != nil || len(lines) != 0 {
			t.Errorf("wild cards of SQL count as text: %+v, %v", lines, err)
		}
		if lines, err := s.Audit(ctx, AuditFilter{Limit: 9, Person: "b_%", Target: "BROKER"}); err != nil || len(lines) != 2 {
			t.Errorf("%+v, %v", lines, err)
		}
		if n, err := s.ForgetAudit(ctx, now.Add(-2*time.Minute-time.Second)); err != nil || n != 3 {
			t.Errorf("%d forgotten, %v", n, err)
		}
	})
}

func TestSettings(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, _ *time.Time) {
		ctx := t.Context()
		if err := errors.Join(s.Set(ctx, map[string]string{"a": "1", "b": "2"}), s.Set(ctx, map[string]string{"a": "3", "b": "", "c": ""})); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Settings(ctx); err != nil || len(got) != 1 || got["a"] != "3" {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestTheOldestGoFirstWhereThereIsTooMuch(t *testing.T) {
	onAll(t, func(t *testing.T, s Store, now *time.Time) {
		ctx := t.Context()
		const runs = 40
		for i := range runs {
			h := header(fmt.Sprint(i), *now)
			h.Target.Username = strings.Repeat("u", 1000)
			if err := s.Create(ctx, h, Owner{TokenHash: []byte("x"), Person: "ada"}, Room{}); err != nil {
				t.Fatal(err)
			}
			if i > 0 { // the oldest is under way
				if err := s.Append(ctx, h.ID, []diag.Event{finished(1, h, *now)}); err != nil {
					t.Fatal(err)
				}
			}
			*now = now.Add(time.Second)
		}
		have, err := s.Bytes(ctx)
		if err != nil || have < 2*1000*runs || have > 6*1000*runs {
			t.Fatalf("%d bytes, %v", have, err)
		}
		if n, err := s.Shrink(ctx, have); err != nil || n != 0 {
			t.Errorf("%d erased where there is room, %v", n, err)
		}
		if n, err := s.Shrink(ctx, have/2); err != nil || n != 20 {
			t.Errorf("%d erased, %v", n, err)
		}
		lines, err := s.Runs(ctx, RunFilter{Limit: 100})
		if err != nil || len(lines) != runs-20 || lines[0].ID != "39" || lines[len(lines)-1].ID != "0" {
			t.Fatalf("%d left, %v", len(lines), err)
		}
		l := lines[0]
		if l.Person != "ada" || l.Target != "mqtt://broker.test:1883" || l.RootCause != "tcp.refused" || l.Verdict != diag.OverallBroken || l.Bytes < 1000 {
			t.Errorf("%+v", l)
		}
		if lines, err := s.Runs(ctx, RunFilter{Limit: 3, Target: "BROKER.t", Person: "ada", Before: Cursor{At: l.CreatedAt}}); err != nil || len(lines) != 3 || lines[0].ID != "38" {
			t.Errorf("%+v, %v", lines, err)
		}
		if lines, err := s.Runs(ctx, RunFilter{Limit: 3, Person: "bob"}); err != nil || len(lines) != 0 {
			t.Errorf("%+v, %v", lines, err)
		}
		if n, err := s.Shrink(ctx, 0); err != nil || n != runs-21 {
			t.Errorf("%d erased, %v", n, err)
		}
	})
}

// The file stays near what is kept in it: what is erased makes room.
func TestTheFileDoesNotGrowWithWhatWasErased(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSQLite(t.Context(), filepath.Join(dir, "reports.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const limit = 400_000
	for i := range 60 {
		h := header(fmt.Sprint(i), time.Now())
		h.Target.Username = strings.Repeat("u", 20_000)
		if err := errors.Join(s.Create(t.Context(), h, owner, Room{}), s.Append(t.Context(), h.ID, []diag.Event{finished(1, h, time.Now())})); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Shrink(t.Context(), limit); err != nil {
			t.Fatal(err)
		}
	}
	if size := len(files(t, dir)); size > 2*limit {
		t.Errorf("%d bytes on disk, of %d allowed", size, limit)
	}
	if bytes.Count(files(t, dir), []byte("tcp.refused")) == 0 {
		t.Error("nothing is left")
	}
}
