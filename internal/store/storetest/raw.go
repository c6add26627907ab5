package storetest

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Copy returns the owner's URL of a copy of a database of NewURL or Copy as it
// is now, as a backup taken at this moment; it is dropped when the test ends.
// Nobody may be connected to the original meanwhile.
func Copy(t testing.TB, owner string) string {
	t.Helper()
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal("storetest: unreadable URL of its own")
	}
	db := name("copy")
	ctx := context.Background() // the clean-up outlives the test's
	if err := exec(ctx, "CREATE DATABASE "+db+" TEMPLATE "+strings.TrimPrefix(u.Path, "/")+" STRATEGY FILE_COPY"); err != nil {
		t.Fatalf("storetest: copy: %v", err)
	}
	t.Cleanup(func() {
		if err := exec(ctx, "DROP DATABASE IF EXISTS "+db+" WITH (FORCE)"); err != nil {
			t.Errorf("storetest: %v", err)
		}
	})
	return database(db)
}

// Tables looks at a database as its owner, whom no policy limits, or spoils it.
type Tables struct{ conn *pgx.Conn }

// Raw opens a database of NewURL for that. The caller closes it before Copy; it
// is closed when the test ends.
func Raw(t testing.TB, owner string) *Tables {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), owner)
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	r := &Tables{conn}
	t.Cleanup(r.Close)
	return r
}

// Close ends the connection.
func (r *Tables) Close() { _ = r.conn.Close(context.Background()) }

// Rows returns the rows of a query; a uuid comes as [16]byte.
func (r *Tables) Rows(t testing.TB, sql string, args ...any) [][]any {
	t.Helper()
	rows, err := r.conn.Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	return out
}

// Exec runs a statement and returns how many rows it touched.
func (r *Tables) Exec(t testing.TB, sql string, args ...any) int64 {
	t.Helper()
	tag, err := r.conn.Exec(context.Background(), sql, args...)
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	return tag.RowsAffected()
}
