package fold_test

import (
	"slices"
	"testing"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fold"
)

var everyVerb = []fold.Verb{fold.VerbCorrect, fold.VerbWithdraw, fold.VerbAnswer, fold.VerbAssign, fold.VerbClose,
	fold.VerbReopen, fold.VerbDispute, fold.VerbFeedback, fold.VerbReroute}

func TestAllows(t *testing.T) {
	const (
		correct, withdraw, answer, assign = fold.VerbCorrect, fold.VerbWithdraw, fold.VerbAnswer, fold.VerbAssign
		closes, reopens, disputes         = fold.VerbClose, fold.VerbReopen, fold.VerbDispute
		feedback, rerouting               = fold.VerbFeedback, fold.VerbReroute
	)
	round := fold.Round{N: 1, Reroute: areaZ}
	to := func(k area.Key) fold.Round { return fold.Round{N: 1, Reroute: k} }
	tests := []struct {
		name             string
		state            fold.State
		opener, receiver []fold.Verb
	}{
		{"none", fold.State{}, nil, nil},
		{"open", fold.State{Status: cases.StatusOpen}, []fold.Verb{correct, withdraw, closes}, []fold.Verb{answer, assign, closes, feedback}},
		{"answered", fold.State{Status: cases.StatusAnswered}, []fold.Verb{closes, disputes, rerouting}, []fold.Verb{answer, closes, feedback}},
		{"answered, disputed before", fold.State{Status: cases.StatusAnswered, Disputed: true}, []fold.Verb{closes, rerouting}, []fold.Verb{answer, closes, feedback}},
		{"rerouted", fold.State{Status: cases.StatusRerouted, Current: round}, nil, []fold.Verb{feedback}},
		{"rerouted after three hops", fold.State{Status: cases.StatusRerouted, Current: round, Hops: 3}, []fold.Verb{rerouting}, []fold.Verb{feedback}},
		{"rerouted to the opener", fold.State{Status: cases.StatusRerouted, Current: to(areaX)}, []fold.Verb{rerouting}, []fold.Verb{feedback}},
		{"rerouted to the receiver", fold.State{Status: cases.StatusRerouted, Current: to(areaY)}, []fold.Verb{rerouting}, []fold.Verb{feedback}},
		{"withdrawn by a clerk", fold.State{Status: cases.StatusWithdrawn}, []fold.Verb{reopens}, nil},
		{"withdrawn by the parent", fold.State{Status: cases.StatusWithdrawn, ByParent: true}, nil, nil},
		{"closed", fold.State{Status: cases.StatusClosed}, []fold.Verb{reopens}, []fold.Verb{reopens, feedback}},
		{"inflow: the opener is the residence", fold.State{Status: cases.StatusClosed, Kind: cases.Inflow}, []fold.Verb{reopens, feedback}, []fold.Verb{reopens}},
		{"birth service: the opener is the residence", fold.State{Status: cases.StatusOpen, Kind: cases.BirthService},
			[]fold.Verb{correct, withdraw, closes, feedback}, []fold.Verb{answer, assign, closes}},
		{"inflow, withdrawn", fold.State{Status: cases.StatusWithdrawn, Kind: cases.Inflow}, []fold.Verb{reopens}, nil},
		{"closed in the last round", fold.State{Status: cases.StatusClosed, Current: fold.Round{N: fold.MaxRound}}, nil, []fold.Verb{feedback}},
		{"answered in the last round", fold.State{Status: cases.StatusAnswered, Current: fold.Round{N: fold.MaxRound}}, []fold.Verb{closes, rerouting}, []fold.Verb{answer, closes, feedback}},
	}
	for _, tt := range tests {
		tt.state.X, tt.state.Y = areaX, areaY
		for _, v := range append(slices.Clone(everyVerb), 0, 99) {
			for side, want := range map[cases.Side][]fold.Verb{cases.SideNone: nil, opener: tt.opener, receiver: tt.receiver, 9: nil} {
				if got := tt.state.Allows(v, side); got != slices.Contains(want, v) {
					t.Errorf("%s: %s by side %d allowed %v", tt.name, v, side, got)
				}
			}
		}
	}
}

func TestItsVerb(t *testing.T) {
	want := map[cases.ItemKind][2]bool{ // opener, receiver
		cases.Open: {true, false}, cases.Correct: {true, false}, cases.Withdraw: {true, false},
		cases.Answer: {false, true}, cases.Assign: {false, true}, cases.Report: {true, false}, cases.Extend: {false, true},
		cases.Feedback: {true, true}, cases.Revoke: {true, true}, // either may be the residence's
		cases.Close: {true, true}, cases.Reopen: {true, true},
	}
	for k := range 256 {
		k := cases.ItemKind(k)
		got := [2]bool{fold.ItsVerb(k, opener), fold.ItsVerb(k, receiver)}
		if got != want[k] || fold.ItsVerb(k, cases.SideNone) || fold.ItsVerb(k, 3) {
			t.Errorf("%s: %v", k, got)
		}
	}
}

func TestVerbNames(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range everyVerb {
		if s := v.String(); s == "" || seen[s] {
			t.Errorf("verb %d is called %q", v, s)
		} else {
			seen[s] = true
		}
	}
	if s := fold.Verb(99).String(); s != "unknown verb" {
		t.Errorf("verb 99 is called %q", s)
	}
}

var parentID = cases.CaseID{9}

func childOf(parent cases.CaseID, round uint32, hops uint32) func(*fold.Item) {
	return func(it *fold.Item) {
		it.Head.Parent, it.Head.ParentRound, it.Head.Hops = parent, round, hops
		it.Head.Y = areaZ
	}
}

func TestDutyOfParent(t *testing.T) {
	hops := func(n uint32) fold.Item {
		return item(1, cases.Open, opener, 1, func(it *fold.Item) { it.Head.Hops = n })
	}
	answer := func(to area.Key) fold.Item { return item(2, cases.Answer, receiver, 1, reroute(to)) }
	rerouted := []fold.Item{opened, answer(areaZ)}
	legs := func(round uint32) cases.CaseID { return cases.ChildCaseID(parentID, round, areaZ) }
	open := item(11, cases.Open, opener, 1, childOf(parentID, 1, 1))
	withdrawn := item(12, cases.Withdraw, opener, 1, byParent)
	openChild := fold.Duty{Kind: cases.Open, Case: legs(1), Target: areaZ, Round: 1}
	tests := []struct {
		name   string
		parent []fold.Item
		child  []fold.Item
		opened bool
		want   fold.Duty // zero: none
	}{
		{"open", []fold.Item{opened}, nil, false, fold.Duty{}},
		{"answered", []fold.Item{opened, answer(0)}, nil, false, fold.Duty{}},
		{"rerouted, no child", rerouted, nil, false, openChild},
		{"rerouted, its OPEN rejected", rerouted, []fold.Item{item(11, cases.Open, opener, 1, rejected)}, true, fold.Duty{}},
		{"rerouted, only the child's answer came back", rerouted, []fold.Item{item(12, cases.Answer, receiver, 1)}, false, openChild},
		{"rerouted, child open", rerouted, []fold.Item{open}, true, fold.Duty{}},
		{"rerouted, child answered", rerouted, []fold.Item{open, item(12, cases.Answer, receiver, 1)}, true, fold.Duty{}},
		{"rerouted, child closed", rerouted, []fold.Item{open, item(12, cases.Close, receiver, 1)}, true, fold.Duty{}},
		{"rerouted, child withdrawn by the parent", rerouted, []fold.Item{open, withdrawn}, true,
			fold.Duty{Kind: cases.Reopen, Case: legs(1), Round: 2}},
		{"rerouted, child withdrawn by the parent in round 3", rerouted,
			[]fold.Item{open, withdrawn, item(13, cases.Reopen, opener, 3), item(14, cases.Withdraw, opener, 3, byParent)}, true,
			fold.Duty{Kind: cases.Reopen, Case: legs(1), Round: 4}},
		{"rerouted, child withdrawn by a clerk", rerouted, []fold.Item{open, item(12, cases.Withdraw, opener, 1)}, true, fold.Duty{}},
		{"rerouted, child withdrawn by both", rerouted, []fold.Item{open, withdrawn, item(13, cases.Withdraw, opener, 1)}, true, fold.Duty{}},
		{"rerouted, child at the end of its rounds", rerouted,
			[]fold.Item{open, item(13, cases.Reopen, opener, fold.MaxRound), item(14, cases.Withdraw, opener, fold.MaxRound, byParent)}, true, fold.Duty{}},
		{"rerouted and closed", []fold.Item{opened, answer(areaZ), item(3, cases.Close, opener, 1)}, nil, false, fold.Duty{}},
		{"rerouted in round 2", []fold.Item{opened, item(3, cases.Reopen, opener, 2), item(4, cases.Answer, receiver, 2, reroute(areaZ))}, nil, false,
			fold.Duty{Kind: cases.Open, Case: legs(2), Target: areaZ, Round: 1}},
		{"rerouted in round 1, now round 2", []fold.Item{opened, answer(areaZ), item(3, cases.Reopen, opener, 2)}, nil, false, fold.Duty{}},
		{"target is X", []fold.Item{opened, answer(areaX)}, nil, false, fold.Duty{}},
		{"target is Y", []fold.Item{opened, answer(areaY)}, nil, false, fold.Duty{}},
		{"two hops behind", []fold.Item{hops(2), answer(areaZ)}, nil, false, openChild},
		{"three hops behind: a clerk decides", []fold.Item{hops(3), answer(areaZ)}, nil, false, fold.Duty{}},
	}
	for _, tt := range tests {
		p, c := fold.Fold(tt.parent), fold.Fold(tt.child)
		got, ok := fold.DutyOfParent(parentID, &p, &c, tt.opened)
		if got != tt.want || ok != (tt.want != fold.Duty{}) {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, ok, tt.want)
		}
	}
}

func TestDutyOfChild(t *testing.T) {
	rerouted := []fold.Item{opened, item(2, cases.Answer, receiver, 1, reroute(areaZ))}
	self := cases.ChildCaseID(parentID, 1, areaZ)
	open := item(11, cases.Open, opener, 1, childOf(parentID, 1, 1))
	anew := append(slices.Clone(rerouted), item(3, cases.Answer, receiver, 1))
	withdraw := fold.Duty{Kind: cases.Withdraw, Case: self, Round: 1}
	tests := []struct {
		name   string
		child  []fold.Item
		parent []fold.Item
		want   fold.Duty
	}{
		{"wanted", []fold.Item{open}, rerouted, fold.Duty{}},
		{"no parent named", []fold.Item{item(11, cases.Open, opener, 1)}, anew, fold.Duty{}},
		{"parent held by nobody: stands alone", []fold.Item{open}, nil, fold.Duty{}},
		{"parent answered anew", []fold.Item{open}, anew, withdraw},
		{"parent open", []fold.Item{open}, []fold.Item{opened}, withdraw},
		{"parent closed", []fold.Item{open}, append(slices.Clone(rerouted), item(3, cases.Close, opener, 1)), withdraw},
		{"parent in its next round", []fold.Item{open}, append(slices.Clone(rerouted), item(3, cases.Reopen, opener, 2)), withdraw},
		{"parent rerouted elsewhere", []fold.Item{open}, append(slices.Clone(rerouted), item(3, cases.Answer, receiver, 1, reroute(area.MustOf(area.Township, "520330002")))), withdraw},
		{"child in its second round", []fold.Item{open, item(12, cases.Withdraw, opener, 1, byParent), item(13, cases.Reopen, opener, 2)}, anew,
			fold.Duty{Kind: cases.Withdraw, Case: self, Round: 2}},
		{"child withdrawn already", []fold.Item{open, item(12, cases.Withdraw, opener, 1, byParent)}, anew, fold.Duty{}},
		{"child answered", []fold.Item{open, item(12, cases.Answer, receiver, 1)}, anew, fold.Duty{}},
		{"child rerouted on", []fold.Item{open, item(12, cases.Answer, receiver, 1, reroute(areaY))}, anew, fold.Duty{}},
		{"child closed", []fold.Item{open, item(12, cases.Close, opener, 1)}, anew, fold.Duty{}},
		{"child's OPEN not held", []fold.Item{item(12, cases.Answer, receiver, 1)}, anew, fold.Duty{}},
	}
	for _, tt := range tests {
		c, p := fold.Fold(tt.child), fold.Fold(tt.parent)
		got, ok := fold.DutyOfChild(self, &c, &p)
		if got != tt.want || ok != (tt.want != fold.Duty{}) {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, ok, tt.want)
		}
	}
}

// Performing the duties until none is left ends, with child ⇔ REROUTED (I5).
func TestDutiesEnd(t *testing.T) {
	parent := []fold.Item{opened}
	self := cases.ChildCaseID(parentID, 1, areaZ)
	var child []fold.Item
	n := 20
	settle := func() (steps int) {
		for {
			p, c := fold.Fold(parent), fold.Fold(child)
			d, ok := fold.DutyOfParent(parentID, &p, &c, len(child) > 0)
			if !ok {
				d, ok = fold.DutyOfChild(self, &c, &p)
			}
			if !ok {
				return steps
			}
			if steps++; steps > 3 {
				t.Fatalf("duties do not end: %+v", d)
			}
			n++
			it := item(n, d.Kind, opener, d.Round)
			switch d.Kind {
			case cases.Open:
				it = item(n, cases.Open, opener, d.Round, childOf(parentID, 1, 1))
			case cases.Withdraw:
				byParent(&it)
			}
			child = append(child, it)
		}
	}
	for i, to := range []area.Key{areaZ, 0, areaZ, areaX, areaZ, 0} {
		parent = append(parent, item(2+i, cases.Answer, receiver, 1, reroute(to)))
		steps := settle()
		p, c := fold.Fold(parent), fold.Fold(child)
		if _, _, wanted := p.Child(parentID); steps != 1 || wanted != (to == areaZ) || wanted != (c.Status == cases.StatusOpen) {
			t.Errorf("answer %d to %s: %d steps, child %s", i, to, steps, c.Status)
		}
	}
}
