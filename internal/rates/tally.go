package rates

import (
	"iter"
	"time"

	"yipan/internal/policy"
)

// Tally is one measure added up. The zero Tally of a Measure is empty; Add and
// Merge in any order give the same. Not for concurrent use.
type Tally struct {
	Measure Measure
	Ratio
	Pending     int64             // in D, unanswered, not yet due
	Lapsed      int64             // in D, ended unanswered after due
	Overdue     map[Waiting]int64 // in D, unanswered past due, by side; never WaitNobody
	Excluded    map[Code]int64    // outside D, Listed codes only
	Unreceipted int64             // 未签收: of Excluded[NotDelivered]
}

// Add counts one round.
func (t *Tally) Add(c Class) {
	if t.Measure != Certificate && !t.Measure.Of(c.Kind) {
		return
	}
	if !c.In() {
		if c.Excluded.Listed() {
			t.exclude(c.Excluded, 1)
		}
		if c.Unreceipted {
			t.Unreceipted++
		}
		return
	}
	t.D++
	switch {
	case c.Answered:
		if t.Measure != FeedbackOnTime || c.OnTime {
			t.N++
		}
	case c.Pending:
		t.Pending++
	case c.Overdue != WaitNobody:
		t.overdue(c.Overdue, 1)
	default:
		t.Lapsed++
	}
}

// Merge adds another part, which must be of the same measure.
func (t *Tally) Merge(o *Tally) {
	t.N += o.N
	t.D += o.D
	t.Pending += o.Pending
	t.Lapsed += o.Lapsed
	t.Unreceipted += o.Unreceipted
	for k, n := range o.Excluded {
		t.exclude(k, n)
	}
	for k, n := range o.Overdue {
		t.overdue(k, n)
	}
}

func (t *Tally) exclude(c Code, n int64) {
	if t.Excluded == nil {
		t.Excluded = map[Code]int64{}
	}
	t.Excluded[c] += n
}

func (t *Tally) overdue(w Waiting, n int64) {
	if t.Overdue == nil {
		t.Overdue = map[Waiting]int64{}
	}
	t.Overdue[w] += n
}

// Sum classifies and adds up rounds for a measure other than Certificate.
func Sum(m Measure, facts iter.Seq[Fact], at time.Time, period policy.Period) Tally {
	t := Tally{Measure: m}
	for f := range facts {
		t.Add(Classify(f, at, period))
	}
	return t
}

// SumAsked adds up certificates for the measure Certificate.
func SumAsked(asked iter.Seq[Asked], at time.Time, period policy.Period) Tally {
	t := Tally{Measure: Certificate}
	for a := range asked {
		t.Add(ClassifyAsked(a, at, period))
	}
	return t
}
