package figures

import (
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Breakdown says what a row of figures is about. Numbers are those of the API.
type Breakdown uint8

// The breakdowns.
const (
	ByNothing     Breakdown = 0 // one row a measure
	ByTownship    Breakdown = 1 // one for each office
	ByKind        Breakdown = 2 // one for each kind of case
	ByCounterpart Breakdown = 3 // one for each counterpart county
)

// Point of a trend: a month and its figure.
type Point struct {
	Period policy.Period
	rates.Ratio
}

// Row is one figure.
type Row struct {
	Measure     rates.Measure
	Area        area.Key   // 0: all offices that were asked about
	Kind        cases.Kind // 0: all that the measure counts
	Counterpart area.Key   // 0: all
	rates.Tally

	Extended   int64  // of D, with a due that a county-signed outage put off
	Target     string // percent, "95.00"; "": none
	Suppressed bool   // N and D say nothing: SECURITY D3
	Partial    bool   // a sum of what is shown, of which something is not
	Trend      []Point
	Basis      rates.Basis
	AsOf       time.Time
	Revision   uint32 // of frozen figures
}

// classOf is what one round of a count is at an instant: its period holds it,
// and past says what the day would.
func classOf(c *store.CubeRow, open civil.Date, at time.Time) rates.Class {
	day := open
	if c.Past {
		day = open.AddDays(-1)
	}
	return rates.Standing(c.Standing).Class(c.Kind, day, at, policy.Period{From: day, To: day.AddDays(1)})
}

// addN counts n rounds of one class.
func addN(t *rates.Tally, c rates.Class, n int64) {
	one := rates.Tally{Measure: t.Measure}
	one.Add(c)
	one.N, one.D, one.Pending, one.Lapsed = n*one.N, n*one.D, n*one.Pending, n*one.Lapsed
	for k := range one.Excluded {
		one.Excluded[k] *= n
	}
	for k := range one.Overdue {
		one.Overdue[k] *= n
	}
	t.Merge(&one)
}

// firstOpen is the first day whose end is not before at: rounds due on it can
// still be answered in time.
func firstOpen(at time.Time) civil.Date {
	d := civil.In(at)
	if y := d.AddDays(-1); !at.After(y.EndInstant()) {
		return y
	}
	return d
}

// firstAwaited is the first day of sending of which a receipt is not missed yet.
func firstAwaited(at time.Time) civil.Date { return firstOpen(at).AddDays(-rates.UnreceiptedDays) }

// wholeMonths reports whether a period is made of months.
func wholeMonths(p policy.Period) bool { return p.From.Day == 1 && p.To.Day == 1 }

func monthNumber(p policy.Period) int { return p.From.Year*100 + int(p.From.Month) }

// ParsePeriod reads a period as people type it: what policy.ParsePeriod reads;
// "year", the statistical year up to this month; empty, this month.
func (f *Figures) ParsePeriod(s string) (policy.Period, error) {
	now := f.Now()
	month := policy.PeriodOf(now, policy.SpanMonth)
	switch s {
	case "":
		return month, nil
	case "year":
		span := policy.SpanYear
		if p, err := f.Policies.At(civil.In(now)); err == nil {
			span = p.StatYear
		}
		return policy.Period{From: policy.PeriodOf(now, span).From, To: month.To}, nil
	}
	p, err := policy.ParsePeriod(s)
	return p, usher.OnField(err, "period")
}
