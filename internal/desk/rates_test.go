package desk_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
)

func (b *bureau) rates(p access.Principal, r desk.RatesRequest) map[string]desk.RateView {
	b.Helper()
	at := here
	if len(p.Offices) > 0 {
		at = p.Offices[0]
	}
	_, rs, err := b.at(at).Rates(b.Context(), p, r)
	if err != nil {
		b.Fatalf("rates: %v", err)
	}
	out := map[string]desk.RateView{}
	for _, v := range rs {
		key := v.Measure
		if r.ByTownship {
			key += " " + v.Area.Short()
		}
		out[key] = v
	}
	return out
}

// TestCertificateRate computes the report of 篇一 through the desk: 1,631 of
// 1,677 are 97.26 %, and 97.20 % with one issued certificate less.
func TestCertificateRate(t *testing.T) {
	b := newBureau(t, true)
	const asked, issued = 1677, 1631
	town := area.Children(origin)[1]
	for missing := range 2 {
		office := []area.Key{here, town}[missing]
		var rs []desk.OpenRequest
		flush := func() {
			got, err := b.at(here).OpenCases(t.Context(), clerk(office), rs)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range got {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
			}
			rs = nil
		}
		for i := range asked + 3 { // three asked for none
			r := b.notice(i, there)
			r.Origin = office
			if i < asked {
				r.CertificateAsked = day("2026-11-02")
			}
			if i < issued-missing {
				r.CertificateIssued = day("2026-11-05")
			}
			if rs = append(rs, r); len(rs) == desk.MaxBatch {
				flush()
			}
		}
		flush()
		want := []string{"97.26 %", "97.20 %"}[missing]
		v := b.rates(clerk(office), desk.RatesRequest{Measures: []string{"certificate"}})["certificate"]
		if v.N != issued-int64(missing) || v.D != asked || compact(v.Percent) != compact(want) {
			t.Errorf("%d / %d = %s, want %s", v.N, v.D, v.Percent, want)
		}
	}
	// The county sums its townships, and no other place's.
	county := harness.Clerk(access.County, origin)
	if v := b.rates(county, desk.RatesRequest{Area: origin, Measures: []string{"certificate"}})["certificate"]; v.N != 2*issued-1 || v.D != 2*asked {
		t.Errorf("county: %d / %d", v.N, v.D)
	}
	by := b.rates(county, desk.RatesRequest{Area: origin, Measures: []string{"certificate"}, ByTownship: true})
	if v := by["certificate "+here.Short()]; v.N != issued || v.D != asked {
		t.Errorf("%s: %d / %d", here, v.N, v.D)
	}
	if v, ok := by["certificate "+area.Children(origin)[2].Short()]; !ok || v.D != 0 || v.Percent != "—" {
		t.Errorf("a township without any: %+v", v)
	}
	if v := b.rates(harness.Clerk(access.County, residence), desk.RatesRequest{Measures: []string{"certificate"}})["certificate"]; v.D != 0 {
		t.Errorf("another county sees %d", v.D)
	}
	if v := b.rates(clerk(here), desk.RatesRequest{Period: "2026-10", Measures: []string{"certificate"}})["certificate"]; v.D != 0 {
		t.Errorf("October has %d", v.D)
	}
}

func compact(s string) string {
	out := ""
	for _, r := range s {
		if r != ' ' && r != '%' {
			out += string(r)
		}
	}
	return out
}

// TestFeedbackRates mixes answered, late, withdrawn, rerouted and waiting cases
// and holds both ends and the county to the same figures.
func TestFeedbackRates(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		open := func(n int, to area.Key) (ids []cases.CaseID) {
			for range n {
				ids = append(ids, b.open(b.notice(b.n, to)))
			}
			return ids
		}
		none := desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}
		in := open(6, there)
		for _, id := range in[:3] {
			b.answer(there, id, none)
		}
		b.change(here, in[3], withdraw)
		b.answer(there, in[4], desk.AnswerInput{Outcome: cases.Misrouted, Area: beside}) // in time: leaves there's rates
		next := open(2, beside)
		b.answer(beside, next[0], none)
		lost := open(1, there)
		b.answer(there, lost[0], desk.AnswerInput{Outcome: cases.Misrouted}) // without an area: counts as answered

		r := b.notice(500, there)
		r.Kind, r.Fields.Certificate = cases.Certificate, "示例-1"
		r.Origin, r.Destination = there, here // the residence checks what it was shown
		for i := range 3 {
			r.RequestID, r.Fields.Document = b.request(), person(500+i)
			id := b.open(r)
			b.answer(here, id, desk.AnswerInput{Outcome: cases.Valid})
		}
		b.Clock.Add(35 * 24 * time.Hour)
		b.answer(there, in[5], none) // late

		figures := func(p access.Principal, r desk.RatesRequest) map[string]string {
			out := map[string]string{}
			for k, v := range b.rates(p, r) {
				out[k] = fmt.Sprintf("%d/%d", v.N, v.D)
			}
			return out
		}
		december := desk.RatesRequest{Period: "2026-12", Measures: []string{"feedback", "feedback_on_time"}}
		if diff := cmp.Diff(map[string]string{"feedback": "5/5", "feedback_on_time": "4/5"}, figures(clerk(there), december)); diff != "" {
			t.Errorf("there:\n%s", diff)
		}
		v := b.rates(clerk(there), december)["feedback"]
		if diff := cmp.Diff(map[string]int64{"REROUTED_IN_TIME": 1, "WITHDRAWN_BEFORE_DUE": 1}, v.Excluded); diff != "" {
			t.Errorf("excluded:\n%s", diff)
		}
		// beside: two of its own and the one rerouted to it.
		if diff := cmp.Diff(map[string]string{"feedback": "1/3", "feedback_on_time": "1/3"}, figures(clerk(beside), december)); diff != "" {
			t.Errorf("beside:\n%s", diff)
		}
		if v := b.rates(clerk(beside), december)["feedback"]; v.Overdue["residence"] != 2 {
			t.Errorf("overdue %v", v.Overdue)
		}
		opener := december
		opener.Side = cases.SideOpener
		if diff := cmp.Diff(map[string]string{"feedback": "6/8", "feedback_on_time": "5/8"}, figures(clerk(here), opener)); diff != "" {
			t.Errorf("the opener:\n%s", diff)
		}
		county := harness.Clerk(access.County, residence)
		by := december
		by.Area, by.ByTownship, by.Measures = residence, true, []string{"feedback"}
		got := figures(county, by)
		if got["feedback "+there.Short()] != "5/5" || got["feedback "+beside.Short()] != "1/3" {
			t.Errorf("the county by township: %v", got)
		}
		by.ByTownship = false
		if got := figures(county, by); got["feedback"] != "6/8" {
			t.Errorf("the county: %v", got)
		}
		november := desk.RatesRequest{Period: "2026-11", Measures: []string{"verification"}}
		if diff := cmp.Diff(map[string]string{"verification": "3/3"}, figures(clerk(there), november)); diff != "" {
			t.Errorf("verification:\n%s", diff)
		}
	})
}

// TestCountyReadsNoPerson walks the verbs with the roles that see counts only.
func TestCountyReadsNoPerson(t *testing.T) {
	b := newBureau(t, true)
	d := b.at(here)
	id := b.open(b.notice(1, there))
	for _, role := range []access.Role{access.County, access.Auditor, access.Admin, access.Security} {
		p := harness.Clerk(role, here, there, origin, residence)
		for name, call := range map[string]func() error{
			"get":    func() error { _, err := d.GetCase(t.Context(), p, desk.GetRequest{Case: id}); return err },
			"unmask": func() error { _, err := d.GetCase(t.Context(), p, desk.GetRequest{Case: id, Unmask: true}); return err },
			"list":   func() error { _, _, err := d.ListCases(t.Context(), p, desk.ListRequest{}); return err },
			"trace":  func() error { _, err := d.Trace(t.Context(), p, id, "test"); return err },
			"watch":  func() error { return d.Watch(t.Context(), p, 0, func(desk.Change) error { return nil }) },
			"consent": func() error {
				_, err := d.ListConsents(t.Context(), p, here, desk.PersonRef{Document: person(1)}, "test")
				return err
			},
		} {
			t.Run(string(role)+" "+name, func(t *testing.T) { refused(t, call(), fault.KindDenied, "NOT_ALLOWED", "") })
		}
	}
	_, _, err := d.Rates(t.Context(), harness.Clerk(access.Auditor, origin), desk.RatesRequest{})
	refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
	_, _, err = d.Rates(t.Context(), harness.Clerk(access.County, origin), desk.RatesRequest{Area: there})
	refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
	for _, tt := range []struct {
		name   string
		r      desk.RatesRequest
		reason string
		field  string
	}{
		{"unknown area", desk.RatesRequest{Area: area.MustOf(area.Township, "520330999")}, "AREA_UNKNOWN", "area"},
		{"no period", desk.RatesRequest{Period: "2026-13"}, "PERIOD", "period"},
		{"no measure", desk.RatesRequest{Measures: []string{"refusals"}}, "MEASURE", "measures"},
		{"no kind", desk.RatesRequest{Kind: 77}, "CASE_KIND", "kind"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := d.Rates(t.Context(), harness.Clerk(access.County, origin), tt.r)
			refused(t, err, fault.KindInvalid, tt.reason, tt.field)
		})
	}
	// A distributor sees only what waits to be given away.
	p := harness.Clerk(access.Distributor, residence, there)
	waits := b.open(b.notice(2, residence))
	list, _, err := d.ListCases(t.Context(), p, desk.ListRequest{})
	if err != nil || len(list) != 1 || list[0].ID != waits || list[0].Fields != nil {
		t.Errorf("distributor: %d, %v", len(list), err)
	}
	_, err = d.GetCase(t.Context(), p, desk.GetRequest{Case: id})
	refused(t, err, fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
	_, _, err = d.Answer(t.Context(), p, desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(there, id), Answer: desk.AnswerInput{Outcome: cases.NotFound}})
	refused(t, err, fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
	_, err = d.GetCase(t.Context(), p, desk.GetRequest{Case: id, Unmask: true})
	refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
	for _, tt := range []struct {
		name   string
		r      desk.ListRequest
		kind   fault.Kind
		reason string
		field  string
	}{
		{"a huge page", desk.ListRequest{PageSize: 1001}, fault.KindInvalid, "PAGE_SIZE", "page_size"},
		{"a negative page", desk.ListRequest{PageSize: -1}, fault.KindInvalid, "PAGE_SIZE", "page_size"},
		{"no token", desk.ListRequest{PageToken: "???"}, fault.KindInvalid, "PAGE_TOKEN", "page_token"},
		{"a foreign office", desk.ListRequest{Office: there}, fault.KindDenied, "FOREIGN_OFFICE", "office"},
		{"an unknown counterpart", desk.ListRequest{Counterpart: area.MustOf(area.Township, "330782999")}, fault.KindInvalid, "AREA_UNKNOWN", "counterpart"},
		{"an unknown kind", desk.ListRequest{Kind: 42}, fault.KindInvalid, "CASE_KIND", "kind"},
	} {
		t.Run("list "+tt.name, func(t *testing.T) {
			_, _, err := d.ListCases(t.Context(), clerk(here), tt.r)
			refused(t, err, tt.kind, tt.reason, tt.field)
		})
	}
	if n := testing.AllocsPerRun(100, func() { _ = d.Offices() }); n != 0 {
		t.Errorf("Offices computes anew: %v allocations", n)
	}
}
