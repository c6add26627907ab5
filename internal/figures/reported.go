package figures

import (
	"cmp"
	"context"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// reported adds what townships of a county with a node of their own reported to
// it: rounds by kind and side, of whole months. They know no counterpart.
func (g *page) reported(ctx context.Context) error {
	var counties []area.Key
	for _, o := range g.offices {
		if o.Level() == area.County {
			counties = append(counties, o)
		}
	}
	if len(counties) == 0 || g.Counterpart != 0 || g.By == ByCounterpart || !wholeMonths(g.Period) {
		return nil
	}
	first, last := monthNumber(policy.SpanMonth.Holding(g.Period.From)), monthNumber(policy.SpanMonth.Holding(g.Period.To.AddDays(-1)))
	from := first
	trend := map[int]int{}
	for i, p := range g.trend {
		trend[monthNumber(p)] = i
		from = min(from, monthNumber(p))
	}
	var reports []store.ChildReport
	err := g.f.DB.InCounts(ctx, counties, func(tx *store.Tx) (err error) {
		reports, err = tx.ChildCells(ctx, counties, from, last)
		return err
	})
	if err != nil {
		return err
	}
	for i := range reports {
		r := &reports[i]
		if slices.Contains(g.offices, r.Child) { // it came to this node since
			continue
		}
		up, err := rates.DecodeUpward(r.Content)
		if err != nil {
			return err
		}
		point, inTrend := trend[r.Month]
		for j := range up.Cells {
			g.addCell(&up.Cells[j], r.Month >= first, point, inTrend)
		}
	}
	return nil
}

// addCell adds a reported cell to the rows that count it.
func (g *page) addCell(c *rates.Cell, inPeriod bool, point int, inTrend bool) {
	if g.Kind != 0 && g.Kind != c.Kind {
		return
	}
	for i, m := range g.Measures {
		if slices.Index(g.Measures, m) < i {
			continue // asked twice
		}
		side := cmp.Or(g.Side, cases.SideReceiver)
		if m == rates.Verification {
			side = cmp.Or(g.Side, cases.SideOpener)
		}
		if !m.OfRounds() || !m.Of(c.Kind) || c.Side != side {
			continue
		}
		r, t := g.row(m, g.key(c.Area, c.Kind, 0)), c.Tally(m)
		if inPeriod {
			r.Merge(&t)
			r.Extended += c.Extended
		}
		if inTrend {
			r.Trend[point].N, r.Trend[point].D = r.Trend[point].N+t.N, r.Trend[point].D+t.D
		}
	}
}
