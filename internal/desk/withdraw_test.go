package desk_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
)

func (b *bureau) takeBack(office area.Key, c desk.Consent) []cases.CaseID {
	b.Helper()
	got, ids, err := b.at(office).WithdrawConsent(b.Context(), clerk(office), b.request(), c.ID)
	if err != nil || got.WithdrawnAt.IsZero() {
		b.Fatalf("withdraw consent: %+v, %v", got, err)
	}
	b.settle()
	return ids
}

func TestWithdrawConsentUnwindsCases(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		notice := b.consents(here, 1, ledger.PurposeNotice, there)
		confirm := b.consents(here, 1, ledger.PurposeConfirm, there)
		open := func(kind cases.Kind, basis, conf cases.ConsentID) cases.CaseID {
			r := b.notice(1, there)
			r.Kind = kind
			if !basis.IsZero() {
				r.Fields.Basis = desk.BasisInput{Kind: cases.BasisConsent, Consent: basis}
			}
			r.Fields.Confirm = conf
			return b.open(r)
		}
		none := cases.ConsentID{}
		withNotice, without := open(cases.Inflow, notice.ID, none), open(cases.Inflow, none, none)
		answered := open(cases.Outflow, none, confirm.ID) // one outflow notice waits at a time
		b.answer(there, answered, desk.AnswerInput{Outcome: cases.Residing})
		with := open(cases.Outflow, notice.ID, confirm.ID)
		b.answer(there, with, desk.AnswerInput{Outcome: cases.Residing})
		closed := open(cases.Outflow, none, confirm.ID)
		b.change(here, closed, closing)
		withConfirm := open(cases.Outflow, none, confirm.ID)

		request := b.request()
		got, ids, err := b.at(here).WithdrawConsent(t.Context(), clerk(here), request, confirm.ID)
		if err != nil || got.WithdrawnAt.IsZero() {
			t.Fatal(err)
		}
		b.settle()
		if diff := cmp.Diff(sorted([]cases.CaseID{withConfirm, with, answered, closed}), sorted(ids)); diff != "" {
			t.Errorf("cases touched:\n%s", diff)
		}
		before := b.marks(here)
		again, ids, err := b.at(here).WithdrawConsent(t.Context(), clerk(here), request, confirm.ID)
		if err != nil || len(ids) != 0 || !again.WithdrawnAt.Equal(got.WithdrawnAt) {
			t.Errorf("again: %v, %v, %v", again.WithdrawnAt, ids, err)
		}
		if ids := b.takeBack(here, confirm); len(ids) != 0 {
			t.Errorf("under another request id: %v", ids)
		}
		if diff := cmp.Diff(before, b.marks(here)); diff != "" {
			t.Errorf("something changed:\n%s", diff)
		}

		// Whatever the state was, nothing is disclosed under it any more.
		for _, id := range []cases.CaseID{withConfirm, with, answered} {
			if w := b.answer(there, id, desk.AnswerInput{Outcome: cases.NotFound}); len(w) != 1 {
				t.Errorf("%s: warnings %v", id, w)
			}
			if v := b.status(here, id, cases.StatusAnswered); v.Answer == nil || v.Answer.Outcome != cases.NoDisclosure || v.OlderFields {
				t.Errorf("the origin sees %+v", v.Answer)
			}
		}
		b.change(there, closed, reopen)
		if w := b.answer(there, closed, desk.AnswerInput{Outcome: cases.Residing}); len(w) != 1 {
			t.Errorf("reopened: warnings %v", w)
		}

		if ids := b.takeBack(here, notice); !slices.Equal(ids, []cases.CaseID{withNotice}) {
			t.Errorf("notices touched: %v", ids)
		}
		b.status(there, withNotice, cases.StatusWithdrawn)
		b.status(there, without, cases.StatusOpen)
		_, err = b.at(here).Reopen(t.Context(), clerk(here), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(here, withNotice), Reason: "x"})
		refused(t, err, fault.KindConflict, "CONSENT_LAPSED", "")
		_, err = b.at(here).Dispute(t.Context(), clerk(here), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(here, with), Reason: "x"})
		refused(t, err, fault.KindConflict, "CONSENT_LAPSED", "")
	})
}

// TestLapsedConsentIsNotRenewed: a consent to be confirmed that expired between
// two rounds does not carry into the second.
func TestLapsedConsentIsNotRenewed(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		c := b.consent(here, 1, ledger.PurposeConfirm, there)
		c.Consent.ValidUntil = b.Clock.Now().AddDate(0, 0, 5)
		confirm, err := b.at(here).RecordConsent(t.Context(), clerk(here), c)
		if err != nil {
			t.Fatal(err)
		}
		r := b.notice(1, there)
		r.Fields.Confirm = confirm.ID
		id := b.open(r)
		b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing})
		b.Clock.Add(10 * 24 * time.Hour)
		b.change(here, id, dispute)
		if w := b.answer(there, id, desk.AnswerInput{Outcome: cases.NotFound}); len(w) != 1 {
			t.Errorf("warnings %v", w)
		}
		if v := b.status(here, id, cases.StatusAnswered); v.Answer.Outcome != cases.NoDisclosure || v.Round != 2 || v.OlderFields {
			t.Errorf("round %d: %+v, older %v", v.Round, v.Answer, v.OlderFields)
		}
	})
}

// TestWithdrawnConsentReachesReroutes: the leg that a reroute opened by itself
// follows the consent as well.
func TestWithdrawnConsentReachesReroutes(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		county := residence
		notice := b.consents(here, 1, ledger.PurposeNotice, county)
		r := b.notice(1, there)
		r.Fields.Basis = desk.BasisInput{Kind: cases.BasisConsent, Consent: notice.ID}
		id := b.open(r)
		b.answer(there, id, desk.AnswerInput{Outcome: cases.Misrouted, Area: beside})
		child := cases.ChildCaseID(id, 1, beside)
		b.status(beside, child, cases.StatusOpen)
		if ids := b.takeBack(here, notice); !slices.Equal(ids, []cases.CaseID{child}) {
			t.Errorf("touched %v, want the child", ids)
		}
		b.status(beside, child, cases.StatusWithdrawn)
	})
}

// disclosed opens a case, has it answered RESIDING, pairs it, and records an
// offer that was done with a consent to feedback; it returns both.
func (b *bureau) disclosed(i int, result string, with bool) (cases.CaseID, desk.Consent) {
	b.Helper()
	id := b.open(b.notice(i, there))
	b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
	b.pair(there, id)
	var c desk.Consent
	r := offer(b.request(), b.ref(there, id), result)
	if result == ledger.OfferDone {
		r.Findings = map[string]string{"pregnancy": "none", "iud": "in_place", "reproductive_health": "no_finding"}
	}
	if with {
		c = b.consents(there, i, ledger.PurposeFeedback, here)
		r.Consent = c.ID
	}
	if _, err := b.site(there).Services.RecordOffer(b.Context(), clerk(there), r); err != nil {
		b.Fatalf("offer: %v", err)
	}
	return id, c
}

// endRound passes the end of the round 20263 and sends what is due.
func (b *bureau) endRound() {
	b.Helper()
	b.Clock.Add(43 * 24 * time.Hour)
	if err := b.State(b.Context(), 2); err != nil {
		b.Fatal(err)
	}
	b.drafts()
	b.settle()
}

func (b *bureau) drafts() {
	b.Helper()
	for _, s := range b.Sites {
		if _, err := s.Desk.EndRounds(b.Context(), b.Policies); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Exchange.SendDrafts(b.Context(), s.Desk.Offices()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestFeedbackOfARound(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		released, consent := b.disclosed(1, ledger.OfferDone, true)
		early, given := b.disclosed(2, ledger.OfferDone, true)
		kept, _ := b.disclosed(3, ledger.OfferDone, false)
		no, _ := b.disclosed(4, ledger.OfferDeclined, false)
		hidden := b.open(b.notice(5, there))
		b.answer(there, hidden, desk.AnswerInput{Outcome: cases.Residing})
		b.takeBack(there, given) // before anything left
		b.endRound()
		for _, office := range []area.Key{here, there} {
			want := []desk.FeedbackView{{OfferRound: 20263, Released: true, Fields: map[string]string{"pregnancy": "none", "iud": "in_place"}}}
			if diff := cmp.Diff(want, b.get(office, released).Feedback); diff != "" {
				t.Errorf("%s:\n%s", office, diff)
			}
			for _, id := range []cases.CaseID{early, kept, no} {
				if diff := cmp.Diff([]desk.FeedbackView{{OfferRound: 20263}}, b.get(office, id).Feedback); diff != "" {
					t.Errorf("%s:\n%s", office, diff)
				}
			}
			if f := b.get(office, hidden).Feedback; len(f) != 0 {
				t.Errorf("feedback on a case that disclosed nothing: %+v", f)
			}
		}
		before := b.marks(there)
		delete(before, "note")
		b.drafts()
		after := b.marks(there)
		delete(after, "note")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("ending the round again changed:\n%s", diff)
		}
		// Withdrawn afterwards: erased at both ends, and revoked.
		if ids := b.takeBack(there, consent); !slices.Equal(ids, []cases.CaseID{released}) {
			t.Errorf("touched %v", ids)
		}
		for _, office := range []area.Key{here, there} {
			if f := b.get(office, released).Feedback; len(f) != 0 {
				t.Errorf("%s still sees %+v", office, f)
			}
			raw := b.raw(office)
			if n := fmt.Sprint(raw.Rows(t, `SELECT count(*) FILTER (WHERE body IS NULL AND erased), count(*) FROM item WHERE kind = 8`)[0]...); n != "1 4" {
				t.Errorf("%s holds feedback, erased and all: %s", office, n)
			}
			raw.Close()
		}
	})
}

// TestEndRoundPages ends a round for more cases than one transaction takes: due
// times that many share, and pages that part the two sides of a case.
func TestEndRoundPages(t *testing.T) {
	b := newBureau(t, false)
	const n = 620
	inflow := func(i int, from, to area.Key) desk.OpenRequest {
		r := b.notice(i, to)
		r.Kind, r.Origin = cases.Inflow, from
		return r
	}
	b.open(inflow(0, there, here)) // one side only, and due first
	b.Clock.Add(24 * time.Hour)
	// The residence's side is the second of each case's two.
	first, second := min(there, beside), max(there, beside)
	var rs []desk.OpenRequest
	for i := range n - 1 {
		rs = append(rs, inflow(i, second, first))
	}
	if _, err := b.at(there).OpenCases(t.Context(), clerk(second), rs); err != nil {
		t.Fatal(err)
	}
	b.Clock.Add(43 * 24 * time.Hour)
	got, err := b.at(there).EndRounds(t.Context(), b.Policies)
	if err != nil || got != n {
		t.Fatalf("drafts: %d, %v; want %d", got, err, n)
	}
	if got, err = b.at(there).EndRounds(t.Context(), b.Policies); err != nil || got != 0 {
		t.Errorf("again: %d, %v", got, err)
	}
	b.Clock.Add(24 * time.Hour)
	if got, err = b.at(there).EndRounds(t.Context(), b.Policies); err != nil || got != 0 {
		t.Errorf("the next day: %d, %v", got, err)
	}
	// Who works for both offices pages through both sides of every case.
	seen := map[string]bool{}
	for token := ""; ; {
		list, next, err := b.at(there).ListCases(t.Context(), clerk(beside, there), desk.ListRequest{PageSize: 76, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			seen[v.ID.String()+v.Office.String()] = true
		}
		if token = next; token == "" {
			break
		}
	}
	if len(seen) != 2*n-1 {
		t.Errorf("paged through %d of %d sides", len(seen), 2*n-1)
	}
}

// TestWithdrawalRace lets a person take a consent back while offices answer and
// feedback leaves: whatever commits first, nothing is disclosed after it.
func TestWithdrawalRace(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		const n = 6
		var ids, fed []cases.CaseID
		var confirms, feedbacks []desk.Consent
		for i := range n {
			c := b.consents(here, i, ledger.PurposeConfirm, there)
			r := b.notice(i, there)
			r.Fields.Confirm = c.ID
			ids, confirms = append(ids, b.open(r)), append(confirms, c)
			id, f := b.disclosed(100+i, ledger.OfferDone, true)
			fed, feedbacks = append(fed, id), append(feedbacks, f)
		}
		refs := make([]desk.CaseRef, n)
		for i, id := range ids {
			refs[i] = b.ref(there, id)
		}
		b.Clock.Add(43 * 24 * time.Hour)
		if err := b.State(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		if _, err := b.at(there).EndRounds(t.Context(), b.Policies); err != nil {
			t.Fatal(err)
		}
		var requests []string
		for range 3 * n {
			requests = append(requests, b.request())
		}
		var wg sync.WaitGroup
		start := make(chan struct{})
		errs := make(chan error, 4*n)
		do := func(f func() error) {
			wg.Go(func() {
				<-start
				errs <- f()
			})
		}
		for i := range n {
			do(func() error {
				_, _, err := b.at(here).WithdrawConsent(t.Context(), clerk(here), requests[3*i], confirms[i].ID)
				return err
			})
			do(func() error {
				_, _, err := b.at(there).WithdrawConsent(t.Context(), clerk(there), requests[3*i+1], feedbacks[i].ID)
				return err
			})
			do(func() error {
				_, _, err := b.at(there).Answer(t.Context(), clerk(there), desk.AnswerRequest{RequestID: requests[3*i+2], Ref: refs[i], Answer: desk.AnswerInput{Outcome: cases.Residing}})
				if f, ok := fault.As(err); ok && f.Reason == "ETAG_STALE" {
					return nil // the withdrawal came first
				}
				return err
			})
		}
		do(func() error {
			_, err := b.site(there).Exchange.SendDrafts(t.Context(), b.at(there).Offices())
			return err
		})
		close(start)
		wg.Wait()
		close(errs)
		var all error
		for err := range errs {
			all = errors.Join(all, err)
		}
		if all != nil {
			t.Fatal(all)
		}
		b.drafts()
		b.settle()
		raw := b.raw(there)
		live := raw.Rows(t, `SELECT count(*) FROM item f WHERE kind = 8 AND body IS NOT NULL AND case_id IN (SELECT case_id FROM item WHERE kind = 9)`)
		if s := fmt.Sprint(live[0]...); s != "0" {
			t.Errorf("%s revoked feedbacks keep their bodies", s)
		}
		for _, id := range fed {
			for _, office := range []area.Key{here, there} {
				for _, f := range b.get(office, id).Feedback {
					if f.Released {
						t.Errorf("%s shows released feedback after the withdrawal", office)
					}
				}
			}
		}
		for _, id := range ids {
			// Answered before the withdrawal, or without the consent. A new answer
			// never discloses.
			if w := b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing}); len(w) != 1 {
				t.Errorf("%s: a later answer still discloses", id)
			}
		}
	})
}
