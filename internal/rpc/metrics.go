package rpc

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are rate, errors and duration of each RPC. Methods are those of the
// registered services alone, and codes gRPC's 17: nothing a client sends makes
// a new label.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	running  prometheus.Gauge
	panics   prometheus.Counter
}

// newMetrics registers at reg (nil: nowhere). A registerer that has them
// already, from an earlier server of the same node, goes on counting in them.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yipan_rpc_requests_total", Help: "RPCs ended, by method and gRPC code."}, []string{"method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "yipan_rpc_duration_seconds", Help: "Time from the request to the end of the answer; of streams, how long they were open.",
			Buckets: []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"method"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "yipan_rpc_running", Help: "RPCs that run now, streams too."}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "yipan_rpc_panics_total", Help: "Panics of handlers, each answered as an internal error."}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(register(reg, &m.requests), register(reg, &m.duration), register(reg, &m.running), register(reg, &m.panics))
}

func register[C prometheus.Collector](reg prometheus.Registerer, c *C) error {
	err := reg.Register(*c)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := already.ExistingCollector.(C); ok {
			*c = old
			return nil
		}
	}
	return err
}
