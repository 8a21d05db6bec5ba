package diagtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// PostgresServer is a PostgreSQL cluster of the test's own. It asks for a password.
type PostgresServer struct {
	// Dir is the cluster's data folder, with its write-ahead log below.
	Dir string
	// Log is what the server has printed so far.
	Log func() string

	bin, url string
	port     int
}

// postgresPassword is a canary: no log, error or answer may hold it.
const postgresPassword = "CANARY-database-password"

// postgres is the one cluster of this test binary: making it takes about two seconds.
var postgres struct {
	sync.Mutex
	server *PostgresServer
	err    error
}

// Postgres returns a PostgreSQL that is made at the first call and shared by the whole test binary. Tests use databases of
// their own: see [PostgresServer.Database].
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	bin := postgresPrograms(t)
	postgres.Lock()
	defer postgres.Unlock()
	if postgres.server == nil && postgres.err == nil {
		for range 2 { // another process may have taken the port since it was found free
			if postgres.server, postgres.err = startPostgres(t, bin); postgres.err == nil {
				break
			}
		}
	}
	if postgres.err != nil {
		t.Fatalf("postgres: %v", postgres.err)
	}
	return postgres.server
}

// postgresPrograms is the folder of the server's programs, of which Debian puts none on the path.
func postgresPrograms(t testing.TB) string {
	t.Helper()
	if dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(dirs) > 0 {
		slices.Sort(dirs)
		return filepath.Dir(dirs[len(dirs)-1])
	}
	return filepath.Dir(Require(t, "initdb"))
}

func startPostgres(t testing.TB, bin string) (*PostgresServer, error) {
	t.Helper()
	dir := makeWorldDir(t) // removed with the test binary, not at the end of this test: others use it
	drop, err := asPostgres(dir)
	if err != nil {
		return nil, err
	}
	s := &PostgresServer{Dir: filepath.Join(dir, "data"), bin: bin, port: FreePort(t)}
	s.url = fmt.Sprintf("postgres://doctor:%s@127.0.0.1:%d/", postgresPassword, s.port)
	passwords := writeFile(t, dir, "password", postgresPassword+"\n")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", s.Dir, "-U", "doctor", "-A", "scram-sha-256", "--pwfile", passwords,
		"-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir = dir
	drop(initdb)
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", s.Dir, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=200", "-c", "log_statement=all")
	cmd.Dir = dir
	drop(cmd)
	p := startProcess(t, "postgres", dir, nil, cmd)
	reap("quit", strconv.Itoa(cmd.Process.Pid)) // killed it would leave its shared memory
	s.Log = p.log
	for deadline := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		if out, err := s.psql("postgres", "SELECT 1"); err == nil {
			return s, nil
		} else if !p.alive() || time.Now().After(deadline) {
			err = fmt.Errorf("%w: %s\n%s", err, out, p.log())
			p.stop()
			return nil, err
		}
	}
}

// Database makes an empty database for this test and returns its address, with user and password.
func (s *PostgresServer) Database(t testing.TB) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:12])
	if out, err := s.psql("postgres", "CREATE DATABASE "+name); err != nil {
		t.Fatalf("making a database: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := s.psql("postgres", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("dropping the database: %v\n%s", err, out)
		}
	})
	return s.url + name
}

// Query runs SQL in a database, given by its address, and returns what psql prints: rows without headings.
func (s *PostgresServer) Query(t testing.TB, database, sql string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.psql(strings.TrimPrefix(u.Path, "/"), sql)
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return out
}

func (s *PostgresServer) psql(database, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "psql"), "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", sql, s.url+database)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Program is the path of one of the server's programs, such as pg_dump.
func (s *PostgresServer) Program(name string) string { return filepath.Join(s.bin, name) }
