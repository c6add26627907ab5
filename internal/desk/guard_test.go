package desk_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
)

var (
	fourth = area.MustOf(area.County, "110101")
	fifth  = area.MustOf(area.County, "310101")
)

var errWanted = errors.New("wanted")

// another is a second user of an office.
func another(office area.Key) access.Principal {
	p := clerk(office)
	p.ID = "clerk-second"
	return p
}

func (b *bureau) tryOpen(r desk.OpenRequest) (cases.CaseID, error) {
	b.Helper()
	v, _, err := b.at(r.Origin).OpenCase(b.Context(), clerk(r.Origin), r)
	return v.ID, err
}

// place writes what the i-th person's file says, registering the person where
// new.
func (b *bureau) place(office area.Key, i int, registered, living area.Key, presence ledger.Presence) {
	b.Helper()
	c := b.consents(office, i, ledger.PurposeConfirm, there)
	raw := b.raw(office)
	defer raw.Close()
	raw.Exec(b.TB, `UPDATE person SET registered = $2, living = $3, presence = $4 WHERE id = $1`, [16]byte(c.Person), int64(registered), int64(living), int16(presence))
}

// SECURITY row 6: who is registered elsewhere, or lives elsewhere, is not this
// office's to ask about.
func TestSecurity06ForeignRegisterRefused(t *testing.T) {
	b := newBureau(t, true)
	village := area.MustOf(area.Village, here.Short()+"201")
	for i, tt := range []struct {
		name               string
		kind               cases.Kind
		registered, living area.Key
		presence           ledger.Presence
		reason             string
	}{
		{"outflow, nothing known", cases.Outflow, 0, 0, ledger.Unknown, ""},
		{"outflow, registered here", cases.Outflow, here, there, ledger.Outflow, ""},
		{"outflow, in a village of it", cases.Outflow, village, 0, ledger.Unknown, ""},
		{"outflow, in the county", cases.Outflow, origin, 0, ledger.Unknown, ""},
		{"outflow, in another township of the county", cases.Outflow, area.Children(origin)[1], 0, ledger.Unknown, "FOREIGN_REGISTER"},
		{"outflow, in another county", cases.Outflow, there, here, ledger.Inflow, "FOREIGN_REGISTER"},
		{"inflow, nothing known", cases.Inflow, 0, 0, ledger.Unknown, ""},
		{"inflow, living here", cases.Inflow, there, village, ledger.Inflow, ""},
		{"inflow, living in another county", cases.Inflow, there, yonder, ledger.Unknown, "FOREIGN_RESIDENCE"},
		{"inflow, gone", cases.Inflow, there, 0, ledger.Gone, "FOREIGN_RESIDENCE"},
		{"inflow, left from here", cases.Inflow, there, 0, ledger.Outflow, "FOREIGN_RESIDENCE"},
		{"assistance, in another county", cases.Assist, there, yonder, ledger.Unknown, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.place(here, 100+i, tt.registered, tt.living, tt.presence)
			r := b.notice(100+i, there)
			if r.Kind = tt.kind; r.Kind == cases.Assist {
				r.Fields.Request = "测试请求"
			}
			before := b.marks(here)
			_, err := b.tryOpen(r)
			if tt.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, fault.KindConflict, tt.reason, "origin")
			if diff := cmp.Diff(before, b.marks(here)); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
}

// One outflow notice about a person waits at a time, alone, in a batch, after a
// reopening, and for files that were merged.
func TestOneOpenNotice(t *testing.T) {
	b := newBureau(t, true)
	first := b.open(b.notice(1, there))
	_, err := b.tryOpen(b.notice(1, yonder))
	refused(t, err, fault.KindConflict, "NOTICE_OPEN", "")
	if f, _ := fault.As(err); f == nil || !strings.Contains(f.Text, first.String()) {
		t.Errorf("the open case is not named: %v", err)
	}
	in := b.notice(1, there)
	in.Kind = cases.Inflow
	b.open(in) // of another kind
	got, err := b.at(here).OpenCases(t.Context(), clerk(here), []desk.OpenRequest{b.notice(2, there), b.notice(1, there), b.notice(2, yonder), b.notice(3, there)})
	if err != nil {
		t.Fatal(err)
	}
	for i, reason := range []string{"", "NOTICE_OPEN", "NOTICE_OPEN", ""} {
		if reason == "" && got[i].Err != nil {
			t.Errorf("%d of the batch: %v", i, got[i].Err)
		} else if reason != "" {
			refused(t, got[i].Err, fault.KindConflict, reason, "")
		}
	}
	// Another office's notice about the same person is none of this one's.
	elsewhere := b.notice(1, yonder)
	elsewhere.Origin = there
	b.open(elsewhere)

	b.change(here, first, withdraw)
	second := b.open(b.notice(1, yonder))
	_, err = b.at(here).Reopen(t.Context(), clerk(here), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(here, first), Reason: "测试"})
	refused(t, err, fault.KindConflict, "NOTICE_OPEN", "")
	b.answer(yonder, second, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "withheld"})
	third := b.open(b.notice(1, there)) // as the story of a notice sent twice
	_, err = b.at(here).Dispute(t.Context(), clerk(here), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(here, second), Reason: "测试"})
	refused(t, err, fault.KindConflict, "NOTICE_OPEN", "")
	b.answer(there, third, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "withheld"})
	b.change(here, second, dispute)

	b.open(b.notice(21, there))
	known := b.consents(here, 22, ledger.PurposeConfirm, there)
	raw := b.raw(here)
	raw.Exec(t, `UPDATE person SET merged_into = (SELECT id FROM person WHERE id <> $1 AND id IN (SELECT person FROM case_side WHERE side = 1 AND office = $2 ORDER BY opened_at DESC LIMIT 1)) WHERE id = $1`, [16]byte(known.Person), int64(here))
	_, err = b.tryOpen(b.notice(22, yonder))
	refused(t, err, fault.KindConflict, "NOTICE_OPEN", "")
}

// Openings that race about one person, new or known: one wins.
func TestOneOpenNoticeAtOnce(t *testing.T) {
	b := newBureau(t, true)
	b.consents(here, 2, ledger.PurposeConfirm, there)
	const callers = 6
	for i := 2; i < 22; i++ { // 2 is known
		errs, start := make([]error, callers), make(chan struct{})
		var wg sync.WaitGroup
		for n := range callers {
			r := b.notice(i, there)
			p := clerk(here)
			p.ID = fmt.Sprintf("clerk-%d", n) // so that they share no transaction
			wg.Go(func() {
				<-start
				_, _, errs[n] = b.at(here).OpenCase(t.Context(), p, r)
			})
		}
		close(start)
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				refused(t, err, fault.KindConflict, "NOTICE_OPEN", "")
			}
		}
		if won != 1 {
			t.Errorf("person %d: %d of %d opened", i, won, callers)
		}
	}
}

// SECURITY row 7: a fourth destination within a year asks for a second user.
func TestSecurity07FourthDestinationAsksSecondUser(t *testing.T) {
	b := newBureau(t, true)
	d := b.at(here)
	gone := func(to area.Key) {
		t.Helper()
		b.change(here, b.open(b.notice(1, to)), withdraw)
	}
	for _, to := range []area.Key{there, yonder, beside, fourth} { // three counties
		gone(to)
	}
	r := b.notice(1, fifth)
	_, err := b.tryOpen(r)
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")
	ids := b.raw(here).Rows(t, `SELECT id FROM approval`)
	if len(ids) != 1 {
		t.Fatalf("%d approvals asked for", len(ids))
	}
	id := ids[0][0].([16]byte)
	if f, _ := fault.As(err); f == nil || !strings.Contains(f.Text, fmt.Sprintf("%x", id)) {
		t.Errorf("the approval is not named: %v", err)
	}
	_, err = b.tryOpen(r) // asks no second time
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")
	if n := b.raw(here).Rows(t, `SELECT count(*) FROM approval`)[0][0].(int64); n != 1 {
		t.Errorf("%d approvals asked for", n)
	}
	r.Approval = id
	_, err = b.tryOpen(r)
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")

	for _, tt := range []struct {
		name   string
		p      access.Principal
		id     [16]byte
		kind   fault.Kind
		reason string
	}{
		{"who asked", clerk(here), id, fault.KindDenied, "OWN_REQUEST"},
		{"who asked, through a program", access.Principal{ID: "program", Role: access.Service, Offices: []area.Key{here}, OnBehalf: clerk(here).ID}, id, fault.KindDenied, "NOT_ALLOWED"},
		{"another office", another(there), id, fault.KindNotFound, "APPROVAL_NOT_FOUND"},
		{"no such", another(here), [16]byte{9}, fault.KindNotFound, "APPROVAL_NOT_FOUND"},
		{"the county", access.Principal{ID: "county", Role: access.County, Offices: []area.Key{here}}, id, fault.KindDenied, "NOT_ALLOWED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := b.marks(here)
			_, _, err := d.ApproveDestination(t.Context(), tt.p, b.request(), tt.id)
			field := "approval_id"
			if tt.reason == "NOT_ALLOWED" {
				field = ""
			}
			refused(t, err, tt.kind, tt.reason, field)
			if diff := cmp.Diff(before, b.marks(here)); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
	request := b.request()
	for range 2 { // the same request again does nothing more
		about, to, err := d.ApproveDestination(t.Context(), another(here), request, id)
		if err != nil || about.IsZero() || to != fifth {
			t.Fatalf("approved %v towards %v: %v", !about.IsZero(), to, err)
		}
	}
	_, _, err = d.ApproveDestination(t.Context(), another(here), b.request(), id)
	refused(t, err, fault.KindConflict, "APPROVED_BEFORE", "approval_id")
	if n := b.raw(here).Rows(t, `SELECT count(*) FROM access_log WHERE verb = 'approve' AND NOT denied AND cardinality(subjects) = 1`)[0][0].(int64); n != 2 {
		t.Errorf("%d approvals logged with their person, want 2", n)
	}

	// Not by the one who approved, not for another area, not for another person.
	own := b.notice(1, fifth)
	own.Approval = id
	_, _, err = d.OpenCase(t.Context(), another(here), own)
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")
	astray := b.notice(1, area.MustOf(area.County, "510104"))
	astray.Approval = id
	_, err = b.tryOpen(astray)
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")

	for _, to := range []area.Key{there, yonder, fourth} {
		b.change(here, b.open(b.notice(2, to)), withdraw)
	}
	someone := b.notice(2, fifth)
	someone.Approval = id
	_, err = b.tryOpen(someone)
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")

	opened, err := b.tryOpen(r)
	if err != nil {
		t.Fatalf("with the approval: %v", err)
	}
	if again, err := b.tryOpen(r); err != nil || again != opened {
		t.Errorf("the same request again: %v", err)
	}
	b.change(here, opened, withdraw)
	raw := b.raw(here)
	raw.Exec(t, `UPDATE case_side SET opened_at = opened_at - interval '2 years' WHERE case_id = $1`, [16]byte(opened))
	r.RequestID = b.request()
	_, err = b.tryOpen(r) // an approval is used once
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")
	raw.Exec(t, `UPDATE case_side SET opened_at = opened_at + interval '2 years' WHERE case_id = $1`, [16]byte(opened))
	gone(fifth) // is one of those asked by now
	_, err = b.tryOpen(astray)
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")

	// An approval lasts a week.
	late := b.raw(here).Rows(t, `SELECT id FROM approval WHERE used_at IS NULL AND asked_by = $1 AND detail = $2`, clerk(here).ID, int64(area.MustOf(area.County, "510104")))
	astray.Approval = late[0][0].([16]byte)
	if _, _, err := d.ApproveDestination(t.Context(), another(here), b.request(), astray.Approval); err != nil {
		t.Fatal(err)
	}
	b.Clock.Add(8 * 24 * time.Hour)
	_, err = b.tryOpen(astray)
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")
	fresh := b.raw(here).Rows(t, `SELECT id FROM approval WHERE used_at IS NULL AND approved_by IS NULL ORDER BY asked_at DESC LIMIT 1`)
	b.Clock.Add(8 * 24 * time.Hour)
	_, _, err = d.ApproveDestination(t.Context(), another(here), b.request(), fresh[0][0].([16]byte))
	refused(t, err, fault.KindConflict, "APPROVAL_EXPIRED", "approval_id")
	// After a year nothing counts any more.
	raw.Exec(t, `UPDATE case_side SET opened_at = opened_at - interval '1 year'`)
	astray.RequestID, astray.Approval = b.request(), [16]byte{}
	if _, err := b.tryOpen(astray); err != nil {
		t.Errorf("a year later: %v", err)
	}
}

// What a reroute opens needs no approval and counts as no destination.
func TestReroutesAreNoDestinations(t *testing.T) {
	b := newBureau(t, true)
	id := b.open(b.notice(1, there))
	b.answer(there, id, desk.AnswerInput{Outcome: cases.Misrouted, Area: yonder})
	child := cases.ChildCaseID(id, 1, yonder)
	_, err := b.tryOpen(b.notice(1, fourth))
	refused(t, err, fault.KindConflict, "NOTICE_OPEN", "") // it is a notice all the same
	b.change(here, child, withdraw)
	for _, to := range []area.Key{fourth, fifth} {
		b.change(here, b.open(b.notice(1, to)), withdraw)
	}
	_, err = b.tryOpen(b.notice(1, yonder))
	refused(t, err, fault.KindConflict, "APPROVAL_REQUIRED", "approval_id")
}

// DOMAIN section 3: after IDENTITY_CONFLICT nobody tries values without end.
func TestIdentityConflictTries(t *testing.T) {
	b := newBureau(t, true)
	r := b.notice(1, there)
	r.Kind = cases.Inflow
	id := b.open(r)
	conflict := desk.AnswerInput{Outcome: cases.IdentityConflict, ConflictFields: []string{"name"}}
	// While nothing was answered, corrections are free.
	for range 7 {
		b.correct(id, r.Fields, nil)
	}
	b.answer(there, id, conflict)
	b.change(here, id, dispute) // 1
	for range 3 {               // 2 to 4
		b.correct(id, r.Fields, nil)
	}
	again := b.notice(1, there)
	again.Kind = cases.Inflow
	b.open(again) // 5
	err := b.correct(id, r.Fields, errWanted)
	refused(t, err, fault.KindDenied, "TRIES_TODAY", "")
	once := b.notice(1, there)
	once.Kind = cases.Inflow
	_, err = b.tryOpen(once)
	refused(t, err, fault.KindDenied, "TRIES_TODAY", "")
	if n := b.raw(here).Rows(t, `SELECT count(*) FROM access_log WHERE denied AND verb IN ('case.open', 'case.change')`)[0][0].(int64); n != 2 {
		t.Errorf("%d denials recorded, want 2", n)
	}
	// Other people, other kinds, other users, and tomorrow.
	b.open(b.notice(1, there))
	fine := b.notice(2, there)
	fine.Kind = cases.Inflow
	b.open(fine)
	if _, _, err := b.at(here).OpenCase(t.Context(), another(here), once); err != nil {
		t.Errorf("another user: %v", err)
	}
	b.Clock.Add(24 * time.Hour)
	b.correct(id, r.Fields, nil)
	// An answer that agrees ends it.
	b.answer(there, id, desk.AnswerInput{Outcome: cases.Confirmed})
	for range 7 {
		more := b.notice(1, there)
		more.Kind = cases.Inflow
		b.open(more)
	}
}

// correct corrects a case of this office; want nil: it must succeed.
func (b *bureau) correct(id cases.CaseID, f desk.FieldsInput, want error) error {
	b.Helper()
	_, _, err := b.at(here).Correct(b.Context(), clerk(here), desk.CorrectRequest{RequestID: b.request(), Ref: b.ref(here, id), Fields: f})
	if want == nil && err != nil {
		b.Fatalf("correct: %v", err)
	}
	return err
}
