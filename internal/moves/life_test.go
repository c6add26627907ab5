package moves_test

import (
	"slices"
	"testing"

	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/moves"
)

// A person leaves, is accepted and confirmed, moves on, and returns.
func TestLife(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		left := b.input(here, ledger.Leave, 1, "2026-11-01", there)
		left.Confirm = b.consent(here, 1, ledger.PurposeConfirm, there)
		// The consent registered the person; the file says no place yet.
		nowhere := left
		nowhere.Profile = profile(1, 0, 0)
		_, err := b.try(nowhere)
		refused(t, err, fault.KindConflict, "NOT_REGISTERED_HERE", "kind")
		left.RequestID = b.request()
		r := b.move(left)
		if r.Movement.Case.IsZero() || r.Movement.Stayed != "" || !slices.Equal(r.Cases, []ledger.NotedCase{{Case: r.Movement.Case, Change: "opened"}}) {
			t.Fatalf("left: %+v", r)
		}
		b.is(r, ledger.Outflow, there)
		if want := day("2026-12-01"); r.Movement.DueOn != want {
			t.Errorf("due on %s, want %s", r.Movement.DueOn, want)
		}
		id := r.Movement.Case
		b.status(there, id, cases.StatusOpen)

		pre, err := b.site(there).Moves.Prefill(b.Context(), clerk(there), id, "转入台帐")
		if err != nil || len(pre.Movement.Profile.Contacts) != 1 {
			t.Fatalf("%+v %v", pre.Movement, err)
		}
		if m := pre.Movement; m.Kind != ledger.Arrive || m.From != here || m.To != there || m.Profile.Documents[0].Number != number(1) || m.Profile.Registered != here || m.On != day("2026-11-01") {
			t.Errorf("prefilled %+v", m)
		}
		in := pre.Movement
		in.On = day("2026-11-03")
		a := b.accept(there, id, &in)
		if a.Result.Movement.Stayed != ledger.StayedNoticeExists || a.Result.Movement.Kind != ledger.Arrive || !a.Result.Movement.Case.IsZero() {
			t.Errorf("accepted: %+v", a)
		}
		b.is(a.Result, ledger.Inflow, there)
		if v := b.get(there, id); !v.Paired || v.Etag != a.Etag {
			t.Errorf("case after acceptance: paired %v, etag %s, answer said %s", v.Paired, v.Etag, a.Etag)
		}
		b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing, Check: "visit"})
		b.status(here, id, cases.StatusAnswered)

		on := b.move(b.of(a.Result, ledger.MoveOn, "2026-11-10", places[0]))
		if on.Movement.Stayed != "" || !on.Movement.Case.IsZero() || !slices.Equal(on.Cases, []ledger.NotedCase{{Case: id, Change: "closed"}}) {
			t.Errorf("moved on: %+v", on)
		}
		b.is(on, ledger.Gone, places[0])
		if v := b.status(here, id, cases.StatusClosed); v.Answer.Outcome != cases.Residing {
			t.Errorf("answer %v", v.Answer.Outcome)
		}

		back := b.move(b.of(r, ledger.Return, "2026-11-15", 0))
		b.is(back, ledger.Here, here)
		if back.Movement.From != there || back.Movement.To != here || len(back.Cases) != 0 {
			t.Errorf("back: %+v", back)
		}
		list, err := b.site(here).Moves.List(b.Context(), clerk(here), r.Movement.Person, "test")
		if err != nil {
			t.Fatal(err)
		}
		var kinds []ledger.MovementKind
		for _, m := range list {
			kinds = append(kinds, m.Kind)
		}
		if !slices.Equal(kinds, []ledger.MovementKind{ledger.Leave, ledger.Return}) || list[0].Case != id {
			t.Errorf("list %v", kinds)
		}
	})
}

// The residence registers first: the origin accepts the inflow notice, and where
// both filed before they met, accepting only pairs.
func TestInflowAccepted(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		r := b.move(b.input(there, ledger.Arrive, 1, "2026-11-05", 0))
		b.is(r, ledger.Inflow, there)
		v := b.status(here, r.Movement.Case, cases.StatusOpen)
		if v.Kind != cases.Inflow || v.Side != cases.SideReceiver {
			t.Fatalf("origin sees %+v", v)
		}
		pre, err := b.site(here).Moves.Prefill(b.Context(), clerk(here), r.Movement.Case, "转入台帐")
		if err != nil || len(pre.Movement.Profile.Contacts) != 1 || pre.Movement.Profile.Contacts[0].Value != phone || pre.Movement.Kind != ledger.Leave {
			t.Errorf("prefilled %+v %v", pre.Movement, err)
		}
		a := b.accept(here, r.Movement.Case, nil)
		if a.Result.Movement.Kind != ledger.Leave || a.Result.Movement.To != there || a.Result.Movement.Stayed != ledger.StayedNoticeExists {
			t.Errorf("accepted %+v", a.Result)
		}
		b.is(a.Result, ledger.Outflow, there)
		if !b.get(here, r.Movement.Case).Paired {
			t.Error("not paired")
		}

		// Filed without basis on one side, noticed by the other.
		quiet := b.input(here, ledger.Leave, 2, "2026-11-01", there)
		quiet.Basis = desk.BasisInput{}
		q := b.move(quiet)
		r2 := b.move(b.input(there, ledger.Arrive, 2, "2026-11-05", 0))
		a2 := b.accept(here, r2.Movement.Case, nil)
		if a2.Result.Movement.ID != q.Movement.ID || len(a2.Result.Warnings) == 0 {
			t.Errorf("accepted again: %+v", a2.Result)
		}
		if !b.get(here, r2.Movement.Case).Paired {
			t.Error("not paired")
		}
	})
}

// The origin's notice waits unpaired; the residence registers the arrival by
// itself: the notice pairs and no second one leaves.
func TestOneSideWithoutCard(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		left := b.move(b.input(here, ledger.Leave, 1, "2026-11-01", there))
		if _, err := b.site(there).Desk.PairOpen(b.Context()); err != nil {
			t.Fatal(err)
		}
		r := b.move(b.input(there, ledger.Arrive, 1, "2026-11-05", 0))
		if r.Movement.Stayed != ledger.StayedNoticeExists || !r.Movement.Case.IsZero() {
			t.Errorf("arrival: %+v", r.Movement)
		}
		if !b.get(there, left.Movement.Case).Paired {
			t.Error("the waiting notice did not pair")
		}
	})
}

func TestRepeatedRequest(t *testing.T) {
	b := newBureau(t, true)
	in := b.input(here, ledger.Leave, 1, "2026-11-01", there)
	first := b.move(in)
	again := b.move(in)
	if !again.Repeated || again.Movement.ID != first.Movement.ID || again.Movement.Case != first.Movement.Case || !slices.Equal(again.Cases, first.Cases) || !slices.Equal(again.Warnings, first.Warnings) {
		t.Errorf("again %+v, first %+v", again, first)
	}
	in.On = day("2026-11-02")
	_, err := b.try(in)
	refused(t, err, fault.KindConflict, "REQUEST_ID_REUSED", "request_id")

	acc := moves.Accept{RequestID: b.request(), Ref: desk.CaseRef{Case: first.Movement.Case, Etag: b.get(there, first.Movement.Case).Etag}}
	m := b.site(there).Moves
	a, err := m.Accept(t.Context(), clerk(there), acc)
	if err != nil {
		t.Fatal(err)
	}
	a2, err := m.Accept(t.Context(), clerk(there), acc)
	if err != nil || !a2.Result.Repeated || a2.Result.Movement.ID != a.Result.Movement.ID || a2.Etag != a.Etag {
		t.Errorf("accepted again: %+v %v, first %+v", a2, err, a)
	}
	// Paired meanwhile is no change; answered is.
	acc.RequestID = b.request()
	if a2, err = m.Accept(t.Context(), clerk(there), acc); err != nil || a2.Result.Movement.ID != a.Result.Movement.ID {
		t.Errorf("accepted after pairing: %+v %v", a2, err)
	}
	b.answer(there, acc.Ref.Case, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"})
	acc.RequestID = b.request()
	_, err = m.Accept(t.Context(), clerk(there), acc)
	refused(t, err, fault.KindConflict, "ETAG_STALE", "etag")

	u := moves.Undo{RequestID: b.request(), Movement: first.Movement.ID, Reason: "录入有误"}
	r, err := b.site(here).Moves.Undo(t.Context(), clerk(here), u)
	if err != nil {
		t.Fatal(err)
	}
	r2, err := b.site(here).Moves.Undo(t.Context(), clerk(here), u)
	if err != nil || !r2.Repeated || !slices.Equal(r2.Cases, r.Cases) || r2.Movement.UndoneAt.IsZero() {
		t.Errorf("undone again: %+v %v", r2, err)
	}
	u.RequestID = b.request()
	_, err = b.site(here).Moves.Undo(t.Context(), clerk(here), u)
	refused(t, err, fault.KindConflict, "ALREADY_UNDONE", "movement_id")
}

func TestBatch(t *testing.T) {
	b := newBureau(t, true)
	ins := []moves.Input{
		b.input(here, ledger.Leave, 1, "2026-11-01", there),
		b.input(here, ledger.Leave, 2, "2027-11-01", there),
		b.input(here, ledger.Leave, 1, "2026-11-02", beside),
		b.input(here, ledger.Return, 1, "2026-11-03", 0),
		b.input(here, ledger.Leave, 3, "2026-11-01", there),
	}
	rows, err := b.site(here).Moves.RegisterMany(t.Context(), clerk(here), ins)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "FUTURE_DATE", "ALREADY_AWAY", "", ""} {
		got := ""
		if f, ok := fault.As(rows[i].Err); ok {
			got = f.Reason
		}
		if got != want {
			t.Errorf("row %d: %q, want %q", i, got, want)
		}
	}
	if b.is(rows[3].Result, ledger.Here, here); rows[4].Result.Movement.Case.IsZero() {
		t.Errorf("last row %+v", rows[4])
	}
	ins = make([]moves.Input, 1001)
	_, err = b.site(here).Moves.RegisterMany(t.Context(), clerk(here), ins)
	refused(t, err, fault.KindInvalid, "BATCH_TOO_LARGE", "")
}
