package moves_test

import (
	"fmt"
	"sync"
	"testing"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/moves"
	"yipan/internal/store"
)

func TestAcceptRefused(t *testing.T) {
	b := newBureau(t, true)
	m := b.site(here).Moves
	left := b.move(b.input(here, ledger.Leave, 1, "2026-11-05", there))
	id := left.Movement.Case
	came := b.move(b.input(there, ledger.Arrive, 2, "2026-11-05", 0))
	other := b.move(b.input(there, ledger.Arrive, 3, "2026-11-05", 0))
	assist, _, err := m.Desk.OpenCase(t.Context(), clerk(here), desk.OpenRequest{
		RequestID: b.request(), Kind: cases.Assist, Origin: here, Destination: there,
		Fields: desk.FieldsInput{Name: "测试丙", Document: number(50), EventDay: day("2026-11-01"), Basis: asked, Request: "协助办理"},
	})
	if err != nil {
		t.Fatal(err)
	}
	before := b.count()
	in := func(change func(*moves.Input)) *moves.Input {
		var i moves.Input
		change(&i)
		return &i
	}
	for _, c := range []struct {
		name   string
		office access.Principal
		id     cases.CaseID
		in     *moves.Input
		kind   fault.Kind
		reason string
		field  string
	}{
		{"unknown", clerk(there), cases.CaseID{1}, nil, fault.KindNotFound, "CASE_NOT_FOUND", "case_id"},
		{"not its own", clerk(beside), id, nil, fault.KindNotFound, "CASE_NOT_FOUND", "case_id"},
		{"sent by itself", clerk(here), id, nil, fault.KindConflict, "OWN_NOTICE", "case_id"},
		{"no notice", clerk(there), assist.ID, nil, fault.KindConflict, "NOT_A_NOTICE", "case_id"},
		{"before the departure", clerk(there), id, in(func(i *moves.Input) { i.On = day("2026-11-04") }), fault.KindInvalid, "ARRIVED_BEFORE_LEFT", "movement.event_date"},
		{"tomorrow", clerk(there), id, in(func(i *moves.Input) { i.On = day("2026-11-21") }), fault.KindInvalid, "FUTURE_DATE", "movement.event_date"},
		{"another kind", clerk(there), id, in(func(i *moves.Input) { i.Kind = ledger.Death }), fault.KindInvalid, "MOVEMENT_KIND", "movement.kind"},
		{"to elsewhere", clerk(there), id, in(func(i *moves.Input) { i.Kind, i.To = ledger.Arrive, beside }), fault.KindInvalid, "NOT_WITHIN", "movement.to"},
		{"after the arrival", clerk(here), came.Movement.Case, in(func(i *moves.Input) { i.On = day("2026-11-06") }), fault.KindInvalid, "LEFT_AFTER_ARRIVED", "movement.event_date"},
		{"an arrival at the origin", clerk(here), came.Movement.Case, in(func(i *moves.Input) { i.Kind = ledger.Arrive }), fault.KindInvalid, "MOVEMENT_KIND", "movement.kind"},
		{"nobody", clerk(there), id, in(func(i *moves.Input) { i.Person = cases.PersonID{1} }), fault.KindNotFound, "PERSON_NOT_FOUND", "movement.person_id"},
		{"bad document", clerk(there), id, in(func(i *moves.Input) {
			i.Profile = profile(1, here, there)
			i.Profile.Documents[0].Number = "000000199001010000"
		}), fault.KindInvalid, "ID_DUMMY", "movement.profile.documents"},
	} {
		ref := desk.CaseRef{Case: c.id, Etag: "e"}
		_, err := m.Accept(t.Context(), c.office, moves.Accept{RequestID: b.request(), Ref: ref, Movement: c.in})
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		t.Run(c.name, func(t *testing.T) { refused(t, err, c.kind, c.reason, c.field) })
	}
	_, err = m.Accept(t.Context(), clerk(there), moves.Accept{RequestID: b.request(), Ref: desk.CaseRef{Case: id, Etag: "e"}})
	refused(t, err, fault.KindConflict, "ETAG_STALE", "etag")
	_, err = m.Accept(t.Context(), clerk(there), moves.Accept{RequestID: b.request(), Ref: desk.CaseRef{Case: id}})
	refused(t, err, fault.KindInvalid, "ETAG_REQUIRED", "etag")
	if n := b.count(); n != before {
		t.Errorf("rows %s, before %s", n, before)
	}
	b.accept(there, id, nil)
	_, err = m.Accept(t.Context(), clerk(there), moves.Accept{
		RequestID: b.request(), Ref: desk.CaseRef{Case: id, Etag: b.get(there, id).Etag}, Movement: &moves.Input{Person: other.Movement.Person},
	})
	refused(t, err, fault.KindConflict, "ALREADY_PAIRED", "movement.person_id")
	if _, err := m.Desk.Withdraw(t.Context(), clerk(there), desk.ChangeRequest{RequestID: b.request(), Ref: desk.CaseRef{Case: came.Movement.Case, Etag: b.get(there, came.Movement.Case).Etag}, Reason: "误发"}); err != nil {
		t.Fatal(err)
	}
	_, err = m.Prefill(t.Context(), clerk(here), came.Movement.Case, "test")
	refused(t, err, fault.KindConflict, "STATE_FORBIDS", "case_id")
}

// SECURITY 36: whoever is shown, or asked for in vain, is logged, once a call.
func TestSecurity36MovementsLogged(t *testing.T) {
	b := newBureau(t, true)
	m := b.site(here).Moves
	log := func() []string {
		raw := b.raw(here)
		defer raw.Close()
		var out []string
		for _, r := range raw.Rows(t, `SELECT verb || ' ' || office || ' ' || cardinality(subjects) FROM access_log ORDER BY id`) {
			out = append(out, fmt.Sprint(r...))
		}
		return out
	}
	calls := []struct {
		name string
		verb access.Verb
		n    int
		do   func() error
	}{}
	left := b.move(b.input(here, ledger.Leave, 1, "2026-11-05", there))
	add := func(name string, v access.Verb, n int, do func() error) {
		calls = append(calls, struct {
			name string
			verb access.Verb
			n    int
			do   func() error
		}{name, v, n, do})
	}
	add("list", access.MovementRead, 1, func() error { _, err := m.List(t.Context(), clerk(here), left.Movement.Person, "p"); return err })
	add("list nobody", access.MovementRead, 0, func() error { _, err := m.List(t.Context(), clerk(here), cases.PersonID{1}, "p"); return err })
	add("list elsewhere", access.MovementRead, 0, func() error { _, err := m.List(t.Context(), clerk(there), left.Movement.Person, "p"); return err })
	add("prefill", access.CaseUnmask, 1, func() error { _, err := m.Prefill(t.Context(), clerk(there), left.Movement.Case, "p"); return err })
	add("prefill nothing", access.CaseUnmask, 0, func() error { _, err := m.Prefill(t.Context(), clerk(there), cases.CaseID{1}, "p"); return err })
	add("undo nothing", access.MovementWrite, 0, func() error {
		_, err := m.Undo(t.Context(), clerk(here), moves.Undo{RequestID: b.request(), Movement: ledger.MovementID{1}, Reason: "误"})
		return err
	})
	add("nobody moves", access.MovementWrite, 0, func() error {
		in := b.of(left, ledger.Return, "2026-11-06", 0)
		in.Person = cases.PersonID{1}
		_, err := b.try(in)
		return err
	})
	add("moves", access.MovementWrite, 1, func() error { _, err := b.try(b.of(left, ledger.Return, "2026-11-06", 0)); return err })
	for _, c := range calls {
		before := log()
		err := c.do()
		if (err == nil) != (c.n > 0) {
			t.Errorf("%s: %v", c.name, err)
		}
		after := log()
		if len(after) != len(before)+1 {
			t.Errorf("%s: %d events: %v", c.name, len(after)-len(before), after[len(before):])
			continue
		}
		got := after[len(after)-1]
		var verb string
		var office, n int64
		if _, err := fmt.Sscan(got, &verb, &office, &n); err != nil || verb != string(c.verb) || int(n) != c.n {
			t.Errorf("%s: %q, want %s of %d", c.name, got, c.verb, c.n)
		}
	}
}

// Clerks who register the same departure at once, by hand and by document, leave
// one person with one residence and one notice.
func TestAtOnce(t *testing.T) {
	b := newBureau(t, true)
	ins := make([]moves.Input, 8)
	for i := range ins {
		ins[i] = b.input(here, ledger.Leave, 1, "2026-11-05", there)
	}
	errs := make([]error, len(ins))
	var wg sync.WaitGroup
	for i := range ins {
		wg.Go(func() {
			p := clerk(here)
			p.ID = fmt.Sprintf("clerk-%d", i)
			_, errs[i] = b.site(here).Moves.Register(t.Context(), p, ins[i])
		})
	}
	wg.Wait()
	done := 0
	for i, err := range errs {
		f, ok := fault.As(err)
		switch {
		case err == nil:
			done++
		case !ok || f.Reason != "ALREADY_AWAY" && f.Reason != "PERSON_EXISTS":
			t.Errorf("clerk %d: %v", i, err)
		}
	}
	raw := b.raw(here)
	defer raw.Close()
	if n := fmt.Sprint(raw.Rows(t, `SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM movement), (SELECT count(*) FROM leg)`)[0]...); done != 1 || n != "1 1 1" {
		t.Errorf("%d done; persons, movements and notices %s", done, n)
	}
}

// SECURITY 34: to who is no keeper, a restricted person's movements and the
// notices that arise from them are as absent as those of nobody.
func TestSecurity34RestrictedMoves(t *testing.T) {
	b := newBureau(t, true)
	site := b.site(here)
	clerks := make([]access.Principal, 3)
	for i := range clerks {
		clerks[i] = access.Principal{ID: fmt.Sprintf("clerk-%d", i), Role: access.Clerk, Offices: []area.Key{here}}
		if err := site.DB.PutAccount(t.Context(), store.Account{ID: clerks[i].ID, Role: access.Clerk, Offices: clerks[i].Offices, GrantedBy: []string{"a", "b"}}); err != nil {
			t.Fatal(err)
		}
	}
	r := b.move(b.input(here, ledger.Transfer, 1, "2020-01-01", next))
	undone, err := site.Moves.Undo(t.Context(), clerks[0], moves.Undo{RequestID: b.request(), Movement: r.Movement.ID, Reason: "录入有误"})
	if err != nil {
		t.Fatal(err)
	}
	who := undone.Movement.Person
	if _, err := site.People.Restrict(t.Context(), clerks[0], b.request(), who, []string{clerks[0].ID, clerks[1].ID}); err != nil {
		t.Fatal(err)
	}
	in := b.of(undone, ledger.Leave, "2026-11-05", there)
	left, err := site.Moves.Register(t.Context(), clerks[1], in)
	if err != nil || left.Movement.Case.IsZero() {
		t.Fatalf("keeper: %+v %v", left, err)
	}
	if _, err := site.Desk.GetCase(t.Context(), clerks[0], desk.GetRequest{Case: left.Movement.Case, Purpose: "test"}); err != nil {
		t.Errorf("keeper reads the notice: %v", err)
	}
	_, err = site.Desk.GetCase(t.Context(), clerks[2], desk.GetRequest{Case: left.Movement.Case, Purpose: "test"})
	refused(t, err, fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
	for name, do := range map[string]func(cases.PersonID, ledger.MovementID) error{
		"list": func(id cases.PersonID, _ ledger.MovementID) error {
			_, err := site.Moves.List(t.Context(), clerks[2], id, "test")
			return err
		},
		"register": func(id cases.PersonID, _ ledger.MovementID) error {
			in := b.of(undone, ledger.Return, "2026-11-06", 0)
			in.Person = id
			_, err := site.Moves.Register(t.Context(), clerks[2], in)
			return err
		},
		"undo": func(_ cases.PersonID, m ledger.MovementID) error {
			_, err := site.Moves.Undo(t.Context(), clerks[2], moves.Undo{RequestID: b.request(), Movement: m, Reason: "录入有误"})
			return err
		},
	} {
		hidden, none := do(who, left.Movement.ID), do(cases.PersonID{1}, ledger.MovementID{1})
		if hidden == nil || none == nil || hidden.Error() != none.Error() || !fault.Is(hidden, fault.KindNotFound) {
			t.Errorf("%s: %v of the restricted, %v of nobody", name, hidden, none)
		}
	}
}

// Where the office's area has another home by now, nothing can leave from here.
func TestOfficeElsewhere(t *testing.T) {
	b := newBureau(t, false)
	left := b.site(here)
	other := b.site(there)
	e, _ := b.Authority.Directory().Node(other.Node)
	if err := b.Admit(other, []area.Key{origin, residence}, e.Serial); err != nil {
		t.Fatal(err)
	}
	if err := b.Learn(); err != nil {
		t.Fatal(err)
	}
	r, err := left.Moves.Register(t.Context(), clerk(here), b.input(here, ledger.Leave, 1, "2026-11-05", there))
	if err != nil || r.Movement.Stayed != ledger.StayedElsewhere {
		t.Errorf("%+v %v", r.Movement, err)
	}
}
