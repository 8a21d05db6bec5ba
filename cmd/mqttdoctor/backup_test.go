package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, elsewhere := filepath.Join(dir, "data"), filepath.Join(dir, "elsewhere")
	env := map[string]string{"MQTTDOCTOR_DATA": data}
	p := serve(t, data)
	id, _, shown := p.startHanging()
	file := filepath.Join(dir, "backup.db")
	for _, args := range [][]string{{"backup", file}, {"backup", "--replace", file}} {
		if code, out, errs := runHere(t, "", env, args...); code != exitOK {
			t.Fatalf("%v: %d\n%s%s", args, code, out, errs)
		}
	}
	if code, _, errs := runHere(t, "", env, "backup", file); code != exitFinding || !strings.Contains(errs, "--replace") {
		t.Errorf("over a backup: %d, %s", code, errs)
	}
	code, out, errs := runHere(t, "", nil, "backup", "-", "--data", data)
	if code != exitOK || !strings.HasPrefix(out, "SQLite format 3\x00") {
		t.Errorf("to standard output: %d, %.20q, %s", code, out, errs)
	}
	if left, _ := filepath.Glob(filepath.Join(data, "backup-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if code, _, errs := runHere(t, "", env, "restore", "--replace", file); code != exitFinding || !strings.Contains(errs, "End it first") {
		t.Errorf("restored under a server: %d, %s", code, errs)
	}
	if code, _, errs := runHere(t, "", env, "restore", file); code != exitUsage || !strings.Contains(errs, "--replace") {
		t.Errorf("restored without a word: %d, %s", code, errs)
	}

	// On another machine: the run that was under way is there, with the steps that were shown.
	if code, _, errs := runHere(t, "", nil, "restore", file, "--data", elsewhere); code != exitOK {
		t.Fatalf("%d, %s", code, errs)
	}
	other := serve(t, elsewhere)
	other.wantInterrupted(id, shown)
	if status := other.request("GET", "/readyz", "", nil); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}

func TestBackupSaysWhereItCannot(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "backup.db")
	for _, c := range []struct {
		args []string
		env  map[string]string
		code int
		want string
	}{
		{[]string{"backup"}, nil, exitUsage, "FILE"},
		{[]string{"backup", file, file}, nil, exitUsage, "FILE"},
		{[]string{"restore", ""}, nil, exitUsage, "FILE"},
		{[]string{"backup", file}, map[string]string{"MQTTDOCTOR_DATABASE_URL": "postgres://u:CANARY@db/x"}, exitUsage, "pg_dump"},
		{[]string{"backup", file, "--data", dir}, nil, exitFinding, "mqttdoctor.db"},
		{[]string{"restore", file, "--data", dir}, nil, exitFinding, "backup.db"},
	} {
		code, out, errs := runHere(t, "", c.env, c.args...)
		if code != c.code || !strings.Contains(errs, c.want) || strings.Contains(out+errs, "CANARY") {
			t.Errorf("%v: %d, %s", c.args, code, errs)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a backup of nothing was left behind")
	}
	if code, out, _ := runHere(t, "", nil, "restore", "--help"); code != exitOK || !strings.Contains(out, "--replace") {
		t.Errorf("%d, %s", code, out)
	}
}
