package jobs

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/desk"
)

type metrics struct {
	runs, failures, done *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		runs:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yipan_job_runs_total", Help: "Runs of jobs."}, []string{"job"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yipan_job_failures_total", Help: "Runs of jobs that failed; they are tried again."}, []string{"job"}),
		done:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yipan_job_done_total", Help: "What jobs did: drafts, feedback, erased cases, purged keys."}, []string{"job"}),
	}
	if r != nil {
		r.MustRegister(m.runs, m.failures, m.done)
	}
	return m
}

const (
	// scrapeTime is what one collection may take of the database.
	scrapeTime = 2 * time.Second
	// maxPeers bounds the series: the peers with the oldest unsettled items have
	// their own, all others one together.
	maxPeers = 100
	others   = "other"
)

// health tells a scrape what is unsettled with each peer and how old that is.
type health struct {
	read func(context.Context) ([]desk.PeerLoad, error)
	now  func() time.Time

	unsettled, oldest, ok *prometheus.Desc
}

func newHealth(read func(context.Context) ([]desk.PeerLoad, error), now func() time.Time) *health {
	return &health{
		read: read, now: now,
		unsettled: prometheus.NewDesc("yipan_exchange_unsettled_items", "Items that a peer has not acknowledged, by peer; receipts are not counted.", []string{"peer"}, nil),
		oldest:    prometheus.NewDesc("yipan_exchange_unsettled_oldest_seconds", "Age of the oldest of them.", []string{"peer"}, nil),
		ok:        prometheus.NewDesc("yipan_exchange_unsettled_read", "1: the database answered this scrape in time, 0: it did not and the figures are missing.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (h *health) Describe(ch chan<- *prometheus.Desc) {
	ch <- h.unsettled
	ch <- h.oldest
	ch <- h.ok
}

// Collect implements prometheus.Collector. It takes scrapeTime at most.
func (h *health) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	loads, err := h.read(ctx)
	if err != nil {
		ch <- prometheus.MustNewConstMetric(h.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(h.ok, prometheus.GaugeValue, 1)
	now := h.now()
	for _, l := range bounded(loads) {
		age := 0.0
		if !l.Oldest.IsZero() {
			age = max(0, now.Sub(l.Oldest).Seconds())
		}
		ch <- prometheus.MustNewConstMetric(h.unsettled, prometheus.GaugeValue, float64(l.Unsettled), l.Peer)
		ch <- prometheus.MustNewConstMetric(h.oldest, prometheus.GaugeValue, age, l.Peer)
	}
}

// bounded keeps the peers that wait longest and adds the others up.
func bounded(loads []desk.PeerLoad) []desk.PeerLoad {
	if len(loads) <= maxPeers {
		return loads
	}
	slices.SortFunc(loads, func(a, b desk.PeerLoad) int {
		switch {
		case a.Oldest.IsZero() != b.Oldest.IsZero():
			if a.Oldest.IsZero() {
				return 1
			}
			return -1
		case !a.Oldest.Equal(b.Oldest):
			return a.Oldest.Compare(b.Oldest)
		}
		return cmp.Compare(a.Peer, b.Peer)
	})
	rest := desk.PeerLoad{Peer: others}
	for _, l := range loads[maxPeers:] {
		rest.Unsettled += l.Unsettled
		if rest.Oldest.IsZero() || !l.Oldest.IsZero() && l.Oldest.Before(rest.Oldest) {
			rest.Oldest = l.Oldest
		}
	}
	return append(loads[:maxPeers:maxPeers], rest)
}
