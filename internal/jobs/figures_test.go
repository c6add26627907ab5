package jobs_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/figures"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/jobs"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store/storetest"
)

// gauges reads the gauges of rates, "name{area kind role period side}" to value.
func gauges(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			of := map[string]string{}
			for _, l := range m.GetLabel() {
				of[l.GetName()] = l.GetValue()
			}
			switch name := f.GetName(); name {
			case "yipan_rates_due", "yipan_rates_answered", "yipan_rates_on_time", "yipan_rates_overdue", "yipan_rates_unreceipted", "yipan_rates_read":
				out[fmt.Sprintf("%s{%s %s %s %s %s}", name, of["area"], of["kind"], of["role"], of["period"], of["side"])] = m.GetGauge().GetValue()
			case "yipan_rates_oldest_seconds":
				// The clock of the world goes on between two reads.
				out[fmt.Sprintf("%s{%s %s %s  %s}", name, of["area"], of["kind"], of["role"], of["side"])] = math.Floor(m.GetGauge().GetValue() / 60)
			}
		}
	}
	return out
}

// figure is what RateService tells of a cell.
type figure struct {
	due, answered, onTime, origin, county, residence, unreceipted int64

	timed bool
}

func (f figure) plus(o figure) figure {
	return figure{
		f.due + o.due, f.answered + o.answered, f.onTime + o.onTime, f.origin + o.origin, f.county + o.county, f.residence + o.residence,
		f.unreceipted + o.unreceipted, f.timed || o.timed,
	}
}

func (f figure) minus(o figure) figure {
	return figure{
		f.due - o.due, f.answered - o.answered, f.onTime - o.onTime, f.origin - o.origin, f.county - o.county, f.residence - o.residence,
		f.unreceipted - o.unreceipted, f.timed,
	}
}

// expect adds the gauges that the cell must have.
func (f figure) expect(want map[string]float64, at, kind, role, period string) {
	put := func(metric, period, side string, v int64) {
		want[fmt.Sprintf("yipan_rates_%s{%s %s %s %s %s}", metric, at, kind, role, period, side)] = float64(v)
	}
	if f.due > 0 {
		put("due", period, "", f.due)
		put("answered", period, "", f.answered)
		if f.timed {
			put("on_time", period, "", f.onTime)
		}
	}
	for side, n := range map[string]int64{"origin": f.origin, "county": f.county, "residence": f.residence} {
		if n > 0 {
			put("overdue", period, side, n)
		}
	}
	if f.unreceipted > 0 && period == "current" {
		put("unreceipted", "", "", f.unreceipted)
	}
}

// TestGaugesEqualRates: hundreds of cases between townships of two nodes, some
// answered in time, late, never, some not delivered; each gauge is what
// RateService tells the clerk of the township, and there is no other.
func TestGaugesEqualRates(t *testing.T) {
	ctx := t.Context()
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 9, 10, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	x, y, z := area.MustOf(area.County, "520330"), area.MustOf(area.County, "330782"), area.MustOf(area.County, "330481")
	for _, k := range []area.Key{x, y} {
		if _, err := w.AddSite(storetest.New(t), k); err != nil {
			t.Fatal(err)
		}
	}
	a, b := w.Sites[0], w.Sites[1]
	froms, tos := area.Children(x)[:2], area.Children(y)[:3]
	settle := func() {
		t.Helper()
		if err := w.Settle(ctx, 10); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	open := func(from, to area.Key, kind cases.Kind, count int) (ids []cases.CaseID) {
		t.Helper()
		var rs []desk.OpenRequest
		for range count {
			n++
			rs = append(rs, desk.OpenRequest{
				RequestID: fmt.Sprintf("request-%06d", n), Kind: kind, Origin: from, Destination: to,
				Fields: desk.FieldsInput{
					Name: "测试甲", Document: ident.Make("520330", civil.MustParse("1990-01-01").AddDays(n/400), n%400, true),
					EventDay: civil.In(w.Clock.Now()).AddDays(-5), Basis: desk.BasisInput{Kind: cases.BasisRequest},
				},
			})
		}
		got, err := a.Desk.OpenCases(ctx, harness.Clerk(access.Clerk, from), rs)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			ids = append(ids, r.Case)
		}
		return ids
	}
	answer := func(office area.Key, ids []cases.CaseID) {
		t.Helper()
		p := harness.Clerk(access.Clerk, office)
		for _, id := range ids {
			n++
			v, err := b.Desk.GetCase(ctx, p, desk.GetRequest{Case: id})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := b.Desk.Answer(ctx, p, desk.AnswerRequest{
				RequestID: fmt.Sprintf("request-%06d", n), Ref: desk.CaseRef{Case: id, Etag: v.Etag}, Answer: desk.AnswerInput{Outcome: cases.NotFound},
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Due in October: in time, late, never; the county's own distributor waits too.
	byTown := map[area.Key][]cases.CaseID{}
	for i, to := range tos {
		for j, from := range froms {
			byTown[to] = append(byTown[to], open(from, to, cases.Outflow, 20+10*i+5*j)...)
		}
	}
	open(froms[0], y, cases.Outflow, 7)
	settle()
	w.Clock.Add(5 * 24 * time.Hour)
	for i, to := range tos {
		answer(to, byTown[to][:15+i])
	}
	settle()
	w.Clock.Add(40 * 24 * time.Hour) // 25 October: what is left is overdue
	answer(tos[0], byTown[tos[0]][20:25])
	// Due in November, to another area without a node: not receipted.
	open(froms[1], tos[1], cases.Outflow, 30)
	settle()
	open(froms[1], area.Children(z)[0], cases.Outflow, 4)
	w.Clock.Add(8 * 24 * time.Hour) // 2 November
	settle()

	ask := func(s *harness.Site, office area.Key, kind cases.Kind, side cases.Side, period policy.Period) (f figure) {
		t.Helper()
		rows, err := s.Figures.Rates(ctx, harness.Clerk(access.Clerk, office), figures.Query{
			Area: office, Period: period, Kind: kind, Side: side, Measures: []rates.Measure{rates.Feedback, rates.FeedbackOnTime, rates.Verification},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			switch {
			case !r.Measure.Of(kind):
			case r.Measure == rates.FeedbackOnTime:
				f.timed, f.onTime = true, r.N
			default:
				f.due, f.answered, f.unreceipted = r.D, r.N, r.Unreceipted
				f.origin, f.county, f.residence = r.Overdue[rates.WaitOrigin], r.Overdue[rates.WaitCounty], r.Overdue[rates.WaitResidence]
			}
		}
		return f
	}
	month := policy.PeriodOf(w.Clock.Now(), policy.SpanMonth)
	for _, s := range w.Sites {
		reg := prometheus.NewRegistry()
		jobs.New(jobs.Config{Desk: s.Desk, Exchange: s.Exchange, Figures: s.Figures, Closing: s.Closing, Policies: w.Policies, Now: w.Clock.Now, Registerer: reg})
		check := func(when string) {
			t.Helper()
			want := map[string]float64{"yipan_rates_read{    }": 1}
			var whole, parts figure // of the county, and of its offices together
			for _, office := range s.Desk.Offices() {
				for kind := cases.Outflow; kind.Known(); kind++ {
					for side, role := range map[cases.Side]string{cases.SideReceiver: "receiver", cases.SideOpener: "opener"} {
						for name, period := range map[string]policy.Period{"current": month, "previous": month.Previous()} {
							f := ask(s, office, kind, side, period)
							if office.Level() == area.County {
								whole = whole.plus(f)
								for _, o := range s.Desk.Offices() {
									if o != office {
										f = f.minus(ask(s, o, kind, side, period))
									}
								}
							}
							parts = parts.plus(f)
							f.expect(want, office.Short(), kind.String(), role, name)
						}
					}
				}
			}
			if whole != parts {
				t.Errorf("%s of %s: the offices add up to %+v, the county to %+v", when, s.Node, parts, whole)
			}
			got := gauges(t, reg)
			for k := range got {
				if strings.HasPrefix(k, "yipan_rates_oldest_seconds{") {
					delete(got, k)
				}
				if strings.HasPrefix(k, "yipan_rates_unreceipted{") && got[k] == 0 {
					delete(got, k) // beside an oldest age
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s of %s:\n%s", when, s.Node, diff)
			}
			if len(want) < 10 {
				t.Errorf("%s of %s: only %d figures", when, s.Node, len(want))
			}
		}
		check("before the sums")
		if _, err := s.Figures.AddUp(ctx); err != nil {
			t.Fatal(err)
		}
		w.Clock.Add(time.Minute) // past what a scrape remembers
		check("after the sums")
	}

	// What was planted, by hand: 20 overdue at tos[0] are answered late or wait.
	reg := prometheus.NewRegistry()
	jobs.New(jobs.Config{Desk: b.Desk, Exchange: b.Exchange, Figures: b.Figures, Closing: b.Closing, Policies: w.Policies, Now: w.Clock.Now, Registerer: reg})
	got := gauges(t, reg)
	of := func(k area.Key) string { return k.Short() + " outflow receiver" }
	age := func(day string) float64 {
		return math.Floor(w.Clock.Now().Sub(civil.MustParse(day).EndInstant()).Minutes())
	}
	for name, want := range map[string]float64{
		"yipan_rates_due{" + of(tos[0]) + " previous }":              45,
		"yipan_rates_answered{" + of(tos[0]) + " previous }":         20,
		"yipan_rates_on_time{" + of(tos[0]) + " previous }":          15,
		"yipan_rates_overdue{" + of(tos[0]) + " previous residence}": 25,
		"yipan_rates_overdue{" + of(y) + " previous county}":         7,
		"yipan_rates_due{" + of(tos[1]) + " current }":               30,
		"yipan_rates_oldest_seconds{" + of(y) + "  county}":          age("2026-10-10"),
		"yipan_rates_oldest_seconds{" + of(tos[1]) + "  residence}":  age("2026-10-10"),
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
}
