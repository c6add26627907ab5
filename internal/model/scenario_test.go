package model

import "testing"

// scene is a scripted run of two nodes: 0 is home of X and, as the case is an
// inflow notice, of the residence side; 1 is home of Y.
type scene struct {
	*world
	k *leg
}

func newScene(mut mutant) *scene {
	w := newWorld(2, mut)
	for range w.n {
		w.ever = append(w.ever, map[uint64]bool{})
		w.bodies = append(w.bodies, map[uint64]bool{})
	}
	w.dirs = [][]int{{0, 1}}
	w.offers = []int{none, 0}
	s := &scene{w, w.newLeg(0, 1, true)}
	s.write(0, open, sideX, "f0")
	s.settleAll()
	return s
}

func (s *scene) write(n int, kd kind, side uint8, body string) *item {
	s.step++
	it := &item{leg: s.k, kind: kd, side: side, round: 1, ver: 1, area: none, body: body}
	s.author(s.n[n], it)
	return it
}

func (s *scene) send(from int) {
	s.step++
	if l := s.pump(s.n[from], 1-from, -1); l != nil {
		s.net = append(s.net, l)
		s.deliverAll(nil)
	}
}

func (s *scene) settleAll() {
	s.quiesce(nil)
	s.step += 10
}

func (s *scene) snap(n int) { s.n[n].snap = s.n[n].db.clone() }

// offer runs offer round 1 with consent and sends its feedback.
func (s *scene) offer() *item {
	s.endRound(s.n[0], 1, func() bool { return true })
	s.send(0)
	rs := s.n[0].db.span(s.k)
	for i := range rs {
		if rs[i].it.kind == feedback {
			return rs[i].it
		}
	}
	return nil
}

func (s *scene) body(n int, it *item) uint8 { return s.n[n].db.row(it).body }

func (s *scene) quiet(t *testing.T) {
	t.Helper()
	s.settleAll()
	if len(s.viol) > 0 {
		t.Error(s.viol)
	}
}

func TestEraserSendsBareHeadAndStaysErased(t *testing.T) {
	s := newScene(sound)
	c := s.write(0, correct, sideX, "f1")
	s.quiet(t)
	s.snap(0)
	s.snap(1)
	s.eraseCase(s.n[0], s.k)
	s.quiet(t)
	if s.body(0, c) != erased || s.body(1, c) != full {
		t.Error("the peer's body must stay, the eraser's must go")
	}
	s.restore(s.n[0], false)
	if s.body(0, c) != erased {
		t.Error("the journal must erase again")
	}
	s.quiet(t)
	s.restore(s.n[1], false)
	s.quiet(t)
	if s.body(0, c) != erased || s.body(1, c) != full {
		t.Error("bodies changed by restores")
	}
}

func TestTombstoneBeforeItsItem(t *testing.T) {
	s := newScene(sound)
	s.snap(0)
	c := s.write(0, correct, sideX, "f1")
	s.quiet(t)
	s.eraseCase(s.n[0], s.k)
	s.restore(s.n[0], false) // to before the item
	if s.n[0].db.row(c) != nil {
		t.Fatal("the snapshot must not hold the item")
	}
	s.quiet(t)
	if s.body(0, c) != erased || s.body(1, c) != full {
		t.Error("the item must come back bare, and only its head")
	}
}

func TestBodyLostToAllIsLostAlone(t *testing.T) {
	s := newScene(sound)
	s.snap(0)
	c := s.write(1, note, sideY, "n")
	s.quiet(t)
	s.eraseCase(s.n[1], s.k)
	s.restore(s.n[0], false)
	s.quiet(t)
	if s.body(0, c) != missing || s.body(1, c) != erased {
		t.Error("the head must come back, the body cannot")
	}
	if f := s.fold(s.n[0], s.k, false); f.Whole || f.St != stOpen {
		t.Errorf("the fold must say that a body is missing: %+v", f)
	}
}

func TestWithdrawnBeforeTheFirstAttempt(t *testing.T) {
	s := newScene(sound)
	s.endRound(s.n[0], 1, func() bool { return true })
	s.withdrawConsent(s.n[0], consent{s.k.n, 1})
	f := s.offer()
	s.quiet(t)
	if f == nil || f.body != noDisclosure || holds(s.n[0], s.k, revoke) {
		t.Errorf("want NO_DISCLOSURE in its place and no REVOKE, have %+v", f)
	}
}

func TestWithdrawnAfterTheFirstAttempt(t *testing.T) {
	s := newScene(sound)
	f := s.offer()
	if f == nil || s.body(1, f) != full {
		t.Fatal("feedback did not arrive")
	}
	s.withdrawConsent(s.n[0], consent{s.k.n, 1})
	if s.body(0, f) != erased {
		t.Error("not erased at once")
	}
	s.quiet(t)
	if s.body(1, f) != erased || s.fold(s.n[1], s.k, false).Feedback != 0 {
		t.Error("the receiver still shows it")
	}
}

// afterLoss: the feedback left, was withdrawn and revoked at the peer; then the
// node is put back to before, and its journal is lost as well.
func afterLoss(mut mutant) *scene {
	s := newScene(mut)
	old := s.statement(s.n[1], 0)
	s.endRound(s.n[0], 1, func() bool { return true })
	s.snap(0)
	s.send(0)
	s.withdrawConsent(s.n[0], consent{s.k.n, 1})
	s.send(0)
	s.restore(s.n[0], true)
	s.send(0) // feedbackearly leaks here
	s.net = append(s.net, old)
	s.deliverAll(nil)
	s.send(0) // staleround leaks here
	s.net = append(s.net, s.statement(s.n[0], 1))
	s.deliverAll(nil)
	s.send(0) // blindround leaks here
	s.settleAll()
	return s
}

func TestGateAfterRestore(t *testing.T) {
	if s := afterLoss(sound); len(s.viol) > 0 {
		t.Error(s.viol)
	}
	for _, m := range []mutant{feedbackearly, staleround, blindround} {
		if s := afterLoss(m); len(s.viol) == 0 {
			t.Errorf("%s is not caught", m)
		} else {
			t.Log(m, s.viol[0])
		}
	}
}

func TestRevokeNamesOnlyFeedback(t *testing.T) {
	for _, side := range []uint8{sideX, sideY} {
		s := newScene(sound)
		c := s.write(0, correct, sideX, "f1")
		s.step++
		s.author(s.n[side], &item{leg: s.k, kind: revoke, side: side, round: 1, ver: 1, area: none, names: c})
		s.quiet(t)
		for n := range s.n {
			if s.body(n, c) != full || s.fold(s.n[n], s.k, false).Fields != "f1" {
				t.Errorf("side %d: the revocation of a CORRECT had an effect at %d", side, n)
			}
		}
	}
}

func TestAssign(t *testing.T) {
	s := newScene(sound)
	give := func(office int) *item {
		s.step += 5
		it := &item{leg: s.k, kind: assign, side: sideY, round: 1, ver: 1, area: office}
		s.author(s.n[1], it)
		return it
	}
	deliv := s.fold(s.n[1], s.k, false).Deliv
	give(11)
	last := give(12)
	s.quiet(t)
	for n := range s.n {
		f := s.fold(s.n[n], s.k, false)
		if f.Office != 12 || f.OfficeDue != last.rec+officeLimit || f.Deliv != deliv {
			t.Errorf("at %d: %+v", n, f)
		}
	}
	s.write(1, closing, sideY, "")
	s.quiet(t)
	s.step += 100
	re := &item{leg: s.k, kind: reopen, side: sideX, round: 2, ver: 1, area: none}
	s.author(s.n[0], re)
	s.quiet(t)
	f := s.fold(s.n[0], s.k, false)
	if f.St != stOpen || f.Round != 2 || f.Office != 12 || f.OfficeDue != f.Deliv+officeLimit || f.Deliv <= deliv {
		t.Errorf("the office stays and its clock starts with the round: %+v", f)
	}
}

// TestRevokeAloneEndsADraft: both nodes forgot the FEEDBACK, the peer alone
// remembers that it was revoked.
func TestRevokeAloneEndsADraft(t *testing.T) {
	run := func(mut mutant) *scene {
		s := newScene(mut)
		s.endRound(s.n[0], 1, func() bool { return true })
		s.snap(0)
		s.snap(1)
		s.send(0)
		s.send(1) // the receipt: 0 will not send the FEEDBACK again
		s.restore(s.n[1], false)
		s.withdrawConsent(s.n[0], consent{s.k.n, 1})
		s.send(0) // the REVOKE alone
		s.restore(s.n[0], true)
		s.settleAll()
		return s
	}
	if s := run(sound); len(s.viol) > 0 {
		t.Error(s.viol)
	}
	if s := run(revokeblind); len(s.viol) == 0 {
		t.Error("revokeblind is not caught")
	}
}

// TestOnlyTheReceiverDelivers: the opener's area moves to another node before
// the receiver has seen the case; that node's receipt is no delivery.
func TestOnlyTheReceiverDelivers(t *testing.T) {
	w := newWorld(3, sound)
	w.offers = []int{none}
	w.dirs = [][]int{{0, 1}, {2, 1}}
	k := w.newLeg(0, 1, false)
	w.author(w.n[0], &item{leg: k, kind: open, side: sideX, round: 1, ver: 1, area: none, body: "f0"})
	for _, n := range []int{0, 2} {
		w.n[n].db.dir = 1
		w.ruleT(w.n[n])
	}
	w.step = 10
	w.absorb(w.n[2], w.pump(w.n[0], 2, -1))
	if d := w.fold(w.n[2], k, false).Deliv; d != none {
		t.Errorf("delivered at %d, before the receiver held it", d)
	}
	w.step = 500
	w.quiesce(nil)
	for _, n := range []int{1, 2} {
		if d := w.fold(w.n[n], k, false).Deliv; d < 500 {
			t.Errorf("delivered at %d at node %d", d, n)
		}
	}
	if len(w.viol) > 0 {
		t.Error(w.viol)
	}
}
