package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

var instants = cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })

// computed are the members that the database computes; the to-do list's tests
// are about them.
var computed = cmpopts.IgnoreFields(store.Side{}, "Todo", "TodoAt")

func full(n int, office area.Key) store.Side {
	at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	return store.Side{Case: caseID(n), Office: office, Side: cases.SideReceiver, Kind: cases.Inflow, X: far, Y: east, Status: 2, Waiting: 2,
		Round: 3, OpenedAt: at(0), RoundAt: at(1), DeliveredAt: at(2), DueAt: at(3), AnsweredAt: at(4), AnswerHeld: at(5), WithdrawnAt: at(6),
		ClosedAt: at(7), Reroute: west, ReroutedAt: at(8), Assigned: east, AssignedAt: at(9), Version: 1<<63 + 5, Flags: 3,
		Parent: caseID(77), Hops: 2, Person: personID(5), ReqHash: -9}
}

func TestSides(t *testing.T) {
	db := storetest.New(t)
	offices := []area.Key{east, west}
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertSides(ctx, []store.Side{full(1, east), side(1, west), side(2, east)})
	})
	get := func(ids ...int) (out []store.Side) {
		t.Helper()
		desk(t, db, offices, func(ctx context.Context, tx *store.Tx) (err error) {
			list := make([]cases.CaseID, len(ids))
			for i, n := range ids {
				list[i] = caseID(n)
			}
			out, err = tx.SidesOf(ctx, list)
			return err
		})
		slices.SortFunc(out, func(a, b store.Side) int { return int(a.Office - b.Office) })
		return out
	}
	if d := cmp.Diff([]store.Side{full(1, east), side(1, west)}, get(1), instants, computed); d != "" {
		t.Errorf("inserted: %s", d)
	}
	err := db.InDesk(t.Context(), offices, func(tx *store.Tx) error { return tx.InsertSides(t.Context(), []store.Side{side(2, east)}) })
	if !fault.Is(err, fault.KindConflict) {
		t.Errorf("a side that stands: %v", err)
	}

	// A projection leaves private facts alone.
	put := side(1, east)
	put.Side, put.X, put.Y = cases.SideReceiver, far, east
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.TouchSides(ctx, []store.Side{{Case: caseID(1), Office: east, Private: []byte("private")}}); err != nil {
			return err
		}
		if err := tx.MarkSeen(ctx, caseID(1), east, noon, 2); err != nil {
			return err
		}
		return tx.PutSides(ctx, []store.Side{put, side(3, west)})
	})
	stands := put
	stands.Person, stands.ReqHash, stands.Rev, stands.Private = personID(5), -9, 2, []byte("private")
	stands.SeenAt, stands.SeenFeedback = noon, 2
	if d := cmp.Diff([]store.Side{stands, side(1, west)}, get(1), instants, computed); d != "" {
		t.Errorf("put: %s", d)
	}
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.TouchSides(ctx, []store.Side{{Case: caseID(1), Office: east, Person: personID(6)}}); err != nil {
			return err
		}
		of, err := tx.SidesOfPerson(ctx, personID(6))
		stands.Person, stands.Rev = personID(6), 3
		if d := cmp.Diff([]store.Side{stands}, of, instants, computed); d != "" {
			t.Errorf("of the person: %s", d)
		}
		return err
	})

	receiver := full(4, east)
	exchange(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		moved := full(4, west)
		if err := tx.PutSides(ctx, []store.Side{receiver, moved, side(4, far)}[:2]); err != nil {
			return err
		}
		return tx.DropOtherReceivers(ctx, caseID(4), west)
	})
	if got := get(4); len(got) != 1 || got[0].Office != west {
		t.Errorf("given to the other township: %v", got)
	}
}

func TestErasures(t *testing.T) {
	db := storetest.New(t)
	var sides []store.Side
	for n, c := range []struct {
		status cases.Status
		side   cases.Side
		at     time.Time
	}{{3, 2, noon}, {3, 2, noon.Add(time.Hour)}, {3, 1, noon}, {2, 2, noon}} {
		s := full(n, east)
		s.Status, s.Side, s.ReroutedAt = c.status, c.side, c.at
		sides = append(sides, s)
	}
	exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error { return tx.PutSides(ctx, sides) })
	due := func(want ...cases.CaseID) {
		t.Helper()
		exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.DueErasures(ctx, noon.Add(time.Minute), 10)
			var ids []cases.CaseID
			for _, s := range got {
				ids = append(ids, s.Case)
			}
			if d := cmp.Diff(want, ids); d != "" {
				t.Errorf("due: %s", d)
			}
			return err
		})
	}
	due(caseID(0))
	exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.MarkErased(ctx, []cases.CaseID{caseID(0), caseID(2)}, noon); err != nil {
			return err
		}
		got, err := tx.SidesOf(ctx, []cases.CaseID{caseID(0), caseID(2)})
		for _, s := range got {
			if gone := s.Side == cases.SideReceiver; s.ErasedAt.IsZero() == gone || s.Person.IsZero() != gone {
				t.Errorf("side %d: erased %v, person %v", s.Side, s.ErasedAt, s.Person)
			}
		}
		return err
	})
	due()
}

func TestListSides(t *testing.T) {
	db := storetest.New(t)
	offices := []area.Key{east, west}
	var all []store.Side
	for n := range 30 {
		s := side(n, offices[n%2])
		if n%5 != 0 { // others are not delivered
			s.DueAt = noon.AddDate(0, 0, n/6) // several at once
		}
		s.Kind, s.Status, s.Waiting, s.Side = cases.Kind(n%3+1), cases.Status(n%4+1), uint8(n%2+1), cases.Side(n%2+1)
		if n%4 == 0 {
			s.Assigned, s.AssignedAt = east, noon
		}
		s.X, s.Y = []area.Key{east, far}[n%2], []area.Key{far, east}[n%2]
		all = append(all, s)
	}
	both := side(0, west) // both sides of one case are of this caller's offices
	both.Side = cases.SideReceiver
	all = append(all, both)
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error { return tx.InsertSides(ctx, all) })
	last := noon.AddDate(1, 0, 0)
	order := func(s store.Side) string {
		due := s.DueAt
		if due.IsZero() {
			due = last
		}
		return fmt.Sprintf("%020d %x %d", due.Unix(), s.Case, s.Office)
	}
	for name, c := range map[string]struct {
		f    store.SideFilter
		keep func(store.Side) bool
	}{
		"all":         {store.SideFilter{}, func(store.Side) bool { return true }},
		"one office":  {store.SideFilter{Offices: []area.Key{west}}, func(s store.Side) bool { return s.Office == west }},
		"other's":     {store.SideFilter{Offices: []area.Key{far}}, func(s store.Side) bool { return false }},
		"kind":        {store.SideFilter{Kind: 2}, func(s store.Side) bool { return s.Kind == 2 }},
		"states":      {store.SideFilter{States: []cases.Status{1, 3}}, func(s store.Side) bool { return s.Status == 1 || s.Status == 3 }},
		"side":        {store.SideFilter{Side: 2}, func(s store.Side) bool { return s.Side == 2 }},
		"waiting":     {store.SideFilter{Waiting: 1}, func(s store.Side) bool { return s.Waiting == 1 }},
		"due":         {store.SideFilter{DueBefore: noon.AddDate(0, 0, 2)}, func(s store.Side) bool { return !s.DueAt.IsZero() && s.DueAt.Before(noon.AddDate(0, 0, 2)) }},
		"counterpart": {store.SideFilter{Counterpart: far}, func(s store.Side) bool { return s.Office != west || s.Side == 2 && s.X == far }},
		"its county":  {store.SideFilter{Counterpart: area.Key(there)}, func(s store.Side) bool { return s.Office != west || s.Side == 2 && s.X == far }},
		"unassigned":  {store.SideFilter{Unassigned: true}, func(s store.Side) bool { return s.Assigned == 0 }},
		"no such":     {store.SideFilter{Counterpart: area.Key(third)}, func(s store.Side) bool { return false }},
	} {
		var want []store.Side
		for _, s := range all {
			if c.keep(s) {
				want = append(want, s)
			}
		}
		slices.SortFunc(want, func(a, b store.Side) int { return cmpStrings(order(a), order(b)) })
		for _, size := range []int{1, 4, 100} {
			t.Run(fmt.Sprintf("%s by %d", name, size), func(t *testing.T) {
				f := c.f
				f.Limit = size
				if f.Offices == nil {
					f.Offices = offices
				}
				var got []store.Side
				desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
					for len(got) <= len(all) {
						page, err := tx.ListSides(ctx, f)
						if err != nil || len(page) == 0 {
							return err
						}
						got = append(got, page...)
						end := page[len(page)-1]
						f.After, f.AfterDue, f.AfterCase, f.AfterOffice = true, end.DueAt, end.Case, end.Office
					}
					return fmt.Errorf("pages never end")
				})
				if d := cmp.Diff(want, got, instants, computed, cmpopts.EquateEmpty()); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

func cmpStrings(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func TestRoundFacts(t *testing.T) {
	db := storetest.New(t)
	day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	now := full(1, east)
	now.DueAt = day(10)
	earlier := full(1, east)
	earlier.Round, earlier.DueAt, earlier.AnsweredAt = 1, day(2), time.Time{}
	undelivered, others := side(2, east), full(3, west)
	others.DueAt = day(2)
	exchange(t, db, []area.Key{east, west}, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutSides(ctx, []store.Side{now, undelivered, others}); err != nil {
			return err
		}
		first := earlier
		first.AnsweredAt = day(1)
		if err := tx.PutRounds(ctx, []store.Side{first}); err != nil {
			return err
		}
		return tx.PutRounds(ctx, []store.Side{earlier})
	})
	fact := func(s store.Side, waiting uint8) store.RoundFact {
		return store.RoundFact{Office: s.Office, Side: s.Side, Kind: s.Kind, X: s.X, Y: s.Y, Round: s.Round, Waiting: waiting, RoundAt: s.RoundAt,
			DeliveredAt: s.DeliveredAt, DueAt: s.DueAt, AnsweredAt: s.AnsweredAt, WithdrawnAt: s.WithdrawnAt, ClosedAt: s.ClosedAt,
			Reroute: s.Reroute, ReroutedAt: s.ReroutedAt}
	}
	for name, c := range map[string]struct {
		offices  []area.Key
		side     cases.Side
		from, to time.Time
		want     []store.RoundFact
	}{
		"both rounds":  {[]area.Key{east}, 0, day(0), day(30), []store.RoundFact{fact(earlier, 0), fact(now, now.Waiting)}},
		"the end":      {[]area.Key{east}, 0, day(2), day(10), []store.RoundFact{fact(now, now.Waiting)}},
		"the start":    {[]area.Key{east}, 0, day(1), day(2), []store.RoundFact{fact(earlier, 0)}},
		"other side":   {[]area.Key{east}, cases.SideOpener, day(0), day(30), nil},
		"both offices": {[]area.Key{east, west}, cases.SideReceiver, day(0), day(2), []store.RoundFact{fact(earlier, 0), fact(others, others.Waiting)}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []store.RoundFact
			err := db.InCounts(t.Context(), []area.Key{east, west}, func(tx *store.Tx) error {
				return tx.RoundFacts(t.Context(), c.offices, c.side, c.from, c.to, func(f store.RoundFact) error { got = append(got, f); return nil })
			})
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(got, func(a, b store.RoundFact) int {
				if a.Office != b.Office {
					return int(a.Office - b.Office)
				}
				return int(a.Round) - int(b.Round)
			})
			if d := cmp.Diff(c.want, got, instants); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestUndeliveredByReceiver(t *testing.T) {
	db := storetest.New(t)
	delivered, answered, received := side(2, east), side(3, east), side(4, east)
	delivered.DeliveredAt, answered.Status, received.Side = noon, cases.Status(2), cases.SideReceiver
	exchange(t, db, []area.Key{east, west}, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutSides(ctx, []store.Side{side(1, east), delivered, answered, received, side(5, west)})
	})
	err := db.InCounts(t.Context(), []area.Key{east}, func(tx *store.Tx) error {
		got, err := tx.UndeliveredByReceiver(t.Context())
		if d := cmp.Diff(map[area.Key]int64{far: 1}, got); d != "" {
			t.Errorf("undelivered: %s", d)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
