package store_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
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
	admin := storetest.EmptyURL(t)
	login := fmt.Sprintf("yipan_test_owner_%d", os.Getpid())
	t.Cleanup(func() { // after its database is dropped
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, admin)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(ctx) }()
		if _, err := conn.Exec(ctx, "DROP ROLE "+login); err != nil {
			t.Error(err)
		}
	})
	conn := connect(t, admin)
	run(t, conn, "CREATE ROLE "+login+" LOGIN CREATEROLE PASSWORD 'synthetic'")
	url := storetest.EmptyURL(t)
	run(t, connect(t, url), "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO "+login+"', current_database()); END $$")
	owner := strings.Replace(storetest.As(url, login), login+"@", login+":synthetic@", 1)
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
