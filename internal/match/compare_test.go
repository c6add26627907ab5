package match_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"yipan/internal/civil"
	"yipan/internal/ident"
	"yipan/internal/match"
)

var born = civil.MustParse("1990-03-04")

func resident(t testing.TB, number string) ident.Doc {
	t.Helper()
	d, _, err := ident.Parse(ident.KindAuto, number)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func swapped(number string, i int) string {
	b := []byte(number)
	b[i], b[i+1] = b[i+1], b[i]
	return string(b)
}

func TestCompare(t *testing.T) {
	number := ident.Make("520330", born, 17, true)
	other := ident.Make("520330", born, 170, true)
	old := number[:6] + number[8:17]
	doc := func(n string) []ident.Doc { return []ident.Doc{resident(t, n)} }
	passport := ident.Doc{Kind: ident.KindPassport, Number: "E12345678"}
	base := match.Description{Name: "测试甲", Birth: born, Sex: 1, Documents: doc(number), Phones: []string{"13800000000"}}
	with := func(f func(*match.Description)) match.Description { d := base; f(&d); return d }
	for _, tt := range []struct {
		name    string
		b       match.Description
		reasons []string
		least   int
		most    int
		near    bool
		certain bool
	}{
		{"the same", base, []string{"document_equal", "name_equal", "birth_equal", "phone_equal"}, 100, 100, true, true},
		{"no telephone", with(func(d *match.Description) { d.Phones = nil }), []string{"document_equal", "name_equal", "birth_equal"}, 100, 100, true, true},
		{"15 digits", with(func(d *match.Description) { d.Documents, d.Phones = doc(old), nil }), []string{"document_15_18", "name_equal", "birth_equal"}, 100, 100, true, true},
		{"digits transposed", with(func(d *match.Description) {
			d.Documents, d.Phones = []ident.Doc{{Kind: ident.KindResident, Number: swapped(number, 2)}}, nil
		}),
			[]string{"document_transposed", "name_equal", "birth_equal"}, 85, 95, true, false},
		{"digits transposed, another name", with(func(d *match.Description) {
			d.Documents, d.Phones, d.Name = []ident.Doc{{Kind: ident.KindResident, Number: swapped(number, 2)}}, nil, "示例乙"
		}), []string{"document_transposed", "birth_equal", "name_differs"}, 35, 45, true, false},
		{"another document", with(func(d *match.Description) { d.Documents, d.Phones = doc(other), nil }), []string{"name_equal", "birth_equal", "document_differs"}, 30, 40, false, false},
		{"no document", with(func(d *match.Description) { d.Documents, d.Phones = nil, nil }), []string{"name_equal", "birth_equal"}, match.Near, match.Near, true, false},
		{"a passport beside an ID", with(func(d *match.Description) { d.Documents, d.Phones = []ident.Doc{passport}, nil }), []string{"name_equal", "birth_equal"}, match.Near, match.Near, true, false},
		{"a passport too", with(func(d *match.Description) { d.Documents = append(doc(number), passport) }), []string{"document_equal", "name_equal", "birth_equal", "phone_equal"}, 100, 100, true, true},
		{"the number, another name", with(func(d *match.Description) { d.Name, d.Phones = "示例乙", nil }), []string{"document_equal", "birth_equal", "name_differs"}, match.Near, 70, true, false},
		{"a former name", with(func(d *match.Description) {
			d.Name, d.Former, d.Phones = "示例乙", []string{"示例丙", "测试甲"}, nil
		}), []string{"document_equal", "former_name", "birth_equal"}, 100, 100, true, false},
		{"another sex", with(func(d *match.Description) { d.Sex, d.Phones = 2, nil }), []string{"document_equal", "name_equal", "birth_equal", "sex_differs"}, 95, 100, true, false},
		{"sex not told", with(func(d *match.Description) { d.Sex, d.Phones = 9, nil }), []string{"document_equal", "name_equal", "birth_equal"}, 100, 100, true, true},
		{"another birth date", with(func(d *match.Description) {
			d.Birth, d.Documents, d.Phones = born.AddDays(1), []ident.Doc{passport}, nil
		}),
			[]string{"name_equal", "birth_differs"}, 25, 35, false, false},
		{"birth date not told", with(func(d *match.Description) { d.Birth, d.Documents, d.Phones = civil.Date{}, nil, nil }), []string{"name_equal"}, 40, 40, false, false},
		{"a namesake's telephone", with(func(d *match.Description) { d.Birth, d.Documents = civil.Date{}, nil }), []string{"name_equal", "phone_equal"}, 45, 45, false, false},
		{"somebody else", match.Description{Name: "示例乙", Birth: born.AddDays(9), Sex: 2, Documents: doc(other)},
			[]string{"sex_differs", "birth_differs", "name_differs", "document_differs"}, 0, 0, false, false},
		{"nothing known", match.Description{}, nil, 0, 0, false, false},
	} {
		got := match.Compare(base, tt.b)
		if diff := cmp.Diff(tt.reasons, got.Reasons.Names()); diff != "" || got.Score < tt.least || got.Score > tt.most {
			t.Errorf("%s: score %d, want %d to %d; reasons:\n%s", tt.name, got.Score, tt.least, tt.most, diff)
		}
		if got != match.Compare(tt.b, base) {
			t.Errorf("%s: the other way round %+v", tt.name, match.Compare(tt.b, base))
		}
		if len(got.Reasons.Zh()) != len(tt.reasons) {
			t.Errorf("%s: in Chinese %v", tt.name, got.Reasons.Zh())
		}
		if got.IsNear() != tt.near {
			t.Errorf("%s: near %v", tt.name, got.IsNear())
		}
		if _, ok := match.Certain([]match.Result{got}); ok != tt.certain {
			t.Errorf("%s: certain %v", tt.name, ok)
		}
	}
}

// Middle dots are written in many ways, and characters beyond the basic plane
// are compared as they are.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want match.Reason
	}{
		{"测试·示例", "测试·示例", match.NameEqual},
		{"测试·示例", "测试•示例", match.NameDots},
		{"测试．示例", "测试・示例", match.NameDots},
		{"测试.示例", "测试·示例", match.NameDots},
		{"测试・示例・甲", "测试·示例·甲", match.NameDots},
		{"测 试甲", "测试甲", match.NameEqual},
		{"测试·示例", "测试示例", match.NameDiffers},
		{"𬱖测", "𬱖测", match.NameEqual},
		{"𬱖测", "頔测", match.NameDiffers},
		{"𠮷测", "吉测", match.NameDiffers},
		{"𰻝·测试", "𰻝•测试", match.NameDots},
		{"\ue000测", "\ue000测", match.NameEqual},
		{"", "测试甲", 0},
	} {
		if got := match.Compare(match.Description{Name: tt.a}, match.Description{Name: tt.b}).Reasons; got != tt.want {
			t.Errorf("%q and %q: %v, want %v", tt.a, tt.b, got.Names(), tt.want.Names())
		}
	}
}

func TestCertain(t *testing.T) {
	sure := match.Result{Score: 100, Reasons: match.DocumentEqual | match.NameEqual | match.BirthEqual}
	old := match.Result{Score: 100, Reasons: match.Document1518 | match.NameDots}
	far := match.Result{Score: 35, Reasons: match.NameEqual | match.BirthEqual | match.DocumentDiffers}
	namesake := match.Result{Score: 60, Reasons: match.NameEqual | match.BirthEqual}
	slip := match.Result{Score: 40, Reasons: match.DocumentTransposed | match.NameDiffers}
	number := match.Result{Score: 60, Reasons: match.DocumentEqual | match.NameDiffers | match.BirthEqual}
	for _, tt := range []struct {
		name    string
		results []match.Result
		at      int
		ok      bool
	}{
		{"nobody", nil, 0, false},
		{"one", []match.Result{sure}, 0, true},
		{"with the 15-digit form", []match.Result{old}, 0, true},
		{"the second", []match.Result{far, sure}, 1, true},
		{"two", []match.Result{sure, sure}, 0, false},
		{"two forms", []match.Result{sure, old}, 0, false},
		{"a namesake without document beside", []match.Result{sure, namesake}, 0, false},
		{"a slip beside", []match.Result{sure, slip}, 0, false},
		{"the number under another name beside", []match.Result{sure, number}, 0, false},
		{"the number under another name", []match.Result{number}, 0, false},
		{"a namesake", []match.Result{namesake}, 0, false},
		{"far ones", []match.Result{far, far}, 0, false},
	} {
		if at, ok := match.Certain(tt.results); ok != tt.ok || ok && at != tt.at {
			t.Errorf("%s: %d, %v", tt.name, at, ok)
		}
	}
}

func TestOrder(t *testing.T) {
	want := []match.Result{
		{Score: 100, Reasons: match.DocumentEqual | match.NameEqual},
		{Score: 100, Reasons: match.DocumentEqual | match.NameDots},
		{Score: 100, Reasons: match.Document1518 | match.NameEqual},
		{Score: 60, Reasons: match.NameEqual | match.BirthEqual},
		{Score: 60, Reasons: match.NameEqual | match.BirthEqual | match.SexDiffers},
		{Score: 5},
	}
	rapid.Check(t, func(t *rapid.T) {
		got := rapid.Permutation(want).Draw(t, "order")
		slices.SortFunc(got, match.Order)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestVariants(t *testing.T) {
	const n = "11010519491231002X"
	vs := match.Variants(n)
	if vs[0] != n || len(vs) > 20 || len(vs) != 15 {
		t.Errorf("%d variants, the first its own: %v", len(vs), vs[0] == n)
	}
	seen := map[string]bool{}
	for _, v := range vs {
		if seen[v] || len(v) != 18 || v[17] != 'X' {
			t.Error("a variant is no number, or stands twice")
		}
		seen[v] = true
	}
	if got := match.Variants("123456789012345678"); len(got) != 18 {
		t.Errorf("%d variants of a number without equal neighbours", len(got))
	}
	for _, v := range []string{"", "E12345678", "110105491231002"} {
		if diff := cmp.Diff([]string{v}, match.Variants(v)); diff != "" {
			t.Error(diff)
		}
	}
}

// Whatever two descriptions are: their order does not matter, scores stay in
// range, whoever is certain has the document described, and each variant of a
// number is compared as transposed.
func TestProperties(t *testing.T) {
	doc := rapid.Custom(func(t *rapid.T) ident.Doc {
		n := ident.Make("520330", born.AddDays(rapid.IntRange(0, 1).Draw(t, "day")), rapid.IntRange(1, 3).Draw(t, "seq"), true)
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			return ident.Doc{Kind: ident.KindResident15, Number: n[:6] + n[8:17]}
		case 1:
			return ident.Doc{Kind: ident.KindResident, Number: swapped(n, rapid.IntRange(0, 15).Draw(t, "at"))}
		case 2:
			return ident.Doc{Kind: ident.KindNone}
		}
		return ident.Doc{Kind: ident.KindResident, Number: n}
	})
	name := rapid.SampledFrom([]string{"", "测试甲", "测 试甲", "示例·乙", "示例•乙", "𬱖测"})
	description := rapid.Custom(func(t *rapid.T) match.Description {
		return match.Description{
			Name: name.Draw(t, "name"), Former: rapid.SliceOfN(name, 0, 2).Draw(t, "former"),
			Birth: rapid.SampledFrom([]civil.Date{{}, born, born.AddDays(1)}).Draw(t, "birth"), Sex: rapid.SampledFrom([]uint32{0, 1, 2, 9}).Draw(t, "sex"),
			Documents: rapid.SliceOfN(doc, 0, 2).Draw(t, "documents"), Phones: rapid.SliceOfN(rapid.SampledFrom([]string{"", "13800000000", "13900000000"}), 0, 2).Draw(t, "phones"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		who := description.Draw(t, "who")
		others := rapid.SliceOfN(description, 0, 4).Draw(t, "others")
		results := make([]match.Result, len(others))
		for i, o := range others {
			results[i] = match.Compare(who, o)
			if back := match.Compare(o, who); back != results[i] {
				t.Fatalf("%+v one way, %+v the other", results[i], back)
			}
			if s := results[i].Score; s < 0 || s > 100 {
				t.Fatalf("score %d", s)
			}
		}
		at, ok := match.Certain(results)
		if !ok {
			return
		}
		same := func(o match.Description) bool {
			return slices.ContainsFunc(who.Documents, func(d ident.Doc) bool {
				return d.Number != "" && slices.ContainsFunc(o.Documents, func(e ident.Doc) bool { return d.Match18() == e.Match18() })
			})
		}
		for i, o := range others {
			if same(o) != (i == at) {
				t.Fatalf("%d is certain, %d has the document: %v", at, i, same(o))
			}
		}
		if ident.NormalizeName(who.Name) != ident.NormalizeName(others[at].Name) {
			t.Fatal("certain under another name")
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		n := ident.Make("520330", born.AddDays(rapid.IntRange(0, 9000).Draw(t, "day")), rapid.IntRange(0, 498).Draw(t, "seq"), rapid.Bool().Draw(t, "male"))
		for _, v := range match.Variants(n)[1:] {
			a, b := match.Description{Documents: []ident.Doc{{Kind: ident.KindResident, Number: n}}}, match.Description{Documents: []ident.Doc{{Kind: ident.KindResident, Number: v}}}
			if got := match.Compare(a, b).Reasons; got != match.DocumentTransposed {
				t.Fatalf("a variant is %v", got.Names())
			}
		}
	})
}

// The bits are stored.
func TestBits(t *testing.T) {
	want := []string{"document_equal", "document_15_18", "document_transposed", "name_equal", "name_dots", "former_name", "birth_equal", "phone_equal",
		"sex_differs", "birth_differs", "name_differs", "document_differs"}
	for i, name := range want {
		if diff := cmp.Diff([]string{name}, match.Reason(1<<i).Names()); diff != "" {
			t.Errorf("bit %d:\n%s", i, diff)
		}
	}
}
