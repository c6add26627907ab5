package model

import (
	"fmt"
	"math/rand/v2"
)

const (
	areaA = iota
	areaA2
	areaB
	areaBT
	areaC
	areas
)

// profile is the weather of a random run.
type profile uint8

const (
	wide    profile = iota // four cases, every verb and fault
	narrow                 // two cases, mostly disclosed; offers, withdrawals and restores crowd together
	outages                // wide, with outages and reports among it
)

// randomRun drives four nodes and five areas through a run of verbs and faults,
// then lets the faults stop and checks everything.
func randomRun(seed uint64, mut mutant, pf profile, steps int) *world {
	rnd := rand.New(rand.NewPCG(seed, 11))
	w := newWorld(4, mut)
	for range w.n {
		w.ever = append(w.ever, map[uint64]bool{})
		w.bodies = append(w.bodies, map[uint64]bool{})
	}
	w.dirs = [][]int{{0, 0, 1, 1, 2}}
	for _, nd := range w.n {
		nd.skew = rnd.IntN(400)
	}
	w.lossy = seed%4 == 3
	erasures := seed%2 == 1
	w.offers = []int{none} // offer rounds count from 1
	maxR := 1 + rnd.IntN(3)
	if pf == narrow {
		w.lossy = seed%2 == 0
		erasures = seed%8 == 1
		maxR = 6
	}
	w.pf = pf
	left := [maxNodes]int{}
	for i := 0; i < steps && len(w.viol) == 0; i++ {
		w.step++
		nd := w.n[rnd.IntN(4)]
		x := rnd.IntN(1000)
		if pf == narrow && rnd.IntN(3) == 0 {
			x = 845 + rnd.IntN(145)
		}
		switch {
		case x < 60:
			w.doOpen(nd, rnd)
		case x < 250:
			w.doVerb(nd, rnd)
		case x < 490: // the letter may never be published: a crash after the commit
			p := rnd.IntN(4)
			if p == nd.id {
				break
			}
			if l := w.pump(nd, p, 1+rnd.IntN(4)); l != nil && rnd.IntN(10) > 0 {
				w.net = append(w.net, l)
			}
		case x < 800: // duplicates, loss, any order
			if len(w.net) == 0 {
				break
			}
			j := rnd.IntN(len(w.net))
			l := w.net[j]
			if rnd.IntN(4) > 0 { // else redelivered: a crash before the ack
				w.net[j] = w.net[len(w.net)-1]
				w.net = w.net[:len(w.net)-1]
			}
			if rnd.IntN(6) == 0 {
				break
			}
			if r := w.absorb(w.n[l.to], l); r != nil {
				w.net = append(w.net, r)
			}
		case x < 850:
			if p := rnd.IntN(4); p != nd.id {
				w.net = append(w.net, w.statement(nd, p))
			}
		case x < 880:
			nd.snap = nd.db.clone()
		case x < 910:
			if nd.snap != nil && left[nd.id] < maxR {
				left[nd.id]++
				w.restore(nd, w.lossy && rnd.IntN(2) == 0)
			}
		case x < 914:
			w.net = nil
			w.stats.wipes++
		case x < 924: // the process dies: volatile state is gone
			for j := range nd.again {
				nd.again[j] = nil
			}
		case x < 930:
			w.startDB(nd)
		case x < 940:
			w.doDirectory(rnd)
		case x < 950:
			if ks := nd.db.legs(); erasures && len(ks) > 0 {
				w.eraseCase(nd, ks[rnd.IntN(len(ks))])
			}
		case x < 970:
			w.doRound(nd, rnd)
		case x < 990:
			w.doWithdraw(nd, rnd)
		default:
			w.doBogusRevoke(nd, rnd)
		}
		if pf == outages {
			w.doOutages(rnd)
		}
		w.stepCheck()
		if rnd.IntN(40) == 0 && nd.db.dir < len(w.dirs)-1 {
			nd.db.dir = len(w.dirs) - 1
			w.ruleT(nd)
			w.duties(nd)
		}
	}
	if len(w.viol) == 0 {
		w.quiesce(rnd)
	}
	return w
}

func (w *world) doOpen(nd *node, rnd *rand.Rand) {
	var own []int
	for a := 0; a < areas; a++ {
		if w.home(nd, a) == nd.id {
			own = append(own, a)
		}
	}
	if len(own) == 0 || len(w.legs) >= 12 {
		return
	}
	roots := 0
	for _, k := range w.legs {
		if k.parent == nil && !k.report {
			roots++
		}
	}
	x, y := own[rnd.IntN(len(own))], rnd.IntN(areas)
	most, inflow := 4, rnd.IntN(3) == 0
	if w.pf == narrow {
		most, inflow = 2, rnd.IntN(4) > 0
	}
	if x == y || roots >= most {
		return
	}
	k := w.newLeg(x, y, inflow)
	w.author(nd, &item{leg: k, kind: open, side: sideX, round: 1, ver: 1, area: none, body: "f0"})
}

func (w *world) doVerb(nd *node, rnd *rand.Rand) {
	ks := nd.db.legs()
	if len(ks) == 0 {
		return
	}
	vs := w.verbs(nd, ks[rnd.IntN(len(ks))])
	if len(vs) == 0 {
		return
	}
	it := vs[rnd.IntN(len(vs))]
	switch {
	case it.kind == answer && it.body == "MISROUTED":
		it.area = rnd.IntN(areas)
		if it.area == it.leg.x || it.area == it.leg.y {
			return
		}
	case it.kind == correct:
		it.body = fmt.Sprint("f", w.step)
	case it.kind == note:
		it.ver = 1 + rnd.IntN(2)
	case it.kind == assign:
		w.stats.assigns++
	}
	w.author(nd, it)
	if it.kind == assign && w.mut == assignarrival {
		nd.noteAssign(it)
	}
	w.duties(nd)
	if rnd.IntN(12) == 0 {
		nd.ver = 2
	}
}

func (w *world) doDirectory(rnd *rand.Rand) {
	if len(w.dirs) >= 3 || rnd.IntN(3) > 0 {
		return
	}
	m := append([]int(nil), w.dirs[len(w.dirs)-1]...)
	m[[]int{areaBT, areaA2, areaB}[rnd.IntN(3)]] = 3
	w.dirs = append(w.dirs, m)
	w.stats.rehomings++
}

func (w *world) doRound(nd *node, rnd *rand.Rand) {
	offer := 0
	for o, n := range w.offers {
		if n == nd.id && rnd.IntN(2) == 0 {
			offer = o // the job runs the instant again
		}
	}
	if offer == 0 {
		if len(w.offers) > 4 {
			return
		}
		offer = len(w.offers)
		w.offers = append(w.offers, nd.id)
	}
	w.endRound(nd, offer, func() bool { return rnd.IntN(3) > 0 })
}

func (w *world) doWithdraw(nd *node, rnd *rand.Rand) {
	var cs []consent
	for _, dr := range nd.db.drafts {
		if dr.released {
			cs = put(cs, consent{dr.leg.n, dr.offer})
		}
	}
	for i := range nd.db.rows {
		if it := nd.db.rows[i].it; it.kind == feedback && it.author == nd.id && it.body == released {
			cs = put(cs, consent{it.leg.n, it.offer})
		}
	}
	if len(cs) > 0 {
		w.withdrawConsent(nd, cs[rnd.IntN(len(cs))])
	}
}

// doBogusRevoke: a faulty or hostile home names what is not a FEEDBACK, or
// revokes from the wrong side.
func (w *world) doBogusRevoke(nd *node, rnd *rand.Rand) {
	if len(nd.db.rows) == 0 {
		return
	}
	x := nd.db.rows[rnd.IntN(len(nd.db.rows))].it
	if x.kind == receipt || !w.isHome(nd, x.leg) {
		return
	}
	side := sideX
	if w.home(nd, x.leg.x) != nd.id {
		side = sideY
	}
	if x.kind == feedback && x.side == side {
		return
	}
	w.author(nd, &item{leg: x.leg, kind: revoke, side: side, round: 1, ver: 1, area: none, names: x})
	w.duties(nd)
}
