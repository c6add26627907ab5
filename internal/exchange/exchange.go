// Package exchange owns the verbs that peers use: packing what is owed to a
// peer, absorbing what came from one, and the statements by which two nodes
// find and mend any difference (PROTOCOL rules 10 to 22). Its invariants:
// nothing settles on the broker's word; what is absorbed, its effects and its
// receipt are one transaction; an item is received once, however often it
// comes. It speaks to no broker: relay carries its bytes.
package exchange

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/keys"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// Config of an exchange.
type Config struct {
	DB         *store.DB
	Book       *book.Book
	Keys       *keys.Files
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Journal    *keys.Journal
	// SuiteFloor is the weakest suite that is opened; zero: the weakest known.
	SuiteFloor seal.Suite
}

// Exchange is one node's side of the exchange. It is safe for concurrent use.
type Exchange struct {
	Config
	metrics *metrics

	mu    sync.Mutex
	epoch string                  // the database's present life
	state map[cases.NodeID]*round // statements under way, by peer
	trips map[cases.NodeID]time.Duration
}

// New returns the exchange of a node.
func New(c Config) *Exchange {
	if c.SuiteFloor == 0 {
		c.SuiteFloor = seal.SuiteX25519
	}
	return &Exchange{Config: c, metrics: newMetrics(c.Registerer), state: map[cases.NodeID]*round{}, trips: map[cases.NodeID]time.Duration{}}
}

// Self returns this node.
func (x *Exchange) Self() cases.NodeID { return x.Book.Self }

func (x *Exchange) dir() *directory.Directory { return x.Book.Directory() }

func (x *Exchange) keyOf(n cases.NodeID, id seal.KeyID) (seal.VerifyKey, bool) {
	return x.dir().VerifyKey(n, id)
}

// Parcel is a sealed parcel on its way.
type Parcel struct {
	ID    wire.ParcelID
	To    cases.NodeID
	Bytes []byte
	Items int // that are not receipts
}

// seal makes one parcel for a peer under the key that the directory names now
// (rule 8). A peer without a key is Unavailable NO_NODE.
func (x *Exchange) seal(p *wire.Parcel, to cases.NodeID) (Parcel, error) {
	d := x.dir()
	key, ok := d.SealTo(to)
	if !ok {
		return Parcel{}, fault.Unavailable("NO_NODE", "node %s has no sealing key in the directory", to)
	}
	p.From, p.To, p.Serial = x.Self(), to, d.Serial()
	b, err := wire.Pack(p, x.Keys.Signing(), key, x.Now())
	if err != nil {
		return Parcel{}, err
	}
	x.metrics.sent.WithLabelValues(peerLabel(to)).Inc()
	x.metrics.sentBytes.Add(float64(len(b)))
	return Parcel{ID: p.Parcel, To: to, Bytes: b, Items: len(p.Items)}, nil
}

// Epoch returns the name of the database's present life, reading it once. A
// restart of the database is noticed by Refresh.
func (x *Exchange) Epoch(ctx context.Context) (string, error) {
	x.mu.Lock()
	e := x.epoch
	x.mu.Unlock()
	if e != "" {
		return e, nil
	}
	e, err := x.DB.Epoch(ctx)
	if err != nil {
		return "", err
	}
	x.mu.Lock()
	x.epoch = e
	x.mu.Unlock()
	return e, nil
}

// Refresh reads the database's life anew and reports whether it changed: then
// every peer is owed a statement round before FEEDBACK leaves (rule 26).
func (x *Exchange) Refresh(ctx context.Context) (bool, error) {
	e, err := x.DB.Epoch(ctx)
	if err != nil {
		return false, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	changed := e != x.epoch
	x.epoch = e
	return changed, nil
}

// sameLife makes sure that epoch is that of the database in which tx runs: a
// process can outlive its database, and a restored one may hold a gate that was
// open then. Where it is not, it is Unavailable, and right at the next try.
func (x *Exchange) sameLife(ctx context.Context, tx *store.Tx, epoch string) error {
	now, err := tx.Epoch(ctx)
	if err != nil || now == epoch {
		return err
	}
	x.mu.Lock()
	x.epoch = now
	x.mu.Unlock()
	return fault.Unavailable("DATABASE_LIFE", "the database was started anew")
}

type metrics struct {
	sent, received, refused *prometheus.CounterVec
	sentBytes               prometheus.Counter
	items                   *prometheus.CounterVec
	rejected                *prometheus.CounterVec
	mended                  *prometheus.CounterVec
	roundTrip               prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		sent:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yipan_exchange_parcels_sent_total", Help: "Parcels sealed, by peer."}, []string{"peer"}),
		received:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yipan_exchange_parcels_received_total", Help: "Parcels absorbed, by peer."}, []string{"peer"}),
		refused:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yipan_exchange_parcels_refused_total", Help: "Parcels not absorbed, by reason."}, []string{"reason"}),
		sentBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "yipan_exchange_sent_bytes_total", Help: "Bytes of sealed parcels."}),
		items:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yipan_exchange_items_total", Help: "Items absorbed, by what became of them: new, again, moved."}, []string{"what"}),
		rejected:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yipan_exchange_items_rejected_total", Help: "Items rejected here, by reason."}, []string{"reason"}),
		mended:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yipan_exchange_statement_differences_total", Help: "Differences that statements mended, by peer."}, []string{"peer"}),
		roundTrip: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "yipan_exchange_round_trip_seconds", Help: "From packing a parcel to its receipt.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .25, .5, 1, 5, 30, 300, 3600, 86400},
		}),
	}
	if r != nil {
		r.MustRegister(m.sent, m.received, m.refused, m.sentBytes, m.items, m.rejected, m.mended, m.roundTrip)
	}
	return m
}

// peerLabel bounds a label: peers are nodes of the directory.
func peerLabel(n cases.NodeID) string { return n.Area().Short() }

func (x *Exchange) observe(peer cases.NodeID, d time.Duration) {
	x.metrics.roundTrip.Observe(d.Seconds())
	x.mu.Lock()
	x.trips[peer] = d
	x.mu.Unlock()
}

// RoundTrip returns the time from packing to receipt of the last parcel that a
// peer receipted since this process started; zero: none.
func (x *Exchange) RoundTrip(peer cases.NodeID) time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.trips[peer]
}

// Peers returns every peer with which something was exchanged.
func (x *Exchange) Peers(ctx context.Context) (out []cases.NodeID, err error) {
	err = x.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
		peers, err := tx.Peers(ctx)
		out = out[:0]
		for _, p := range peers {
			out = append(out, p.Node)
		}
		owed, err2 := tx.PendingPeers(ctx)
		for _, n := range owed {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
		return errors.Join(err, err2)
	})
	return out, err
}
