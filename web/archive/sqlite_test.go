package archive

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"mqttdoctor/diag"
)

// files reads everything that the archive has on disk.
func files(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

func TestErasedRunsAreErasedFromTheFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSQLite(t.Context(), filepath.Join(dir, "reports.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	for _, id := range []string{"keep", "gone", "expired"} {
		h := header(id, now)
		h.Target.Username = "user-of-" + id + strings.Repeat("-", 20_000) // over several pages
		if id == "expired" {
			h.ExpiresAt = now.Add(-time.Second)
		}
		if err := s.Create(t.Context(), h, owner, Room{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Append(t.Context(), id, []diag.Event{{Seq: 1, Type: diag.EventRunStarted, Report: &h}, finished(2, h, now)}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Contains(files(t, dir), []byte("user-of-gone")) {
		t.Fatal("the test looks at the wrong place")
	}
	if err := s.Erase(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Expire(t.Context()); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	after := files(t, dir)
	for _, id := range []string{"gone", "expired"} {
		if bytes.Contains(after, []byte("user-of-"+id)) {
			t.Errorf("%s is still in the files", id)
		}
	}
	if !bytes.Contains(after, []byte("user-of-keep")) {
		t.Error("the other run is gone too")
	}
}

func TestNoSecretReachesTheFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSQLite(t.Context(), filepath.Join(dir, "reports.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := create(t, s, "x", time.Now())
	h.Target.WS.Headers = map[string]diag.Secret{"Cookie": diag.NewSecret("CANARY-cookie")}
	if err := s.Append(t.Context(), "x", []diag.Event{{Seq: 1, Type: diag.EventRunStarted, Report: &h}, finished(2, h, time.Now())}); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(files(t, dir), []byte("CANARY")) {
		t.Error("a secret is in the files")
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has access lists instead")
	}
	dir := filepath.Join(t.TempDir(), "made")
	s, err := OpenSQLite(t.Context(), filepath.Join(dir, "reports.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	create(t, s, "x", time.Now())
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestArchiveOutlivesItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reports.db")
	for range 2 {
		s, err := OpenSQLite(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(t.Context(), "x"); err != nil {
			create(t, s, "x", time.Now())
		} else if ids, err := s.Orphans(t.Context()); err != nil || len(ids) != 1 {
			t.Errorf("%v, %v", ids, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reports.db")
	s, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(t.Context(), path+".lock", 0); !errors.Is(err, ErrInUse) {
		t.Errorf("a second one got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := takeLock(t.Context(), path+".lock", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.release(); err != nil {
		t.Error(err)
	}
}
