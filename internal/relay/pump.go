package relay

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"yipan/internal/cases"
	"yipan/internal/store"
)

// Above this many parcels on their way the pump waits a little before the next
// claim, so that parcels grow by themselves.
const crowded = 3

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
					for again := true; again; again = r.end(n) {
						r.pumpPeer(ctx, n)
					}
					return nil
				})
			}
		}
	}
}

// begin reports whether a pump may begin. One that is under way is told to look
// once more, for it may have looked before what woke the loop was committed.
func (r *Relay) begin(n cases.NodeID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, running := r.pump[n]
	r.pump[n] = running
	return !running
}

// end reports whether the pump must look once more.
func (r *Relay) end(n cases.NodeID) (again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pump[n] {
		r.pump[n] = false
		return true
	}
	delete(r.pump, n)
	return false
}

// pumpPeer sends what is due for a peer until nothing is, or its window is
// full; then a receipt wakes the pump again.
func (r *Relay) pumpPeer(ctx context.Context, n cases.NodeID) {
	for ctx.Err() == nil && r.Bus.Connected() {
		away, most := r.flights.count(n)
		if away >= most {
			if most > 0 && r.recount(ctx, n) {
				continue
			}
			return
		}
		if away > crowded {
			if !pause(ctx, time.Duration(min(away, 8))*time.Millisecond) {
				return
			}
		}
		if most == oneTry {
			// What was refused is due by its own clocks, which may be late.
			if _, err := r.Exchange.Resend(ctx, n, false); err != nil {
				return // the pump's next look says why
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
				r.flights.start(n, parcels[i].ID, parcels[i].Items)
			}
		}
		r.publish(ctx, slices.Clone(parcels))
	}
}

// recount asks the database whether parcels have landed whose receipts another
// replica took in.
func (r *Relay) recount(ctx context.Context, n cases.NodeID) bool {
	if !r.flights.doubtful(n) {
		return false
	}
	var loads []store.PeerLoad
	begun := time.Now()
	err := r.DB.InExchange(ctx, nil, func(tx *store.Tx) (err error) {
		loads, err = tx.PeerLoads(ctx, false)
		return err
	})
	if err != nil {
		return false // the pump's next look says why
	}
	open := int64(0)
	for _, l := range loads {
		if l.Peer == n {
			open = l.PendingReady
		}
	}
	return r.flights.recount(n, open, time.Since(begun))
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
