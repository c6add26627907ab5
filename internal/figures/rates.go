package figures

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// MaxTrend is the most months of a trend.
const MaxTrend = 24

// Query asks for figures. Zero members select nothing away.
type Query struct {
	Area        area.Key // 0: all offices
	Period      policy.Period
	Kind        cases.Kind
	Side        cases.Side // SideNone: as receiver; of Verification as opener, since the residence opens the check
	Counterpart area.Key   // the other side's county, or an area above it
	Measures    []rates.Measure
	By          Breakdown
	Trend       int // months before the last of the period, 0 to MaxTrend
}

// Rates computes figures for a caller: of its offices, or of those below a
// county operator's county, which sees sensitive measures suppressed. It reads
// columns without persons only.
func (f *Figures) Rates(ctx context.Context, p access.Principal, q Query) ([]Row, error) {
	if err := f.allow(ctx, p, q.Area); err != nil {
		return nil, err
	}
	offices := f.officesOf(p, q.Area)
	if !wholeMonths(q.Period) && !owns(p, offices...) {
		return nil, daysOnlyOwn()
	}
	return f.compute(ctx, offices, q, func(o area.Key) bool { return !owns(p, o) })
}

// Compute computes figures of offices for jobs, gauges and reports, where no
// principal asks; nothing is suppressed.
func (f *Figures) Compute(ctx context.Context, offices []area.Key, q Query) ([]Row, error) {
	return f.compute(ctx, offices, q, func(area.Key) bool { return false })
}

// allow authorises a question about the work of area k. Who stands above its
// county sees what left that, elsewhere (closing).
func (f *Figures) allow(ctx context.Context, p access.Principal, k area.Key) error {
	if err := f.Allow(ctx, p, access.RatesRead, k); err != nil {
		return err
	}
	if k != 0 && p.StandsAbove(k) {
		f.LogDenied(ctx, p, access.RatesRead, k)
		return fault.Denied("ABOVE_COUNTY", "work below a county is not for who stands above it").
			Zh("县（市、区）以内的数据只供本县查看；上级请查看“下级上报”（month children）").On("area")
	}
	return nil
}

// officesOf returns the offices whose work a figure of area k adds up: the
// caller's own, and all below them that this node serves and that the caller does
// not look at from above their county.
func (f *Figures) officesOf(p access.Principal, k area.Key) []area.Key {
	of := p.Offices
	if k != 0 {
		of = []area.Key{k}
	}
	var out []area.Key
	for _, o := range f.Desk.Offices() {
		if slices.ContainsFunc(of, func(a area.Key) bool { return o.Within(a) }) && !p.StandsAbove(o) {
			out = append(out, o)
		}
	}
	return out
}

// owns reports whether p works at the offices; a county operator stands outside
// all of them, its own county's too.
func owns(p access.Principal, offices ...area.Key) bool {
	return p.Role != access.County && !slices.ContainsFunc(offices, func(o area.Key) bool { return !slices.Contains(p.Offices, o) })
}

func daysOnlyOwn() error {
	return fault.Invalid("PERIOD_DAYS", "days are for the owning office").
		Zh("按天统计只供本单位经办人查看，请改用月、季或统计年度").On("period")
}

// check holds a query against what can be asked, and fills what was left out:
// all measures, and this month.
func (f *Figures) check(q *Query) error {
	if _, ok := area.Lookup(q.Area); q.Area != 0 && !ok {
		return fault.Invalid("AREA_UNKNOWN", "area %s is unknown", q.Area).Zh("区划不存在").On("area")
	}
	if q.Kind != 0 && !q.Kind.Known() {
		return fault.Invalid("CASE_KIND", "unknown kind of case").Zh("案件类型不正确").On("kind")
	}
	if q.Trend < 0 || q.Trend > MaxTrend {
		return fault.Invalid("TREND", "trend of %d months, at most %d", q.Trend, MaxTrend).Zh("趋势最多 %d 个月", MaxTrend).On("trend")
	}
	if q.Counterpart != 0 {
		if _, ok := area.Lookup(q.Counterpart); !ok {
			return fault.Invalid("AREA_UNKNOWN", "counterpart %s is unknown", q.Counterpart).Zh("对方区划不存在").On("counterpart")
		}
		if q.Counterpart.Level() > area.County {
			return fault.Invalid("COUNTERPART_LEVEL", "counterpart below a county").Zh("对方地区请填到县级或以上；乡镇的件可用 rates cases 列出").On("counterpart")
		}
	}
	if q.By > ByCounterpart {
		return fault.Invalid("BREAKDOWN", "unknown breakdown").Zh("没有这种分列方式").On("breakdown")
	}
	if q.Period == (policy.Period{}) {
		q.Period = policy.PeriodOf(f.Now(), policy.SpanMonth)
	}
	if !wholeMonths(q.Period) && (q.Counterpart != 0 || q.By == ByCounterpart || q.Trend > 0) {
		return fault.Invalid("PERIOD_DAYS", "days with counterpart or trend").Zh("按天统计不能同时按对方地区或趋势查看，请改用月份").On("period")
	}
	if len(q.Measures) == 0 {
		q.Measures = rates.All()
	}
	for _, m := range q.Measures {
		if !m.Known() {
			return fault.Invalid("MEASURE", "unknown measure").Zh("没有这个指标").On("measures")
		}
	}
	return nil
}

// rowKey is what tells rows of one measure apart.
type rowKey struct {
	area        area.Key
	kind        cases.Kind
	counterpart area.Key
}

// page is rows under computation.
type page struct {
	*Query
	f       *Figures
	offices []area.Key
	rows    map[rates.Measure]map[rowKey]*Row
	trend   []policy.Period
	outside func(area.Key) bool
}

func (f *Figures) compute(ctx context.Context, offices []area.Key, q Query, outside func(area.Key) bool) ([]Row, error) {
	if err := f.check(&q); err != nil {
		return nil, err
	}
	g := &page{Query: &q, f: f, offices: offices, rows: map[rates.Measure]map[rowKey]*Row{}, outside: outside}
	if q.Trend > 0 {
		m := policy.SpanMonth.Holding(q.Period.To.AddDays(-1))
		for range q.Trend {
			m = m.Previous()
			g.trend = append(g.trend, m)
		}
		slices.Reverse(g.trend)
	}
	now := f.Now()
	if err := g.count(ctx); err != nil {
		return nil, err
	}
	if err := g.reported(ctx); err != nil {
		return nil, err
	}
	if err := g.ask(ctx); err != nil {
		return nil, err
	}
	var out []Row
	pol, err := f.Policies.At(civil.In(now))
	if err != nil {
		pol = &policy.Policy{} // without targets
	}
	for _, m := range q.Measures {
		part := make([]Row, 0, len(g.rows[m]))
		for _, r := range g.rows[m] {
			if t, ok := pol.Targets[m.String()]; ok {
				r.Target = strings.TrimSuffix(t.String(), "%")
			}
			r.Basis, r.AsOf = rates.Live, now
			part = append(part, *r)
		}
		slices.SortFunc(part, func(a, b Row) int {
			return cmp.Or(cmp.Compare(a.Area, b.Area), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Counterpart, b.Counterpart))
		})
		out = append(out, part...)
		delete(g.rows, m) // asked twice, shown once
	}
	return out, nil
}

// row returns a measure's row, made where there is none.
func (g *page) row(m rates.Measure, k rowKey) *Row {
	if g.rows[m] == nil {
		g.rows[m] = map[rowKey]*Row{}
	}
	r := g.rows[m][k]
	if r == nil {
		r = &Row{Measure: m, Area: k.area, Kind: k.kind, Counterpart: k.counterpart, Tally: rates.Tally{Measure: m}}
		for _, p := range g.trend {
			r.Trend = append(r.Trend, Point{Period: p})
		}
		g.rows[m][k] = r
	}
	return r
}

// key is the row to which an office's count belongs.
func (g *page) key(office area.Key, kind cases.Kind, peer area.Key) rowKey {
	k := rowKey{area: g.Area, kind: g.Kind}
	switch g.By {
	case ByTownship:
		k.area = office
	case ByKind:
		k.kind = kind
	case ByCounterpart:
		k.counterpart = peer
	}
	return k
}

// count adds up the measures that count rounds, and pairing: one statement.
func (g *page) count(ctx context.Context) error {
	var of []rates.Measure
	var kinds []cases.Kind
	want := func(k cases.Kind) {
		if (g.Kind == 0 || g.Kind == k) && !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	pairing := false
	for _, m := range g.Measures {
		switch {
		case m.OfRounds():
			of = append(of, m)
			for k := cases.Outflow; k.Known(); k++ {
				if m.Of(k) {
					want(k)
				}
			}
		case m == rates.Pairing && g.Counterpart == 0 && g.By != ByCounterpart:
			pairing = true
			want(cases.Outflow)
			want(cases.Inflow)
		}
	}
	g.begin(of, pairing)
	if len(kinds) == 0 || len(g.offices) == 0 {
		return nil
	}
	now := g.f.Now()
	q := store.CubeQuery{
		Kinds: kinds, Pairing: pairing, ByOffice: g.By == ByTownship, From: g.Period.From, To: g.Period.To, Days: !wholeMonths(g.Period),
		Side: cmp.Or(g.Side, cases.SideReceiver), ShownSide: cmp.Or(g.Side, cases.SideOpener),
		Open: firstOpen(now), Sent: firstAwaited(now), Peer: g.Counterpart, ByPeer: g.By == ByCounterpart,
	}
	if len(g.trend) > 0 {
		q.From = minDate(q.From, g.trend[0].From)
	}
	var counts []store.CubeRow
	err := g.f.DB.InCounts(ctx, g.offices, func(tx *store.Tx) (err error) {
		counts, err = tx.Cube(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	first, last := g.Period.From.Year*100+int(g.Period.From.Month), monthNumber(policy.SpanMonth.Holding(g.Period.To.AddDays(-1)))
	trend := map[int]int{}
	for i, p := range g.trend {
		trend[monthNumber(p)] = i
	}
	for i := range counts {
		c := &counts[i]
		inPeriod := c.Month == 0 || c.Month >= first && c.Month <= last
		point, inTrend := trend[c.Month]
		k := g.key(c.Office, c.Kind, c.Peer)
		if c.Book == store.BookPairing {
			class := rates.Class{Kind: c.Kind, Answered: c.Standing == store.PairingDone}
			g.add(g.row(rates.Pairing, k), class, c.N, inPeriod, point, inTrend)
			continue
		}
		for _, m := range of {
			if !m.Of(c.Kind) {
				continue
			}
			r := g.row(m, k)
			switch c.Book {
			case store.BookUnreceipted:
				r.Unreceipted += c.N
			case store.BookExtended:
				r.Extended += c.N
			default:
				g.add(r, classOf(c, q.Open, now), c.N, inPeriod, point, inTrend)
			}
		}
	}
	return nil
}

// add counts n rounds of a class in a row's period and in its trend.
func (g *page) add(r *Row, c rates.Class, n int64, inPeriod bool, point int, inTrend bool) {
	if r.Measure == rates.Pairing {
		one := rates.Ratio{D: n}
		if c.Answered {
			one.N = n
		}
		if inPeriod {
			r.N, r.D = r.N+one.N, r.D+one.D
		}
		if inTrend {
			r.Trend[point].N, r.Trend[point].D = r.Trend[point].N+one.N, r.Trend[point].D+one.D
		}
		return
	}
	if inPeriod {
		addN(&r.Tally, c, n)
	}
	if inTrend {
		t := rates.Tally{Measure: r.Measure}
		addN(&t, c, n)
		r.Trend[point].N, r.Trend[point].D = r.Trend[point].N+t.N, r.Trend[point].D+t.D
	}
}

// begin makes the rows that are shown even where nothing was counted.
func (g *page) begin(of []rates.Measure, pairing bool) {
	if pairing {
		of = append(slices.Clone(of), rates.Pairing)
	}
	for _, m := range of {
		switch g.By {
		case ByNothing:
			g.row(m, rowKey{area: g.Area, kind: g.Kind})
		case ByTownship:
			for _, o := range g.offices {
				if o.Level() == area.Township {
					g.row(m, rowKey{area: o, kind: g.Kind})
				}
			}
		case ByKind:
			for k := cases.Outflow; k.Known(); k++ {
				if (m.Of(k) || m == rates.Pairing && k <= cases.Inflow) && (g.Kind == 0 || g.Kind == k) {
					g.row(m, rowKey{area: g.Area, kind: k})
				}
			}
		case ByCounterpart: // only those that there are
		}
	}
}

func minDate(a, b civil.Date) civil.Date {
	if b.Before(a) {
		return b
	}
	return a
}
