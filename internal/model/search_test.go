package model

import (
	"testing"
	"time"
)

func twoNodes(mut mutant, inflow, noFB bool) *world {
	w := newWorld(2, mut)
	w.lamport, w.noFB = true, noFB
	w.dirs = [][]int{{0, 1}}
	w.offers = []int{none, 0}
	k := w.newLeg(0, 1, inflow)
	for i, nd := range w.n {
		nd.epoch = 10 * (i + 1)
	}
	w.author(w.n[0], &item{leg: k, kind: open, side: sideX, round: 1, ver: 1, area: none, body: "f0"})
	return w
}

var searches = []search{
	{name: "verbs", maxV: 3, depth: 7,
		start: func(m mutant) *world { return twoNodes(m, false, true) },
		verb: func(it *item) bool {
			return it.kind != note && it.kind != assign && (it.kind != answer || it.body != "MISROUTED")
		}},
	{name: "assign", maxV: 2, depth: 7,
		start: func(m mutant) *world { return twoNodes(m, false, true) },
		verb: func(it *item) bool {
			return it.kind == assign || it.kind == closing || it.kind == reopen || it.kind == withdraw
		}},
	{name: "extend", maxV: 2, depth: 7,
		start: func(m mutant) *world {
			w := twoNodes(m, false, true)
			w.extends, w.outages = true, []int{none, 2}
			return w
		},
		verb: func(it *item) bool {
			return it.kind == extend || it.kind == closing || it.kind == reopen || it.kind == answer && it.body != "MISROUTED"
		}},
	{name: "bodies", maxV: 1, depth: 7, erase: true,
		start: func(m mutant) *world { return twoNodes(m, false, true) },
		verb:  func(it *item) bool { return it.kind == correct || it.kind == answer && it.area == none }},
	{name: "feedback", depth: 9, feedback: true,
		start: func(m mutant) *world {
			w := twoNodes(m, true, false)
			w.quiesce(nil)
			return w
		}},
}

// TestSearch visits every state within the bound. YIPAN_MODEL_DEPTH raises it
// (the figures of README.md).
func TestSearch(t *testing.T) {
	for _, x := range searches {
		t.Run(x.name, func(t *testing.T) {
			x.depth = fromEnv(t, "YIPAN_MODEL_DEPTH", x.depth)
			t0 := time.Now()
			f := x.run()
			t.Logf("depth %d: %d states, %d transitions, %d closures, %v", x.depth, f.states, f.transitions, f.closures, time.Since(t0).Round(time.Millisecond))
			if f.violation != "" {
				t.Fatal(f.violation)
			}
			if f.states < 100 {
				t.Fatalf("only %d states: the search does not move", f.states)
			}
		})
	}
}

// TestBrokenInSearch: the complete search meets the broken rules too. The depth
// is that of the shortest orders of events that show the fault.
func TestBrokenInSearch(t *testing.T) {
	for _, b := range []struct {
		mut   mutant
		in    string
		depth int
	}{
		{nostatement, "verbs", 5},
		{noreturn, "bodies", 5},
		{noreceiptset, "bodies", 6},
		{twice, "verbs", 1},
		{resurrect, "bodies", 4},
		{notomb, "bodies", 6},
		{nojournal, "bodies", 3},
		{nojournal, "feedback", 5},
		{foldbody, "bodies", 1},
		{feedbackearly, "feedback", 7},
		{staleround, "feedback", 8},
		{blindround, "feedback", 7},
		{noreplayrevoke, "feedback", 6},
		{extendown, "extend", 5},
		{extendsum, "extend", 6},
	} {
		t.Run(string(b.mut)+"/"+b.in, func(t *testing.T) {
			for _, x := range searches {
				if x.name != b.in {
					continue
				}
				x.mut, x.depth = b.mut, b.depth
				f := x.run()
				if f.violation == "" {
					t.Fatalf("not caught in %d states", f.states)
				}
				t.Logf("%d states: %s", f.states, f.violation)
			}
		})
	}
}
