package bus

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	connected   prometheus.Gauge
	reconnects  prometheus.Counter
	asyncErrors *prometheus.CounterVec
	publishes   *prometheus.CounterVec
	deliveries  *prometheus.CounterVec
	rebuilt     *prometheus.CounterVec
}

// newMetrics registers the metrics of one Conn at reg (nil: nowhere). A
// registerer that has them already, from an earlier Conn of the same node,
// goes on counting in them.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "yipan_bus_connected", Help: "1 while the broker is connected."}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "yipan_bus_reconnects_total", Help: "Connections made after the first one."}),
		asyncErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yipan_bus_async_errors_total", Help: "Errors the broker or the client reported out of band, by kind (permission, auth, slow, other)."}, []string{"kind"}),
		publishes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yipan_bus_publishes_total", Help: "Publishes by result (ok or the reason of the failure)."}, []string{"result"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yipan_bus_deliveries_total", Help: "Messages delivered, by kind (first, again, junk)."}, []string{"kind"}),
		rebuilt: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yipan_bus_subscriptions_total", Help: "Pull subscriptions begun, by stream kind (exchange, directory)."}, []string{"stream"}),
	}
	if reg == nil {
		return m, nil
	}
	var err error
	keep := func(e error) {
		if e != nil && err == nil {
			err = e
		}
	}
	keep(register(reg, &m.connected))
	keep(register(reg, &m.reconnects))
	keep(register(reg, &m.asyncErrors))
	keep(register(reg, &m.publishes))
	keep(register(reg, &m.deliveries))
	keep(register(reg, &m.rebuilt))
	return m, err
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
