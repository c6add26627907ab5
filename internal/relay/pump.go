package relay

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"yipan/internal/cases"
	"yipan/internal/wire"
)

// A peer has at most this many parcels on their way without a receipt: a deep
// backlog waits in the database, where nothing is sent twice, instead of in
// the broker.
const window = 48

// A parcel without a receipt counts as lost after this long; its items have
// their own clocks.
const flightTime = 20 * time.Second

// A peer that lets parcels get lost without a word is silent: until it is heard
// again it is sent no more than this, so that an outage does not fill the broker
// with copies that it must absorb when it is back.
const silentWindow = 2

// Above this many parcels on their way the pump waits a little before the next
// claim, so that parcels grow by themselves.
const crowded = 3

// flights are the parcels on their way, by peer.
type flights struct {
	now func() time.Time

	mu     sync.Mutex
	away   map[cases.NodeID]map[wire.ParcelID]time.Time
	silent map[cases.NodeID]bool
}

func newFlights(now func() time.Time) *flights {
	return &flights{now: now, away: map[cases.NodeID]map[wire.ParcelID]time.Time{}, silent: map[cases.NodeID]bool{}}
}

func (f *flights) start(n cases.NodeID, id wire.ParcelID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[n] == nil {
		f.away[n] = map[wire.ParcelID]time.Time{}
	}
	f.away[n][id] = f.now()
}

func (f *flights) landed(n cases.NodeID, ids []wire.ParcelID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		delete(f.away[n], id)
	}
}

// heard notes that something came from a peer.
func (f *flights) heard(n cases.NodeID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.silent, n)
}

func (f *flights) lost(n cases.NodeID, id wire.ParcelID) { f.landed(n, []wire.ParcelID{id}) }

func (f *flights) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.away)
	clear(f.silent)
}

// count returns how many parcels are on their way and how many may be, and
// forgets the old ones.
func (f *flights) count(n cases.NodeID) (away, most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.now().Add(-flightTime)
	for id, at := range f.away[n] {
		if at.Before(old) {
			delete(f.away[n], id)
			f.silent[n] = true
		}
	}
	if f.silent[n] {
		return len(f.away[n]), silentWindow
	}
	return len(f.away[n]), window
}

// pumpLoop runs a pump for each peer to which something is owed, woken or by
// the clock.
func (r *Relay) pumpLoop(ctx context.Context, g *errgroup.Group) error {
	tick := time.NewTicker(r.Poll)
	defer tick.Stop()
	var hot []cases.NodeID
	for {
		woken := false
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
			woken = true
		case <-tick.C:
		}
		if !r.Bus.Connected() {
			continue
		}
		// The peers of the last look are tried at once; the look itself, which
		// finds new ones, costs a query.
		peers, err := r.Exchange.Pending(ctx)
		if err != nil {
			if ctx.Err() == nil && !woken {
				r.Log.Warn("pump cannot read what is owed", "error", err)
			}
			peers = hot
		}
		hot = peers
		for _, n := range peers {
			if r.begin(n) {
				g.Go(func() error {
					defer r.end(n)
					r.pumpPeer(ctx, n)
					return nil
				})
			}
		}
	}
}

func (r *Relay) begin(n cases.NodeID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pump[n] {
		return false
	}
	r.pump[n] = true
	return true
}

func (r *Relay) end(n cases.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pump, n)
}

// pumpPeer sends what is due for a peer until nothing is, or its window is
// full; then a receipt wakes the pump again.
func (r *Relay) pumpPeer(ctx context.Context, n cases.NodeID) {
	for ctx.Err() == nil && r.Bus.Connected() {
		away, most := r.flights.count(n)
		if away >= most {
			return
		}
		if away > crowded {
			if !pause(ctx, time.Duration(min(away, 8))*time.Millisecond) {
				return
			}
		}
		parcels, _, err := r.Exchange.Pack(ctx, n)
		if err != nil {
			if ctx.Err() == nil {
				r.Log.Warn("pump cannot pack", "peer", n.String(), "error", err)
			}
			return
		}
		if len(parcels) == 0 {
			return
		}
		for i := range parcels {
			if parcels[i].Items > 0 {
				r.flights.start(n, parcels[i].ID)
			}
		}
		r.publish(ctx, slices.Clone(parcels))
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
