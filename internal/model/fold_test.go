package model

const (
	stNone = iota
	stOpen
	stAnswered
	stRerouted
	stWithdrawn
	stClosed
)

// heads is what a fold reads from heads alone; equal at both ends whatever was erased.
type heads struct {
	St, Round, Deliv  int
	Reroute           int
	OnTime            bool
	Office, OfficeDue int
	Extended          int    // days of the round
	AllExtended       uint64 // of every round
	WdParent          bool
	Feedback          uint64 // the shown FEEDBACK of every offer round
}

type state struct {
	heads
	Fields string
	Ans    string
	Whole  bool // every body that Fields and Ans are made of is held
}

// validRevoke: M15, only a FEEDBACK of its own case and side.
func validRevoke(rv *item) bool {
	return rv.names.kind == feedback && rv.names.leg == rv.leg && rv.names.side == rv.side
}

func (w *world) rejected(nd *node, r *row) bool {
	if w.mut == localverdict {
		// by one's own last receipt, else by the last of anybody
		var own, any *item
		rs := nd.db.receipts()
		for i := range rs {
			rc := rs[i].it
			if rc.author == r.it.author || !rc.covers(r.it) {
				continue
			}
			if any == nil || rc.held > any.held {
				any = rc
			}
			if rc.author == nd.id && (own == nil || rc.held > own.held) {
				own = rc
			}
		}
		if own == nil {
			own = any
		}
		return own != nil && own.rejects(r.it)
	}
	return r.best != nil && r.best.rejects(r.it)
}

// extended is M17: by how many days each round was put off: of one outage the
// most that an EXTEND says, of all together maxExtended.
func extended(w *world, nd *node, its []*row) map[int]int {
	type of struct{ round, outage int }
	var most map[of]int
	for _, r := range its {
		it := r.it
		if it.kind != extend || w.mut == extendown && it.author != nd.id {
			continue
		}
		if most == nil {
			most = map[of]int{}
		}
		k := of{it.round, it.outage}
		if w.mut == extendsum {
			most[k] += it.days
		} else {
			most[k] = max(most[k], it.days)
		}
	}
	var sum map[int]int
	for k, days := range most {
		if sum == nil {
			sum = map[int]int{}
		}
		sum[k.round] = min(maxExtended, sum[k.round]+days)
	}
	return sum
}

// fold is rule 23 with M8 to M10 and M17; a leg of REPORTs (M18) has no OPEN and
// folds to nothing. plain leaves FEEDBACK and REVOKE out (I10).
func (w *world) fold(nd *node, k *leg, plain bool) state {
	rs := nd.db.span(k)
	s := state{heads: heads{Round: 1, Deliv: none, Reroute: none, Office: none, OfficeDue: none, WdParent: true}, Whole: true}
	var stack [24]*row
	its := stack[:0]
	for i := range rs {
		r := &rs[i]
		if w.rejected(nd, r) || plain && (r.it.kind == feedback || r.it.kind == revoke) || w.mut == foldbody && r.body != full {
			continue
		}
		gone := false
		for j := range rs {
			rv := rs[j].it
			if !plain && rv.kind == revoke && rv.names.id == r.it.id && (validRevoke(rv) || w.mut == revokeany) && !w.rejected(nd, &rs[j]) {
				gone = true
			}
		}
		if !gone {
			its = append(its, r)
		}
	}
	for i := 1; i < len(its); i++ {
		for j := i; j > 0 && earlier(its[j].it, its[j-1].it); j-- {
			its[j], its[j-1] = its[j-1], its[j]
		}
	}
	put := extended(w, nd, its)
	var opening *row
	for _, r := range its {
		if r.it.kind == open && opening == nil {
			opening = r
		}
		if r.it.kind == reopen && r.it.round > s.Round {
			s.Round = r.it.round
		}
	}
	if opening == nil {
		return s
	}
	text := func(r *row) string {
		if r.body != full {
			s.Whole = false
			return "?"
		}
		return r.it.body
	}
	s.Fields = text(opening)
	s.Office = k.y
	var ans, asg *row
	var closed, wd bool
	first := none
	for i, r := range its {
		it := r.it
		switch it.kind {
		case correct:
			s.Fields = text(r)
		case note:
			s.Fields += "," + text(r)
		case answer:
			if it.round == s.Round {
				ans = r
				if first == none || it.rec < first {
					first = it.rec
				}
			}
		case closing:
			closed = closed || it.round == s.Round
		case withdraw:
			if it.round == s.Round {
				wd = true
				s.WdParent = s.WdParent && it.parent
			}
		case assign:
			asg = r
		case feedback:
			last := true
			for _, o := range its[i+1:] {
				last = last && (o.it.kind != feedback || o.it.offer != it.offer)
			}
			if last {
				h := hasher(it.id)
				h.add(uint64(it.offer))
				s.Feedback ^= uint64(h)
			}
		}
		if it.kind == open && s.Round == 1 || it.kind == reopen && it.round == s.Round {
			d := none
			if it.local || it.side == sideY {
				d = it.rec
			} else if r.deliv != nil {
				d = r.deliv.held
			}
			if d != none && (s.Deliv == none || d < s.Deliv) {
				s.Deliv = d
			}
		}
	}
	if asg != nil {
		s.Office = asg.it.area
		if n, ok := nd.lastAsgnd[k.n]; w.mut == assignarrival && ok {
			s.Office = n
		}
		s.OfficeDue = max(asg.it.rec, s.Deliv) + officeLimit
	}
	for n, days := range put {
		h := hasher(n)
		h.add(uint64(days))
		s.AllExtended ^= uint64(h)
	}
	s.Extended = put[s.Round]
	s.OnTime = ans != nil && s.Deliv != none && first <= s.Deliv+limit+s.Extended*dayLength
	if ans != nil {
		s.Ans = text(ans)
		s.Reroute = ans.it.area
	}
	switch {
	case closed:
		s.St = stClosed
	case ans != nil && s.Reroute != none:
		s.St = stRerouted
	case ans != nil:
		s.St = stAnswered
	case wd:
		s.St = stWithdrawn
	default:
		s.St = stOpen
	}
	return s
}
