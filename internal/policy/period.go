package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

// Span is a length of reporting period.
type Span uint8

// The spans that reports use. SpanOctSep is the statistical year (统计年度)
// from October to September, named after the year in which it ends.
const (
	SpanMonth Span = iota
	SpanQuarter
	SpanYear
	SpanOctSep
)

// Period is a stretch of whole days, From included and To excluded. The zero
// Period is none.
type Period struct {
	From, To civil.Date
}

// PeriodOf returns the period of length s that holds the instant t in
// Shanghai. For a due instant use DueMonth or Holding(DueDay(t)).
func PeriodOf(t time.Time, s Span) Period { return s.Holding(civil.In(t)) }

// Holding returns the period of length s that holds d.
func (s Span) Holding(d civil.Date) Period {
	switch s {
	case SpanQuarter:
		return months(d.Year, d.Month-(d.Month-1)%3, 3)
	case SpanYear:
		return months(d.Year, time.January, 12)
	case SpanOctSep:
		y := d.Year
		if d.Month < time.October {
			y--
		}
		return months(y, time.October, 12)
	default:
		return months(d.Year, d.Month, 1)
	}
}

func months(y int, m time.Month, n int) Period {
	return Period{From: civil.Date{Year: y, Month: m, Day: 1}, To: addMonths(civil.Date{Year: y, Month: m, Day: 1}, n)}
}

// addMonths adds to a first of the month.
func addMonths(d civil.Date, n int) civil.Date {
	i := d.Year*12 + int(d.Month) - 1 + n
	return civil.Date{Year: i / 12, Month: time.Month(i%12 + 1), Day: 1}
}

// Holds reports whether d lies in p.
func (p Period) Holds(d civil.Date) bool { return !d.Before(p.From) && d.Before(p.To) }

// HoldsInstant reports whether t lies in p.
func (p Period) HoldsInstant(t time.Time) bool { return p.Holds(civil.In(t)) }

// Next returns the period of the same length that follows: in months where p
// is whole months, else in days.
func (p Period) Next() Period { return p.shift(1) }

// Previous returns the period of the same length before.
func (p Period) Previous() Period { return p.shift(-1) }

func (p Period) shift(n int) Period {
	if p.From.Day == 1 && p.To.Day == 1 {
		k := n * (12*(p.To.Year-p.From.Year) + int(p.To.Month) - int(p.From.Month))
		return Period{From: addMonths(p.From, k), To: addMonths(p.To, k)}
	}
	k := n * p.To.Sub(p.From)
	return Period{From: p.From.AddDays(k), To: p.To.AddDays(k)}
}

// String returns the shortest of "2026-11" (a month), "2026-Q4", "2026" (a
// calendar year), "2025-10..2026-09" (other whole months) and
// "2026-11-03..2026-11-20" (days); both ends of a range are included in it.
// The zero Period is "".
func (p Period) String() string {
	switch {
	case p == Period{}:
		return ""
	case p == SpanMonth.Holding(p.From):
		return month(p.From)
	case p == SpanQuarter.Holding(p.From):
		return fmt.Sprintf("%04d-Q%d", p.From.Year, (p.From.Month+2)/3)
	case p == SpanYear.Holding(p.From):
		return fmt.Sprintf("%04d", p.From.Year)
	case p.From.Day == 1 && p.To.Day == 1:
		return month(p.From) + ".." + month(addMonths(p.To, -1))
	}
	return p.From.String() + ".." + p.To.AddDays(-1).String()
}

// Label returns the period in Chinese, "2026年11月", "2026年第4季度", "2026年",
// "2026统计年度（2025年10月至2026年9月）".
func (p Period) Label() string {
	switch {
	case p == Period{}:
		return ""
	case p == SpanMonth.Holding(p.From):
		return labelMonth(p.From)
	case p == SpanQuarter.Holding(p.From):
		return fmt.Sprintf("%d年第%d季度", p.From.Year, (p.From.Month+2)/3)
	case p == SpanYear.Holding(p.From):
		return fmt.Sprintf("%d年", p.From.Year)
	case p == SpanOctSep.Holding(p.From):
		return fmt.Sprintf("%d统计年度（%s至%s）", p.To.Year, labelMonth(p.From), labelMonth(p.To.AddDays(-1)))
	case p.From.Day == 1 && p.To.Day == 1:
		return labelMonth(p.From) + "至" + labelMonth(p.To.AddDays(-1))
	}
	return p.From.String() + "至" + p.To.AddDays(-1).String()
}

func month(d civil.Date) string { return fmt.Sprintf("%04d-%02d", d.Year, int(d.Month)) }

func labelMonth(d civil.Date) string { return fmt.Sprintf("%d年%d月", d.Year, int(d.Month)) }

// ParsePeriod reads what String writes; a range may have one day. Years 1900
// to 2199. Anything else is Invalid.
func ParsePeriod(s string) (Period, error) {
	if a, b, ok := strings.Cut(s, ".."); ok {
		from, ok1 := parsePart(a)
		to, ok2 := parsePart(b)
		if ok1 && ok2 && len(a) == len(b) && len(a) >= len("2026-01") && from.From.Before(to.To) {
			return Period{From: from.From, To: to.To}, nil
		}
		return Period{}, badPeriod()
	}
	if y, q, ok := strings.Cut(s, "-Q"); ok && len(q) == 1 && q[0] >= '1' && q[0] <= '4' {
		if y, ok := parseYear(y); ok {
			return months(y, time.Month(q[0]-'1')*3+1, 3), nil
		}
		return Period{}, badPeriod()
	}
	if p, ok := parsePart(s); ok {
		return p, nil
	}
	return Period{}, badPeriod()
}

// parsePart reads a year, a month or a day.
func parsePart(s string) (Period, bool) {
	if len(s) < 4 {
		return Period{}, false
	}
	y, ok := parseYear(s[:4])
	if !ok {
		return Period{}, false
	}
	switch len(s) {
	case len("2026"):
		return months(y, time.January, 12), true
	case len("2026-01"):
		d, err := civil.Parse(s + "-01")
		return months(d.Year, d.Month, 1), err == nil
	case len("2026-01-01"):
		d, err := civil.Parse(s)
		return Period{From: d, To: d.AddDays(1)}, err == nil
	}
	return Period{}, false
}

func parseYear(s string) (int, bool) {
	y, err := strconv.ParseUint(s, 10, 16)
	return int(y), err == nil && len(s) == 4 && y >= 1900 && y <= 2199
}

func badPeriod() error {
	return fault.Invalid("PERIOD", "no such period").
		Zh("期间应写成 2026-11（月）、2026-Q4（季）、2026（年）、2025-10..2026-09（起止月）或 2026-11-03..2026-11-20（起止日）").On("period")
}
