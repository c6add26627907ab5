package policy

import (
	"testing"

	"pgregory.net/rapid"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

func TestPeriodOf(t *testing.T) {
	for _, c := range []struct {
		at                          string
		month, quarter, year, stats string
	}{
		{"2026-11-23", "2026-11", "2026-Q4", "2026", "2026-10..2027-09"},
		{"2026-01-01", "2026-01", "2026-Q1", "2026", "2025-10..2026-09"},
		{"2026-09-30", "2026-09", "2026-Q3", "2026", "2025-10..2026-09"},
		{"2026-10-01", "2026-10", "2026-Q4", "2026", "2026-10..2027-09"},
		{"2024-02-29", "2024-02", "2024-Q1", "2024", "2023-10..2024-09"},
		{"2026-12-31", "2026-12", "2026-Q4", "2026", "2026-10..2027-09"},
	} {
		for _, clock := range []string{"00:00:00", "23:59:59"} {
			i := at(c.at, clock).UTC()
			got := []string{PeriodOf(i, SpanMonth).String(), PeriodOf(i, SpanQuarter).String(), PeriodOf(i, SpanYear).String(), PeriodOf(i, SpanOctSep).String()}
			want := []string{c.month, c.quarter, c.year, c.stats}
			for k := range want {
				if got[k] != want[k] {
					t.Errorf("%s %s: %v, want %v", c.at, clock, got, want)
				}
			}
		}
	}
	p := PeriodOf(at("2026-11-23", "12:00:00"), SpanMonth)
	if p.From != civil.MustParse("2026-11-01") || p.To != civil.MustParse("2026-12-01") {
		t.Errorf("November is %+v", p)
	}
	if !p.HoldsInstant(at("2026-11-30", "23:59:59")) || p.HoldsInstant(at("2026-12-01", "00:00:00")) || p.HoldsInstant(at("2026-10-31", "23:59:59")) {
		t.Error("November's bounds are wrong")
	}
}

func TestParsePeriod(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11":                "2026-11",
		"2026-Q4":                "2026-Q4",
		"2026":                   "2026",
		"2025-10..2026-09":       "2025-10..2026-09",
		"2026-10..2026-12":       "2026-Q4",
		"2026-01..2026-12":       "2026",
		"2026-11..2026-11":       "2026-11",
		"2026-11-03..2026-11-20": "2026-11-03..2026-11-20",
		"2026-11-01..2026-11-30": "2026-11",
		"2026-11-05":             "2026-11-05..2026-11-05",
	} {
		p, err := ParsePeriod(in)
		if err != nil || p.String() != want {
			t.Errorf("ParsePeriod(%s) = %s, %v, want %s", in, p, err, want)
		}
	}
	for _, in := range []string{"", "26-11", "2026-13", "2026-00", "2026-Q5", "2026-Q0", "2026-Q12", "2026-1", "1899", "2200", "+202", "2026-02-30",
		"2026..2027", "2026-11..2026-10", "2026-11-03..2026-12", "2026-11-03..2026-11-02", "2026-11..", "..", "2026-11..2026-11..2026-12", "20261101", "２０２６"} {
		if p, err := ParsePeriod(in); p != (Period{}) || !fault.Is(err, fault.KindInvalid) {
			t.Errorf("ParsePeriod(%q) = %s, %v", in, p, err)
		}
	}
	if s := (Period{}).String(); s != "" {
		t.Errorf("zero period is %q", s)
	}
}

func TestPeriodNeighboursAndLabels(t *testing.T) {
	for _, c := range []struct{ p, next, label string }{
		{"2026-12", "2027-01", "2026年12月"},
		{"2026-Q4", "2027-Q1", "2026年第4季度"},
		{"2026", "2027", "2026年"},
		{"2025-10..2026-09", "2026-10..2027-09", "2026统计年度（2025年10月至2026年9月）"},
		{"2026-11..2026-12", "2027-01..2027-02", "2026年11月至2026年12月"},
		{"2026-11-03..2026-11-04", "2026-11-05..2026-11-06", "2026-11-03至2026-11-04"},
	} {
		p, err := ParsePeriod(c.p)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Next().String(); got != c.next {
			t.Errorf("after %s: %s, want %s", c.p, got, c.next)
		}
		if got := p.Next().Previous(); got != p {
			t.Errorf("before the next of %s: %s", c.p, got)
		}
		if got := p.Label(); got != c.label {
			t.Errorf("%s is labelled %s, want %s", c.p, got, c.label)
		}
	}
}

func TestPeriodProperties(t *testing.T) {
	lo, hi := civil.MustParse("1901-01-01").Days(), civil.MustParse("2190-01-01").Days()
	rapid.Check(t, func(t *rapid.T) {
		d := civil.FromDays(rapid.IntRange(lo, hi).Draw(t, "d"))
		s := Span(rapid.IntRange(0, 3).Draw(t, "span"))
		p := s.Holding(d)
		if !p.Holds(d) || p.Holds(p.To) || !p.Holds(p.To.AddDays(-1)) || s.Holding(p.From) != p || s.Holding(p.To) != p.Next() {
			t.Fatalf("%v of %s: %v", s, d, p)
		}
		r := Period{From: d, To: d.AddDays(rapid.IntRange(1, 800).Draw(t, "n"))}
		for _, p := range []Period{p, r} {
			if back, err := ParsePeriod(p.String()); err != nil || back != p {
				t.Fatalf("ParsePeriod(%s) = %v, %v", p, back, err)
			}
		}
	})
}
