package desk_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// TestReferralNeverLeaves: of a service nothing but the consented findings is in
// a FEEDBACK, whose bytes are as many as those that say nothing.
func TestReferralNeverLeaves(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		const hospital = "县妇幼保健院某科"
		released, c := b.disclosed(1, ledger.OfferDone, true)
		quiet, _ := b.disclosed(2, ledger.OfferDeclined, false)
		in := b.service(c.Person, ledger.OfferDone)
		in.Record.Consent, in.Record.Findings = c.ID, map[string]string{"iud": "in_place", "reproductive_health": "secret"}
		in.Record.Appointment = in.Record.Date.AddDays(30)
		in.Record.Referral = &ledger.Referral{To: hospital, Date: in.Record.Date}
		if _, _, err := b.site(there).Services.Record(t.Context(), clerk(there), in); err != nil {
			t.Fatal(err)
		}
		b.endRound()
		want := []desk.FeedbackView{{OfferRound: 20263, Released: true, Fields: map[string]string{"iud": "in_place"}}}
		if d := cmp.Diff(want, b.get(here, released).Feedback); d != "" {
			t.Errorf("feedback: %s", d)
		}
		if d := cmp.Diff([]desk.FeedbackView{{OfferRound: 20263}}, b.get(here, quiet).Feedback); d != "" {
			t.Errorf("the other feedback: %s", d)
		}
		bodies := b.bodies(here, cases.Feedback)
		if len(bodies) != 2 {
			t.Fatalf("%d feedbacks", len(bodies))
		}
		said := 0
		for _, body := range bodies {
			if strings.Contains(string(body), "in_place") {
				said++
			}
			if len(body) != len(bodies[0]) {
				t.Errorf("bodies of %d and %d bytes", len(body), len(bodies[0]))
			}
			for _, no := range []string{hospital, "secret", "visit", "2026-11", "2026-12", "done"} {
				if strings.Contains(string(body), no) {
					t.Errorf("a body holds %q", no)
				}
			}
		}
		if said != 1 {
			t.Errorf("%d bodies hold what was consented to", said)
		}
	})
}

// TestFeedbackOfMergedFiles: what was offered under one file of a person is told
// on the case of another, by a consent in either; and is taken back with it.
func TestFeedbackOfMergedFiles(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		id := b.open(b.notice(1, there))
		b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
		paired := b.pair(there, id)
		c := b.consents(there, 2, ledger.PurposeFeedback, here) // another file
		merge := func(merged bool) {
			t.Helper()
			err := b.site(there).DB.InDeskAs(t.Context(), "clerk-test", []area.Key{there}, func(tx *store.Tx) error {
				return tx.MergeInto(t.Context(), paired, c.Person, merged)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		// Not the same person: another's consent releases nothing.
		r := offer(b.request(), b.ref(there, id), ledger.OfferDone)
		r.Findings, r.Consent = map[string]string{"iud": "in_place"}, c.ID
		_, err := b.site(there).Services.RecordOffer(t.Context(), clerk(there), r)
		refused(t, err, fault.KindInvalid, "CONSENT_PERSON", "consent_id")
		merge(true)
		r.RequestID, r.Ref = b.request(), b.ref(there, id)
		if _, err := b.site(there).Services.RecordOffer(t.Context(), clerk(there), r); err != nil {
			t.Fatal(err)
		}
		b.endRound()
		want := []desk.FeedbackView{{OfferRound: 20263, Released: true, Fields: map[string]string{"iud": "in_place"}}}
		if d := cmp.Diff(want, b.get(here, id).Feedback); d != "" {
			t.Errorf("feedback: %s", d)
		}
		if ids := b.takeBack(there, c); len(ids) != 1 || ids[0] != id {
			t.Errorf("the withdrawal touched %v", ids)
		}
		if f := b.get(here, id).Feedback; len(f) != 0 {
			t.Errorf("after the withdrawal the origin sees %+v", f)
		}
	})
}

// raceFor bounds TestConsentWithdrawalRace; raceRounds is what it tries to do.
const (
	raceFor    = 25 * time.Second
	raceRounds = 200
)

// TestConsentWithdrawalRace: SECURITY D12. A consent is withdrawn while what it
// covers is on its way out: FEEDBACK that SendDrafts makes, and a notice whose
// opening cites it. Whatever comes first, either the item left before and a
// REVOKE, a correction or a withdrawal of the notice follows, or it did not
// leave.
func TestConsentWithdrawalRace(t *testing.T) {
	const at = 10 // races at once, of each of the two kinds
	rounds, stop := 0, time.Now().Add(raceFor)
	left, kept, opened, failed := 0, 0, 0, 0
	for rounds < raceRounds && time.Now().Before(stop) {
		b := newBureau(t, rounds/at%4 == 3)
		// In every second one the withdrawals have a start, in the others the sender.
		f, k, o, x := b.race(at, rounds/(2*at)%2*at/2)
		left, kept, opened, failed, rounds = left+f, kept+k, opened+o, failed+x, rounds+2*at
	}
	t.Logf("%d races: %d feedbacks left and were revoked, %d were held back, %d notices left and followed, %d were refused", rounds, left, kept, opened, failed)
	if rounds < 2*at {
		t.Errorf("only %d races", rounds)
	}
}

// race runs n races of each kind and returns how they went; the feedback is sent
// once some withdrawals are done.
func (b *bureau) race(n, some int) (left, kept, opened, failed int) {
	b.Helper()
	ctx := b.Context()
	var fed []cases.CaseID
	var feedback, notice, confirm []desk.Consent
	var opens []desk.OpenRequest
	for i := range n {
		id, c := b.disclosed(i, ledger.OfferDone, true)
		fed, feedback = append(fed, id), append(feedback, c)
		notice = append(notice, b.consents(here, 200+i, ledger.PurposeNotice, there))
		confirm = append(confirm, b.consents(here, 200+i, ledger.PurposeConfirm, there))
		r := b.notice(200+i, there)
		if i%2 == 0 {
			r.Fields.Basis = desk.BasisInput{Kind: cases.BasisConsent, Consent: notice[i].ID}
		} else {
			r.Fields.Confirm = confirm[i].ID
		}
		opens = append(opens, r)
	}
	b.Clock.Add(43 * 24 * time.Hour)
	for i := range opens {
		opens[i].Fields.EventDay = opens[i].Fields.EventDay.AddDays(43)
	}
	if err := b.State(ctx, 2); err != nil {
		b.Fatal(err)
	}
	if _, err := b.at(there).EndRounds(ctx, b.Policies); err != nil {
		b.Fatal(err)
	}
	ids := make([]cases.CaseID, n)
	var wg sync.WaitGroup
	start, errs := make(chan struct{}), make(chan error, 4*n+2)
	do := func(f func() error) { wg.Go(func() { <-start; errs <- f() }) }
	done := make(chan struct{}, 2*n)
	withdraw := func(office area.Key, request string, c desk.Consent) {
		do(func() error {
			_, _, err := b.at(office).WithdrawConsent(ctx, clerk(office), request, c.ID)
			if office == there {
				done <- struct{}{}
			}
			return err
		})
	}
	for i := range n {
		c := notice[i]
		if i%2 == 1 {
			c = confirm[i]
		}
		withdraw(there, b.request(), feedback[i])
		withdraw(here, b.request(), c)
		do(func() error {
			v, _, err := b.at(here).OpenCase(ctx, clerk(here), opens[i])
			if ids[i] = v.ID; fault.Is(err, fault.KindInvalid) {
				return nil // the withdrawal came first
			}
			return err
		})
	}
	do(func() error {
		for range some {
			<-done
		}
		return b.send(ctx)
	})
	close(start)
	wg.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	if all != nil {
		b.Fatal(all)
	}
	if err := b.send(ctx); err != nil {
		b.Fatal(err)
	}
	b.settle()
	for _, id := range fed {
		gone := true
		for _, office := range []area.Key{here, there} {
			for _, f := range b.get(office, id).Feedback {
				if gone = false; f.Released {
					b.Errorf("%s shows released feedback after the withdrawal", office)
				}
			}
		}
		if gone {
			left++ // it is revoked: nobody shows it any more
		} else {
			kept++
		}
	}
	raw := b.raw(here)
	defer raw.Close()
	live := raw.Rows(b.TB, `SELECT count(*) FROM item f WHERE kind = 8 AND body IS NOT NULL AND EXISTS (SELECT 1 FROM item r WHERE r.kind = 9 AND r.case_id = f.case_id)`)
	if live[0][0].(int64) != 0 {
		b.Errorf("%d revoked feedbacks keep their bodies", live[0][0])
	}
	for i, id := range ids {
		switch {
		case id.IsZero():
			failed++
		case i%2 == 0:
			opened++
			b.status(there, id, cases.StatusWithdrawn)
		default:
			opened++
			if w := b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing}); len(w) != 1 {
				b.Errorf("%s: an answer after the withdrawal still discloses", id)
			}
		}
	}
	return left, kept, opened, failed
}

func (b *bureau) send(ctx context.Context) error {
	_, err := b.site(there).Exchange.SendDrafts(ctx, b.at(there).Offices())
	return err
}

// TestServedPersonIsNotForgotten: the wrong receiver of a notice forgets whom
// only the notice told of, not whom it serves itself.
func TestServedPersonIsNotForgotten(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		var who []cases.PersonID
		for i := range 2 {
			id := b.open(b.notice(i, there))
			who = append(who, b.pair(there, id))
			if i == 0 {
				in := b.service(who[0], ledger.OfferDone)
				in.Kind = ledger.Visit
				if _, _, err := b.site(there).Services.Record(t.Context(), clerk(there), in); err != nil {
					t.Fatal(err)
				}
			}
			b.answer(there, id, desk.AnswerInput{Outcome: cases.Misrouted, Area: beside})
		}
		b.Clock.Add(8 * 24 * time.Hour)
		for _, s := range b.Sites {
			if _, err := s.Desk.EraseMisrouted(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		got, _, err := b.site(there).Services.PersonServices(t.Context(), clerk(there), who[0], "test")
		if err != nil || len(got) != 1 {
			t.Errorf("whom the office serves: %d services, %v", len(got), err)
		}
		_, _, err = b.site(there).Services.PersonServices(t.Context(), clerk(there), who[1], "test")
		refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	})
}
