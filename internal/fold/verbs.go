package fold

import (
	"yipan/internal/area"
	"yipan/internal/cases"
)

// Verb is what an office can do to a case; each writes one item.
type Verb uint8

// The verbs that a state allows or forbids.
const (
	VerbCorrect Verb = iota + 1
	VerbWithdraw
	VerbAnswer
	VerbAssign
	VerbClose
	VerbReopen
	VerbDispute
	VerbFeedback
	VerbReroute // the opener opens anew elsewhere
)

var verbs = [...]string{"", "correct", "withdraw", "answer", "distribute", "close", "reopen", "dispute", "feedback", "reroute"}

// String returns the verb's name.
func (v Verb) String() string {
	if int(v) >= len(verbs) {
		return "unknown verb"
	}
	return verbs[v]
}

// Allows reports whether the state as shown allows verb v to side. Because the
// desk refuses the others, two verbs that exclude each other in one round
// prove that they crossed (rule 24).
func (s *State) Allows(v Verb, side cases.Side) bool {
	opener, receiver := side == cases.SideOpener, side == cases.SideReceiver
	switch v {
	case VerbCorrect, VerbWithdraw:
		return opener && s.Status == cases.StatusOpen
	case VerbAnswer: // a later answer revises an earlier one
		return receiver && (s.Status == cases.StatusOpen || s.Status == cases.StatusAnswered)
	case VerbAssign:
		return receiver && s.Status == cases.StatusOpen
	case VerbClose:
		return (opener || receiver) && (s.Status == cases.StatusOpen || s.Status == cases.StatusAnswered)
	case VerbReopen:
		return s.Current.N < MaxRound && ((opener || receiver) && s.Status == cases.StatusClosed ||
			opener && s.Status == cases.StatusWithdrawn && !s.ByParent)
	case VerbDispute:
		return s.Current.N < MaxRound && opener && s.Status == cases.StatusAnswered && !s.Disputed
	case VerbFeedback:
		return side == s.Kind.ResidenceSide() && s.Exists() && s.Status != cases.StatusWithdrawn
	case VerbReroute:
		return opener && (s.Status == cases.StatusAnswered || s.Status == cases.StatusRerouted &&
			(s.Hops >= MaxHops || s.unfit(s.Current.Reroute)))
	}
	return false
}

// ItsVerb reports whether side may ever write kind at all; an item that fails
// this is rejected for good (rule 16). Crossing verbs are never rejected.
func ItsVerb(kind cases.ItemKind, side cases.Side) bool {
	switch kind {
	case cases.Open, cases.Correct, cases.Withdraw, cases.Report:
		return side == cases.SideOpener
	case cases.Answer, cases.Assign, cases.Extend:
		return side == cases.SideReceiver
	case cases.Close, cases.Reopen, cases.Feedback, cases.Revoke: // which side is the residence's, the OPEN tells
		return side == cases.SideOpener || side == cases.SideReceiver
	}
	return false
}

// Duty is an item that home(X) owes to a case by rule 22.
type Duty struct {
	Kind   cases.ItemKind // Open, Withdraw or Reopen
	Case   cases.CaseID   // the child leg
	Target area.Key       // Open: the child's receiver
	Round  uint32         // Withdraw, Reopen: the child's round of the item
}

// unfit reports whether no leg goes to an area by itself: it is one of the two
// sides, or holds the opener's area or lies in it, which is no movement; a
// person at the opener decides.
func (s *State) unfit(to area.Key) bool {
	return to == s.Y || to.Within(s.X) || s.X.Within(to)
}

// Child returns the leg that s asks for, false where it asks for none: the leg
// folds to REROUTED, fewer than MaxHops lie behind it, and the target is
// neither the receiver's area nor above, in or below the opener's.
func (s *State) Child(self cases.CaseID) (cases.CaseID, area.Key, bool) {
	if s.Status != cases.StatusRerouted || s.Hops >= MaxHops {
		return cases.CaseID{}, 0, false
	}
	to := s.Current.Reroute
	if s.unfit(to) {
		return cases.CaseID{}, 0, false
	}
	return cases.ChildCaseID(self, s.Current.N, to), to, true
}

// DutyOfParent returns what home(X) owes because its leg self folds to s.
// child is the fold of the leg that Child names, the zero State if none of its
// items is held; opened says that an OPEN of it is held, rejected or not.
func DutyOfParent(self cases.CaseID, s, child *State, opened bool) (Duty, bool) {
	id, to, wanted := s.Child(self)
	switch {
	case !wanted:
		return Duty{}, false
	case !child.Exists() && !opened:
		return Duty{Kind: cases.Open, Case: id, Target: to, Round: 1}, true
	case child.Status == cases.StatusWithdrawn && child.ByParent && child.Current.N < MaxRound:
		return Duty{Kind: cases.Reopen, Case: id, Round: child.Current.N + 1}, true
	}
	return Duty{}, false
}

// DutyOfChild returns what home(X) owes to an open leg self because its parent
// folds to p: a child that the parent no longer asks for is withdrawn. A child
// whose parent nobody holds stands alone.
func DutyOfChild(self cases.CaseID, s, p *State) (Duty, bool) {
	if s.Parent == (cases.CaseID{}) || s.Status != cases.StatusOpen || !p.Exists() {
		return Duty{}, false
	}
	if want, _, ok := p.Child(s.Parent); ok && want == self {
		return Duty{}, false
	}
	return Duty{Kind: cases.Withdraw, Case: self, Round: s.Current.N}, true
}
