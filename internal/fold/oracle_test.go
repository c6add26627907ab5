package fold_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fold"
)

// pick keeps the items that satisfy every condition, in their order.
func pick(items []fold.Item, conds ...func(fold.Item) bool) []fold.Item {
	var out []fold.Item
	for _, it := range items {
		if !slices.ContainsFunc(conds, func(c func(fold.Item) bool) bool { return !c(it) }) {
			out = append(out, it)
		}
	}
	return out
}

func kind(ks ...cases.ItemKind) func(fold.Item) bool {
	return func(it fold.Item) bool { return slices.Contains(ks, it.Head.Kind) }
}

func inRound(n uint32) func(fold.Item) bool {
	return func(it fold.Item) bool { return it.Head.Round == n }
}

func least(items []fold.Item, of func(fold.Item) time.Time) (best time.Time) {
	for _, it := range items {
		if t := of(it); !t.IsZero() && (best.IsZero() || t.Before(best)) {
			best = t
		}
	}
	return best
}

func recorded(it fold.Item) time.Time { return it.Head.RecordedAt }

func deliveredAt(it fold.Item) time.Time {
	if it.Head.Local {
		return it.Head.RecordedAt
	}
	return it.Held
}

func idsOf(items []fold.Item) (out []cases.ItemID) {
	for _, it := range items {
		out = append(out, it.ID)
	}
	return out
}

// oracle is PROTOCOL rules 14, 23 and 24 read line by line, by filters over the
// whole set; it shares no code with the fold.
func oracle(all []fold.Item) fold.State {
	var s fold.State
	sound := pick(all, func(it fold.Item) bool { return !it.Rejected })
	for _, it := range sound {
		s.MaxT = max(s.MaxT, it.Head.T)
		s.Version ^= it.ID.Hash64()
	}
	// Leave out what is rejected or named by its author's REVOKE.
	live := pick(sound, func(it fold.Item) bool {
		return it.Head.Kind != cases.Feedback || len(pick(sound, kind(cases.Revoke), func(r fold.Item) bool {
			return r.Head.Target == it.ID && r.Head.Author == it.Head.Author
		})) == 0
	})
	slices.SortFunc(live, func(a, b fold.Item) int {
		return cmp.Or(cmp.Compare(a.Head.T, b.Head.T), bytes.Compare(a.ID[:], b.ID[:]))
	})
	// OPEN = least (t, id); without one the case is invisible.
	opens := pick(live, kind(cases.Open))
	if len(opens) == 0 {
		return s
	}
	h := opens[0].Head
	s.Kind, s.X, s.Y, s.Limit, s.Policy, s.Urgent = h.CaseKind, h.X, h.Y, h.Limit, h.Policy, h.Urgent
	s.Parent, s.ParentRound, s.Hops, s.OpenedAt = h.Parent, h.ParentRound, h.Hops, h.RecordedAt
	// Fields = OPEN overlaid by CORRECTs in (t, id).
	s.Fields = append([]cases.ItemID{opens[0].ID}, idsOf(pick(live, kind(cases.Correct)))...)
	s.Feedback = idsOf(pick(live, kind(cases.Feedback), func(it fold.Item) bool { return it.Head.Side == s.Kind.ResidenceSide() }))
	for _, it := range pick(live, kind(cases.Assign)) {
		s.Assigned, s.AssignedAt = it.Head.Area, it.Head.RecordedAt
	}
	s.Disputed = len(pick(live, kind(cases.Reopen), func(it fold.Item) bool { return it.Head.Dispute && it.Head.Side == cases.SideOpener })) > 0
	// Round = greatest REOPEN round, else 1.
	numbers := []uint32{1}
	for _, it := range pick(live, kind(cases.Reopen)) {
		if it.Head.Round > 1 && !slices.Contains(numbers, it.Head.Round) {
			numbers = append(numbers, it.Head.Round)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		r := fold.Round{N: n, OpenedAt: opens[0].Head.RecordedAt}
		begins := opens
		if n > 1 {
			begins = pick(live, kind(cases.Reopen), inRound(n))
			r.OpenedAt = least(begins, recorded)
		}
		r.Delivered = least(begins, deliveredAt)
		answers := pick(live, kind(cases.Answer), inRound(n))
		terminal := pick(answers, func(it fold.Item) bool { return it.Head.Terminal })
		slices.SortStableFunc(terminal, func(a, b fold.Item) int { return a.Head.RecordedAt.Compare(b.Head.RecordedAt) })
		if len(terminal) > 0 {
			r.AnsweredAt, r.AnswerHeld = terminal[0].Head.RecordedAt, deliveredAt(terminal[0])
		}
		if len(answers) > 0 {
			last := answers[len(answers)-1].Head
			r.Reroute, r.ReroutedAt = last.Area, last.RecordedAt
		}
		r.WithdrawnAt = least(pick(live, kind(cases.Withdraw), inRound(n)), deliveredAt)
		r.ClosedAt = least(pick(live, kind(cases.Close), inRound(n)), recorded)
		// For each outage the most that an EXTEND of the round says, 60 days at most.
		most := map[cases.ItemID]uint64{}
		for _, it := range pick(live, kind(cases.Extend), inRound(n)) {
			most[it.Head.Target] = max(most[it.Head.Target], uint64(it.Head.Limit.Days))
		}
		sum := uint64(0)
		for _, days := range most {
			sum += days
		}
		r.Extended = uint32(min(sum, 60))
		s.Past = append(s.Past, r)
	}
	s.Current, s.Past = s.Past[len(s.Past)-1], s.Past[:len(s.Past)-1]

	// The first that applies in the current round.
	now := pick(live, inRound(s.Current.N))
	answers, withdraws := pick(now, kind(cases.Answer)), pick(now, kind(cases.Withdraw))
	switch {
	case len(pick(now, kind(cases.Close))) > 0:
		s.Status = cases.StatusClosed
	case len(answers) > 0 && answers[len(answers)-1].Head.Area != 0:
		s.Status = cases.StatusRerouted
	case len(answers) > 0:
		s.Status = cases.StatusAnswered
	case len(withdraws) > 0:
		s.Status = cases.StatusWithdrawn
		s.ByParent = len(pick(withdraws, func(it fold.Item) bool { return !it.Head.ByParent })) == 0
	default:
		s.Status = cases.StatusOpen
	}
	if len(answers) > 0 {
		last := answers[len(answers)-1]
		s.Answer = last.ID
		s.WithdrawalCrossed = len(withdraws) > 0
		seen := opens[0].ID
		for _, c := range pick(live, kind(cases.Correct), func(it fold.Item) bool { return it.Head.Round <= last.Head.Round }) {
			seen = c.ID
		}
		s.OnOlderFields = last.Head.Seen != seen
	}
	return s
}

var (
	areaX = area.MustOf(area.Township, "520330001")
	areaY = area.MustOf(area.Township, "440304002")
	areaZ = area.MustOf(area.Township, "440305001")
	start = time.UnixMilli(1_790_000_000_000)
)

func minutes(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// drawItems draws a set in which everything collides: few rounds, few t, few
// authors, targets among the items themselves.
func drawItems(t *rapid.T, most int) []fold.Item {
	n := most - rapid.IntRange(0, most).Draw(t, "fewer") // rapid draws small numbers more often
	ids := make([]cases.ItemID, n)
	for i := range ids {
		binary.BigEndian.PutUint64(ids[i][:], rapid.Uint64().Draw(t, "id"))
		ids[i][15] = byte(i + 1) // never twice
	}
	named := func(what string) cases.ItemID {
		return rapid.SampledFrom(append(slices.Clone(ids), cases.ItemID{})).Draw(t, what)
	}
	flag := func(what string) bool { return rapid.IntRange(0, 3).Draw(t, what) == 3 }
	items := make([]fold.Item, n)
	for i := range items {
		k := rapid.SampledFrom([]cases.ItemKind{cases.Answer, cases.Answer, cases.Answer, cases.Withdraw, cases.Withdraw, cases.Correct, cases.Correct, cases.Reopen, cases.Reopen,
			cases.Close, cases.Assign, cases.Feedback, cases.Feedback, cases.Revoke, cases.Revoke, cases.Open, cases.Receipt, cases.Extend, cases.Extend, cases.Report, 0, 77}).Draw(t, "kind")
		items[i] = fold.Item{ID: ids[i], Rejected: flag("rejected"), Head: cases.Head{
			Author: cases.NodeID(rapid.SampledFrom([]area.Key{areaX, areaY, areaZ}).Draw(t, "author")),
			Side:   cases.Side(rapid.IntRange(0, 2).Draw(t, "side")),
			X:      areaX, Y: areaY, Kind: k,
			Round:      rapid.SampledFrom([]uint32{1, 1, 1, 1, 2, 2, 2, 3, 0, math.MaxUint32}).Draw(t, "round"),
			T:          rapid.Int64Range(1, 4).Draw(t, "t"),
			RecordedAt: minutes(rapid.IntRange(1, 4).Draw(t, "recorded")), Local: flag("local"),
			CaseKind: cases.Kind(rapid.IntRange(1, 5).Draw(t, "case kind")), Limit: cases.Limit{Days: 7},
			Hops: rapid.Uint32Range(0, 4).Draw(t, "hops"), Terminal: !flag("not terminal"),
			Seen: named("seen"), ByParent: flag("by parent"), Dispute: flag("dispute"), Target: named("target"),
		}}
		if flag("area") {
			items[i].Head.Area = areaZ
		}
		if k == cases.Extend {
			items[i].Head.Limit = cases.Limit{Days: rapid.SampledFrom([]uint32{1, 2, 5, 30, 60, math.MaxUint32}).Draw(t, "days")}
			items[i].Head.Target = rapid.SampledFrom([]cases.ItemID{{1}, {1}, {2}, {3}}).Draw(t, "outage")
		}
		if !flag("undelivered") {
			items[i].Held = minutes(rapid.IntRange(5, 8).Draw(t, "held"))
		}
	}
	if n > 0 { // a case that is visible, more often than not
		items[0].Head.Kind, items[0].Rejected = cases.Open, false
	}
	return items
}

func TestFoldIsTheOracleOnEverySubsetInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := drawItems(t, 8)
		shuffled := rapid.Permutation(items).Draw(t, "order")
		for mask := range 1 << len(items) {
			in := func(it fold.Item) bool { return mask&(1<<(it.ID[15]-1)) != 0 }
			one, other := pick(items, in), pick(shuffled, in)
			want, got, again := oracle(one), fold.Fold(one), fold.Fold(other)
			if d := differ(want, got); d != "" {
				t.Fatalf("subset %b: fold is not the oracle (-oracle +fold):\n%s", mask, d)
			}
			if d := differ(got, again); d != "" || got.Digest() != again.Digest() {
				t.Fatalf("subset %b: order matters:\n%s", mask, d)
			}
		}
	})
}

func differ(a, b fold.State) string {
	if reflect.DeepEqual(a, b) {
		return ""
	}
	return gocmp.Diff(a, b, cmpopts.EquateEmpty())
}

// Up to five items in each of their orders, exhaustively.
func TestFoldEveryPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := drawItems(t, 5)
		want := fold.Fold(items)
		var walk func(k int)
		walk = func(k int) {
			if k == len(items) {
				if d := differ(want, fold.Fold(items)); d != "" {
					t.Fatalf("order matters:\n%s", d)
				}
				return
			}
			for i := k; i < len(items); i++ {
				items[k], items[i] = items[i], items[k]
				walk(k + 1)
				items[k], items[i] = items[i], items[k]
			}
		}
		walk(0)
	})
}

// What both ends must agree on (I3) moves the digest.
func TestDigestTellsStatesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := fold.Fold(drawItems(t, 6)), fold.Fold(drawItems(t, 6))
		type agreed struct {
			Status         cases.Status
			Kind           cases.Kind
			Fields         []cases.ItemID
			Answer         cases.ItemID
			Feedback       []cases.ItemID
			Assigned       area.Key
			Past           int
			N              uint32
			D, A, W, C     int64
			Reroute        area.Key
			F1, F2, F3, F4 bool
		}
		of := func(s fold.State) agreed {
			r := s.Current
			return agreed{s.Status, s.Kind, s.Fields, s.Answer, s.Feedback, s.Assigned, len(s.Past), r.N, r.Delivered.Unix(), r.AnsweredAt.Unix(),
				r.WithdrawnAt.Unix(), r.ClosedAt.Unix(), r.Reroute, s.Disputed, s.OnOlderFields, s.WithdrawalCrossed, s.ByParent}
		}
		if !reflect.DeepEqual(of(a), of(b)) && a.Digest() == b.Digest() {
			t.Fatalf("equal digests of\n%+v\n%+v", a, b)
		}
	})
}
