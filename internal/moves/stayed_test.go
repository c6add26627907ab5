package moves_test

import (
	"fmt"
	"strings"
	"testing"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/moves"
)

// Every reason for which a notice stays here: the movement is filed, the answer
// says why, and nobody else hears of it.
func TestStayed(t *testing.T) {
	b := newBureau(t, true)
	for i, c := range []struct {
		want   string
		change func(*moves.Input)
	}{
		{ledger.StayedObjected, func(in *moves.Input) { in.Objects = true }},
		{ledger.StayedObjected, func(in *moves.Input) { in.Objects, in.To, in.Basis = true, 0, desk.BasisInput{} }},
		{ledger.StayedNoBasis, func(in *moves.Input) { in.Basis = desk.BasisInput{} }},
		{ledger.StayedNoDestination, func(in *moves.Input) { in.To = 0 }},
		{ledger.StayedNoRegistered, func(in *moves.Input) {
			*in = b.input(there, ledger.Arrive, 4, "2026-11-02", 0)
			in.Profile.Registered, in.Profile.Managed = 0, 0
		}},
		{ledger.StayedNoMovement, func(in *moves.Input) { in.To = origin }},
		{"", func(in *moves.Input) { in.To = city }},
		{"", func(in *moves.Input) {
			in.Basis = desk.BasisInput{Kind: cases.BasisDuty, Duty: "duty:joint-service"}
		}},
	} {
		in := b.input(here, ledger.Leave, 10+i, "2026-11-02", there)
		c.change(&in)
		in.Profile.Documents[0].Number = number(10 + i)
		r, err := b.try(in)
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		zh := ledger.StayedZh(c.want)
		if r.Movement.Stayed != c.want || r.Movement.Case.IsZero() == (c.want == "") || c.want != "" && !strings.Contains(fmt.Sprint(r.Warnings), zh) {
			t.Errorf("%d: stayed %q with case %v and %v, want %q", i, r.Movement.Stayed, r.Movement.Case, r.Warnings, c.want)
		}
		if again := b.move(in); again.Movement.Stayed != c.want {
			t.Errorf("%d: again %q", i, again.Movement.Stayed)
		}
	}
	// A later movement that was filed first says where the person is now.
	r := b.move(b.input(here, ledger.Leave, 30, "2026-11-08", there))
	b.move(b.of(r, ledger.Return, "2026-11-10", 0))
	b.move(b.of(r, ledger.Return, "2026-10-05", 0))
	late := b.move(b.of(r, ledger.Leave, "2026-10-01", beside))
	if late.Movement.Stayed != ledger.StayedSuperseded || len(late.Cases) != 0 {
		t.Errorf("late: %+v", late)
	}
	b.is(r, ledger.Here, here)
}

// The fourth destination waits for a second user; registering again with the
// approval, by anybody, sends the notice of the movement that stands.
func TestFourthDestination(t *testing.T) {
	b := newBureau(t, true)
	r := b.move(b.input(here, ledger.Leave, 1, "2026-11-01", places[0]))
	for i, to := range places[1:3] {
		r = b.move(b.of(r, ledger.MoveOn, fmt.Sprintf("2026-11-%02d", i+2), to))
		if r.Movement.Case.IsZero() {
			t.Fatalf("destination %d: %+v", i+2, r)
		}
	}
	r = b.move(b.of(r, ledger.MoveOn, "2026-11-10", places[3]))
	if r.Movement.Stayed != ledger.StayedApprovalNeeded || r.Approval == ([16]byte{}) {
		t.Fatalf("fourth: %+v", r)
	}
	b.is(r, ledger.Outflow, places[3])
	again := b.of(r, ledger.MoveOn, "2026-11-10", places[3])
	again.Approval = r.Approval
	_, err := b.try(again)
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")
	second := access.Principal{ID: "second-clerk", Role: access.Clerk, Offices: []area.Key{here}}
	m := b.site(here).Moves
	if _, _, err := m.Desk.ApproveDestination(t.Context(), second, b.request(), r.Approval); err != nil {
		t.Fatal(err)
	}
	again.RequestID = b.request()
	sent := b.move(again)
	if sent.Movement.ID != r.Movement.ID || sent.Movement.Case.IsZero() || sent.Movement.Stayed != "" || sent.Approval != ([16]byte{}) {
		t.Errorf("approved: %+v", sent)
	}
	if v := b.get(here, sent.Movement.Case); v.Y != places[3] {
		t.Errorf("to %s", v.Y)
	}
	list, err := m.List(t.Context(), clerk(here), r.Movement.Person, "test")
	if err != nil || len(list) != 4 {
		t.Errorf("%d movements, %v", len(list), err)
	}
}

// What a clerk can get wrong, and what is said about it. Nothing of it is filed.
func TestWrongInput(t *testing.T) {
	b := newBureau(t, true)
	in := b.input(here, ledger.Leave, 1, "2026-11-05", there)
	in.Basis = desk.BasisInput{}
	away := b.move(in)
	guest := b.input(there, ledger.Arrive, 2, "2026-11-05", 0)
	lives := b.move(guest)
	dead := b.move(b.input(here, ledger.Leave, 3, "2026-11-05", there))
	dead = b.move(b.of(dead, ledger.Death, "2026-11-06", 0))
	before := b.count()
	for _, c := range []struct {
		name   string
		in     moves.Input
		change func(*moves.Input)
		kind   fault.Kind
		reason string
		field  string
	}{
		{"request id", in, func(in *moves.Input) { in.RequestID = "short" }, fault.KindInvalid, "REQUEST_ID", "request_id"},
		{"foreign office", in, func(in *moves.Input) { in.Office = 0; in.Kind = 0 }, fault.KindInvalid, "MOVEMENT_KIND", "kind"},
		{"nobody", in, func(in *moves.Input) { in.Profile = nil }, fault.KindInvalid, "REQUIRED", "person_id"},
		{"unknown person", in, func(in *moves.Input) { in.Person = cases.PersonID{9} }, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id"},
		{"another office's person", in, func(in *moves.Input) { in.Person = lives.Movement.Person }, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id"},
		{"no day", in, func(in *moves.Input) { in.On = civil.Date{} }, fault.KindInvalid, "REQUIRED", "event_date"},
		{"tomorrow", in, func(in *moves.Input) { in.On = day("2026-11-21") }, fault.KindInvalid, "FUTURE_DATE", "event_date"},
		{"before birth", in, func(in *moves.Input) { in.Profile = profile(5, here, here); in.On = day("1980-01-01") }, fault.KindInvalid, "EVENT_BEFORE_BIRTH", "event_date"},
		{"no such area", in, func(in *moves.Input) { in.To = area.MustOf(area.Township, "330782999") }, fault.KindInvalid, "AREA_UNKNOWN", "to"},
		{"no such origin", in, func(in *moves.Input) { in.From = area.MustOf(area.Township, "330782999") }, fault.KindInvalid, "AREA_UNKNOWN", "from"},
		{"province", in, func(in *moves.Input) { in.To = area.MustOf(area.Province, "33") }, fault.KindInvalid, "AREA_LEVEL", "to"},
		{"to here", in, func(in *moves.Input) { in.To = here }, fault.KindInvalid, "WITHIN_OFFICE", "to"},
		{"arrives elsewhere", guest, func(in *moves.Input) { in.To = beside }, fault.KindInvalid, "NOT_WITHIN", "to"},
		{"arrives from here", guest, func(in *moves.Input) { in.From = there }, fault.KindInvalid, "WITHIN_OFFICE", "from"},
		{"transfer to nowhere", in, func(in *moves.Input) { in.Kind, in.To = ledger.Transfer, 0 }, fault.KindInvalid, "REQUIRED", "to"},
		{"death somewhere", in, func(in *moves.Input) { in.Kind = ledger.Death }, fault.KindInvalid, "AREA_UNEXPECTED", "to"},
		{"already away", b.of(away, ledger.Leave, "2026-11-08", beside), nil, fault.KindConflict, "ALREADY_AWAY", "kind"},
		{"back before gone", b.of(away, ledger.Leave, "2026-11-01", beside), nil, fault.KindConflict, "LATER_MOVEMENT", "event_date"},
		{"arrives at home", b.of(away, ledger.Arrive, "2026-11-08", 0), nil, fault.KindConflict, "IS_RETURN", "kind"},
		{"lives here", b.of(lives, ledger.Arrive, "2026-11-08", 0), nil, fault.KindConflict, "ALREADY_HERE", "kind"},
		{"not registered here", b.of(lives, ledger.Leave, "2026-11-08", beside), nil, fault.KindConflict, "NOT_REGISTERED_HERE", "kind"},
		{"moves on from home", in, func(in *moves.Input) { in.Profile = profile(6, here, here); in.Kind = ledger.MoveOn }, fault.KindConflict, "IS_LEAVE", "kind"},
		{"was not away", in, func(in *moves.Input) {
			*in = b.of(b.move(b.of(away, ledger.Return, "2026-11-06", 0)), ledger.Return, "2026-11-07", 0)
		}, fault.KindConflict, "NOT_AWAY", "kind"},
		{"same register", b.of(lives, ledger.Transfer, "2026-11-08", here), nil, fault.KindConflict, "SAME_REGISTER", "kind"},
		{"dead", b.of(dead, ledger.Return, "2026-11-08", 0), nil, fault.KindConflict, "PERSON_DEAD", "kind"},
		{"identity of nobody", in, func(in *moves.Input) { in.Profile = profile(7, here, here); in.Kind, in.To = ledger.Identity, 0 }, fault.KindInvalid, "PERSON_REQUIRED", "person_id"},
		{"identity unchanged", b.of(lives, ledger.Identity, "2026-11-08", 0), func(in *moves.Input) { in.Profile = profile(2, 0, 0) }, fault.KindInvalid, "IDENTITY_UNCHANGED", "profile"},
		{"identity without what", b.of(lives, ledger.Identity, "2026-11-08", 0), nil, fault.KindInvalid, "REQUIRED", "profile"},
		{"document", in, func(in *moves.Input) { in.Profile = profile(8, here, here); in.Profile.Documents[0].Number = "12" }, fault.KindInvalid, "ID_FORMAT", "profile.documents"},
		{"consent", in, func(in *moves.Input) {
			in.Profile = profile(9, here, here)
			in.Basis = desk.BasisInput{Kind: cases.BasisConsent, Consent: cases.ConsentID{7}}
		}, fault.KindInvalid, "CONSENT_UNKNOWN", "basis.consent_id"},
		{"duty", in, func(in *moves.Input) {
			in.Profile = profile(9, here, here)
			in.Basis = desk.BasisInput{Kind: cases.BasisDuty, Duty: "duty:none"}
		}, fault.KindInvalid, "BASIS_NOT_IN_FORCE", "basis.duty"},
		{"confirm", in, func(in *moves.Input) {
			in.Profile = profile(9, here, here)
			in.Confirm = cases.ConsentID{7}
		}, fault.KindInvalid, "CONSENT_UNKNOWN", "confirm_consent_id"},
	} {
		q := c.in
		q.RequestID, q.Basis = b.request(), asked
		if q.Profile != nil {
			p := q.Profile.Clone()
			q.Profile = &p
		}
		office := q.Office
		if c.change != nil {
			c.change(&q)
		}
		if c.name == "was not away" {
			before = b.count()
			q.RequestID = b.request()
		}
		_, err := b.site(office).Moves.Register(t.Context(), clerk(office), q)
		if err == nil {
			t.Errorf("%s: registered", c.name)
			continue
		}
		t.Run(c.name, func(t *testing.T) { refused(t, err, c.kind, c.reason, c.field) })
		if n := b.count(); n != before {
			t.Errorf("%s: rows %s, before %s", c.name, n, before)
		}
	}
	_, err := b.site(here).Moves.Register(t.Context(), clerk(here), b.input(next, ledger.Leave, 40, "2026-11-05", there))
	refused(t, err, fault.KindDenied, "FOREIGN_OFFICE", "office")
	p := clerk(here)
	p.Role = access.County
	_, err = b.site(here).Moves.Register(t.Context(), p, b.input(here, ledger.Leave, 40, "2026-11-05", there))
	refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
}

// count is how many rows of what a movement writes there are.
func (b *bureau) count() string {
	b.Helper()
	raw := b.raw(here)
	defer raw.Close()
	return fmt.Sprint(raw.Rows(b.TB, `SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM movement), (SELECT count(*) FROM leg), (SELECT count(*) FROM person_event), (SELECT count(*) FROM request)`)[0]...)
}

// SECURITY D4: nothing plain separates who objected from who did not, but that a
// notice left for the one and not for the other.
func TestObjectionIsSealed(t *testing.T) {
	plain := func(change func(*moves.Input)) []string {
		b := newBureau(t, true)
		in := b.input(here, ledger.Leave, 1, "2026-11-05", there)
		change(&in)
		b.move(in)
		raw := b.raw(here)
		defer raw.Close()
		var out []string
		for _, q := range []string{
			`SELECT office, kind, place_from, place_to, event_on, due_on, account, undone_at, length(sealed) FROM movement`,
			`SELECT office, name, initials, sex, birth, doc_kind, registered, managed, living, presence, since, household, length(profile), merged_into, restricted, offered_round, rev FROM person`,
			`SELECT office, kind, event_on, account, length(sealed) FROM person_event ORDER BY recorded_at, kind`,
			`SELECT account, office, method, length(result) FROM request`,
			`SELECT count(*) FROM approval`, `SELECT count(*) FROM tries`, `SELECT count(*) FROM service`, `SELECT count(*) FROM lookup`,
		} {
			for _, r := range raw.Rows(t, q) {
				out = append(out, fmt.Sprint(r...))
			}
		}
		return out
	}
	want := plain(func(*moves.Input) {})
	for _, change := range []func(*moves.Input){
		func(in *moves.Input) { in.Objects = true },
		func(in *moves.Input) { in.Basis = desk.BasisInput{} },
		func(in *moves.Input) { in.Objects, in.Basis = true, desk.BasisInput{} },
	} {
		if got := plain(change); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}
