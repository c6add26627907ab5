package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
)

// parsed returns the default policy with changes.
func parsed(t *testing.T, edits ...string) *Policy {
	t.Helper()
	p, err := Parse([]byte(edit(t, edits...)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// key returns the area of a code, its level by the number of digits.
func key(code string) area.Key {
	if code == "" {
		return 0
	}
	return area.MustOf(map[int]area.Level{2: 1, 4: 2, 6: 3, 9: 4, 12: 5}[len(code)], code)
}

const pairsFile = `
[[pair]]
kind = "assist"
x = "52"
answer_days = 10
unit = "calendar"
source = "测试"

[[pair]]
kind = "assist"
y = "44"
answer_days = 11
unit = "calendar"
source = "测试"

[[pair]]
kind = "assist"
x = "52"
y = "44"
answer_days = 12
unit = "calendar"
source = "测试"

[[pair]]
kind = "assist"
x = "5201"
answer_days = 13
unit = "calendar"
source = "测试"

[[pair]]
kind = "assist"
x = "52"
y = "4419"
answer_days = 3
unit = "working"
township_days = 2
source = "测试"

[[pair]]
kind = "assist"
x = "5201"
y = "44"
answer_days = 14
unit = "calendar"
source = "测试"

[[pair]]
kind = "outflow"
y = "441900003"
file_days = 5
file_unit = "working"
source = "测试"

[targets]`

func TestLongestPairWins(t *testing.T) {
	p := parsed(t, "[targets]", pairsFile)
	for _, c := range []struct {
		why, kind, x, y string
		want            Limit
	}{
		{"no pair", Assist, "110101", "310101", Limit{Days: 30}},
		{"x alone", Assist, "522301", "310101", Limit{Days: 10}},
		{"y alone", Assist, "110101", "440103", Limit{Days: 11}},
		{"both beat one of the same length", Assist, "522301", "440103", Limit{Days: 12}},
		{"a longer x alone", Assist, "520123", "310101", Limit{Days: 13}},
		{"52+4419 = 6 digits beat 52+44", Assist, "522301", "441900003", Limit{Days: 3, Working: true}},
		{"tie of 52+4419 and 5201+44: longer x", Assist, "520123", "441900003", Limit{Days: 14}},
		{"county level 441900 lies in 4419", Assist, "522301", "441900", Limit{Days: 3, Working: true}},
		{"a receiver above the pair's area", Assist, "522301", "44", Limit{Days: 12}},
		{"not the other way round", Assist, "440103", "522301", Limit{Days: 30}},
		{"another kind", AssistUrgent, "522301", "440103", Limit{Days: 15}},
		{"a pair that changes filing only", Outflow, "522301", "441900003", Limit{Days: 30}},
		{"no areas", Assist, "", "", Limit{Days: 30}},
	} {
		got, err := p.LimitFor(c.kind, key(c.x), key(c.y))
		if err != nil || got != c.want {
			t.Errorf("%s: %s %s→%s = %v, %v, want %v", c.why, c.kind, c.x, c.y, got, err, c.want)
		}
	}
	l, err := p.LimitsFor(Assist, key("522301"), key("441900003"))
	if err != nil || l.Township != (Limit{Days: 2, Working: true}) || l.HasFile {
		t.Errorf("pair's other limits: %+v, %v", l, err)
	}
	l, err = p.LimitsFor(Outflow, key("522301"), key("441900003"))
	if err != nil || l.File != (Limit{Days: 5, Working: true}) || l.Township != (Limit{Days: 30}) || !l.HasFile {
		t.Errorf("inherited limits: %+v, %v", l, err)
	}
	if _, err := p.LimitFor("fine", 0, 0); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("unknown kind: %v", err)
	}
}

// The winner does not depend on the order in which pairs stand in the file,
// and is what the definition says.
func TestPairOrderDoesNotMatter(t *testing.T) {
	head, tail, _ := strings.Cut(string(DefaultFile()), "[targets]")
	blocks := strings.Split(strings.TrimSuffix(pairsFile, "[targets]"), "[[pair]]")[1:]
	codes := []string{"", "52", "5201", "520123", "522301", "44", "4419", "441900", "441900003", "440103", "310101"}
	want := parsed(t, "[targets]", pairsFile)
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation(blocks).Draw(t, "order")
		p, err := Parse([]byte(head + "[[pair]]" + strings.Join(order, "[[pair]]") + "[targets]" + tail))
		if err != nil {
			t.Fatal(err)
		}
		x, y := key(rapid.SampledFrom(codes).Draw(t, "x")), key(rapid.SampledFrom(codes).Draw(t, "y"))
		got, _ := p.LimitsFor(Assist, x, y)
		w, _ := want.LimitsFor(Assist, x, y)
		if got != w {
			t.Fatalf("%v→%v: %+v, want %+v", x, y, got, w)
		}
		best := want.Limits[Assist]
		bestLen, bestX := -1, -1
		for _, q := range want.Pairs {
			n, nx := prefixLen(q.X)+prefixLen(q.Y), prefixLen(q.X)
			if q.Kind == Assist && q.holds(x, y) && (n > bestLen || n == bestLen && nx > bestX) {
				best, bestLen, bestX = q.Limits, n, nx
			}
		}
		if got != best {
			t.Fatalf("%v→%v: %+v, by definition %+v", x, y, got, best)
		}
	})
}

func TestMoved(t *testing.T) {
	for _, c := range []struct {
		a, b                         string
		township, county, prefecture bool
	}{
		{"520123101", "520123101", false, false, false},
		{"520123101", "520123102", true, false, false},
		{"520123101", "520103001", true, true, false},
		{"520123101", "522301001", true, true, true},
		{"520123101", "441900003", true, true, true},
		{"441900003", "441900004", true, false, false},
		{"520123101", "520123", false, false, false}, // one holds the other: no difference known
		{"520123101", "5201", false, false, false},
		{"441900003", "4419", false, false, false},
		{"110101001", "110229101", true, true, false}, // one municipality
		{"500101001", "500229101", true, true, false}, // 5001 and 5002 are both 重庆
		{"429004001", "429005001", true, true, true},  // 仙桃 and 潜江 share only digits
		{"429004001", "429004002", true, false, false},
		{"", "520123101", false, false, false},
	} {
		for level, want := range map[string]bool{"township": c.township, "county": c.county, "prefecture": c.prefecture} {
			p := parsed(t, "movement_level = \"township\"", "movement_level = \""+level+"\"")
			if p.Moved(key(c.a), key(c.b)) != want || p.Moved(key(c.b), key(c.a)) != want {
				t.Errorf("%s: %s ↔ %s moved is not %v both ways", level, c.a, c.b, want)
			}
		}
	}
}

func TestOutOfHours(t *testing.T) {
	p := Default()
	for _, c := range []struct {
		day, clock string
		want       bool
	}{
		{"2026-11-23", "08:29:59", true},
		{"2026-11-23", "08:30:00", false},
		{"2026-11-23", "17:29:59", false},
		{"2026-11-23", "17:30:00", true},
		{"2026-11-22", "10:00:00", true},  // Sunday
		{"2026-10-10", "10:00:00", false}, // Saturday that works
		{"2026-10-06", "10:00:00", true},  // Tuesday of the holiday
	} {
		if got := p.OutOfHours(at(c.day, c.clock).UTC()); got != c.want {
			t.Errorf("%s %s: %v", c.day, c.clock, got)
		}
	}
	plain := *p
	plain.Calendar = PlainDays
	if !plain.OutOfHours(at("2026-11-22", "10:00:00")) || plain.OutOfHours(at("2026-10-06", "10:00:00")) {
		t.Error("under the plain calendar Saturday and Sunday alone are off")
	}
}

func TestBasisFor(t *testing.T) {
	p := Default()
	for _, c := range []struct {
		id, kind string
		ok       bool
	}{
		{"duty:joint-service", Outflow, true},
		{"duty:joint-service", Assist, true},
		{"duty:joint-service", AssistUrgent, false},
		{"duty:joint-service", Birth, false},
		{"duty:repealed", Outflow, false},
		{"", Outflow, false},
	} {
		b, err := p.BasisFor(c.id, c.kind)
		if (err == nil) != c.ok || c.ok && (b.ID != c.id || b.Text == "" || b.Source == "") || !c.ok && !fault.Is(err, fault.KindInvalid) {
			t.Errorf("%s for %s: %+v, %v", c.id, c.kind, b, err)
		}
	}
}

func TestMonthlyDaysAndPercent(t *testing.T) {
	s, f := Default().Monthly.In(SpanMonth.Holding(civil.MustParse("2026-02-10")))
	if s != civil.MustParse("2026-02-20") || f != civil.MustParse("2026-02-27") {
		t.Errorf("%s, %s", s, f)
	}
	if got := Percent(9705).String(); got != "97.05%" {
		t.Error(got)
	}
}

func TestRounds(t *testing.T) {
	p := parsed(t, "number = 20263", "number = 20263\nends_at = \"2026-11-23T15:04:05+08:00\"")
	for _, c := range []struct {
		at   time.Time
		want RoundNumber
	}{
		{at("2025-12-31", "23:59:59"), 0},
		{at("2026-01-01", "00:00:00"), 20261},
		{at("2026-04-30", "23:59:59"), 20261},
		{at("2026-05-01", "00:00:00"), 20262},
		{at("2026-11-23", "15:04:04"), 20263},
		{at("2026-11-23", "15:04:05"), 0}, // ended by ends_at, before its To
		{at("2027-01-01", "00:00:00"), 20271},
	} {
		r, ok := p.RoundAt(c.at.UTC())
		if ok != (c.want != 0) || r.Number != c.want {
			t.Errorf("%v: round %d, want %d", c.at, r.Number, c.want)
		}
	}
	if _, err := p.Round(20301); !fault.Is(err, fault.KindNotFound) {
		t.Errorf("round 20301: %v", err)
	}
	if s := RoundNumber(20263).String(); s != "2026-3" {
		t.Error(s)
	}
}

func TestSet(t *testing.T) {
	old := parsed(t, "version = \"default-2026.1\"", "version = \"old\"")
	short := parsed(t, "version = \"default-2026.1\"", "version = \"short\"", "from = \"2024-01-01\"", "from = \"2026-09-01\"\nto = \"2027-01-01\"",
		"[[round]]\nnumber = 20261\nname = \"2026年第一轮\"\nfrom = \"2026-01-01\"\nto = \"2026-05-01\"\n", "",
		"[[round]]\nnumber = 20262\nname = \"2026年第二轮\"\nfrom = \"2026-05-01\"\nto = \"2026-09-01\"\n", "",
		"[[round]]\nnumber = 20271\nname = \"2027年第一轮\"\nfrom = \"2027-01-01\"\nto = \"2027-05-01\"\n", "",
		"[[round]]\nnumber = 20272\nname = \"2027年第二轮\"\nfrom = \"2027-05-01\"\nto = \"2027-09-01\"\n", "",
		"[[round]]\nnumber = 20273\nname = \"2027年第三轮\"\nfrom = \"2027-09-01\"\nto = \"2028-01-01\"\n", "",
		"number = 20263", "number = 20263\nends_at = \"2026-11-23T15:04:05+08:00\"",
		"answer_days = 7", "answer_days = 2")
	s, err := NewSet(old, short)
	if err != nil {
		t.Fatal(err)
	}
	for day, want := range map[string]string{
		"2024-01-01": "old", "2026-08-31": "old", "2026-09-01": "short", "2026-12-31": "short", "2027-01-01": "old", "2099-01-01": "old",
	} {
		if p, err := s.At(civil.MustParse(day)); err != nil || p.Version != want {
			t.Errorf("%s: %v, %v, want %s", day, p, err, want)
		}
	}
	if _, err := s.At(civil.MustParse("2023-12-31")); !fault.Is(err, fault.KindNotFound) {
		t.Errorf("before all: %v", err)
	}
	if l, no, err := s.LimitFor(civil.MustParse("2026-11-23"), Certificate, key("520123"), key("4419")); err != nil || l.Days != 2 || no != CN2026a {
		t.Errorf("limit %v, calendar %v, %v", l, no, err)
	}
	if _, no, err := s.LimitFor(civil.MustParse("2020-01-01"), Certificate, 0, 0); no != NoCalendar || !fault.Is(err, fault.KindNotFound) {
		t.Errorf("limit before all: %v, %v", no, err)
	}
	for _, p := range s.All() {
		v, err1 := s.ByVersion(p.Version)
		d, err2 := s.ByDigest(p.Digest)
		if v != p || d != p || err1 != nil || err2 != nil {
			t.Errorf("%s: %v %v, %v %v", p.Version, v, err1, d, err2)
		}
	}
	_, err1 := s.ByVersion("none")
	_, err2 := s.ByDigest(Digest{1})
	if !fault.Is(err1, fault.KindNotFound) || !fault.Is(err2, fault.KindNotFound) {
		t.Errorf("unknown: %v, %v", err1, err2)
	}

	end := at("2026-11-23", "15:04:05")
	if r, err := s.Round(20263); err != nil || !r.Ends.Equal(end) {
		t.Errorf("round of the later policy: %+v, %v", r, err)
	}
	if _, ok := s.RoundAt(end); ok {
		t.Error("the round is open after its end")
	}
	if r, ok := s.RoundAt(end.Add(-1)); !ok || r.Number != 20263 {
		t.Errorf("before its end: %+v", r)
	}
	ended := func(after, until time.Time) []RoundNumber {
		var out []RoundNumber
		for _, r := range s.RoundsEnded(after, until) {
			out = append(out, r.Number)
		}
		return out
	}
	if d := cmp.Diff([]RoundNumber{20261, 20262, 20263}, ended(at("2026-01-01", "00:00:00"), end)); d != "" {
		t.Errorf("ended (-want +got):\n%s", d)
	}
	if got := ended(end, at("2027-01-02", "00:00:00")); got != nil {
		t.Errorf("after the end, and the older policy's end of the same number: %v", got)
	}
	if got := ended(end.Add(-1), end.Add(-1)); got != nil {
		t.Errorf("empty stretch: %v", got)
	}

	for name, ps := range map[string][]*Policy{
		"same version": {old, short, old}, "same from": {old, parsed(t, "version = \"default-2026.1\"", "version = \"other\"")},
	} {
		if _, err := NewSet(ps...); !fault.Is(err, fault.KindConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewSet(); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("no policy: %v", err)
	}
}

func TestRemarks(t *testing.T) {
	if got := strings.Join(Default().Remarks(), "\n"); !strings.Contains(got, "2027") || strings.Contains(got, "2026 年") {
		t.Errorf("default: %s", got)
	}
	short := *Default()
	short.To, short.Rounds = civil.MustParse("2027-01-01"), slices.Clone(short.Rounds[:3])
	if got := short.Remarks(); got != nil {
		t.Errorf("until the end of 2026: %v", got)
	}
}
