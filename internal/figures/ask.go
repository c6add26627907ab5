package figures

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/policy"
	"yipan/internal/rates"
)

// ask fills the measures that the offices' own books answer. They know neither
// kind of case nor counterpart: where one of those is asked for, they are left
// out.
func (g *page) ask(ctx context.Context) error {
	if g.Kind != 0 || g.Counterpart != 0 || g.By == ByKind || g.By == ByCounterpart || len(g.offices) == 0 {
		return nil
	}
	var whole, trends []rates.Measure
	for _, m := range g.Measures {
		if m.OfRounds() || m == rates.Pairing {
			continue
		}
		whole = append(whole, m)
		if !m.OfNow() {
			trends = append(trends, m)
		}
	}
	if len(whole) == 0 {
		return nil
	}
	if err := g.askPeriod(ctx, whole, g.Period); err != nil {
		return err
	}
	if len(trends) == 0 {
		return nil
	}
	for i, p := range g.trend {
		got, err := g.f.bookRatios(ctx, g.offices, trends, p, g.f.Now())
		if err != nil {
			return err
		}
		for _, m := range trends {
			for _, o := range g.offices {
				if x, shown := g.shown(m, o, got[o][m]); shown {
					t := &g.row(m, g.key(o, 0, 0)).Trend[i]
					t.N, t.D = t.N+x.N, t.D+x.D
				}
			}
		}
	}
	return nil
}

// askPeriod adds one period's figures to the rows.
func (g *page) askPeriod(ctx context.Context, ms []rates.Measure, p policy.Period) error {
	got, err := g.f.bookRatios(ctx, g.offices, ms, p, g.f.Now())
	if err != nil {
		return err
	}
	for _, m := range ms {
		for _, o := range g.offices {
			if g.By == ByTownship && o.Level() != area.Township && got[o][m] == (rates.Ratio{}) {
				continue
			}
			r := g.row(m, g.key(o, 0, 0))
			x, shown := g.shown(m, o, got[o][m])
			if !shown {
				r.Partial = true
				continue
			}
			r.N, r.D = r.N+x.N, r.D+x.D
			if m == rates.Certificate {
				r.Pending += x.D - x.N
			}
		}
		for _, r := range g.rows[m] {
			r.Suppressed = r.Partial && r.D == 0
		}
	}
	return nil
}

// shown is what a caller sees of an office's ratio. Outside the office nothing
// sensitive is shown live: asked for again and again, it would show who came to it
// in between (SECURITY D3). The frozen month shows it, as far as it may.
func (g *page) shown(m rates.Measure, o area.Key, r rates.Ratio) (rates.Ratio, bool) {
	return r, !m.Sensitive() || !g.outside(o)
}
