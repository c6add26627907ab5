package store_test

import (
	"bytes"
	"context"
	"errors"
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

func TestLegs(t *testing.T) {
	db := storetest.New(t)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		if err := addLegs(ctx, tx, leg(1), leg(2)); err != nil {
			return err
		}
		again := leg(2)
		again.BodyKey = []byte("another")
		if n, err := tx.InsertLegs(ctx, []store.Leg{again, leg(3)}); n != 1 || err != nil {
			t.Errorf("%d new, %v", n, err)
		}
		got, err := tx.InsertNewLegs(ctx, []store.Leg{leg(3), leg(4)})
		if d := cmp.Diff(map[cases.CaseID]bool{caseID(4): true}, got); d != "" {
			t.Errorf("new: %s", d)
		}
		return err
	})
	want := map[cases.CaseID]store.Leg{caseID(1): leg(1), caseID(2): leg(2), caseID(3): leg(3), caseID(4): leg(4)}
	all := []cases.CaseID{caseID(3), caseID(1), caseID(2), caseID(4), caseID(9)}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.LockLegs(ctx, all)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("locked: %s", d)
		}
		return err
	})
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.EraseLegs(ctx, []cases.CaseID{caseID(2)}); err != nil {
			return err
		}
		got, err := tx.ReadLegs(ctx, all)
		if err == nil && (got[caseID(2)].BodyKey != nil || got[caseID(1)].BodyKey == nil) {
			t.Error("not the one key was destroyed")
		}
		return err
	})
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.CountCases(ctx)
		if n != 4 {
			t.Errorf("%d cases", n)
		}
		if err != nil {
			return err
		}
		var seen []cases.CaseID
		for after := (cases.CaseID{}); ; {
			page, err := tx.LegsAfter(ctx, after, 2)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			seen, after = append(seen, page...), page[len(page)-1]
		}
		for areas, want := range map[[2]area.Key]int{{area.Key(here)}: 4, {area.Key(third)}: 0, {area.Key(third), far}: 4, {east, far}: 4} {
			got, err := tx.LegsWithin(ctx, areas[:], cases.CaseID{}, 10)
			if err != nil {
				return err
			}
			if len(got) != want {
				t.Errorf("%d cases within %v, want %d", len(got), areas, want)
			}
		}
		sorted := cmpopts.SortSlices(func(a, b cases.CaseID) bool { return bytes.Compare(a[:], b[:]) < 0 })
		if d := cmp.Diff([]cases.CaseID{caseID(1), caseID(2), caseID(3), caseID(4)}, seen, sorted); d != "" {
			t.Errorf("pages: %s", d)
		}
		return nil
	})
}

// The second transaction must wait for the first and see what it wrote.
func TestLockLegsExcludes(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error { return addLegs(ctx, tx, leg(1)) })
	watch := connect(t, url)
	second := make(chan error, 1)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.LockLegs(ctx, []cases.CaseID{caseID(1)}); err != nil {
			return err
		}
		go func() {
			second <- db.InExchange(ctx, nil, func(tx *store.Tx) error {
				got, err := tx.LockLegs(ctx, []cases.CaseID{caseID(1)})
				if err == nil && got[caseID(1)].BodyKey != nil {
					t.Error("the second saw the key that the first destroyed")
				}
				return err
			})
		}()
		awaitBlocked(t, watch)
		return tx.EraseLegs(ctx, []cases.CaseID{caseID(1)})
	})
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestItems(t *testing.T) {
	db := storetest.New(t)
	receipt := item(3, 0)
	receipt.Case, receipt.Kind, receipt.Author = cases.CaseID{}, cases.Receipt, there
	bare := item(4, 1)
	bare.Body, bare.BodyHash = nil, []byte("hash")
	all := []store.StoredItem{item(1, 1), item(2, 2), receipt, bare}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error { return tx.InsertItems(ctx, all) })
	sorted := cmpopts.SortSlices(func(a, b store.StoredItem) bool { return bytes.Compare(a.ID[:], b.ID[:]) < 0 })
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Items(ctx, itemIDs(1, 2, 3, 4, 5))
		if d := cmp.Diff(all, got, sorted); d != "" {
			t.Errorf("read: %s", d)
		}
		if err != nil {
			return err
		}
		have, err := tx.HaveItems(ctx, itemIDs(2, 5))
		if d := cmp.Diff(map[cases.ItemID]bool{itemID(2): true}, have); d != "" {
			t.Errorf("have: %s", d)
		}
		if err != nil {
			return err
		}
		of, err := tx.CasesOfItems(ctx, itemIDs(1, 3, 4))
		if d := cmp.Diff([]cases.CaseID{caseID(1)}, of); d != "" {
			t.Errorf("cases: %s", d)
		}
		return err
	})
	err := db.InExchange(t.Context(), nil, func(tx *store.Tx) error {
		if err := tx.InsertItems(t.Context(), []store.StoredItem{item(2, 2)}); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `SELECT 1`) // sends what was queued
		if !store.IsDuplicate(err) {
			t.Errorf("a repeated id: %v", err)
		}
		return err
	})
	if !fault.Is(err, fault.KindConflict) {
		t.Errorf("a repeated id: %v", err)
	}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		return tx.EraseBodies(ctx, itemIDs(1, 4), [][]byte{[]byte("first"), nil})
	})
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Items(ctx, itemIDs(1, 4))
		gone := item(1, 1)
		gone.Body, gone.BodyHash = nil, []byte("first")
		if d := cmp.Diff([]store.StoredItem{gone, bare}, got, sorted); d != "" {
			t.Errorf("erased: %s", d)
		}
		return err
	})
}

func TestBareItems(t *testing.T) {
	db := storetest.New(t)
	bare := func(n int) store.StoredItem {
		it := item(n, 1)
		it.Body, it.BodyHash = nil, []byte("hash")
		return it
	}
	addShares(t, db, share(1, there), share(2, there), share(3, third))
	missing := func(want ...int) {
		t.Helper()
		exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.MissingBodies(ctx, there, 10)
			same(t, "missing", got, want...)
			return err
		})
	}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertItems(ctx, []store.StoredItem{bare(1), bare(2), bare(3)})
	})
	missing(1, 2)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.EraseBodies(ctx, itemIDs(2, 7), [][]byte{nil, nil}); err != nil { // 7 is not held yet
			return err
		}
		if err := tx.FillBody(ctx, itemID(1), []byte("body")); err != nil {
			return err
		}
		return tx.FillBody(ctx, itemID(2), []byte("body"))
	})
	missing()
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Items(ctx, itemIDs(1, 2))
		filled := bare(1)
		filled.Body, filled.BodyHash = []byte("body"), nil
		sorted := cmpopts.SortSlices(func(a, b store.StoredItem) bool { return a.Head[1] < b.Head[1] })
		if d := cmp.Diff([]store.StoredItem{filled, bare(2)}, got, sorted); d != "" {
			t.Errorf("items: %s", d)
		}
		if err != nil {
			return err
		}
		dead, err := tx.Tombstones(ctx, itemIDs(1, 2, 7))
		if d := cmp.Diff(map[cases.ItemID]bool{itemID(2): true, itemID(7): true}, dead); d != "" {
			t.Errorf("tombstones: %s", d)
		}
		return err
	})
}

// Rule 14: of the covers not written by the item's author, the smallest
// (held_at, id) decides the verdict, and the delivered time unless it stands
// aside.
func TestDecidingReceipt(t *testing.T) {
	hour := noon.Add(time.Hour)
	low, high := cases.ItemID{0: 1}, cases.ItemID{0: 2}
	for name, c := range map[string]struct {
		covers []store.Cover
		held   time.Time
		reason cases.Reject
	}{
		"none":              {},
		"the author's own":  {covers: []store.Cover{{Receipt: low, Author: here, HeldAt: noon, Reason: cases.NotHome}}},
		"the earliest":      {[]store.Cover{{Receipt: low, Author: there, HeldAt: hour, Reason: cases.NotHome}, {Receipt: high, Author: third, HeldAt: noon}}, noon, 0},
		"at once the least": {[]store.Cover{{Receipt: high, Author: there, HeldAt: noon}, {Receipt: low, Author: third, HeldAt: noon, Reason: cases.NotItsVerb}}, noon, cases.NotItsVerb},
		"delivered later":   {[]store.Cover{{Receipt: low, Author: there, HeldAt: noon, Reason: cases.NotHome, Aside: true}, {Receipt: high, Author: third, HeldAt: hour}}, hour, cases.NotHome},
		"not delivered":     {[]store.Cover{{Receipt: low, Author: there, HeldAt: noon, Aside: true}}, time.Time{}, 0},
		"beside the author": {[]store.Cover{{Receipt: low, Author: here, HeldAt: noon, Reason: cases.NotHome}, {Receipt: high, Author: there, HeldAt: hour, Reason: cases.UnknownKind}}, hour, cases.UnknownKind},
	} {
		t.Run(name, func(t *testing.T) {
			db := storetest.New(t)
			exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
				bare := item(2, 1)
				bare.Body, bare.BodyHash = nil, []byte("hash")
				if err := tx.InsertItems(ctx, []store.StoredItem{item(1, 1), bare}); err != nil {
					return err
				}
				for i := range c.covers {
					c.covers[i].Item = itemID(1)
				}
				if err := tx.InsertCovers(ctx, c.covers); err != nil {
					return err
				}
				return tx.InsertCovers(ctx, c.covers)
			})
			exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
				got, err := tx.CaseItems(ctx, []cases.CaseID{caseID(1), caseID(2)})
				want := map[cases.CaseID][]store.CaseItem{caseID(1): {
					{ID: itemID(1), Head: item(1, 1).Head, Held: c.held, Reason: c.reason},
					{ID: itemID(2), Head: item(2, 1).Head, Erased: true},
				}}
				opts := cmp.Options{cmpopts.IgnoreFields(store.CaseItem{}, "Stored"), cmpopts.IgnoreFields(store.Cover{}, "Aside"), cmpopts.EquateEmpty(),
					cmpopts.SortSlices(func(a, b store.CaseItem) bool { return a.Head[1] < b.Head[1] }),
					cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })}
				if d := cmp.Diff(want, got, opts); d != "" {
					t.Errorf("items: %s", d)
				}
				if err != nil {
					return err
				}
				covers, err := tx.CoversOf(ctx, itemIDs(1, 2))
				if d := cmp.Diff(c.covers, covers, opts, cmpopts.SortSlices(func(a, b store.Cover) bool { return bytes.Compare(a.Receipt[:], b.Receipt[:]) < 0 })); d != "" {
					t.Errorf("covers: %s", d)
				}
				return err
			})
		})
	}
}

func TestErrorRollsBack(t *testing.T) {
	db := storetest.New(t)
	want := fault.Conflict("TEST", "a rule of the caller")
	err := db.InDesk(t.Context(), []area.Key{east}, func(tx *store.Tx) error {
		if err := addLegs(t.Context(), tx, leg(1)); err != nil {
			return err
		}
		return want
	})
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.CountCases(ctx)
		if n != 0 {
			t.Errorf("%d cases stayed", n)
		}
		return err
	})
}
