package closing

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/rates"
	"yipan/internal/store"
)

var (
	left  = area.MustOf(area.County, "520330")
	right = area.MustOf(area.County, "330782")
	mine  = unit{top: left, offices: []area.Key{left}}
)

func sideOf(es []entry) *side {
	s := &side{}
	for _, e := range es {
		at, _ := hashOf(e.id())
		s.rows = append(s.rows, hashed{at, e, left})
	}
	slices.SortFunc(s.rows, func(a, b hashed) int {
		if a.at != b.at {
			return int(a.at) - int(b.at)
		}
		return bytes.Compare(a.entry[:], b.entry[:])
	})
	return s
}

func number(n int, round uint32, c code) entry {
	var id cases.CaseID
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15)
	return newEntry(id, round, c, left)
}

// What two ends tell each other names exactly the rounds that differ, whatever
// is missing, changed or too much at either.
func TestDetailsNameWhatDiffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 30, 3000}).Draw(t, "rounds")
		planted := rapid.SliceOfN(rapid.IntRange(0, max(n-1, 0)), 0, 12).Draw(t, "planted")
		how := rapid.SliceOfN(rapid.IntRange(0, 2), 12, 12).Draw(t, "how")
		var a, b []entry
		want := map[string]bool{}
		for i := range n {
			x := number(i, uint32(1+i%2), codeOnTime)
			y := x
			switch at := slices.Index(planted, i); {
			case at < 0:
				a, b = append(a, x), append(b, y)
				continue
			case how[at] == 0:
				a = append(a, x)
			case how[at] == 1:
				b = append(b, y)
			default:
				y[20] = byte(codeLate)
				a, b = append(a, x), append(b, y)
			}
			want[fmt.Sprintf("%x", x.key())] = true
		}
		ours, theirs := sideOf(a), sideOf(b)
		unequal := map[int]bool{}
		p, q := ours.digests(), theirs.digests()
		for i := range buckets {
			if !bytes.Equal(p[i*bucketBytes:(i+1)*bucketBytes], q[i*bucketBytes:(i+1)*bucketBytes]) {
				unequal[i] = true
			}
		}
		if (len(unequal) == 0) != (len(want) == 0) {
			t.Fatalf("%d buckets differ, %d rounds", len(unequal), len(want))
		}
		got := map[string]bool{}
		for _, d := range theirs.details(unequal) {
			es, ok := entries(d.Rounds)
			if !ok {
				t.Fatal("a detail that cannot be read")
			}
			there := map[[20]byte]entry{}
			for _, e := range es {
				there[e.key()] = e
			}
			for _, o := range ours.differences(&d, there, mine) {
				got[fmt.Sprintf("%x", keyOf(o.Case, o.Round))] = true
				if o.Ours == o.Theirs || o.Office != left {
					t.Fatalf("no difference: %+v", o)
				}
			}
		}
		if len(got) != len(want) {
			t.Fatalf("named %d, planted %d", len(got), len(want))
		}
		for k := range want {
			if !got[k] {
				t.Fatalf("%s is not named", k)
			}
		}
	})
}

func keyOf(id cases.CaseID, round uint32) [20]byte {
	e := newEntry(id, round, codeGone, 0)
	return e.key()
}

// A detail fits into a report however many rounds differ.
func TestDetailsFit(t *testing.T) {
	var es []entry
	for i := range 500_000 {
		es = append(es, number(i, 1, codeLate))
	}
	all := map[int]bool{}
	for i := range buckets {
		all[i] = true
	}
	n, next := 0, 0
	for _, d := range sideOf(es).details(all) {
		d.Period, d.Revision, d.Against = "2026-12", 1<<31, 1<<31
		b, err := json.Marshal(d)
		if err != nil || len(b) > rates.MaxUpward {
			t.Fatalf("detail of %d bytes, %v", len(b), err)
		}
		if int(d.Lo) != next {
			t.Fatalf("range from %x, want %x", d.Lo, next)
		}
		next = int(d.Hi) + 1
		n += len(d.Rounds) / entryBytes
	}
	if n != len(es) || next != 1<<16 {
		t.Errorf("%d rounds of %d, up to %x", n, len(es), next)
	}
}

// What is stored and what is signed are held against each other.
func TestVerify(t *testing.T) {
	e, other := number(1, 1, codeOnTime), number(1, 1, codeLate)
	parts := func(e entry) []store.RoundsPart {
		return []store.RoundsPart{{Office: right, Rounds: []byte("{}")}, {Office: left, Side: cases.SideOpener, Kind: cases.Outflow, Rounds: e[:]}}
	}
	d := digestOf(parts(e)[1:])
	s := rates.Snapshot{Digest: fmt.Sprintf("%x", d)}
	if !verify(&s, parts(e)) || verify(&s, parts(other)) || verify(&s, nil) {
		t.Error("verify does not tell rounds apart")
	}
}
