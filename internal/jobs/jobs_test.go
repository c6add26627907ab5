package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/desk"
	"yipan/internal/fault"
)

// values reads what a registry shows, "name{label}" to value.
func values(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "{" + l.GetValue() + "}"
			}
			if c := m.GetCounter(); c != nil {
				out[name] = c.GetValue()
			} else {
				out[name] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// TestRun lets an hour pass: each job has its turns, failures and panics hold
// nothing up and are tried again, and stopping ends it.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		reg := prometheus.NewRegistry()
		j := fresh(Config{Interval: time.Minute, Registerer: reg, Log: slog.New(slog.NewJSONHandler(&log, nil))})
		runs := map[string]int{}
		var begun []time.Duration
		start := time.Now()
		j.jobs = []job{
			{name: "fails", every: time.Hour, run: func(context.Context) (int64, error) {
				runs["fails"]++
				if runs["fails"] <= 3 {
					return 0, fault.Unavailable("DATABASE", "database not reached")
				}
				return 2, nil
			}},
			{name: "panics", run: func(context.Context) (int64, error) {
				runs["panics"]++
				panic("测试甲")
			}},
			{name: "every turn", run: func(ctx context.Context) (int64, error) {
				runs["every turn"]++
				begun = append(begun, time.Since(start))
				if d, ok := ctx.Deadline(); !ok || time.Until(d) > longest {
					t.Error("a job may run for ever")
				}
				return 1, nil
			}},
			{name: "seldom", every: 20 * time.Minute, run: func(context.Context) (int64, error) { runs["seldom"]++; return 0, nil }},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- j.Run(ctx) }()
		time.Sleep(time.Hour - time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		want := map[string]int{"fails": 4, "panics": 60, "every turn": 60, "seldom": 3}
		if diff := cmp.Diff(want, runs); diff != "" {
			t.Errorf("runs:\n%s", diff)
		}
		if begun[0] != 0 || begun[59] != 59*time.Minute {
			t.Errorf("turns at %v … %v", begun[0], begun[59])
		}
		got := values(t, reg)
		for name, want := range map[string]float64{
			"yipan_job_runs_total{fails}": 4, "yipan_job_failures_total{fails}": 3, "yipan_job_done_total{fails}": 2,
			"yipan_job_failures_total{panics}": 60, "yipan_job_done_total{every turn}": 60, "yipan_job_runs_total{seldom}": 3,
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		if strings.Contains(log.String(), "测试") || !strings.Contains(log.String(), `"job":"fails"`) {
			t.Error("the log quotes a panic, or says nothing of a failure")
		}
	})
}

// TestRunStops ends a job that is under way: that is no failure.
func TestRunStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		j := fresh(Config{Registerer: reg})
		later := false
		j.jobs = []job{
			{name: "long", run: func(ctx context.Context) (int64, error) { <-ctx.Done(); return 0, ctx.Err() }},
			{name: "later", run: func(context.Context) (int64, error) { later = true; return 0, nil }},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := j.Run(ctx); err != nil || later {
			t.Errorf("Run: %v, went on: %v", err, later)
		}
		if got := values(t, reg); got["yipan_job_failures_total{long}"] != 0 {
			t.Error("stopping counts as a failure")
		}
	})
}

func TestHealth(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	var loads []desk.PeerLoad
	var fail error
	reg := prometheus.NewRegistry()
	reg.MustRegister(newHealth(func(ctx context.Context) ([]desk.PeerLoad, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("a scrape may take for ever")
		}
		return append([]desk.PeerLoad(nil), loads...), fail
	}, func() time.Time { return now }))

	loads = []desk.PeerLoad{{Peer: "330782", Unsettled: 7, Oldest: now.Add(-90 * time.Second)}, {Peer: "330481"}}
	want := map[string]float64{
		"yipan_exchange_unsettled_read":                   1,
		"yipan_exchange_unsettled_items{330782}":          7,
		"yipan_exchange_unsettled_items{330481}":          0,
		"yipan_exchange_unsettled_oldest_seconds{330782}": 90,
		"yipan_exchange_unsettled_oldest_seconds{330481}": 0,
	}
	if diff := cmp.Diff(want, values(t, reg)); diff != "" {
		t.Errorf("metrics:\n%s", diff)
	}
	loads = nil
	for i := range 3000 {
		loads = append(loads, desk.PeerLoad{Peer: fmt.Sprintf("%06d", i), Unsettled: 1, Oldest: now.Add(-time.Duration(i) * time.Second)})
	}
	got := values(t, reg)
	if len(got) != 2*(maxPeers+1)+1 || got["yipan_exchange_unsettled_items{other}"] != 3000-maxPeers || got["yipan_exchange_unsettled_oldest_seconds{002999}"] != 2999 {
		t.Errorf("%d series, others %v", len(got), got["yipan_exchange_unsettled_items{other}"])
	}
	if got["yipan_exchange_unsettled_oldest_seconds{other}"] != 3000-maxPeers-1 {
		t.Errorf("oldest of the others %v", got["yipan_exchange_unsettled_oldest_seconds{other}"])
	}
	fail = errors.New("away")
	if diff := cmp.Diff(map[string]float64{"yipan_exchange_unsettled_read": 0}, values(t, reg)); diff != "" {
		t.Errorf("without a database:\n%s", diff)
	}
}

// TestSparing: a job that takes long rests long, one that takes no time runs
// every turn.
func TestSparing(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	runs, takes := 0, time.Second
	job := sparing(func() time.Time { return now }, func(context.Context) (int64, error) {
		runs++
		now = now.Add(takes)
		return 1, nil
	})
	for _, tt := range []struct {
		wait, takes time.Duration
		want        int
	}{
		{0, time.Second, 1}, {0, 0, 1}, {19 * time.Second, 0, 1}, {time.Second, 0, 2}, {0, 0, 3}, {0, 3 * time.Second, 4}, {59 * time.Second, 0, 4}, {time.Second, 0, 5},
	} {
		now, takes = now.Add(tt.wait), tt.takes
		if _, err := job(t.Context()); err != nil || runs != tt.want {
			t.Fatalf("after %s: %d runs, want %d, %v", tt.wait, runs, tt.want, err)
		}
	}
}

// TestLongJobsHoldNothingUp: one that hangs beside the others lets them go on,
// and has its own limit.
func TestLongJobsHoldNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := fresh(Config{Interval: time.Minute})
		turns := 0
		start := time.Now()
		j.jobs = []job{{name: "every turn", run: func(context.Context) (int64, error) { turns++; return 0, nil }}}
		j.beside = []job{{name: "long", every: recountEvery, most: recountMost, last: start.Add(recountAfter - recountEvery), run: func(ctx context.Context) (int64, error) {
			if d, ok := ctx.Deadline(); !ok || time.Since(start) < recountAfter || time.Until(d) != recountMost {
				t.Errorf("begun after %s with %s to go", time.Since(start), time.Until(d))
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Hour-time.Second, cancel)
		if err := j.Run(ctx); err != nil || turns != 120 {
			t.Errorf("%d turns of two hours, %v", turns, err)
		}
	})
}
