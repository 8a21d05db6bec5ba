package archive

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mqttdoctor/diag/diagtest"
)

// What the documentation says of pg_dump and pg_restore, done.
func TestPostgresIsBackedUpByItsOwnPrograms(t *testing.T) {
	t.Parallel()
	db := diagtest.Postgres(t)
	address := db.Database(t)
	s := openPostgres(t, address)
	now := time.Now()
	h := create(t, s, "kept", now)
	if err := write(t.Context(), s, h, 3); err != nil {
		t.Fatal(err)
	}
	create(t, s, "under-way", now)
	file := filepath.Join(t.TempDir(), "mqttdoctor.dump")
	run := func(program string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), db.Program(program), args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
	}
	run("pg_dump", "--format=custom", "--file="+file, address) // the server is at work
	create(t, s, "after", now)
	if err := s.Erase(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	run("pg_restore", "--clean", "--if-exists", "--no-owner", "--dbname="+address, file)

	back := openPostgres(t, address)
	defer back.Close()
	if run, err := back.Run(t.Context(), "kept"); err != nil || run.LastSeq != 4 {
		t.Errorf("%+v, %v", run, err)
	}
	if events, err := back.Events(t.Context(), "kept", 0, 9); err != nil || len(events) != 4 {
		t.Errorf("%d events, %v", len(events), err)
	}
	if _, err := back.Run(t.Context(), "after"); err == nil {
		t.Error("what came after the dump is there")
	}
	// Its process is the one of before, which lives no more: its lease runs out, and others end its runs.
	back.lease = 0
	if ids, err := back.Orphans(t.Context()); err != nil || len(ids) != 1 || ids[0] != "under-way" {
		t.Errorf("orphans %v, %v", ids, err)
	}
}
