package area

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

var today = civil.MustParse("2024-06-01")

func TestTableCounts(t *testing.T) {
	got := map[Level]int{}
	for l := Province; l <= Township; l++ {
		got[l] = len(loaded().level[l])
	}
	want := map[Level]int{Province: 31, Prefecture: 342, County: 2978, Township: 41352}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestHierarchy(t *testing.T) {
	reached := 0
	var walk func(k Key)
	walk = func(k Key) {
		for _, c := range Children(k) {
			reached++
			if Parent(c) != k || k != 0 && !c.Within(k) {
				t.Fatalf("child %v of %v has parent %v", c, k, Parent(c))
			}
			if i, ok := Lookup(c); !ok || i.Name == "" || i.Key != c {
				t.Fatalf("Lookup(%v) = %v, %v", c, i, ok)
			}
			if !ValidOn(c, today) {
				t.Fatalf("%v is not valid", c)
			}
			walk(c)
		}
	}
	walk(0)
	if want := 31 + 342 + 2978 + 41352; reached != want {
		t.Errorf("walked %d areas, want %d", reached, want)
	}
	if got := Children(MustOf(Township, "520330001")); len(got) != 0 {
		t.Errorf("a township has children %v", got)
	}
}

func TestFullNameAndSpecialCodes(t *testing.T) {
	for _, c := range []struct {
		key, full string
		heading   bool
	}{
		{"1:52", "贵州省", false},
		{"3:520330", "贵州省遵义市习水县", false},
		{"2:4419", "广东省东莞市", false},
		{"3:441900", "广东省东莞市", false},
		{"4:441900101", "广东省东莞市石碣镇", false},
		{"2:4420", "广东省中山市", false},
		{"3:442000", "广东省中山市", false},
		{"2:4604", "海南省儋州市", false},
		{"3:460400", "海南省儋州市", false},
		{"4:460400100", "海南省儋州市那大镇", false},
		{"2:6202", "甘肃省嘉峪关市", false},
		{"3:620200", "甘肃省嘉峪关市", false},
		{"3:620201", "甘肃省嘉峪关市", false},
		{"4:620201100", "甘肃省嘉峪关市新城镇", false},
		{"2:4190", "河南省省直辖县级行政区划", true},
		{"3:419001", "河南省济源市", false},
		{"3:429004", "湖北省仙桃市", false},
		{"3:469001", "海南省五指山市", false},
		{"2:6590", "新疆维吾尔自治区自治区直辖县级行政区划", true},
		{"3:110101", "北京市东城区", false},
		{"2:5002", "重庆市县", true},
		{"3:330103", "浙江省杭州市下城区", false},
		{"4:520330999", "贵州省遵义市习水县（520330999）", false},
		{"5:441900101005", "广东省东莞市石碣镇（441900101005）", false},
		{"1:99", "（99）", false},
	} {
		k, err := Parse(c.key)
		if err != nil {
			t.Fatal(err)
		}
		if got := FullName(k); got != c.full {
			t.Errorf("FullName(%s) = %s, want %s", c.key, got, c.full)
		}
		if i, _ := Lookup(k); i.Heading != c.heading {
			t.Errorf("%s: Heading = %v", c.key, i.Heading)
		}
	}
	if got := FullName(0); got != "" {
		t.Errorf("FullName(0) = %q", got)
	}
}

func TestParentOfSpecialCodes(t *testing.T) {
	for _, c := range []struct{ key, parent string }{
		{"3:441900", "2:4419"},
		{"2:4419", "1:44"},
		{"4:441900101", "3:441900"},
		{"3:419001", "2:4190"},
		{"3:620200", "2:6202"},
		{"1:52", "-"},
	} {
		k, err := Parse(c.key)
		if err != nil {
			t.Fatal(err)
		}
		if got := Parent(k).String(); got != c.parent {
			t.Errorf("Parent(%s) = %s, want %s", c.key, got, c.parent)
		}
	}
	// The second code of 嘉峪关 is known but not offered.
	want := []Key{MustOf(County, "620201")}
	if d := cmp.Diff(want, Children(MustOf(Prefecture, "6202"))); d != "" {
		t.Error(d)
	}
}

func TestValid(t *testing.T) {
	for _, c := range []struct {
		key, on string
		want    bool
	}{
		{"3:520330", "2024-01-01", true},
		{"3:520399", "2024-01-01", false},
		{"3:330103", "2021-04-08", true}, // 下城区, abolished
		{"3:330103", "2021-04-09", false},
		{"3:330113", "2021-03-10", false}, // 临平区, new
		{"3:330113", "2021-03-11", true},
		{"4:330113001", "2021-03-10", false}, // its townships with it
		{"4:330113001", "2024-01-01", true},
		{"5:520330001005", "2024-01-01", true},
		{"5:520330001000", "2024-01-01", false}, // no village
		{"5:520330999005", "2024-01-01", false}, // unknown township
		{"3:620200", "2024-01-01", true},
		{"3:441900", "2024-01-01", true},
		{"3:441901", "2024-01-01", false},
		{"1:81", "2024-01-01", false},
	} {
		k, err := Parse(c.key)
		if err != nil {
			t.Fatal(err)
		}
		if got := ValidOn(k, civil.MustParse(c.on)); got != c.want {
			t.Errorf("ValidOn(%s, %s) = %v", c.key, c.on, got)
		}
	}
	if ValidOn(0, today) || Valid(0, time.Now()) {
		t.Error("no area is valid")
	}
	// 2021-04-08 16:00 UTC is the 9th in Shanghai.
	k := MustOf(County, "330103")
	if Valid(k, time.Date(2021, 4, 8, 16, 0, 0, 0, time.UTC)) || !Valid(k, time.Date(2021, 4, 8, 15, 59, 0, 0, time.UTC)) {
		t.Error("the day of validity is not Shanghai's")
	}
	i, ok := Lookup(k)
	if !ok || i.To != civil.MustParse("2021-04-08") || !i.From.IsZero() {
		t.Errorf("Lookup(%v) = %v, %v", k, i, ok)
	}
}

func TestReusedCode(t *testing.T) {
	tab, err := load(areasGz, "level,code,name,from,to,source\n"+
		"3,520330,旧县,,1999-12-31,x\n3,520330,习水县,2005-01-01,,x\n")
	if err != nil {
		t.Fatal(err)
	}
	ps := tab.dated[MustOf(County, "520330")]
	for _, c := range []struct {
		on   string
		want []bool
	}{
		{"1999-12-31", []bool{true, false}},
		{"2000-01-01", []bool{false, false}},
		{"2005-01-01", []bool{false, true}},
	} {
		for i, p := range ps {
			if p.holds(civil.MustParse(c.on)) != c.want[i] {
				t.Errorf("%s on %s: want %v", p.name, c.on, c.want[i])
			}
		}
	}
	for name, bad := range map[string]string{
		"order": "level,code,name,from,to,source\n3,520330,习水县,2005-01-01,,x\n3,520330,旧县,,1999-12-31,x\n",
		"date":  "level,code,name,from,to,source\n3,520330,习水县,2005-02-30,,x\n",
		"level": "level,code,name,from,to,source\n2,520330,习水县,,,x\n",
	} {
		if _, err := load(areasGz, bad); err == nil {
			t.Errorf("changes with bad %s were taken", name)
		}
	}
	if _, err := load(areasGz[:1000], changesCSV); err == nil {
		t.Error("a cut table was taken")
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want, reason string }{
		{"52", "1:52", ""},
		{"520000", "1:52", ""},
		{"520000000000", "1:52", ""},
		{"5203", "2:5203", ""},
		{"520300", "2:5203", ""},
		{"520330", "3:520330", ""},
		{"520330000", "3:520330", ""},
		{"520330001", "4:520330001", ""},
		{"520330001000", "4:520330001", ""},
		{"520330001005", "5:520330001005", ""},
		{"520330001005002", "5:520330001005", ""},
		{"520330001000000", "4:520330001", ""},
		{"441900", "2:4419", ""},
		{"3:441900", "3:441900", ""},
		{"3:441900000000", "3:441900", ""},
		{"441900101", "4:441900101", ""},
		{"441900101005", "5:441900101005", ""},
		{"620200", "2:6202", ""},
		{"419000", "2:4190", ""},
		{" ５２０３３０　", "3:520330", ""},
		{"３：441900", "3:441900", ""},
		{"", "", "AREA_CODE"},
		{"5", "", "AREA_CODE"},
		{"520", "", "AREA_CODE"},
		{"52033", "", "AREA_CODE"},
		{"5203300010050021", "", "AREA_CODE"},
		{"52033O", "", "AREA_CODE"},
		{"-52033", "", "AREA_CODE"},
		{"+5", "", "AREA_CODE"},
		{"000000", "", "AREA_CODE"},
		{"520001", "", "AREA_CODE"},
		{"0:52", "", "AREA_LEVEL"},
		{"6:52", "", "AREA_LEVEL"},
		{":52", "", "AREA_LEVEL"},
		{"12:52", "", "AREA_LEVEL"},
		{"3:52", "", "AREA_CODE"},
		{"2:520330", "", "AREA_CODE"},
		{"2:520000", "", "AREA_CODE"},
		{"3:52033x", "", "AREA_CODE"},
		{"3:520330001005002", "", "AREA_CODE"},
		{"-", "", "AREA_CODE"},
	} {
		k, err := Parse(c.in)
		got := ""
		if err == nil {
			got = k.String()
		}
		e, _ := fault.As(err)
		switch {
		case got != c.want:
			t.Errorf("Parse(%q) = %q, %v, want %q", c.in, got, err, c.want)
		case c.reason != "" && (e == nil || e.Reason != c.reason || e.Kind != fault.KindInvalid || e.Text == ""):
			t.Errorf("Parse(%q): error %#v, want %s with a text", c.in, err, c.reason)
		}
	}
}

func TestFind(t *testing.T) {
	guizhou := MustOf(Province, "52")
	for _, c := range []struct {
		name   string
		within Key
		want   []string
	}{
		{"习水县", 0, []string{"3:520330"}},
		{"习水", 0, []string{"3:520330"}},
		{"遵义市习水县", 0, []string{"3:520330"}},
		{"贵州省 遵义市 习水县", 0, []string{"3:520330"}},
		{"四川省习水县", 0, nil},
		{"贵州", 0, []string{"1:52"}},
		{"道真", guizhou, []string{"3:520325"}},
		{"东莞市", 0, []string{"2:4419", "3:441900"}},
		{"北京市市辖区东城区", 0, []string{"3:110101"}},
		{"河南省济源市", 0, []string{"3:419001"}},
		{"东莞市石碣镇", 0, []string{"4:441900101"}},
		{"石碣", MustOf(County, "441900"), []string{"4:441900101"}},
		{"习水县", MustOf(Province, "44"), nil},
		{"下城区", 0, nil},
		{"市辖区", 0, nil},
		{"县", 0, nil},
		{"", 0, nil},
	} {
		var got []string
		for _, k := range Find(c.name, c.within) {
			got = append(got, k.String())
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("Find(%q, %v): %s", c.name, c.within, d)
		}
	}
	all := Find("城关镇", 0)
	if len(all) < 50 {
		t.Errorf("only %d areas named 城关镇", len(all))
	}
	some := Find("城关镇", guizhou)
	for _, k := range some {
		if !k.Within(guizhou) || !slices.Contains(all, k) {
			t.Errorf("%v is not within %v", k, guizhou)
		}
	}
}

func TestKindOfName(t *testing.T) {
	for name, want := range map[string]TownshipKind{
		"石碣镇": Town, "南高乡": Rural, "高台子满族乡": Rural, "贡宝拉格苏木": Rural,
		"东华门街道": Street, "漓东街道办事处": Street, "塔里木农场": OtherKind, "高新区": OtherKind,
	} {
		if got := KindOfName(name); got != want || got.String() == "" {
			t.Errorf("KindOfName(%s) = %v, want %v", name, got, want)
		}
	}
	if i, _ := Lookup(MustOf(Township, "441900101")); i.Kind != Town {
		t.Errorf("kind of %s is %v", i.Name, i.Kind)
	}
	if i, _ := Lookup(MustOf(County, "441900")); i.Kind != NoKind {
		t.Errorf("a county has township kind %v", i.Kind)
	}
}

func TestStrayKeys(t *testing.T) {
	for _, k := range []Key{-1, -5203300000003, 6, 9, 5203300000007, 0} {
		if _, ok := Lookup(k); ok {
			t.Errorf("Lookup(%d) found something", int64(k))
		}
		if ValidOn(k, today) || FullName(k) != "" || Parent(k) != 0 || len(Find("习水县", k)) > 0 != (k == 0) {
			t.Errorf("key %d passes for an area", int64(k))
		}
		if n := len(Children(k)); n > 0 != (k == 0) {
			t.Errorf("key %d has %d children", int64(k), n)
		}
	}
}

// TestTableIsSmall keeps the table within 8 MiB of heap.
func TestTableIsSmall(t *testing.T) {
	var a, b runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&a)
	tab, err := load(areasGz, changesCSV)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&b)
	held := int64(b.HeapAlloc) - int64(a.HeapAlloc)
	t.Logf("table holds %d KiB", held/1024)
	if held > 8<<20 {
		t.Errorf("table holds %d bytes", held)
	}
	if !strings.HasPrefix(tab.text, "code,name\n") {
		t.Error("table has no header")
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := load(areasGz, changesCSV); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	k := MustOf(Township, "520330001")
	Lookup(k)
	for b.Loop() {
		Lookup(k)
	}
}

func BenchmarkFind(b *testing.B) {
	Find("习水县", 0)
	for b.Loop() {
		Find("城关镇", 0)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"520330", "3:441900", "441900", "520330001005002", "５２", ":", "1:", "-", "000000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := Parse(s)
		if err != nil {
			if k != 0 || !fault.Is(err, fault.KindInvalid) {
				t.Fatalf("refusal with %v, %v", k, err)
			}
			return
		}
		if back, err := Parse(k.String()); err != nil || back != k {
			t.Fatalf("Parse(%q) = %v, whose String parses to %v, %v", s, k, back, err)
		}
		if back, err := Parse(k.Code()); err != nil || back.Code() != k.Code() || back.Level() > k.Level() {
			t.Fatalf("Parse(%q) = %v, whose Code parses to %v, %v", s, k, back, err)
		}
		if p := Parent(k); p != 0 && !k.Within(p) {
			t.Fatalf("%v is not within its parent %v", k, p)
		}
		ValidOn(k, today)
		FullName(k)
	})
}
