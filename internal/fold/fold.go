// Package fold owns what a set of items means: the pure fold of PROTOCOL rule
// 23, the verbs that a state allows, duties (rule 22) and the instants that
// rates count. Order of arrival never matters: equal sets fold equally, on any
// node, for ever. It reads heads only and does no I/O.
package fold

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// MaxHops is how many reroutes follow each other by themselves; after that a
// person at the opener decides (rule 22).
const MaxHops = 3

// MaxRound is the last round of a case: what a peer's REOPEN may name at most.
// Nothing follows it, so that no round number wraps to one already used.
const MaxRound = 1 << 20

// MaxExtension is by how many days outages can put off a due altogether.
const MaxExtension = 60

// Item is one item of a case with the verdict of its deciding receipt: the
// smallest (held_at, id) not written by the item's author (rule 14).
type Item struct {
	ID       cases.ItemID
	Head     cases.Head
	Held     time.Time // zero: no receipt yet
	Rejected bool
}

// delivered is when the other side held the item; zero: not yet.
func (i *Item) delivered() time.Time {
	if i.Head.Local {
		return i.Head.RecordedAt
	}
	return i.Held
}

// Round is one clock of a case, from its OPEN or REOPEN to a terminal answer:
// the unit that rates count.
type Round struct {
	N          uint32
	OpenedAt   time.Time // recorded by the opener
	Delivered  time.Time // zero: not yet
	AnsweredAt time.Time // recording time of the earliest terminal ANSWER
	AnswerHeld time.Time // delivered time of that answer
	// Reroute is the area that the round's last answer names, 0: none.
	Reroute     area.Key
	ReroutedAt  time.Time // recording time of that answer
	WithdrawnAt time.Time // delivered time of the earliest WITHDRAW
	ClosedAt    time.Time // recording time of the earliest CLOSE
	// Extended is by how many days county-signed outages put off the due: for each
	// outage the most that an EXTEND says, all together at most MaxExtension.
	Extended uint32
}

// State is what a set of items folds to.
type State struct {
	Status   cases.Status
	Kind     cases.Kind
	X, Y     area.Key
	Limit    cases.Limit
	Policy   [8]byte
	Urgent   bool
	OpenedAt time.Time // recording time of the OPEN

	Current Round   // the round that the state is about
	Past    []Round // earlier rounds, in order

	Fields   []cases.ItemID // OPEN, then CORRECTs in (t, id): later ones overlay
	Answer   cases.ItemID   // last ANSWER of the round; zero: none
	Feedback []cases.ItemID // live FEEDBACKs of the residence side in (t, id)

	Assigned   area.Key // township the receiver's county gave it to; 0: none
	AssignedAt time.Time

	Disputed          bool // some REOPEN of the opener was a dispute
	OnOlderFields     bool // the answer did not see the newest fields of its time
	WithdrawalCrossed bool // answered, and withdrawn in the same round
	ByParent          bool // withdrawn only because the parent folds otherwise

	Parent      cases.CaseID
	ParentRound uint32
	Hops        uint32

	MaxT    int64  // greatest t of the items that are not rejected
	Version uint64 // differs whenever such an item is added, or one is rejected
}

// Exists reports whether an OPEN is held; without one the case is invisible.
func (s *State) Exists() bool { return s.Status != cases.StatusNone }

func less(a, b *Item) int {
	if a.Head.T != b.Head.T {
		if a.Head.T < b.Head.T {
			return -1
		}
		return 1
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Live leaves out what is rejected or named by its author's REVOKE; a REVOKE
// names only FEEDBACK. The result is in (t, id).
func Live(items []Item) []*Item {
	type revocation struct {
		target cases.ItemID
		by     cases.NodeID
	}
	revoked := map[revocation]bool{}
	for i := range items {
		if it := &items[i]; it.Head.Kind == cases.Revoke && !it.Rejected {
			revoked[revocation{it.Head.Target, it.Head.Author}] = true
		}
	}
	live := make([]*Item, 0, len(items))
	for i := range items {
		it := &items[i]
		if it.Rejected || it.Head.Kind == cases.Receipt {
			continue
		}
		if it.Head.Kind == cases.Feedback && revoked[revocation{it.ID, it.Head.Author}] {
			continue
		}
		live = append(live, it)
	}
	slices.SortFunc(live, less)
	return live
}

// Fold computes the state of a case from all its items known here, in any
// order. Items of other cases are the caller's mistake. The zero State with
// StatusNone comes back where no live OPEN is held; MaxT is filled even then.
func Fold(items []Item) State {
	var s State
	for i := range items {
		if items[i].Rejected { // its t may be out of any range
			continue
		}
		s.MaxT = max(s.MaxT, items[i].Head.T)
		s.Version ^= items[i].ID.Hash64()
	}
	live := Live(items)
	open := firstOpen(live)
	if open == nil {
		return s
	}
	s.open(open)
	last := uint32(1)
	for _, it := range live {
		if it.Head.Kind == cases.Reopen {
			last = max(last, it.Head.Round)
			s.Disputed = s.Disputed || it.Head.Dispute && it.Head.Side == cases.SideOpener
		}
	}
	rounds := s.rounds(live, open)
	s.Current, s.Past = rounds[len(rounds)-1], rounds[:len(rounds)-1]
	s.judge(live, last)
	return s
}

func firstOpen(live []*Item) *Item {
	for _, it := range live {
		if it.Head.Kind == cases.Open {
			return it
		}
	}
	return nil
}

func (s *State) open(it *Item) {
	h := &it.Head
	s.Kind, s.X, s.Y, s.Limit, s.Policy, s.Urgent = h.CaseKind, h.X, h.Y, h.Limit, h.Policy, h.Urgent
	s.OpenedAt, s.Parent, s.ParentRound, s.Hops = h.RecordedAt, h.Parent, h.ParentRound, h.Hops
	s.Fields = []cases.ItemID{it.ID}
}

// rounds gathers the instants of each round that an OPEN or REOPEN began. A
// round is delivered with its OPEN or REOPEN. Items of one round number belong
// together even where two REOPENs crossed.
func (s *State) rounds(live []*Item, open *Item) []Round {
	by := map[uint32]*Round{1: {N: 1, OpenedAt: open.Head.RecordedAt}}
	put := map[extension]uint32{}
	for _, it := range live {
		if h := &it.Head; h.Kind == cases.Reopen && h.Round > 1 {
			r := by[h.Round]
			if r == nil {
				r = &Round{N: h.Round}
				by[h.Round] = r
			}
			r.OpenedAt = earlier(r.OpenedAt, h.RecordedAt)
		}
	}
	for _, it := range live {
		h := &it.Head
		n := h.Round
		if h.Kind == cases.Open {
			n = 1
		}
		r := by[n]
		if r == nil {
			continue
		}
		switch h.Kind {
		case cases.Open:
			r.Delivered = earlier(r.Delivered, it.delivered())
		case cases.Reopen: // one that names round 1 begins nothing
			if n > 1 {
				r.Delivered = earlier(r.Delivered, it.delivered())
			}
		case cases.Answer:
			if h.Terminal && (r.AnsweredAt.IsZero() || h.RecordedAt.Before(r.AnsweredAt)) {
				r.AnsweredAt, r.AnswerHeld = h.RecordedAt, it.delivered()
			}
			r.Reroute, r.ReroutedAt = h.Area, h.RecordedAt // the last in (t, id) stays
		case cases.Withdraw:
			r.WithdrawnAt = earlier(r.WithdrawnAt, it.delivered())
		case cases.Close:
			r.ClosedAt = earlier(r.ClosedAt, h.RecordedAt)
		case cases.Extend:
			put[extension{n, h.Target}] = max(put[extension{n, h.Target}], min(h.Limit.Days, MaxExtension))
		}
	}
	for e, days := range put {
		by[e.round].Extended = min(MaxExtension, by[e.round].Extended+days)
	}
	out := make([]Round, 0, len(by))
	for _, n := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[n])
	}
	return out
}

// extension is an outage as the EXTENDs of one round name it.
type extension struct {
	round  uint32
	outage cases.ItemID
}

// judge picks the first that applies in the current round: CLOSE, last ANSWER,
// WITHDRAW, else OPEN.
func (s *State) judge(live []*Item, round uint32) {
	var answer *Item
	var closed, withdrawn bool
	clerk := false
	for _, it := range live {
		h := &it.Head
		switch h.Kind {
		case cases.Correct:
			s.Fields = append(s.Fields, it.ID)
		case cases.Feedback: // the residence side's item
			if h.Side == s.Kind.ResidenceSide() {
				s.Feedback = append(s.Feedback, it.ID)
			}
		case cases.Assign:
			s.Assigned, s.AssignedAt = h.Area, h.RecordedAt
		}
		if h.Round != round {
			continue
		}
		switch h.Kind {
		case cases.Answer:
			answer = it
		case cases.Close:
			closed = true
		case cases.Withdraw:
			withdrawn = true
			clerk = clerk || !h.ByParent
		}
	}
	if answer != nil {
		s.Answer = answer.ID
		s.OnOlderFields = s.staleFor(live, answer)
	}
	switch {
	case closed:
		s.Status = cases.StatusClosed
	case answer != nil && answer.Head.Area != 0:
		s.Status = cases.StatusRerouted
	case answer != nil:
		s.Status = cases.StatusAnswered
	case withdrawn:
		s.Status = cases.StatusWithdrawn
		s.ByParent = !clerk
	default:
		s.Status = cases.StatusOpen
	}
	s.WithdrawalCrossed = withdrawn && answer != nil
}

// staleFor reports whether fields of the answer's own or an earlier round
// exist that the answering clerk had not seen (the etag mark of rule 24). A
// CORRECT is allowed only while a case waits, so one that is newer than what
// was seen proves that the two crossed.
func (s *State) staleFor(live []*Item, answer *Item) bool {
	newest := s.Fields[0]
	for _, it := range live {
		if it.Head.Kind == cases.Correct && it.Head.Round <= answer.Head.Round {
			newest = it.ID
		}
	}
	return answer.Head.Seen != newest
}

// Digest is the first 16 bytes of SHA-256 over the state as both ends must
// agree on it (invariant I3), for conservation checks.
func (s *State) Digest() [16]byte {
	b := []byte{byte(s.Status), byte(s.Kind)}
	u := func(v int64) { b = binary.BigEndian.AppendUint64(b, uint64(v)) }
	at := func(t time.Time) {
		if t.IsZero() {
			u(0)
		} else {
			u(t.UnixMilli())
		}
	}
	u(int64(s.X))
	u(int64(s.Y))
	u(int64(len(s.Past)))
	for _, r := range append(slices.Clone(s.Past), s.Current) {
		u(int64(r.N))
		at(r.Delivered)
		at(r.AnsweredAt)
		at(r.WithdrawnAt)
		at(r.ClosedAt)
		u(int64(r.Reroute))
		u(int64(r.Extended))
	}
	u(int64(len(s.Fields)))
	for _, f := range s.Fields {
		b = append(b, f[:]...)
	}
	b = append(b, s.Answer[:]...)
	for _, f := range s.Feedback {
		b = append(b, f[:]...)
	}
	u(int64(s.Assigned))
	for _, f := range []bool{s.Disputed, s.OnOlderFields, s.WithdrawalCrossed, s.ByParent} {
		if f {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	h := sha256.Sum256(b)
	return [16]byte(h[:16])
}
