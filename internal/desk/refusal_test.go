package desk_test

import (
	"testing"

	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
)

// TestOfferMeetsAStandingRefusal: an offer to somebody who refused once and for all
// tells that of the person, so that it is logged (SECURITY D13), and writes what
// any offer writes, its request among it (D4).
func TestOfferMeetsAStandingRefusal(t *testing.T) {
	b := newBureau(t, true)
	d, p := b.site(there).Services, clerk(there)
	id := b.open(b.notice(1, there))
	b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
	who := b.pair(there, id)
	raw := b.raw(there)
	defer raw.Close()
	written := func() (n [3]int) {
		for i, sql := range []string{
			`SELECT 1 FROM request q JOIN person p ON q.xmin = p.xmin WHERE p.id = $1`,
			`SELECT 1 FROM service s JOIN person p ON s.xmin = p.xmin WHERE p.id = $1`,
			`SELECT 1 FROM access_log l JOIN person p ON l.xmin = p.xmin WHERE p.id = $1 AND l.subjects = ARRAY[p.id]`,
		} {
			n[i] = len(raw.Rows(t, sql, [16]byte(who)))
		}
		return n
	}
	if _, err := d.RecordOffer(t.Context(), p, offer(b.request(), b.ref(there, id), ledger.OfferDone)); err != nil {
		t.Fatal(err)
	}
	want := written()
	if want != [3]int{1, 1, 1} {
		t.Fatalf("an offer writes %v", want)
	}
	if err := d.SetStandingRefusal(t.Context(), p, b.request(), who, ledger.ThreeChecks, true); err != nil {
		t.Fatal(err)
	}
	r := offer(b.request(), b.ref(there, id), ledger.OfferDone)
	for range 2 {
		events, subjects := logged(t, raw, func() {
			_, err := d.RecordOffer(t.Context(), p, r)
			refused(t, err, fault.KindConflict, "STANDING_REFUSAL", "result")
		})
		if events != 1 || len(subjects) != 1 || subjects[0] != [16]byte(who) {
			t.Errorf("%d events about %d people", events, len(subjects))
		}
		if got := written(); got != want {
			t.Errorf("it writes %v, an offer that was recorded %v", got, want)
		}
	}
	r.Result = ledger.OfferDeclined
	_, err := d.RecordOffer(t.Context(), p, r)
	refused(t, err, fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
}
