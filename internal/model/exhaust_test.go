package model

import (
	"fmt"
	"maps"
	"sync"
)

// search is one bounded, complete exploration of two nodes and one case: every
// order of verbs, attempts, statements, snapshots, restores and deliveries.
// Letters stay in the net for ever, so loss, repetition, reordering and replay
// are all among the orders.
type search struct {
	name     string
	mut      mutant
	start    func(mutant) *world
	verb     func(*item) bool // which of the desk's verbs take part
	maxV     int              // verbs per node
	erase    bool             // each node may erase the case once
	feedback bool             // an offer round, one withdrawal, loss of the journal
	depth    int
	states   int // 0: no bound
}

type found struct {
	states, transitions, closures, depth int
	left                                 int
	violation                            string
}

type place struct {
	w                  *world
	vn, rn, en, on, sn [2]uint8
	trace              string
}

func (w *world) clone() *world {
	c := *w
	c.net = append(make([]*letter, 0, len(w.net)+1), w.net...)
	c.viol = nil
	c.n = make([]*node, len(w.n))
	c.gone = make(map[consent]bool, len(w.gone))
	for k, v := range w.gone {
		c.gone[k] = v
	}
	for i, nd := range w.n {
		m := *nd
		m.db = nd.db.clone()
		for p := range m.again {
			m.again[p] = append([]*item(nil), nd.again[p]...)
			m.knewGone[p] = append([]goneAt(nil), nd.knewGone[p]...)
		}
		m.jTomb = append([]uint64(nil), nd.jTomb...)
		m.jWithdrawn = append([]consent(nil), nd.jWithdrawn...)
		m.erasedEv = make(map[uint64]bool, len(nd.erasedEv))
		for k, v := range nd.erasedEv {
			m.erasedEv[k] = v
		}
		m.lastAsgnd = maps.Clone(nd.lastAsgnd)
		c.n[i] = &m
	}
	return &c
}

func (l *letter) hash() uint64 {
	h := hasher(l.from*2 + l.to)
	for _, b := range []bool{l.stmt, l.reply, l.ask, l.sensitive} {
		h.add(1)
		if b {
			h.add(2)
		}
	}
	h.add(uint64(l.mine)<<16 | uint64(l.echo))
	for _, pc := range l.items {
		h.add(pc.it.id)
		if pc.bare {
			h.add(3)
		}
	}
	for _, it := range l.list {
		h.add(it.id)
	}
	h.add(4)
	for _, it := range l.wanted {
		h.add(it.id)
	}
	return uint64(h)
}

func (d *db) hash() uint64 {
	if d == nil {
		return 5
	}
	h := hasher(6)
	for i := range d.rows {
		r := &d.rows[i]
		h.add(r.it.id)
		h.add(uint64(r.body)<<16 | uint64(r.share[0])<<8 | uint64(r.share[1]))
	}
	var set uint64
	for _, id := range d.tomb {
		e := hasher(id)
		e.add(7)
		set += uint64(e)
	}
	h.add(set)
	h.add(uint64(len(d.withdrawn)))
	for _, dr := range d.drafts {
		h.add(uint64(dr.offer))
		if dr.released {
			h.add(8)
		}
	}
	h.add(uint64(d.gate[0])<<8 | uint64(d.gate[1]))
	return uint64(h)
}

// key is 128 bits of the state, ghosts included.
func (s *place) key() [2]uint64 {
	var k [2]uint64
	for j := range k {
		h := hasher(j + 10)
		for i, nd := range s.w.n {
			h.add(uint64(s.vn[i]) | uint64(s.rn[i])<<8 | uint64(s.en[i])<<16 | uint64(s.on[i])<<24 | uint64(s.sn[i])<<32)
			h.add(nd.db.hash())
			h.add(nd.snap.hash())
			h.add(uint64(nd.epoch))
			var a uint64
			for p := range nd.again {
				for _, it := range nd.again[p] {
					a += it.id * 31
				}
				for _, g := range nd.knewGone[p] {
					a += g.name * 37
				}
			}
			for id := range nd.erasedEv {
				a += id * 41
			}
			for _, id := range nd.jTomb {
				a += id * 43
			}
			h.add(a + uint64(len(nd.jWithdrawn)))
		}
		for _, v := range s.w.gone {
			h.add(9)
			if v {
				h.add(10)
			}
		}
		var set uint64
		for _, l := range s.w.net {
			e := hasher(l.hash())
			e.add(uint64(j))
			set += uint64(e)
		}
		h.add(set)
		k[j] = uint64(h)
	}
	return k
}

// post puts a letter into the net, which keeps each distinct letter once.
func (w *world) post(l *letter) bool {
	k := l.hash()
	for _, o := range w.net {
		if o.hash() == k {
			return false
		}
	}
	w.net = append(w.net, l)
	return true
}

// closure: from here the faults stop, with all old letters replayed and with none.
func (s *place) closure() string {
	for _, replay := range []bool{true, false} {
		c := s.w.clone()
		if !replay {
			c.net = nil
		}
		c.quiesce(nil)
		if len(c.viol) > 0 {
			return fmt.Sprintf("%s; quiet (replay %v): %s", s.trace, replay, c.viol[0])
		}
	}
	return ""
}

// next calls yield with every successor.
func (x *search) next(s *place, yield func(*place)) {
	step := func(salt int, label string, do func(*place) bool) {
		t := &place{w: s.w.clone(), vn: s.vn, rn: s.rn, en: s.en, on: s.on, sn: s.sn}
		t.w.step++
		t.w.salt = salt
		if do(t) {
			t.w.stepCheck()
			t.trace = s.trace + " " + label
			yield(t)
		}
	}
	for i, nd := range s.w.n {
		v := int(s.vn[i])
		if v < x.maxV && x.verb != nil {
			for vi, it := range s.w.verbs(nd, s.w.legs[0]) {
				if !x.verb(it) {
					continue
				}
				step(100*i+10*v, fmt.Sprint(i, ":", it.kind), func(t *place) bool {
					it := t.w.verbs(t.w.n[i], t.w.legs[0])[vi]
					if it.kind.erasable() && it.kind != answer {
						it.body += fmt.Sprint("#", v)
					}
					t.w.author(t.w.n[i], it)
					if it.kind == assign && t.w.mut == assignarrival {
						t.w.n[i].noteAssign(it)
					}
					t.vn[i]++
					return true
				})
			}
		}
		rn := int(s.rn[i])
		step(7000+100*i+rn, fmt.Sprint(i, ":send"), func(t *place) bool {
			l := t.w.pump(t.w.n[i], 1-i, -1)
			if l == nil {
				return false
			}
			t.w.post(l)
			return true
		})
		step(0, fmt.Sprint(i, ":state"), func(t *place) bool { return t.w.post(t.w.statement(t.w.n[i], 1-i)) })
		if nd.snap == nil {
			step(0, fmt.Sprint(i, ":snap"), func(t *place) bool {
				t.w.n[i].snap = t.w.n[i].db.clone()
				return true
			})
		} else if rn < 1 {
			for _, lose := range []bool{false, true} {
				if lose && !x.feedback {
					continue
				}
				step(5000+100*i, fmt.Sprint(i, ":restore", lose), func(t *place) bool {
					t.w.restore(t.w.n[i], lose)
					t.rn[i]++
					t.w.n[i].epoch = 10*(i+1) + 1
					return true
				})
			}
		}
		if x.erase && s.en[i] < 1 {
			step(0, fmt.Sprint(i, ":erase"), func(t *place) bool {
				t.w.eraseCase(t.w.n[i], t.w.legs[0])
				t.en[i]++
				return true
			})
		}
		if x.feedback && i == 0 && s.on[i] < 1 {
			step(7000+100*i+rn, fmt.Sprint(i, ":round"), func(t *place) bool {
				t.w.endRound(t.w.n[i], 1, func() bool { return true })
				t.on[i]++
				return true
			})
		}
		if x.feedback && i == 0 && s.on[i] == 1 && s.sn[i] < 1 {
			step(8000+100*i+rn, fmt.Sprint(i, ":withdraw"), func(t *place) bool {
				t.w.withdrawConsent(t.w.n[i], consent{1, 1})
				t.sn[i]++
				return true
			})
		}
	}
	for li, l := range s.w.net {
		step(1000+1000*int(s.rn[l.to])+100*l.to, fmt.Sprint(l.to, "<-", li), func(t *place) bool {
			if r := t.w.absorb(t.w.n[l.to], l); r != nil {
				t.w.post(r)
			}
			return true
		})
	}
}

// run explores breadth first with two workers, layer by layer.
func (x *search) run() found {
	var f found
	var mu sync.Mutex
	first := &place{w: x.start(x.mut)}
	seen := map[[2]uint64]bool{first.key(): true}
	layer := []*place{first}
	for ; len(layer) > 0 && f.violation == ""; f.depth++ {
		if x.states > 0 && f.states+len(layer) > x.states {
			layer = layer[:max(0, x.states-f.states)]
		}
		var later []*place
		var wg sync.WaitGroup
		for g := range 2 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := g; i < len(layer); i += 2 {
					s := layer[i]
					layer[i] = nil
					viol, trans := s.closure(), 0
					var out []*place
					if f.depth < x.depth {
						x.next(s, func(t *place) {
							trans++
							if len(t.w.viol) > 0 && viol == "" {
								viol = t.trace + ": " + t.w.viol[0]
							}
							out = append(out, t)
						})
					}
					mu.Lock()
					f.states++
					f.closures += 2
					f.transitions += trans
					if viol != "" && f.violation == "" {
						f.violation = viol
					}
					for _, t := range out {
						if k := t.key(); !seen[k] {
							seen[k] = true
							later = append(later, t)
						}
					}
					stop := f.violation != ""
					mu.Unlock()
					if stop {
						return
					}
				}
			}()
		}
		wg.Wait()
		layer = later
		if x.states > 0 && f.states >= x.states {
			f.left = len(later)
			break
		}
	}
	return f
}
