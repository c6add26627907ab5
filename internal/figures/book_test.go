package figures_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/moves"
	"yipan/internal/people"
	"yipan/internal/rates"
	"yipan/internal/services"
	"yipan/internal/store"
)

// bookRates are the measures of an office's own book in a period, as "n/d".
func (b *bureau) bookRates(o area.Key, p string, now time.Time, ms ...rates.Measure) map[string]string {
	b.Helper()
	if len(ms) == 0 {
		ms = rates.All()
	}
	got, err := figures.BookRatios(b.figures(o), b.Context(), []area.Key{o}, ms, period(p), now)
	if err != nil {
		b.Fatal(err)
	}
	out := map[string]string{}
	for m, r := range got[o] {
		out[m.String()] = fmt.Sprintf("%d/%d", r.N, r.D)
	}
	return out
}

// live checks measures as they are now, before and after changes are added up.
func (b *bureau) live(what string, o area.Key, p string, want map[rates.Measure]string) {
	b.Helper()
	for range 2 {
		var ms []rates.Measure
		for m := range want {
			ms = append(ms, m)
		}
		got, wanted := b.bookRates(o, p, b.Clock.Now(), ms...), map[string]string{}
		for m, s := range want {
			wanted[m.String()] = s
		}
		if d := cmp.Diff(wanted, got); d != "" {
			b.Errorf("%s: %s", what, d)
		}
		b.addUp()
	}
}

func (b *bureau) register(o area.Key, f ledger.Profile) cases.PersonID {
	b.Helper()
	if f.Name == "" {
		f.Name = "测试甲"
	}
	r, err := b.site(o).People.RegisterPerson(b.Context(), clerk(o), people.RegisterRequest{RequestID: b.request(), Profile: f})
	if err != nil {
		b.Fatalf("register: %v", err)
	}
	return r.File.ID
}

// woman is the i-th of 1990.
func woman(i int) []ledger.Document {
	return []ledger.Document{{Number: ident.Make("330782", day("1990-06-01"), i, false)}}
}

func (b *bureau) local(o area.Key, i int) cases.PersonID {
	b.Helper()
	return b.register(o, ledger.Profile{Documents: woman(i), Registered: o, Managed: o, Living: o})
}

func (b *bureau) merge(o area.Key, into, from cases.PersonID) {
	b.Helper()
	s := b.site(o)
	if err := s.DB.InDeskAs(b.Context(), "clerk-test", []area.Key{o}, func(tx *store.Tx) error { return tx.MergeInto(b.Context(), from, into, true) }); err != nil {
		b.Fatal(err)
	}
}

func (b *bureau) erase(o area.Key, who cases.PersonID) {
	b.Helper()
	s := b.site(o)
	if err := s.DB.InExchange(b.Context(), []area.Key{o}, func(tx *store.Tx) error { return s.Book.ErasePerson(b.Context(), tx, o, who) }); err != nil {
		b.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	b := newBureau(t, true)
	village := area.MustOf(area.Village, there.Code()[:9]+"001")
	var who []cases.PersonID
	for i := range 4 {
		f := ledger.Profile{Documents: woman(i), Registered: there, Managed: there, Living: there}
		switch i {
		case 1:
			f.Living = village
		case 2:
			f.Documents = nil
		case 3:
			n := []byte(f.Documents[0].Number)
			n[17] = map[bool]byte{true: '0', false: '1'}[n[17] == '1']
			f.Documents[0].Number, f.Documents[0].Confirmed, f.Living = string(n), "本人证件如此", village
		}
		who = append(who, b.register(there, f))
	}
	b.live("registered", there, "2026-11", map[rates.Measure]string{rates.Address: "2/4", rates.ID: "3/4", rates.Duplicate: "0/4"})
	if err := b.site(there).DB.InDeskAs(t.Context(), "clerk-test", []area.Key{there}, func(tx *store.Tx) error {
		return tx.ProposeDuplicates(t.Context(), []store.Duplicate{{A: who[0], B: who[1], Office: there, Score: 60}, {A: who[0], B: who[2], Office: there, Score: 60}})
	}); err != nil {
		t.Fatal(err)
	}
	b.live("proposed", there, "2026-11", map[rates.Measure]string{rates.Address: "2/4", rates.Duplicate: "3/4"})
	b.merge(there, who[0], who[1])
	b.live("merged", there, "2026-11", map[rates.Measure]string{rates.Address: "1/3", rates.ID: "2/3", rates.Duplicate: "2/3"})
	b.erase(there, who[2])
	b.live("erased", there, "2026-11", map[rates.Measure]string{rates.Address: "1/2", rates.ID: "2/2", rates.Duplicate: "0/2"})
	// Another office has none of it, and each measure.
	b.live("beside", beside, "2026-11", map[rates.Measure]string{rates.Address: "0/0", rates.ID: "0/0", rates.Duplicate: "0/0", rates.EffectiveContact: "0/0", rates.Visits: "0/0"})
	b.recounted()
}

func TestFiledInTime(t *testing.T) {
	b := newBureau(t, true)
	arrive := func(i int, on string) moves.Result {
		t.Helper()
		r, err := b.site(there).Moves.Register(t.Context(), clerk(there), moves.Input{
			RequestID: b.request(), Office: there, Kind: ledger.Arrive, From: here, To: there, On: day(on), Objects: true,
			Profile: &ledger.Profile{Name: "测试甲", Documents: woman(i), Registered: here, Managed: here, Living: there},
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	arrive(1, "2026-10-31")           // due 11-30
	arrive(2, "2026-11-01")           // due 12-01
	arrive(3, "2026-10-01")           // due 10-31: late
	undone := arrive(4, "2026-10-25") // due 11-24
	at := b.Clock.Now()
	b.live("November", there, "2026-11", map[rates.Measure]string{rates.FiledInTime: "2/2", rates.Registration: "4/4"})
	b.live("October", there, "2026-10", map[rates.Measure]string{rates.FiledInTime: "0/1"})
	b.live("days", there, "2026-10-20..2026-12-01", map[rates.Measure]string{rates.FiledInTime: "3/4"})
	b.live("year", there, "2026", map[rates.Measure]string{rates.FiledInTime: "3/4"})

	b.Clock.Add(time.Hour)
	if _, err := b.site(there).Moves.Undo(t.Context(), clerk(there), moves.Undo{RequestID: b.request(), Movement: undone.Movement.ID, Reason: "录错"}); err != nil {
		t.Fatal(err)
	}
	arrive(5, "2026-10-10") // due 11-09: late
	b.live("later", there, "2026-11", map[rates.Measure]string{rates.FiledInTime: "1/2"})
	// At the instant before, neither the taking back nor the late filing was there.
	if d := cmp.Diff(map[string]string{"filed_in_time": "2/2"}, b.bookRates(there, "2026-11", at, rates.FiledInTime)); d != "" {
		t.Errorf("at an earlier instant: %s", d)
	}
	b.recounted()
}

func TestCertificates(t *testing.T) {
	b := newBureau(t, true)
	asked, issued := day("2026-11-02"), day("2026-11-18")
	for i := range 3 {
		in := moves.Input{
			RequestID: b.request(), Office: here, Kind: ledger.Leave, To: there, On: day("2026-11-10"), Objects: true, CertificateAsked: &asked,
			Profile: &ledger.Profile{Name: "测试甲", Documents: woman(i), Registered: here, Managed: here, Living: here},
		}
		if i == 0 {
			in.CertificateIssued = &issued
		}
		if _, err := b.site(here).Moves.Register(t.Context(), clerk(here), in); err != nil {
			t.Fatal(err)
		}
	}
	b.live("November", here, "2026-11", map[rates.Measure]string{rates.Certificate: "1/3"})
	for at, want := range map[string]string{"2026-11-01": "0/0", "2026-11-10": "0/3", "2026-11-19": "1/3"} {
		got := b.bookRates(here, "2026-11", day(at).StartInstant(), rates.Certificate)
		if got["certificate"] != want {
			t.Errorf("at the beginning of %s: %v, want %s", at, got, want)
		}
	}
	b.recounted()
}

func TestChecking(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		var ids []cases.CaseID
		for i := range 4 {
			ids = append(ids, b.open(b.notice(i, there)))
		}
		residing := func(check string) desk.AnswerInput {
			return desk.AnswerInput{Outcome: cases.Residing, Check: check, Basis: desk.BasisInput{Kind: cases.BasisRequest}}
		}
		b.answer(there, ids[0], residing("visit"))
		b.answer(there, ids[1], residing(""))
		b.answer(there, ids[2], desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined", Check: "call"})
		b.live("answered", there, "2026-11", map[rates.Measure]string{rates.Checking: "2/3"})
		// Answered anew: a case counts once.
		b.answer(there, ids[1], residing("document"))
		b.live("anew", there, "2026-11", map[rates.Measure]string{rates.Checking: "3/3"})
		b.Clock.Add(15 * 24 * time.Hour)
		b.answer(there, ids[0], residing(""))
		b.live("anew, a month later", there, "2026-11", map[rates.Measure]string{rates.Checking: "2/2"})
		b.live("its month", there, "2026-12", map[rates.Measure]string{rates.Checking: "0/1"})
		b.live("the year", there, "2026", map[rates.Measure]string{rates.Checking: "2/3"})
	})
}

func TestRegistration(t *testing.T) {
	b := newBureau(t, true)
	if _, err := b.site(there).Moves.Register(t.Context(), clerk(there), moves.Input{
		RequestID: b.request(), Office: there, Kind: ledger.Arrive, From: here, To: there, On: day("2026-11-01"), Objects: true,
		Profile: &ledger.Profile{Name: "测试乙", Documents: woman(99), Registered: here, Managed: here, Living: there},
	}); err != nil {
		t.Fatal(err)
	}
	b.local(there, 98) // registered here as well: did not arrive
	residing := desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}}
	id := b.open(b.notice(1, there))
	b.live("a notice", there, "2026-11", map[rates.Measure]string{rates.Registration: "1/1"})
	b.answer(there, id, residing)
	b.live("somebody without a file", there, "2026-11", map[rates.Measure]string{rates.Registration: "1/2"})
	b.answer(there, b.open(b.notice(2, there)), desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"})
	b.live("a refusal says nothing", there, "2026-11", map[rates.Measure]string{rates.Registration: "1/2"})
	b.answer(there, id, desk.AnswerInput{Outcome: cases.NotFound, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
	b.live("not found after all", there, "2026-11", map[rates.Measure]string{rates.Registration: "1/1"})
	b.answer(there, id, residing)
	b.live("found again", there, "2026-11", map[rates.Measure]string{rates.Registration: "1/2"})
	if _, err := b.at(there).Close(t.Context(), clerk(there), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(there, id), Reason: "已离开"}); err != nil {
		t.Fatal(err)
	}
	b.live("closed", there, "2026-11", map[rates.Measure]string{rates.Registration: "1/1"})
}

func (b *bureau) serve(o area.Key, who cases.PersonID, kind ledger.Service, period uint32, on, result string) error {
	b.Helper()
	_, _, err := b.site(o).Services.Record(b.Context(), clerk(o), services.Input{
		RequestID: b.request(), Person: who, Kind: kind, Period: period, Record: ledger.ServiceRecord{Result: result, Date: day(on), Channel: "counter"},
	})
	return err
}

func TestServices(t *testing.T) {
	b := newBureau(t, true)
	var who []cases.PersonID
	for i := range 6 {
		who = append(who, b.local(there, i))
	}
	for _, r := range []struct {
		who    int
		kind   ledger.Service
		result string
	}{
		{0, ledger.ThreeChecks, ledger.OfferDone}, {1, ledger.ThreeChecks, ledger.OfferDeclined}, {2, ledger.ThreeChecks, ledger.OfferNotReached},
		{3, ledger.ThreeChecks, ledger.OfferNotApplicable}, {4, ledger.ThreeChecks, ledger.OfferStandingRefusal},
		{0, ledger.Contraceptives, ledger.OfferAsked}, {1, ledger.Contraceptives, ledger.OfferDone}, {2, ledger.Contraceptives, ledger.OfferDeclined},
		{0, ledger.FollowUp, ledger.OfferDone}, {1, ledger.FollowUp, ledger.OfferNotReached},
	} {
		if err := b.serve(there, who[r.who], r.kind, 0, "2026-11-18", r.result); err != nil {
			t.Fatal(err)
		}
	}
	// The third round ends with the year: six in scope, one not applicable.
	b.live("the round", there, "2026-12", map[rates.Measure]string{rates.Offer: "3/5"})
	b.live("no round ends", there, "2026-11", map[rates.Measure]string{rates.Offer: "0/0", rates.Contraceptives: "1/2", rates.FollowUp: "1/1"})
	b.live("some days", there, "2026-11-02..2026-11-29", map[rates.Measure]string{rates.Contraceptives: "0/0"})
	b.erase(there, who[1]) // what she decided stays counted, in the office's sums
	b.live("erased", there, "2026-11", map[rates.Measure]string{rates.Contraceptives: "1/2"})
	b.live("erased, of the round", there, "2026-12", map[rates.Measure]string{rates.Offer: "3/4"})
	b.recounted()
}

func TestVisits(t *testing.T) {
	b := newBureau(t, true)
	var who []cases.PersonID
	for i := range 4 {
		who = append(who, b.local(there, i))
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// 15 working days after 2 November is the 23rd, after the 18th 9 December.
	must(b.serve(there, who[0], ledger.Visit, 0, "2026-11-02", ledger.OfferAsked))
	must(b.serve(there, who[1], ledger.Visit, 0, "2026-11-02", ledger.OfferDone))
	must(b.serve(there, who[2], ledger.Visit, 0, "2026-11-18", ledger.OfferAsked))
	must(b.serve(there, who[3], ledger.Visit, 0, "2026-11-02", ledger.OfferAsked))
	b.live("asked", there, "2026-11", map[rates.Measure]string{rates.Visits: "1/3"})
	b.live("asked later", there, "2026-12", map[rates.Measure]string{rates.Visits: "0/1"})
	b.Clock.Add(7 * 24 * time.Hour) // 27 November
	must(b.serve(there, who[0], ledger.Visit, 0, "2026-11-23", ledger.OfferDone))
	must(b.serve(there, who[3], ledger.Visit, 0, "2026-11-24", ledger.OfferDone)) // a day late
	b.live("settled", there, "2026-11", map[rates.Measure]string{rates.Visits: "2/3"})
	b.Clock.Add(10 * 24 * time.Hour) // 7 December
	refused(t, b.serve(there, who[1], ledger.Visit, 202611, "2026-12-07", ledger.OfferDone), fault.KindInvalid, "PERIOD", "period")
	must(b.serve(there, who[2], ledger.Visit, 202611, "2026-12-07", ledger.OfferDone))
	b.live("settled in another month", there, "2026-12", map[rates.Measure]string{rates.Visits: "1/1"})
	b.recounted()
	b.erase(there, who[0])
	b.live("erased", there, "2026-11", map[rates.Measure]string{rates.Visits: "2/3"})
	b.recounted()
}

func (b *bureau) consent(o area.Key, who cases.PersonID, purpose string, to area.Key, given time.Time) cases.ConsentID {
	b.Helper()
	c, err := b.at(o).RecordConsent(b.Context(), clerk(o), desk.ConsentRequest{
		RequestID: b.request(), Person: desk.PersonRef{ID: who},
		Consent: desk.Consent{Recipient: to, Purpose: purpose, TextVersion: "v1", TextHash: [32]byte{1}, GivenHow: "paper", GivenAt: given},
	})
	if err != nil {
		b.Fatalf("consent: %v", err)
	}
	return c.ID
}

func (b *bureau) contact(o area.Key, who cases.PersonID, on string, reached bool) error {
	b.Helper()
	return b.site(o).Services.RecordContact(b.Context(), clerk(o), services.ContactInput{
		RequestID: b.request(), Person: who, Date: day(on), Channel: "phone", Reached: reached, Purpose: "test",
	})
}

func TestEffectiveContact(t *testing.T) {
	b := newBureau(t, true)
	var who []cases.PersonID
	for i := range 5 {
		who = append(who, b.local(here, i))
	}
	given := b.Clock.Now().AddDate(0, -6, 0)
	var consents []cases.ConsentID
	for i := range 4 {
		consents = append(consents, b.consent(here, who[i], ledger.PurposeContact, here, given))
	}
	b.consent(here, who[4], ledger.PurposeConfirm, there, given)
	check := func(what, want string) {
		t.Helper()
		b.live(what, here, "2026-11", map[rates.Measure]string{rates.EffectiveContact: want})
	}
	check("nobody was contacted", "0/4")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.contact(here, who[0], "2026-11-18", true))
	must(b.contact(here, who[1], "2026-11-18", false))
	must(b.contact(here, who[2], "2025-11-21", true)) // a year ago tomorrow
	refused(t, b.contact(here, who[4], "2026-11-18", true), fault.KindConflict, "NOT_AGREED", "person_id")
	check("contacted", "2/4")
	at := b.Clock.Now()
	b.Clock.Add(24 * time.Hour)
	check("a day later one is a year ago", "1/4")
	must(b.contact(here, who[1], "2026-11-21", true))
	check("reached", "2/4")
	if _, _, err := b.at(here).WithdrawConsent(t.Context(), clerk(here), b.request(), consents[0]); err != nil {
		t.Fatal(err)
	}
	check("withdrawn", "1/3")
	refused(t, b.contact(here, who[0], "2026-11-21", true), fault.KindConflict, "NOT_AGREED", "person_id")
	if got := b.bookRates(here, "2026-11", at, rates.EffectiveContact); got["effective_contact"] != "2/4" {
		t.Errorf("at the earlier instant: %v", got)
	}
	b.merge(here, who[1], who[3])
	check("merged: one person", "1/2")
	b.erase(here, who[1])
	check("erased", "0/1")
	b.Clock.Add(200 * 24 * time.Hour)
	check("the consents are over", "0/0")
}

func TestBirthNotices(t *testing.T) {
	b := newBureau(t, true)
	var who []cases.PersonID
	for i := range 4 {
		who = append(who, b.local(there, i))
	}
	now := b.Clock.Now()
	var ids []cases.ConsentID
	for i := range 3 { // due in 15 working days: 11 December
		ids = append(ids, b.consent(there, who[i], ledger.PurposeBirth, here, now))
	}
	b.consent(there, who[3], ledger.PurposeContact, there, now)
	b.live("consented", there, "2026-12", map[rates.Measure]string{rates.BirthNotice: "0/3"})
	b.live("due later", there, "2026-11", map[rates.Measure]string{rates.BirthNotice: "0/0"})
	before := b.Clock.Now()
	b.Clock.Add(time.Minute)
	_, _, err := b.at(there).OpenCase(t.Context(), clerk(there), desk.OpenRequest{
		RequestID: b.request(), Kind: cases.BirthService, Origin: there, Destination: here,
		Fields: desk.FieldsInput{Name: "测试甲", Document: woman(0)[0].Number, EventDay: day("2026-11-18"), Basis: desk.BasisInput{Kind: cases.BasisConsent, Consent: ids[0]}},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.live("sent", there, "2026-12", map[rates.Measure]string{rates.BirthNotice: "1/3"})
	if _, _, err := b.at(there).WithdrawConsent(t.Context(), clerk(there), b.request(), ids[1]); err != nil {
		t.Fatal(err)
	}
	b.live("withdrawn before", there, "2026-12", map[rates.Measure]string{rates.BirthNotice: "1/2"})
	b.Clock.Add(time.Hour)
	if got := b.bookRates(there, "2026-12", before, rates.BirthNotice); got["birth_notice"] != "0/3" {
		t.Errorf("before it was sent: %v", got)
	}
}

// TestRefresh: what a job has counted is what is shown.
func TestRefresh(t *testing.T) {
	b := newBureau(t, true)
	b.consent(here, b.local(here, 1), ledger.PurposeContact, here, b.Clock.Now())
	for _, want := range []int64{1, 0} {
		if n, err := b.figures(here).Refresh(t.Context()); err != nil || n != want {
			t.Fatalf("%d offices were opened, want %d: %v", n, want, err)
		}
		b.live("refreshed", here, "2026-11", map[rates.Measure]string{rates.EffectiveContact: "0/1"})
	}
}

// TestPlantedTally: a recount finds a tally that is wrong.
func TestPlantedTally(t *testing.T) {
	b := newBureau(t, true)
	if err := b.serve(there, b.local(there, 1), ledger.Visit, 0, "2026-11-02", ledger.OfferDone); err != nil {
		t.Fatal(err)
	}
	b.recounted()
	raw := b.raw(there)
	raw.Exec(t, `DELETE FROM service_tally WHERE kind = 7`)
	raw.Close()
	r, err := b.figures(there).Recount(t.Context(), []area.Key{there})
	if err != nil || r.Total != 0 && r.Differences[0].What != figures.DiffersTally {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Total == 0 {
		t.Error("a tally that was lost is not found")
	}
}
