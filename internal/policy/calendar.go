package policy

import (
	"embed"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

// CalendarNo is the number by which an item's head names a calendar. A number
// is given out once and for ever; 0 is none.
type CalendarNo uint16

// The calendars. The next one takes the next number; none is ever changed or
// dropped, because old items still name it.
const (
	NoCalendar CalendarNo = 0
	PlainDays  CalendarNo = 1 // "CN-calendar": every day counts
	CN2026a    CalendarNo = 2 // "CN-2026a": notices for 2024 to 2026, 2027 provisional
)

// NewestCalendar is the working-day calendar that new policies should name.
const NewestCalendar = CN2026a

const plainID = "CN-calendar"

//go:embed calendars/CN-2026a.toml
var calendarFiles embed.FS

// Calendar says which days are working days. It is immutable and safe for
// concurrent use.
type Calendar struct {
	id    string
	no    CalendarNo
	plain bool
	years map[int]Year
	first int    // civil.Date.Days of the first day of table
	table []bool // whether each day of the known years works
}

// Year is what a calendar knows of one year. Provisional: no State Council
// notice was known when the calendar was made; Notice and Issued are empty then.
type Year struct {
	Year        int
	Notice      string // number, 国办发明电〔…〕…号
	Issued      string // date of the notice, YYYY-MM-DD
	Title       string
	Provisional bool
}

// ID returns the calendar's name, "CN-2026a".
func (c *Calendar) ID() string { return c.id }

// No returns the calendar's number.
func (c *Calendar) No() CalendarNo { return c.no }

// Plain reports whether every day counts.
func (c *Calendar) Plain() bool { return c.plain }

// CalendarByID returns a calendar by name; an unknown one is NotFound.
func CalendarByID(id string) (*Calendar, error) {
	for _, c := range calendars() {
		if c.id == id {
			return c, nil
		}
	}
	return nil, fault.NotFound("CALENDAR_UNKNOWN", "no calendar %.40q", id).
		Zh("没有名为“%.40s”的日历，请升级程序或改用：%s", id, calendarIDs())
}

// CalendarByNo returns a calendar by number; an unknown one is NotFound.
func CalendarByNo(no CalendarNo) (*Calendar, error) {
	for _, c := range calendars() {
		if c.no == no {
			return c, nil
		}
	}
	return nil, fault.NotFound("CALENDAR_UNKNOWN", "no calendar number %d", no).Zh("没有编号为 %d 的日历，请升级程序", no)
}

// Calendars returns every calendar, by number.
func Calendars() []*Calendar { return append([]*Calendar(nil), calendars()...) }

func calendarIDs() string {
	var ids []string
	for _, c := range calendars() {
		ids = append(ids, c.id)
	}
	return strings.Join(ids, "、")
}

// String returns the id, or "calendar#N" for an unknown number.
func (no CalendarNo) String() string {
	if c, err := CalendarByNo(no); err == nil {
		return c.id
	}
	return fmt.Sprintf("calendar#%d", uint16(no))
}

// Working reports whether d is a working day.
func (c *Calendar) Working(d civil.Date) bool { return c.plain || c.working(d.Days()) }

// working takes a day as civil.Date.Days counts it, which spares a count of
// many days the arithmetic of dates.
func (c *Calendar) working(n int) bool {
	if i := n - c.first; i >= 0 && i < len(c.table) {
		return c.table[i]
	}
	d := civil.FromDays(n)
	return !weekend(d) && !fixedHoliday(d)
}

// AddWorking returns the n-th working day after d, d itself for n = 0 even if
// it is a day off. n must not be negative.
func (c *Calendar) AddWorking(d civil.Date, n int) civil.Date {
	if c.plain {
		return d.AddDays(n)
	}
	day := d.Days()
	for n > 0 {
		day++
		if c.working(day) {
			n--
		}
	}
	return civil.FromDays(day)
}

// Year returns what the calendar knows of year y.
func (c *Calendar) Year(y int) Year {
	if v, ok := c.years[y]; ok {
		return v
	}
	return Year{Year: y, Provisional: !c.plain}
}

// Provisional reports whether a count of working days from one day to another
// touches a year without a notice, so that a later calendar may count otherwise.
func (c *Calendar) Provisional(from, to civil.Date) bool {
	for y := from.Year; y <= to.Year; y++ {
		if c.Year(y).Provisional {
			return true
		}
	}
	return false
}

func weekend(d civil.Date) bool {
	w := d.Weekday()
	return w == time.Saturday || w == time.Sunday
}

// fixedHoliday serves years of which a calendar knows nothing: the days that
// the 全国年节及纪念日放假办法 (decree 795, in force since 2025) fixes in the
// solar calendar. Part of every calendar's meaning, so it may never change.
func fixedHoliday(d civil.Date) bool {
	switch d.Month {
	case time.January:
		return d.Day == 1
	case time.May:
		return d.Day <= 2
	case time.October:
		return d.Day <= 3
	default:
		return false
	}
}

// calendars reads the embedded tables once. They are part of the program: a
// broken one is a bug that every test of the package meets, hence the panic.
var calendars = sync.OnceValue(func() []*Calendar {
	all := []*Calendar{{id: plainID, no: PlainDays, plain: true}}
	for _, name := range []string{"CN-2026a"} {
		b, err := calendarFiles.ReadFile("calendars/" + name + ".toml")
		if err != nil {
			panic(err)
		}
		c, err := readCalendar(b)
		if err != nil {
			panic("policy: calendar " + name + ": " + err.Error())
		}
		all = append(all, c)
	}
	return all
})

type calendarFile struct {
	ID   string
	No   CalendarNo
	Year []struct {
		Year          int
		Notice        string
		Issued, Title string
		Provisional   bool
		Off, Work     []string
	}
}

func readCalendar(b []byte) (*Calendar, error) {
	var f calendarFile
	md, err := toml.Decode(string(b), &f)
	if err != nil {
		return nil, err
	}
	if u := md.Undecoded(); len(u) > 0 {
		return nil, fmt.Errorf("unknown key %v", u[0])
	}
	c := &Calendar{id: f.ID, no: f.No, years: map[int]Year{}}
	days := exceptions{}
	for i, y := range f.Year {
		if i > 0 && y.Year != f.Year[i-1].Year+1 {
			return nil, fmt.Errorf("year %d does not follow the one before", y.Year)
		}
		if y.Provisional != (y.Notice == "") || y.Provisional != (y.Issued == "") || y.Title == "" {
			return nil, fmt.Errorf("year %d: a notice, or provisional", y.Year)
		}
		c.years[y.Year] = Year{Year: y.Year, Notice: y.Notice, Issued: y.Issued, Title: y.Title, Provisional: y.Provisional}
		for _, s := range y.Off {
			if err := days.add(y.Year, s, false); err != nil {
				return nil, err
			}
		}
		for _, s := range y.Work {
			if err := days.add(y.Year, s, true); err != nil {
				return nil, err
			}
		}
		for d := (civil.Date{Year: y.Year, Month: time.January, Day: 1}); d.Year == y.Year; d = d.AddDays(1) {
			works, exception := days[d]
			c.table = append(c.table, works || !exception && !weekend(d))
		}
	}
	if len(f.Year) == 0 {
		return nil, fmt.Errorf("no year")
	}
	c.first = civil.Date{Year: f.Year[0].Year, Month: time.January, Day: 1}.Days()
	return c, nil
}

// exceptions to Monday–Friday: true works, false is off.
type exceptions map[civil.Date]bool

// add records a day or a range "first..last".
func (e exceptions) add(year int, s string, works bool) error {
	first, last, ranged := strings.Cut(s, "..")
	if !ranged {
		last = first
	}
	a, err := civil.Parse(first)
	if err != nil {
		return err
	}
	z, err := civil.Parse(last)
	if err != nil {
		return err
	}
	if z.Before(a) || a.Year != year || z.Year != year {
		return fmt.Errorf("range %s not within %d", s, year)
	}
	for d := a; !z.Before(d); d = d.AddDays(1) {
		if _, twice := e[d]; twice {
			return fmt.Errorf("day %s twice", d)
		}
		if works && !weekend(d) {
			return fmt.Errorf("day %s works anyway", d)
		}
		e[d] = works
	}
	return nil
}
