package model

// duties of a node after every change of its set: rule 22 and M14.
func (w *world) duties(nd *node) {
	for again := true; again; {
		again = w.revokeDuty(nd)
		for _, k := range nd.db.legs() {
			s := w.fold(nd, k, false)
			if s.St == stNone || w.home(nd, k.x) != nd.id {
				continue
			}
			if s.St == stRerouted && k.hops < 3 && s.Reroute != k.x {
				c := w.child(k, s.Round, s.Reroute)
				cs := w.fold(nd, c, false)
				switch {
				case cs.St == stNone && !holds(nd, c, open):
					if s.Whole { // M7: never opened from an erased record
						w.author(nd, &item{leg: c, kind: open, side: sideX, round: 1, ver: 1, area: none, body: s.Fields})
						w.stats.kids++
						again = true
					}
				case cs.St == stWithdrawn && cs.WdParent:
					w.author(nd, &item{leg: c, kind: reopen, side: sideX, round: cs.Round + 1, ver: 1, area: none})
					again = true
				}
			}
			if k.parent != nil && s.St == stOpen {
				if ps := w.fold(nd, k.parent, false); ps.St != stNone && !wanted(ps, k) {
					w.author(nd, &item{leg: k, kind: withdraw, side: sideX, round: s.Round, ver: 1, area: none, parent: true})
					again = true
				}
			}
		}
	}
}

func wanted(ps state, k *leg) bool {
	return ps.St == stRerouted && ps.Round == k.pround && ps.Reroute == k.y
}

func holds(nd *node, k *leg, kd kind) bool {
	rs := nd.db.span(k)
	for i := range rs {
		if rs[i].it.kind == kd {
			return true
		}
	}
	return false
}

// pump makes one letter for p of at most max items (max < 0: all that is due).
func (w *world) pump(nd *node, p, max int) *letter {
	w.releaseDrafts(nd, p)
	l := &letter{from: nd.id, to: p, dir: nd.db.dir}
	var rcs, its []parcel
	d := nd.db
	for i := range d.rows {
		r := &d.rows[i]
		if max >= 0 && len(rcs)+len(its) >= max {
			break
		}
		if r.share[p] != pending {
			continue
		}
		if r.it.kind == receipt {
			rcs = append(rcs, parcel{it: r.it})
			r.share[p] = settled
			continue
		}
		if !w.owed(nd, r.it, p) {
			continue
		}
		if w.mut == noreturn && r.it.author == p {
			r.share[p] = settled
			continue
		}
		if r.it.kind == feedback && r.body == full && !w.mayLeave(nd, r.it, p) {
			w.stats.gated++
			continue
		}
		its = append(its, parcel{it: r.it, bare: r.body != full})
		if w.mut == puback {
			w.settle(nd, r, p)
		}
	}
	for _, rc := range nd.again[p] {
		if d.row(rc) != nil {
			rcs = append(rcs, parcel{it: rc})
		}
	}
	nd.again[p] = nil
	if len(rcs)+len(its) == 0 {
		return nil
	}
	l.items = append(rcs, its...)
	w.stats.letters++
	w.leakCheck(nd, l)
	return l
}

func (w *world) statement(nd *node, p int) *letter {
	l := &letter{from: nd.id, to: p, stmt: true, list: w.pairSet(nd, p), dir: nd.db.dir}
	for i := range nd.db.rows {
		r := &nd.db.rows[i]
		if r.body == missing && r.share[p] != unknown && w.mut != nowanted {
			l.wanted = append(l.wanted, r.it)
		}
		if !w.noFB && r.share[p] == pending && w.ofYours(nd, r.it, p) && w.owed(nd, r.it, p) {
			l.sensitive = true
		}
	}
	if !w.noFB {
		l.mine = nd.epoch
		l.ask = !w.gateOpen(nd, p)
	}
	w.stats.letters++
	return l
}

// guest: M16, what a node holds though it is home of neither area.
func (w *world) guest(nd *node, it *item) bool {
	switch it.kind {
	case feedback:
		return it.author == nd.id && w.mut != noauthor
	case revoke:
		return nd.db.row(it.names) != nil && w.mut != revokehomes
	}
	return false
}

// absorb is one transaction; the letter it returns, if any, is an answer.
func (w *world) absorb(nd *node, l *letter) *letter {
	d := nd.db
	var in, uncovered []*item
	var rej, asY []bool
	strange := false
	for _, pc := range l.items {
		it := pc.it
		if it.kind == receipt {
			in = append(in, it)
			w.insert(nd, it, false)
			if it.author == nd.id {
				continue
			}
			for _, x := range it.of {
				if r := d.row(x); r != nil && r.share[it.author] != unknown {
					w.settle(nd, r, it.author)
				}
			}
			continue
		}
		if !w.isHome(nd, it.leg) && !w.guest(nd, it) {
			w.stats.moved++
			strange = strange || it.kind == revoke
			continue
		}
		in = append(in, it)
		if !w.insert(nd, it, pc.bare) {
			w.stats.duplicate++
		} else {
			if it.author == nd.id {
				w.stats.ownBack++
			}
			if it.kind == assign && w.mut == assignarrival {
				nd.noteAssign(it)
			}
		}
		if r := d.row(it); r.mine != nil {
			nd.again[l.from] = put(nd.again[l.from], r.mine)
		} else if !has(uncovered, it) {
			uncovered = append(uncovered, it)
			bad := it.ver > nd.ver || it.kind == revoke && it.side != it.leg.residence()
			rej = append(rej, bad)
			asY = append(asY, w.home(nd, it.leg.y) == nd.id)
			if bad {
				w.stats.rejected++
			}
		}
	}
	if len(uncovered) > 0 {
		rc := &item{kind: receipt, author: nd.id, of: uncovered, rej: rej, asY: asY, held: w.step + nd.skew, born: w.step}
		if w.lamport {
			rc.held = 0
		}
		w.salt++
		rc.seal(w.salt)
		w.insert(nd, rc, false)
		d.row(rc).share[l.from] = pending
	}
	for _, it := range in {
		w.settle(nd, d.row(it), l.from)
	}
	w.ruleT(nd)
	w.duties(nd)
	w.releaseDrafts(nd, nd.id)
	if l.stmt && w.mut != nostatement {
		return w.compare(nd, l)
	}
	if strange && w.mut != nostatement { // M16: MOVED, with a statement
		r := w.statement(nd, l.from)
		r.reply = true
		return r
	}
	return nil
}

// compare is rule 18 with M6 (wanted bodies) and M13 (the round that opens the gate).
func (w *world) compare(nd *node, l *letter) *letter {
	d, p := nd.db, l.from
	differ, lack := false, false
	for _, x := range l.list {
		if r := d.row(x); r != nil {
			w.settle(nd, r, p)
		} else {
			differ, lack = true, true
		}
	}
	for _, it := range w.pairSet(nd, p) {
		if listed(l.list, it) {
			continue
		}
		differ = true
		r := d.row(it)
		if w.owed(nd, it, p) {
			r.share[p] = pending
			w.stats.unretired++
		} else {
			r.share[p] = unknown
		}
	}
	for _, x := range l.wanted {
		if r := d.row(x); r != nil && r.body == full && w.owed(nd, x, p) {
			r.share[p] = pending
		}
	}
	w.ruleT(nd)
	fresh := l.echo == nd.epoch || w.mut == staleround
	if !w.noFB && fresh && !lack && (!l.sensitive || w.mut == blindround) && l.dir >= d.dir {
		d.gate[p] = nd.epoch
	}
	if l.reply {
		return nil
	}
	r := w.statement(nd, p)
	if !differ && !l.ask && len(r.wanted) == 0 {
		return nil
	}
	r.reply, r.echo = true, l.mine
	return r
}

func (nd *node) noteAssign(it *item) {
	if nd.lastAsgnd == nil {
		nd.lastAsgnd = map[int]int{}
	}
	nd.lastAsgnd[it.leg.n] = it.area
}

// verbs lists what nd's desk would allow on a case (rule 24).
func (w *world) verbs(nd *node, k *leg) []*item {
	s := w.fold(nd, k, false)
	if s.St == stNone {
		return nil
	}
	op, rc := w.home(nd, k.x) == nd.id, w.home(nd, k.y) == nd.id
	var o []*item
	add := func(kd kind, side uint8, body string, round int) *item {
		it := &item{leg: k, kind: kd, side: side, body: body, round: round, ver: 1, area: none}
		o = append(o, it)
		return it
	}
	my := sideX
	if rc && !op {
		my = sideY
	}
	if op && s.St == stOpen {
		add(withdraw, sideX, "", s.Round)
		add(correct, sideX, "", s.Round)
	}
	if rc && s.St == stOpen {
		add(answer, sideY, "RESIDING", s.Round)
		add(answer, sideY, "MISROUTED", s.Round)
		add(assign, sideY, "", s.Round).area = k.y*10 + 1
		if s.Office != k.y {
			add(assign, sideY, "", s.Round).area = k.y*10 + 2
		}
	}
	if rc && s.St == stAnswered {
		add(answer, sideY, "UNREACHABLE", s.Round)
	}
	if (op || rc) && (s.St == stOpen || s.St == stAnswered) {
		add(closing, my, "", s.Round)
		add(note, my, "n", s.Round)
	}
	if rc && w.extends {
		it := add(extend, sideY, "", s.Round)
		it.outage, it.days = 1, 2
		if w.mut != extendsum && extendedBy(nd, k, s.Round, 1) > 0 {
			o = o[:len(o)-1] // it stands
		}
	}
	if (op || rc) && (s.St == stClosed || s.St == stWithdrawn && op && !s.WdParent) {
		add(reopen, my, "", s.Round+1)
	}
	return o
}
