package model

import "math/rand/v2"

// stepCheck holds after every step: I7 at rest.
func (w *world) stepCheck() {
	for _, nd := range w.n {
		if len(nd.erasedEv) == 0 {
			continue
		}
		for i := range nd.db.rows {
			r := &nd.db.rows[i]
			if r.body == full && r.it.kind.erasable() && nd.erasedEv[r.it.id] {
				w.bad("I7 %d holds the body of %s %x again", nd.id, r.it.kind, r.it.id)
			}
		}
	}
}

// checks hold when faults have stopped and nothing moves any more.
func (w *world) checks(heldAtStop map[uint64]*item) {
	w.stepCheck()
	last := len(w.dirs) - 1
	dir := w.dirs[last]
	for _, it := range heldAtStop {
		if it.kind == receipt {
			continue
		}
		for _, h := range []int{dir[it.leg.x], dir[it.leg.y]} {
			if w.n[h].db.row(it) == nil {
				w.bad("I2 %s %x of case %d not at home %d", it.kind, it.id, it.leg.n, h)
			}
		}
	}
	seen := map[*leg]bool{}
	for _, nd := range w.n {
		for i := range nd.db.rows {
			r := &nd.db.rows[i]
			if r.eff != 1 {
				w.bad("I4 effect of %s %x %d times", r.it.kind, r.it.id, r.eff)
			}
			if r.it.kind == receipt {
				continue
			}
			seen[r.it.leg] = true
			w.checkRow(nd, r, dir)
		}
	}
	for _, k := range w.legs {
		if seen[k] {
			w.checkCase(k, dir)
		}
	}
	for _, nd := range w.n {
		for _, dr := range nd.db.drafts {
			k := dr.leg
			if dir[k.area(k.residence())] == nd.id && !w.holdsOffer(nd, k, dr.offer) && disclosed(w.fold(nd, k, false), k) {
				w.bad("I6 draft of case %d, offer %d never left %d", k.n, dr.offer, nd.id)
			}
		}
	}
}

func (w *world) checkRow(nd *node, r *row, dir []int) {
	it := r.it
	for p := range w.n {
		if r.share[p] == pending && p != nd.id && w.owed(nd, it, p) {
			w.bad("I6 pending %d->%d %s %x", nd.id, p, it.kind, it.id)
		}
	}
	if r.body == missing && w.bodies != nil && w.bodies[nd.id][it.id] {
		w.bad("I7 %d lost the body of %s %x without erasing it", nd.id, it.kind, it.id)
	}
	if r.body != full {
		return
	}
	for _, h := range []int{dir[it.leg.x], dir[it.leg.y]} {
		if o := w.n[h].db.row(it); o != nil && o.body == missing {
			w.bad("I2 body of %s %x is at %d and missing at home %d", it.kind, it.id, nd.id, h)
		}
	}
	if it.kind == feedback && it.body == released && w.gone[consent{it.leg.n, it.offer}] {
		w.bad("I9 released body %x of a withdrawn consent is live at %d", it.id, nd.id)
	}
}

func (w *world) checkCase(k *leg, dir []int) {
	p, q := w.n[dir[k.x]], w.n[dir[k.y]]
	sp, sq := w.fold(p, k, false), w.fold(q, k, false)
	if sp.heads != sq.heads {
		w.bad("I3 case %d: %+v at %d, %+v at %d", k.n, sp.heads, p.id, sq.heads, q.id)
	}
	if sp.Whole && sq.Whole && (sp.Fields != sq.Fields || sp.Ans != sq.Ans) {
		w.bad("I3 case %d: fields %q %q, %q %q", k.n, sp.Fields, sp.Ans, sq.Fields, sq.Ans)
	}
	w.checkOutages(p, k, sp)
	w.checkOutages(q, k, sq)
	for _, nd := range []*node{p, q} {
		a, b := w.fold(nd, k, false), w.fold(nd, k, true)
		a.Feedback, b.Feedback = 0, 0
		if a != b {
			w.bad("I10 case %d at %d: feedback or revocation changes %+v to %+v", k.n, nd.id, b, a)
		}
	}
	if sp.St == stRerouted && k.hops < 3 && sp.Reroute != k.x && sp.Whole {
		c := w.child(k, sp.Round, sp.Reroute)
		if cs := w.fold(p, c, false); cs.St == stNone && !holds(p, c, open) || cs.St == stWithdrawn && cs.WdParent {
			w.bad("I5 case %d: child missing", k.n)
		}
	}
	if k.parent != nil && sp.St == stOpen {
		if ps := w.fold(p, k.parent, false); ps.St != stNone && !wanted(ps, k) {
			w.bad("I5 case %d: open, its parent does not want it", k.n)
		}
	}
}

func (w *world) deliverAll(rnd *rand.Rand) {
	for len(w.net) > 0 {
		i := 0
		if rnd != nil {
			i = rnd.IntN(len(w.net))
		}
		l := w.net[i]
		w.net[i] = w.net[len(w.net)-1]
		w.net = w.net[:len(w.net)-1]
		w.step++
		if r := w.absorb(w.n[l.to], l); r != nil {
			w.net = append(w.net, r)
		}
	}
}

func (w *world) drain(rnd *rand.Rand) (worked bool) {
	for i := 0; i < 50; i++ {
		some := false
		for _, nd := range w.n {
			for p := range w.n {
				if p == nd.id {
					continue
				}
				if l := w.pump(nd, p, -1); l != nil {
					w.net = append(w.net, l)
					some, worked = true, true
				}
			}
		}
		w.deliverAll(rnd)
		if !some {
			return worked
		}
	}
	w.bad("I6 the pump never drains")
	return worked
}

// quiesce: faults stop, pump and statements run fairly until nothing moves.
func (w *world) quiesce(rnd *rand.Rand) {
	held := map[uint64]*item{}
	for _, nd := range w.n {
		for i := range nd.db.rows {
			held[nd.db.rows[i].it.id] = nd.db.rows[i].it
		}
	}
	w.deliverAll(rnd)
	for _, nd := range w.n {
		if last := len(w.dirs) - 1; nd.db.dir != last {
			nd.db.dir = last
			w.ruleT(nd)
			w.duties(nd)
		}
		w.releaseDrafts(nd, nd.id)
	}
	const most = 20
	for w.stats.rounds = 0; w.stats.rounds < most; w.stats.rounds++ {
		work := w.drain(rnd)
		equal := true
		for _, nd := range w.n {
			for p := range w.n {
				if p > nd.id {
					equal = equal && sameItems(w.pairSet(nd, p), w.pairSet(w.n[p], nd.id))
				}
				equal = equal && (w.noFB || w.gateOpen(nd, p))
				for i := range nd.db.rows {
					r := &nd.db.rows[i]
					equal = equal && (w.stats.rounds > 0 || r.body != missing)
				}
			}
		}
		if !work && (equal || w.mut == nostatement) {
			break
		}
		for _, nd := range w.n {
			for p := range w.n {
				// the lower code starts; the higher only while its gate is closed
				if p > nd.id || p < nd.id && !w.noFB && !w.gateOpen(nd, p) {
					w.net = append(w.net, w.statement(nd, p))
				}
			}
		}
		w.deliverAll(rnd)
	}
	if w.stats.rounds >= most {
		w.bad("I6 statements did not become equal in %d rounds", most)
	}
	w.checks(held)
}
