package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// Two transactions that lock two cases in opposite orders both get through:
// PostgreSQL ends one of them and it runs again.
func TestDeadlockRunsAgain(t *testing.T) {
	db := storetest.New(t)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error { return addLegs(ctx, tx, leg(1), leg(2)) })
	var g errgroup.Group
	var runs atomic.Int64
	held := []chan struct{}{make(chan struct{}), make(chan struct{})}
	for i := range 2 {
		first := true
		g.Go(func() error {
			return db.InExchange(t.Context(), nil, func(tx *store.Tx) error {
				runs.Add(1)
				if _, err := tx.LockLegs(t.Context(), []cases.CaseID{caseID(1 + i)}); err != nil {
					return fmt.Errorf("first lock: %w", err)
				}
				if first {
					first = false
					close(held[i])
					<-held[1-i]
				}
				if _, err := tx.LockLegs(t.Context(), []cases.CaseID{caseID(2 - i)}); err != nil {
					return fmt.Errorf("second lock: %w", err)
				}
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if n := runs.Load(); n < 3 {
		t.Errorf("%d runs: they did not meet", n)
	}
}

func TestCancelled(t *testing.T) {
	db := storetest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.InDesk(ctx, []area.Key{east}, func(tx *store.Tx) error {
		cancel()
		_, err := tx.Exec(ctx, "SELECT pg_sleep(60)")
		return err
	})
	if f, ok := fault.As(err); !ok || f.Kind != fault.KindUnavailable || f.Reason != "CANCELLED" {
		t.Errorf("got %v", err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("the pool is hurt: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	db, err := store.Open(t.Context(), store.Config{URL: "postgres://someone:synthetic-secret@/db?host=" + filepath.Join(t.TempDir(), "none")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for what, err := range map[string]error{
		"ping":        db.Ping(t.Context()),
		"transaction": db.InDesk(t.Context(), nil, func(*store.Tx) error { return nil }),
		"note":        db.PutNote(t.Context(), "k", "v"),
	} {
		if !fault.Is(err, fault.KindUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
		for _, text := range texts(err) {
			if strings.Contains(text, "synthetic-secret") {
				t.Errorf("%s: the error holds the password", what)
			}
		}
	}
	if _, err := store.Open(t.Context(), store.Config{URL: "postgres://u:synthetic-secret@h:port/db"}); !fault.Is(err, fault.KindInvalid) || strings.Contains(fmt.Sprintf("%+v", err), "secret") {
		t.Error("an unreadable URL is no Invalid, or is quoted")
	}
	if s := store.RedactURL("postgres://u:synthetic-secret@h/db"); strings.Contains(s, "secret") || !strings.Contains(s, "h/db") {
		t.Errorf("redacted: %s", s)
	}
}
