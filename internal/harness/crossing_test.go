package harness

import (
	"testing"
	"time"

	"yipan/internal/cases"
	"yipan/internal/wire"
)

// After a restore a node gets its own earlier receipts back from its peer, and
// what they cover by another parcel. Whichever of the two commits first, what
// the office sees is what the items fold to.
func TestReceiptCrossesItsItem(t *testing.T) {
	for _, first := range []string{"item", "receipt"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			w := watch(t, origin, residence)
			a, b := w.Sites[0], w.Sites[1]
			y := towns(t, residence, 1)[0]
			id := w.open(a, 1, y)
			w.settle()
			old := w.backup(a)
			w.answer(b, y, id, residing)
			answer := w.pack(b, a).Bytes
			held := w.absorb(a, answer)
			receipts := unseal(t, b, held.Answers[0].Bytes).Receipts
			w.absorb(b, held.Answers[0].Bytes)
			w.restore(old)
			w.Clock.Add(time.Hour) // the answer will be held later than the first time
			returned := w.forge(b.Node, b.Keys.Signing(), a, wire.Parcel{Receipts: receipts})

			// Nothing can be written to items until both have read what is held.
			gate := w.raw[a.Node]
			gate.Exec(t, `BEGIN`)
			gate.Exec(t, `LOCK TABLE item IN SHARE MODE`)
			ended := make(chan error, 2)
			absorb := func(bytes []byte) {
				_, err := a.Exchange.Absorb(t.Context(), bytes)
				ended <- err
			}
			waiting := func(n int64) {
				t.Helper()
				for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
					if w.count(a, `pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) >= n {
						return
					}
					if time.Now().After(end) {
						t.Fatalf("fewer than %d wait", n)
					}
				}
			}
			parcels := [][]byte{answer, returned}
			if first == "receipt" {
				parcels[0], parcels[1] = parcels[1], parcels[0]
			}
			for i, p := range parcels {
				go absorb(p)
				waiting(int64(i + 1))
			}
			gate.Exec(t, `COMMIT`)
			for range parcels {
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
			}

			v, err := a.Figures.Recount(t.Context(), a.Desk.Offices())
			if err != nil || v.Cases == 0 {
				t.Fatalf("%d cases recounted, %v", v.Cases, err)
			}
			for _, d := range v.Differences {
				t.Errorf("%s %s: kept %d, counted %d", d.What, d.Key, d.Kept, d.Counted)
			}
			if got := w.view(a, originTown, id); got.Status != cases.StatusAnswered {
				t.Errorf("the case is %v", got.Status)
			}
		})
	}
}
