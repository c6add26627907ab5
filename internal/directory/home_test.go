package directory

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
)

func TestHomeIsLongestPrefix(t *testing.T) {
	x := newExchange(t)
	x.join(Leave{}, "1:52")
	x.join(Leave{Areas: keysOf(t, "3:520330")}, "3:520330")
	x.join(Leave{Areas: keysOf(t, "4:520330001")}, "4:520330001")
	x.join(Leave{}, "3:441900")
	x.join(Leave{}, "2:4420")
	x.join(Leave{}, "3:110101", "3:110102", "4:110105001")
	d := x.auth.Directory()
	tests := []struct{ area, home string }{
		{"1:52", "1:52"},
		{"2:5203", "1:52"},
		{"3:520123", "1:52"},
		{"3:520330", "3:520330"},
		{"4:520330002", "3:520330"},
		{"4:520330001", "4:520330001"},
		{"5:520330001005", "4:520330001"},
		{"5:520330002005", "3:520330"},
		// 东莞: a node holding the county does not serve the prefecture of the
		// same code; its townships lie within both.
		{"3:441900", "3:441900"},
		{"2:4419", ""},
		{"4:441900003", "3:441900"},
		{"1:44", ""},
		// 中山: one holding the prefecture serves both levels.
		{"2:4420", "2:4420"},
		{"3:442000", "2:4420"},
		{"4:442000001", "2:4420"},
		{"3:110101", "3:110101"},
		{"3:110102", "3:110101"},
		{"4:110102001", "3:110101"},
		{"4:110105001", "3:110101"},
		{"4:110105002", ""},
		{"3:110105", ""},
		{"2:1101", ""},
		{"1:11", ""},
		{"3:520331", "1:52"},
		{"3:530330", ""},
	}
	for _, tt := range tests {
		var want cases.NodeID
		if tt.home != "" {
			want = node(t, tt.home)
		}
		if got, ok := d.Home(key(t, tt.area)); got != want || ok != (want != 0) {
			t.Errorf("Home(%s) = %s, %t, want %s", tt.area, got, ok, want)
		}
	}
	for _, k := range []area.Key{0, -1, 7, 5203300000006, 5203300000009, 5203300000012, -5203300000003, 1 << 62, 1, 3} {
		if got, ok := d.Home(k); ok {
			t.Errorf("Home(%d) = %s for what is no area", int64(k), got)
		}
	}
	if diff := cmp.Diff(keysOf(t, "3:110101", "3:110102", "4:110105001"), d.ServedBy(node(t, "3:110101"))); diff != "" {
		t.Error(diff)
	}
}

func TestEqualLogsGiveEqualHomes(t *testing.T) {
	x := newExchange(t)
	x.join(Leave{}, "1:52")
	x.join(Leave{Areas: keysOf(t, "3:520330")}, "3:520330")
	a, b := x.auth.Directory(), x.load()
	if a.Root() != b.Root() || a.Serial() != b.Serial() {
		t.Fatal("roots or serials differ")
	}
	if diff := cmp.Diff(a.holders, b.holders); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(a.tenures, b.tenures); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(a.served, b.served); diff != "" {
		t.Error(diff)
	}
}

func TestEverHome(t *testing.T) {
	x := newExchange(t)
	province, county, other := node(t, "1:52"), node(t, "3:520330"), node(t, "3:520302")
	town := key(t, "4:520330001")

	x.join(Leave{}, "1:52")                                                         // 1
	x.join(Leave{Areas: keysOf(t, "3:520330")}, "3:520330")                         // 2
	x.join(Leave{Areas: keysOf(t, "3:520302", "3:520330")}, "3:520302", "3:520330") // 3: takes it
	before := x.auth.Directory()
	if _, err := x.auth.Remove(other, x.now); err != nil { // 4: back to the province
		t.Fatal(err)
	}
	d := x.auth.Directory()

	want := []Tenure{
		{Node: province, From: 1, Until: 2, Began: start.Add(hours(1)), Ended: start.Add(hours(2))},
		{Node: county, From: 2, Until: 3, Began: start.Add(hours(2)), Ended: start.Add(hours(3))},
		{Node: other, From: 3, Until: 4, Began: start.Add(hours(3)), Ended: start.Add(hours(3))},
		{Node: province, From: 4, Began: start.Add(hours(3))},
	}
	if diff := cmp.Diff(want, d.Homes(town)); diff != "" {
		t.Error(diff)
	}
	tests := []struct {
		node cases.NodeID
		area string
		want bool
	}{
		{province, "4:520330001", true},
		{county, "4:520330001", true},
		{county, "3:520330", true},
		{county, "2:5203", false},
		{county, "3:520302", false},
		{other, "3:520330", true},
		{other, "3:520302", true},
		{other, "3:520303", false},
		{node(t, "3:520303"), "3:520303", false},
		{province, "3:441900", false},
	}
	for _, tt := range tests {
		if got := d.WasEverHome(tt.node, key(t, tt.area)); got != tt.want {
			t.Errorf("WasEverHome(%s, %s) = %t", tt.node, tt.area, got)
		}
	}
	if s, at := d.HomeSince(town); s != 4 || !at.Equal(start.Add(hours(3))) {
		t.Errorf("HomeSince = %d, %s", s, at)
	}
	if s, _ := before.HomeSince(town); s != 3 {
		t.Errorf("the older snapshot changed: HomeSince = %d", s)
	}
	if s, at := d.HomeUntil(county, town); s != 3 || !at.Equal(start.Add(hours(3))) {
		t.Errorf("HomeUntil = %d, %s", s, at)
	}
	if s, _ := d.HomeUntil(province, town); s != 0 {
		t.Errorf("HomeUntil of the present home = %d", s)
	}
	if s, _ := d.HomeSince(key(t, "3:441900")); s != 0 {
		t.Errorf("HomeSince of an area without history = %d", s)
	}
}

// A node that held only a shorter prefix while another held the longer one was
// never home of what lies within the longer.
func TestNeverHomeBehindALongerPrefix(t *testing.T) {
	x := newExchange(t)
	x.join(Leave{}, "3:520330")
	x.join(Leave{}, "1:52")
	if d := x.auth.Directory(); d.WasEverHome(node(t, "1:52"), key(t, "4:520330001")) {
		t.Error("the province counts as a former home of a county that it never served")
	}
}

func TestHomesChanged(t *testing.T) {
	x := newExchange(t)
	empty := x.auth.Directory()
	x.join(Leave{}, "1:52")
	one := x.auth.Directory()
	x.join(Leave{Areas: keysOf(t, "2:5203")}, "2:5203")
	two := x.auth.Directory()
	k := x.keys[key(t, "2:5203")]
	// The same node also takes an area within its own: no home changes.
	c := k.claim(key(t, "2:5203"), keysOf(t, "2:5203", "3:520330"), 2)
	x.admit(request(t, c).Continue(k.sign), Leave{})
	three := x.auth.Directory()
	tests := []struct {
		name     string
		old, new *Directory
		want     []area.Key
	}{
		{"from nil", nil, one, keysOf(t, "1:52")},
		{"from empty", empty, one, keysOf(t, "1:52")},
		{"finer within coarser", empty, two, keysOf(t, "1:52")},
		{"longer prefix", one, two, keysOf(t, "2:5203")},
		{"same node", two, three, nil},
		{"back", three, one, keysOf(t, "2:5203")},
		{"none", three, three, nil},
	}
	for _, tt := range tests {
		got := HomesChanged(tt.old, tt.new)
		if len(got) == 0 {
			got = nil
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestHomeAllocatesNothing(t *testing.T) {
	x := newExchange(t)
	x.join(Leave{}, "1:52")
	d, k := x.auth.Directory(), key(t, "5:520330001005")
	if n := testing.AllocsPerRun(100, func() { d.Home(k) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A node at every one of 44,000 townships, as the whole country would have.
func BenchmarkHome(b *testing.B) {
	d := &Directory{holders: make(map[area.Key]cases.NodeID)}
	for i := range 44_000 {
		k := area.Key((110_000_001_000+int64(i)*17_000_000)*10 + 4).Cut(area.Township)
		d.holders[k] = cases.NodeID(k)
	}
	d.holders[key(b, "1:52")] = node(b, "1:52")
	d.holders[key(b, "4:110102001")] = node(b, "4:110102001")
	for _, bb := range []struct{ name, area string }{
		{"hit", "4:110102001"}, {"walk", "5:520123001005"}, {"none", "5:991900003005"},
	} {
		k := key(b, bb.area)
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d.Home(k)
			}
		})
	}
}
