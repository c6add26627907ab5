package store

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// BaselineBatch is how many cases one transaction of Baseline writes.
const BaselineBatch = 256

// Baseline is the benchmark's yardstick: it writes the rows that opening one
// case writes, as bare SQL of the login behind url (a superuser: no row-level
// security), BaselineBatch cases a transaction on two connections, and returns
// how many cases a second were committed in about d. The rows are random bytes
// of the usual sizes; use a database that is thrown away.
func Baseline(ctx context.Context, url string, d time.Duration) (float64, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return 0, translate("baseline", err)
	}
	defer pool.Close()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total int
	begin := time.Now()
	end := begin.Add(d)
	for range 2 {
		wg.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				berr := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
					t := &Tx{querier: tx}
					if err := baselineBatch(ctx, t); err != nil {
						return err
					}
					return t.flush(ctx)
				})
				mu.Lock()
				if berr != nil {
					err = berr
					mu.Unlock()
					return
				}
				total += BaselineBatch
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return float64(total) / time.Since(begin).Seconds(), translate("baseline", err)
}

func baselineBatch(ctx context.Context, tx *Tx) error {
	random := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	office, peer := area.MustOf(area.Township, "520330101"), cases.NodeID(area.MustOf(area.County, "330782"))
	now := time.Now()
	legs, items, shares := make([]Leg, BaselineBatch), make([]StoredItem, BaselineBatch), make([]Share, BaselineBatch)
	sides, persons := make([]Side, BaselineBatch), make([]Person, BaselineBatch)
	for i := range BaselineBatch {
		id, item, person := cases.CaseID(random(16)), cases.ItemID(random(16)), cases.PersonID(random(16))
		legs[i] = Leg{Case: id, X: office, Y: peer.Area(), BodyKey: random(71)}
		items[i] = StoredItem{ID: item, Case: id, Kind: cases.Open, Author: 1, MinVersion: 1, RecordedAt: now, Head: random(75), Body: random(150)}
		shares[i] = Share{Peer: peer, Item: item, Pair: 1, Kind: cases.Open, MinVersion: 1, RecordedAt: now}
		sides[i] = Side{Case: id, Office: office, Side: cases.SideOpener, Kind: cases.Outflow, X: office, Y: peer.Area(), Status: cases.StatusOpen,
			Round: 1, OpenedAt: now, RoundAt: now, Person: person, ReqHash: 1}
		persons[i] = Person{ID: person, Office: office, Key: random(71), Name: "测试", Doc: random(56), DocIndex: random(16), Last4: random(16)}
	}
	if _, err := tx.InsertLegs(ctx, legs); err != nil {
		return err
	}
	if err := tx.AddPersons(ctx, persons); err != nil {
		return err
	}
	if err := tx.InsertSides(ctx, sides); err != nil {
		return err
	}
	if err := tx.InsertItems(ctx, items); err != nil {
		return err
	}
	return tx.AddShares(ctx, shares)
}
