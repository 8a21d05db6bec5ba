package archive

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
)

func openAt(t *testing.T, path string) *SQL {
	t.Helper()
	s, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t *testing.T, s *SQL) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBackupIsWholeWhileTheArchiveIsWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "reports.db")
	s := openAt(t, path)
	now := time.Now()
	for i := range 20 {
		create(t, s, fmt.Sprintf("before-%d", i), now)
	}
	gone := header("gone", now)
	gone.Target.Username = "user-of-gone"
	if err := errors.Join(s.Create(t.Context(), gone, owner, Room{}), s.Erase(t.Context(), "gone")); err != nil {
		t.Fatal(err)
	}
	writing, stop := make(chan error, 1), make(chan struct{})
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				writing <- nil
				return
			default:
			}
			h := header(fmt.Sprintf("meanwhile-%d", i), now)
			if err := errors.Join(s.Create(t.Context(), h, owner, Room{}), write(t.Context(), s, h, 5)); err != nil {
				writing <- err
				return
			}
		}
	}()
	to := filepath.Join(dir, "backup.db")
	if err := BackupSQLite(t.Context(), path, to); err != nil {
		t.Error(err)
	}
	close(stop)
	if err := <-writing; err != nil {
		t.Fatal(err)
	}
	if err := BackupSQLite(t.Context(), path, to); !errors.Is(err, os.ErrExist) {
		t.Errorf("over another file: %v", err)
	}
	if info, err := os.Stat(to); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if data, err := os.ReadFile(to); err != nil || bytes.Contains(data, []byte("user-of-gone")) {
		t.Errorf("the backup holds what was erased, %v", err)
	}

	// Restoring while a server is at work is refused and changes nothing; then what came after the backup is gone, whatever its log says.
	create(t, s, "after", now)
	if err := RestoreSQLite(t.Context(), to, path); !errors.Is(err, ErrInUse) {
		t.Errorf("while a server runs: %v", err)
	}
	if _, err := s.Run(t.Context(), "after"); err != nil {
		t.Error(err)
	}
	wal, err := os.ReadFile(path + "-wal")
	if err != nil || len(wal) == 0 {
		t.Fatalf("no log, %v", err)
	}
	closed(t, s)
	if err := os.WriteFile(path+"-wal", wal, 0o600); err != nil { // as after a power cut
		t.Fatal(err)
	}
	if err := RestoreSQLite(t.Context(), to, path); err != nil {
		t.Fatal(err)
	}
	back := openAt(t, path)
	defer back.Close()
	for i := range 20 {
		if _, err := back.Run(t.Context(), fmt.Sprintf("before-%d", i)); err != nil {
			t.Error(err)
		}
	}
	if _, err := back.Run(t.Context(), "after"); !errors.Is(err, ErrNotFound) {
		t.Errorf("what came after the backup: %v", err)
	}
	// Each run that was written meanwhile is there whole or to a point, and never with a gap.
	lines, err := back.Runs(t.Context(), RunFilter{Limit: 10_000})
	if err != nil || len(lines) < 20 {
		t.Fatalf("%d runs, %v", len(lines), err)
	}
	for _, l := range lines {
		run, err := back.Run(t.Context(), l.ID)
		if err != nil {
			t.Fatal(err)
		}
		events, err := back.Events(t.Context(), l.ID, 0, 100)
		if err != nil || len(events) != run.LastSeq {
			t.Errorf("%s: %d events of %d, %v", l.ID, len(events), run.LastSeq, err)
		}
		if (run.Report.State == diag.StateRunning) != (len(events) == 0 || events[len(events)-1].Type != diag.EventRunFinished) {
			t.Errorf("%s: %s with %d events", l.ID, run.Report.State, len(events))
		}
	}
}

func TestRestoreTakesOnlyArchives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "reports.db")
	s := openAt(t, path)
	create(t, s, "kept", time.Now())
	whole := filepath.Join(dir, "whole.db")
	if err := BackupSQLite(t.Context(), path, whole); err != nil {
		t.Fatal(err)
	}
	closed(t, s)

	file := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(data)
	for i := len(damaged) / 2; i < len(damaged)/2+9000; i++ {
		damaged[i] = 0xff
	}
	newer := filepath.Join(dir, "newer.db")
	n := openAt(t, newer)
	if _, err := n.write.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	closed(t, n)
	for _, c := range []struct {
		from string
		want error
	}{
		{filepath.Join(dir, "nothing.db"), os.ErrNotExist},
		{file("empty.db", nil), ErrNoArchive},
		{file("text.db", []byte(strings.Repeat("no database\n", 1000))), ErrNoArchive},
		{file("cut.db", data[:len(data)/2]), nil},
		{file("damaged.db", damaged), nil},
		{newer, ErrNewer},
	} {
		err := RestoreSQLite(t.Context(), c.from, path)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.from, err)
		}
	}
	again := openAt(t, path)
	defer again.Close()
	if _, err := again.Run(t.Context(), "kept"); err != nil {
		t.Errorf("a refused restore took what was there: %v", err)
	}
	entries, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e, ".restoring") {
			t.Errorf("left behind: %s", e)
		}
	}
}
