package desk

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Rates computes rates of the caller's offices, or of the offices below a
// county operator's county. It sees columns without persons only.
func (d *Desk) Rates(ctx context.Context, p access.Principal, r RatesRequest) (string, []RateView, error) {
	if err := d.Allow(ctx, p, access.RatesRead, r.Area); err != nil {
		return "", nil, err
	}
	if _, ok := area.Lookup(r.Area); r.Area != 0 && !ok {
		return "", nil, fault.Invalid("AREA_UNKNOWN", "area %s is unknown", r.Area).Zh("区划不存在").On("area")
	}
	if r.Kind != 0 && !r.Kind.Known() {
		return "", nil, fault.Invalid("CASE_KIND", "unknown kind of case").Zh("案件类型不正确").On("kind")
	}
	period := policy.PeriodOf(d.Now(), policy.SpanMonth)
	if r.Period != "" {
		var err error
		if period, err = policy.ParsePeriod(r.Period); err != nil {
			return "", nil, usher.OnField(err, "period")
		}
	}
	measures := rates.All()
	if len(r.Measures) > 0 {
		measures = nil
		for _, s := range r.Measures {
			m, ok := rates.ParseMeasure(s)
			if !ok {
				return "", nil, fault.Invalid("MEASURE", "unknown measure").Zh("没有这个指标").On("measures")
			}
			measures = append(measures, m)
		}
	}
	var out []RateView
	err := d.DB.InCounts(ctx, d.officesOf(p, r.Area), func(tx *store.Tx) error {
		out = nil
		for _, m := range measures {
			t, err := d.tally(ctx, tx, p, r, m, period)
			if err != nil {
				return err
			}
			out = append(out, t...)
		}
		return nil
	})
	return period.String(), out, err
}

// officesOf returns the offices whose work a figure of area k adds up: the
// caller's own, and all below them that this node serves.
func (d *Desk) officesOf(p access.Principal, k area.Key) []area.Key {
	of := p.Offices
	if k != 0 {
		of = []area.Key{k}
	}
	var out []area.Key
	for _, o := range d.Offices() {
		if slices.ContainsFunc(of, func(a area.Key) bool { return o.Within(a) }) {
			out = append(out, o)
		}
	}
	return out
}

func (d *Desk) tally(ctx context.Context, tx *store.Tx, p access.Principal, r RatesRequest, m rates.Measure, period policy.Period) ([]RateView, error) {
	offices := d.officesOf(p, r.Area)
	sums := map[area.Key]*rates.Tally{}
	at := func(o area.Key) *rates.Tally {
		k := r.Area
		if r.ByTownship {
			k = o
		}
		if sums[k] == nil {
			sums[k] = &rates.Tally{Measure: m}
		}
		return sums[k]
	}
	for _, o := range offices {
		if !r.ByTownship || o.Level() == area.Township {
			at(o)
		}
	}
	now := d.Now()
	if m == rates.Certificate {
		rows, err := tx.CertificateCounts(ctx, offices, period.From, period.To)
		if err != nil {
			return nil, err
		}
		for _, c := range rows {
			class := rates.ClassifyAsked(rates.Asked{On: c.AskedOn, Issued: c.IssuedOn}, now, period)
			for range c.N {
				at(c.Office).Add(class)
			}
		}
		return d.rateViews(m, r, sums), nil
	}
	side := r.Side
	if side == cases.SideNone {
		if side = cases.SideReceiver; m == rates.Verification {
			side = cases.SideOpener // the residence opens the check
		}
	}
	// A due instant is the start of the next day.
	err := tx.RoundFacts(ctx, offices, side, period.From.StartInstant(), period.To.StartInstant(), func(f store.RoundFact) error {
		if r.Kind != 0 && f.Kind != r.Kind {
			return nil
		}
		at(f.Office).Add(rates.Classify(factOf(&f), now, period))
		return nil
	})
	return d.rateViews(m, r, sums), err
}

func (d *Desk) rateViews(m rates.Measure, r RatesRequest, sums map[area.Key]*rates.Tally) []RateView {
	out := make([]RateView, 0, len(sums))
	for k, t := range sums {
		v := RateView{Measure: m.String(), Area: k, Kind: r.Kind, N: t.N, D: t.D, Percent: t.Percent(), Excluded: map[string]int64{}, Overdue: map[string]int64{}}
		for c, n := range t.Excluded {
			v.Excluded[c.String()] = n
		}
		for w, n := range t.Overdue {
			v.Overdue[w.String()] = n
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b RateView) int { return int(a.Area - b.Area) })
	return out
}

func factOf(f *store.RoundFact) rates.Fact {
	return rates.Fact{
		Kind: f.Kind, RoundAt: f.RoundAt, Delivered: f.DeliveredAt, Due: f.DueAt, AnsweredAt: f.AnsweredAt, WithdrawnAt: f.WithdrawnAt,
		ClosedAt: f.ClosedAt, Reroute: f.Reroute, ReroutedAt: f.ReroutedAt, Waiting: rates.Waiting(f.Waiting),
	}
}
