package jobs

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/closing"
	"yipan/internal/figures"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// roles are the sides of a case as labels.
var roles = map[cases.Side]string{cases.SideReceiver: "receiver", cases.SideOpener: "opener"}

// waits are the standings of rounds that wait for an answer, and the labels of
// the sides on which they do.
var waits = map[rates.Standing]rates.Waiting{
	rates.AtOrigin: rates.WaitOrigin, rates.AtCounty: rates.WaitCounty, rates.AtResidence: rates.WaitResidence,
}

// readRates reads what the gauges show, by the computation that answers
// RateService.
func readRates(f *figures.Figures, offices func() []area.Key, now func() time.Time) func(context.Context) (rateFigures, error) {
	return func(ctx context.Context) (out rateFigures, err error) {
		of, month := offices(), policy.PeriodOf(now(), policy.SpanMonth)
		unreceipted := map[cell]int64{}
		for kind := cases.Outflow; kind.Known(); kind++ {
			ms := measuresOf(kind)
			if len(ms) == 0 {
				continue
			}
			for side, role := range roles {
				for name, period := range map[string]policy.Period{"current": month, "previous": month.Previous()} {
					rows, err := f.Compute(ctx, of, figures.Query{Period: period, Kind: kind, Side: side, Measures: ms, By: figures.ByTownship})
					if err != nil {
						return rateFigures{}, err
					}
					out.Standings = append(out.Standings, standingsOf(rows, cell{Kind: kind.String(), Role: role, Period: name})...)
					if period != month {
						continue
					}
					for _, r := range rows {
						if r.Measure == ms[0] && r.Unreceipted > 0 {
							unreceipted[cell{Area: r.Area.Short(), Kind: kind.String(), Role: role}] = r.Unreceipted
						}
					}
				}
			}
		}
		out.Ages, err = readAges(ctx, f.DB, of, now(), unreceipted)
		return out, err
	}
}

// measuresOf returns the rates of a kind: that of answers, then that of answers
// in time where it has one.
func measuresOf(kind cases.Kind) (ms []rates.Measure) {
	for _, m := range []rates.Measure{rates.Feedback, rates.Verification, rates.FeedbackOnTime} {
		if m.Of(kind) {
			ms = append(ms, m)
		}
	}
	return ms
}

// standingsOf puts the rows of an area together; areas where nothing fell due
// have none.
func standingsOf(rows []figures.Row, c cell) (out []standing) {
	byArea := map[area.Key]*standing{}
	for _, r := range rows {
		if r.D == 0 {
			continue
		}
		s := byArea[r.Area]
		if s == nil {
			s = &standing{cell: c, OnTime: -1, Overdue: map[string]int64{}}
			s.Area = r.Area.Short()
			byArea[r.Area] = s
		}
		if s.Due = r.D; r.Measure == rates.FeedbackOnTime {
			s.OnTime = r.N
			continue
		}
		s.Answered = r.N
		for w, n := range r.Overdue {
			s.Overdue[w.String()] = n
		}
	}
	for _, s := range byArea {
		out = append(out, *s)
	}
	return out
}

// readAges reads how long work waits past its due.
func readAges(ctx context.Context, db *store.DB, offices []area.Key, now time.Time, unreceipted map[cell]int64) (out []ages, err error) {
	var standings []uint8
	for s := range waits {
		standings = append(standings, uint8(s))
	}
	var due []store.OldestDue
	if err := db.InCounts(ctx, offices, func(tx *store.Tx) (err error) {
		due, err = tx.OldestDue(ctx, offices, standings)
		return err
	}); err != nil {
		return nil, err
	}
	byCell := map[cell]*ages{}
	at := func(c cell) *ages {
		if byCell[c] == nil {
			byCell[c] = &ages{cell: c, Oldest: map[string]time.Duration{}}
		}
		return byCell[c]
	}
	for c, n := range unreceipted {
		at(c).Unreceipted = n
	}
	for _, d := range due {
		if len(measuresOf(d.Kind)) == 0 {
			continue
		}
		a := at(cell{Area: d.Office.Short(), Kind: d.Kind.String(), Role: roles[d.Side]})
		side := waits[rates.Standing(d.Standing)].String()
		a.Oldest[side] = max(a.Oldest[side], now.Sub(d.Day.EndInstant()), 0)
	}
	for _, a := range byCell {
		out = append(out, *a)
	}
	return out, nil
}

// monthGauges tell a scrape which months wait to be frozen.
type monthGauges struct {
	read           func(context.Context) (time.Time, int, error)
	now            func() time.Time
	months, oldest *prometheus.Desc
}

func newMonthGauges(c *closing.Closing, now func() time.Time) *monthGauges {
	return &monthGauges{
		read: c.Unfrozen, now: now,
		months: prometheus.NewDesc("yipan_months_unfrozen", "Months that are over and not frozen yet.", nil, nil),
		oldest: prometheus.NewDesc("yipan_months_unfrozen_oldest_seconds", "How long the oldest of them is over; 0: there is none.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *monthGauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- g.months
	ch <- g.oldest
}

// Collect implements prometheus.Collector. It takes scrapeTime at most; without
// a database, of which yipan_rates_read tells, it shows nothing.
func (g *monthGauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	oldest, n, err := g.read(ctx)
	if err != nil {
		return
	}
	age := 0.0
	if !oldest.IsZero() {
		age = max(0, g.now().Sub(oldest).Seconds())
	}
	ch <- prometheus.MustNewConstMetric(g.months, prometheus.GaugeValue, float64(n))
	ch <- prometheus.MustNewConstMetric(g.oldest, prometheus.GaugeValue, age)
}

const (
	// recountEvery is how often everything is counted anew: an office that
	// reports once a month learns of a fault within a day.
	recountEvery = 24 * time.Hour
	// recountAfter is when after the start it is done first.
	recountAfter = time.Hour
	// recountMost is what one may take; it reads every item.
	recountMost = 6 * time.Hour
)

// recount is the daily self-check: everything is counted anew and compared.
type recount struct {
	figures *figures.Figures
	offices func() []area.Key
	now     func() time.Time

	differences, at prometheus.Gauge
}

func newRecount(f *figures.Figures, offices func() []area.Key, now func() time.Time, r prometheus.Registerer) *recount {
	c := &recount{
		figures: f, offices: offices, now: now,
		differences: prometheus.NewGauge(prometheus.GaugeOpts{Name: "yipan_rates_recount_differences", Help: "Differences between kept figures and the last full recount."}),
		at:          prometheus.NewGauge(prometheus.GaugeOpts{Name: "yipan_rates_recount_timestamp_seconds", Help: "When the last full recount ended; 0: not since the start."}),
	}
	if r != nil {
		r.MustRegister(c.differences, c.at)
	}
	return c
}

// run returns how many rounds were counted.
func (c *recount) run(ctx context.Context) (int64, error) {
	r, err := c.figures.Recount(ctx, c.offices())
	if err != nil {
		return r.Rounds, err
	}
	c.differences.Set(float64(r.Total))
	c.at.Set(float64(c.now().Unix()))
	return r.Rounds, nil
}
