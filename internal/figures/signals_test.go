package figures_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/harness"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/services"
	"yipan/internal/store"
)

// opened opens n cases of a kind towards an office, in one batch.
func (b *bureau) opened(to area.Key, kind cases.Kind, from, n int) []cases.CaseID {
	b.Helper()
	rs := make([]desk.OpenRequest, n)
	for i := range rs {
		rs[i] = b.notice(from+i, to)
		if rs[i].Kind = kind; kind == cases.Assist {
			rs[i].Fields.Request = "测试请求"
		}
	}
	got, err := b.at(here).OpenCases(b.Context(), clerk(here), rs)
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]cases.CaseID, n)
	for i, r := range got {
		if r.Err != nil {
			b.Fatalf("open: %v", r.Err)
		}
		ids[i] = r.Case
	}
	return ids
}

// work is an office that answers its cases one by one, some minutes apart.
type work struct {
	office area.Key
	ids    []cases.CaseID
	say    func(i int) desk.AnswerInput
	i      int
}

func (b *bureau) works(w *work, n int, pause time.Duration) {
	b.Helper()
	for range min(n, len(w.ids)-w.i) {
		b.answerLate(w.office, w.ids[w.i], w.say(w.i))
		w.i++
		b.Clock.Add(pause)
	}
}

// answerLate answers without sending it yet.
func (b *bureau) answerLate(office area.Key, id cases.CaseID, in desk.AnswerInput) {
	b.Helper()
	if _, _, err := b.at(office).Answer(b.Context(), clerk(office), desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(office, id), Answer: in}); err != nil {
		b.Fatalf("answer: %v", err)
	}
}

func asked(o cases.Outcome) desk.AnswerInput {
	return desk.AnswerInput{Outcome: o, Check: "visit", Basis: desk.BasisInput{Kind: cases.BasisRequest}}
}

func (b *bureau) signals(p access.Principal, k area.Key, period policy.Period) []figures.Found {
	b.Helper()
	got, err := b.figures(p.Offices[0]).Signals(b.Context(), p, k, period)
	if err != nil {
		b.Fatalf("signals: %v", err)
	}
	return got
}

// TestPlantedAnswers: what each sign is about is found in answers that a real
// node received, and nothing in the work of offices that did theirs, whatever
// they were told.
func TestPlantedAnswers(t *testing.T) {
	b := newBureau(t, false)
	o := area.Children(residence)
	residing := func(int) desk.AnswerInput { return asked(cases.Residing) }
	quick := &work{office: o[0], ids: b.opened(o[0], cases.Outflow, 0, 12), say: residing}
	nobody := &work{office: o[1], ids: b.opened(o[1], cases.Outflow, 100, 24), say: func(int) desk.AnswerInput { return asked(cases.NotFound) }}
	lastDay := &work{office: o[2], ids: b.opened(o[2], cases.Outflow, 200, 30), say: residing}
	copied := &work{office: o[3], ids: b.opened(o[3], cases.Assist, 300, 15), say: func(i int) desk.AnswerInput {
		reason := "已电话联系本人，情况属实"
		if i%5 == 0 {
			reason = fmt.Sprintf("第%d次上门，家属在场", i)
		}
		return desk.AnswerInput{Outcome: cases.Partly, Reason: reason}
	}}
	// Everybody refused: an office whose answers disclose nothing has done its work.
	silent := &work{office: o[4], ids: b.opened(o[4], cases.Outflow, 400, 40), say: func(i int) desk.AnswerInput {
		return desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: ledger.TrueReasons()[i%4]}
	}}
	// Ordinary work, and one resident among those not found.
	ordinary := &work{office: o[5], ids: b.opened(o[5], cases.Outflow, 500, 40), say: func(i int) desk.AnswerInput {
		return asked([]cases.Outcome{cases.Residing, cases.NotFound, cases.Residing, cases.Residing}[i%4])
	}}
	almost := &work{office: o[6], ids: b.opened(o[6], cases.Outflow, 600, 24), say: func(i int) desk.AnswerInput {
		if i == 7 {
			return asked(cases.Residing)
		}
		return asked(cases.NotFound)
	}}
	codes := &work{office: o[7], ids: b.opened(o[7], cases.Assist, 700, 15), say: func(int) desk.AnswerInput {
		return desk.AnswerInput{Outcome: cases.Cannot, Reason: "NO_RECORD"}
	}}
	b.settle()
	b.works(quick, 12, 0)
	for range 6 {
		b.Clock.Add(20 * time.Hour)
		for _, w := range []*work{nobody, copied, silent, ordinary, almost, codes} {
			b.works(w, 8, 3*time.Minute)
		}
		b.works(lastDay, 1, 0)
	}
	b.Clock.Add(day("2026-12-20").StartInstant().Add(9 * time.Hour).Sub(b.Clock.Now()))
	b.works(lastDay, 24, time.Minute)
	for _, w := range []*work{quick, nobody, lastDay, copied, silent, ordinary, almost, codes} {
		if w.i != len(w.ids) {
			t.Fatalf("%s has answered %d of %d", w.office, w.i, len(w.ids))
		}
	}
	december := period("2026-12")
	want := []figures.Found{
		{Office: o[0], Signal: rates.Signal{Sign: rates.AnsweredInSeconds, N: 12, Of: 12}},
		{Office: o[1], Signal: rates.Signal{Sign: rates.AllNotFound, N: 24, Of: 24}},
		{Office: o[2], Signal: rates.Signal{Sign: rates.BulkBeforeDue, N: 24, Of: 30}},
		{Office: o[3], Signal: rates.Signal{Sign: rates.IdenticalNotes, N: 12, Of: 15}},
	}
	county := harness.Clerk(access.County, residence)
	if d := cmp.Diff(want, b.signals(county, 0, december)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want[1:2], b.signals(clerk(o[1]), o[1], december)); d != "" {
		t.Errorf("the office itself: %s", d)
	}
	if d := cmp.Diff(want[2:3], b.signals(county, o[2], december)); d != "" {
		t.Errorf("one township: %s", d)
	}
	if got := b.signals(county, 0, period("2026-11")); len(got) != 0 {
		t.Errorf("another month: %v", got)
	}

	f := b.figures(residence)
	_, err := f.Signals(b.Context(), county, 0, period("2026-Q4"))
	refused(t, err, fault.KindInvalid, "PERIOD_MONTH", "period")
	for _, p := range []access.Principal{clerk(o[0]), harness.Clerk(access.Auditor, residence), harness.Clerk(access.Admin, residence)} {
		if _, err := f.Signals(b.Context(), p, o[1], december); err == nil {
			t.Errorf("%s sees the signals of another office", p.Role)
		}
	}
}

// TestPlantedOffers: offers in bulk and without a date are found, whatever was
// said to them, and refusals typed one by one are not.
func TestPlantedOffers(t *testing.T) {
	b := newBureau(t, true)
	o := area.Children(residence)
	s := b.site(residence)
	n := 0
	register := func(office area.Key) cases.PersonID {
		n++
		r, err := s.People.RegisterPerson(t.Context(), clerk(office), people.RegisterRequest{RequestID: b.request(), Profile: ledger.Profile{
			Name: "测试甲", Documents: []ledger.Document{{Number: person(n)}}, Registered: office, Managed: office, Living: office,
		}})
		if err != nil {
			t.Fatalf("register: %v", err)
		}
		return r.File.ID
	}
	inputs := func(office area.Key, n int, results ...string) []services.Input {
		out := make([]services.Input, n)
		for i := range out {
			out[i] = services.Input{RequestID: b.request(), Person: register(office), Kind: ledger.ThreeChecks, Record: ledger.ServiceRecord{
				Result: results[i%len(results)], Date: day("2026-11-18"), Channel: "visit",
			}}
		}
		return out
	}
	record := func(office area.Key, ins []services.Input) {
		got, err := s.Services.RecordMany(t.Context(), clerk(office), ins)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got {
			if r.Err != nil {
				t.Fatalf("record: %v", r.Err)
			}
		}
	}
	mixed, refusing, done, papers := inputs(o[0], 55, ledger.OfferDone, ledger.OfferDeclined, ledger.OfferNotReached), inputs(o[1], 55, ledger.OfferDeclined, ledger.OfferStandingRefusal),
		inputs(o[2], 55, ledger.OfferDone), inputs(o[3], 60, ledger.OfferDeclined)
	record(o[0], mixed)
	record(o[1], refusing)
	record(o[2], done)
	for in := range slices.Chunk(papers, 1) {
		record(o[3], in)
		b.Clock.Add(2 * time.Minute)
	}
	// Past the form, which asks for both: as an older program may have left it.
	for i := range 8 {
		k := store.ServiceKey{Person: register(o[4]), Kind: ledger.ThreeChecks, Period: 20263}
		r := ledger.ServiceRecord{Result: ledger.ServiceResults()[i%4], Date: day("2026-11-18"), Channel: "phone", At: b.Clock.Now()}
		if i < 3 {
			r.Date = day("2026-11-18").AddDays(0)
			r.Channel = ""
		} else if i < 6 {
			r.Date = ledger.ServiceRecord{}.Date
		}
		err := s.DB.InDeskAs(t.Context(), "clerk-test", []area.Key{o[4]}, func(tx *store.Tx) error {
			keys, err := s.Book.PersonKeys(t.Context(), tx, []cases.PersonID{k.Person})
			if err != nil {
				return err
			}
			row, err := book.SealService(keys[k.Person], k, o[4], &r)
			if err != nil {
				return err
			}
			return tx.PutServices(t.Context(), []store.Service{row})
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Clock.Add(time.Minute)
	}
	bulk := rates.Signal{Sign: rates.OffersInBulk, N: 55, Of: 55} // the same, whatever was said
	want := []figures.Found{
		{Office: o[0], Signal: bulk}, {Office: o[1], Signal: bulk}, {Office: o[2], Signal: bulk},
		{Office: o[4], Signal: rates.Signal{Sign: rates.OffersWithoutDate, N: 6, Of: 8}},
	}
	county := harness.Clerk(access.County, residence)
	if d := cmp.Diff(want, b.signals(county, 0, period("2026-11"))); d != "" {
		t.Error(d)
	}
	if got := b.signals(county, 0, period("2026-12")); len(got) != 0 {
		t.Errorf("recorded in another month: %v", got)
	}
}
