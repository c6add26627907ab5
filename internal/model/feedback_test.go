package model

const (
	released     = "RELEASED"
	noDisclosure = "NO_DISCLOSURE"
)

// gateOpen: M13, a statement round with p was completed since the database started.
func (w *world) gateOpen(nd *node, p int) bool {
	return p == nd.id || nd.db.gate[p] == nd.epoch || w.mut == feedbackearly
}

// mayLeave: a FEEDBACK's body goes freely only back to its own side.
func (w *world) mayLeave(nd *node, it *item, p int) bool {
	return w.gateOpen(nd, p) || w.ofYours(nd, it, p)
}

// ofYours: is it a FEEDBACK or REVOKE of p's own side?
func (w *world) ofYours(nd *node, it *item, p int) bool {
	return (it.kind == feedback || it.kind == revoke) && (it.author == p || w.home(nd, it.leg.area(it.leg.residence())) == p)
}

// disclosed: M11. An inflow case is disclosed by its opening.
func disclosed(s state, k *leg) bool {
	return s.St != stNone && s.St != stWithdrawn && (k.inflow || s.Ans == "RESIDING")
}

// holdsOffer: M12, a FEEDBACK of the case and round is held, or a REVOKE of one.
func (w *world) holdsOffer(nd *node, k *leg, offer int) bool {
	rs := nd.db.span(k)
	for i := range rs {
		it := rs[i].it
		if it.kind == feedback && it.offer == offer {
			return true
		}
		if it.kind == revoke && validRevoke(it) && it.side == k.residence() && it.names.offer == offer && w.mut != revokeblind {
			return true
		}
	}
	return false
}

// endRound: M11, the instant of an offer round (or its repetition by a job
// that was restored): one draft per case and round.
func (w *world) endRound(nd *node, offer int, released func() bool) {
	d := nd.db
	for _, k := range d.legs() {
		if w.home(nd, k.area(k.residence())) != nd.id || !disclosed(w.fold(nd, k, false), k) || w.holdsOffer(nd, k, offer) {
			continue
		}
		dup := false
		for _, dr := range d.drafts {
			dup = dup || dr.leg == k && dr.offer == offer
		}
		if !dup {
			rel := released() && !has(d.withdrawn, consent{k.n, offer})
			d.drafts = append(d.drafts, draft{k, offer, rel})
		}
	}
	w.releaseDrafts(nd, nd.id)
}

// releaseDrafts: M12, a draft becomes an item in the transaction of its first
// attempt, with the consent read in that transaction.
func (w *world) releaseDrafts(nd *node, p int) {
	d := nd.db
	var keep []draft
	todo := d.drafts
	d.drafts = nil
	for _, dr := range todo {
		k := dr.leg
		res := k.residence()
		switch {
		case w.home(nd, k.area(res)) != nd.id || w.holdsOffer(nd, k, dr.offer):
		case w.home(nd, k.area(1-res)) != p || !w.gateOpen(nd, p) || !disclosed(w.fold(nd, k, false), k):
			keep = append(keep, dr)
		default:
			body := noDisclosure
			if dr.released && !has(d.withdrawn, consent{k.n, dr.offer}) {
				body = released
			}
			w.author(nd, &item{leg: k, kind: feedback, side: res, round: 1, ver: 1, area: none, offer: dr.offer, rec: dr.offer, body: body})
			w.stats.feedbacks++
		}
	}
	d.drafts = keep
}

// withdrawConsent: M14. The journal is written first, then the database.
func (w *world) withdrawConsent(nd *node, c consent) {
	nd.jWithdrawn = put(nd.jWithdrawn, c)
	w.gone[c] = true
	w.stats.withdrawals++
	w.applyWithdrawal(nd, c)
	w.duties(nd)
}

func (w *world) applyWithdrawal(nd *node, c consent) {
	d := nd.db
	d.withdrawn = put(d.withdrawn, c)
	for i := range d.drafts {
		if d.drafts[i].leg.n == c.leg && d.drafts[i].offer == c.offer {
			d.drafts[i].released = false
		}
	}
}

// revokeDuty: M14 and M16. A FEEDBACK whose consent is withdrawn here is named
// by a REVOKE and erased; a FEEDBACK named by a valid REVOKE is erased.
func (w *world) revokeDuty(nd *node) bool {
	did := false
	for _, k := range nd.db.legs() {
		rs := nd.db.span(k)
		var rvs, todo, gone []*item
		for i := range rs {
			if rs[i].it.kind == revoke && !w.rejected(nd, &rs[i]) {
				rvs = append(rvs, rs[i].it)
			}
		}
		for i := range rs {
			r := &rs[i]
			named := false
			for _, rv := range rvs {
				named = named || rv.names.id == r.it.id && (validRevoke(rv) || w.mut == revokeany)
			}
			if named && r.body != erased && r.it.kind.erasable() {
				gone = append(gone, r.it)
			}
			if !named && r.it.kind == feedback && has(nd.db.withdrawn, consent{k.n, r.it.offer}) && (r.body != full || r.it.body == released) {
				todo = append(todo, r.it)
			}
		}
		for _, it := range gone {
			w.erase(nd, it)
		}
		for _, it := range todo {
			w.erase(nd, it)
			if w.mut == noreplayrevoke && nd.restored >= 0 {
				continue
			}
			w.author(nd, &item{leg: k, kind: revoke, side: it.side, round: 1, ver: 1, area: none, names: it})
			w.stats.revokes++
			did = true
		}
	}
	return did
}

// erase: M4. Journal first, then nonce and body go, the head stays (I8).
func (w *world) erase(nd *node, it *item) {
	r := nd.db.row(it)
	if r == nil || r.body == erased || !it.kind.erasable() {
		return
	}
	was := w.fold(nd, it.leg, false).heads
	nd.jTomb = put(nd.jTomb, it.id)
	nd.db.tomb = put(nd.db.tomb, it.id)
	r.body = erased
	nd.erasedEv[it.id] = true
	w.stats.erasures++
	if now := w.fold(nd, it.leg, false).heads; now != was {
		w.bad("I8 erasing %s at %d changed %+v to %+v", it.kind, nd.id, was, now)
	}
}

func (w *world) eraseCase(nd *node, k *leg) {
	rs := nd.db.span(k)
	for i := range rs {
		w.erase(nd, rs[i].it)
	}
}

// startDB: the database started again, nothing lost.
func (w *world) startDB(nd *node) {
	w.epochs++
	nd.epoch = w.epochs
	for p := range nd.again {
		nd.again[p] = nil
	}
}

// restore puts the node back to its snapshot and replays the journal (M5).
func (w *world) restore(nd *node, loseJournal bool) {
	nd.db = nd.snap.clone()
	nd.restored = w.step
	nd.lastAsgnd = nil
	w.startDB(nd)
	w.stats.restores++
	if w.bodies != nil {
		w.bodies[nd.id] = map[uint64]bool{}
		for i := range nd.db.rows {
			if nd.db.rows[i].body == full {
				w.sawBody(nd, nd.db.rows[i].it)
			}
		}
	}
	for _, o := range w.n {
		o.knewGone[nd.id] = nil
	}
	if loseJournal {
		w.stats.lostJournals++
		w.loseJournal(nd)
	}
	if w.mut == nojournal {
		return
	}
	for _, id := range nd.jTomb {
		nd.db.tomb = put(nd.db.tomb, id)
	}
	for i := range nd.db.rows {
		if r := &nd.db.rows[i]; r.body != erased && r.it.kind.erasable() && has(nd.db.tomb, r.it.id) {
			r.body = erased
		}
	}
	for _, c := range nd.jWithdrawn {
		w.applyWithdrawal(nd, c)
	}
	w.duties(nd)
}

// loseJournal keeps the ghosts honest: what database and journal both forgot
// is promised only as far as a peer remembers it (I9).
func (w *world) loseJournal(nd *node) {
	d := nd.db
	nd.jTomb = append([]uint64(nil), d.tomb...)
	nd.jWithdrawn = append([]consent(nil), d.withdrawn...)
	nd.erasedEv = map[uint64]bool{}
	for _, id := range d.tomb {
		nd.erasedEv[id] = true
	}
	for c := range w.gone {
		if w.offers != nil && w.offers[c.offer] == nd.id && !has(d.withdrawn, c) {
			w.gone[c] = false
		}
	}
	for p, o := range w.n {
		nd.knewGone[p] = nil
		if p == nd.id {
			continue
		}
		for i := range o.db.rows {
			it := o.db.rows[i].it
			if it.leg == nil || w.home(nd, it.leg.area(it.leg.residence())) != nd.id || w.home(o, it.leg.area(it.leg.residence())) != nd.id {
				continue
			}
			if it.kind == revoke && validRevoke(it) {
				nd.knewGone[p] = append(nd.knewGone[p], goneAt{consent{it.leg.n, it.names.offer}, it.names.id})
			}
			if it.kind == feedback && it.body == noDisclosure {
				nd.knewGone[p] = append(nd.knewGone[p], goneAt{consent{it.leg.n, it.offer}, it.id})
			}
		}
	}
}

// leakCheck is the wire's half of I7 and I9.
func (w *world) leakCheck(nd *node, l *letter) {
	for _, pc := range l.items {
		it := pc.it
		if pc.bare || !it.kind.erasable() {
			continue
		}
		if nd.erasedEv[it.id] {
			w.bad("I7 %d sends %s %x that it erased", nd.id, it.kind, it.id)
		}
		if it.kind != feedback || it.body != released || w.offers[it.offer] != nd.id {
			continue
		}
		c := consent{it.leg.n, it.offer}
		if w.gone[c] {
			w.bad("I9 %d sends released %x after the withdrawal", nd.id, it.id)
		}
		for _, g := range nd.knewGone[l.to] {
			if g.c == c {
				w.bad("I9 %d sends released %x, of which %d knew the end before the restore", nd.id, it.id, l.to)
			}
		}
	}
}
