package relay

import (
	"sync"
	"time"

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

// Parcels for a peer whose stream the broker refuses (full, or none can be made)
// stay where they are: after a pause that doubles up to the longest, one is
// tried.
const (
	firstRefusal   = time.Second
	longestRefusal = 30 * time.Second
	oneTry         = 1
)

// flights are the parcels on their way, by peer.
type flights struct {
	now func() time.Time

	mu sync.Mutex
	to map[cases.NodeID]*lane
}

// lane is the way to one peer.
type lane struct {
	away     map[wire.ParcelID]flight
	silent   bool
	refusals int       // of the broker, one after the other
	until    time.Time // nothing leaves before
	looked   time.Time // recount's last look
	every    time.Duration
}

type flight struct {
	at    time.Time
	items int
	try   bool // the one parcel after refusals
}

func newFlights(now func() time.Time) *flights {
	return &flights{now: now, to: map[cases.NodeID]*lane{}}
}

// lane returns the lane of a peer. The caller holds f.mu.
func (f *flights) lane(n cases.NodeID) *lane {
	if f.to[n] == nil {
		f.to[n] = &lane{away: map[wire.ParcelID]flight{}}
	}
	return f.to[n]
}

func (f *flights) start(n cases.NodeID, id wire.ParcelID, items int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lane(n)
	l.away[id] = flight{f.now(), items, l.refusals > 0}
}

// landed notes receipts of a peer for parcels.
func (f *flights) landed(n cases.NodeID, ids []wire.ParcelID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lane(n)
	for _, id := range ids {
		l.relieve(id)
		delete(l.away, id)
	}
}

// heard notes that something came from a peer, and reports whether it was silent.
func (f *flights) heard(n cases.NodeID) (wasSilent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lane(n)
	wasSilent, l.silent = l.silent, false
	return wasSilent
}

// refused notes that the broker did not take a parcel. Those that were on their
// way together are refused together, and count once.
func (f *flights) refused(n cases.NodeID, id wire.ParcelID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, now := f.lane(n), f.now()
	delete(l.away, id)
	if now.Before(l.until) {
		return
	}
	l.until = now.Add(min(firstRefusal<<min(l.refusals, 8), longestRefusal))
	l.refusals++
}

// taken notes that the broker took a parcel, and reports whether that ends a
// time of refusals: one that was on its way with refused ones does not.
func (f *flights) taken(n cases.NodeID, id wire.ParcelID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lane(n).relieve(id)
}

func (l *lane) relieve(id wire.ParcelID) bool {
	if !l.away[id].try || l.refusals == 0 {
		return false
	}
	l.refusals, l.until = 0, time.Time{}
	return true
}

// clear forgets everything: another broker may know nothing of it.
func (f *flights) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.to)
}

// count returns how many parcels are on their way and how many may be, and
// forgets the old ones.
func (f *flights) count(n cases.NodeID) (away, most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, now := f.lane(n), f.now()
	for id, a := range l.away {
		if a.at.Before(now.Add(-flightTime)) {
			delete(l.away, id)
			l.silent = true
		}
	}
	most = window
	switch {
	case now.Before(l.until):
		most = 0
	case l.refusals > 0:
		most = oneTry
	case l.silent:
		most = silentWindow
	}
	return len(l.away), most
}

// doubtful reports whether it is time to look in the database what of the
// parcels on their way has landed: another replica may have taken the receipts
// in. A look takes at most a fiftieth of the time.
func (f *flights) doubtful(n cases.NodeID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lane(n)
	if now := f.now(); len(l.away) > 0 && now.Sub(l.looked) >= l.every {
		l.looked = now
		return true
	}
	return false
}

// recount is told that so many items, sent at least once, have no receipt, and
// how long it took to learn that. What the parcels on their way hold beyond
// them has landed, the oldest first. It reports whether any has.
func (f *flights) recount(n cases.NodeID, open int64, took time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lane(n)
	l.every = max(50*took, 50*time.Millisecond)
	var items int64
	for _, a := range l.away {
		items += int64(a.items)
	}
	some := false
	for items > open && len(l.away) > 0 {
		var oldest wire.ParcelID
		first := true
		for id, a := range l.away {
			if first || a.at.Before(l.away[oldest].at) {
				oldest, first = id, false
			}
		}
		items -= int64(l.away[oldest].items)
		delete(l.away, oldest)
		some, l.silent = true, false
	}
	return some
}
