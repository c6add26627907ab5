package rpc

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/figures"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/policy"
	"yipan/internal/rates"
)

// period reads a period through the figures, which know the statistical year.
func (d *decoder) period(s string, parse func(string) (policy.Period, error)) policy.Period {
	if d.text("period", s, maxWord); d.err != nil {
		return policy.Period{}
	}
	p, err := parse(s)
	if err != nil {
		d.fail("period", err)
	}
	return p
}

func ratesRequest(r *ratesv1.GetRatesRequest, parse func(string) (policy.Period, error)) (figures.Query, error) {
	d := &decoder{}
	q := figures.Query{
		Area:        d.area("area", r.GetArea()),
		Period:      d.period(r.GetPeriod(), parse),
		Kind:        number(d, "kind", r.GetKind(), cases.BirthService),
		Side:        number(d, "side", r.GetSide(), cases.SideReceiver),
		Counterpart: d.area("counterpart", r.GetCounterpart()),
		By:          number(d, "breakdown", r.GetBreakdown(), figures.ByCounterpart),
		Trend:       int(min(r.GetTrend(), figures.MaxTrend+1)), // more is refused there
	}
	if r.GetByTownship() && q.By == figures.ByNothing {
		q.By = figures.ByTownship
	}
	if len(r.GetMeasures()) > maxList {
		d.refuse("measures", "TOO_MANY", "has too many values", "项数过多")
		return q, d.err
	}
	for _, m := range r.GetMeasures() {
		if !known(m) {
			d.refuse("measures", "VALUE_UNKNOWN", "has an unknown value", "没有这项指标")
			break
		}
		q.Measures = append(q.Measures, rates.Measure(m))
	}
	return q, d.err
}

// known reports whether m is a measure. Its numbers are those inside.
func known(m ratesv1.Measure) bool {
	return m > 0 && m <= ratesv1.Measure(rates.Visits) && rates.Measure(m).Known()
}

func rateMessage(r *figures.Row) *ratesv1.Rate {
	m := &ratesv1.Rate{
		Measure: ratesv1.Measure(r.Measure), Area: areaOf(r.Area), AreaName: area.FullName(r.Area), Kind: casesv1.Kind(r.Kind),
		N: r.N, D: r.D, Percent: r.Percent(), Target: r.Target, Pending: r.Pending, Lapsed: r.Lapsed, Unreceipted: r.Unreceipted,
		Extended: r.Extended, Suppressed: r.Suppressed, Partial: r.Partial, Counterpart: areaOf(r.Counterpart), CounterpartName: area.FullName(r.Counterpart),
		Basis: ratesv1.Basis(r.Basis), AsOf: instantOf(r.AsOf), Revision: r.Revision, Definition: r.Measure.Definition(),
		Excluded: map[string]int64{}, Overdue: map[string]int64{},
	}
	for c, n := range r.Excluded {
		m.Excluded[c.String()] = n
	}
	for w, n := range r.Overdue {
		m.Overdue[w.String()] = n
	}
	for _, p := range r.Trend {
		m.Trend = append(m.Trend, &ratesv1.Point{Period: p.Period.String(), N: p.N, D: p.D, Percent: p.Percent()})
	}
	return m
}

func timesMessage(t *figures.Times) *ratesv1.Times {
	m := &ratesv1.Times{Area: areaOf(t.Area), AreaName: area.FullName(t.Area), LateArrivals: t.LateArrivals}
	for _, s := range t.Spent {
		m.Spent = append(m.Spent, &ratesv1.Spent{Side: s.Side.String(), N: int64(s.N), P50Seconds: s.P50.Seconds(), P90Seconds: s.P90.Seconds()})
	}
	return m
}

func unsignedMessage(u *figures.Unsigned) *ratesv1.Unreceipted {
	return &ratesv1.Unreceipted{Node: areaOf(u.Node), NodeName: u.Name, N: u.N, OldestAt: timestamppb.New(u.Oldest)}
}

func recountMessage(r *figures.Recounted) *ratesv1.RecountRatesResponse {
	m := &ratesv1.RecountRatesResponse{Rounds: r.Rounds, Sums: r.Sums, Total: r.Total}
	for i := range r.Differences {
		d := &r.Differences[i]
		one := &ratesv1.Difference{What: d.What, Office: areaOf(d.Office), Key: d.Key, Kept: d.Kept, Counted: d.Counted}
		if d.Case != (cases.CaseID{}) {
			one.CaseId = d.Case.String()
		}
		m.Differences = append(m.Differences, one)
	}
	return m
}
