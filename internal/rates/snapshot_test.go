package rates

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
)

var (
	snapCounty   = area.MustOf(area.County, "330782")
	snapTownship = area.Children(snapCounty)[0]
)

func cellsOf(t *rapid.T, within ...area.Key) []Cell {
	var out []Cell
	n := func(name string) int64 { return rapid.Int64Range(0, 40).Draw(t, name) }
	for _, k := range within {
		for kind := cases.Outflow; kind.Known(); kind++ {
			if rapid.Bool().Draw(t, "cell") {
				c := Cell{Area: k, Kind: kind, Side: cases.Side(rapid.IntRange(1, 2).Draw(t, "side")), OnTime: n("on time"), Late: n("late"), Pending: n("pending"), Lapsed: n("lapsed")}
				if o := n("overdue"); o > 0 {
					c.Overdue = map[Waiting]int64{WaitResidence: o}
				}
				if e := n("excluded"); e > 0 {
					c.Excluded = map[Code]int64{WithdrawnBeforeDue: e, ClosedBeforeDue: e}
				}
				out = append(out, c)
			}
		}
	}
	SortCells(out)
	return out
}

func december() *Snapshot {
	p := november.Next()
	return &Snapshot{
		Area: snapCounty, Period: p.String(), At: p.To.StartInstant().UnixMilli(), FrozenAt: p.To.StartInstant().UnixMilli() + 1, Policy: "2026-1",
		Digest: strings.Repeat("0", 64), Private: strings.Repeat("1", 64), Offices: []area.Key{snapCounty, snapTownship},
		Cells: []Cell{{Area: snapTownship, Kind: cases.Outflow, Side: cases.SideReceiver, OnTime: 3, Pending: 1, Overdue: map[Waiting]int64{WaitCounty: 2}}},
		Books: []BookRatio{{Area: snapTownship, Measure: FiledInTime, N: 2, D: 3}},
	}
}

func TestSnapshotIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := december()
		s.Cells = cellsOf(t, snapCounty, snapTownship)
		a, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeSnapshot(a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := back.Encode()
		if err != nil || !bytes.Equal(a, b) {
			t.Fatalf("written again: %v\n%s\n%s", err, a, b)
		}
	})
}

func TestSnapshotRefuses(t *testing.T) {
	good, err := december().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"unknown member":    {`{"area"`, `{"name":"x","area"`},
		"member twice":      {`{"area":3307820000003,`, `{"area":3307820000003,"area":3307820000003,`},
		"other case":        {`"on_time"`, `"On_time"`},
		"space":             {`,"rounds"`, `, "rounds"`},
		"more behind":       {`"reports":null}`, `"reports":null}{}`},
		"negative":          {`"pending":1`, `"pending":-1`},
		"n above d":         {`"n":2,"d":3`, `"n":4,"d":3`},
		"other period":      {`"2026-12"`, `"2026-11"`},
		"a quarter":         {`"2026-12"`, `"2026-Q4"`},
		"other area":        {`{"area":3307820000003`, `{"area":3304810000003`},
		"transport overdue": {`"overdue":{"3":2}`, `"overdue":{"2":2}`},
		"no overdue":        {`"overdue":{"3":2}`, `"overdue":{"3":0}`},
		"unknown kind":      {`"kind":1`, `"kind":9`},
		"no side":           {`"side":2`, `"side":0`},
		"short digest":      {`"digest":"0`, `"digest":"`},
		"huge":              {`"pending":1`, `"pending":9223372036854775807`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing changed in %s", name, good)
		}
		if _, err := DecodeSnapshot([]byte(bad)); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeSnapshot(good); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

func TestUpwardRefuses(t *testing.T) {
	p := november
	end, within := p.To.StartInstant().UnixMilli(), p.From.StartInstant().UnixMilli()+1
	atom := Atom{Area: snapCounty, Kind: cases.Outflow, Side: cases.SideReceiver, Shown: Outside(Parts{OnTime: 8, Unanswered: 6})}
	town := func() Upward {
		return Upward{
			Area: snapTownship, Period: p.String(), Basis: Live, AsOf: within,
			Cells: []Cell{{Area: snapTownship, Kind: cases.Outflow, Side: cases.SideReceiver, OnTime: 1}},
		}
	}
	whole := func() Upward {
		return Upward{Area: snapCounty, Period: p.String(), Basis: Frozen, AsOf: end, Atoms: []Atom{atom}}
	}
	for name, u := range map[string]func() Upward{"township": town, "county": whole} {
		v := u()
		b, err := v.Encode()
		if err == nil {
			_, err = DecodeUpward(b)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		of     func() Upward
		change func(*Upward)
	}{
		"live after the end":        {town, func(u *Upward) { u.AsOf = end }},
		"frozen before the end":     {whole, func(u *Upward) { u.AsOf = within }},
		"cells leave the county":    {whole, func(u *Upward) { u.Cells = town().Cells }},
		"cells of another township": {town, func(u *Upward) { u.Cells[0].Area = area.Children(snapCounty)[1] }},
		"a county's open month":     {whole, func(u *Upward) { u.Basis, u.AsOf = Live, within }},
		"a small count":             {whole, func(u *Upward) { u.Atoms[0].Shown.OnTime, u.Atoms[0].Shown.Answered = 3, 3 }},
		"a small rest":              {whole, func(u *Upward) { u.Atoms[0].Shown.D = 9 }},
		"more answered than due":    {whole, func(u *Upward) { u.Atoms[0].Shown.Answered = 20 }},
		"hidden and yet told":       {whole, func(u *Upward) { u.Atoms[0].Shown.Shown = false }},
		"an atom of a township":     {whole, func(u *Upward) { u.Atoms[0].Area = snapTownship }},
		"an atom twice":             {whole, func(u *Upward) { u.Atoms = append(u.Atoms, atom) }},
		"a sensitive count":         {town, func(u *Upward) { u.Books = []BookRatio{{Area: snapTownship, Measure: Offer, N: 7, D: 9}} }},
		"a small count of a county": {whole, func(u *Upward) { u.Books = []BookRatio{{Area: snapCounty, Measure: FiledInTime, N: 7, D: 9}} }},
		"suppressed and yet told": {town, func(u *Upward) {
			u.Books = []BookRatio{{Area: snapTownship, Measure: Offer, D: 9, N: 9, Suppressed: true}}
		}},
		"waits for somebody else":     {whole, func(u *Upward) { u.Waiting = []area.Key{area.MustOf(area.County, "330481")} }},
		"of a village":                {whole, func(u *Upward) { u.Area = area.MustOf(area.Village, "330782001001") }},
		"neither frozen nor live":     {whole, func(u *Upward) { u.Basis = Reported }},
		"period of days":              {whole, func(u *Upward) { u.Period = "2026-11-01..2026-11-29" }},
		"measure that nobody defined": {whole, func(u *Upward) { u.Books = []BookRatio{{Area: snapCounty, Measure: 99}} }},
	} {
		u := c.of()
		u.Atoms = append([]Atom(nil), u.Atoms...)
		c.change(&u)
		if _, err := u.Encode(); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cell counts what the tally of its measure counts.
func TestCellIsTally(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := cases.Kind(rapid.IntRange(1, 4).Draw(t, "kind"))
		m := Feedback
		if kind == cases.Certificate {
			m = Verification
		}
		cell, want := Cell{Area: snapTownship, Kind: kind, Side: cases.SideReceiver}, Tally{Measure: m}
		day := november.From
		at := november.To.StartInstant()
		for range rapid.IntRange(0, 30).Draw(t, "rounds") {
			// A round of the period was delivered.
			s := Standing(rapid.IntRange(int(OnTime), int(numStandings)-1).Draw(t, "standing"))
			c := s.Class(kind, day.AddDays(rapid.IntRange(0, 29).Draw(t, "day")), at, november)
			cell.Add(c, false)
			want.Add(c)
		}
		got := cell.Tally(m)
		if got.N != want.N || got.D != want.D || got.Pending != want.Pending || got.Lapsed != want.Lapsed || len(got.Excluded) != len(want.Excluded) || len(got.Overdue) != len(want.Overdue) {
			t.Fatalf("cell %+v, tally %+v", got, want)
		}
		if p := (Parts{cell.OnTime, cell.Late, cell.Unanswered()}); p.D() != want.D {
			t.Fatalf("parts of %d, want %d", p.D(), want.D)
		}
	})
}
