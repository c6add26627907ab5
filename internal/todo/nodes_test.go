package todo_test

import (
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/harness"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
	"yipan/internal/todo"
)

// TestTwoNodes: what the other node sends makes a case wait, by clocks that
// differ.
func TestTwoNodes(t *testing.T) {
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	at := map[area.Key]*office{}
	for _, k := range []area.Key{origin, residence} {
		url := storetest.NewURL(t)
		s, err := w.AddSite(storetest.Open(t, url), k)
		if err != nil {
			t.Fatal(err)
		}
		at[k] = &office{TB: t, World: w, Site: s, raw: storetest.Raw(t, url)}
	}
	x, y := at[origin], at[residence]
	y.Skew = 50 * time.Minute // the residence's clock is fast
	settle := func() {
		t.Helper()
		if err := w.Settle(t.Context(), 30); err != nil {
			t.Fatal(err)
		}
	}
	id := x.open(1, there)
	y.waits(clerk(there))
	settle()
	y.waits(clerk(there), mark(todo.Pair, id))
	y.pair(there, id)
	y.answer(there, id, silent)
	x.waits(clerk(here))
	settle()
	x.waits(clerk(here), mark(todo.ReadAnswer, id))
	y.waits(clerk(there))
	ack := func() {
		t.Helper()
		x.n++
		_, err := x.Desk.AcknowledgeCase(t.Context(), clerk(here), desk.AcknowledgeRequest{RequestID: "acknowledge-" + x.request(), Ref: x.ref(here, id)})
		x.must(err)
		x.waits(clerk(here))
	}
	ack()
	x.must(w.State(t.Context(), 3)) // feedback waits for the nodes to agree
	for round := range uint32(3) {
		y.must(y.DB.InExchange(t.Context(), []area.Key{there}, func(tx *store.Tx) error {
			cs, err := y.Book.Load(t.Context(), tx, []cases.CaseID{id})
			if err != nil {
				return err
			}
			e := book.Entry{Case: cs[id], Head: cases.Head{Kind: cases.Feedback, Side: cases.SideReceiver, Round: 1, OfferRound: 20261 + round},
				Body: cases.Body{Feedback: &cases.FeedbackBody{}}, PadTo: 512}
			if _, err := y.Book.Author(t.Context(), tx, []book.Entry{e}); err != nil {
				return err
			}
			return y.Book.Project(t.Context(), tx, []*book.Case{cs[id]}, []area.Key{there})
		}))
		settle()
		if round == 1 {
			continue // the third arrives before the second was read
		}
		if e := x.waits(clerk(here), mark(todo.ReadFeedback, id))[0]; e.N != int64(1+round/2) {
			t.Errorf("round %d: %d feedbacks to read", round, e.N)
		}
		y.waits(clerk(there))
		ack()
	}
	// Statements bring nothing to read twice.
	x.must(w.State(t.Context(), 2))
	x.waits(clerk(here))
	y.waits(clerk(there))
}
