package model

import "fmt"

// mutant names a rule that is broken on purpose.
type mutant string

const (
	sound          mutant = ""
	puback         mutant = "puback"         // 15: retire when the broker took it
	nostatement    mutant = "nostatement"    // 17
	noreturn       mutant = "noreturn"       // 11: nothing goes back to its author
	noreceiptset   mutant = "noreceiptset"   // 14: receipts outside the stated set
	homesonly      mutant = "homesonly"      // 19: only current homes state
	localverdict   mutant = "localverdict"   // 14: each node goes by its own last verdict
	twice          mutant = "twice"          // 13: effects not keyed by item id
	resurrect      mutant = "resurrect"      // M3: an eraser takes the body back
	barewipes      mutant = "barewipes"      // M3: a bare head wipes a held body
	notomb         mutant = "notomb"         // M4: erasures known only for held items
	nojournal      mutant = "nojournal"      // M5: no replay after a restore
	nowanted       mutant = "nowanted"       // M6: nobody asks for a missing body
	foldbody       mutant = "foldbody"       // M2: the state is read from bodies
	feedbackearly  mutant = "feedbackearly"  // M13: no gate
	staleround     mutant = "staleround"     // M13: an old statement completes a round
	blindround     mutant = "blindround"     // M13: a round completes while revocations are pending
	revokeany      mutant = "revokeany"      // M15: REVOKE names anything
	revokehomes    mutant = "revokehomes"    // M16: REVOKE goes to current homes only
	noreplayrevoke mutant = "noreplayrevoke" // M14: REVOKE is written once, not a duty
	revokeblind    mutant = "revokeblind"    // M12: a REVOKE alone does not end a draft
	noauthor       mutant = "noauthor"       // M16: FEEDBACK is not owed to an author that lost its area
	assignarrival  mutant = "assignarrival"  // M9: the office is read from arrival, not (t, id)
	extendsum      mutant = "extendsum"      // M17: every EXTEND of an outage adds up
	extendown      mutant = "extendown"      // M17: a node counts only what it wrote itself
	reporthidden   mutant = "reporthidden"   // M18: a former home does not pass reports on
)

var mutants = []mutant{
	puback, nostatement, noreturn, noreceiptset, homesonly, localverdict, twice, resurrect, barewipes, notomb, nojournal,
	nowanted, foldbody, feedbackearly, staleround, blindround, revokeany, revokehomes, noreplayrevoke, revokeblind, noauthor, assignarrival,
	extendsum, extendown, reporthidden,
}

const (
	limit       = 60 // of a case, in model time
	officeLimit = 30 // of an office after ASSIGN
	dayLength   = 10 // that an EXTEND puts off by, in model time
	maxExtended = 8  // days, of one round
)

type node struct {
	id, skew, ver int
	db, snap      *db
	epoch         int // changes with every start of the database
	again         [maxNodes][]*item
	jTomb         []uint64 // the erasure journal, outside the database
	jWithdrawn    []consent

	restored  int                // ghost: step of the last restore
	erasedEv  map[uint64]bool    // ghost: erased here, the journal never lost since
	knewGone  [maxNodes][]goneAt // ghost: what each peer knew as withdrawn when the journal was lost
	lastAsgnd map[int]int        // mutant assignarrival only
}

// goneAt: a consent whose end the peer holds (a REVOKE, or NO_DISCLOSURE in its place).
type goneAt struct {
	c    consent
	name uint64
}

type parcel struct {
	it   *item
	bare bool
}

// letter is what crosses the wire: a parcel of items, or a statement.
type letter struct {
	from, to     int
	items        []parcel // receipts first
	stmt, reply  bool
	list, wanted []*item
	mine, echo   int  // nonces of the sender's and the receiver's database start
	ask          bool // the sender wants a reply in any case
	sensitive    bool // FEEDBACK or REVOKE of the receiver's side still pending towards it
	dir          int
}

type tally struct {
	authored, moved, duplicate, ownBack, rejected, unretired, restores, wipes, rehomings, letters     int
	rounds, erasures, upgraded, bareNew, feedbacks, revokes, withdrawals, lostJournals, assigns, kids int
	gated, extends, reports, extendedTwice                                                            int
}

type world struct {
	n       []*node
	net     []*letter
	step    int
	dirs    [][]int // directory versions: area → node
	legs    []*leg
	salt    int
	epochs  int
	offers  []int // offer round → node that held it
	outages []int // outage, from 1 → days that it takes
	extends bool  // EXTEND is among the verbs of a search
	lamport bool
	noFB    bool // statements carry no nonces (search without feedback)
	lossy   bool // the journal may be lost with the database
	mut     mutant
	pf      profile
	viol    []string
	stats   tally
	ever    []map[uint64]bool // ghost: what each node ever durably held; nil in the search
	bodies  []map[uint64]bool // ghost: whose body each node held since its last restore; nil in the search
	gone    map[consent]bool  // ghost: withdrawn consents; false when journal and database both lost it
}

func newWorld(k int, mut mutant) *world {
	w := &world{mut: mut, gone: map[consent]bool{}}
	for i := 0; i < k; i++ {
		w.epochs++
		w.n = append(w.n, &node{id: i, db: &db{}, ver: 1, restored: -1, epoch: w.epochs, erasedEv: map[uint64]bool{}})
	}
	return w
}

func (w *world) bad(f string, a ...any) {
	if len(w.viol) < 20 {
		w.viol = append(w.viol, fmt.Sprintf(f, a...))
	}
}

func (w *world) home(nd *node, area int) int { return w.dirs[nd.db.dir][area] }

func (w *world) isHome(nd *node, k *leg) bool {
	return w.home(nd, k.x) == nd.id || w.home(nd, k.y) == nd.id
}

func (w *world) newLeg(x, y int, inflow bool) *leg {
	k := &leg{n: len(w.legs) + 1, x: x, y: y, inflow: inflow}
	w.legs = append(w.legs, k)
	return k
}

func (w *world) child(k *leg, round, y int) *leg {
	for _, c := range w.legs {
		if c.parent == k && c.pround == round && c.y == y {
			return c
		}
	}
	c := w.newLeg(k.x, y, k.inflow)
	c.parent, c.pround, c.hops = k, round, k.hops+1
	return c
}

// settle is the only way a row becomes settled; it checks I1.
func (w *world) settle(nd *node, r *row, p int) {
	r.share[p] = settled
	if w.ever != nil && r.it.kind != receipt && !w.ever[p][r.it.id] {
		w.bad("I1 %d settled %s %x but %d never held it", nd.id, r.it.kind, r.it.id, p)
	}
}

// homeOf: is p, in nd's directory, a home of a case of the item?
func (w *world) homeOf(nd *node, it *item, p int) bool {
	if it.kind != receipt {
		return w.home(nd, it.leg.x) == p || w.home(nd, it.leg.y) == p
	}
	for _, x := range it.of {
		if (w.home(nd, x.leg.x) == p || w.home(nd, x.leg.y) == p) && nd.db.row(x) != nil {
			return true
		}
	}
	return false
}

// owed: rule T with M16, a REVOKE follows every row of the FEEDBACK it names.
func (w *world) owed(nd *node, it *item, p int) bool {
	if w.mut == reporthidden && it.leg != nil && it.leg.report && !w.homeOf(nd, it, nd.id) {
		return false
	}
	if w.homeOf(nd, it, p) || it.kind == feedback && it.author == p && w.mut != noauthor {
		return true
	}
	if it.kind == revoke && w.mut != revokehomes {
		if q := nd.db.row(it.names); q != nil && validRevoke(it) && q.share[p] == settled {
			return true
		}
	}
	return false
}

func (w *world) ruleT(nd *node) {
	d := nd.db
	for i := range d.rows {
		r := &d.rows[i]
		for p := range w.n {
			if p == nd.id || r.share[p] != unknown || !w.owed(nd, r.it, p) {
				continue
			}
			r.share[p] = pending
			if r.it.kind == receipt && r.it.author == p {
				r.share[p] = settled
			}
		}
	}
}

func (w *world) author(nd *node, it *item) {
	it.author = nd.id
	it.born = w.step
	t := 0
	if !w.lamport {
		t = w.step + nd.skew
		if it.kind != feedback {
			it.rec = t
		}
	}
	rs := nd.db.span(it.leg)
	for i := range rs {
		if rs[i].it.t >= t {
			t = rs[i].it.t + 1
		}
	}
	it.t = t
	it.local = w.home(nd, it.leg.x) == nd.id && w.home(nd, it.leg.y) == nd.id
	w.salt++
	it.seal(w.salt)
	w.insert(nd, it, false)
	w.stats.authored++
	w.ruleT(nd)
}

// pairSet: what nd believes that both it and p hold, in row order.
func (w *world) pairSet(nd *node, p int) []*item {
	var o []*item
	for i := range nd.db.rows {
		r := &nd.db.rows[i]
		if r.share[p] != settled || w.mut == noreceiptset && r.it.kind == receipt {
			continue
		}
		if w.mut == homesonly && !w.pairHomes(nd, r.it, p) {
			continue
		}
		o = append(o, r.it)
	}
	return o
}

func (w *world) pairHomes(nd *node, it *item, p int) bool {
	its := it.of
	if it.kind != receipt {
		its = []*item{it}
	}
	for _, x := range its {
		hx, hy := w.home(nd, x.leg.x), w.home(nd, x.leg.y)
		if nd.db.row(x) != nil && (hx == nd.id && hy == p || hy == nd.id && hx == p) {
			return true
		}
	}
	return false
}

func sameItems(a, b []*item) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].id != b[i].id {
			return false
		}
	}
	return true
}

func listed(l []*item, it *item) bool {
	lo, hi := 0, len(l)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if l[m].cmp(it) < 0 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo < len(l) && l[lo].id == it.id
}

func (t *tally) add(o tally) {
	t.authored += o.authored
	t.moved += o.moved
	t.duplicate += o.duplicate
	t.ownBack += o.ownBack
	t.rejected += o.rejected
	t.unretired += o.unretired
	t.restores += o.restores
	t.wipes += o.wipes
	t.rehomings += o.rehomings
	t.letters += o.letters
	t.rounds = max(t.rounds, o.rounds)
	t.erasures += o.erasures
	t.upgraded += o.upgraded
	t.bareNew += o.bareNew
	t.feedbacks += o.feedbacks
	t.revokes += o.revokes
	t.withdrawals += o.withdrawals
	t.lostJournals += o.lostJournals
	t.assigns += o.assigns
	t.kids += o.kids
	t.gated += o.gated
	t.extends += o.extends
	t.reports += o.reports
	t.extendedTwice += o.extendedTwice
}
