package todo_test

import (
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/store"
	"yipan/internal/todo"
)

// TestWhatCannotBeDoneWaitsNoMore: proposals of which a file was merged or erased
// since, and approvals that cannot be given any more or about somebody erased,
// are on no list and in no count.
func TestWhatCannotBeDoneWaitsNoMore(t *testing.T) {
	o := newOffice(t)
	var who []cases.PersonID
	for i := range 5 {
		who = append(who, o.register(here, i, name(i)))
	}
	in := func(fn func(*store.Tx) error) {
		t.Helper()
		o.must(o.DB.InDesk(t.Context(), []area.Key{here}, fn))
	}
	asked := o.Clock.Now()
	in(func(tx *store.Tx) error {
		for i, about := range []cases.PersonID{who[0], who[2]} {
			a := store.Approval{ID: [16]byte{byte(i + 1)}, Office: here, Kind: store.ApproveDestination, About: about, Detail: residence, AskedBy: "another", AskedAt: asked}
			if err := tx.AskApproval(t.Context(), a); err != nil {
				return err
			}
		}
		return tx.ProposeDuplicates(t.Context(), []store.Duplicate{
			{A: who[0], B: who[1], Office: here, Score: 70}, {A: who[1], B: who[2], Office: here, Score: 70}, {A: who[1], B: who[3], Office: here, Score: 70},
		})
	})
	count := func() (n [2]int64) {
		t.Helper()
		for i, k := range []todo.Kind{todo.Duplicate, todo.Approve} {
			counts, err := o.Todo.Counts(t.Context(), clerk(here), 0)
			o.must(err)
			for _, c := range counts {
				if c.Kind == k {
					n[i] = c.N
				}
			}
			if listed := int64(len(o.list(clerk(here), k))); listed != n[i] {
				t.Errorf("kind %d: %d listed, %d counted", k, listed, n[i])
			}
		}
		return n
	}
	if n := count(); n != [2]int64{3, 2} {
		t.Fatalf("at first %v wait", n)
	}
	in(func(tx *store.Tx) error { return tx.MergeInto(t.Context(), who[3], who[4], true) })
	o.must(o.DB.InExchange(t.Context(), []area.Key{here}, func(tx *store.Tx) error { return o.Book.ErasePerson(t.Context(), tx, here, who[2]) }))
	if n := count(); n != [2]int64{1, 1} {
		t.Errorf("with one merged and one erased %v wait", n)
	}
	o.Clock.Add(desk.ApprovalLasts - o.Clock.Now().Sub(asked) + time.Hour)
	if n := count(); n != [2]int64{1, 0} {
		t.Errorf("a week later %v wait", n)
	}
}
