package policy

import (
	"fmt"
	"time"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

// MaxDays is the longest limit, two years: longer ones are slips of the pen,
// and an item from outside must not make the desk count for long.
const MaxDays = 731

// Unit is what a limit counts.
type Unit uint8

// Calendar days count every day, working days those of the item's calendar.
const (
	CalendarDays Unit = iota
	WorkingDays
)

// String returns the word that files use, "calendar" or "working".
func (u Unit) String() string {
	if u == WorkingDays {
		return "working"
	}
	return "calendar"
}

// ParseUnit reads what String writes; anything else is Invalid.
func ParseUnit(s string) (Unit, error) {
	switch s {
	case "calendar":
		return CalendarDays, nil
	case "working":
		return WorkingDays, nil
	}
	return 0, fault.Invalid("LIMIT_UNIT", "unit %.20q is neither calendar nor working", s).
		Zh("期限单位应为 calendar（日历日）或 working（工作日）").On("unit")
}

// Limit is how long something may take, small enough for an item's head. The
// zero Limit ends with the day of delivery.
type Limit struct {
	Days    uint16 // 0..MaxDays
	Working bool   // working days of the calendar named beside it, else calendar days
}

// Unit returns what Days counts.
func (l Limit) Unit() Unit {
	if l.Working {
		return WorkingDays
	}
	return CalendarDays
}

// String returns the limit in Chinese, "30 日" or "15 个工作日".
func (l Limit) String() string {
	if l.Working {
		return fmt.Sprintf("%d 个工作日", l.Days)
	}
	return fmt.Sprintf("%d 日", l.Days)
}

// Due returns the instant at which l ends for what was delivered at an
// instant; see the function Due.
func (l Limit) Due(delivered time.Time, no CalendarNo) (time.Time, error) {
	c, err := CalendarByNo(no)
	if err != nil {
		return time.Time{}, err
	}
	return c.due(delivered, int(l.Days), l.Unit())
}

// Due returns the instant at which a limit ends: the end of its last day in
// Shanghai, which is the first instant of the day after. The day of delivery
// does not count: 0 days end with that same day (also when it is a day off),
// 30 with the 30th day after it. What is recorded at or before the instant is
// on time (PROTOCOL 23). Both ends of a case compute it from the item and the
// receipt alone.
//
// An unknown calendar is NotFound; days outside 0..MaxDays or a delivery
// outside the years 2000 to 2199 is Invalid. Due never decreases when days or
// delivered grow.
func Due(delivered time.Time, days int, unit Unit, calendarID string) (time.Time, error) {
	c, err := CalendarByID(calendarID)
	if err != nil {
		return time.Time{}, err
	}
	return c.due(delivered, days, unit)
}

func (c *Calendar) due(delivered time.Time, days int, unit Unit) (time.Time, error) {
	if days < 0 || days > MaxDays {
		return time.Time{}, fault.Invalid("LIMIT_DAYS", "limit of %d days out of 0..%d", days, MaxDays).
			Zh("期限应在 0 到 %d 日之间", MaxDays)
	}
	if y := delivered.In(civil.Shanghai).Year(); y < 2000 || y > 2199 {
		return time.Time{}, fault.Invalid("DELIVERED_RANGE", "delivered in year %d, out of 2000..2199", y).
			Zh("送达时间超出可计算的范围")
	}
	d := civil.In(delivered)
	if unit == WorkingDays {
		return c.AddWorking(d, days).EndInstant(), nil
	}
	return d.AddDays(days).EndInstant(), nil
}

// DueDay returns the day at whose end a due instant lies, the day to show and
// the one whose month a case falls due in. (The instant itself already belongs
// to the next day.)
func DueDay(due time.Time) civil.Date { return civil.In(due.Add(-time.Nanosecond)) }

// DueMonth returns the month in which something falls due (DOMAIN §4).
func DueMonth(due time.Time) Period { return SpanMonth.Holding(DueDay(due)) }
