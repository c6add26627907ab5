package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

// The hash is the promise: two nodes count alike only while a calendar's file
// never changes. Never update a hash here; add a calendar.
func TestCalendarFilesNeverChange(t *testing.T) {
	for name, want := range map[string]string{
		"CN-2026a": "3ad89b21c73ff9962a985a978ecdc4f882c51dd2bc72f87734b45900555ca1a0",
	} {
		b, err := calendarFiles.ReadFile("calendars/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has changed (%s): give the change a new id and number instead", name, got)
		}
	}
}

func TestCalendarTable(t *testing.T) {
	want := []struct {
		id    string
		no    CalendarNo
		plain bool
	}{{"CN-calendar", 1, true}, {"CN-2026a", 2, false}}
	all := Calendars()
	if len(all) != len(want) {
		t.Fatalf("%d calendars, want %d", len(all), len(want))
	}
	for i, w := range want {
		if c := all[i]; c.ID() != w.id || c.No() != w.no || c.Plain() != w.plain || w.no.String() != w.id {
			t.Errorf("calendar %d is %s #%d plain %v, want %+v", i, c.ID(), c.No(), c.Plain(), w)
		}
		if c, err := CalendarByID(w.id); err != nil || c.No() != w.no {
			t.Errorf("CalendarByID(%s) = %v, %v", w.id, c, err)
		}
	}
	for _, no := range []CalendarNo{0, 3, 65535} {
		if c, err := CalendarByNo(no); c != nil || !fault.Is(err, fault.KindNotFound) {
			t.Errorf("CalendarByNo(%d) = %v, %v", no, c, err)
		}
	}
	if c, err := CalendarByID("CN-2099z"); c != nil || !fault.Is(err, fault.KindNotFound) {
		t.Errorf("unknown id = %v, %v", c, err)
	}
}

// A notice moves days but gives exactly the legal holidays: the working days of
// a year are its Mondays to Fridays less 11 (to 2024) or 13 (decree 795, since
// 2025). This checks each table independently of its entries.
func TestWorkingDaysPerYear(t *testing.T) {
	c, err := CalendarByNo(CN2026a)
	if err != nil {
		t.Fatal(err)
	}
	for year, want := range map[int]int{2024: 251, 2025: 248, 2026: 248} {
		n := 0
		for d := (civil.Date{Year: year, Month: 1, Day: 1}); d.Year == year; d = d.AddDays(1) {
			if c.Working(d) {
				n++
			}
		}
		if n != want {
			t.Errorf("%d has %d working days, want %d", year, n, want)
		}
	}
}

func TestNotices(t *testing.T) {
	c, _ := CalendarByNo(CN2026a)
	for year, notice := range map[int]string{
		2023: "", 2024: "国办发明电〔2023〕7号", 2025: "国办发明电〔2024〕12号", 2026: "国办发明电〔2025〕7号", 2027: "", 2028: "",
	} {
		y := c.Year(year)
		if y.Notice != notice || y.Provisional != (notice == "") {
			t.Errorf("%d: notice %q, provisional %v, want %q", year, y.Notice, y.Provisional, notice)
		}
	}
	for _, x := range []struct {
		from, to string
		want     bool
	}{{"2026-01-01", "2026-12-31", false}, {"2026-12-31", "2027-01-01", true}, {"2023-12-31", "2024-01-01", true}} {
		if got := c.Provisional(civil.MustParse(x.from), civil.MustParse(x.to)); got != x.want {
			t.Errorf("Provisional(%s, %s) = %v", x.from, x.to, got)
		}
	}
	plain, _ := CalendarByNo(PlainDays)
	if plain.Provisional(civil.MustParse("2026-01-01"), civil.MustParse("2030-01-01")) {
		t.Error("plain days are provisional")
	}
}

func TestReadCalendarRefuses(t *testing.T) {
	const head = "id = \"X\"\nno = 9\n[[year]]\nyear = 2026\ntitle = \"x\"\n"
	for name, file := range map[string]string{
		"unknown key":         head + "notice=\"n\"\nissued=\"d\"\nhols=[]\n",
		"neither":             head + "off=[]\n",
		"both":                head + "notice=\"n\"\nissued=\"d\"\nprovisional=true\n",
		"other year":          head + "provisional=true\noff=[\"2025-01-01\"]\n",
		"backwards":           head + "provisional=true\noff=[\"2026-01-03..2026-01-01\"]\n",
		"twice":               head + "provisional=true\noff=[\"2026-01-01\",\"2026-01-01\"]\n",
		"works anyway":        head + "provisional=true\nwork=[\"2026-01-05\"]\n",
		"no date":             head + "provisional=true\noff=[\"x\"]\n",
		"year twice":          head + "provisional=true\n[[year]]\nyear = 2026\ntitle = \"x\"\nprovisional=true\n",
		"year left out":       head + "provisional=true\n[[year]]\nyear = 2028\ntitle = \"x\"\nprovisional=true\n",
		"no year":             "id = \"X\"\nno = 9\n",
		"not TOML":            "id = ",
		"range without a end": head + "provisional=true\noff=[\"2026-01-01..\"]\n",
	} {
		if _, err := readCalendar([]byte(file)); err == nil {
			t.Errorf("%s: read %q", name, strings.TrimPrefix(file, head))
		}
	}
	if c, err := readCalendar([]byte(head + "provisional=true\noff=[\"2026-01-01\"]\n")); err != nil || c.Working(civil.MustParse("2026-01-01")) {
		t.Errorf("a right file: %v, %v", c, err)
	}
}

// What a calendar means beyond its file (weekends, the rule for years that it
// does not know) is as immutable as the file.
func TestCalendarMeaningNeverChanges(t *testing.T) {
	c, err := CalendarByNo(CN2026a)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for d := (civil.Date{Year: 2000, Month: 1, Day: 1}); d.Year < 2203; d = d.AddDays(1) {
		if c.Working(d) {
			h.Write([]byte(d.String()))
		}
	}
	if got, want := hex.EncodeToString(h.Sum(nil)), "e7761bbdfe570164b04a183a2d4ec13d937dc91d26227771432f728564e9cfa2"; got != want {
		t.Errorf("CN-2026a counts other days (%s): give the change a new id and number instead", got)
	}
}
