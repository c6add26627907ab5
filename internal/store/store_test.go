package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// Two townships of one county, one of another, and the nodes of the counties.
var (
	east  = area.MustOf(area.Township, "520123100")
	west  = area.MustOf(area.Township, "520123101")
	far   = area.MustOf(area.Township, "330106001")
	here  = cases.NodeID(area.MustOf(area.County, "520123"))
	there = cases.NodeID(area.MustOf(area.County, "330106"))
	third = cases.NodeID(area.MustOf(area.County, "440305"))
)

var noon = time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)

// id derives 16 bytes from what and n, so that tests can name things.
func id(what string, n int) [16]byte {
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what), uint64(n)))
	return [16]byte(h[:16])
}

func caseID(n int) cases.CaseID     { return id("case", n) }
func itemID(n int) cases.ItemID     { return id("item", n) }
func personID(n int) cases.PersonID { return id("person", n) }

func itemIDs(ns ...int) []cases.ItemID {
	out := make([]cases.ItemID, len(ns))
	for i, n := range ns {
		out[i] = itemID(n)
	}
	return out
}

// desk and exchange run fn as that role and fail the test on any error.
func desk(t testing.TB, db *store.DB, offices []area.Key, fn func(context.Context, *store.Tx) error) {
	t.Helper()
	if err := db.InDesk(t.Context(), offices, func(tx *store.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatalf("as the desk: %v", err)
	}
}

func exchange(t testing.TB, db *store.DB, offices []area.Key, fn func(context.Context, *store.Tx) error) {
	t.Helper()
	if err := db.InExchange(t.Context(), offices, func(tx *store.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatalf("as the exchange: %v", err)
	}
}

// connect opens one connection that is not the store's.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// as opens one connection under a runtime role, offices unset.
func as(t testing.TB, owner string, role store.Role) *pgx.Conn {
	t.Helper()
	conn := connect(t, owner)
	run(t, conn, "SET ROLE "+string(role))
	return conn
}

func run(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func number(t testing.TB, conn *pgx.Conn, sql string, args ...any) (n int64) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func leg(n int) store.Leg {
	return store.Leg{Case: caseID(n), X: east, Y: far, BodyKey: []byte{1, byte(n)}}
}

func item(n, ofCase int) store.StoredItem {
	return store.StoredItem{ID: itemID(n), Case: caseID(ofCase), Kind: cases.Open, Author: here, MinVersion: 1,
		RecordedAt: noon, Head: []byte{10, byte(n)}, Body: []byte{20, byte(n)}}
}

func side(n int, office area.Key) store.Side {
	return store.Side{Case: caseID(n), Office: office, Side: cases.SideOpener, Kind: cases.Outflow, X: east, Y: far, Status: cases.Status(1),
		Round: 1, OpenedAt: noon, RoundAt: noon, Version: 7}
}

func share(n int, peer cases.NodeID) store.Share {
	return store.Share{Peer: peer, Item: itemID(n), Pair: cases.Pair(east, far), Kind: cases.Open, MinVersion: 1, RecordedAt: noon}
}

func person(n int, office area.Key) store.Person {
	doc := id("doc", n)
	return store.Person{ID: personID(n), Office: office, Key: []byte{1}, Name: "测试甲", Sex: 2, DocKind: 1, Doc: []byte{2}, DocIndex: doc[:], Last4: []byte{3}}
}

// awaitBlocked returns when some connection of conn's database waits for a lock.
func awaitBlocked(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for number(t, conn, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
	}
}

func addLegs(ctx context.Context, tx *store.Tx, legs ...store.Leg) error {
	_, err := tx.InsertLegs(ctx, legs)
	return err
}
