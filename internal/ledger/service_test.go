package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
)

func TestCloses(t *testing.T) {
	want := map[string]bool{
		ledger.OfferAsked: false, ledger.OfferDone: true, ledger.OfferDeclined: true, ledger.OfferStandingRefusal: true,
		ledger.OfferNotReached: false, ledger.OfferNotApplicable: true, "": false, "maybe": false,
	}
	for result, closed := range want {
		if got := ledger.Closes(result); got != closed {
			t.Errorf("%q closes: %v", result, got)
		}
	}
	for _, r := range ledger.ServiceResults() {
		if _, ok := want[r]; !ok {
			t.Errorf("%s is new: say whether it closes", r)
		}
	}
}

func TestReplaceKeepsAttempts(t *testing.T) {
	day := civil.MustParse("2026-11-01")
	var r ledger.ServiceRecord
	for i := range 3 {
		r = r.Replace(ledger.ServiceRecord{Result: ledger.OfferNotReached, Date: day.AddDays(-i), Channel: "phone"})
	}
	r = r.Replace(ledger.ServiceRecord{Result: ledger.OfferDone, Date: day, Channel: "phone"}) // that one is known
	r = r.Replace(ledger.ServiceRecord{Result: ledger.OfferDone, Date: day, Channel: "visit"})
	want := []ledger.Attempt{{day.AddDays(-2), "phone"}, {day.AddDays(-1), "phone"}, {day, "phone"}, {day, "visit"}}
	if d := cmp.Diff(want, r.Attempts); d != "" || r.Result != ledger.OfferDone {
		t.Errorf("%s: %s", r.Result, d)
	}
	for i := range 40 {
		r = r.Replace(ledger.ServiceRecord{Result: ledger.OfferNotReached, Date: day.AddDays(i), Channel: "letter"})
	}
	if n := len(r.Attempts); n != ledger.MaxAttempts || r.Attempts[n-1].Date != day.AddDays(39) {
		t.Errorf("%d attempts, the last on %s", n, r.Attempts[n-1].Date)
	}
}

// The largest record that passes the checks fits into the one size of all, and
// so does the largest tally.
func TestServiceFormsFit(t *testing.T) {
	day := civil.MustParse("2026-11-01")
	full := ledger.ServiceRecord{
		Result: ledger.OfferStandingRefusal, Date: day, Channel: "message", Findings: map[string]string{}, Consent: cases.ConsentID{1, 15: 2}, OwnProof: true,
		Appointment: day, Referral: &ledger.Referral{To: strings.Repeat("院", ledger.MaxReferral), Date: day, Done: day},
		By: strings.Repeat("a", 64), At: time.Date(2026, 11, 1, 9, 0, 0, 123456789, civil.Shanghai),
	}
	for _, f := range ledger.Findings() {
		full.Findings[f] = strings.Repeat("果", ledger.MaxFinding/3)
	}
	for i := range ledger.MaxAttempts {
		full.Attempts = append(full.Attempts, ledger.Attempt{Date: day.AddDays(i), Channel: "message"})
	}
	b, err := ledger.Encode(full, ledger.ServiceBytes)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ledger.Decode[ledger.ServiceRecord](b)
	if d := cmp.Diff(full, back, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); d != "" || err != nil {
		t.Errorf("round trip: %s%v", d, err)
	}
	var tally ledger.Tally
	for _, r := range ledger.ServiceResults() {
		tally.Living, tally.Erased = add(tally.Living, r), add(tally.Erased, r)
	}
	if _, err = ledger.Encode(tally, ledger.TallyBytes); err != nil {
		t.Fatal(err)
	}
	full.Findings["iud"] = strings.Repeat("<", 400)
	if _, err := ledger.Encode(full, ledger.ServiceBytes); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("too long: %v", err)
	}
}

func add(c ledger.Counts, r string) ledger.Counts {
	if c == nil {
		c = ledger.Counts{}
	}
	c[r] = 9_999_999_999
	return c
}

func TestTallyMoves(t *testing.T) {
	var a ledger.Tally
	a.Move("", ledger.OfferAsked)
	a.Move("", ledger.OfferDone)
	a.Move(ledger.OfferAsked, ledger.OfferDone)
	a.Move("", "")
	if d := cmp.Diff(ledger.Tally{Living: ledger.Counts{ledger.OfferDone: 2}}, a); d != "" {
		t.Errorf("moved: %s", d)
	}
	a.Erase(ledger.OfferDone)
	if d := cmp.Diff(ledger.Tally{Living: ledger.Counts{ledger.OfferDone: 1}, Erased: ledger.Counts{ledger.OfferDone: 1}}, a); d != "" || a.Of(ledger.OfferDone) != 2 {
		t.Errorf("erased: %s", d)
	}
}
