package model

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// doOutages is what the profile outages adds: a county signs for an outage, a
// node goes on with what it put off, an area reports.
func (w *world) doOutages(rnd *rand.Rand) {
	nd := w.n[rnd.IntN(len(w.n))]
	switch x := rnd.IntN(60); {
	case x == 0 && len(w.outages) < 6:
		if len(w.outages) == 0 {
			w.outages = []int{none} // outages count from 1
		}
		w.outages = append(w.outages, 1+rnd.IntN(4))
		w.putOff(nd, len(w.outages)-1, 1+rnd.IntN(3))
	case x <= 3 && len(w.outages) > 1:
		// Also one that a restored node does not remember to have put off.
		w.putOff(nd, 1+rnd.IntN(len(w.outages)-1), 1+rnd.IntN(3))
	case x == 4:
		w.doReport(nd, rnd)
	}
}

// extendedBy is by how many days a node holds that an outage put a round off.
func extendedBy(nd *node, k *leg, round, outage int) int {
	days := 0
	rs := nd.db.span(k)
	for i := range rs {
		if it := rs[i].it; it.kind == extend && it.round == round && it.outage == outage {
			days = max(days, it.days)
		}
	}
	return days
}

// putOff writes what an outage puts off at a node to at most n cases, past rounds
// too, and may be cut off there.
func (w *world) putOff(nd *node, outage, n int) {
	for _, k := range nd.db.legs() {
		s := w.fold(nd, k, false)
		if n == 0 || s.St == stNone || w.home(nd, k.y) != nd.id {
			continue
		}
		for round := 1; round <= s.Round; round++ {
			if extendedBy(nd, k, round, outage) > 0 {
				continue
			}
			for _, o := range w.n {
				if o != nd && extendedBy(o, k, round, outage) > 0 {
					w.stats.extendedTwice++
					break
				}
			}
			w.stats.extends++
			w.author(nd, &item{leg: k, kind: extend, side: sideY, round: round, ver: 1, area: none, outage: outage, days: w.outages[outage]})
		}
		n--
	}
	w.duties(nd)
}

// doReport reports from an area of a node to another: on a leg of its own, a
// content once as far as the node knows.
func (w *world) doReport(nd *node, rnd *rand.Rand) {
	x, y := rnd.IntN(areas), rnd.IntN(areas)
	if x == y || w.home(nd, x) != nd.id {
		return
	}
	var k *leg
	n := 0
	for _, o := range w.legs {
		if o.report {
			n++
			if o.x == x && o.y == y {
				k = o
			}
		}
	}
	if k == nil {
		if n >= 3 || len(w.legs) >= 12 {
			return
		}
		k = w.newLeg(x, y, false)
		k.report = true
	}
	body := fmt.Sprint("r", rnd.IntN(3))
	rs := nd.db.span(k)
	for i := range rs {
		if rs[i].it.author == nd.id && rs[i].it.body == body {
			return
		}
	}
	w.stats.reports++
	w.author(nd, &item{leg: k, kind: report, side: sideX, round: 1, ver: 1, area: none, body: body})
}

// checkOutages is I11: a round is put off by what the outages took from it, each
// once, however often and from wherever an EXTEND came; and I12: a leg of reports
// is seen as no case.
func (w *world) checkOutages(nd *node, k *leg, s state) {
	if k.report {
		if s.St != stNone {
			w.bad("I12 a leg of reports is a case in state %d at %d", s.St, nd.id)
		}
		return
	}
	if len(w.outages) == 0 {
		return
	}
	seen := map[int]bool{}
	want := 0
	rs := nd.db.span(k)
	for i := range rs {
		if it := rs[i].it; it.kind == extend && it.round == s.Round && !seen[it.outage] {
			seen[it.outage] = true
			want += w.outages[it.outage]
		}
	}
	if s.St != stNone && s.Extended != min(want, maxExtended) {
		w.bad("I11 round %d of case %d at %d is put off by %d days, outages took %d", s.Round, k.n, nd.id, s.Extended, want)
	}
}

// TestOutageSignedTwice: a receiver that was put back to before it put a case
// off does it again; both EXTENDs are held in the end, and count once.
func TestOutageSignedTwice(t *testing.T) {
	run := func(mut mutant) (*world, *leg) {
		w := twoNodes(mut, false, true)
		w.lamport, w.outages = false, []int{none, 3}
		k := w.legs[0]
		w.step = 10
		w.quiesce(nil)
		w.n[1].snap = w.n[1].db.clone()
		w.putOff(w.n[1], 1, 1)
		w.step = 20
		w.absorb(w.n[0], w.pump(w.n[1], 0, -1))
		w.restore(w.n[1], false)
		w.step = 30
		w.putOff(w.n[1], 1, 1)
		w.quiesce(nil)
		return w, k
	}
	w, k := run(sound)
	if len(w.viol) > 0 {
		t.Error(w.viol)
	}
	for _, nd := range w.n {
		n := 0
		for _, r := range nd.db.span(k) {
			if r.it.kind == extend {
				n++
			}
		}
		if s := w.fold(nd, k, false); n != 2 || s.Extended != 3 {
			t.Errorf("node %d holds %d EXTENDs and puts off by %d days", nd.id, n, s.Extended)
		}
	}
	for _, m := range []mutant{extendsum, extendown} {
		if w, _ := run(m); len(w.viol) == 0 {
			t.Errorf("%s is not caught", m)
		}
	}
}
