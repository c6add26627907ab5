package fold_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/cases"
	"yipan/internal/fold"
)

func TestInvisibleWithoutOpen(t *testing.T) {
	s := fold.Fold([]fold.Item{item(2, cases.Answer, receiver, 1), item(3, cases.Close, opener, 1),
		item(1, cases.Open, opener, 1, rejected)})
	want := fold.State{MaxT: 3, Version: id(2).Hash64() ^ id(3).Hash64()}
	if d := cmp.Diff(want, s); d != "" || s.Exists() {
		t.Errorf("state (-want +got):\n%s", d)
	}
	if s := fold.Fold(nil); s.Exists() || s.MaxT != 0 {
		t.Errorf("the empty set folds to %+v", s)
	}
}

func TestOpenIsLeastByTThenID(t *testing.T) {
	named := func(n int, tick int64, days uint32) fold.Item {
		return item(n, cases.Open, opener, 1, func(it *fold.Item) { it.Head.T, it.Head.Limit.Days = tick, days })
	}
	tests := []struct {
		name  string
		items []fold.Item
		days  uint32
		first int
	}{
		{"least t", []fold.Item{named(1, 9, 1), named(2, 8, 2)}, 2, 2},
		{"equal t, least id", []fold.Item{named(4, 9, 4), named(3, 9, 3)}, 3, 3},
		{"least one rejected", []fold.Item{named(1, 9, 1), func() fold.Item { it := named(2, 8, 2); it.Rejected = true; return it }()}, 1, 1},
	}
	for _, tt := range tests {
		for range 2 {
			s := fold.Fold(tt.items)
			if s.Limit.Days != tt.days || s.Fields[0] != id(tt.first) {
				t.Errorf("%s: limit %d, fields %v", tt.name, s.Limit.Days, s.Fields)
			}
			slices.Reverse(tt.items)
		}
	}
}

func TestRounds(t *testing.T) {
	closed := item(2, cases.Close, opener, 1)
	tests := []struct {
		name    string
		items   []fold.Item
		round   uint32
		past    []uint32
		status  cases.Status
		crossed bool
	}{
		{"one", nil, 1, nil, cases.StatusOpen, false},
		{"reopened", []fold.Item{closed, item(3, cases.Reopen, receiver, 2)}, 2, []uint32{1}, cases.StatusOpen, false},
		{"gap: round 3 without 2", []fold.Item{item(3, cases.Reopen, opener, 3)}, 3, []uint32{1}, cases.StatusOpen, false},
		{"a reopen of round 1 begins nothing", []fold.Item{closed, item(3, cases.Reopen, opener, 1)}, 1, nil, cases.StatusClosed, false},
		{"a reopen of round 0 begins nothing", []fold.Item{closed, item(3, cases.Reopen, opener, 0)}, 1, nil, cases.StatusClosed, false},
		{"rejected reopen", []fold.Item{closed, item(3, cases.Reopen, opener, 2, rejected)}, 1, nil, cases.StatusClosed, false},
		{"verb of a round not begun", []fold.Item{item(3, cases.Close, opener, 2)}, 1, nil, cases.StatusOpen, false},
		{"the verb that was early counts once its round begins", []fold.Item{item(3, cases.Close, opener, 2), item(4, cases.Reopen, opener, 2)},
			2, []uint32{1}, cases.StatusClosed, false},
		{"extreme round", []fold.Item{item(3, cases.Reopen, opener, math.MaxUint32), item(4, cases.Answer, receiver, math.MaxUint32)},
			math.MaxUint32, []uint32{1}, cases.StatusAnswered, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fold.Fold(append([]fold.Item{opened}, tt.items...))
			var past []uint32
			for _, r := range s.Past {
				past = append(past, r.N)
			}
			if s.Current.N != tt.round || s.Status != tt.status || !slices.Equal(past, tt.past) {
				t.Errorf("round %d after %v, %s; want %d after %v, %s", s.Current.N, past, s.Status, tt.round, tt.past, tt.status)
			}
		})
	}
}

// A REOPEN that names round 1 cannot backdate what the OPEN began.
func TestReopenOfRoundOneDoesNotDeliver(t *testing.T) {
	o := item(5, cases.Open, opener, 1)
	s := fold.Fold([]fold.Item{o, item(1, cases.Reopen, opener, 1)})
	if !s.Current.Delivered.Equal(o.Held) {
		t.Errorf("delivered %s, want %s", s.Current.Delivered, o.Held)
	}
}

// Due runs from the earliest of two crossed REOPENs, in number and in time.
func TestReopenTwiceIsOneRound(t *testing.T) {
	a, b := item(3, cases.Reopen, opener, 2), item(4, cases.Reopen, receiver, 2)
	a.Held, b.Held = minutes(40), minutes(30)
	s := fold.Fold([]fold.Item{opened, item(2, cases.Close, opener, 1), b, a})
	want := fold.Round{N: 2, OpenedAt: minutes(3), Delivered: minutes(30)}
	if d := cmp.Diff(want, s.Current); d != "" || len(s.Past) != 1 {
		t.Errorf("round (-want +got):\n%s", d)
	}
}

func TestDelivered(t *testing.T) {
	local := func(it *fold.Item) { it.Head.Local = true }
	tests := []struct {
		name  string
		items []fold.Item
		want  time.Time
	}{
		{"not yet", []fold.Item{item(1, cases.Open, opener, 1, undelivered)}, time.Time{}},
		{"held", []fold.Item{item(1, cases.Open, opener, 1)}, minutes(11)},
		{"local: when recorded, receipt or not", []fold.Item{item(1, cases.Open, opener, 1, local)}, minutes(1)},
		{"local without a receipt", []fold.Item{item(1, cases.Open, opener, 1, local, undelivered)}, minutes(1)},
		{"two OPENs: the earliest", []fold.Item{item(1, cases.Open, opener, 1, undelivered), item(2, cases.Open, opener, 1)}, minutes(12)},
		{"an OPEN begins round 1 whatever it says", []fold.Item{item(1, cases.Open, opener, 7)}, minutes(11)},
	}
	for _, tt := range tests {
		if got := fold.Fold(tt.items).Current.Delivered; !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// On time compares the earliest terminal ANSWER with the earliest delivery;
// withdrawn before due compares the WITHDRAW's delivery.
func TestOnTimeInputs(t *testing.T) {
	notTerminal := func(it *fold.Item) { it.Head.Terminal = false }
	late := func(it *fold.Item) { it.Head.T = 1 } // first by t, last by the clock
	s := fold.Fold([]fold.Item{opened,
		item(2, cases.Answer, receiver, 1, notTerminal),
		item(6, cases.Answer, receiver, 1, late),
		item(4, cases.Answer, receiver, 1, undelivered),
		item(5, cases.Answer, receiver, 1),
		item(3, cases.Answer, receiver, 1, rejected),
		item(9, cases.Withdraw, opener, 1), item(8, cases.Withdraw, opener, 1, undelivered), item(7, cases.Withdraw, opener, 1, byParent),
	})
	want := fold.Round{N: 1, OpenedAt: minutes(1), Delivered: minutes(11), AnsweredAt: minutes(4), ReroutedAt: minutes(5), WithdrawnAt: minutes(17)}
	if d := cmp.Diff(want, s.Current); d != "" {
		t.Errorf("round (-want +got):\n%s", d)
	}
	if s.Answer != id(5) {
		t.Errorf("shown answer %s, want the last by t", s.Answer)
	}
	s = fold.Fold([]fold.Item{opened, item(2, cases.Answer, receiver, 1, notTerminal)})
	if s.Status != cases.StatusAnswered || !s.Current.AnsweredAt.IsZero() {
		t.Errorf("a first answer that does not end the duty: %s, answered %s", s.Status, s.Current.AnsweredAt)
	}
}

func TestRejectedItemsCountForNothing(t *testing.T) {
	s := fold.Fold([]fold.Item{opened})
	for _, k := range []cases.ItemKind{cases.Open, cases.Correct, cases.Withdraw, cases.Answer, cases.Close, cases.Reopen, cases.Assign, cases.Feedback, cases.Revoke} {
		it := item(2, k, receiver, 2, rejected, func(it *fold.Item) { it.Head.T = math.MaxInt64 })
		if d := cmp.Diff(s, fold.Fold([]fold.Item{opened, it})); d != "" {
			t.Errorf("rejected %s (-without +with):\n%s", k, d)
		}
	}
	// A rejection changes what a clerk has read, so it changes the etag.
	it := item(2, cases.Correct, opener, 1)
	before := fold.Fold([]fold.Item{opened, it})
	it.Rejected = true
	if after := fold.Fold([]fold.Item{opened, it}); after.Version == before.Version {
		t.Error("the version is the same after a rejection")
	}
}

func TestRevoke(t *testing.T) {
	base := []fold.Item{opened, item(2, cases.Answer, receiver, 1), item(3, cases.Feedback, receiver, 1), item(4, cases.Feedback, receiver, 1)}
	revoke := func(n, target int, change ...func(*fold.Item)) fold.Item {
		return item(n, cases.Revoke, receiver, 1, append(change, func(it *fold.Item) { it.Head.Target = id(target) })...)
	}
	byX := func(it *fold.Item) { it.Head.Author = cases.NodeID(areaX) }
	tests := []struct {
		name    string
		revokes []fold.Item
		want    []cases.ItemID
		status  cases.Status
	}{
		{"none", nil, []cases.ItemID{id(3), id(4)}, cases.StatusAnswered},
		{"one of two", []fold.Item{revoke(5, 3)}, []cases.ItemID{id(4)}, cases.StatusAnswered},
		{"by another author", []fold.Item{revoke(5, 3, byX)}, []cases.ItemID{id(3), id(4)}, cases.StatusAnswered},
		{"by another author, before and after its own", []fold.Item{revoke(5, 3, byX), revoke(6, 3), revoke(7, 3, byX)}, []cases.ItemID{id(4)}, cases.StatusAnswered},
		{"rejected", []fold.Item{revoke(5, 3, rejected)}, []cases.ItemID{id(3), id(4)}, cases.StatusAnswered},
		{"names an ANSWER", []fold.Item{revoke(5, 2)}, []cases.ItemID{id(3), id(4)}, cases.StatusAnswered},
		{"names the OPEN", []fold.Item{revoke(5, 1)}, []cases.ItemID{id(3), id(4)}, cases.StatusAnswered},
		{"names what is not held", []fold.Item{revoke(5, 99)}, []cases.ItemID{id(3), id(4)}, cases.StatusAnswered},
		{"names itself and a REVOKE", []fold.Item{revoke(5, 3), revoke(6, 5), revoke(7, 7)}, []cases.ItemID{id(4)}, cases.StatusAnswered},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := slices.Concat(base, tt.revokes)
			for range 2 {
				s := fold.Fold(all)
				if d := cmp.Diff(tt.want, s.Feedback); d != "" || s.Status != tt.status || !s.Exists() {
					t.Errorf("%s, feedback (-want +got):\n%s", s.Status, d)
				}
				slices.Reverse(all)
			}
		})
	}
}

func TestAssign(t *testing.T) {
	to := func(n int, change ...func(*fold.Item)) fold.Item {
		return item(n, cases.Assign, receiver, 1, append([]func(*fold.Item){reroute(areaZ)}, change...)...)
	}
	s := fold.Fold([]fold.Item{opened, to(2)})
	if s.Assigned != areaZ || !s.AssignedAt.Equal(minutes(2)) || s.Status != cases.StatusOpen || s.Y != areaY {
		t.Errorf("assigned %s at %s, %s, receiver %s", s.Assigned, s.AssignedAt, s.Status, s.Y)
	}
	plain := fold.Fold([]fold.Item{opened})
	if d := cmp.Diff(plain.Current, s.Current); d != "" {
		t.Errorf("an assignment moved the case's own clock:\n%s", d)
	}
	s = fold.Fold([]fold.Item{opened, to(4, reroute(areaY)), to(3)})
	if s.Assigned != areaY {
		t.Errorf("assigned to %s, want the last by t", s.Assigned)
	}
	s = fold.Fold([]fold.Item{opened, to(2, rejected)})
	if s.Assigned != 0 {
		t.Errorf("rejected assignment to %s", s.Assigned)
	}
}

// The etag mark: an answer is "on older fields" unless it saw the newest field
// item of its own or an earlier round.
func TestOnOlderFields(t *testing.T) {
	correct := func(n int, round uint32, change ...func(*fold.Item)) fold.Item {
		return item(n, cases.Correct, opener, round, change...)
	}
	early := func(it *fold.Item) { it.Head.T = 0 }
	reopen := item(10, cases.Reopen, opener, 2)
	tests := []struct {
		name  string
		items []fold.Item
		want  bool
	}{
		{"saw the OPEN", []fold.Item{item(5, cases.Answer, receiver, 1)}, false},
		{"saw nothing", []fold.Item{item(5, cases.Answer, receiver, 1, func(it *fold.Item) { it.Head.Seen = cases.ItemID{} })}, true},
		{"saw the first of two", []fold.Item{correct(2, 1), correct(3, 1), item(5, cases.Answer, receiver, 1, saw(2))}, true},
		{"saw the last of two", []fold.Item{correct(2, 1), correct(3, 1), item(5, cases.Answer, receiver, 1, saw(3))}, false},
		{"a rejected correction is no field", []fold.Item{correct(2, 1, rejected), item(5, cases.Answer, receiver, 1)}, false},
		{"answered anew having seen", []fold.Item{correct(6, 1), item(5, cases.Answer, receiver, 1), item(7, cases.Answer, receiver, 1, saw(6))}, false},
		{"correction of the round before", []fold.Item{correct(2, 1), reopen, item(11, cases.Answer, receiver, 2)}, true},
		{"seen in the round before", []fold.Item{correct(2, 1), reopen, item(11, cases.Answer, receiver, 2, saw(2))}, false},
		{"a correction before the OPEN by t still overlays it", []fold.Item{correct(2, 1, early), item(5, cases.Answer, receiver, 1, saw(2))}, false},
		{"no answer", []fold.Item{correct(2, 1)}, false},
	}
	for _, tt := range tests {
		if s := fold.Fold(append([]fold.Item{opened}, tt.items...)); s.OnOlderFields != tt.want {
			t.Errorf("%s: marked %v", tt.name, s.OnOlderFields)
		}
	}
}

func TestWithdrawnByParentOnlyWhereNoClerkDid(t *testing.T) {
	clerks, parents := item(3, cases.Withdraw, opener, 1), item(2, cases.Withdraw, opener, 1, byParent)
	for _, tt := range []struct {
		name  string
		items []fold.Item
		want  bool
	}{
		{"parent", []fold.Item{opened, parents}, true},
		{"clerk", []fold.Item{opened, clerks}, false},
		{"both", []fold.Item{opened, parents, clerks}, false},
		{"both, the other way round", []fold.Item{opened, clerks, parents}, false},
		{"the clerk's in an earlier round", []fold.Item{opened, clerks, item(4, cases.Reopen, opener, 2), item(5, cases.Withdraw, opener, 2, byParent)}, true},
	} {
		if s := fold.Fold(tt.items); s.Status != cases.StatusWithdrawn || s.ByParent != tt.want {
			t.Errorf("%s: %s, by parent %v", tt.name, s.Status, s.ByParent)
		}
	}
}

func TestDisputeIsTheOpeners(t *testing.T) {
	base := []fold.Item{opened, item(2, cases.Close, opener, 1)}
	if s := fold.Fold(append(slices.Clone(base), item(3, cases.Reopen, opener, 2, dispute))); !s.Disputed {
		t.Error("a dispute left no trace")
	}
	if s := fold.Fold(append(slices.Clone(base), item(3, cases.Reopen, receiver, 2, dispute))); s.Disputed {
		t.Error("the receiver used up the opener's dispute")
	}
}

// FEEDBACK is the residence side's: the receiver's of an outflow notice, the
// opener's of an inflow notice.
func TestFeedbackOfTheWrongSideIsNone(t *testing.T) {
	for k, want := range map[cases.Kind]cases.ItemID{cases.Outflow: id(3), cases.Inflow: id(2)} {
		s := fold.Fold([]fold.Item{item(1, cases.Open, opener, 1, func(it *fold.Item) { it.Head.CaseKind = k }),
			item(2, cases.Feedback, opener, 1), item(3, cases.Feedback, receiver, 1)})
		if d := cmp.Diff([]cases.ItemID{want}, s.Feedback); d != "" {
			t.Errorf("%s (-want +got):\n%s", k, d)
		}
	}
}
