package jobs

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/closing"
	"yipan/internal/desk"
	"yipan/internal/exchange"
	"yipan/internal/figures"
	"yipan/internal/policy"
	"yipan/internal/remind"
)

// DefaultInterval is how often due work is looked for.
const DefaultInterval = 30 * time.Second

// longest bounds one run of one job, so that a hung database does not end all
// later turns. What was not finished goes on at the next.
const longest = 10 * time.Minute

// Config of the jobs of a node.
type Config struct {
	Desk       *desk.Desk
	Exchange   *exchange.Exchange
	Figures    *figures.Figures
	Closing    *closing.Closing
	Remind     *remind.Remind
	Policies   *policy.Set
	Now        func() time.Time      // nil: time.Now
	Log        *slog.Logger          // nil: discard
	Interval   time.Duration         // 0: DefaultInterval
	Registerer prometheus.Registerer // nil: no metrics
}

// Jobs runs a node's jobs. It is safe for concurrent use.
type Jobs struct {
	now      func() time.Time
	log      *slog.Logger
	interval time.Duration
	jobs     []job
	beside   []job // each in a loop of its own: those that wait for no other, and hold none up
	metrics  *metrics
}

// job is one kind of work; run returns how much it did.
type job struct {
	name  string
	every time.Duration // 0: every turn
	most  time.Duration // of one run; 0: longest
	run   func(context.Context) (int64, error)
	last  time.Time // of the last run that succeeded
}

// New returns the jobs of a node.
func New(c Config) *Jobs {
	j := fresh(c)
	d, x := c.Desk, c.Exchange
	j.jobs = []job{
		{name: "rounds", run: func(ctx context.Context) (int64, error) { return d.EndRounds(ctx, c.Policies) }},
		{name: "feedback", run: func(ctx context.Context) (int64, error) {
			n, err := x.SendDrafts(ctx, d.Offices())
			if n > 0 {
				d.Sent()
			}
			return int64(n), err
		}},
		{name: "refresh", every: DefaultInterval, run: sparing(j.now, c.Figures.Refresh)},
		{name: "stand up", every: time.Minute, run: c.Figures.StandUp},
		{name: "empty sums", every: time.Hour, run: c.Figures.DropEmptySums},
		{name: "misrouted", run: func(ctx context.Context) (int64, error) {
			n, err := d.EraseMisrouted(ctx)
			return int64(n), err
		}},
		{name: "reindex", every: DefaultInterval, run: func(ctx context.Context) (int64, error) { return d.People.Reindex(ctx, d.Offices()) }},
		{name: "pair", every: DefaultInterval, run: sparing(j.now, d.PairOpen)},
		{name: "pair met", every: 5 * time.Minute, run: sparing(j.now, d.PairMet)},
		{name: "digest", every: time.Minute, run: func(ctx context.Context) (int64, error) {
			if c.Remind == nil {
				return 0, nil
			}
			return c.Remind.Send(ctx)
		}},
		{name: "strays", every: 24 * time.Hour, run: func(ctx context.Context) (int64, error) {
			n, err := d.EraseStrays(ctx)
			return int64(n), err
		}},
		{name: "freeze", every: DefaultInterval, run: c.Closing.Freeze},
		{name: "revise", every: DefaultInterval, run: c.Closing.Revise},
		{name: "live reports", every: DefaultInterval, run: c.Closing.TellLive},
		{name: "reports in", run: c.Closing.ReportsIn},
		{name: "outages", every: 10 * time.Minute, run: d.PutOff},
		{name: "keys", every: time.Hour, run: func(ctx context.Context) (int64, error) {
			n, err := d.PurgeKeys(ctx)
			return int64(n), err
		}},
	}
	if c.Figures != nil {
		self := newRecount(c.Figures, d.Offices, j.now, c.Registerer)
		// Not at the start, when there is enough to do.
		first := j.now().Add(recountAfter - recountEvery)
		j.beside = append(j.beside, job{name: "add up", run: c.Figures.AddUp}, job{name: "recount", every: recountEvery, most: recountMost, run: sparing(j.now, self.run), last: first})
	}
	if c.Registerer != nil {
		c.Registerer.MustRegister(newHealth(d.Unsettled, j.now))
		if c.Figures != nil {
			c.Registerer.MustRegister(newRateGauges(readRates(c.Figures, d.Offices, j.now), j.now))
		}
		if c.Closing != nil {
			c.Registerer.MustRegister(newMonthGauges(c.Closing, j.now))
		}
	}
	return j
}

// restFor is how many times as long as it took a sparing job rests.
const restFor = 20

// sparing lets a job rest after each run, so that it takes at most a twentieth
// of the time from those who are waited for.
func sparing(now func() time.Time, run func(context.Context) (int64, error)) func(context.Context) (int64, error) {
	var until time.Time
	return func(ctx context.Context) (int64, error) {
		began := now()
		if began.Before(until) {
			return 0, nil
		}
		n, err := run(ctx)
		ended := now()
		until = ended.Add(restFor * ended.Sub(began))
		return n, err
	}
}

func fresh(c Config) *Jobs {
	j := &Jobs{now: c.Now, log: c.Log, interval: c.Interval, metrics: newMetrics(c.Registerer)}
	if j.now == nil {
		j.now = time.Now
	}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	if j.interval <= 0 {
		j.interval = DefaultInterval
	}
	return j
}

// Run runs what is due at once and then at every interval, until ctx ends. It
// returns nil: no job's failure ends it.
func (j *Jobs) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	for i := range j.beside {
		beside.Go(func() { j.loop(ctx, j.beside[i:i+1], min(j.interval, besideInterval)) })
	}
	j.loop(ctx, j.jobs, j.interval)
	return nil
}

// besideInterval is how often the jobs beside look: the more changes wait to be
// added up, the longer a page of rates takes.
const besideInterval = 2 * time.Second

func (j *Jobs) loop(ctx context.Context, jobs []job, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		j.turn(ctx, jobs)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// turn runs the jobs that are due, one after the other: the later ones use what
// the earlier ones did.
func (j *Jobs) turn(ctx context.Context, jobs []job) {
	for i := range jobs {
		jb := &jobs[i]
		now := j.now()
		if ctx.Err() != nil {
			return
		}
		if !jb.last.IsZero() && now.Sub(jb.last) < jb.every {
			continue
		}
		n, err := guarded(ctx, cmp.Or(jb.most, longest), jb.run)
		if ctx.Err() != nil {
			return // stopping is no failure
		}
		j.metrics.runs.WithLabelValues(jb.name).Inc()
		j.metrics.done.WithLabelValues(jb.name).Add(float64(max(0, n)))
		if err != nil {
			j.metrics.failures.WithLabelValues(jb.name).Inc()
			j.log.Error("job failed", "job", jb.name, "done", n, "error", err)
			continue
		}
		jb.last = now
		if n > 0 {
			j.log.Info("job done", "job", jb.name, "done", n)
		}
	}
}

// guarded keeps a job's panic from ending the node's other work.
func guarded(ctx context.Context, most time.Duration, run func(context.Context) (int64, error)) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			// The value may quote what it was about; the stack names places only.
			err = fmt.Errorf("panic of type %T at %s", r, debug.Stack())
		}
	}()
	return run(ctx)
}
