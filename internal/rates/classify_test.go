package rates

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/policy"
)

var november = policy.SpanMonth.Holding(civil.Date{Year: 2026, Month: time.November, Day: 1})

// noon of a day of 2026.
func noon(month time.Month, day int) time.Time {
	return time.Date(2026, month, day, 12, 0, 0, 0, civil.Shanghai)
}

type failer interface {
	Helper()
	Fatal(...any)
}

func dueAfter(t failer, delivered time.Time, days uint16) time.Time {
	t.Helper()
	due, err := policy.Limit{Days: days}.Due(delivered, policy.PlainDays)
	if err != nil {
		t.Fatal(err)
	}
	return due
}

func TestClassify(t *testing.T) {
	third := area.MustOf(area.County, "330481")
	ms := time.Millisecond
	delivered := noon(time.October, 20)
	due := dueAfter(t, delivered, 15) // the end of 4 November
	grace := civil.Date{Year: 2026, Month: time.October, Day: 27}.EndInstant()
	report := noon(time.November, 30)
	base := Fact{Kind: cases.Outflow, RoundAt: delivered.Add(-time.Minute), Delivered: delivered, Due: due, Waiting: WaitResidence}
	included := func(c Class) Class { c.Kind = cases.Outflow; return c }
	excluded := func(c Code) Class { return Class{Kind: cases.Outflow, Excluded: c} }
	late := Class{Answered: true}
	onTime := Class{Answered: true, OnTime: true}

	for _, c := range []struct {
		name   string
		change func(*Fact)
		at     time.Time // zero: report
		period policy.Period
		want   Class
	}{
		{name: "overdue at the residence", want: included(Class{Overdue: WaitResidence})},
		{name: "overdue at the county", change: func(f *Fact) { f.Waiting = WaitCounty }, want: included(Class{Overdue: WaitCounty})},
		{name: "overdue at the origin", change: func(f *Fact) { f.Waiting = WaitOrigin }, want: included(Class{Overdue: WaitOrigin})},
		{name: "delivered is never charged to transport", change: func(f *Fact) { f.Waiting = WaitTransport }, want: included(Class{Overdue: WaitResidence})},
		{name: "pending until due itself", at: due, want: included(Class{Pending: true})},
		{name: "overdue just after", at: due.Add(ms), want: included(Class{Overdue: WaitResidence})},

		{name: "answered at due", change: func(f *Fact) { f.AnsweredAt = due }, want: included(onTime)},
		{name: "answered just after due", change: func(f *Fact) { f.AnsweredAt = due.Add(ms) }, want: included(late)},
		{name: "answered after the report", change: func(f *Fact) { f.AnsweredAt, f.Waiting = report.Add(ms), WaitNobody }, want: included(Class{Overdue: WaitResidence})},
		{name: "answered before due, reported earlier", at: noon(time.October, 21), change: func(f *Fact) { f.AnsweredAt = due }, want: included(Class{Pending: true})},

		{name: "not delivered", change: func(f *Fact) {
			f.Delivered, f.Due, f.RoundAt = time.Time{}, time.Time{}, civil.In(report).AddDays(-3).StartInstant()
		}, want: excluded(NotDelivered)},
		{name: "unreceipted after 3 days", change: func(f *Fact) {
			f.Delivered, f.Due, f.RoundAt = time.Time{}, time.Time{}, civil.In(report).AddDays(-3).StartInstant().Add(-ms)
		},
			want: Class{Kind: cases.Outflow, Excluded: NotDelivered, Unreceipted: true}},
		{name: "closed before it arrived", change: func(f *Fact) { f.Delivered, f.Due, f.ClosedAt = time.Time{}, time.Time{}, delivered }, want: excluded(NotDelivered)},
		{name: "delivered after the report", at: delivered.Add(-ms), want: excluded(NotDelivered)},
		{name: "delivered at the report", at: delivered, want: included(Class{Pending: true})},

		{name: "due in another month", period: november.Next(), want: excluded(OutOfPeriod)},
		{name: "due in the month before", period: november.Previous(), want: excluded(OutOfPeriod)},
		{name: "the due instant of 31 October is of October", period: november.Previous(),
			change: func(f *Fact) { f.Due = noon(time.November, 1).Add(-12 * time.Hour) }, want: included(Class{Overdue: WaitResidence})},
		{name: "and not of November", change: func(f *Fact) { f.Due = noon(time.November, 1).Add(-12 * time.Hour) }, want: excluded(OutOfPeriod)},
		{name: "quarter", period: policy.SpanQuarter.Holding(november.From), want: included(Class{Overdue: WaitResidence})},
		{name: "statistical year from October", period: policy.SpanOctSep.Holding(november.From), want: included(Class{Overdue: WaitResidence})},

		{name: "rerouted on the last day", change: func(f *Fact) { f.AnsweredAt, f.ReroutedAt, f.Reroute = grace, grace, third }, want: excluded(ReroutedInTime)},
		{name: "rerouted a moment later", change: func(f *Fact) { f.AnsweredAt, f.ReroutedAt, f.Reroute = grace.Add(ms), grace.Add(ms), third }, want: included(onTime)},
		{name: "misrouted without an area", change: func(f *Fact) { f.AnsweredAt, f.ReroutedAt = grace, grace }, want: included(onTime)},
		{name: "rerouted, reported before", at: grace.Add(-ms), change: func(f *Fact) { f.AnsweredAt, f.ReroutedAt, f.Reroute = grace, grace, third }, want: included(Class{Pending: true})},
		{name: "answered anew with a reroute in time", change: func(f *Fact) { f.AnsweredAt, f.ReroutedAt, f.Reroute = delivered, grace, third }, want: excluded(ReroutedInTime)},

		{name: "withdrawn at due", change: func(f *Fact) { f.WithdrawnAt = due }, want: excluded(WithdrawnBeforeDue)},
		{name: "withdrawn after due", change: func(f *Fact) { f.WithdrawnAt = due.Add(ms) }, want: included(Class{Lapsed: true})},
		{name: "withdrawn, reported before", at: delivered.Add(ms), change: func(f *Fact) { f.WithdrawnAt = due }, want: included(Class{Pending: true})},
		{name: "withdrawal crossed an answer", change: func(f *Fact) { f.AnsweredAt, f.WithdrawnAt = due.Add(-2*ms), due.Add(-ms) }, want: included(onTime)},
		{name: "withdrawn before due, answered late", change: func(f *Fact) { f.AnsweredAt, f.WithdrawnAt = due.Add(ms), due }, want: excluded(WithdrawnBeforeDue)},
		{name: "withdrawn after due, answered later", change: func(f *Fact) { f.AnsweredAt, f.WithdrawnAt = due.Add(2*ms), due.Add(ms) }, want: included(late)},

		{name: "closed unanswered at due", change: func(f *Fact) { f.ClosedAt = due }, want: excluded(ClosedBeforeDue)},
		{name: "closed unanswered after due", change: func(f *Fact) { f.ClosedAt = due.Add(ms) }, want: included(Class{Lapsed: true})},
		{name: "closed after an answer", change: func(f *Fact) { f.AnsweredAt, f.ClosedAt = due.Add(-2*ms), due.Add(-ms) }, want: included(onTime)},
		{name: "close crossed an answer in time", change: func(f *Fact) { f.AnsweredAt, f.ClosedAt = due.Add(-ms), due.Add(-2*ms) }, want: included(onTime)},
		{name: "closed after the report", change: func(f *Fact) { f.ClosedAt, f.Waiting = report.Add(ms), WaitNobody }, want: included(Class{Overdue: WaitResidence})},
		{name: "ended by the next round alone", change: func(f *Fact) { f.Waiting = WaitNobody }, want: included(Class{Lapsed: true})},
		{name: "inflow looked back upon", change: func(f *Fact) { f.Kind, f.AnsweredAt, f.Waiting = cases.Inflow, report.Add(ms), WaitNobody },
			want: Class{Kind: cases.Inflow, Overdue: WaitOrigin}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, at, period := base, c.at, c.period
			if c.change != nil {
				c.change(&f)
			}
			if at.IsZero() {
				at = report
			}
			if period == (policy.Period{}) {
				period = november
			}
			if d := cmp.Diff(c.want, Classify(f, at, period)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestClassifyAsked(t *testing.T) {
	day := func(m time.Month, d int) civil.Date { return civil.Date{Year: 2026, Month: m, Day: d} }
	for _, c := range []struct {
		a    Asked
		want Class
	}{
		{Asked{day(time.November, 1), day(time.November, 20)}, Class{Answered: true}},
		{Asked{day(time.November, 20), civil.Date{}}, Class{Pending: true}},
		{Asked{day(time.November, 1), day(time.November, 21)}, Class{Pending: true}}, // issued after the report
		{Asked{day(time.November, 21), civil.Date{}}, Class{Excluded: OutOfPeriod}},  // asked after the report
		{Asked{day(time.October, 31), day(time.November, 1)}, Class{Excluded: OutOfPeriod}},
		{Asked{day(time.December, 1), civil.Date{}}, Class{Excluded: OutOfPeriod}},
	} {
		c.want.Kind = cases.Certificate
		if d := cmp.Diff(c.want, ClassifyAsked(c.a, noon(time.November, 20), november)); d != "" {
			t.Errorf("%v: %s", c.a, d)
		}
	}
}

// The figures of 篇一.
func TestWorkedCase(t *testing.T) {
	asked := make([]Asked, 1677)
	for i := range asked {
		asked[i].On = november.From
		if i < 1631 {
			asked[i].Issued = november.From
		}
	}
	at := noon(time.November, 2)
	got := SumAsked(slices.Values(asked), at, november)
	if want := (Tally{Measure: Certificate, Ratio: Ratio{1631, 1677}, Pending: 46}); !cmp.Equal(got, want) || got.Percent() != "97.26" {
		t.Errorf("%+v", got)
	}
	asked[0].Issued = civil.Date{}
	if got := SumAsked(slices.Values(asked), at, november); got.Percent() != "97.20" {
		t.Errorf("one certificate less: %s", got.Percent())
	}
	shown := Fact{Kind: cases.Certificate, RoundAt: at, Delivered: at, Due: dueAfter(t, at, 7), AnsweredAt: at}
	v := Sum(Verification, slices.Values([]Fact{shown, shown, shown}), at, november)
	if v.String() != "3/3 100.00%" {
		t.Errorf("verification %s", v)
	}
	if f := Sum(Feedback, slices.Values([]Fact{shown}), at, november); !cmp.Equal(f, Tally{Measure: Feedback}) || f.Percent() != "—" {
		t.Errorf("certificates are not in the feedback rate: %+v", f)
	}
}

func drawFact(t *rapid.T, at time.Time) Fact {
	// Around at, on both sides of every limit; often exactly on one.
	instant := func(label string) time.Time {
		if rapid.IntRange(0, 2).Draw(t, label+"?") == 0 {
			return time.Time{}
		}
		return at.Add(time.Duration(rapid.IntRange(-40*24, 10*24).Draw(t, label)) * time.Hour)
	}
	f := Fact{
		Kind:       cases.Kind(rapid.IntRange(1, 5).Draw(t, "kind")),
		RoundAt:    at.Add(-time.Duration(rapid.IntRange(0, 50*24).Draw(t, "round")) * time.Hour),
		Delivered:  instant("delivered"),
		AnsweredAt: instant("answered"), WithdrawnAt: instant("withdrawn"), ClosedAt: instant("closed"),
		Waiting: Waiting(rapid.IntRange(0, 4).Draw(t, "waiting")),
	}
	if !f.Delivered.IsZero() {
		due, err := policy.Limit{Days: uint16(rapid.IntRange(0, 30).Draw(t, "days"))}.Due(f.Delivered, policy.PlainDays)
		if err != nil {
			t.Fatal(err)
		}
		f.Due = due
	}
	if !f.AnsweredAt.IsZero() && rapid.Bool().Draw(t, "misrouted") {
		f.Reroute, f.ReroutedAt = area.MustOf(area.County, "330481"), f.AnsweredAt
	}
	return f
}

func TestTallies(t *testing.T) {
	at := time.Date(2026, 11, 15, 16, 0, 0, 0, time.UTC) // midnight in Shanghai
	rapid.Check(t, func(t *rapid.T) {
		fs := make([]Fact, rapid.IntRange(0, 30).Draw(t, "facts"))
		for i := range fs {
			fs[i] = drawFact(t, at)
		}
		split := rapid.IntRange(0, len(fs)).Draw(t, "split")
		shuffled := rapid.Permutation(fs).Draw(t, "order")
		for _, m := range []Measure{Verification, Feedback, FeedbackOnTime} {
			whole := Sum(m, slices.Values(fs), at, november)
			over := int64(0)
			for w, n := range whole.Overdue {
				over += n
				if w == WaitNobody || w == WaitTransport {
					t.Fatalf("%v overdue on nobody's side", m)
				}
			}
			rest := whole.D - whole.Pending - whole.Lapsed - over
			if whole.N < 0 || whole.N > whole.D || whole.N > rest || m != FeedbackOnTime && whole.N != rest {
				t.Fatalf("%v: the parts of %+v are not its denominator", m, whole)
			}
			if whole.Unreceipted > whole.Excluded[NotDelivered] {
				t.Fatalf("%v: unreceipted but delivered: %+v", m, whole)
			}
			seen, other := int64(0), int64(0)
			for _, f := range fs {
				if m.Of(f.Kind) {
					seen++
					if Classify(f, at, november).Excluded == OutOfPeriod {
						other++
					}
				}
			}
			for c, n := range whole.Excluded {
				seen -= n
				if !c.Listed() {
					t.Fatalf("%v lists %v", m, c)
				}
			}
			if seen-other != whole.D {
				t.Fatalf("%v: %d rounds of the period are neither counted nor excluded", m, seen-other-whole.D)
			}
			if d := cmp.Diff(whole, Sum(m, slices.Values(shuffled), at, november)); d != "" {
				t.Fatalf("%v depends on the order: %s", m, d)
			}
			a, b := Sum(m, slices.Values(fs[:split]), at, november), Sum(m, slices.Values(fs[split:]), at, november)
			a.Merge(&b)
			if d := cmp.Diff(whole, a); d != "" {
				t.Fatalf("%v: the parts do not merge into the whole: %s", m, d)
			}
		}
		all, inTime := Sum(Feedback, slices.Values(fs), at, november), Sum(FeedbackOnTime, slices.Values(fs), at, november)
		if inTime.D != all.D || inTime.N > all.N {
			t.Fatalf("on time %v, answered %v", inTime.Ratio, all.Ratio)
		}
	})
}

// The months of a quarter hold its rounds, each once.
func TestMonthsMakeTheQuarter(t *testing.T) {
	at := noon(time.November, 15)
	rapid.Check(t, func(t *rapid.T) {
		fs := make([]Fact, rapid.IntRange(0, 20).Draw(t, "facts"))
		for i := range fs {
			fs[i] = drawFact(t, at)
			fs[i].RoundAt = at // undelivered rounds belong to no month
			if fs[i].Delivered.IsZero() {
				fs[i].Delivered, fs[i].Due = at, dueAfter(t, at, 3)
			}
		}
		quarter := policy.SpanQuarter.Holding(november.From)
		whole := Sum(Feedback, slices.Values(fs), at, quarter)
		whole.Excluded = dropUndelivered(whole.Excluded)
		parts := Tally{Measure: Feedback}
		for p := policy.SpanMonth.Holding(quarter.From); p.From.Before(quarter.To); p = p.Next() {
			m := Sum(Feedback, slices.Values(fs), at, p)
			m.Excluded = dropUndelivered(m.Excluded)
			parts.Merge(&m)
		}
		if d := cmp.Diff(whole, parts); d != "" {
			t.Fatal(d)
		}
	})
}

func dropUndelivered(m map[Code]int64) map[Code]int64 {
	delete(m, NotDelivered)
	if len(m) == 0 {
		return nil
	}
	return m
}

// What is past its due and its grace changes no more, whatever is recorded
// later: in or out, and on time or not.
func TestSettledAfterDue(t *testing.T) {
	at := noon(time.November, 15)
	rapid.Check(t, func(t *rapid.T) {
		f := drawFact(t, at)
		if f.Delivered.IsZero() || f.Delivered.After(at) {
			t.Skip("not delivered")
		}
		settled := f.Due
		if g := graceEnds(f.Delivered); g.After(settled) {
			settled = g
		}
		later := settled.Add(time.Duration(rapid.IntRange(0, 60*24).Draw(t, "hours")) * time.Hour)
		year := policy.SpanYear.Holding(november.From)
		a, b := Classify(f, settled, year), Classify(f, later, year)
		if a.Excluded != b.Excluded || a.OnTime != b.OnTime {
			t.Fatalf("was %+v at due, is %+v later", a, b)
		}
	})
}

func TestNames(t *testing.T) {
	for _, m := range All() {
		for _, s := range []string{m.String(), m.Zh()} {
			if got, ok := ParseMeasure(s); !ok || got != m {
				t.Errorf("%v does not read %q", m, s)
			}
		}
		if !slices.Contains(policy.Rates(), m.String()) {
			t.Errorf("%v is no rate of policies", m)
		}
	}
	if _, ok := ParseMeasure("uptake"); ok || Measure(0).Known() || Measure(99).String() != "unknown" {
		t.Error("unknown measures are known")
	}
	seen := map[string]bool{}
	for c := Included; c < numCodes; c++ {
		if seen[c.String()] || seen[c.Zh()] || c.Zh() == "" {
			t.Errorf("code %d has no name of its own", c)
		}
		seen[c.String()], seen[c.Zh()] = true, true
	}
	if Code(99).String() != "UNKNOWN" || Waiting(99).String() != "unknown" || WaitCounty.String() != "county" {
		t.Error("names out of range")
	}
}
