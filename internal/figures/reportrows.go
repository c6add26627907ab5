package figures

import (
	"context"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// ReportKind names a report. The numbers are those of the API; 0 is none.
type ReportKind uint8

// The reports.
const (
	Annual  ReportKind = 1 // that of 篇一, of a statistical year
	Monthly ReportKind = 2 // a row for each township
	Overdue ReportKind = 3 // what is overdue, by side
)

var reportKinds = [...]struct{ name, zh string }{
	Annual: {"annual", "流动人口服务工作年度报表"}, Monthly: {"monthly", "乡镇（街道）工作月报表"}, Overdue: {"overdue", "逾期未答复清单"},
}

// Known reports whether k is one of the reports.
func (k ReportKind) Known() bool { return k >= Annual && k <= Overdue }

// String returns the name of the command, "annual".
func (k ReportKind) String() string {
	if !k.Known() {
		return "unknown"
	}
	return reportKinds[k].name
}

// Zh returns the title in Chinese.
func (k ReportKind) Zh() string {
	if !k.Known() {
		return "未知报表"
	}
	return reportKinds[k].zh
}

// Figure is one value of a report. Code is stable, Label Chinese. A rate is N of
// D; a count has no D. Suppressed: where N and D are 0 nothing is said (SECURITY
// D3); else it is a sum without the offices that show nothing.
type Figure struct {
	Code, Label      string
	Area             area.Key
	N, D             int64
	Rate, Suppressed bool
}

// Own stands before the codes of a county's own office in a report that has a
// row for each office: its area is also that of the sum.
const Own = "own."

// ReportRows computes the figures of a report at an instant (zero: now), in the
// order of the report. Of a township everything is exact, and ShownTo says
// what of it leaves the office. Of an area above it what is sensitive is the sum of what
// each office shows, and marked where one shows nothing. Movements, rounds and
// certificates are those recorded up to the instant; files and services are as
// they are known when it is asked. Errors: Invalid REPORT_KIND, PERIOD and
// AREA_UNKNOWN.
func (f *Figures) ReportRows(ctx context.Context, kind ReportKind, k area.Key, period policy.Period, at time.Time) ([]Figure, error) {
	if at.IsZero() {
		at = f.Now()
	}
	offices := f.officesBelow(k)
	switch {
	case period == policy.Period{}:
		return nil, fault.Invalid("PERIOD", "report without a period").Zh("请指明统计期间").On("period")
	case len(offices) == 0:
		return nil, fault.Invalid("AREA_UNKNOWN", "no office of this node in area %s", k).Zh("本节点没有该区划的单位").On("area")
	}
	switch kind {
	case Annual:
		return f.annual(ctx, k, offices, period, at)
	case Monthly:
		return f.monthly(ctx, k, offices, period, at)
	case Overdue:
		return f.overdue(ctx, k, offices, period, at)
	}
	return nil, fault.Invalid("REPORT_KIND", "unknown kind of report").Zh("没有这种报表").On("kind")
}

// officesBelow are the offices that this node serves in an area.
func (f *Figures) officesBelow(k area.Key) []area.Key {
	var out []area.Key
	for _, o := range f.Desk.Offices() {
		if o.Within(k) {
			out = append(out, o)
		}
	}
	return out
}

// tallies adds up the measures over rounds, by office, as the receiver, or as the
// opener where the measure counts what the opener does.
func (f *Figures) tallies(ctx context.Context, offices []area.Key, ms []rates.Measure, period policy.Period, at time.Time) (map[area.Key]map[rates.Measure]*rates.Tally, error) {
	sides := map[cases.Side][]rates.Measure{}
	for _, m := range ms {
		side := cases.SideReceiver
		if m == rates.Verification {
			side = cases.SideOpener // the residence asks for the check
		}
		sides[side] = append(sides[side], m)
	}
	var out map[area.Key]map[rates.Measure]*rates.Tally
	err := f.DB.InCounts(ctx, offices, func(tx *store.Tx) error {
		out = make(map[area.Key]map[rates.Measure]*rates.Tally, len(offices))
		for _, o := range offices {
			out[o] = map[rates.Measure]*rates.Tally{}
			for _, m := range ms {
				out[o][m] = &rates.Tally{Measure: m}
			}
		}
		for side, ms := range sides {
			err := tx.RoundFacts(ctx, offices, side, period.From.StartInstant(), period.To.StartInstant(), func(r store.RoundFact) error {
				c := rates.Classify(factOf(&r), at, period)
				for _, m := range ms {
					out[r.Office][m].Add(c)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func factOf(r *store.RoundFact) rates.Fact {
	return rates.Fact{
		Kind: r.Kind, RoundAt: r.RoundAt, Delivered: r.DeliveredAt, Due: r.DueAt, AnsweredAt: r.AnsweredAt, WithdrawnAt: r.WithdrawnAt,
		ClosedAt: r.ClosedAt, Reroute: r.Reroute, ReroutedAt: r.ReroutedAt, Waiting: rates.Waiting(r.Waiting),
	}
}

// A line is one figure of a report: what it is called, and what it is part of.
type line struct {
	code, label string
	measure     rates.Measure // of a rate; else 0
	sensitive   bool          // broken down by a personal attribute or a service
	monthly     bool          // a sensitive count that frozen months show, as part of a rate
	of          string        // code of the count that it is a part of
}

func (l *line) rate() bool { return l.measure != 0 }

// rateLine is the line of a measure.
func rateLine(m rates.Measure) line {
	return line{code: m.String() + ".rate", label: m.Zh(), measure: m, sensitive: m.Sensitive()}
}

// linesOf are the lines of a report; an overdue list has none of its own, for
// nothing in it is sensitive.
func linesOf(kind ReportKind) []line {
	switch kind {
	case Annual:
		return annualLines
	case Monthly:
		return monthlyLines
	}
	return nil
}

// Sensitive reports whether a line of a report is broken down by a personal
// attribute or a service, so that a small change of it tells of somebody.
func Sensitive(kind ReportKind, code string) bool {
	for _, l := range linesOf(kind) {
		if l.code == code {
			return l.sensitive
		}
	}
	return false
}

// values are the figures of one office by code; of a count only N.
type values map[string]rates.Ratio

// shown reports whether a line of an office may be shown outside it: a sensitive
// one if neither it nor what the whole has besides is one to four.
func (l *line) shown(v values) bool {
	switch {
	case !l.sensitive:
		return true
	case l.rate() || l.monthly:
		return false // its months are shown, and a year less its months would tell a hidden one
	}
	r := v[l.code]
	if r = (rates.Ratio{N: r.N, D: r.N}); l.of != "" {
		r.D = max(r.N, v[l.of].N)
	}
	_, ok := rates.OutsideRatio(r)
	return ok
}

// figure writes a line of an office.
func (l *line) figure(k area.Key, r rates.Ratio) Figure {
	g := Figure{Code: l.code, Label: l.label, Area: k, N: r.N, Rate: l.rate()}
	if g.Rate {
		g.D = r.D
	}
	return g
}

// sumOf adds up offices, of the sensitive lines what each of them shows.
func sumOf(lines []line, k area.Key, offices []values) []Figure {
	out := make([]Figure, len(lines))
	for i := range lines {
		l := &lines[i]
		var sum rates.Ratio
		hidden := false
		for _, v := range offices {
			if l.shown(v) {
				sum.N += v[l.code].N
				sum.D += v[l.code].D
			} else {
				hidden = true
			}
		}
		out[i] = l.figure(k, sum)
		out[i].Suppressed = hidden
	}
	return out
}

// ShownTo returns what a caller sees of the figures of a report: of townships at
// which it does not work, what may not be shown outside is marked and empty. What
// was added up for an area above them is as it may be shown, to its own distributor
// as to anybody. Of a draft nothing
// sensitive is shown outside: asked for again and again, it would show who came
// to it in between.
func ShownTo(p access.Principal, kind ReportKind, draft bool, figs []Figure) []Figure {
	byArea := map[area.Key]values{}
	for _, g := range figs {
		if byArea[g.Area] == nil {
			byArea[g.Area] = values{}
		}
		byArea[g.Area][g.Code] = rates.Ratio{N: g.N, D: g.D}
	}
	lines := map[string]*line{}
	of := linesOf(kind)
	for i := range of {
		lines[of[i].code] = &of[i]
	}
	out := make([]Figure, len(figs))
	for i, g := range figs {
		if l := lines[g.Code]; l != nil && l.sensitive && !(g.Area.Level() == area.Township && owns(p, g.Area)) && (draft || g.Area.Level() >= area.Township && !l.shown(byArea[g.Area])) {
			g.N, g.D, g.Suppressed = 0, 0, true
		}
		out[i] = g
	}
	return out
}

// booksOf are the measures that an office's own book holds, by office.
func (f *Figures) booksOf(ctx context.Context, offices []area.Key, ms []rates.Measure, period policy.Period, at time.Time) (map[area.Key]map[rates.Measure]rates.Ratio, error) {
	out, err := f.bookRatios(ctx, offices, ms, period, at)
	if err != nil || !slices.Contains(ms, rates.Pairing) {
		return out, err
	}
	// Whether a notice is paired is known of this moment only.
	rows, err := f.Compute(ctx, offices, Query{Period: period, Measures: []rates.Measure{rates.Pairing}, By: ByTownship})
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if out[r.Area] != nil {
			out[r.Area][rates.Pairing] = r.Ratio
		}
	}
	return out, nil
}
