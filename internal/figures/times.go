package figures

import (
	"cmp"
	"context"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// LateArrival is after how long an answer that arrives is a late one.
const LateArrival = 24 * time.Hour

// Spent is how long rounds were on one side.
type Spent struct {
	Side     rates.Waiting
	N        int
	P50, P90 time.Duration
}

// Times of an area.
type Times struct {
	Area  area.Key
	Spent []Spent // of all four sides, origin first
	// LateArrivals are answers that arrived more than LateArrival after their
	// recording while this node logged no outage.
	LateArrivals int64
}

// Unsigned is what a receiving node has not receipted (未签收).
type Unsigned struct {
	Node   area.Key // 0: no node serves the area
	Name   string
	N      int64
	Oldest time.Time // was sent
}

// TimesQuery asks on whose side time was spent.
type TimesQuery struct {
	Area       area.Key
	Period     policy.Period
	Kind       cases.Kind
	Side       cases.Side // SideNone: receiver
	ByTownship bool
}

// Times tells for the rounds due in a period how long they were on each side:
//
//	transport: from the opener's recording to delivery, and from the answer's
//	           recording to its delivery, each a measurement of its own;
//	county:    from delivery until the county gave the case to a township; only
//	           of cases that were given so;
//	residence, origin: from then, or from delivery, to the answer's recording, at
//	           the receiver's side, which is the residence of outflow notices and
//	           assistance and the origin of the other kinds.
//
// What has not ended yet is not measured. It needs whole months unless the
// caller works at the offices, and tells of now what is not receipted.
func (f *Figures) Times(ctx context.Context, p access.Principal, q TimesQuery) ([]Times, []Unsigned, error) {
	if err := f.allow(ctx, p, q.Area); err != nil {
		return nil, nil, err
	}
	c := Query{Area: q.Area, Period: q.Period, Kind: q.Kind, Measures: []rates.Measure{rates.Feedback}}
	if err := f.check(&c); err != nil {
		return nil, nil, err
	}
	offices := f.officesOf(p, q.Area)
	if !wholeMonths(c.Period) && !owns(p, offices...) {
		return nil, nil, daysOnlyOwn()
	}
	w := &watch{by: map[area.Key]*spent{}, f: f}
	at := func(o area.Key) area.Key {
		if q.ByTownship {
			return o
		}
		return q.Area
	}
	for _, o := range offices {
		if !q.ByTownship || o.Level() == area.Township {
			w.of(at(o))
		}
	}
	err := f.RoundsOf(ctx, offices, cmp.Or(q.Side, cases.SideReceiver), c.Period, func(r Round) error {
		if q.Kind == 0 && r.Kind != cases.BirthService || q.Kind == r.Kind {
			w.of(at(r.Office)).add(&r)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	times, err := w.times(ctx)
	if err != nil {
		return nil, nil, err
	}
	unsigned, err := f.unsigned(ctx, offices, q.Kind)
	return times, unsigned, err
}

// spent collects durations of one area.
type spent struct {
	took [rates.WaitResidence + 1][]time.Duration
	late []store.Gap // from recording to arrival
}

func (s *spent) add(r *Round) {
	span := func(w rates.Waiting, from, to time.Time) {
		if !from.IsZero() && !to.IsZero() {
			s.took[w] = append(s.took[w], max(0, to.Sub(from)))
		}
	}
	span(rates.WaitTransport, r.RoundAt, r.Delivered)
	from := r.Delivered
	if !r.Assigned.IsZero() && r.Assigned.After(r.Delivered) {
		span(rates.WaitCounty, r.Delivered, r.Assigned)
		from = r.Assigned
	}
	at := rates.WaitOrigin
	if r.Kind == cases.Outflow || r.Kind == cases.Assist {
		at = rates.WaitResidence
	}
	span(at, from, r.AnsweredAt)
	span(rates.WaitTransport, r.AnsweredAt, r.AnswerHeld)
	if !r.AnsweredAt.IsZero() && r.AnswerHeld.Sub(r.AnsweredAt) > LateArrival {
		s.late = append(s.late, store.Gap{Since: r.AnsweredAt, Until: r.AnswerHeld})
	}
}

// watch collects durations by area.
type watch struct {
	by map[area.Key]*spent
	f  *Figures
}

func (w *watch) of(k area.Key) *spent {
	if w.by[k] == nil {
		w.by[k] = &spent{}
	}
	return w.by[k]
}

func (w *watch) times(ctx context.Context) ([]Times, error) {
	var first, last time.Time
	for _, s := range w.by {
		for _, l := range s.late {
			if first.IsZero() || l.Since.Before(first) {
				first = l.Since
			}
			if l.Until.After(last) {
				last = l.Until
			}
		}
	}
	var gaps []store.Gap
	if !first.IsZero() {
		if err := w.f.DB.InExchange(ctx, nil, func(tx *store.Tx) (err error) {
			gaps, err = tx.GapsIn(ctx, first, last)
			return err
		}); err != nil {
			return nil, err
		}
	}
	out := make([]Times, 0, len(w.by))
	for k, s := range w.by {
		t := Times{Area: k}
		for side := rates.WaitOrigin; side <= rates.WaitResidence; side++ {
			p50, p90 := rates.Percentiles(s.took[side])
			t.Spent = append(t.Spent, Spent{Side: side, N: len(s.took[side]), P50: p50, P90: p90})
		}
		for _, l := range s.late {
			if !slices.ContainsFunc(gaps, func(g store.Gap) bool { return g.Since.Before(l.Until) && (g.Until.IsZero() || g.Until.After(l.Since)) }) {
				t.LateArrivals++
			}
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Times) int { return cmp.Compare(a.Area, b.Area) })
	return out, nil
}

// unsigned counts what is not receipted by the node that serves the area
// addressed now.
func (f *Figures) unsigned(ctx context.Context, offices []area.Key, kind cases.Kind) ([]Unsigned, error) {
	kinds := []cases.Kind{cases.Outflow, cases.Inflow, cases.Assist, cases.Certificate}
	if kind != 0 {
		kinds = []cases.Kind{kind}
	}
	var rows []store.Unreceipted
	err := f.DB.InCounts(ctx, offices, func(tx *store.Tx) (err error) {
		rows, err = tx.UnreceiptedTo(ctx, offices, kinds, firstAwaited(f.Now()))
		return err
	})
	if err != nil {
		return nil, err
	}
	d := f.Book.Directory()
	by := map[area.Key]*Unsigned{}
	for _, r := range rows {
		home, _ := d.Home(r.To)
		k := home.Area()
		u := by[k]
		if u == nil {
			u = &Unsigned{Node: k, Oldest: r.Oldest}
			if m, ok := d.Node(home); ok {
				u.Name = m.Name
			}
			by[k] = u
		}
		u.N += r.N
		if r.Oldest.Before(u.Oldest) {
			u.Oldest = r.Oldest
		}
	}
	out := make([]Unsigned, 0, len(by))
	for _, u := range by {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b Unsigned) int { return cmp.Or(a.Oldest.Compare(b.Oldest), cmp.Compare(a.Node, b.Node)) })
	return out, nil
}
