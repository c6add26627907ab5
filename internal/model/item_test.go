package model

import "sort"

const maxNodes = 4

type kind uint8

const (
	open kind = iota
	correct
	note
	answer
	withdraw
	closing
	reopen
	assign
	feedback
	revoke
	receipt
	extend // M17
	report // M18
)

var kindName = [...]string{"OPEN", "CORRECT", "NOTE", "ANSWER", "WITHDRAW", "CLOSE", "REOPEN", "ASSIGN", "FEEDBACK", "REVOKE", "RECEIPT", "EXTEND", "REPORT"}

func (k kind) String() string { return kindName[k] }

// erasable: the kinds that have a body (everything about a person).
func (k kind) erasable() bool {
	return k == open || k == correct || k == note || k == answer || k == feedback
}

const (
	sideX uint8 = iota
	sideY
)

const none = -1

// leg is one case between two areas; a child leg knows its parent.
type leg struct {
	n      int
	x, y   int
	inflow bool // the residence side is X, else Y
	parent *leg
	pround int
	hops   int
	report bool // no case: REPORTs alone, without an OPEN
}

func (k *leg) residence() uint8 {
	if k.inflow {
		return sideX
	}
	return sideY
}

func (k *leg) area(side uint8) int {
	if side == sideX {
		return k.x
	}
	return k.y
}

// item is immutable. All but body is head; the id covers both (rule 3).
type item struct {
	id     uint64
	leg    *leg // nil: receipt
	kind   kind
	side   uint8
	author int
	round  int
	t      int // orders the items of one side
	rec    int // recorded_at, the author's own clock
	ver    int
	area   int   // ANSWER: reroute area or none; ASSIGN: the office
	parent bool  // WITHDRAW written by the duty of rule 22
	local  bool  // the author was home of both areas
	offer  int   // FEEDBACK: the offer round
	names  *item // REVOKE
	outage int   // EXTEND: which; from 1
	days   int   // EXTEND: by how many

	body string

	of   []*item // RECEIPT: the manifest
	rej  []bool
	asY  []bool // the receipt's author was home of the item's Y
	held int

	born int // ghost
}

func (it *item) legN() int {
	if it.leg == nil {
		return 1 << 30
	}
	return it.leg.n
}

func (it *item) cmp(o *item) int {
	if a, b := it.legN(), o.legN(); a != b {
		return a - b
	}
	switch {
	case it.id < o.id:
		return -1
	case it.id > o.id:
		return 1
	}
	return 0
}

func earlier(a, b *item) bool { return a.t < b.t || a.t == b.t && a.id < b.id }

func (it *item) rejects(x *item) bool {
	for i, o := range it.of {
		if o.id == x.id {
			return it.rej[i]
		}
	}
	return false
}

func (it *item) covers(x *item) bool {
	for _, o := range it.of {
		if o.id == x.id {
			return true
		}
	}
	return false
}

type hasher uint64

func (h *hasher) add(v uint64) {
	x := uint64(*h) ^ v
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	*h = hasher(x ^ x>>31)
}

func (h *hasher) str(s string) {
	for i := 0; i < len(s); i++ {
		h.add(uint64(s[i]))
	}
	h.add(uint64(len(s)) << 8)
}

func (it *item) seal(salt int) {
	h := hasher(1)
	for _, v := range []int{it.legN(), int(it.kind), int(it.side), it.author, it.round, it.t, it.rec, it.ver, it.area, it.offer, it.held, salt} {
		h.add(uint64(v))
	}
	if it.parent {
		h.add(77)
	}
	if it.names != nil {
		h.add(it.names.id)
	}
	if it.outage > 0 {
		h.add(uint64(it.outage))
		h.add(uint64(it.days))
	}
	h.str(it.body)
	for i, o := range it.of {
		h.add(o.id)
		if it.rej[i] {
			h.add(78)
		}
	}
	it.id = uint64(h)
}

// What a holder has of an item's body.
const (
	missing uint8 = iota // came as a bare head and was not erased here
	full
	erased // erased here: never comes back
)

const (
	unknown uint8 = iota
	pending
	settled
)

// row is one held item with what the node believes about each peer.
type row struct {
	it         *item
	share      [maxNodes]uint8
	body       uint8
	eff        uint8
	best, mine *item // receipt that decides the verdict; own receipt that covers the item
	deliv      *item // receipt that decides the delivered time (M8)
}

type consent struct{ leg, offer int }

// draft is a feedback that has not left: not an item, so it has no id.
type draft struct {
	leg      *leg
	offer    int
	released bool
}

// db is what a node's PostgreSQL holds; restore puts an old one back.
type db struct {
	rows      []row // by (leg, id); receipts last
	dir       int
	tomb      []uint64 // ids erased here, held or not
	withdrawn []consent
	drafts    []draft
	gate      [maxNodes]int // epoch in which a statement round with the peer was completed
}

func (d *db) clone() *db {
	c := *d
	c.rows = append(make([]row, 0, len(d.rows)+4), d.rows...)
	c.tomb = append([]uint64(nil), d.tomb...)
	c.withdrawn = append([]consent(nil), d.withdrawn...)
	c.drafts = append([]draft(nil), d.drafts...)
	return &c
}

func (d *db) find(it *item) (int, bool) {
	lo, hi := 0, len(d.rows)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if d.rows[m].it.cmp(it) < 0 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < len(d.rows) && d.rows[lo].it.id == it.id
}

func (d *db) row(it *item) *row {
	if i, ok := d.find(it); ok {
		return &d.rows[i]
	}
	return nil
}

func (d *db) spanN(n int) (int, int) {
	lo := sort.Search(len(d.rows), func(i int) bool { return d.rows[i].it.legN() >= n })
	hi := lo
	for hi < len(d.rows) && d.rows[hi].it.legN() == n {
		hi++
	}
	return lo, hi
}

func (d *db) span(k *leg) []row {
	lo, hi := d.spanN(k.n)
	return d.rows[lo:hi]
}

func (d *db) receipts() []row {
	lo, hi := d.spanN(1 << 30)
	return d.rows[lo:hi]
}

func (d *db) legs() []*leg {
	var o []*leg
	for i := range d.rows {
		if k := d.rows[i].it.leg; k != nil && (len(o) == 0 || o[len(o)-1] != k) {
			o = append(o, k)
		}
	}
	return o
}

func has[T comparable](s []T, v T) bool {
	for _, x := range s {
		if x == v {
			return true
		}
	}
	return false
}

func put[T comparable](s []T, v T) []T {
	if has(s, v) {
		return s
	}
	return append(s, v)
}

// insert holds an item, whole or bare; a second arrival has no effect but to
// bring a body that was missing.
func (w *world) insert(nd *node, it *item, bare bool) bool {
	d := nd.db
	i, ok := d.find(it)
	if ok {
		r := &d.rows[i]
		if it.kind.erasable() {
			if !bare && (r.body == missing || w.mut == resurrect && r.body == erased) {
				r.body = full
				w.stats.upgraded++
				w.sawBody(nd, it)
			}
			if bare && w.mut == barewipes && r.body == full {
				r.body = missing
			}
		}
		if w.mut == twice {
			r.eff++
		}
		return false
	}
	r := row{it: it, body: full, eff: 1}
	if it.kind.erasable() {
		if bare {
			r.body = missing
			w.stats.bareNew++
		}
		if has(d.tomb, it.id) && w.mut != notomb {
			r.body = erased
		}
	}
	d.rows = append(d.rows, row{})
	copy(d.rows[i+1:], d.rows[i:])
	d.rows[i] = r
	if w.ever != nil {
		w.ever[nd.id][it.id] = true
	}
	if r.body == full {
		w.sawBody(nd, it)
	}
	if it.kind == receipt {
		for _, x := range it.of {
			if q := d.row(x); q != nil {
				q.see(it, nd.id)
			}
		}
		return true
	}
	rs := d.receipts()
	for j := range rs {
		if rs[j].it.covers(it) {
			d.rows[i].see(rs[j].it, nd.id)
		}
	}
	return true
}

// see keeps the deciding receipt (rule 14) and one's own.
func (r *row) see(rc *item, me int) {
	less := func(o *item) bool { return o == nil || rc.held < o.held || rc.held == o.held && rc.id < o.id }
	if rc.author != r.it.author && less(r.best) {
		r.best = rc
	}
	for i, o := range rc.of {
		if o.id == r.it.id && rc.asY[i] && rc.author != r.it.author && less(r.deliv) {
			r.deliv = rc
		}
	}
	if rc.author == me && less(r.mine) {
		r.mine = rc
	}
}

func (w *world) sawBody(nd *node, it *item) {
	if w.bodies != nil && it.kind.erasable() {
		w.bodies[nd.id][it.id] = true
	}
}
