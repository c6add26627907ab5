package figures_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/harness"
	"yipan/internal/policy"
	"yipan/internal/rates"
)

// TestCertificateRate computes the report of 篇一: 1,631 of 1,677 are 97.26 %,
// and 97.20 % with one issued certificate less.
func TestCertificateRate(t *testing.T) {
	b := newBureau(t, true)
	const asked, issued = 1677, 1631
	town := area.Children(origin)[1]
	certificates := []rates.Measure{rates.Certificate}
	november := period("2026-11")
	askedOn, issuedOn := day("2026-11-02"), day("2026-11-05")
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
				r.CertificateAsked = &askedOn
			}
			if i < issued-missing {
				r.CertificateIssued = &issuedOn
			}
			if rs = append(rs, r); len(rs) == desk.MaxBatch {
				flush()
			}
		}
		flush()
		want := []string{"97.26", "97.20"}[missing]
		v := b.rows(clerk(office), figures.Query{Period: november, Measures: certificates})["certificate"]
		if v.N != issued-int64(missing) || v.D != asked || v.Percent() != want || v.Pending != v.D-v.N {
			t.Errorf("%d / %d = %s, want %s", v.N, v.D, v.Percent(), want)
		}
	}
	// The county sums its townships, and no other place's.
	county := harness.Clerk(access.County, origin)
	if v := b.rows(county, figures.Query{Area: origin, Period: november, Measures: certificates})["certificate"]; v.N != 2*issued-1 || v.D != 2*asked {
		t.Errorf("county: %d / %d", v.N, v.D)
	}
	by := b.rows(county, figures.Query{Area: origin, Period: november, Measures: certificates, By: figures.ByTownship})
	if v := by["certificate "+here.Short()]; v.N != issued || v.D != asked {
		t.Errorf("%s: %d / %d", here, v.N, v.D)
	}
	if v, ok := by["certificate "+area.Children(origin)[2].Short()]; !ok || v.D != 0 || v.Percent() != "—" {
		t.Errorf("a township without any: %+v", v)
	}
	if v := b.rows(harness.Clerk(access.County, residence), figures.Query{Period: november, Measures: certificates})["certificate"]; v.D != 0 {
		t.Errorf("another county sees %d", v.D)
	}
	if v := b.rows(clerk(here), figures.Query{Period: period("2026-10"), Measures: certificates})["certificate"]; v.D != 0 {
		t.Errorf("October has %d", v.D)
	}
	b.recounted()
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
		b.withdraw(here, in[3])
		b.addUp()
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
			b.answer(here, b.open(r), desk.AnswerInput{Outcome: cases.Valid})
		}
		december := figures.Query{Period: period("2026-12"), Measures: feedback}
		if v := b.rows(clerk(beside), december)["feedback"]; v.N != 1 || v.D != 3 || v.Pending != 2 || len(v.Overdue) != 0 {
			t.Errorf("beside before the due: %+v", v)
		}
		b.Clock.Add(35 * 24 * time.Hour)
		b.answer(there, in[5], none) // late

		if diff := cmp.Diff(map[string]string{"feedback": "5/5", "feedback_on_time": "4/5"}, ratios(b.rows(clerk(there), december))); diff != "" {
			t.Errorf("there:\n%s", diff)
		}
		v := b.rows(clerk(there), december)["feedback"]
		if diff := cmp.Diff(map[rates.Code]int64{rates.ReroutedInTime: 1, rates.WithdrawnBeforeDue: 1}, v.Excluded); diff != "" {
			t.Errorf("excluded:\n%s", diff)
		}
		if v.Basis != rates.Live || v.AsOf.IsZero() || v.Suppressed {
			t.Errorf("basis %d as of %s", v.Basis, v.AsOf)
		}
		// beside: two of its own and the one rerouted to it.
		if diff := cmp.Diff(map[string]string{"feedback": "1/3", "feedback_on_time": "1/3"}, ratios(b.rows(clerk(beside), december))); diff != "" {
			t.Errorf("beside:\n%s", diff)
		}
		if v := b.rows(clerk(beside), december)["feedback"]; v.Overdue[rates.WaitResidence] != 2 || v.Pending != 0 {
			t.Errorf("overdue %v", v.Overdue)
		}
		opener := december
		opener.Side = cases.SideOpener
		if diff := cmp.Diff(map[string]string{"feedback": "6/8", "feedback_on_time": "5/8"}, ratios(b.rows(clerk(here), opener))); diff != "" {
			t.Errorf("the opener:\n%s", diff)
		}
		county := harness.Clerk(access.County, residence)
		by := december
		by.Area, by.By, by.Measures = residence, figures.ByTownship, feedback[:1]
		got := ratios(b.rows(county, by))
		if got["feedback "+there.Short()] != "5/5" || got["feedback "+beside.Short()] != "1/3" {
			t.Errorf("the county by township: %v", got)
		}
		by.By = figures.ByNothing
		if got := ratios(b.rows(county, by)); got["feedback"] != "6/8" {
			t.Errorf("the county: %v", got)
		}
		by.By = figures.ByCounterpart
		if diff := cmp.Diff(map[string]string{"feedback 520330": "6/8"}, ratios(b.rows(county, by))); diff != "" {
			t.Errorf("by counterpart:\n%s", diff)
		}
		november := figures.Query{Period: period("2026-11"), Measures: []rates.Measure{rates.Verification}}
		if diff := cmp.Diff(map[string]string{"verification": "3/3"}, ratios(b.rows(clerk(there), november))); diff != "" {
			t.Errorf("verification:\n%s", diff)
		}

		// The same by days, by counterpart and as trend; added up or not.
		for range 2 {
			days := december
			days.Period = policy.Period{From: day("2026-12-01"), To: day("2026-12-31")}
			if diff := cmp.Diff(map[string]string{"feedback": "5/5", "feedback_on_time": "4/5"}, ratios(b.rows(clerk(there), days))); diff != "" {
				t.Errorf("by days:\n%s", diff)
			}
			peer := december
			peer.Counterpart = area.Parent(origin)
			if diff := cmp.Diff(map[string]string{"feedback": "5/5", "feedback_on_time": "4/5"}, ratios(b.rows(clerk(there), peer))); diff != "" {
				t.Errorf("of a counterpart:\n%s", diff)
			}
			if peer.Counterpart = residence; b.rows(clerk(there), peer)["feedback"].D != 0 {
				t.Error("cases with somebody else")
			}
			trend := december
			trend.Period, trend.Trend = period("2027-01"), 3
			points := b.rows(clerk(there), trend)["feedback"].Trend
			if len(points) != 3 || points[2].Period != december.Period || points[2].Ratio != (rates.Ratio{N: 5, D: 5}) || points[0].D != 0 {
				t.Errorf("trend %v", points)
			}
			quarter := december
			quarter.Period = period("2026-Q4")
			if diff := cmp.Diff(map[string]string{"feedback": "5/5", "feedback_on_time": "4/5"}, ratios(b.rows(clerk(there), quarter))); diff != "" {
				t.Errorf("quarter:\n%s", diff)
			}
			kind := december
			kind.By = figures.ByKind
			if got := ratios(b.rows(clerk(there), kind)); got["feedback 1"] != "5/5" || got["feedback 2"] != "0/0" || len(got) != 6 {
				t.Errorf("by kind: %v", got)
			}
			b.addUp()
		}
	})
}

// TestRatesRefused is what cannot be asked, and by whom.
func TestRatesRefused(t *testing.T) {
	b := newBureau(t, true)
	f := b.figures(here)
	county := harness.Clerk(access.County, origin)
	for _, tt := range []struct {
		name   string
		p      access.Principal
		q      figures.Query
		kind   fault.Kind
		reason string
		field  string
	}{
		{"auditor", harness.Clerk(access.Auditor, origin), figures.Query{}, fault.KindDenied, "NOT_ALLOWED", ""},
		{"another county", county, figures.Query{Area: there}, fault.KindDenied, "NOT_ALLOWED", ""},
		{"unknown area", county, figures.Query{Area: area.MustOf(area.Township, "520330999")}, fault.KindInvalid, "AREA_UNKNOWN", "area"},
		{"unknown measure", county, figures.Query{Measures: []rates.Measure{99}}, fault.KindInvalid, "MEASURE", "measures"},
		{"unknown kind", county, figures.Query{Kind: 77}, fault.KindInvalid, "CASE_KIND", "kind"},
		{"long trend", county, figures.Query{Trend: 25}, fault.KindInvalid, "TREND", "trend"},
		{"days of a county", county, figures.Query{Period: period("2026-11-03..2026-11-20")}, fault.KindInvalid, "PERIOD_DAYS", "period"},
		{"days of another office", harness.Clerk(access.Clerk, here, origin), figures.Query{Area: origin, Period: period("2026-11-03..2026-11-20")}, fault.KindInvalid, "PERIOD_DAYS", "period"},
		{"days with trend", clerk(here), figures.Query{Period: period("2026-11-03..2026-11-20"), Trend: 2}, fault.KindInvalid, "PERIOD_DAYS", "period"},
		{"counterpart below a county", clerk(here), figures.Query{Counterpart: there}, fault.KindInvalid, "COUNTERPART_LEVEL", "counterpart"},
		{"unknown counterpart", clerk(here), figures.Query{Counterpart: area.MustOf(area.County, "999999")}, fault.KindInvalid, "AREA_UNKNOWN", "counterpart"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.q.Period == (policy.Period{}) {
				tt.q.Period = period("2026-11")
			}
			_, err := f.Rates(t.Context(), tt.p, tt.q)
			refused(t, err, tt.kind, tt.reason, tt.field)
		})
	}
	for in, want := range map[string]string{"": "2026-11", "year": "2026-10..2026-11", "2026-Q4": "2026-Q4"} {
		if p, err := f.ParsePeriod(in); err != nil || p.String() != want && in != "year" {
			t.Errorf("period %q is %s, %v", in, p, err)
		}
	}
	_, err := f.ParsePeriod("2026-13")
	refused(t, err, fault.KindInvalid, "PERIOD", "period")
}
