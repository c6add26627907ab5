package store_test

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// ledgerDay is the Shanghai day of noon.
var ledgerDay = civil.In(noon).Days()

// digests reads them at an instant and returns them in order.
func digests(t *testing.T, db *store.DB, now time.Time) (out []store.DayPair) {
	t.Helper()
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) (err error) {
		out, err = tx.Digests(ctx, there, now)
		return err
	})
	slices.SortFunc(out, func(a, b store.DayPair) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Pair, b.Pair))
	})
	return out
}

// want computes what the settled shares must give.
func want(shares ...store.Share) []store.DayPair {
	var out []store.DayPair
	for _, s := range shares {
		i := slices.IndexFunc(out, func(d store.DayPair) bool { return d.Day == s.Day() && d.Pair == s.Pair })
		if i < 0 {
			i = len(out)
			out = append(out, store.DayPair{Day: s.Day(), Pair: s.Pair})
		}
		out[i].N++
		out[i].XOR ^= s.Item.Hash64()
	}
	slices.SortFunc(out, func(a, b store.DayPair) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Pair, b.Pair))
	})
	return out
}

func settledOn(n, days int) store.Share {
	s := share(n, there)
	s.Settled, s.RecordedAt = true, noon.AddDate(0, 0, days)
	return s
}

func TestDigests(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	conn := connect(t, url)
	if got := digests(t, db, noon); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	first, second, other, pending := settledOn(1, 0), settledOn(2, 0), settledOn(3, 1), share(4, there)
	second.Pair = cases.Pair(west, far)
	elsewhere := share(5, third)
	elsewhere.Settled = true
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		return tx.MergeShares(ctx, []store.Share{first, second, other, pending, elsewhere})
	})
	now := noon.AddDate(0, 0, 2)
	check := func(what string, at time.Time, shares ...store.Share) {
		t.Helper()
		for _, run := range []string{"computed", "kept"} {
			if d := gocmp.Diff(want(shares...), digests(t, db, at), cmpopts.EquateEmpty()); d != "" {
				t.Errorf("%s, %s: %s", what, run, d)
			}
		}
	}
	check("two days", now, first, second, other)
	if n := number(t, conn, "SELECT count(*) FROM digest"); n != 3 {
		t.Errorf("%d digests kept, want those of two closed days", n)
	}

	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Settle(ctx, there, []cases.ItemID{pending.Item})
		return err
	})
	pending.Settled = true
	check("settled late", now, first, second, other, pending)

	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Unsettle(ctx, there, []cases.ItemID{first.Item})
		return err
	})
	check("unsettled", now, second, other, pending)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ForgetShares(ctx, there, []cases.ItemID{second.Item, pending.Item, other.Item})
		return err
	})
	check("forgotten", now)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		return tx.MergeShares(ctx, []store.Share{first, other})
	})
	check("merged", now, first, other)
	check("the clock was set back", noon, first, other)
	check("and forth", now.AddDate(0, 0, 5), first, other)
	if n := number(t, conn, "SELECT count(*) FROM digest_dropped WHERE peer = $1", int64(there)); n != 0 {
		t.Errorf("%d days stay dropped", n)
	}
}

// A receipt is settled by its claim, also one that waited for days.
func TestDigestOfClaimedReceipt(t *testing.T) {
	db := storetest.New(t)
	late := receiptShare(1)
	addShares(t, db, late)
	now := noon.AddDate(0, 0, 3)
	if got := digests(t, db, now); len(got) != 0 {
		t.Errorf("of a pending receipt: %v", got)
	}
	same(t, "claimed", claim(t, db, 1, 1, false), 1)
	if d := gocmp.Diff(want(late), digests(t, db, now)); d != "" {
		t.Errorf("claimed: %s", d)
	}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error { return tx.Unclaim(ctx, there, itemIDs(1)) })
	if got := digests(t, db, now); len(got) != 0 {
		t.Errorf("unclaimed: %v", got)
	}
}

// A node whose clock is ahead of the database's closes days that the database
// takes for open.
func TestDigestOfClockAhead(t *testing.T) {
	db := storetest.New(t)
	today := share(1, there)
	today.RecordedAt = time.Now()
	addShares(t, db, today)
	ahead := time.Now().AddDate(0, 0, 3)
	if got := digests(t, db, ahead); len(got) != 0 {
		t.Errorf("of nothing settled: %v", got)
	}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Settle(ctx, there, itemIDs(1))
		return err
	})
	if d := gocmp.Diff(want(today), digests(t, db, ahead)); d != "" {
		t.Errorf("settled: %s", d)
	}
}

// A day stays open for an hour: what began before midnight may end after it.
func TestDigestAtMidnight(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		return tx.MergeShares(ctx, []store.Share{settledOn(1, 0)})
	})
	midnight := civil.In(noon).EndInstant()
	for after, kept := range map[time.Duration]int64{-time.Minute: 0, 59 * time.Minute: 0} {
		digests(t, db, midnight.Add(after))
		if n := number(t, connect(t, url), "SELECT count(*) FROM digest"); n != kept {
			t.Errorf("%v after midnight %d digests are kept, want %d", after, n, kept)
		}
	}
	digests(t, db, midnight.Add(time.Hour))
	if n := number(t, connect(t, url), "SELECT count(*) FROM digest"); n != 1 {
		t.Errorf("an hour after midnight %d digests are kept", n)
	}
}

// A change that commits while digests are computed is in the next ones.
func TestDigestBesideChange(t *testing.T) {
	now := noon.AddDate(0, 0, 2)
	for name, c := range map[string]struct{ dropped bool }{"of a kept day": {}, "of a day dropped before": {true}} {
		t.Run(name, func(t *testing.T) {
			url := storetest.NewURL(t)
			db := storetest.Open(t, url)
			one, two, three := settledOn(1, 0), settledOn(2, 0), settledOn(3, 0)
			merge := func(s store.Share) func(context.Context, *store.Tx) error {
				return func(ctx context.Context, tx *store.Tx) error { return tx.MergeShares(ctx, []store.Share{s}) }
			}
			exchange(t, db, nil, merge(one))
			digests(t, db, now)
			have := []store.Share{one}
			if c.dropped {
				exchange(t, db, nil, merge(two))
				have = append(have, two)
			}
			watch := connect(t, url)
			computed := make(chan error, 1)
			exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
				if err := merge(three)(ctx, tx); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `SELECT 1`); err != nil { // sends what was queued
					return err
				}
				go func() {
					computed <- db.InExchange(ctx, nil, func(tx *store.Tx) error {
						got, err := tx.Digests(ctx, there, now)
						if d := gocmp.Diff(want(have...), got); d != "" {
							t.Errorf("beside the change: %s", d)
						}
						return err
					})
				}()
				if c.dropped { // it wants to delete the row that the change holds
					awaitBlocked(t, watch)
					return nil
				}
				return <-computed
			})
			if c.dropped {
				if err := <-computed; err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if d := gocmp.Diff(want(append(have, three)...), digests(t, db, now)); d != "" {
					t.Errorf("after the change: %s", d)
				}
			}
		})
	}
}

func TestSettledIDs(t *testing.T) {
	db := storetest.New(t)
	var all []store.Share
	for n := range 20 {
		all = append(all, settledOn(n, 0))
	}
	otherDay, otherPair, pending := settledOn(30, 1), settledOn(31, 0), share(32, there)
	otherPair.Pair++
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		return tx.MergeShares(ctx, append(all, otherDay, otherPair, pending))
	})
	var ids []cases.ItemID
	for _, s := range all {
		ids = append(ids, s.Item)
	}
	slices.SortFunc(ids, func(a, b cases.ItemID) int { return slices.Compare(a[:], b[:]) })
	most := cases.ItemID(slices.Repeat([]byte{0xff}, 16))
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.SettledIDs(ctx, there, ledgerDay, share(0, there).Pair, cases.ItemID{}, most)
		if d := gocmp.Diff(ids, got); d != "" {
			t.Errorf("all: %s", d)
		}
		if err != nil {
			return err
		}
		got, err = tx.SettledIDs(ctx, there, ledgerDay, share(0, there).Pair, ids[3], ids[7])
		if d := gocmp.Diff(ids[3:8], got); d != "" {
			t.Errorf("a range, both ends with it: %s", d)
		}
		return err
	})
}
