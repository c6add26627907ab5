package fold_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/cases"
	"yipan/internal/fold"
)

// extend is an EXTEND of an outage to a round.
func extend(n int, round uint32, outage byte, days uint32, change ...func(*fold.Item)) fold.Item {
	it := item(n, cases.Extend, receiver, round, change...)
	it.Head.Target, it.Head.Limit = cases.ItemID{outage}, cases.Limit{Days: days}
	return it
}

func TestExtended(t *testing.T) {
	answer := item(5, cases.Answer, receiver, 1)
	reopened := []fold.Item{opened, item(2, cases.Close, opener, 1), item(3, cases.Reopen, opener, 2)}
	for _, tt := range []struct {
		name  string
		items []fold.Item
		want  []uint32 // by round
	}{
		{"none", []fold.Item{opened}, []uint32{0}},
		{"one", []fold.Item{opened, extend(2, 1, 1, 3)}, []uint32{3}},
		{"two outages", []fold.Item{opened, extend(2, 1, 1, 3), extend(3, 1, 2, 4)}, []uint32{7}},
		{"the same outage twice takes the larger", []fold.Item{opened, extend(2, 1, 1, 3), extend(3, 1, 1, 5), extend(4, 1, 1, 2)}, []uint32{5}},
		{"sixty days at most", []fold.Item{opened, extend(2, 1, 1, 31), extend(3, 1, 2, 31), extend(4, 1, 3, 31)}, []uint32{60}},
		{"a rejected one counts for nothing", []fold.Item{opened, extend(2, 1, 1, 3, rejected)}, []uint32{0}},
		{"one that nobody receipted counts: it is the receiver's own", []fold.Item{opened, extend(2, 1, 1, 3, undelivered)}, []uint32{3}},
		{"after the answer", []fold.Item{opened, answer, extend(6, 1, 1, 3)}, []uint32{3}},
		{"of an older round", append(slices.Clone(reopened), extend(4, 1, 1, 3)), []uint32{3, 0}},
		{"of the newer round", append(slices.Clone(reopened), extend(4, 2, 1, 3)), []uint32{0, 3}},
		{"of both, by one outage", append(slices.Clone(reopened), extend(4, 1, 1, 2), extend(5, 2, 1, 3)), []uint32{2, 3}},
		{"of a round that nobody began", []fold.Item{opened, extend(2, 2, 1, 3)}, []uint32{0}},
		{"before its OPEN came", []fold.Item{extend(2, 1, 1, 3)}, []uint32{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := fold.Fold(tt.items)
			var got []uint32
			for _, r := range append(slices.Clone(s.Past), s.Current) {
				got = append(got, r.Extended)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("days (-want +got):\n%s", d)
			}
			slices.Reverse(tt.items)
			if other := fold.Fold(tt.items); other.Digest() != s.Digest() {
				t.Error("order matters")
			}
		})
	}
}

// The table of rule 24: an EXTEND changes no state, whatever it crosses with, and
// is no field that an answer had to have seen.
func TestExtendCrossesEverything(t *testing.T) {
	for _, tt := range []struct {
		name  string
		items []fold.Item
	}{
		{"answer", []fold.Item{item(5, cases.Answer, receiver, 1)}},
		{"reroute", []fold.Item{item(5, cases.Answer, receiver, 1, reroute(areaZ))}},
		{"correct", []fold.Item{item(5, cases.Correct, opener, 1)}},
		{"correct and an answer that saw it", []fold.Item{item(5, cases.Correct, opener, 1), item(7, cases.Answer, receiver, 1, saw(5))}},
		{"withdraw", []fold.Item{item(5, cases.Withdraw, opener, 1)}},
		{"close", []fold.Item{item(5, cases.Close, opener, 1)}},
		{"close and reopen", []fold.Item{item(5, cases.Close, opener, 1), item(7, cases.Reopen, opener, 2)}},
		{"dispute", []fold.Item{item(5, cases.Answer, receiver, 1), item(7, cases.Reopen, opener, 2, dispute)}},
		{"assign", []fold.Item{item(5, cases.Assign, receiver, 1, reroute(areaZ))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := append([]fold.Item{opened}, tt.items...)
			without := fold.Fold(base)
			for _, put := range []fold.Item{extend(4, 1, 1, 3), extend(6, 1, 1, 3), extend(8, 1, 1, 3)} {
				with := fold.Fold(append(slices.Clone(base), put))
				if d := cmp.Diff(show(without), show(with)); d != "" {
					t.Errorf("state (-without +with):\n%s", d)
				}
				rounds := append(slices.Clone(with.Past), with.Current)
				if rounds[0].Extended != 3 || len(rounds) > 1 && rounds[1].Extended != 0 {
					t.Errorf("days: %d", rounds[0].Extended)
				}
				if with.Digest() == without.Digest() || with.Version == without.Version {
					t.Error("it is not part of what both ends compare")
				}
			}
		})
	}
}

// A REPORT is no part of a case.
func TestReportIsInvisible(t *testing.T) {
	base := []fold.Item{opened, item(5, cases.Answer, receiver, 1)}
	if d := cmp.Diff(show(fold.Fold(base)), show(fold.Fold(append(slices.Clone(base), item(6, cases.Report, opener, 1))))); d != "" {
		t.Errorf("a REPORT changes a case:\n%s", d)
	}
	if s := fold.Fold([]fold.Item{item(1, cases.Report, opener, 1)}); s.Exists() || s.MaxT != 1 {
		t.Errorf("a leg of a report folds to %v", s.Status)
	}
	for side, want := range map[cases.Side]bool{opener: true, receiver: false, cases.SideNone: false} {
		if fold.ItsVerb(cases.Report, side) != want {
			t.Errorf("REPORT of side %d", side)
		}
	}
	if fold.ItsVerb(cases.Extend, opener) || !fold.ItsVerb(cases.Extend, receiver) {
		t.Error("EXTEND is the receiver's")
	}
}
