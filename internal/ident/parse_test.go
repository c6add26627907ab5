package ident

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

func codes(ws []Warning) string {
	var s []string
	for _, w := range ws {
		s = append(s, string(w.Code))
	}
	return strings.Join(s, " ")
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  Kind
		raw   string
		want  Kind
		num   string
		warns string
		sex   Sex
		birth string
		area  string
	}{
		{"standard's example", KindAuto, "11010519491231002X", KindResident, "11010519491231002X", "", SexFemale, "1949-12-31", "110105"},
		{"standard's centenarian", KindResident, "440524188001010014", KindResident, "440524188001010014", "", SexMale, "1880-01-01", "440524"},
		{"Hong Kong", KindAuto, "810000199001010019", KindHMT, "810000199001010019", "", SexMale, "1990-01-01", "810000"},
		{"Taiwan", KindHMT, "830000199001010020", KindHMT, "830000199001010020", "", SexFemale, "1990-01-01", "830000"},
		{"Macao, wrong check", KindAuto, "820000199001010011", KindHMT, "820000199001010011", "ID_CHECK_DIGIT", SexMale, "1990-01-01", "820000"},
		{"lower case, groups, full width", KindAuto, " １１０１０５ 19491231-002x\u200b", KindResident, "11010519491231002X", "", SexFemale, "1949-12-31", "110105"},
		{"times sign", KindAuto, "11010519491231002×", KindResident, "11010519491231002X", "", SexFemale, "1949-12-31", "110105"},
		{"wrong check", KindAuto, "110105194912310021", KindResident, "110105194912310021", "ID_CHECK_DIGIT", SexFemale, "1949-12-31", "110105"},
		{"rounded", KindAuto, "110105194912310000", KindResident, "110105194912310000", "ID_CHECK_DIGIT ID_ROUNDED ID_SEQUENCE", SexFemale, "1949-12-31", "110105"},
		{"unknown province", KindAuto, "161234199001010016", KindResident, "161234199001010016", "ID_CHECK_DIGIT ID_AREA", SexMale, "1990-01-01", "161234"},
		{"legacy", KindAuto, "110105491231002", KindResident15, "110105491231002", "", SexFemale, "1949-12-31", "110105"},
		{"legacy centenarian", KindResident15, "110105991231997", KindResident15, "110105991231997", "ID_CENTENARIAN", SexMale, "1999-12-31", "110105"},
		{"legacy sequence", KindResident15, "110105491231000", KindResident15, "110105491231000", "ID_SEQUENCE", SexFemale, "1949-12-31", "110105"},
		{"foreign", KindAuto, "911124198108030024", KindForeign, "911124198108030024", "", SexFemale, "1981-08-03", ""},
		{"foreign, wrong check", KindForeign, "911124198108030025", KindForeign, "911124198108030025", "ID_CHECK_DIGIT", SexFemale, "1981-08-03", ""},
		{"foreign older", KindAuto, "usa110081080310", KindForeign15, "USA110081080310", "", SexUnknown, "", ""},
		{"passport", KindAuto, "e12345678", KindPassport, "E12345678", "", SexUnknown, "", ""},
		{"passport of digits", KindPassport, "123456789", KindPassport, "123456789", "", SexUnknown, "", ""},
		{"passport, 15 digits", KindPassport, "110105491231002", KindPassport, "110105491231002", "ID_OTHER_KIND", SexUnknown, "", ""},
		{"none", KindNone, " ", KindNone, "", "", SexUnknown, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, ws, err := Parse(c.kind, c.raw)
			if err != nil {
				t.Fatal(err)
			}
			orig := c.raw
			if c.kind == KindNone {
				orig = ""
			}
			if d.Kind != c.want || d.Number != c.num || d.Original != orig {
				t.Errorf("got %v %q %q", d.Kind, d.Number, d.Original)
			}
			if got := codes(ws); got != c.warns {
				t.Errorf("warnings %q, want %q", got, c.warns)
			}
			for _, w := range ws {
				if w.Text == "" {
					t.Errorf("%s has no text", w.Code)
				}
			}
			b, ok := d.Birth()
			if d.Sex() != c.sex || b.String() != c.birth || ok != (c.birth != "") || d.AreaHint() != c.area {
				t.Errorf("sex %v, birth %v %v, area %q", d.Sex(), b, ok, d.AreaHint())
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		raw    string
		reason string
	}{
		{KindAuto, "", "ID_EMPTY"},
		{KindResident, " 　", "ID_EMPTY"},
		{KindPassport, "", "ID_EMPTY"},
		{KindNone, "E12345678", "ID_UNEXPECTED"},
		{KindAuto, "000000000000000000", "ID_DUMMY"},
		{KindPassport, "000000000", "ID_DUMMY"},
		{KindAuto, "000000199001010000", "ID_DUMMY"},
		{KindResident, "00000019900101000X", "ID_DUMMY"},
		{KindAuto, "000000900101000", "ID_DUMMY"},
		{KindAuto, "110105199002300021", "ID_BIRTH"},
		{KindAuto, "110105199013010021", "ID_BIRTH"},
		{KindAuto, "110105184912310021", "ID_BIRTH"},
		{KindAuto, "110105210012310021", "ID_BIRTH"},
		{KindAuto, "111111111111111111", "ID_BIRTH"},
		{KindAuto, "123456789012345678", "ID_BIRTH"},
		{KindAuto, "110105490230002", "ID_BIRTH"},
		{KindAuto, "USA110081023010", "ID_BIRTH"},
		{KindAuto, "5.20123E+17", "ID_NUMERIC"},
		{KindResident, "5.20123199001010e17", "ID_NUMERIC"},
		{KindPassport, "5E+17", "ID_NUMERIC"},
		{KindResident, "911124198108030024", "ID_KIND"},
		{KindResident, "810000199001010019", "ID_KIND"},
		{KindHMT, "11010519491231002X", "ID_KIND"},
		{KindForeign, "11010519491231002X", "ID_KIND"},
		{KindResident15, "11010519491231002X", "ID_KIND"},
		{KindPassport, "11010519491231002X", "ID_KIND"},
		{Kind(99), "11010519491231002X", "ID_KIND"},
		{KindAuto, "1101051949123100", "ID_FORMAT"},
		{KindAuto, "11010519491231002", "ID_FORMAT"},
		{KindAuto, "1101051949123100211", "ID_FORMAT"},
		{KindAuto, "1101051X491231002X", "ID_FORMAT"},
		{KindAuto, "11010519491231002A", "ID_FORMAT"},
		{KindAuto, "13800000000", "ID_FORMAT"},
		{KindAuto, "ABCDEFGH", "ID_FORMAT"},
		{KindPassport, "ABCDEFGH", "ID_FORMAT"},
		{KindPassport, "E123", "ID_FORMAT"},
		{KindAuto, "无", "ID_FORMAT"},
		{KindAuto, strings.Repeat("1", 200), "ID_FORMAT"},
	} {
		d, ws, err := Parse(c.kind, c.raw)
		e, ok := fault.As(err)
		if !ok || e.Kind != fault.KindInvalid || e.Reason != c.reason || e.Text == "" || e.Field == "" {
			t.Errorf("Parse(%v, %q) = %#v, want %s", c.kind, c.raw, err, c.reason)
			continue
		}
		if d != (Doc{}) || ws != nil {
			t.Errorf("Parse(%v, %q) refused and gave %v, %v", c.kind, c.raw, d, ws)
		}
		if n := strings.TrimSpace(c.raw); n != "" && (strings.Contains(e.Error(), n) || strings.Contains(e.Text, n)) {
			if c.raw != "无" { // the word 无证件 in a text is no disclosure
				t.Errorf("the error for %v holds the number", c.kind)
			}
		}
	}
}

func TestCheckDigit(t *testing.T) {
	for _, n := range []string{"11010519491231002X", "440524188001010014", "810000199001010019", "830000199001010020"} {
		if c, err := CheckDigit(n[:17]); err != nil || c != n[17] {
			t.Errorf("CheckDigit of vector ending %c = %c, %v", n[17], c, err)
		}
	}
	for _, bad := range []string{"", "1101051949123100", "1101051949123100X", "110105194912310021"} {
		if _, err := CheckDigit(bad); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("CheckDigit took %d characters: %v", len(bad), err)
		}
	}
}

func TestMatch18(t *testing.T) {
	old, _, err := Parse(KindAuto, "110105491231002")
	if err != nil {
		t.Fatal(err)
	}
	if got := old.Match18(); got != "11010519491231002X" {
		t.Errorf("legacy matches as %s", got)
	}
	if old.Number != "110105491231002" || old.Original != old.Number {
		t.Errorf("legacy number is not kept: %q %q", old.Number, old.Original)
	}
	if got := (Doc{Kind: KindNone}).Match18(); got != "" {
		t.Errorf("no document matches as %q", got)
	}
	// A Doc not made by Parse must not panic.
	for k := range Kind(20) {
		d := Doc{Kind: k, Number: "甲乙"}
		d.Match18()
		d.Birth()
		d.AreaHint()
		d.Sex()
	}
}

func drawMade(t *rapid.T) (string, civil.Date, bool, string) {
	area := rapid.SampledFrom([]string{"520330", "110105", "441900", "659001", "810000", "830000"}).Draw(t, "area")
	birth := civil.FromDays(rapid.IntRange(-43_000, 40_000).Draw(t, "day"))
	male := rapid.Bool().Draw(t, "male")
	return Make(area, birth, rapid.IntRange(0, 5000).Draw(t, "seq"), male), birth, male, area
}

func TestMadeNumbersPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, birth, male, area := drawMade(t)
		d, ws, err := Parse(KindAuto, n)
		if err != nil || len(ws) > 0 {
			t.Fatalf("%s: %v, %v", n, ws, err)
		}
		want := SexFemale
		if male {
			want = SexMale
		}
		if b, ok := d.Birth(); !ok || b != birth || d.Sex() != want || d.AreaHint() != area || d.Match18() != n {
			t.Fatalf("%s: birth %v, sex %v, area %s", n, b, d.Sex(), d.AreaHint())
		}
	})
}

func TestMakeCountsDistinctNumbers(t *testing.T) {
	seen := map[string]bool{}
	day := civil.MustParse("1990-01-01")
	for seq := range 499 {
		seen[Make("520330", day, seq, true)] = true
		seen[Make("520330", day, seq, false)] = true
	}
	if len(seen) != 998 {
		t.Errorf("%d numbers, want 998", len(seen))
	}
	for name, f := range map[string]func(){
		"area":    func() { Make("5203", day, 0, true) },
		"letters": func() { Make("52033X", day, 0, true) },
		"day":     func() { Make("520330", civil.Date{Year: 1990, Month: 2, Day: 30}, 0, true) },
		"seq":     func() { Make("520330", day, -1, true) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Make took a bad %s", name)
				}
			}()
			f()
		}()
	}
}

func TestEverySingleErrorIsCaught(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, _, _, _ := drawMade(t)
		for i := range n {
			for _, c := range []byte("0123456789X") {
				bad := n[:i] + string(c) + n[i+1:]
				if bad == n {
					continue
				}
				if _, ws, err := Parse(KindAuto, bad); err == nil && len(ws) == 0 {
					t.Fatalf("%s for %s passes", bad, n)
				}
			}
		}
		for i := range len(n) - 2 {
			bad := n[:i] + n[i+1:i+2] + n[i:i+1] + n[i+2:]
			if _, ws, err := Parse(KindAuto, bad); bad != n && err == nil && len(ws) == 0 {
				t.Fatalf("%s for %s passes", bad, n)
			}
		}
	})
}

func TestLegacyIsDerivedRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Make("520330", civil.FromDays(rapid.IntRange(-25_567, 10_956).Draw(t, "day")), rapid.IntRange(0, 400).Draw(t, "seq"), rapid.Bool().Draw(t, "male"))
		d, ws, err := Parse(KindAuto, n[:6]+n[8:17])
		if err != nil || len(ws) > 0 || d.Kind != KindResident15 || d.Match18() != n {
			t.Fatalf("%s: %v, %v, %v", n, d.Kind, ws, err)
		}
	})
}

func TestKinds(t *testing.T) {
	for _, k := range append(Kinds(), KindAuto) {
		if got, ok := ParseKind(k.String()); !ok || got != k {
			t.Errorf("ParseKind(%s) = %v", k, got)
		}
		if got, ok := ParseKind(k.Zh()); !ok || got != k {
			t.Errorf("ParseKind(%s) = %v", k.Zh(), got)
		}
		if k.Valid() != (k != KindAuto) {
			t.Errorf("%v.Valid() = %v", k, k.Valid())
		}
	}
	if _, ok := ParseKind("身份"); ok || Kind(99).Valid() || Kind(99).String() != "unknown" {
		t.Error("an unknown kind passes")
	}
	// Stored numbers.
	want := []Kind{1, 2, 3, 4, 5, 6, 7}
	if d := cmp.Diff(want, Kinds()); d != "" {
		t.Error(d)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"11010519491231002X", "110105491231002", "810000199001010019", "USA110081080310",
		"911124198108030024", "E12345678", "000000199001010000", "5.2E+17", "１１０１０５19491231002×", ""} {
		for k := range Kind(9) {
			f.Add(uint8(k), s)
		}
	}
	f.Fuzz(func(t *testing.T, k uint8, raw string) {
		d, ws, err := Parse(Kind(k), raw)
		if err != nil {
			if d != (Doc{}) || ws != nil || !fault.Is(err, fault.KindInvalid) {
				t.Fatal("a refusal with a document, or of another kind")
			}
			return
		}
		if !d.Kind.Valid() || Kind(k) != KindAuto && d.Kind != Kind(k) {
			t.Fatalf("asked for %v, got %v", Kind(k), d.Kind)
		}
		again, ws2, err := Parse(d.Kind, d.Number)
		if err != nil || again.Number != d.Number || codes(ws) != codes(ws2) {
			t.Fatal("the normalised number does not parse to itself")
		}
		if d.Number != "" && strings.Contains(d.String(), d.Number) {
			t.Fatal("String shows the number")
		}
		b, ok := d.Birth()
		if ok && !b.Valid() {
			t.Fatalf("birth %v", b)
		}
		if m := d.Match18(); d.Kind == KindResident15 {
			n, ws, err := Parse(KindAuto, m)
			if nb, _ := n.Birth(); err != nil || nb != b || n.Sex() != d.Sex() || strings.Contains(codes(ws), string(WarnCheckDigit)) {
				t.Fatal("the derived number tells something else")
			}
		}
	})
}
