package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

var fourthOfMarch = civil.MustParse("2026-03-04")

// standingSide is a side of an invented standing and day.
func standingSide(r *rand.Rand, n int, office area.Key) store.Side {
	s := side(n, office)
	s.Side, s.Kind = cases.Side(1+r.IntN(2)), cases.Kind(1+n%5)
	s.Standing, s.StandingDay = uint8(1+r.IntN(11)), fourthOfMarch.AddDays(r.IntN(90))
	return s
}

// recount fails where sums and changes together are not the count of the rows. It
// returns how many were compared.
func recount(t testing.TB, db *store.DB) (compared int64) {
	t.Helper()
	exchange(t, db, []area.Key{east, west}, func(ctx context.Context, tx *store.Tx) error {
		n, ds, err := tx.RecountSums(ctx, []area.Key{east, west}, 20)
		for _, d := range ds {
			t.Errorf("%s book %d, standing %d: kept %d, counted %d", d.Sums, d.Book, d.Standing, d.Kept, d.Counted)
		}
		compared = n
		return err
	})
	return compared
}

// TestSumsAreExactWhileAdded changes cases in many transactions, some of which
// fail, while changes are added up and empty sums dropped: at every moment the
// sums and what waits are what the rows count.
func TestSumsAreExactWhileAdded(t *testing.T) {
	db := storetest.New(t)
	offices := []area.Key{east, west}
	g, ctx := errgroup.WithContext(t.Context())
	var writing atomic.Int32
	const writers = 3
	writing.Store(writers)
	for w := range writers {
		g.Go(func() error {
			defer writing.Add(-1)
			r := rand.New(rand.NewPCG(uint64(w), 4))
			for i := range 120 {
				err := db.InExchange(ctx, offices, func(tx *store.Tx) error {
					var some []store.Side
					first := r.IntN(60)
					for n := range 1 + r.IntN(12) {
						some = append(some, standingSide(r, 100*w+first+n, []area.Key{east, west}[(first+n)%2]))
					}
					if err := tx.PutSides(ctx, some); err != nil {
						return err
					}
					for n := range some {
						some[n].Round = uint32(1 + r.IntN(3))
					}
					if err := tx.PutRounds(ctx, some); err != nil {
						return err
					}
					switch i % 10 {
					case 3:
						if err := tx.DropOtherReceivers(ctx, some[0].Case, some[0].Office); err != nil {
							return err
						}
					case 5:
						if err := tx.MarkErased(ctx, []cases.CaseID{some[0].Case}, noon); err != nil {
							return err
						}
					case 7:
						_ = tx.Flush(ctx)
						return errUndone
					}
					return nil
				})
				if err != nil && i%10 != 7 {
					return err
				}
				if i%4 == 0 {
					if err := db.InDesk(ctx, offices, func(tx *store.Tx) error {
						return tx.TouchSides(ctx, []store.Side{{Case: caseID(100*w + i%60), Office: []area.Key{east, west}[i%2], Person: personID(i)}})
					}); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	var added int64
	g.Go(func() error {
		for i := 0; writing.Load() > 0; i++ {
			err := db.InExchange(ctx, offices, func(tx *store.Tx) error {
				n, err := tx.AddUp(ctx)
				added += n
				return err
			})
			if err == nil && i%7 == 0 {
				err = db.InExchange(ctx, offices, func(tx *store.Tx) error { _, err := tx.DropEmptySums(ctx); return err })
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	moments := 0
	for ; writing.Load() > 0; moments++ {
		recount(t, db) // at first there may be nothing yet
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if added == 0 || moments < 3 {
		t.Errorf("%d changes added up, looked at %d moments", added, moments)
	}
	for n := int64(1); n > 0; {
		exchange(t, db, offices, func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = tx.AddUp(ctx)
			return err
		})
	}
	if recount(t, db) == 0 {
		t.Error("nothing compared")
	}
}

var errUndone = fmt.Errorf("undone")

// TestCube holds each way of asking to a count by hand, before and after the
// changes are added up.
func TestCube(t *testing.T) {
	db := storetest.New(t)
	r := rand.New(rand.NewPCG(7, 7))
	var all []store.Side
	exchange(t, db, []area.Key{east, west}, func(ctx context.Context, tx *store.Tx) error {
		for n := range 400 {
			s := standingSide(r, n, []area.Key{east, west}[n%2])
			if n%3 == 0 {
				s.Person = personID(n)
			}
			if n%5 == 0 {
				s.Extended = 3
			}
			all = append(all, s)
		}
		return tx.InsertSides(ctx, all)
	})
	open := civil.MustParse("2026-04-15")
	kinds := []cases.Kind{cases.Outflow, cases.Inflow, cases.Certificate}
	queries := []store.CubeQuery{
		{From: civil.MustParse("2026-04-01"), To: civil.MustParse("2026-05-01"), Pairing: true, ByOffice: true},
		{From: civil.MustParse("2026-03-01"), To: civil.MustParse("2026-06-01"), Pairing: true},
		{From: civil.MustParse("2026-04-10"), To: civil.MustParse("2026-04-20"), Pairing: true, Days: true},
		{From: civil.MustParse("2026-04-01"), To: civil.MustParse("2026-05-01"), Peer: area.MustOf(area.Province, "33"), ByPeer: true, ByOffice: true},
	}
	for _, state := range []string{"changes", "sums"} {
		for _, q := range queries {
			q.Kinds, q.Side, q.ShownSide, q.Open, q.Sent = kinds, cases.SideReceiver, cases.SideOpener, open, open.AddDays(-3)
			want := map[string]int64{}
			key := func(o area.Key, book int16, k cases.Kind, standing uint8, past bool) string {
				if !q.ByOffice {
					o = 0
				}
				return fmt.Sprintf("%s %d %d %d %v", o, book, k, standing, past)
			}
			for _, s := range all {
				if s.Kind != cases.Outflow && s.Kind != cases.Inflow && s.Kind != cases.Certificate {
					continue
				}
				in := !s.StandingDay.Before(q.From) && s.StandingDay.Before(q.To)
				side := cases.SideReceiver
				if s.Kind == cases.Certificate {
					side = cases.SideOpener
				}
				// side's counterpart is X, in 贵州, of a receiver, and Y, in 浙江, of an opener.
				peer := q.Peer == 0 || s.Side == cases.SideOpener
				inD := s.Standing == 3 || s.Standing == 4 || s.Standing >= 8
				if s.Side == side && peer {
					if in {
						want[key(s.Office, store.BookRounds, s.Kind, s.Standing, s.Standing >= 8 && s.StandingDay.Before(open))]++
					}
					if in && inD && s.Extended > 0 {
						want[key(s.Office, store.BookExtended, s.Kind, s.Standing, true)]++
					}
					if s.Standing == 1 && s.StandingDay.Before(q.Sent) {
						want[key(s.Office, store.BookUnreceipted, s.Kind, 1, true)]++
					}
				}
				if in && q.Pairing && s.Side == cases.SideReceiver && s.Kind <= cases.Inflow && inD {
					paired := uint8(store.PairingOpen)
					if s.Person != (cases.PersonID{}) {
						paired = store.PairingDone
					}
					want[key(s.Office, store.BookPairing, s.Kind, paired, false)]++
				}
			}
			got := map[string]int64{}
			if err := db.InCounts(t.Context(), []area.Key{east, west}, func(tx *store.Tx) error {
				rows, err := tx.Cube(t.Context(), q)
				for _, c := range rows {
					got[key(c.Office, c.Book, c.Kind, c.Standing, c.Past)] += c.N
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for k, n := range want {
				if got[k] != n {
					t.Errorf("%s..%s from %s: %s is %d, want %d", q.From, q.To, state, k, got[k], n)
				}
			}
			if len(got) != len(want) || len(want) < 5 {
				t.Errorf("%s..%s from %s: %d counts, want %d", q.From, q.To, state, len(got), len(want))
			}
		}
		exchange(t, db, []area.Key{east, west}, func(ctx context.Context, tx *store.Tx) error { _, err := tx.AddUp(ctx); return err })
	}
}

// BenchmarkPutSides writes projections as one notice does and as a parcel of 256,
// whose standing changes each time or never; free: without counting.
func BenchmarkPutSides(b *testing.B) {
	for _, many := range []int{1, 256} {
		for _, changes := range []bool{true, false} {
			for _, free := range []bool{false, true} {
				b.Run(fmt.Sprintf("%d/changes=%v/free=%v", many, changes, free), func(b *testing.B) {
					url := storetest.NewURL(b)
					if free {
						run(b, connect(b, url), "ALTER TABLE case_side DISABLE TRIGGER USER")
					}
					db := storetest.Open(b, url)
					sides := make([]store.Side, many)
					for i := range sides {
						sides[i] = side(i, east)
						sides[i].StandingDay = fourthOfMarch
					}
					for i := 0; b.Loop(); i++ {
						for n := range sides {
							sides[n].Standing = 3
							if changes {
								sides[n].Standing = uint8(3 + i%2)
							}
						}
						exchange(b, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error { return tx.PutSides(ctx, sides) })
					}
				})
			}
		}
	}
}

// BenchmarkInsertSides is BenchmarkPutSides for new cases.
func BenchmarkInsertSides(b *testing.B) {
	for _, many := range []int{1, 256} {
		for _, free := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/free=%v", many, free), func(b *testing.B) {
				url := storetest.NewURL(b)
				if free {
					run(b, connect(b, url), "ALTER TABLE case_side DISABLE TRIGGER USER")
				}
				db := storetest.Open(b, url)
				sides := make([]store.Side, many)
				for i := 0; b.Loop(); i++ {
					for n := range sides {
						sides[n] = side(i*many+n, east)
						sides[n].Standing, sides[n].StandingDay = 1, fourthOfMarch
					}
					exchange(b, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error { return tx.InsertSides(ctx, sides) })
				}
			})
		}
	}
}
