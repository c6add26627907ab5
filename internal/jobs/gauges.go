package jobs

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// gaugeLife is how long a scrape may be answered with what an earlier one
	// read, so that several scrapers cost as much as one.
	gaugeLife = 10 * time.Second
	// maxAreas bounds the series: the areas with the most rounds have their own,
	// all others one together.
	maxAreas = 200
)

// standing is what one office has to show for one kind of case, on one side of
// it, in one month. It counts work, and nothing by what a person decided.
type standing struct {
	cell
	Due, Answered int64
	OnTime        int64            // -1: the kind has no rate of answers in time
	Overdue       map[string]int64 // by the side on which it waits
}

// cell names a series.
type cell struct {
	Area   string // short code of a township, or of the county for what waits there
	Kind   string // as cases.Kind.String
	Role   string // "receiver" or "opener"
	Period string // "current" or "previous" month; "": of now, whatever the month
}

// ages is how long work waits now, and what was never receipted.
type ages struct {
	cell
	Unreceipted int64
	Oldest      map[string]time.Duration // past its due, by the side on which it waits
}

// rateFigures is one reading.
type rateFigures struct {
	Standings []standing
	Ages      []ages
}

// rateGauges tells a scrape the figures of feedback and verification, as
// RateService computes them at the same instant.
type rateGauges struct {
	read func(context.Context) (rateFigures, error)
	now  func() time.Time

	mu     sync.Mutex
	last   rateFigures
	lastAt time.Time

	due, answered, onTime, overdue, unreceipted, oldest, ok *prometheus.Desc
}

func newRateGauges(read func(context.Context) (rateFigures, error), now func() time.Time) *rateGauges {
	of := []string{"area", "kind", "role", "period"}
	return &rateGauges{
		read: read, now: now,
		due:         prometheus.NewDesc("yipan_rates_due", "Rounds that fall due in the month: the denominator of the feedback rate, of certificates that of the verification rate.", of, nil),
		answered:    prometheus.NewDesc("yipan_rates_answered", "Of them, those with a terminal answer; any outcome counts.", of, nil),
		onTime:      prometheus.NewDesc("yipan_rates_on_time", "Of them, those answered by due.", of, nil),
		overdue:     prometheus.NewDesc("yipan_rates_overdue", "Of them, those unanswered past due, by the side on which they wait: origin, county, residence.", append(slices.Clone(of), "side"), nil),
		unreceipted: prometheus.NewDesc("yipan_rates_unreceipted", "Rounds sent longer than three days ago that the other node has not receipted, whatever the month.", of[:3], nil),
		oldest:      prometheus.NewDesc("yipan_rates_oldest_seconds", "How long the oldest unanswered round is past its due, by the side on which it waits; 0: none is past due.", append(slices.Clone(of[:3]), "side"), nil),
		ok:          prometheus.NewDesc("yipan_rates_read", "1: the database answered this scrape in time, 0: it did not and the figures are missing.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *rateGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.due, g.answered, g.onTime, g.overdue, g.unreceipted, g.oldest, g.ok} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It takes scrapeTime at most.
func (g *rateGauges) Collect(ch chan<- prometheus.Metric) {
	f, err := g.figures()
	if err != nil {
		ch <- prometheus.MustNewConstMetric(g.ok, prometheus.GaugeValue, 0)
		return
	}
	put := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	put(g.ok, 1)
	for _, s := range f.Standings {
		of := []string{s.Area, s.Kind, s.Role, s.Period}
		put(g.due, float64(s.Due), of...)
		put(g.answered, float64(s.Answered), of...)
		if s.OnTime >= 0 {
			put(g.onTime, float64(s.OnTime), of...)
		}
		for side, n := range s.Overdue {
			put(g.overdue, float64(n), append(slices.Clone(of), side)...)
		}
	}
	for _, a := range f.Ages {
		of := []string{a.Area, a.Kind, a.Role}
		put(g.unreceipted, float64(a.Unreceipted), of...)
		for side, age := range a.Oldest {
			put(g.oldest, age.Seconds(), append(slices.Clone(of), side)...)
		}
	}
}

// figures reads, or remembers what was read a moment ago. Errors are not
// remembered.
func (g *rateGauges) figures() (rateFigures, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if !g.lastAt.IsZero() && !now.Before(g.lastAt) && now.Sub(g.lastAt) < gaugeLife {
		return g.last, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	f, err := g.read(ctx)
	if err != nil {
		return rateFigures{}, err
	}
	g.last, g.lastAt = f.bounded(), now
	return g.last, nil
}

// bounded gives the areas with the most rounds series of their own, and adds
// the others up.
func (f rateFigures) bounded() rateFigures {
	rounds := map[string]int64{}
	for _, s := range f.Standings {
		rounds[s.Area] += s.Due
	}
	for _, a := range f.Ages {
		rounds[a.Area] += a.Unreceipted
	}
	areas := make([]string, 0, len(rounds))
	for a := range rounds {
		areas = append(areas, a)
	}
	if len(areas) <= maxAreas {
		return f
	}
	slices.SortFunc(areas, func(a, b string) int {
		return cmp.Or(cmp.Compare(rounds[b], rounds[a]), cmp.Compare(a, b))
	})
	kept := map[string]bool{}
	for _, a := range areas[:maxAreas] {
		kept[a] = true
	}
	var out rateFigures
	standings, all := map[cell]*standing{}, map[cell]*ages{}
	for _, s := range f.Standings {
		if kept[s.Area] {
			out.Standings = append(out.Standings, s)
			continue
		}
		s.Area = others
		t := standings[s.cell]
		if t == nil {
			t = &standing{cell: s.cell, OnTime: min(s.OnTime, 0), Overdue: map[string]int64{}}
			standings[s.cell] = t
		}
		t.Due, t.Answered = t.Due+s.Due, t.Answered+s.Answered
		if s.OnTime >= 0 {
			t.OnTime += s.OnTime
		}
		for side, n := range s.Overdue {
			t.Overdue[side] += n
		}
	}
	for _, a := range f.Ages {
		if kept[a.Area] {
			out.Ages = append(out.Ages, a)
			continue
		}
		a.Area = others
		t := all[a.cell]
		if t == nil {
			t = &ages{cell: a.cell, Oldest: map[string]time.Duration{}}
			all[a.cell] = t
		}
		t.Unreceipted += a.Unreceipted
		for side, age := range a.Oldest {
			t.Oldest[side] = max(t.Oldest[side], age)
		}
	}
	for _, t := range standings {
		out.Standings = append(out.Standings, *t)
	}
	for _, t := range all {
		out.Ages = append(out.Ages, *t)
	}
	return out
}
