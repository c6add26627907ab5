package store_test

import (
	"testing"

	"golang.org/x/sync/errgroup"

	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestMigrateTwice(t *testing.T) {
	url := storetest.EmptyURL(t)
	for i, want := range []bool{true, false} {
		n, err := store.Migrate(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 != want {
			t.Errorf("time %d: %d migrations ran", i+1, n)
		}
	}
	db := storetest.Open(t, url)
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// Replicas of a node start together; databases of one server share its roles.
func TestMigrateAtOnce(t *testing.T) {
	one, other := storetest.EmptyURL(t), storetest.EmptyURL(t)
	first, err := store.Migrate(t.Context(), storetest.EmptyURL(t))
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	ran := make([]int, 6)
	for i := range ran {
		g.Go(func() (err error) {
			ran[i], err = store.Migrate(t.Context(), []string{one, other}[i%2])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range ran {
		sum += n
	}
	if sum != 2*first {
		t.Errorf("%v migrations ran, want %d in all", ran, 2*first)
	}
}

// Roles belong to the server, so a second installation finds them made, and a
// login without superuser's rights still takes them on.
func TestMigrateAsOwner(t *testing.T) {
	url := storetest.EmptyURL(t)
	admin := connect(t, url)
	run(t, admin, `DO $$ BEGIN CREATE ROLE yipan_test_owner LOGIN CREATEROLE PASSWORD 'synthetic'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	run(t, admin, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO yipan_test_owner', current_database()); END $$`)
	owner := storetest.As(url, "yipan_test_owner")
	if _, err := store.Migrate(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{URL: owner})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PutNote(t.Context(), "k", "v"); err != nil {
		t.Error(err)
	}
}

func TestMigrateUnreadableURL(t *testing.T) {
	_, err := store.Migrate(t.Context(), "postgres://u:secret@host:port/db")
	if !fault.Is(err, fault.KindInvalid) {
		t.Errorf("got %v", err)
	}
}
