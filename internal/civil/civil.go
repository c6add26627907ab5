// Package civil owns the calendar day: a date without time or zone, as it is
// written on papers and as limits are counted in. Days begin and end at
// Asia/Shanghai, nowhere else. It does no I/O, never reads the clock, and
// refuses strings that are no day of the proleptic Gregorian calendar between
// the years 1 and 9999.
package civil

import (
	"cmp"
	"fmt"
	"time"

	"yipan/internal/fault"
)

// Shanghai is UTC+8 at every instant. It is fixed rather than loaded, so that
// it works without tzdata and two nodes with different tzdata compute the same
// due instant. The summer times of 1940–1949 and 1986–1991 are left out:
// instants that old occur here only as dates, which have no zone.
var Shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

const secondsPerDay = 24 * 60 * 60

// Date is one day. It is comparable with ==. The zero Date is "no day known";
// it sorts before every other and its String is empty. Fields set by hand may
// name no day at all: Valid tells.
type Date struct {
	Year  int // 1..9999
	Month time.Month
	Day   int // 1..31
}

// Of returns the day y-m-d, false where the calendar has none.
func Of(y int, m time.Month, d int) (Date, bool) {
	v := Date{y, m, d}
	if !v.Valid() {
		return Date{}, false
	}
	return v, true
}

// Parse reads "2006-01-02" or "20060102" and nothing else (DATE_FORMAT for
// another shape, DATE_IMPOSSIBLE for a day that does not exist; both Invalid).
func Parse(s string) (Date, error) {
	digits := s
	switch {
	case len(s) == 8:
	case len(s) == 10 && s[4] == '-' && s[7] == '-':
		digits = s[:4] + s[5:7] + s[8:]
	default:
		return Date{}, badFormat()
	}
	var n [8]int
	for i := range n {
		c := digits[i]
		if c < '0' || c > '9' {
			return Date{}, badFormat()
		}
		n[i] = int(c - '0')
	}
	d, ok := Of(n[0]*1000+n[1]*100+n[2]*10+n[3], time.Month(n[4]*10+n[5]), n[6]*10+n[7])
	if !ok {
		return Date{}, fault.Invalid("DATE_IMPOSSIBLE", "no such day in the calendar").Zh("日期不存在，请核对年、月、日")
	}
	return d, nil
}

func badFormat() error {
	return fault.Invalid("DATE_FORMAT", "date is neither 2006-01-02 nor 20060102").Zh("日期格式应为 2006-01-02 或 20060102")
}

// MustParse is Parse for constants; it panics on what Parse refuses.
func MustParse(s string) Date {
	d, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return d
}

// In returns the day that t falls on in Shanghai.
func In(t time.Time) Date {
	y, m, d := t.In(Shanghai).Date()
	return Date{y, m, d}
}

// FromDays returns the day n days after 1970-01-01 (before it, if negative).
func FromDays(n int) Date {
	y, m, d := time.Unix(int64(n)*secondsPerDay, 0).UTC().Date()
	return Date{y, m, d}
}

// Valid reports whether d is a day of the calendar, years 1 to 9999.
func (d Date) Valid() bool {
	if d.Year < 1 || d.Year > 9999 || d.Month < 1 || d.Month > 12 || d.Day < 1 || d.Day > 31 {
		return false
	}
	return d.UTC().Day() == d.Day
}

// IsZero reports whether d is the zero Date, no day known.
func (d Date) IsZero() bool { return d == Date{} }

// UTC returns midnight UTC of the day, the form in which database drivers
// carry a DATE. It is no instant of a process: see StartInstant.
func (d Date) UTC() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// StartInstant returns the first instant of the day in Shanghai.
func (d Date) StartInstant() time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, Shanghai)
}

// EndInstant returns the end of the day in Shanghai, which is the first
// instant of the next one. What is recorded at or before it is on time.
func (d Date) EndInstant() time.Time { return d.AddDays(1).StartInstant() }

// Days returns the number of days since 1970-01-01, negative before it.
func (d Date) Days() int { return int(d.UTC().Unix() / secondsPerDay) }

// AddDays returns the day n days later.
func (d Date) AddDays(n int) Date {
	y, m, dd := d.UTC().AddDate(0, 0, n).Date()
	return Date{y, m, dd}
}

// Sub returns the number of days from o to d, negative where d is earlier.
func (d Date) Sub(o Date) int { return d.Days() - o.Days() }

// Compare returns -1, 0 or +1 as d is before, equal to or after o.
func (d Date) Compare(o Date) int {
	return cmp.Or(cmp.Compare(d.Year, o.Year), cmp.Compare(d.Month, o.Month), cmp.Compare(d.Day, o.Day))
}

// Before reports whether d is earlier than o.
func (d Date) Before(o Date) bool { return d.Compare(o) < 0 }

// After reports whether d is later than o.
func (d Date) After(o Date) bool { return d.Compare(o) > 0 }

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday { return d.UTC().Weekday() }

// FullYears returns the age in full years (周岁) on the day on of somebody born
// on d: a year is full on the birthday itself, and one of 29 February is full
// on 1 March of common years. Negative where on is before d.
func (d Date) FullYears(on Date) int {
	n := on.Year - d.Year
	if cmp.Or(cmp.Compare(on.Month, d.Month), cmp.Compare(on.Day, d.Day)) < 0 {
		n--
	}
	return n
}

// String returns "2006-01-02", "" for the zero Date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day)
}

// MarshalText returns String.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what Parse reads; empty text is the zero Date.
func (d *Date) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = Date{}
		return nil
	}
	v, err := Parse(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}
