package fold_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fold"
)

// item is the n-th item of a case as an office writes it: t and recording time
// grow with n, the other side holds it 10 minutes later.
func item(n int, k cases.ItemKind, side cases.Side, round uint32, change ...func(*fold.Item)) fold.Item {
	author := areaX
	if side == cases.SideReceiver {
		author = areaY
	}
	it := fold.Item{ID: id(n), Held: minutes(n + 10), Head: cases.Head{
		Author: cases.NodeID(author), Side: side, X: areaX, Y: areaY, Kind: k, Round: round, T: int64(n), RecordedAt: minutes(n),
	}}
	switch k {
	case cases.Open:
		it.Head.CaseKind, it.Head.Limit = cases.Outflow, cases.Limit{Days: 7}
	case cases.Answer:
		it.Head.Terminal, it.Head.Seen = true, id(1)
	}
	for _, c := range change {
		c(&it)
	}
	return it
}

func id(n int) cases.ItemID { return cases.ItemID{7: byte(n), 15: byte(n)} }

const opener, receiver = cases.SideOpener, cases.SideReceiver

func reroute(to area.Key) func(*fold.Item) { return func(it *fold.Item) { it.Head.Area = to } }

func saw(n int) func(*fold.Item) { return func(it *fold.Item) { it.Head.Seen = id(n) } }

func byParent(it *fold.Item) { it.Head.ByParent = true }

func dispute(it *fold.Item) { it.Head.Dispute = true }

func rejected(it *fold.Item) { it.Rejected = true }

func undelivered(it *fold.Item) { it.Held = fold.Item{}.Held }

var opened = item(1, cases.Open, opener, 1)

// shown is what a crossing of rule 24's table must come to at both ends.
type shown struct {
	Status                                        cases.Status
	Round                                         uint32
	Answer                                        cases.ItemID
	Fields                                        []cases.ItemID
	Feedback                                      []cases.ItemID
	OnOlderFields, WithdrawalCrossed, WantsAChild bool
	Disputed                                      bool
}

func show(s fold.State) shown {
	_, _, wants := s.Child(cases.CaseID{1})
	return shown{s.Status, s.Current.N, s.Answer, s.Fields, s.Feedback, s.OnOlderFields, s.WithdrawalCrossed, wants, s.Disputed}
}

// Rule 24: each pair was allowed by the state its own side showed (asserted),
// and both ends reach the same state, in whatever order the two arrive.
func TestCrossing(t *testing.T) {
	type side struct {
		verb  fold.Verb
		side  cases.Side
		items []fold.Item
	}
	open := []fold.Item{opened}
	answered := []fold.Item{opened, item(2, cases.Answer, receiver, 1)}
	closed := append(slices.Clone(answered), item(3, cases.Close, opener, 1))
	rerouted := []fold.Item{opened, item(2, cases.Answer, receiver, 1, reroute(areaZ))}
	fields := func(ns ...int) (f []cases.ItemID) {
		for _, n := range ns {
			f = append(f, id(n))
		}
		return f
	}
	tests := []struct {
		name string
		base []fold.Item // what both had
		a, b side
		want shown
	}{
		{"answer_x_withdraw", open,
			side{fold.VerbAnswer, receiver, []fold.Item{item(5, cases.Answer, receiver, 1)}},
			side{fold.VerbWithdraw, opener, []fold.Item{item(6, cases.Withdraw, opener, 1)}},
			shown{Status: cases.StatusAnswered, Round: 1, Answer: id(5), Fields: fields(1), WithdrawalCrossed: true}},
		{"answer_x_correct", open,
			side{fold.VerbAnswer, receiver, []fold.Item{item(5, cases.Answer, receiver, 1)}},
			side{fold.VerbCorrect, opener, []fold.Item{item(6, cases.Correct, opener, 1)}},
			shown{Status: cases.StatusAnswered, Round: 1, Answer: id(5), Fields: fields(1, 6), OnOlderFields: true}},
		{"answer_x_correct_seen", open, // held before the answer: no mark, though t says nothing across sides
			side{fold.VerbCorrect, opener, []fold.Item{item(6, cases.Correct, opener, 1)}},
			side{fold.VerbAnswer, receiver, []fold.Item{item(5, cases.Answer, receiver, 1, saw(6))}},
			shown{Status: cases.StatusAnswered, Round: 1, Answer: id(5), Fields: fields(1, 6)}},
		{"reroute_x_correct", open,
			side{fold.VerbAnswer, receiver, []fold.Item{item(5, cases.Answer, receiver, 1, reroute(areaZ))}},
			side{fold.VerbCorrect, opener, []fold.Item{item(6, cases.Correct, opener, 1)}},
			shown{Status: cases.StatusRerouted, Round: 1, Answer: id(5), Fields: fields(1, 6), OnOlderFields: true, WantsAChild: true}},
		{"reroute_x_withdraw", open,
			side{fold.VerbAnswer, receiver, []fold.Item{item(5, cases.Answer, receiver, 1, reroute(areaZ))}},
			side{fold.VerbWithdraw, opener, []fold.Item{item(6, cases.Withdraw, opener, 1)}},
			shown{Status: cases.StatusRerouted, Round: 1, Answer: id(5), Fields: fields(1), WithdrawalCrossed: true, WantsAChild: true}},
		{"reroute_x_answer", open, // by a receiver restored in between: the last (t, id) counts
			side{fold.VerbAnswer, receiver, []fold.Item{item(5, cases.Answer, receiver, 1, reroute(areaZ))}},
			side{fold.VerbAnswer, receiver, []fold.Item{item(6, cases.Answer, receiver, 1)}},
			shown{Status: cases.StatusAnswered, Round: 1, Answer: id(6), Fields: fields(1)}},
		{"answer_x_reroute", open,
			side{fold.VerbAnswer, receiver, []fold.Item{item(5, cases.Answer, receiver, 1)}},
			side{fold.VerbAnswer, receiver, []fold.Item{item(6, cases.Answer, receiver, 1, reroute(areaZ))}},
			shown{Status: cases.StatusRerouted, Round: 1, Answer: id(6), Fields: fields(1), WantsAChild: true}},
		{"reroute_x_answer_of_equal_t", open,
			side{fold.VerbAnswer, receiver, []fold.Item{item(5, cases.Answer, receiver, 1, reroute(areaZ))}},
			side{fold.VerbAnswer, receiver, []fold.Item{item(6, cases.Answer, receiver, 1, func(it *fold.Item) { it.Head.T = 5 })}},
			shown{Status: cases.StatusAnswered, Round: 1, Answer: id(6), Fields: fields(1)}},
		{"close_x_answer", open,
			side{fold.VerbClose, opener, []fold.Item{item(5, cases.Close, opener, 1)}},
			side{fold.VerbAnswer, receiver, []fold.Item{item(6, cases.Answer, receiver, 1)}},
			shown{Status: cases.StatusClosed, Round: 1, Answer: id(6), Fields: fields(1)}},
		{"close_x_reroute", open,
			side{fold.VerbClose, opener, []fold.Item{item(5, cases.Close, opener, 1)}},
			side{fold.VerbAnswer, receiver, []fold.Item{item(6, cases.Answer, receiver, 1, reroute(areaZ))}},
			shown{Status: cases.StatusClosed, Round: 1, Answer: id(6), Fields: fields(1)}},
		{"close_x_feedback", answered,
			side{fold.VerbClose, opener, []fold.Item{item(5, cases.Close, opener, 1)}},
			side{fold.VerbFeedback, receiver, []fold.Item{item(6, cases.Feedback, receiver, 1)}},
			shown{Status: cases.StatusClosed, Round: 1, Answer: id(2), Fields: fields(1), Feedback: fields(6)}},
		{"close_x_withdraw", open,
			side{fold.VerbClose, receiver, []fold.Item{item(5, cases.Close, receiver, 1)}},
			side{fold.VerbWithdraw, opener, []fold.Item{item(6, cases.Withdraw, opener, 1)}},
			shown{Status: cases.StatusClosed, Round: 1, Fields: fields(1)}},
		{"close_x_close", answered,
			side{fold.VerbClose, opener, []fold.Item{item(5, cases.Close, opener, 1)}},
			side{fold.VerbClose, receiver, []fold.Item{item(6, cases.Close, receiver, 1)}},
			shown{Status: cases.StatusClosed, Round: 1, Answer: id(2), Fields: fields(1)}},
		{"reopen_x_answer", answered, // the closer reopens while the other revises its answer
			side{fold.VerbClose, opener, []fold.Item{item(5, cases.Close, opener, 1), item(7, cases.Reopen, opener, 2)}},
			side{fold.VerbAnswer, receiver, []fold.Item{item(6, cases.Answer, receiver, 1)}},
			shown{Status: cases.StatusOpen, Round: 2, Fields: fields(1)}},
		{"reopen_x_reroute", answered,
			side{fold.VerbClose, opener, []fold.Item{item(5, cases.Close, opener, 1), item(7, cases.Reopen, opener, 2)}},
			side{fold.VerbAnswer, receiver, []fold.Item{item(6, cases.Answer, receiver, 1, reroute(areaZ))}},
			shown{Status: cases.StatusOpen, Round: 2, Fields: fields(1)}},
		{"reopen_x_close", answered,
			side{fold.VerbClose, opener, []fold.Item{item(5, cases.Close, opener, 1), item(7, cases.Reopen, opener, 2)}},
			side{fold.VerbClose, receiver, []fold.Item{item(6, cases.Close, receiver, 1)}},
			shown{Status: cases.StatusOpen, Round: 2, Fields: fields(1)}},
		{"reopen_x_withdraw", open,
			side{fold.VerbClose, receiver, []fold.Item{item(5, cases.Close, receiver, 1), item(7, cases.Reopen, receiver, 2)}},
			side{fold.VerbWithdraw, opener, []fold.Item{item(6, cases.Withdraw, opener, 1)}},
			shown{Status: cases.StatusOpen, Round: 2, Fields: fields(1)}},
		{"reopen_x_reopen", closed,
			side{fold.VerbReopen, opener, []fold.Item{item(5, cases.Reopen, opener, 2)}},
			side{fold.VerbReopen, receiver, []fold.Item{item(6, cases.Reopen, receiver, 2)}},
			shown{Status: cases.StatusOpen, Round: 2, Fields: fields(1)}},
		{"dispute_x_answer", answered,
			side{fold.VerbDispute, opener, []fold.Item{item(5, cases.Reopen, opener, 2, dispute)}},
			side{fold.VerbAnswer, receiver, []fold.Item{item(6, cases.Answer, receiver, 1)}},
			shown{Status: cases.StatusOpen, Round: 2, Fields: fields(1), Disputed: true}},
		{"reroute_of_a_reroute", rerouted, // the wrong receiver may not revise: no crossing, no state but one
			side{}, side{},
			shown{Status: cases.StatusRerouted, Round: 1, Answer: id(2), Fields: fields(1), WantsAChild: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := fold.Fold(tt.base)
			for _, s := range []side{tt.a, tt.b} {
				if s.verb != 0 && !before.Allows(s.verb, s.side) {
					t.Errorf("%s was not allowed to side %d: no crossing", s.verb, s.side)
				}
			}
			one := fold.Fold(slices.Concat(tt.base, tt.a.items, tt.b.items))
			other := fold.Fold(slices.Concat(tt.b.items, tt.a.items, tt.base))
			if d := cmp.Diff(tt.want, show(one)); d != "" {
				t.Errorf("state (-want +got):\n%s", d)
			}
			if d := cmp.Diff(one, other); d != "" || one.Digest() != other.Digest() {
				t.Errorf("the ends differ:\n%s", d)
			}
			if one.Status == cases.StatusAnswered && one.WithdrawalCrossed && !one.Allows(fold.VerbClose, opener) {
				t.Error("the opener of an answered, withdrawn case may not close")
			}
		})
	}
}

// The old event of a reopened case stays in its round, where rates find it.
func TestCrossedEventStaysInItsRound(t *testing.T) {
	s := fold.Fold([]fold.Item{opened, item(2, cases.Close, opener, 1), item(3, cases.Reopen, opener, 2),
		item(4, cases.Answer, receiver, 1), item(5, cases.Withdraw, opener, 1)})
	want := []fold.Round{{N: 1, OpenedAt: minutes(1), Delivered: minutes(11), AnsweredAt: minutes(4), AnswerHeld: minutes(14),
		ReroutedAt: minutes(4), WithdrawnAt: minutes(15), ClosedAt: minutes(2)}}
	if d := cmp.Diff(want, s.Past); d != "" {
		t.Errorf("round 1 (-want +got):\n%s", d)
	}
	if d := cmp.Diff(fold.Round{N: 2, OpenedAt: minutes(3), Delivered: minutes(13)}, s.Current); d != "" {
		t.Errorf("round 2 (-want +got):\n%s", d)
	}
}

// parent_answered_anew_x_childs_answer: the child stays ANSWERED; the clerk
// sees both, and nothing is owed.
func TestCrossingParentAnsweredAnewAndChildsAnswer(t *testing.T) {
	parent := cases.CaseID{9}
	p := fold.Fold([]fold.Item{opened, item(2, cases.Answer, receiver, 1, reroute(areaZ)), item(4, cases.Answer, receiver, 1)})
	self := cases.ChildCaseID(parent, 1, areaZ)
	childOpen := item(3, cases.Open, opener, 1, func(it *fold.Item) { it.Head.Parent, it.Head.ParentRound, it.Head.Hops = parent, 1, 1 })
	c := fold.Fold([]fold.Item{childOpen, item(5, cases.Answer, receiver, 1, saw(3))})
	if p.Status != cases.StatusAnswered || c.Status != cases.StatusAnswered {
		t.Fatalf("parent %s, child %s", p.Status, c.Status)
	}
	if d, ok := fold.DutyOfChild(self, &c, &p); ok {
		t.Errorf("an answered child owes %+v", d)
	}
	if d, ok := fold.DutyOfParent(parent, &p, &c, true); ok {
		t.Errorf("an answered parent owes %+v", d)
	}
	// Not yet answered, the child is withdrawn.
	c = fold.Fold([]fold.Item{childOpen})
	want := fold.Duty{Kind: cases.Withdraw, Case: self, Round: 1}
	if d, ok := fold.DutyOfChild(self, &c, &p); !ok || d != want {
		t.Errorf("an open child owes %+v, %v; want %+v", d, ok, want)
	}
}
