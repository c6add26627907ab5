package figures_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/policy"
	"yipan/internal/rates"
)

// notice opens an outflow notice to a township about the i-th synthetic person.
func (b *bureauOfReports) notice(to area.Key, i int) cases.CaseID {
	b.Helper()
	v, _, err := b.Desk.OpenCase(b.Context(), b.clerk(b.spec.Origin), desk.OpenRequest{
		RequestID: b.id(), Kind: cases.Outflow, Origin: b.spec.Origin, Destination: to, Fields: desk.FieldsInput{
			Name: "测试甲", Document: ident.Make("520330", civil.MustParse("1990-06-01"), i, false), EventDay: civil.In(b.world.Clock.Now()).AddDays(-3),
			Basis: desk.BasisInput{Kind: cases.BasisRequest},
		},
	})
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	return v.ID
}

func (b *bureauOfReports) answer(office area.Key, id cases.CaseID) {
	b.Helper()
	p := b.clerk(office)
	seen, err := b.Desk.GetCase(b.Context(), p, desk.GetRequest{Case: id, Purpose: "test"})
	if err != nil {
		b.Fatal(err)
	}
	_, _, err = b.Desk.Answer(b.Context(), p, desk.AnswerRequest{
		RequestID: b.id(), Ref: desk.CaseRef{Case: id, Etag: seen.Etag}, Answer: desk.AnswerInput{Outcome: cases.NotFound, Check: "visit"},
	})
	if err != nil {
		b.Fatalf("answer: %v", err)
	}
}

// TestMonthlyAndOverdue: three notices to two townships of a county and one to
// the county itself, of which one is answered in time and one late.
func TestMonthlyAndOverdue(t *testing.T) {
	b := newReports(t)
	county, one, two := b.spec.Residence, b.spec.Townships[0], b.spec.Townships[1]
	inTime, late, never := b.notice(one, 1), b.notice(one, 2), b.notice(two, 3)
	b.notice(county, 4)
	b.answer(one, inTime)
	december := policy.PeriodOf(b.world.Clock.Now(), policy.SpanMonth).Next() // 30 days from 20 November
	due := civil.Date{Year: 2026, Month: time.December, Day: 20}

	b.world.Clock.Add(34 * 24 * time.Hour) // 24 December
	before := b.world.Clock.Now()
	b.answer(one, late)

	get := func(k area.Key, at time.Time) map[string]figures.Figure {
		t.Helper()
		fs, err := b.Figures.ReportRows(t.Context(), figures.Monthly, k, december, at)
		if err != nil {
			t.Fatal(err)
		}
		return byCode(fs, k)
	}
	counts := func(m map[string]figures.Figure) map[string]int64 {
		out := map[string]int64{}
		for _, c := range []string{"feedback.due", "feedback.answered", "feedback.on_time", "overdue.residence", "overdue.county", "overdue.origin"} {
			out[c] = m[c].N
		}
		return out
	}
	now := b.world.Clock.Now()
	sum := get(county, now)
	if d := cmp.Diff(map[string]int64{"feedback.due": 4, "feedback.answered": 2, "feedback.on_time": 1, "overdue.residence": 1, "overdue.county": 1, "overdue.origin": 0}, counts(sum)); d != "" {
		t.Errorf("county: %s", d)
	}
	if g := sum["feedback.rate"]; g.N != 2 || g.D != 4 || !g.Rate {
		t.Errorf("rate: %+v", g)
	}
	// The county's own office stands beside its sum, and all rows add up to it.
	all, err := b.Figures.ReportRows(t.Context(), figures.Monthly, county, december, now)
	if err != nil {
		t.Fatal(err)
	}
	var rows int64
	for _, g := range all {
		if g.Code == "feedback.due" && g.Area != county || g.Code == figures.Own+"feedback.due" {
			rows += g.N
		}
	}
	if rows != 4 || byCode(all, county)[figures.Own+"feedback.due"].N != 1 {
		t.Errorf("rows add up to %d, the county's own has %d", rows, byCode(all, county)[figures.Own+"feedback.due"].N)
	}
	if d := cmp.Diff(map[string]int64{"feedback.due": 2, "feedback.answered": 2, "feedback.on_time": 1, "overdue.residence": 0, "overdue.county": 0, "overdue.origin": 0}, counts(get(one, now))); d != "" {
		t.Errorf("township: %s", d)
	}
	// Before the late answer both were overdue.
	if d := cmp.Diff(map[string]int64{"feedback.due": 2, "feedback.answered": 1, "feedback.on_time": 1, "overdue.residence": 1, "overdue.county": 0, "overdue.origin": 0}, counts(get(one, before))); d != "" {
		t.Errorf("township before: %s", d)
	}

	list, err := b.Figures.ReportRows(t.Context(), figures.Overdue, county, december, now)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"overdue.receiver.outflow.residence": 1, "overdue.receiver.outflow.residence.days": 4, "overdue.receiver.outflow.county": 1, "overdue.receiver.outflow.county.days": 4,
		figures.Own + "overdue.receiver.outflow.county": 1, figures.Own + "overdue.receiver.outflow.county.days": 4}
	got := map[string]int64{}
	for _, g := range list {
		if g.Area == county {
			got[g.Code] = g.N
		} else if g.Area != two {
			t.Errorf("overdue at %s: %+v", g.Area, g)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("overdue: %s", d)
	}

	// The office itself sees which; whoever counts its work does not.
	cs, err := b.Figures.OverdueCases(t.Context(), b.clerk(two), two, december, now)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]figures.OverdueCase{{Case: never, Round: 1, Kind: cases.Outflow, Side: cases.SideReceiver, Waits: rates.WaitResidence, Due: due, Days: 4}}, cs); d != "" {
		t.Errorf("cases: %s", d)
	}
	for _, p := range []access.Principal{harness.Clerk(access.County, county), b.clerk(one)} {
		if _, err := b.Figures.OverdueCases(t.Context(), p, two, december, now); !fault.Is(err, fault.KindDenied) {
			t.Errorf("%s: %v", p.Role, err)
		}
	}
	// The opener sees the same case wait at the other end.
	if own, err := b.Figures.OverdueCases(t.Context(), b.clerk(b.spec.Origin), 0, december, now); err != nil || len(own) != 2 || own[0].Side != cases.SideOpener {
		t.Errorf("%+v %v", own, err)
	}
}

func TestReportRowsRefuses(t *testing.T) {
	b := newReports(t)
	for reason, c := range map[string]struct {
		kind   figures.ReportKind
		k      area.Key
		period policy.Period
	}{
		"REPORT_KIND":  {9, b.spec.Origin, year2026},
		"PERIOD":       {figures.Annual, b.spec.Origin, policy.Period{}},
		"AREA_UNKNOWN": {figures.Annual, area.MustOf(area.County, "330481"), year2026},
	} {
		_, err := b.Figures.ReportRows(t.Context(), c.kind, c.k, c.period, time.Time{})
		if f, ok := fault.As(err); !ok || f.Reason != reason {
			t.Errorf("%s: %v", reason, err)
		}
	}
}
