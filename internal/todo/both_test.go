package todo_test

import (
	"testing"

	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/todo"
)

// TestBothSides: who works for both offices of a case notes what one of them
// reads, and puts that back.
func TestBothSides(t *testing.T) {
	o := newOffice(t)
	p := clerk(there, here)
	id := o.open(1, there)
	o.answer(there, id, silent)
	o.waits(p, mark(todo.ReadAnswer, id))
	plan, err := o.Todo.Preview(t.Context(), p, todo.PreviewRequest{Office: here, Action: todo.Acknowledge})
	o.must(err)
	action, done, err := o.Todo.Apply(t.Context(), p, o.request(), plan.Token)
	if err != nil || len(done) != 1 || done[0].Reason != "" {
		t.Fatalf("%+v, %v", done, err)
	}
	o.waits(p)
	undone, err := o.Todo.Undo(t.Context(), p, o.request(), action)
	if err != nil || len(undone) != 1 || undone[0].Reason != "" {
		t.Fatalf("%+v, %v", undone, err)
	}
	o.waits(p, mark(todo.ReadAnswer, id))
	// Whoever acts on an answer has read it.
	_, err = o.Desk.Close(t.Context(), clerk(here), desk.ChangeRequest{RequestID: o.request(), Ref: o.ref(here, id), Reason: "x"})
	o.must(err)
	o.waits(p)

	other := o.open(2, there)
	o.answer(there, other, desk.AnswerInput{Outcome: cases.Misrouted, Area: origin})
	o.waits(clerk(here), mark(todo.Reroute, other))
	v, err := o.Desk.Reroute(t.Context(), clerk(here), desk.RerouteRequest{RequestID: o.request(), Ref: o.ref(here, other), Destination: beside})
	o.must(err)
	o.waits(clerk(here))
	o.waits(clerk(beside), mark(todo.Pair, v.ID))
}
