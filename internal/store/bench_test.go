package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// BenchmarkOpen256 writes 256 new cases per transaction, with a leg, a side, an
// item and a share each, and reads the items back for the fold: under row-level
// security as the desk, and as a superuser, whom it does not bind. What it costs
// is the difference. The server is in memory, so that nothing else hides it.
func BenchmarkOpen256(b *testing.B) {
	const many = 256
	for _, c := range []struct {
		name string
		free bool
	}{{"desk", false}, {"unbound", true}} {
		b.Run(c.name, func(b *testing.B) {
			url := storetest.NewURL(b)
			config := storetest.Config(url)
			if c.free {
				config.LoginAs = func(store.Role) string { return url }
			}
			db, err := store.Open(b.Context(), config)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			head, body := bytes.Repeat([]byte{1}, 120), bytes.Repeat([]byte{2}, 280)
			for b.Loop() {
				legs, items := make([]store.Leg, many), make([]store.StoredItem, many)
				shares, sides := make([]store.Share, many), make([]store.Side, many)
				ids := make([]cases.CaseID, many)
				for i := range many {
					var id [32]byte
					_, _ = rand.Read(id[:])
					ids[i] = cases.CaseID(id[:16])
					legs[i] = store.Leg{Case: ids[i], X: east, Y: far, BodyKey: body[:60]}
					items[i] = store.StoredItem{ID: cases.ItemID(id[16:]), Case: ids[i], Kind: cases.Open, Author: here, MinVersion: 1, RecordedAt: noon, Head: head, Body: body}
					shares[i] = share(0, there)
					shares[i].Item = items[i].ID
					sides[i] = side(0, east)
					sides[i].Case = ids[i]
				}
				err := db.InDesk(b.Context(), []area.Key{east}, func(tx *store.Tx) error {
					ctx := b.Context()
					return errors.Join(addLegs(ctx, tx, legs...), tx.InsertItems(ctx, items), tx.AddShares(ctx, shares), tx.InsertSides(ctx, sides), readBack(ctx, tx, ids))
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(many*b.N)/b.Elapsed().Seconds(), "cases/s")
		})
	}
}

func readBack(ctx context.Context, tx *store.Tx, ids []cases.CaseID) error {
	_, err := tx.CaseItems(ctx, ids)
	return err
}
