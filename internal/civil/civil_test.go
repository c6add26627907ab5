package civil

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"yipan/internal/fault"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in     string
		want   Date
		reason string
	}{
		{"2024-02-29", Date{2024, 2, 29}, ""},
		{"20240229", Date{2024, 2, 29}, ""},
		{"0001-01-01", Date{1, 1, 1}, ""},
		{"9999-12-31", Date{9999, 12, 31}, ""},
		{"2023-02-29", Date{}, "DATE_IMPOSSIBLE"},
		{"2023-04-31", Date{}, "DATE_IMPOSSIBLE"},
		{"20231301", Date{}, "DATE_IMPOSSIBLE"},
		{"20230100", Date{}, "DATE_IMPOSSIBLE"},
		{"0000-01-01", Date{}, "DATE_IMPOSSIBLE"},
		{"", Date{}, "DATE_FORMAT"},
		{"2023/01/01", Date{}, "DATE_FORMAT"},
		{"2023-1-1", Date{}, "DATE_FORMAT"},
		{"+2023-1-", Date{}, "DATE_FORMAT"},
		{"２０２３", Date{}, "DATE_FORMAT"},
		{" 20230101", Date{}, "DATE_FORMAT"},
	} {
		got, err := Parse(c.in)
		if got != c.want {
			t.Errorf("Parse(%q) = %v, want %v", c.in, got, c.want)
		}
		reason := ""
		if e, ok := fault.As(err); ok {
			reason = e.Reason
			if e.Text == "" {
				t.Errorf("Parse(%q): no text for users", c.in)
			}
		}
		if reason != c.reason {
			t.Errorf("Parse(%q) reason = %q, want %q", c.in, reason, c.reason)
		}
	}
}

func TestDayBoundariesAreShanghai(t *testing.T) {
	last := time.Date(2024, 12, 31, 15, 59, 59, 999_999_999, time.UTC)
	if got, want := In(last), (Date{2024, 12, 31}); got != want {
		t.Errorf("In(last nanosecond) = %v, want %v", got, want)
	}
	first := last.Add(1)
	if got, want := In(first), (Date{2025, 1, 1}); got != want {
		t.Errorf("In(midnight) = %v, want %v", got, want)
	}
	if got := (Date{2024, 12, 31}).EndInstant(); !got.Equal(first) {
		t.Errorf("EndInstant = %v, want %v", got, first)
	}
	if got := (Date{2025, 1, 1}).StartInstant(); !got.Equal(first) {
		t.Errorf("StartInstant = %v, want %v", got, first)
	}
	// In the summers of 1986 to 1991 clocks stood at UTC+9; here they never do.
	if got := (Date{1990, 7, 1}).StartInstant().UTC().Hour(); got != 16 {
		t.Errorf("1990-07-01 starts at %d UTC, want 16", got)
	}
}

func TestFullYears(t *testing.T) {
	for _, c := range []struct {
		birth, on string
		want      int
	}{
		{"2000-03-15", "2015-03-14", 14},
		{"2000-03-15", "2015-03-15", 15},
		{"2000-02-29", "2015-02-28", 14},
		{"2000-02-29", "2015-03-01", 15},
		{"2000-02-29", "2016-02-29", 16},
		{"2000-03-15", "2000-03-14", -1},
	} {
		if got := MustParse(c.birth).FullYears(MustParse(c.on)); got != c.want {
			t.Errorf("born %s, on %s: %d, want %d", c.birth, c.on, got, c.want)
		}
	}
}

func TestZero(t *testing.T) {
	var z Date
	if !z.IsZero() || z.Valid() || z.String() != "" || !z.Before(Date{1, 1, 1}) {
		t.Errorf("zero date: IsZero %v, Valid %v, String %q", z.IsZero(), z.Valid(), z.String())
	}
	if (Date{1970, 1, 1}).Days() != 0 || FromDays(0) != (Date{1970, 1, 1}) {
		t.Error("day 0 is not 1970-01-01")
	}
}

func TestJSON(t *testing.T) {
	type row struct{ A, B Date }
	b, err := json.Marshal(row{A: Date{2024, 5, 6}})
	if err != nil || string(b) != `{"A":"2024-05-06","B":""}` {
		t.Fatalf("Marshal = %s, %v", b, err)
	}
	var r row
	if err := json.Unmarshal(b, &r); err != nil || r != (row{A: Date{2024, 5, 6}}) {
		t.Fatalf("Unmarshal = %v, %v", r, err)
	}
	if err := json.Unmarshal([]byte(`{"A":"2024-13-01"}`), &r); err == nil {
		t.Error("Unmarshal took month 13")
	}
}

func TestArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Days of the years 1 to 9999.
		n := rapid.IntRange(-719_162, 2_932_896).Draw(t, "n")
		m := rapid.IntRange(-719_162, 2_932_896).Draw(t, "m")
		a, b := FromDays(n), FromDays(m)
		if !a.Valid() {
			t.Fatalf("FromDays(%d) = %v is not valid", n, a)
		}
		if a.Days() != n || a.AddDays(m-n) != b || b.Sub(a) != m-n {
			t.Fatalf("%v and %v: Days %d, AddDays %v, Sub %d", a, b, a.Days(), a.AddDays(m-n), b.Sub(a))
		}
		if a.Before(b) != (n < m) || a.After(b) != (n > m) || (a == b) != (n == m) {
			t.Fatalf("order of %v and %v is wrong", a, b)
		}
		if p, err := Parse(a.String()); err != nil || p != a {
			t.Fatalf("Parse(%q) = %v, %v", a.String(), p, err)
		}
		if In(a.StartInstant()) != a || In(a.EndInstant().Add(-1)) != a || In(a.EndInstant()) == a {
			t.Fatalf("%v does not hold its own instants", a)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"2024-02-29", "20240229", "2023-02-29", "", "0000-00-00", "2024-2-290"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Parse(s)
		if err != nil {
			if !d.IsZero() || !fault.Is(err, fault.KindInvalid) {
				t.Fatalf("refusal with %v, %v", d, err)
			}
			return
		}
		if !d.Valid() {
			t.Fatalf("Parse(%q) gave %v", s, d)
		}
		if back, err := Parse(d.String()); err != nil || back != d {
			t.Fatalf("no round trip for %q", s)
		}
	})
}
