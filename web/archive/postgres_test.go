package archive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

func TestNoErrorHoldsTheDatabasePassword(t *testing.T) {
	right := diagtest.Postgres(t).Database(t)
	closed := fmt.Sprintf("127.0.0.1:%d", diagtest.ClosedPort(t))
	for name, address := range map[string]string{
		"refused password": strings.Replace(right, ":CANARY", ":wrong-CANARY", 1),
		"no such database": right + "_no",
		"nobody listens":   "postgres://doctor:CANARY@" + closed + "/x",
		"no scheme":        "doctor:CANARY@host/name",
		"bad port":         "postgres://doctor:CANARY@host:port/name",
		"bad escape":       "postgres://doctor:CANARY%zz@host/name",
		"bad option":       "postgres://doctor:CANARY@host/name?sslmode=perhaps",
		"key words":        "host=h password=CANARY",
		"other database":   "mysql://doctor:CANARY@host/name",
	} {
		s, err := OpenPostgres(t.Context(), diag.NewSecret(address))
		if err == nil {
			s.Close()
			t.Fatalf("%s: opened", name)
		}
		if strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnArchiveOfALaterVersionIsLeftAlone(t *testing.T) {
	onAll(t, func(t *testing.T, store Store, _ *time.Time) {
		s := store.(*SQL)
		if _, err := s.exec(t.Context(), s.write, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, ?)`, 9999, true); err != nil {
			t.Fatal(err)
		}
		if err := s.migrate(t.Context()); !errors.Is(err, ErrNewer) {
			t.Errorf("got %v", err)
		}
	})
}

func TestProcessesThatStartTogetherTakeTurns(t *testing.T) {
	address := diagtest.Postgres(t).Database(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := OpenPostgres(ctx, diag.NewSecret(address))
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.Ping(ctx), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
