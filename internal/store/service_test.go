package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestDrafts(t *testing.T) {
	db := storetest.New(t)
	offices := []area.Key{east}
	for _, want := range []int64{2, 0} {
		exchange(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.DraftOffers(ctx, []store.Side{side(1, east), side(2, east)}, 7, noon)
			if n != want {
				t.Errorf("%d drafts, want %d", n, want)
			}
			return err
		})
	}
	drafts := func(tx *store.Tx) []store.Draft {
		got, err := tx.OfferDrafts(t.Context(), time.Time{}, cases.CaseID{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	exchange(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		got := drafts(tx)
		if len(got) != 2 || got[0].Round != 7 || got[0].Office != east || !got[0].Due.Equal(noon) {
			t.Fatalf("drafts: %+v", got)
		}
		exchange(t, db, offices, func(ctx context.Context, beside *store.Tx) error {
			if n := len(drafts(beside)); n != 0 {
				t.Errorf("%d drafts beside the transaction that sends them", n)
			}
			return nil
		})
		return tx.SentOffer(ctx, got[0], itemID(1))
	})
	for office, want := range map[area.Key]int{east: 1, west: 0} {
		exchange(t, db, []area.Key{office}, func(ctx context.Context, tx *store.Tx) error {
			if n := len(drafts(tx)); n != want {
				t.Errorf("%d drafts wait at %s, want %d", n, office, want)
			}
			return nil
		})
	}
}

func TestServices(t *testing.T) {
	db := storetest.New(t)
	offices := []area.Key{east}
	key := func(n int, kind ledger.Service, period uint32) store.ServiceKey {
		return store.ServiceKey{Person: personID(n), Kind: kind, Period: period}
	}
	row := func(k store.ServiceKey, closed bool, sealed string) store.Service {
		return store.Service{ServiceKey: k, Office: east, Closed: closed, Sealed: []byte(sealed)}
	}
	a, b, c := row(key(1, 1, 20261), false, "a"), row(key(1, 2, 202603), true, "b"), row(key(2, 1, 20261), true, "c")
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error { return tx.PutServices(ctx, []store.Service{a, b, c}) })
	a.Closed, a.Sealed = true, []byte("again")
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error { return tx.PutServices(ctx, []store.Service{a}) })
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Services(ctx, []store.ServiceKey{a.ServiceKey, c.ServiceKey, key(3, 1, 20261)})
		if d := cmp.Diff(map[store.ServiceKey]store.Service{a.ServiceKey: a, c.ServiceKey: c}, got); d != "" {
			t.Errorf("by key: %s", d)
		}
		if err != nil {
			return err
		}
		of, err := tx.ServicesOf(ctx, []cases.PersonID{personID(1)})
		if d := cmp.Diff([]store.Service{b, a}, of); d != "" {
			t.Errorf("of a person: %s", d)
		}
		if err != nil {
			return err
		}
		first, err := tx.ServicesOfPeriod(ctx, east, 1, 20261, cases.PersonID{}, 1)
		if err != nil || len(first) != 1 {
			t.Fatalf("first page: %d, %v", len(first), err)
		}
		second, err := tx.ServicesOfPeriod(ctx, east, 1, 20261, first[0].Person, 5)
		if len(second) != 1 || second[0].Person == first[0].Person {
			t.Errorf("second page: %+v", second)
		}
		return err
	})
	desk(t, db, []area.Key{west}, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Services(ctx, []store.ServiceKey{a.ServiceKey})
		if len(got) != 0 {
			t.Error("another office sees a service")
		}
		return err
	})
}

func TestTally(t *testing.T) {
	db := storetest.New(t)
	desk(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.ReadTally(ctx, east, 1, 7); got != nil || err != nil {
			t.Errorf("before any: %q, %v", got, err)
		}
		for _, want := range []string{"empty", "second"} {
			got, err := tx.LockTally(ctx, east, 1, 7, []byte("empty"))
			if err != nil || string(got) != want {
				t.Errorf("locked %q, %v; want %q", got, err, want)
			}
			if err := tx.PutTally(ctx, east, 1, 7, []byte("second")); err != nil {
				return err
			}
		}
		return nil
	})
	desk(t, db, []area.Key{west}, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.ReadTally(ctx, east, 1, 7); got != nil || err != nil {
			t.Errorf("another office reads %q, %v", got, err)
		}
		return nil
	})
}

// Merged files are followed to the last one, however many steps that takes, and
// found again from there.
func TestRootsAndGroups(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	owner := connect(t, url)
	desk(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		var ps []store.Person
		for n := range 5 {
			p := person(n, east)
			ps = append(ps, p)
		}
		return tx.AddPersons(ctx, ps)
	})
	for from, to := range map[int]int{0: 1, 1: 2, 3: 2} {
		if _, err := owner.Exec(t.Context(), `UPDATE person SET merged_into = $2 WHERE id = $1`, [16]byte(personID(from)), [16]byte(personID(to))); err != nil {
			t.Fatal(err)
		}
	}
	desk(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Roots(ctx, []cases.PersonID{personID(0), personID(2), personID(3), personID(4)})
		want := map[cases.PersonID]cases.PersonID{personID(0): personID(2), personID(2): personID(2), personID(3): personID(2), personID(4): personID(4)}
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("roots: %s%v", d, err)
		}
		groups, err := tx.Groups(ctx, []cases.PersonID{personID(2), personID(4)})
		if len(groups[personID(2)]) != 4 || len(groups[personID(4)]) != 1 || err != nil {
			t.Errorf("groups: %v, %v", groups, err)
		}
		return nil
	})
}

// TestOffersDue: by round, scope and presence, and page by page.
func TestOffersDue(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	owner := connect(t, url)
	const insert = `INSERT INTO person (id, office, key, name, sex, birth, doc_kind, presence, offered_round, merged_into, erased_at, restricted)
VALUES ($1, $2, '\x00', '测试甲', $3, $4, 0, $5, $6, $7, $8, $9)`
	add := func(n int, office area.Key, sex int, birth string, presence ledger.Presence, round int, merged, erased any, restricted bool) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), insert, [16]byte(personID(n)), int64(office), sex, birth, int16(presence), round, merged, erased, restricted); err != nil {
			t.Fatal(err)
		}
	}
	other := [16]byte(personID(99))
	add(1, east, 2, "1990-01-01", ledger.Inflow, 20261, nil, nil, false)
	add(2, east, 2, "1980-01-01", ledger.Here, 20262, nil, nil, false)
	add(3, east, 2, "1991-01-01", ledger.Inflow, 20262, nil, nil, false)
	add(4, east, 2, "1990-01-01", ledger.Inflow, 20263, nil, nil, false) // had this round
	add(5, east, 1, "1990-01-01", ledger.Inflow, 0, nil, nil, false)     // not in scope
	add(6, east, 2, "1950-01-01", ledger.Inflow, 0, nil, nil, false)     // not in scope
	add(7, east, 2, "1990-01-01", ledger.Outflow, 0, nil, nil, false)    // lives elsewhere
	add(8, east, 2, "1990-01-01", ledger.Inflow, 0, other, nil, false)   // merged
	add(9, east, 2, "1990-01-01", ledger.Inflow, 0, nil, noon, false)    // erased
	add(10, west, 2, "1990-01-01", ledger.Inflow, 0, nil, nil, false)    // another office's
	add(11, east, 2, "1990-01-01", ledger.Inflow, 0, nil, nil, true)     // restricted
	f := store.DueFilter{Office: east, Round: 20263, Sexes: []uint32{2}, FirstBirth: civil.MustParse("1976-11-21"), Birth: civil.MustParse("2011-11-20"), Limit: 2}
	desk(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		var got []cases.PersonID
		for q := f; ; {
			page, err := tx.OffersDue(ctx, q)
			if err != nil {
				return err
			}
			for _, m := range page {
				got = append(got, m.Person)
			}
			if len(page) < q.Limit {
				break
			}
			q.After = page[len(page)-1]
		}
		if d := cmp.Diff([]cases.PersonID{personID(1), personID(2), personID(3)}, got); d != "" {
			t.Errorf("due: %s", d)
		}
		for limit, want := range map[int]int{2: 2, 10: 3} {
			q := f
			q.Limit = limit
			if n, err := tx.CountOffersDue(ctx, q); n != want || err != nil {
				t.Errorf("count at most %d: %d, %v", limit, n, err)
			}
		}
		return nil
	})
	desk(t, db, []area.Key{west}, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.OffersDue(ctx, f)
		if len(got) != 0 {
			t.Error("another office sees who is due")
		}
		return err
	})
}
