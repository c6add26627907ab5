package moves_test

import (
	"fmt"
	"slices"
	"testing"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/moves"
)

func noted(r moves.Result) string {
	var s []string
	for _, c := range r.Cases {
		s = append(s, c.Change)
	}
	slices.Sort(s)
	return fmt.Sprint(s)
}

// What becomes of the notices about a person, waiting or answered, at each of the
// person's events.
func TestCasesFollow(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		for i, c := range []struct {
			name     string
			from     area.Key // where the notice is opened: here outflow, there inflow
			answered bool
			kind     ledger.MovementKind
			to       area.Key
			status   cases.Status
			want     string
		}{
			{"away again, waiting", here, false, ledger.MoveOn, places[0], cases.StatusWithdrawn, "[opened withdrawn]"},
			{"away again, answered", here, true, ledger.MoveOn, places[0], cases.StatusClosed, "[closed opened]"},
			{"back, waiting", here, false, ledger.Return, 0, cases.StatusWithdrawn, "[withdrawn]"},
			{"back, answered", here, true, ledger.Return, 0, cases.StatusClosed, "[closed]"},
			{"moved on, waiting", there, false, ledger.MoveOn, places[0], cases.StatusWithdrawn, "[withdrawn]"},
			{"moved on, answered", there, true, ledger.MoveOn, places[0], cases.StatusClosed, "[closed]"},
			{"went home", there, true, ledger.Return, 0, cases.StatusClosed, "[closed]"},
			{"register moved away, waiting", here, false, ledger.Transfer, places[0], cases.StatusWithdrawn, "[withdrawn]"},
			{"register moved away, answered", here, true, ledger.Transfer, places[0], cases.StatusClosed, "[closed]"},
			{"register moved elsewhere, waiting", there, false, ledger.Transfer, places[0], cases.StatusWithdrawn, "[opened withdrawn]"},
			{"register moved elsewhere, answered", there, true, ledger.Transfer, places[0], cases.StatusClosed, "[closed opened]"},
			{"register moved to the residence", there, true, ledger.Transfer, there, cases.StatusClosed, "[closed]"},
			{"renamed, waiting", here, false, ledger.Identity, 0, cases.StatusOpen, "[corrected]"},
			{"renamed, answered", here, true, ledger.Identity, 0, cases.StatusAnswered, "[]"},
			{"renamed at the residence", there, false, ledger.Identity, 0, cases.StatusOpen, "[corrected]"},
			{"died, waiting", here, false, ledger.Death, 0, cases.StatusWithdrawn, "[withdrawn]"},
			{"died, answered", here, true, ledger.Death, 0, cases.StatusClosed, "[closed]"},
			{"died at the residence", there, false, ledger.Death, 0, cases.StatusWithdrawn, "[withdrawn]"},
		} {
			other, first := there, b.input(here, ledger.Leave, i, "2026-11-01", there)
			in := desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}
			if c.from == there {
				other, first = here, b.input(there, ledger.Arrive, i, "2026-11-01", 0)
				in = desk.AnswerInput{Outcome: cases.Confirmed}
			}
			r := b.move(first)
			if c.answered {
				b.answer(other, r.Movement.Case, in)
			}
			then := b.of(r, c.kind, "2026-11-10", c.to)
			if c.kind == ledger.Identity {
				then.Profile = &ledger.Profile{Name: "测试乙", Documents: []ledger.Document{{Number: number(500 + i)}}}
			}
			got := b.move(then)
			if noted(got) != c.want {
				t.Errorf("%s: %s, want %s", c.name, noted(got), c.want)
			}
			for _, o := range []area.Key{here, there} {
				v := b.status(o, r.Movement.Case, c.status)
				if c.kind == ledger.Identity && !c.answered && o == c.from {
					if f := v.Fields; f.Name != "测试乙" || f.DocumentNumber != number(500+i) || f.Basis.Kind != cases.BasisRequest {
						t.Errorf("%s: corrected fields are not the person's", c.name)
					}
				}
			}
			if c.kind == ledger.Identity && c.answered && len(got.Warnings) == 0 {
				t.Errorf("%s: nothing said of the answered notice", c.name)
			}
			if c.kind == ledger.Transfer && c.from == there && c.to == places[0] {
				if v := b.get(there, got.Movement.Case); v.Kind != cases.Inflow || v.Y != places[0] {
					t.Errorf("%s: new notice %v to %s", c.name, v.Kind, v.Y)
				}
			}
		}
	})
}

// A received notice whose person left is closed only where the person confirmed
// and still lets be confirmed; else the origin sees nothing (SECURITY D1). Death
// leaves received notices to the clerk.
func TestReceivedStays(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		notice := func(i int, out desk.AnswerInput, confirm bool) (cases.CaseID, moves.Result) {
			in := b.input(here, ledger.Leave, i, "2026-11-01", there)
			if confirm {
				in.Confirm = b.consent(here, i, ledger.PurposeConfirm, there)
			}
			left := b.move(in)
			a := b.accept(there, left.Movement.Case, nil)
			b.answer(there, left.Movement.Case, out)
			return left.Movement.Case, a.Result
		}
		residing := desk.AnswerInput{Outcome: cases.Residing, Check: "visit"}
		id, who := notice(1, residing, true)
		if got := b.move(b.of(who, ledger.MoveOn, "2026-11-10", 0)); noted(got) != "[closed]" {
			t.Errorf("confirmed: %s", noted(got))
		}
		b.status(here, id, cases.StatusClosed)
		id, who = notice(2, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}, true)
		if got := b.move(b.of(who, ledger.MoveOn, "2026-11-10", 0)); noted(got) != "[]" {
			t.Errorf("declined: %s", noted(got))
		}
		b.status(here, id, cases.StatusAnswered)
		id, who = notice(3, residing, false) // left as NO_DISCLOSURE
		if got := b.move(b.of(who, ledger.MoveOn, "2026-11-10", 0)); noted(got) != "[]" {
			t.Errorf("not asked: %s", noted(got))
		}
		b.status(here, id, cases.StatusAnswered)
		id, who = notice(4, residing, true)
		cs, err := b.site(here).Desk.ListConsents(b.Context(), clerk(here), here, desk.PersonRef{Document: number(4)}, "test")
		if err != nil || len(cs) != 1 {
			t.Fatal(cs, err)
		}
		if _, _, err := b.site(here).Desk.WithdrawConsent(b.Context(), clerk(here), b.request(), cs[0].ID); err != nil {
			t.Fatal(err)
		}
		b.settle()
		if got := b.move(b.of(who, ledger.MoveOn, "2026-11-10", 0)); noted(got) != "[]" {
			t.Errorf("withdrawn: %s", noted(got))
		}
		b.status(here, id, cases.StatusAnswered)
		id, who = notice(5, residing, true)
		if got := b.move(b.of(who, ledger.Death, "2026-11-10", 0)); noted(got) != "[]" {
			t.Errorf("died: %s", noted(got))
		}
		b.status(here, id, cases.StatusAnswered)
	})
}

func TestUndo(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		undo := func(r moves.Result) (moves.Result, error) {
			out, err := b.site(r.Movement.Office).Moves.Undo(b.Context(), clerk(r.Movement.Office), moves.Undo{RequestID: b.request(), Movement: r.Movement.ID, Reason: "录入有误"})
			b.settle()
			return out, err
		}
		left := b.move(b.input(here, ledger.Leave, 1, "2026-11-01", there))
		got, err := undo(left)
		if err != nil || noted(got) != "[withdrawn]" || got.Movement.UndoneAt.IsZero() {
			t.Fatalf("undone: %+v %v", got, err)
		}
		b.is(left, ledger.Here, here)
		b.status(there, left.Movement.Case, cases.StatusWithdrawn)
		// Once more, answered this time.
		left = b.move(b.of(left, ledger.Leave, "2026-11-02", there))
		b.answer(there, left.Movement.Case, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"})
		back := b.move(b.of(left, ledger.Return, "2026-11-05", 0))
		if got, err = undo(back); err != nil || noted(got) != "[]" || len(got.Warnings) != 1 {
			t.Errorf("return undone: %+v %v", got, err)
		}
		b.is(left, ledger.Outflow, there)

		home := b.move(b.input(there, ledger.Arrive, 2, "2026-11-02", 0))
		moved := b.move(b.of(home, ledger.Transfer, "2026-11-03", there))
		b.is(moved, ledger.Here, there)
		_, err = undo(home)
		if err != nil {
			t.Errorf("arrival before a transfer: %v", err)
		}
		left = b.move(b.of(moved, ledger.Leave, "2026-11-04", places[0]))
		_, err = undo(moved)
		refused(t, err, fault.KindConflict, "LATER_MOVEMENT", "movement_id")
		if _, err = undo(left); err != nil {
			t.Error(err)
		}
		if _, err = undo(moved); err != nil {
			t.Error(err)
		}
		if p := b.row(there, home.Movement.Person); p.Registered != here {
			t.Errorf("registered at %s", p.Registered)
		}
		died := b.move(b.input(there, ledger.Arrive, 3, "2026-11-02", 0))
		died = b.move(b.of(died, ledger.Death, "2026-11-03", 0))
		b.is(died, ledger.Dead, 0)
		if _, err = undo(died); err != nil {
			t.Error(err)
		}
		b.is(died, ledger.Inflow, there)
		_, err = b.site(here).Moves.Undo(b.Context(), clerk(here), moves.Undo{RequestID: b.request(), Movement: ledger.MovementID{1}, Reason: "录入有误"})
		refused(t, err, fault.KindNotFound, "MOVEMENT_NOT_FOUND", "movement_id")
		_, err = b.site(here).Moves.Undo(b.Context(), clerk(here), moves.Undo{RequestID: b.request(), Movement: ledger.MovementID{1}})
		refused(t, err, fault.KindInvalid, "REQUIRED", "reason")
	})
}

// Documents and names of before still find the person.
func TestIdentity(t *testing.T) {
	b := newBureau(t, true)
	r := b.move(b.input(here, ledger.Leave, 1, "2026-11-01", there))
	in := b.of(r, ledger.Identity, "2026-11-05", 0)
	in.Profile = &ledger.Profile{Name: "测试乙", Documents: []ledger.Document{{Number: number(900)}}}
	b.move(in)
	for _, n := range []string{number(1), number(900)} {
		in := b.input(here, ledger.MoveOn, 0, "2026-11-06", beside)
		in.Profile = &ledger.Profile{Name: "测试乙", Documents: []ledger.Document{{Kind: ident.KindAuto, Number: n}}}
		in.On = in.On.AddDays(len(n) % 2)
		got := b.move(in)
		if got.Movement.Person != r.Movement.Person {
			t.Errorf("another person by the %s number", map[bool]string{true: "former", false: "new"}[n == number(1)])
		}
	}
}
