package rates

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestOutside(t *testing.T) {
	for _, c := range []struct {
		parts Parts
		want  Published
	}{
		{Parts{}, Published{Shown: true, HasAnswered: true, HasOnTime: true}},
		{Parts{1, 0, 0}, Published{}},
		{Parts{0, 2, 2}, Published{}},
		{Parts{5, 0, 0}, Published{D: 5, Answered: 5, OnTime: 5, Shown: true, HasAnswered: true, HasOnTime: true}},
		{Parts{10, 5, 6}, Published{D: 21, Answered: 15, OnTime: 10, Shown: true, HasAnswered: true, HasOnTime: true}},
		{Parts{10, 2, 6}, Published{D: 18, OnTime: 10, Shown: true, HasOnTime: true}},
		{Parts{10, 6, 2}, Published{D: 18, OnTime: 10, Shown: true, HasOnTime: true}},
		{Parts{3, 4, 9}, Published{D: 16, Answered: 7, Shown: true, HasAnswered: true}},
		{Parts{7, 4, 0}, Published{D: 11, Answered: 11, Shown: true, HasAnswered: true}},
		{Parts{100, 2, 1}, Published{D: 103, Shown: true}},
		{Parts{1, 2, 2}, Published{D: 5, Shown: true}},
	} {
		if got := Outside(c.parts); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.parts, got, c.want)
		}
	}
}

// Whoever knows the rule, and so why something is hidden, still cannot compute
// what is: every figure shown fits at least two counts of each hidden class.
func TestOutsideIsAmbiguous(t *testing.T) {
	const most = 24
	behind := map[Published][]Parts{}
	for o := range int64(most) {
		for l := range int64(most) {
			for u := range int64(most) {
				p := Parts{o, l, u}
				s := Outside(p)
				behind[s] = append(behind[s], p)
				for set := uint8(1); set <= everything; set++ {
					n, ok := s.count(set)
					if ok && n != p.count(set) {
						t.Fatalf("%+v is shown as %+v", p, s)
					}
					if ok && small(n) {
						t.Fatalf("%+v: %d are shown", p, n)
					}
				}
			}
		}
	}
	for s, ps := range behind {
		if s.Shown && s.D > most { // cut off by the loops above
			continue
		}
		for set := uint8(1); set <= everything; set++ {
			if _, ok := s.count(set); ok {
				continue
			}
			counts := map[int64]bool{}
			for _, p := range ps {
				counts[p.count(set)] = true
			}
			if len(counts) < 2 {
				t.Errorf("%+v tells the hidden set %03b: %+v", s, set, ps)
			}
		}
	}
}

// TestSecurity09RevisionByOneIsSuppressed: row 9.
func TestSecurity09RevisionByOneIsSuppressed(t *testing.T) {
	full := Outside(Parts{20, 6, 8})
	merged := Outside(Parts{20, 2, 8}) // on time | rest
	for _, c := range []struct {
		name    string
		shown   Published
		now     Parts
		earlier []Published
		want    bool
	}{
		{"one answered late", full, Parts{20, 7, 7}, nil, false},
		{"one more", full, Parts{21, 6, 8}, nil, false},
		{"one less", full, Parts{19, 6, 8}, nil, false},
		{"four more", full, Parts{20, 6, 12}, nil, false},
		{"eleven more", full, Parts{20, 6, 19}, nil, true},
		{"five more, one less than were late or unanswered", full, Parts{20, 6, 13}, nil, false},
		{"nothing", full, Parts{20, 6, 8}, nil, true},
		{"five answered late, which leaves three", full, Parts{20, 11, 3}, nil, false},
		{"all answered late", full, Parts{20, 14, 0}, nil, true},
		{"five go, six come", full, Parts{15, 12, 8}, nil, false},
		{"all gone", full, Parts{}, nil, true},
		{"back to one less than at first", Outside(Parts{30, 6, 8}), Parts{19, 6, 8}, []Published{full}, false},
		{"back to the first", Outside(Parts{50, 6, 8}), Parts{20, 6, 8}, []Published{full}, true},
		{"another split", merged, Parts{4, 26, 8}, nil, false},
		{"inside the rest nothing is told", merged, Parts{20, 5, 5}, nil, true},
		{"the few late are never split off", merged, Parts{20, 2, 13}, nil, true},
		{"none and then three", Outside(Parts{}), Parts{3, 0, 0}, nil, false},
		{"none and then many, of them few late", Outside(Parts{}), Parts{30, 2, 6}, nil, true},
		{"few and then many", Outside(Parts{2, 1, 0}), Parts{30, 2, 6}, nil, true},
		{"few and then few", Outside(Parts{2, 1, 0}), Parts{2, 2, 0}, nil, false},
	} {
		got, ok := Revised(c.shown, c.now, c.earlier...)
		if ok != c.want || !ok && got != c.shown || ok && got.D != c.now.D() {
			t.Errorf("%s: %v %+v", c.name, ok, got)
		}
	}
	if got, _ := Revised(merged, Parts{20, 10, 10}); got.HasAnswered {
		t.Error("a later revision splits finer than the first")
	}
	for _, c := range []struct {
		shown, now Ratio
		earlier    []Ratio
		want       bool
	}{
		{Ratio{10, 20}, Ratio{11, 20}, nil, false},
		{Ratio{10, 20}, Ratio{10, 21}, nil, false},
		{Ratio{10, 20}, Ratio{15, 20}, nil, true},
		{Ratio{10, 20}, Ratio{15, 21}, nil, false},
		{Ratio{10, 20}, Ratio{18, 20}, nil, false},
		{Ratio{15, 20}, Ratio{9, 20}, []Ratio{{10, 20}}, false},
		{Ratio{0, 0}, Ratio{10, 20}, nil, true},
		{Ratio{0, 0}, Ratio{1, 20}, nil, false},
	} {
		if _, ok := RevisedRatio(c.shown, c.now, c.earlier...); ok != c.want {
			t.Errorf("%v after %v: %v", c.now, c.shown, ok)
		}
	}
}

func TestOutsideRatio(t *testing.T) {
	for r, want := range map[Ratio]bool{
		{0, 0}: true, {0, 4}: false, {4, 4}: false, {0, 5}: true, {5, 5}: true, {4, 20}: false, {16, 20}: false, {15, 20}: true, {5, 10}: true, {6, 5}: false,
	} {
		got, ok := OutsideRatio(r)
		if ok != want || ok && got != r || !ok && got != (Ratio{}) {
			t.Errorf("%v: %v %v", r, got, ok)
		}
	}
}

// A round of the model. atom < 0: it is in no denominator.
type modelRound struct {
	atom  int
	class uint8
}

// release is what one publication shows, with the rounds behind each atom's
// classes.
type release struct {
	shown  []Published
	behind []map[uint8][]int
}

const (
	modelAreas  = 2
	modelMonths = 3
	modelAtoms  = modelAreas * modelMonths
)

// groups are the sums that can be asked: atoms, an area's quarter, a month of all
// areas, everything.
func modelGroups() [][]int {
	var out [][]int
	var all []int
	for i := range modelAtoms {
		out = append(out, []int{i})
		all = append(all, i)
	}
	for a := range modelAreas {
		out = append(out, all[a*modelMonths:(a+1)*modelMonths])
	}
	for m := range modelMonths {
		var month []int
		for a := range modelAreas {
			month = append(month, a*modelMonths+m)
		}
		out = append(out, month)
	}
	return append(out, all)
}

func tellParts(rounds []modelRound) ([]Parts, []map[uint8][]int) {
	parts, behind := make([]Parts, modelAtoms), make([]map[uint8][]int, modelAtoms)
	for i := range behind {
		behind[i] = map[uint8][]int{}
	}
	for id, r := range rounds {
		if r.atom < 0 {
			continue
		}
		behind[r.atom][r.class] = append(behind[r.atom][r.class], id)
		switch r.class {
		case onTime:
			parts[r.atom].OnTime++
		case late:
			parts[r.atom].Late++
		default:
			parts[r.atom].Unanswered++
		}
	}
	return parts, behind
}

// publishing is a rule of what to show; the last is the one in use, the others
// are what it must be better than.
type publishing func(history [][]Published, now []Parts) []Published

func publish(rule publishing, history []release, rounds []modelRound) release {
	parts, behind := tellParts(rounds)
	past := make([][]Published, len(history))
	for e := range history {
		past[e] = history[e].shown
	}
	r := release{shown: rule(past, parts), behind: behind}
	for i := range r.shown {
		// What did not change shows the rounds that it showed.
		if len(history) > 0 && r.shown[i] == history[len(history)-1].shown[i] {
			r.behind[i] = history[len(history)-1].behind[i]
		}
	}
	return r
}

// answer is a sum of published atoms; behind says how often each round is in it.
type answer struct {
	asked  bool
	value  int64
	behind []int8
}

func (r *release) ask(group []int, set uint8, rounds int) answer {
	a := answer{behind: make([]int8, rounds)}
	for _, i := range group {
		n, ok := r.shown[i].count(set)
		if !ok {
			continue
		}
		a.asked = true
		a.value += n
		for class, ids := range r.behind[i] {
			if set&class != 0 {
				for _, id := range ids {
					a.behind[id]++
				}
			}
		}
	}
	return a
}

// tells reports whether two answers differ, by 1 to 4 persons behind them.
func (a answer) tells(b answer) bool {
	if !a.asked || !b.asked || a.value == b.value {
		return false
	}
	apart := 0
	for id := range a.behind {
		d := a.behind[id] - b.behind[id]
		apart += int(max(d, -d))
	}
	return apart < MinCell
}

// leak looks for two queries whose answers differ, by 1 to 4 persons behind them:
// of the first release, any two; of two releases, the same sum, and of one atom
// sums of classes of which one contains the other.
func leak(history []release) error {
	groups := modelGroups()
	rounds := 0
	for _, r := range history {
		for _, of := range r.behind {
			for _, ids := range of {
				for _, id := range ids {
					rounds = max(rounds, id+1)
				}
			}
		}
	}
	answers := make([][][]answer, len(history))
	for e := range history {
		answers[e] = make([][]answer, len(groups))
		for g, group := range groups {
			for set := uint8(0); set <= everything; set++ {
				answers[e][g] = append(answers[e][g], history[e].ask(group, set, rounds))
			}
		}
	}
	for g, group := range groups {
		for _, q := range comparisons {
			for h := range groups {
				if answers[0][g][q.before].tells(answers[0][h][q.after]) {
					return fmt.Errorf("atoms %v and %v, classes %03b and %03b", group, groups[h], q.before, q.after)
				}
			}
			if len(group) > 1 && q.before != q.after {
				continue
			}
			for e1 := range history {
				for e2 := e1; e2 < len(history); e2++ {
					a, b := answers[e1][g][q.before], answers[e2][g][q.after]
					if a.tells(b) && sameAtoms(&history[e1], &history[e2], group, q) {
						return fmt.Errorf("releases %d and %d, atoms %v, classes %03b and %03b: %d and %d", e1, e2, group, q.before, q.after, a.value, b.value)
					}
				}
			}
		}
	}
	return nil
}

// sameAtoms: a sum that lacks an atom because it is split otherwise is another
// sum; one that lacks it because nothing is shown of it is the same.
func sameAtoms(a, b *release, group []int, q comparison) bool {
	for _, i := range group {
		if _, ok := q.change(a.shown[i], b.shown[i]); !ok {
			return false
		}
	}
	return true
}

func drawHistory(t *rapid.T, rule publishing) []release {
	var rounds []modelRound
	more := func(n, atom int, class uint8) {
		for range n {
			rounds = append(rounds, modelRound{atom, class})
		}
	}
	size := rapid.SampledFrom([]int{0, 1, 2, 4, 5, 6, 9, 14})
	class := rapid.SampledFrom([]uint8{onTime, late, unanswered})
	atom := rapid.IntRange(-1, modelAtoms-1)
	for i := range modelAtoms {
		for _, c := range []uint8{onTime, late, unanswered} {
			more(size.Draw(t, "rounds"), i, c)
		}
	}
	history := []release{publish(rule, nil, rounds)}
	for range rapid.IntRange(1, 4).Draw(t, "releases") {
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
				more(size.Draw(t, "new"), max(atom.Draw(t, "atom"), 0), class.Draw(t, "class"))
				continue
			}
			// Some of one class of one atom go to another: an answer that was
			// late, a due put off, a township that got the case, a withdrawal.
			from, as := modelRound{atom.Draw(t, "from"), class.Draw(t, "was")}, modelRound{atom.Draw(t, "to"), class.Draw(t, "is")}
			if rapid.Bool().Draw(t, "same atom") {
				as.atom = from.atom
			}
			for n, id := size.Draw(t, "moved"), 0; n > 0 && id < len(rounds); id++ {
				if rounds[id] == from {
					rounds[id] = as
					n--
				}
			}
		}
		history = append(history, publish(rule, history, rounds))
	}
	return history
}

// TestSecurity08NoTwoQueriesDifferByFew: row 8.
func TestSecurity08NoTwoQueriesDifferByFew(t *testing.T) {
	for range 10 { // one leak showed in some thousand histories
		rapid.Check(t, func(t *rapid.T) {
			history := drawHistory(t, Revise)
			if err := leak(history); err != nil {
				for e, r := range history {
					t.Logf("release %d: %+v", e, r.shown)
				}
				t.Fatal(err)
			}
		})
	}
}

// The search finds what simpler rules give away.
func TestSecurity08FindsLeaks(t *testing.T) {
	outside := func(_ [][]Published, now []Parts) (out []Published) {
		for _, p := range now {
			out = append(out, Outside(p))
		}
		return out
	}
	atomByAtom := func(forget bool) publishing {
		return func(history [][]Published, now []Parts) (out []Published) {
			for i, p := range now {
				if len(history) == 0 {
					out = append(out, Outside(p))
					continue
				}
				var earlier []Published
				if !forget {
					for _, r := range history[:len(history)-1] {
						earlier = append(earlier, r[i])
					}
				}
				s, _ := Revised(history[len(history)-1][i], p, earlier...)
				out = append(out, s)
			}
			return out
		}
	}
	plain := func(_ [][]Published, now []Parts) (out []Published) {
		for _, p := range now {
			out = append(out, Published{D: p.D(), Answered: p.OnTime + p.Late, OnTime: p.OnTime, Shown: true, HasAnswered: true, HasOnTime: true})
		}
		return out
	}
	for name, rule := range map[string]publishing{
		"no suppression":              plain,
		"each release by itself":      outside,
		"against the last one only":   atomByAtom(true),
		"each atom by itself, always": atomByAtom(false),
	} {
		found := false
		gen := rapid.Custom(func(t *rapid.T) []release { return drawHistory(t, rule) })
		for seed := 0; seed < 1000 && !found; seed++ {
			found = leak(gen.Example(seed)) != nil
		}
		if !found {
			t.Errorf("%s: no leak found", name)
		}
	}
}

// Much of what changes much is shown: the rule is not to show nothing ever.
func TestReviseShows(t *testing.T) {
	first := []Parts{{50, 10, 20}, {60, 8, 30}, {3, 0, 0}}
	history := [][]Published{Revise(nil, first)}
	now := []Parts{{50, 20, 10}, {60, 20, 18}, {30, 0, 0}}
	got := Revise(history, now)
	for i, p := range now {
		if got[i].D != p.D() || got[i].Answered != p.OnTime+p.Late {
			t.Errorf("%+v is shown as %+v", p, got[i])
		}
	}
	// Six come into one month, then five leave another: against the first release
	// one is new.
	history = [][]Published{Revise(nil, []Parts{{14, 0, 5}, {}})}
	history = append(history, Revise(history, []Parts{{14, 0, 5}, {6, 0, 0}}))
	got = Revise(history, []Parts{{9, 0, 5}, {6, 0, 0}})
	if history[1][1].D != 6 || got[0].D != 19 || got[1].D != 6 {
		t.Errorf("%+v after %+v", got, history)
	}
	// One of a quarter goes to the next month with 39 others and one is new.
	history = [][]Published{Revise(nil, []Parts{{100, 0, 0}, {200, 0, 0}})}
	got = Revise(history, []Parts{{60, 0, 0}, {241, 0, 0}})
	if got[0].D != 60 || got[1].D != 200 {
		t.Errorf("the quarter changes from 300 to %d", got[0].D+got[1].D)
	}
}

func TestSumPublished(t *testing.T) {
	full, merged, few := Outside(Parts{20, 6, 8}), Outside(Parts{20, 2, 8}), Outside(Parts{1, 0, 0})
	for _, c := range []struct {
		of      []Published
		want    Published
		partial bool
	}{
		{nil, Published{}, false},
		{[]Published{few}, Published{}, true},
		{[]Published{full, full}, Published{D: 68, Answered: 52, OnTime: 40, Shown: true, HasAnswered: true, HasOnTime: true}, false},
		{[]Published{full, few}, Published{D: 34, Answered: 26, OnTime: 20, Shown: true, HasAnswered: true, HasOnTime: true}, true},
		{[]Published{full, merged}, Published{D: 64, OnTime: 40, Shown: true, HasOnTime: true}, true},
		{[]Published{full, Outside(Parts{})}, full, false},
	} {
		if got, partial := SumPublished(c.of); got != c.want || partial != c.partial {
			t.Errorf("%+v: %+v %v", c.of, got, partial)
		}
	}
	if r, partial := SumRatio(Feedback, []Published{full, merged, few}); r != (Ratio{26, 34}) || !partial {
		t.Errorf("feedback: %v %v", r, partial)
	}
	if r, partial := SumRatio(FeedbackOnTime, []Published{full, merged}); r != (Ratio{40, 64}) || partial {
		t.Errorf("on time: %v %v", r, partial)
	}
}
