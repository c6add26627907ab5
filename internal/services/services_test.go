package services_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/services"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// TestDue: the list is of a round, and nothing that a person decided puts one on
// it or takes one off but that the round is closed.
func TestDue(t *testing.T) {
	b := newBureau(t)
	var women []cases.PersonID
	for i := range 7 {
		women = append(women, b.register(there, i))
	}
	away := b.register(beside, 8)
	b.registerAs(there, 9, "1990-06-01", true)
	b.registerAs(there, 10, "1950-06-01", false)
	b.in(there, func(tx *store.Tx) error {
		return tx.SetPresence(t.Context(), women[6], ledger.Outflow, beside, day("2026-11-01"))
	})
	women = women[:6]
	sorted := func(ids []cases.PersonID) []cases.PersonID {
		return slices.SortedFunc(slices.Values(ids), func(a, b cases.PersonID) int { return strings.Compare(a.String(), b.String()) })
	}
	for _, size := range []int{1, 2, 6, 200} {
		if d := cmp.Diff(sorted(women), sorted(b.due(size, there))); d != "" {
			t.Errorf("pages of %d: %s", size, d)
		}
		if got := b.due(size, there, beside); len(got) != 7 || !slices.Contains(got, away) {
			t.Errorf("two offices in pages of %d: %d persons", size, len(got))
		}
	}
	want := map[string]bool{ledger.OfferAsked: true, ledger.OfferNotReached: true}
	for i, result := range ledger.ServiceResults() {
		b.record(women[i], ledger.ThreeChecks, result)
		if got := slices.Contains(b.due(50, there), women[i]); got != want[result] {
			t.Errorf("after %s on the list: %v", result, got)
		}
	}
	b.in(there, func(tx *store.Tx) error {
		for most, want := range map[int]string{1: "1 true", 2: "2 false", 9: "2 false"} {
			n, more, r, ok, err := b.Services.CountDue(t.Context(), tx, there, most)
			if err != nil || !ok || r.Number != round || fmt.Sprint(n, more) != want {
				t.Errorf("count to %d: %d, %v, %v, %v", most, n, more, ok, err)
			}
		}
		return nil
	})
	// A later word counts, both ways.
	b.record(women[1], ledger.ThreeChecks, ledger.OfferNotReached)
	b.record(women[0], ledger.ThreeChecks, ledger.OfferDone)
	if got := b.due(50, there); slices.Contains(got, women[0]) || !slices.Contains(got, women[1]) {
		t.Error("the list does not follow the last record")
	}
	// Another kind of service closes no round.
	b.record(women[1], ledger.FollowUp, ledger.OfferDone)
	if !slices.Contains(b.due(50, there), women[1]) {
		t.Error("a follow-up closed an offer round")
	}

	// The next round is due for everybody again, whatever was said in this one.
	b.world.Clock.Add(60 * 24 * time.Hour)
	list, err := b.Services.ListDue(t.Context(), clerk(there), services.DueRequest{Purpose: "test"})
	if f, ok := fault.As(err); ok && f.Reason == "ROUND_NONE" {
		b.world.Clock.Add(60 * 24 * time.Hour)
		list, err = b.Services.ListDue(t.Context(), clerk(there), services.DueRequest{Purpose: "test"})
	}
	if err != nil || len(list.Persons) != 6 || list.Round.Number == round {
		t.Errorf("next round %d: %d persons, %v", list.Round.Number, len(list.Persons), err)
	}
}

func TestDueRefuses(t *testing.T) {
	b := newBureau(t)
	b.register(there, 1)
	b.register(there, 2)
	list, err := b.Services.ListDue(t.Context(), clerk(there), services.DueRequest{PageSize: 1})
	if err != nil || list.Next == "" {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		p      access.Principal
		r      services.DueRequest
		kind   fault.Kind
		reason string
		field  string
	}{
		{"a county operator", harness.Clerk(access.County, county), services.DueRequest{}, fault.KindDenied, "NOT_ALLOWED", ""},
		{"an auditor", harness.Clerk(access.Auditor, there), services.DueRequest{}, fault.KindDenied, "NOT_ALLOWED", ""},
		{"a foreign office", clerk(there), services.DueRequest{Office: beside}, fault.KindDenied, "FOREIGN_OFFICE", "office"},
		{"a round that is over", clerk(there), services.DueRequest{Round: 20262}, fault.KindConflict, "ROUND_OVER", "offer_round"},
		{"no such round", clerk(there), services.DueRequest{Round: 7}, fault.KindInvalid, "OFFER_ROUND", "offer_round"},
		{"a broken token", clerk(there), services.DueRequest{PageToken: "x!"}, fault.KindInvalid, "PAGE_TOKEN", "page_token"},
		{"a token of nothing", clerk(there), services.DueRequest{PageToken: "e30"}, fault.KindInvalid, "PAGE_TOKEN", "page_token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.Services.ListDue(t.Context(), tt.p, tt.r)
			refused(t, err, tt.kind, tt.reason, tt.field)
		})
	}
}

func TestRecord(t *testing.T) {
	b := newBureau(t)
	who := b.register(there, 1)
	in := b.input(who, ledger.ThreeChecks, ledger.OfferNotReached)
	in.Record.Channel, in.Record.Date = "phone", day("2026-11-02")
	first, warnings, err := b.Services.Record(t.Context(), clerk(there), in)
	if err != nil || len(warnings) != 0 || first.Period != round || first.Record.Closed() {
		t.Fatalf("first: %+v, %v, %v", first, warnings, err)
	}
	in = b.input(who, ledger.ThreeChecks, ledger.OfferDone)
	in.Record.Findings = map[string]string{"iud": "in_place"}
	in.Record.Appointment = day("2027-02-01")
	in.Record.Referral = &ledger.Referral{To: "县妇幼保健院", Date: day("2026-11-18"), Done: day("2026-11-19")}
	last, _, err := b.Services.Record(t.Context(), clerk(there), in)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := b.Services.Record(t.Context(), clerk(there), in)
	if d := cmp.Diff(last, again); d != "" || err != nil {
		t.Errorf("the same request again: %s%v", d, err)
	}
	want := in.Record
	want.By, want.At = clerk(there).ID, last.Record.At
	want.Attempts = []ledger.Attempt{{Date: day("2026-11-02"), Channel: "phone"}, {Date: day("2026-11-18"), Channel: "visit"}}
	if d := cmp.Diff(services.View{Person: who, Kind: ledger.ThreeChecks, Period: round, Record: want}, last); d != "" {
		t.Errorf("recorded: %s", d)
	}
	b.record(who, ledger.Visit, ledger.OfferDone)
	got, standing, err := b.Services.PersonServices(t.Context(), clerk(there), who, "test")
	if err != nil || len(standing) != 0 || len(got) != 2 || got[0].Period != 202611 || got[0].Kind != ledger.Visit {
		t.Fatalf("shown: %+v, %v, %v", got, standing, err)
	}
	want.At = want.At.Round(0)
	if d := cmp.Diff(last.Record.Attempts, got[1].Record.Attempts); d != "" || got[1].Record.Referral.Done != day("2026-11-19") || !got[1].Record.At.Equal(want.At) {
		t.Errorf("shown differs from recorded: %s", d)
	}
	if events, subjects := b.reads(clerk(there), access.ServiceRead); events != 1 || subjects != 1 {
		t.Errorf("one read of one person is logged as %d, %d", events, subjects)
	}
	_, _, err = b.Services.PersonServices(t.Context(), clerk(beside), who, "test")
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	_, _, err = b.Services.PersonServices(t.Context(), clerk(there), cases.PersonID{9}, "test")
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	if events, _ := b.reads(clerk(there), access.ServiceRead); events != 2 {
		t.Errorf("a miss is not logged: %d events", events)
	}
}

func TestRecordRefuses(t *testing.T) {
	b := newBureau(t)
	who, dead := b.register(there, 1), b.register(there, 2)
	b.in(there, func(tx *store.Tx) error { return tx.SetPresence(t.Context(), dead, ledger.Dead, 0, day("2026-11-01")) })
	for _, tt := range []struct {
		name   string
		change func(*services.Input)
		kind   fault.Kind
		reason string
		field  string
	}{
		{"no request id", func(in *services.Input) { in.RequestID = "" }, fault.KindInvalid, "REQUEST_ID", "request_id"},
		{"no kind", func(in *services.Input) { in.Kind = 0 }, fault.KindInvalid, "SERVICE_KIND", "kind"},
		{"no result", func(in *services.Input) { in.Record.Result = "" }, fault.KindInvalid, "OFFER_RESULT", "result"},
		{"no date", func(in *services.Input) {
			in.Record.Date = day("2026-11-18")
			in.Record.Date.Year = 0
			in.Record.Date.Month = 0
			in.Record.Date.Day = 0
		}, fault.KindInvalid, "REQUIRED", "date"},
		{"tomorrow", func(in *services.Input) { in.Record.Date = day("2026-11-21") }, fault.KindInvalid, "FUTURE_DATE", "date"},
		{"before the round", func(in *services.Input) { in.Record.Date = day("2026-03-01") }, fault.KindInvalid, "DATE_ORDER", "date"},
		{"by pigeon", func(in *services.Input) { in.Record.Channel = "pigeon" }, fault.KindInvalid, "CHANNEL_CODE", "channel"},
		{"a round that is over", func(in *services.Input) { in.Period = 20262 }, fault.KindConflict, "ROUND_OVER", "period"},
		{"findings of a refusal", func(in *services.Input) { in.Record.Findings = map[string]string{"iud": "x"} }, fault.KindInvalid, "FINDINGS_UNEXPECTED", "findings"},
		{"findings of a visit", func(in *services.Input) {
			in.Kind, in.Record.Result, in.Record.Findings = ledger.Visit, ledger.OfferDone, map[string]string{"iud": "x"}
		}, fault.KindInvalid, "FINDINGS_UNEXPECTED", "findings"},
		{"what is never asked", func(in *services.Input) {
			in.Record.Result, in.Record.Findings = ledger.OfferDone, map[string]string{"fetal_sex": "x"}
		}, fault.KindInvalid, "FIELD_NAME", "findings"},
		{"a proof that is copied", func(in *services.Input) {
			in.Record.Result, in.Record.OwnProof, in.Record.Findings = ledger.OfferDone, true, map[string]string{"iud": "x"}
		}, fault.KindInvalid, "OWN_PROOF", "findings"},
		{"an appointment in the past", func(in *services.Input) { in.Record.Appointment = day("2026-11-01") }, fault.KindInvalid, "DATE_ORDER", "appointment"},
		{"a referral to nowhere", func(in *services.Input) { in.Record.Referral = &ledger.Referral{Date: day("2026-11-18")} }, fault.KindInvalid, "REQUIRED", "referral.to"},
		{"a referral done before", func(in *services.Input) {
			in.Record.Referral = &ledger.Referral{To: "某医院", Date: day("2026-11-18"), Done: day("2026-11-17")}
		}, fault.KindInvalid, "DATE_ORDER", "referral.done_date"},
		{"a long referral", func(in *services.Input) {
			in.Record.Referral = &ledger.Referral{To: strings.Repeat("院", 41), Date: day("2026-11-18")}
		}, fault.KindInvalid, "TEXT_LENGTH", "referral.to"},
		{"an unknown consent", func(in *services.Input) { in.Record.Result, in.Record.Consent = ledger.OfferDone, cases.ConsentID{4} }, fault.KindInvalid, "CONSENT_UNKNOWN", "consent_id"},
		{"nobody", func(in *services.Input) { in.Person = cases.PersonID{9} }, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id"},
		{"who died", func(in *services.Input) { in.Person = dead }, fault.KindConflict, "PERSON_DEAD", "person_id"},
		{"a month as round", func(in *services.Input) { in.Kind, in.Period = ledger.Visit, 20263 }, fault.KindInvalid, "PERIOD", "period"},
		{"another month", func(in *services.Input) { in.Kind, in.Period = ledger.Visit, 202610 }, fault.KindInvalid, "PERIOD", "period"},
		{"a month long over", func(in *services.Input) { in.Kind, in.Record.Date = ledger.Visit, day("2026-09-30") }, fault.KindConflict, "PERIOD_OVER", "date"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := b.input(who, ledger.ThreeChecks, ledger.OfferDeclined)
			tt.change(&in)
			_, _, err := b.Services.Record(t.Context(), clerk(there), in)
			refused(t, err, tt.kind, tt.reason, tt.field)
		})
	}
	if got, _, err := b.Services.PersonServices(t.Context(), clerk(there), who, "test"); len(got) != 0 || err != nil {
		t.Errorf("what was refused was recorded: %+v, %v", got, err)
	}
	for _, role := range []access.Role{access.County, access.Distributor, access.Auditor, access.Admin, access.Security} {
		_, _, err := b.Services.Record(t.Context(), harness.Clerk(role, there), b.input(who, ledger.Visit, ledger.OfferDone))
		refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
		_, _, err = b.Services.PersonServices(t.Context(), harness.Clerk(role, there), who, "test")
		refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
	}
}

func TestRecordMany(t *testing.T) {
	b := newBureau(t)
	a, c, foreign := b.register(there, 1), b.register(there, 2), b.register(beside, 3)
	ins := []services.Input{
		b.input(a, ledger.ThreeChecks, ledger.OfferDone), b.input(c, ledger.ThreeChecks, ledger.OfferDeclined),
		b.input(foreign, ledger.ThreeChecks, ledger.OfferDone), b.input(a, ledger.Contraceptives, ledger.OfferAsked),
		b.input(a, ledger.ThreeChecks, "maybe"), b.input(c, ledger.ThreeChecks, ledger.OfferDone),
	}
	ins[0].Record.Date, ins[1].Record.Channel = day("2026-11-03"), "letter"
	twice := ins[0]
	ins = append(ins, twice)
	for turn := range 2 {
		got, err := b.Services.RecordMany(t.Context(), clerk(there), ins)
		if err != nil || len(got) != len(ins) {
			t.Fatalf("%d results, %v", len(got), err)
		}
		for i, ok := range []bool{true, true, false, true, false, true, false} {
			if (got[i].Err == nil) != ok {
				t.Errorf("turn %d, row %d: %v", turn, i, got[i].Err)
			}
		}
		if r := got[0].View.Record; r.Date != day("2026-11-03") || r.Channel != "visit" {
			t.Errorf("row 0: %+v", r)
		}
		refused(t, got[2].Err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
		refused(t, got[6].Err, fault.KindInvalid, "REQUEST_ID_REUSED", "request_id")
	}
	if d := cmp.Diff(ledger.Counts{ledger.OfferDone: 2}, b.tally(there, ledger.ThreeChecks, round).Living); d != "" {
		t.Errorf("tally: %s", d)
	}
	other := ins[0]
	other.Record.Result = ledger.OfferDeclined
	_, _, err := b.Services.Record(t.Context(), clerk(there), other)
	refused(t, err, fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
	_, err = b.Services.RecordMany(t.Context(), clerk(there), make([]services.Input, 1001))
	refused(t, err, fault.KindInvalid, "BATCH_TOO_LARGE", "")
}

// TestStandingRefusal: it is not asked again, only the person changes it, and no
// list shows it, by presence or absence.
func TestStandingRefusal(t *testing.T) {
	b := newBureau(t)
	who, other := b.register(there, 1), b.register(there, 2)
	set := func(refused bool) error {
		return b.Services.SetStandingRefusal(t.Context(), clerk(there), b.request(), who, ledger.ThreeChecks, refused)
	}
	shown := func() []ledger.Service {
		t.Helper()
		_, standing, err := b.Services.PersonServices(t.Context(), clerk(there), who, "test")
		if err != nil {
			t.Fatal(err)
		}
		return standing
	}
	before := b.due(50, there)
	if err := set(true); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, b.due(50, there)); d != "" {
		t.Errorf("a standing refusal changes the list: %s", d)
	}
	if d := cmp.Diff([]ledger.Service{ledger.ThreeChecks}, shown()); d != "" {
		t.Errorf("on the person's page: %s", d)
	}
	for _, result := range []string{ledger.OfferDone, ledger.OfferDeclined, ledger.OfferAsked} {
		_, _, err := b.Services.Record(t.Context(), clerk(there), b.input(who, ledger.ThreeChecks, result))
		refused(t, err, fault.KindConflict, "STANDING_REFUSAL", "result")
	}
	b.record(who, ledger.Contraceptives, ledger.OfferDone) // another kind
	_, warnings, err := b.Services.Record(t.Context(), clerk(there), b.input(who, ledger.ThreeChecks, ledger.OfferStandingRefusal))
	if err != nil || len(warnings) != 1 {
		t.Errorf("recording that it stands: %v, %v", warnings, err)
	}
	if d := cmp.Diff([]cases.PersonID{other}, b.due(50, there)); d != "" {
		t.Errorf("due afterwards: %s", d)
	}
	if err := set(false); err != nil || len(shown()) != 0 {
		t.Errorf("lifted: %v, %v", shown(), err)
	}
	b.record(who, ledger.ThreeChecks, ledger.OfferDone)
	if d := cmp.Diff(ledger.Counts{ledger.OfferDone: 1}, b.tally(there, ledger.ThreeChecks, round).Living); d != "" {
		t.Errorf("tally: %s", d)
	}
	// Said while a service is recorded.
	b.record(who, ledger.ThreeChecks, ledger.OfferStandingRefusal)
	if len(shown()) != 1 {
		t.Error("a recorded standing refusal does not stand")
	}
	req := b.request()
	for range 2 {
		if err := b.Services.SetStandingRefusal(t.Context(), clerk(there), req, who, ledger.Visit, true); err != nil {
			t.Error(err)
		}
	}
	refused(t, b.Services.SetStandingRefusal(t.Context(), clerk(there), req, who, ledger.Visit, false), fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
	refused(t, b.Services.SetStandingRefusal(t.Context(), clerk(beside), b.request(), who, ledger.Visit, true), fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	refused(t, b.Services.SetStandingRefusal(t.Context(), clerk(there), b.request(), who, 9, true), fault.KindInvalid, "SERVICE_KIND", "kind")
	refused(t, b.Services.SetStandingRefusal(t.Context(), harness.Clerk(access.County, county), b.request(), who, ledger.Visit, true), fault.KindDenied, "NOT_ALLOWED", "")
}

// TestMergedFiles: several files of one person are one: what was refused in one
// is refused in all, and what is recorded goes to the one that stands.
func TestMergedFiles(t *testing.T) {
	b := newBureau(t)
	root, child := b.register(there, 1), b.register(there, 2)
	b.record(child, ledger.Visit, ledger.OfferDone)
	if err := b.Services.SetStandingRefusal(t.Context(), clerk(there), b.request(), child, ledger.ThreeChecks, true); err != nil {
		t.Fatal(err)
	}
	b.in(there, func(tx *store.Tx) error { return tx.MergeInto(t.Context(), child, root, true) })
	_, _, err := b.Services.Record(t.Context(), clerk(there), b.input(root, ledger.ThreeChecks, ledger.OfferDone))
	refused(t, err, fault.KindConflict, "STANDING_REFUSAL", "result")
	if err := b.Services.SetStandingRefusal(t.Context(), clerk(there), b.request(), root, ledger.ThreeChecks, false); err != nil {
		t.Fatal(err)
	}
	if v := b.record(child, ledger.ThreeChecks, ledger.OfferDone); v.Person != root {
		t.Error("a service went into a merged file")
	}
	for _, id := range []cases.PersonID{root, child} {
		got, standing, err := b.Services.PersonServices(t.Context(), clerk(there), id, "test")
		if err != nil || len(got) != 2 || len(standing) != 0 {
			t.Errorf("shown: %+v, %v, %v", got, standing, err)
		}
	}
	if len(b.due(50, there)) != 0 {
		t.Error("a merged file is due")
	}
}

// TestTallyEqualsRecount: many records of many people, replaced at random and
// all at once, and some of the people erased.
func TestTallyEqualsRecount(t *testing.T) {
	b := newBureau(t)
	const n = 12
	var who []cases.PersonID
	for i := range n {
		who = append(who, b.register(there, i))
	}
	results := []string{ledger.OfferAsked, ledger.OfferDone, ledger.OfferDeclined, ledger.OfferNotReached, ledger.OfferNotApplicable}
	kinds := []ledger.Service{ledger.ThreeChecks, ledger.Contraceptives}
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	last := make([]map[cases.PersonID]string, 8)
	for w := range 8 {
		// Each worker has some of the people, and batches in an order of its own.
		var ins []services.Input
		last[w] = map[cases.PersonID]string{}
		for round := range 4 {
			for i := range n {
				in := b.input(who[(i*5+w)%n], kinds[(i+round)%2], results[(i+w+round)%len(results)])
				ins = append(ins, in)
			}
		}
		wg.Go(func() {
			for part := range slices.Chunk(ins, 12) {
				got, err := b.Services.RecordMany(t.Context(), clerk(there), part)
				for i := range got {
					if got[i].Err != nil && err == nil {
						err = got[i].Err
					}
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
	total := func(c ledger.Counts) (n int64) {
		for v := range maps.Values(c) {
			n += v
		}
		return n
	}
	for kind, period := range map[ledger.Service]uint32{ledger.ThreeChecks: round, ledger.Contraceptives: 202611} {
		if got := total(b.tally(there, kind, period).Living); got != n {
			t.Errorf("kind %d: %d counted, %d people", kind, got, n)
		}
	}
	before := b.tally(there, ledger.ThreeChecks, round)
	err := b.DB.InExchange(t.Context(), []area.Key{there}, func(tx *store.Tx) error {
		for _, id := range who[:5] {
			if err := b.Book.ErasePerson(t.Context(), tx, there, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	after := b.tally(there, ledger.ThreeChecks, round)
	if total(after.Living) != n-5 || total(after.Erased) != 5 {
		t.Errorf("after the erasure %d living, %d erased", total(after.Living), total(after.Erased))
	}
	for _, r := range ledger.ServiceResults() {
		if before.Of(r) != after.Of(r) {
			t.Errorf("%s: %d before the erasure, %d after", r, before.Of(r), after.Of(r))
		}
	}
	_, _, err = b.Services.Record(t.Context(), clerk(there), b.input(who[0], ledger.ThreeChecks, ledger.OfferDone))
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	raw := storetest.Raw(t, b.url)
	defer raw.Close()
	if sizes := raw.Rows(t, `SELECT count(DISTINCT length(sealed)) FROM service_tally`); fmt.Sprint(sizes[0]...) != "1" {
		t.Error("tallies have several sizes")
	}
}

// TestRestrictedPerson: whom only two named users see is not there for others.
func TestRestrictedPerson(t *testing.T) {
	b := newBureau(t)
	who := b.register(there, 1)
	raw := storetest.Raw(t, b.url)
	raw.Exec(t, `UPDATE person SET restricted = true`)
	raw.Close()
	if len(b.due(50, there)) != 0 {
		t.Error("a restricted person is on the list")
	}
	_, _, err := b.Services.Record(t.Context(), clerk(there), b.input(who, ledger.Visit, ledger.OfferDone))
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	_, _, err = b.Services.PersonServices(t.Context(), clerk(there), who, "test")
	if absent := people.NotFound().On("person_id"); err == nil || err.Error() != absent.Error() {
		t.Errorf("restricted: %v, absent: %v", err, absent)
	}
}
