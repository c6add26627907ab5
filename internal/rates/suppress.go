package rates

import "math/big"

// MinCell is the least number, other than none, that a count shown outside the
// county may have, and by which a shown revision may change one (SECURITY D3,
// DOMAIN section 4). Counted are rounds. One person has one round in a cell,
// but for reopened ones, which are few.
const MinCell = 5

// MinBreakdown is the least denominator of a frozen breakdown by outcome outside
// the owning office (SECURITY D3).
const MinBreakdown = 20

// Parts are the rounds of one atom: of one area, kind, side and month. Each round
// of the denominator is in exactly one of them.
type Parts struct {
	OnTime     int64 // answered by due
	Late       int64 // answered after due
	Unanswered int64 // pending, overdue or lapsed
}

// D is the denominator.
func (p Parts) D() int64 { return p.OnTime + p.Late + p.Unanswered }

// Published is what is shown of one atom outside the county. An atom is split
// into disjoint blocks of classes, each of which counts 0 or at least MinCell;
// nothing else of it is ever shown, so that whatever is computed from shown
// figures is a sum of whole blocks, and no two of those differ by 1 to 4 rounds:
//
//	HasAnswered  HasOnTime  blocks
//	yes          yes        on time | late | unanswered
//	no           yes        on time | late or unanswered
//	yes          no         on time or late | unanswered
//	no           no         all together
//
// The zero Published shows nothing.
type Published struct {
	D           int64 // denominator; 0 unless Shown
	Answered    int64 // 0 unless HasAnswered
	OnTime      int64 // 0 unless HasOnTime
	HasAnswered bool
	HasOnTime   bool
	Shown       bool // false: 1 to 4 rounds, and nothing is said
}

// Ratio returns the figure of Feedback, FeedbackOnTime or Verification of the
// atom; false: it is not shown.
func (p Published) Ratio(m Measure) (Ratio, bool) {
	switch {
	case !m.OfRounds() || !p.Shown:
	case m == FeedbackOnTime && p.HasOnTime:
		return Ratio{N: p.OnTime, D: p.D}, true
	case m != FeedbackOnTime && p.HasAnswered:
		return Ratio{N: p.Answered, D: p.D}, true
	}
	return Ratio{}, false
}

// Sets of classes, as bits. A set can be asked of an atom when it is a union of
// its blocks.
const (
	onTime = 1 << iota
	late
	unanswered
	everything = onTime | late | unanswered
)

// splits are the ways of splitting an atom in the order in which they are tried.
var splits = [...][]uint8{
	{onTime, late, unanswered},
	{onTime, late | unanswered},
	{onTime | late, unanswered},
	{everything},
}

func (p Parts) count(set uint8) (n int64) {
	for i, c := range [...]int64{p.OnTime, p.Late, p.Unanswered} {
		if set&(1<<i) != 0 {
			n += c
		}
	}
	return n
}

// small reports whether a count, or a difference, is one to four.
func small(n int64) bool { return n != 0 && n > -MinCell && n < MinCell }

// publish shows p in the given split; false: a block would be small.
func (p Parts) publish(split int) (Published, bool) {
	for _, block := range splits[split] {
		if n := p.count(block); n < 0 || small(n) {
			return Published{}, false
		}
	}
	s := Published{D: p.D(), Shown: true, HasOnTime: split <= 1, HasAnswered: split == 0 || split == 2}
	if s.HasOnTime {
		s.OnTime = p.OnTime
	}
	if s.HasAnswered {
		s.Answered = p.OnTime + p.Late
	}
	return s, true
}

func (p Published) split() int {
	switch {
	case p.HasOnTime && p.HasAnswered:
		return 0
	case p.HasOnTime:
		return 1
	case p.HasAnswered:
		return 2
	}
	return 3
}

// count returns the rounds of a set of classes; false: the figures shown do not
// tell it. Of nothing every set is known to be empty.
func (p Published) count(set uint8) (int64, bool) {
	if !p.Shown {
		return 0, false
	}
	if p.D == 0 || set == everything {
		return p.D, true
	}
	known := p.HasAnswered && p.HasOnTime
	switch {
	case set == onTime && p.HasOnTime:
		return p.OnTime, true
	case set == late|unanswered && p.HasOnTime:
		return p.D - p.OnTime, true
	case set == onTime|late && p.HasAnswered:
		return p.Answered, true
	case set == unanswered && p.HasAnswered:
		return p.D - p.Answered, true
	case set == late && known:
		return p.Answered - p.OnTime, true
	case set == onTime|unanswered && known:
		return p.D - p.Answered + p.OnTime, true
	}
	return 0, false
}

// Outside returns what is shown of an atom that was never shown before: the
// finest split (of those above, in that order) of which each block counts 0 or
// at least MinCell. Below MinCell in all, and not 0, nothing is shown.
func Outside(p Parts) Published {
	for split := range splits {
		if s, ok := p.publish(split); ok {
			return s
		}
	}
	return Published{}
}

// Revised returns what is shown of an atom whose counts have changed since it
// was shown, and whether the change may be shown at all; if not, shown is
// returned and stays. earlier is all that was ever shown of it before, for a
// figure that goes back to nearly its first value tells the few that are missing.
//
// The split is that of the first figures that were not 0: on time against rest
// before, answered against unanswered after, would together tell who is late.
// Whatever could be asked of the atom then and now, the same classes or some of
// them and more, changes by 0 or by at least MinCell.
//
// Revise does the same for all atoms of an area, sums over them included.
func Revised(shown Published, now Parts, earlier ...Published) (Published, bool) {
	past := make([]Published, 0, len(earlier)+1)
	past = append(append(past, earlier...), shown)
	next, ok := revised(past, now)
	if !ok {
		return shown, false
	}
	for _, was := range past {
		for _, q := range comparisons {
			if d, ok := q.change(was, next); ok && small(d) {
				return shown, false
			}
		}
	}
	return next, true
}

// revised publishes in the split of the past.
func revised(past []Published, now Parts) (Published, bool) {
	for _, was := range past {
		if was.Shown && was.D != 0 {
			return now.publish(was.split())
		}
	}
	next := Outside(now)
	return next, next.Shown
}

// comparison is of one set of classes before with another after, of which one
// contains the other.
type comparison struct{ before, after uint8 }

var comparisons = func() (out []comparison) {
	for x := uint8(1); x <= everything; x++ {
		for y := uint8(1); y <= everything; y++ {
			if x&y == x || x&y == y {
				out = append(out, comparison{x, y})
			}
		}
	}
	return out
}()

// same compares the i-th set of classes, from 0, with itself.
func same(i int) comparison { return comparison{uint8(i + 1), uint8(i + 1)} }

// change returns by how much the later exceeds the earlier; false: the figures
// do not tell. What was not shown counts nothing in a sum.
func (q comparison) change(was, is Published) (int64, bool) {
	a, ok := was.count(q.before)
	if !ok && was.Shown {
		return 0, false
	}
	b, ok := is.count(q.after)
	if !ok && is.Shown {
		return 0, false
	}
	return b - a, true
}

// Revise returns what is shown of all atoms that one area shows, now: the next
// release after those of history, oldest first, each with the same atoms in the
// same order (at the end of a release atoms may be missing, which were not shown
// then). An atom that may not change stays as the last release has it, so that
// whoever compares releases finds no sum over atoms, whichever they are, that
// changed by 1 to 4 in any set of classes: where many rounds go from one month to
// the next, extended ones, say, the sum of the quarter tells of one that is new.
//
// Atoms are taken in their order; the first wins. It takes time in proportion to
// releases × atoms, and to that of each atom again that changed while others
// changed the other way.
func Revise(history [][]Published, now []Parts) []Published {
	next := make([]Published, len(now))
	if len(history) == 0 {
		for i, p := range now {
			next[i] = Outside(p)
		}
		return next
	}
	r := revision{changes: make([][]int64, len(history)*everything)}
	past := make([][]Published, len(now))
	for i := range now {
		past[i] = make([]Published, len(history))
		for e, release := range history {
			if i < len(release) {
				past[i][e] = release[i]
			}
		}
		// All as before is sound, for the last release was.
		next[i] = past[i][len(history)-1]
		for k := range r.changes {
			r.changes[k] = append(r.changes[k], r.change(k, past[i], next[i]))
		}
	}
	for i, parts := range now {
		last := len(history) - 1
		is, ok := Revised(next[i], parts, past[i][:last]...)
		if !ok || is == next[i] || r.clashes(i, past[i], is) {
			continue
		}
		next[i] = is
		for k := range r.changes {
			r.changes[k][i] = r.change(k, past[i], is)
		}
	}
	return next
}

// revision is the next release in the making. changes has, for each earlier
// release and set of classes, by how much each atom exceeds it.
type revision struct{ changes [][]int64 }

// change is of the k-th release and set; 0 where it cannot be told.
func (*revision) change(k int, past []Published, is Published) int64 {
	d, ok := same(k%everything).change(past[k/everything], is)
	if !ok {
		return 0
	}
	return d
}

// clashes reports whether some sum over atoms, the i-th as is among them, would
// change by little.
func (r *revision) clashes(i int, past []Published, is Published) bool {
	for k := range r.changes {
		d := r.change(k, past, is)
		if d == r.changes[k][i] {
			continue
		}
		s, opposed := sums{}, false
		s.add(d)
		for j, o := range r.changes[k] {
			if j != i {
				s.add(o)
				opposed = opposed || o > 0 && d < 0 || o < 0 && d > 0
			}
		}
		// Changes of one sign add up to more.
		if opposed && s.small() {
			return true
		}
	}
	return false
}

// sums are changes of atoms. up and down hold a bit for each sum that some of the
// rising, some of the falling atoms make; nil: there are none.
type sums struct{ up, down *big.Int }

func (s *sums) add(d int64) {
	switch {
	case d > 0:
		s.up = with(s.up, d)
	case d < 0:
		s.down = with(s.down, -d)
	}
}

func with(set *big.Int, d int64) *big.Int {
	if set == nil {
		set = big.NewInt(1)
	}
	return new(big.Int).Or(set, new(big.Int).Lsh(set, uint(d)))
}

// small reports whether some atoms together change by 1 to 4.
func (s *sums) small() bool {
	if s.up == nil || s.down == nil {
		return false
	}
	for k := uint(1); k < MinCell; k++ {
		for _, x := range [][2]*big.Int{{s.up, s.down}, {s.down, s.up}} {
			if moved := new(big.Int).Lsh(x[0], k); moved.And(moved, x[1]).Sign() != 0 {
				return true
			}
		}
	}
	return false
}

// OutsideRatio returns what is shown of a sensitive measure (Measure.Sensitive)
// outside the owning office: n and d, or, where n or what d has besides is small,
// nothing, d neither.
func OutsideRatio(r Ratio) (Ratio, bool) {
	if r.N < 0 || r.D < r.N || small(r.N) || small(r.D-r.N) {
		return Ratio{}, false
	}
	return r, true
}

// RevisedRatio returns what is shown of a sensitive measure of which something
// else was shown before, for the same area and period, and whether the change
// may be shown; if not, shown stays. earlier is as in Revised. What was never
// shown is left out and goes through OutsideRatio.
func RevisedRatio(shown, now Ratio, earlier ...Ratio) (Ratio, bool) {
	of := func(r Ratio) Published {
		return Published{D: r.D, Answered: r.N, HasAnswered: true, Shown: true}
	}
	past := make([]Published, len(earlier))
	for i, r := range earlier {
		past[i] = of(r)
	}
	if _, ok := OutsideRatio(now); !ok {
		return shown, false
	}
	// Only the blocks n and the rest exist: nothing is known of a third.
	if _, ok := Revised(of(shown), Parts{OnTime: now.N, Unanswered: now.D - now.N}, past...); !ok {
		return shown, false
	}
	return now, true
}

// SumPublished adds up atoms: of a quarter, of all kinds, of several areas. It
// has Answered and OnTime only where all that is shown has them. partial: some
// atom is not shown, or not in full.
func SumPublished(ps []Published) (sum Published, partial bool) {
	sum.HasAnswered, sum.HasOnTime = true, true
	for _, p := range ps {
		if !p.Shown {
			partial = true
			continue
		}
		sum.Shown = true
		sum.D += p.D
		sum.Answered += p.Answered
		sum.OnTime += p.OnTime
		if p.D != 0 {
			sum.HasAnswered = sum.HasAnswered && p.HasAnswered
			sum.HasOnTime = sum.HasOnTime && p.HasOnTime
		}
	}
	if !sum.Shown {
		return Published{}, partial
	}
	if !sum.HasAnswered {
		sum.Answered, partial = 0, true
	}
	if !sum.HasOnTime {
		sum.OnTime, partial = 0, true
	}
	return sum, partial
}

// SumRatio adds up one measure over those atoms that show it, so that n and d
// are of the same rounds. partial: some do not.
func SumRatio(m Measure, ps []Published) (sum Ratio, partial bool) {
	for _, p := range ps {
		r, ok := p.Ratio(m)
		partial = partial || !ok
		sum.N += r.N
		sum.D += r.D
	}
	return sum, partial
}
