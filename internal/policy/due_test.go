package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

// at returns a time of day in Shanghai.
func at(day, clock string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05", day+" "+clock, civil.Shanghai)
	if err != nil {
		panic(err)
	}
	return t
}

func TestDueWorkingDays(t *testing.T) {
	type want map[int]string // days → last day
	for _, c := range []struct {
		name, delivered string
		want            want
	}{
		{"plain week", "2026-11-23", want{0: "2026-11-23", 1: "2026-11-24", 4: "2026-11-27", 5: "2026-11-30", 15: "2026-12-14"}},
		{"delivered on a day off", "2026-11-22", want{0: "2026-11-22", 1: "2026-11-23", 2: "2026-11-24"}},
		{"new year 2025, one day, no 调休", "2024-12-30", want{1: "2024-12-31", 2: "2025-01-02", 3: "2025-01-03", 4: "2025-01-06"}},
		{"new year 2026, Sunday works", "2025-12-31", want{1: "2026-01-04", 2: "2026-01-05", 7: "2026-01-12"}},
		{"spring 2024, eve works", "2024-02-08", want{1: "2024-02-09", 2: "2024-02-18", 3: "2024-02-19"}},
		{"spring 2025", "2025-01-24", want{1: "2025-01-26", 2: "2025-01-27", 3: "2025-02-05", 5: "2025-02-07", 6: "2025-02-08", 7: "2025-02-10", 15: "2025-02-20"}},
		{"spring 2025, delivered within", "2025-01-30", want{0: "2025-01-30", 1: "2025-02-05", 4: "2025-02-08", 5: "2025-02-10"}},
		{"spring 2026", "2026-02-13", want{1: "2026-02-14", 2: "2026-02-24", 5: "2026-02-27", 6: "2026-02-28", 7: "2026-03-02", 15: "2026-03-12"}},
		{"qingming 2025 ends on Sunday", "2025-04-03", want{1: "2025-04-07"}},
		{"labour 2025", "2025-04-25", want{1: "2025-04-27", 4: "2025-04-30", 5: "2025-05-06"}},
		{"labour 2026", "2026-04-30", want{1: "2026-05-06", 3: "2026-05-08", 4: "2026-05-09", 5: "2026-05-11"}},
		{"dragon boat 2025 on a Monday", "2025-05-30", want{1: "2025-06-03"}},
		{"national day 2025 with mid-autumn", "2025-09-26", want{1: "2025-09-28", 3: "2025-09-30", 4: "2025-10-09", 6: "2025-10-11", 7: "2025-10-13"}},
		{"autumn 2026", "2026-09-18", want{1: "2026-09-20", 5: "2026-09-24", 6: "2026-09-28", 8: "2026-09-30", 9: "2026-10-08", 11: "2026-10-10", 12: "2026-10-12"}},
		{"leap day", "2024-02-28", want{1: "2024-02-29", 2: "2024-03-01"}},
		{"spring 2027, provisional", "2027-02-04", want{1: "2027-02-09", 4: "2027-02-12", 5: "2027-02-15"}},
		{"2028, rule only", "2028-09-29", want{1: "2028-10-04"}},
		{"into 2028", "2027-12-31", want{1: "2028-01-03"}},
	} {
		for days, last := range c.want {
			for _, clock := range []string{"00:00:00", "12:30:00", "23:59:59"} {
				got, err := Due(at(c.delivered, clock), days, WorkingDays, "CN-2026a")
				if want := civil.MustParse(last).EndInstant(); err != nil || !got.Equal(want) {
					t.Errorf("%s: %s %s + %d = %v (%v), want end of %s", c.name, c.delivered, clock, days, got, err, last)
				}
			}
		}
	}
}

func TestDueCalendarDays(t *testing.T) {
	for _, c := range []struct {
		delivered time.Time
		days      int
		last      string
	}{
		{at("2026-11-23", "09:00:00"), 0, "2026-11-23"},
		{at("2026-11-23", "09:00:00"), 7, "2026-11-30"},
		{at("2026-11-23", "09:00:00"), 30, "2026-12-23"},
		{at("2026-01-31", "09:00:00"), 30, "2026-03-02"},
		{at("2024-01-30", "09:00:00"), 30, "2024-02-29"},
		{at("2026-12-31", "23:59:59"), 1, "2027-01-01"},
		// 16:00 UTC is midnight in Shanghai: the next day has begun.
		{time.Date(2026, 11, 30, 15, 59, 59, 999_999_999, time.UTC), 1, "2026-12-01"},
		{time.Date(2026, 11, 30, 16, 0, 0, 0, time.UTC), 1, "2026-12-02"},
		{time.Date(2026, 11, 30, 9, 0, 0, 0, time.FixedZone("far", -10*3600)), 0, "2026-12-01"},
	} {
		for _, id := range []string{"CN-calendar", "CN-2026a"} {
			got, err := Due(c.delivered, c.days, CalendarDays, id)
			if want := civil.MustParse(c.last).EndInstant(); err != nil || !got.Equal(want) {
				t.Errorf("%v + %d (%s) = %v (%v), want end of %s", c.delivered, c.days, id, got, err, c.last)
			}
		}
	}
}

func TestDueIsTheEndOfTheDay(t *testing.T) {
	due, err := Due(at("2026-11-23", "10:00:00"), 7, CalendarDays, "CN-calendar")
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 11, 30, 16, 0, 0, 0, time.UTC); !due.Equal(want) {
		t.Errorf("due %v, want %v", due.UTC(), want)
	}
	if d := DueDay(due); d != civil.MustParse("2026-11-30") {
		t.Errorf("DueDay = %s", d)
	}
	// The instant lies in December, the case falls due in November.
	if m := DueMonth(due).String(); m != "2026-11" {
		t.Errorf("DueMonth = %s", m)
	}
	if m := PeriodOf(due, SpanMonth).String(); m != "2026-12" {
		t.Errorf("PeriodOf = %s", m)
	}
}

func TestDueRefuses(t *testing.T) {
	now := at("2026-11-23", "10:00:00")
	for _, c := range []struct {
		name      string
		delivered time.Time
		days      int
		calendar  string
		kind      fault.Kind
	}{
		{"negative", now, -1, "CN-calendar", fault.KindInvalid},
		{"too long", now, MaxDays + 1, "CN-calendar", fault.KindInvalid},
		{"unknown calendar", now, 1, "CN-1999a", fault.KindNotFound},
		{"no calendar", now, 1, "", fault.KindNotFound},
		{"zero time", time.Time{}, 1, "CN-calendar", fault.KindInvalid},
		{"far future", time.Date(2200, 1, 1, 0, 0, 0, 0, civil.Shanghai), 1, "CN-2026a", fault.KindInvalid},
	} {
		for _, u := range []Unit{CalendarDays, WorkingDays} {
			got, err := Due(c.delivered, c.days, u, c.calendar)
			if !got.IsZero() || !fault.Is(err, c.kind) {
				t.Errorf("%s (%s): %v, %v", c.name, u, got, err)
			}
			if e, ok := fault.As(err); !ok || e.Text == "" {
				t.Errorf("%s: no text for users", c.name)
			}
		}
	}
	if got, err := (Limit{Days: 1}).Due(now, NoCalendar); !got.IsZero() || !fault.Is(err, fault.KindNotFound) {
		t.Errorf("calendar 0: %v, %v", got, err)
	}
	if got, err := (Limit{Days: 65535, Working: true}).Due(now, CN2026a); !got.IsZero() || !fault.Is(err, fault.KindInvalid) {
		t.Errorf("65535 days: %v, %v", got, err)
	}
}

func TestUnits(t *testing.T) {
	for _, u := range []Unit{CalendarDays, WorkingDays} {
		if got, err := ParseUnit(u.String()); err != nil || got != u {
			t.Errorf("ParseUnit(%s) = %v, %v", u, got, err)
		}
		l := Limit{Days: 15, Working: u == WorkingDays}
		if l.Unit() != u {
			t.Errorf("%v counts %s", l, l.Unit())
		}
	}
	if _, err := ParseUnit("weeks"); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("ParseUnit(weeks) = %v", err)
	}
	if a, b := (Limit{Days: 30}).String(), (Limit{Days: 15, Working: true}).String(); a != "30 日" || b != "15 个工作日" {
		t.Errorf("%q, %q", a, b)
	}
}

func TestDueProperties(t *testing.T) {
	lo, hi := at("2023-06-01", "00:00:00").Unix(), at("2029-06-01", "00:00:00").Unix()
	rapid.Check(t, func(t *rapid.T) {
		no := rapid.SampledFrom([]CalendarNo{PlainDays, CN2026a}).Draw(t, "calendar")
		working := rapid.Bool().Draw(t, "working")
		due := func(at time.Time, days int) time.Time {
			got, err := Limit{Days: uint16(days), Working: working}.Due(at, no)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		a := time.Unix(rapid.Int64Range(lo, hi).Draw(t, "a"), 0)
		b := a.Add(time.Duration(rapid.Int64Range(0, 40*86400).Draw(t, "later")) * time.Second)
		n := rapid.IntRange(0, 60).Draw(t, "n")
		m := n + rapid.IntRange(0, 60).Draw(t, "more")
		x := due(a, n)
		if due(b, n).Before(x) {
			t.Fatalf("delivered later, due earlier: %v and %v + %d", a, b, n)
		}
		if due(a, m).Before(x) || m > n && !due(a, m).After(x) {
			t.Fatalf("more days, due no later: %v + %d and %d", a, n, m)
		}
		if !x.After(a) || x.In(civil.Shanghai) != civil.In(x).StartInstant() {
			t.Fatalf("due %v of %v is no end of a day", x, a)
		}
		// The count is right: n working days lie after the day of delivery.
		c, _ := CalendarByNo(no)
		got := 0
		for d := civil.In(a).AddDays(1); !DueDay(x).Before(d); d = d.AddDays(1) {
			if !working || c.Working(d) {
				got++
			}
		}
		if got != n || n > 0 && working && !c.Working(DueDay(x)) {
			t.Fatalf("%v + %d ends on %s, %d days later", a, n, DueDay(x), got)
		}
		// A minute changes nothing within a day.
		if end := civil.In(a).EndInstant().Add(-1); !due(end, n).Equal(x) || !due(civil.In(a).StartInstant(), n).Equal(x) {
			t.Fatalf("due depends on the time of day of %v", a)
		}
	})
}
