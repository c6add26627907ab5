package closing

import (
	"context"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
	"yipan/internal/usher"
)

type reportKind = figures.ReportKind

const (
	annual  = figures.Annual
	monthly = figures.Monthly
	overdue = figures.Overdue
)

// ReportData is what a report is made of.
type ReportData struct {
	Kind     figures.ReportKind
	Area     area.Key
	Period   policy.Period
	Basis    rates.Basis // Live or Frozen
	Revision uint32      // of the frozen month (of a year, of its last)
	At       time.Time   // the instant that the figures are about
	FrozenAt time.Time   // zero: live
	Missing  []string    // peers whose statements were missing when it was frozen
	Policy   string      // version
	Figures  []figures.Figure
}

// aheadDays is how far ahead a period may begin: what is due next month is known,
// what is due in half a year is a mistyped month.
const aheadDays = 62

// Report returns the figures of a report: frozen where the period is over and
// frozen, the revision asked for or the latest; else as they are now. An empty
// period is this month, for the annual report this statistical year. Errors:
// Invalid PERIOD_FUTURE; NotFound REVISION where a revision is asked for that does not exist; Invalid
// REPORT_LEVEL above a county, which sees what left it (ListChildren).
func (c *Closing) Report(ctx context.Context, p access.Principal, kind figures.ReportKind, k area.Key, period string, revision *uint32) (ReportData, error) {
	k, err := c.inCounty(ctx, p, k)
	if err != nil {
		return ReportData{}, err
	}
	if !kind.Known() {
		return ReportData{}, fault.Invalid("REPORT_KIND", "unknown kind of report").Zh("没有这种报表").On("kind")
	}
	if k.Level() < area.County {
		return ReportData{}, fault.Invalid("REPORT_LEVEL", "reports are of a county or a township").
			Zh("报表以县级或乡镇为单位；上级请查看“下级上报”（month children）").On("area")
	}
	now := c.Now()
	pd := policy.PeriodOf(now, policy.SpanMonth)
	if kind == annual {
		pd = c.yearOf(pd.From)
	}
	if period != "" {
		if pd, err = policy.ParsePeriod(period); err != nil {
			return ReportData{}, usher.OnField(err, "period")
		}
	}
	if kind == annual && pd == policy.SpanYear.Holding(pd.From) {
		pd = c.yearOf(pd.To.AddDays(-1)) // "2026" means the statistical year that ends in it
	}
	if civil.In(now).AddDays(aheadDays).Before(pd.From) {
		return ReportData{}, fault.Invalid("PERIOD_FUTURE", "the period has not begun").Zh("该统计期间尚未开始，请核对年月").On("period")
	}
	d := ReportData{Kind: kind, Area: k, Period: pd}
	f, s, ok, err := c.frozenOf(ctx, k, policy.SpanMonth.Holding(pd.To.AddDays(-1)), revision)
	if err != nil {
		return ReportData{}, err
	}
	if ok {
		rows, ok := tableOf(&s, kind, k, pd)
		if !ok {
			if rows, ok, err = c.ownTable(ctx, p, &f, kind, k, pd); err != nil {
				return ReportData{}, err
			}
		}
		if ok {
			d.Basis, d.Revision, d.At, d.FrozenAt, d.Policy, d.Figures = rates.Frozen, s.Revision, f.At, f.FrozenAt, s.Policy, figuresOf(rows)
			for _, m := range s.Missing {
				d.Missing = append(d.Missing, m.String())
			}
			return d, nil
		}
	}
	if revision != nil {
		return ReportData{}, noRevision()
	}
	d.Basis, d.At = rates.Live, now
	if end := instant(pd); end.Before(now) {
		d.At = end // over, and not frozen yet
	}
	if pol, err := c.Policies.At(pd.To.AddDays(-1)); err == nil {
		d.Policy = pol.Version
	}
	d.Figures, err = c.Figures.ReportRows(ctx, kind, k, pd, d.At)
	return d, err
}

func noRevision() error {
	return fault.NotFound("REVISION", "no such revision of the month").Zh("该月份没有这个修订版本").On("revision")
}

// area authorises a question about an area, 0: the caller's only one.
func (c *Closing) area(ctx context.Context, p access.Principal, k area.Key) (area.Key, error) {
	if k == 0 {
		return c.Office(ctx, p, access.RatesRead, 0, "area")
	}
	return k, c.Allow(ctx, p, access.RatesRead, k)
}

// inCounty is area for what does not leave a county.
func (c *Closing) inCounty(ctx context.Context, p access.Principal, k area.Key) (area.Key, error) {
	k, err := c.area(ctx, p, k)
	if err == nil && k.Level() >= area.County && p.StandsAbove(k) {
		c.LogDenied(ctx, p, access.RatesRead, k)
		err = fault.Denied("ABOVE_COUNTY", "work below a county is not for who stands above it").
			Zh("县（市、区）以内的数据只供本县查看；上级请查看“下级上报”（month children）").On("area")
	}
	return k, err
}

// frozenOf returns a revision (nil: the latest) of the month of the unit that
// holds an area; false: it is not frozen.
func (c *Closing) frozenOf(ctx context.Context, k area.Key, p policy.Period, revision *uint32) (f store.FrozenMonth, s rates.Snapshot, ok bool, err error) {
	u, served := c.unitOf(k)
	if !served {
		return f, s, false, nil
	}
	err = c.DB.InCounts(ctx, u.all(), func(tx *store.Tx) (err error) {
		if revision == nil {
			f, ok, err = tx.LatestFrozen(ctx, u.top, monthNo(p))
		} else if f, ok, err = tx.Frozen(ctx, u.top, monthNo(p), *revision); err == nil && !ok {
			err = noRevision()
		}
		return err
	})
	if err != nil || !ok {
		return f, s, false, err
	}
	s, err = rates.DecodeSnapshot(f.Snapshot)
	return f, s, err == nil, err
}

// tableOf finds a report in a snapshot. A township's monthly rows are those of
// its county's table.
func tableOf(s *rates.Snapshot, kind figures.ReportKind, k area.Key, p policy.Period) ([]rates.ReportRow, bool) {
	var rows []rates.ReportRow
	for _, t := range s.Reports {
		if t.Kind != uint8(kind) || t.Period != p.String() {
			continue
		}
		if t.Area == k {
			return t.Rows, true
		}
		if k.Level() == area.Township && t.Area == k.Cut(area.County) {
			for _, r := range t.Rows {
				if r.Area == k {
					rows = append(rows, r)
				}
			}
		}
	}
	return rows, len(rows) > 0
}

// ownTable finds a report that an office keeps for itself; who only counts its
// work does not see it.
func (c *Closing) ownTable(ctx context.Context, p access.Principal, f *store.FrozenMonth, kind figures.ReportKind, k area.Key, period policy.Period) ([]rates.ReportRow, bool, error) {
	if !owns(p, k) {
		return nil, false, nil
	}
	var parts []store.RoundsPart
	err := c.In(ctx, p, func(tx *store.Tx) (err error) {
		parts, err = tx.MonthParts(ctx, []area.Key{k}, f.Month, f.Revision)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	e, err := extrasOf(parts, k)
	if err != nil {
		return nil, false, err
	}
	for _, t := range e.Reports {
		if t.Kind == uint8(kind) && t.Area == k && t.Period == period.String() {
			return t.Rows, true, nil
		}
	}
	return nil, false, nil
}

// owns reports whether p works at an office, and does not only count its work.
func owns(p access.Principal, k area.Key) bool {
	return p.Role != access.County && slices.Contains(p.Offices, k)
}

func rowsOf(fs []figures.Figure) []rates.ReportRow {
	out := make([]rates.ReportRow, len(fs))
	for i, f := range fs {
		out[i] = rates.ReportRow(f)
	}
	return out
}

func figuresOf(rows []rates.ReportRow) []figures.Figure {
	out := make([]figures.Figure, len(rows))
	for i, r := range rows {
		out[i] = figures.Figure(r)
	}
	return out
}
