package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

const monthNo = 202603

func TestFrozenMonthsStayAsTheyAre(t *testing.T) {
	db := storetest.Open(t, storetest.NewURL(t))
	at := noon.UTC().Truncate(time.Second)
	first := store.FrozenMonth{Area: east, Month: monthNo, At: at, FrozenAt: at, Digest: []byte{1}, Snapshot: []byte("first"), KeyID: [8]byte{1, 2}, Signature: []byte{3}}
	second := first
	second.Revision, second.Snapshot = 1, []byte("second")
	both := []area.Key{east, west}
	exchange(t, db, both, func(ctx context.Context, tx *store.Tx) error {
		for _, f := range []store.FrozenMonth{first, second} {
			if err := tx.AddFrozen(ctx, &f); err != nil {
				return err
			}
		}
		if err := tx.AddMonthRounds(ctx, monthNo, []store.RoundsPart{{Office: east, Side: 1, Kind: 1, Rounds: []byte("a")}, {Office: west, Side: 2, Kind: 1, Rounds: []byte("b")}}); err != nil {
			return err
		}
		return tx.AddMonthRounds(ctx, monthNo, []store.RoundsPart{{Office: east, Side: 1, Kind: 1, Revision: 1, Rounds: []byte("c")}})
	})
	err := db.InExchange(t.Context(), both, func(tx *store.Tx) error { return tx.AddFrozen(t.Context(), &first) })
	if err == nil {
		t.Error("a revision was written twice")
	}
	if err := db.InCounts(t.Context(), both, func(tx *store.Tx) error {
		got, ok, err := tx.LatestFrozen(t.Context(), east, monthNo)
		got.At, got.FrozenAt = got.At.UTC(), got.FrozenAt.UTC()
		if d := cmp.Diff(second, got); d != "" || !ok {
			t.Errorf("latest: %s", d)
		}
		if err != nil {
			return err
		}
		if got, ok, err = tx.Frozen(t.Context(), east, monthNo, 0); err != nil || !ok || string(got.Snapshot) != "first" {
			t.Errorf("revision 0: %q, %v", got.Snapshot, err)
		}
		if _, ok, err := tx.Frozen(t.Context(), east, monthNo, 2); ok || err != nil {
			t.Errorf("revision 2: %v, %v", ok, err)
		}
		all, err := tx.FrozenMonths(t.Context(), east)
		if len(all) != 1 || all[0].Revision != 1 {
			t.Errorf("months: %d", len(all))
		}
		revisions, err2 := tx.MonthRevisions(t.Context(), east)
		if err2 != nil || len(revisions) != 1 || revisions[monthNo] != 1 {
			t.Errorf("revisions %v, %v", revisions, err2)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	rounds := func(offices []area.Key, revision uint32) (out []string) {
		desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
			parts, err := tx.MonthParts(ctx, both, monthNo, revision)
			for _, p := range parts {
				out = append(out, string(p.Rounds))
			}
			return err
		})
		slices.Sort(out)
		return out
	}
	if got := rounds(both, 0); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("revision 0 has %v", got)
	}
	if got := rounds(both, 1); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("revision 1 has %v", got)
	}
	if got := rounds([]area.Key{west}, 1); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the west sees %v", got)
	}
}

func TestMonthRoundsAndSums(t *testing.T) {
	db := storetest.Open(t, storetest.NewURL(t))
	from, to := civil.MustParse("2026-03-01").StartInstant(), civil.MustParse("2026-04-01").StartInstant()
	days := []civil.Date{civil.MustParse("2026-02-28"), civil.MustParse("2026-03-01"), civil.MustParse("2026-03-31"), civil.MustParse("2026-04-01")}
	var sides []store.Side
	for i, d := range days {
		s := side(i+1, east)
		s.DeliveredAt, s.DueAt, s.Standing, s.StandingDay, s.Extended = noon, d.EndInstant(), 9, d, uint32(i)
		sides = append(sides, s)
	}
	past := sides[1]
	past.Round = 7
	var empty, sums []byte
	exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) (err error) {
		if empty, err = tx.MonthSums(ctx, []area.Key{east}, monthNo); err != nil {
			return err
		}
		if err := tx.InsertSides(ctx, sides); err != nil {
			return err
		}
		return tx.PutRounds(ctx, []store.Side{past})
	})
	exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) (err error) {
		var got []uint32
		if err := tx.MonthRounds(ctx, []area.Key{east}, from, to, func(r *store.MonthRound) error {
			if r.Case != caseID(2) && r.Case != caseID(3) {
				t.Errorf("%s is due on another day", r.Case)
			}
			got = append(got, r.Round*100+r.Extended)
			return nil
		}); err != nil {
			return err
		}
		if len(got) != 3 {
			t.Errorf("%d rounds: %v", len(got), got)
		}
		first, err := tx.FirstDue(ctx, []area.Key{east, west})
		if err != nil || !first.Equal(days[0].EndInstant()) {
			t.Errorf("first due %s, %v", first, err)
		}
		if sums, err = tx.MonthSums(ctx, []area.Key{east}, monthNo); err != nil {
			return err
		}
		peers, err := tx.MonthCounterparts(ctx, []area.Key{east}, monthNo)
		if err != nil || len(peers) != 1 {
			t.Errorf("counterparts %v, %v", peers, err)
		}
		changed := sides[1]
		changed.Standing = 3
		return tx.PutSides(ctx, []store.Side{changed})
	})
	exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		again, err := tx.MonthSums(ctx, []area.Key{east}, monthNo)
		if err != nil {
			return err
		}
		if len(empty) != 0 || len(sums) != 32 || slices.Equal(again, sums) {
			t.Errorf("sums: %x, %x, %x", empty, sums, again)
		}
		if _, err := tx.AddUp(ctx); err != nil {
			return err
		}
		added, err := tx.MonthSums(ctx, []area.Key{east}, monthNo)
		if !slices.Equal(again, added) {
			t.Errorf("adding up changes sums: %x, %x", again, added)
		}
		return err
	})
}

func TestChildReportsNewestStays(t *testing.T) {
	db := storetest.Open(t, storetest.NewURL(t))
	put := func(revision uint32, asOf time.Time, content string) {
		t.Helper()
		exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutChildReport(ctx, store.ChildReport{Parent: east, Month: monthNo, Child: west, Basis: 2, Revision: revision, AsOf: asOf, HeldAt: noon, Content: []byte(content)})
		})
	}
	put(1, noon, "one")
	put(0, noon.Add(time.Hour), "zero comes late")
	put(1, noon.Add(-time.Hour), "older")
	exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.ChildReports(ctx, []area.Key{east, west}, monthNo)
		if err != nil || len(got) != 1 || string(got[0].Content) != "one" {
			t.Errorf("reports %v, %v", got, err)
		}
		ever, err := tx.ChildrenEver(ctx, []area.Key{east})
		if err != nil || !slices.Equal(ever, []area.Key{west}) {
			t.Errorf("children %v, %v", ever, err)
		}
		month, err := tx.FirstChildMonth(ctx, []area.Key{east})
		if month != monthNo {
			t.Errorf("first month %d", month)
		}
		return err
	})
	put(2, noon, "two")
	exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.ChildReports(ctx, []area.Key{east}, monthNo)
		if len(got) != 1 || string(got[0].Content) != "two" {
			t.Errorf("reports %v", got)
		}
		return err
	})
}

func TestDifferences(t *testing.T) {
	db := storetest.Open(t, storetest.NewURL(t))
	both := []area.Key{east, west}
	d := func(n int, office area.Key) store.MonthDifference {
		return store.MonthDifference{Office: office, Case: caseID(n), Round: 1, Ours: 1, Theirs: 2}
	}
	exchange(t, db, both, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddDifferences(ctx, monthNo, there, []store.MonthDifference{d(1, east), d(2, east), d(3, west), d(3, west)})
	})
	n := func(offices []area.Key) (n int64) {
		desk(t, db, offices, func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = tx.CountDifferences(ctx, both, monthNo, there)
			return err
		})
		return n
	}
	if n(both) != 3 || n([]area.Key{west}) != 1 {
		t.Errorf("%d, the west sees %d", n(both), n([]area.Key{west}))
	}
	exchange(t, db, both, func(ctx context.Context, tx *store.Tx) error {
		return tx.DropDifferences(ctx, both, monthNo, there, []cases.CaseID{caseID(1)})
	})
	if n(both) != 2 {
		t.Errorf("after one is mended %d", n(both))
	}
	exchange(t, db, both, func(ctx context.Context, tx *store.Tx) error {
		return tx.DropDifferences(ctx, both, monthNo, there, nil)
	})
	if n(both) != 0 {
		t.Errorf("after all are mended %d", n(both))
	}
}
