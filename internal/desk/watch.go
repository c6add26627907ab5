package desk

import (
	"context"
	"sync"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/store"
)

// watchers are told which cases changed on this process, by the desk's own
// verbs and by parcels. Another replica's changes are not seen here; a client
// lists now and then.
type watchers struct {
	mu   sync.Mutex
	next int
	to   map[int]chan []cases.CaseID
}

func newWatchers() *watchers { return &watchers{to: map[int]chan []cases.CaseID{}} }

func (w *watchers) changed(ids []cases.CaseID) {
	if len(ids) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.to {
		select {
		case c <- ids:
		default: // a reader that is too slow misses news and lists again
		}
	}
}

func (w *watchers) add() (int, chan []cases.CaseID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	w.to[w.next] = make(chan []cases.CaseID, 64)
	return w.next, w.to[w.next]
}

func (w *watchers) remove(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.to, n)
}

// Changed tells those who watch that a peer changed cases.
func (d *Desk) Changed(ids []cases.CaseID) { d.watch.changed(ids) }

// Watch sends changes of the caller's cases until ctx ends or send fails. It
// names cases and states, no persons.
func (d *Desk) Watch(ctx context.Context, p access.Principal, office area.Key, send func(Change) error) error {
	if err := d.Allow(ctx, p, access.CaseRead, 0); err != nil {
		return err
	}
	offices := p.Offices
	if office != 0 {
		o, err := d.Office(ctx, p, access.CaseRead, office, "office")
		if err != nil {
			return err
		}
		offices = []area.Key{o}
	}
	n, news := d.watch.add()
	defer d.watch.remove(n)
	for {
		select {
		case <-ctx.Done():
			return nil
		case ids := <-news:
			if err := d.tell(ctx, p, offices, ids, send); err != nil {
				if ctx.Err() != nil {
					return nil // the reader left meanwhile
				}
				return err
			}
		}
	}
}

func (d *Desk) tell(ctx context.Context, p access.Principal, offices []area.Key, ids []cases.CaseID, send func(Change) error) error {
	var sides []store.Side
	p.Offices = offices
	err := d.In(ctx, p, func(tx *store.Tx) (err error) {
		sides, err = tx.SidesOf(ctx, ids)
		return err
	})
	if err != nil {
		return err
	}
	for i := range sides {
		s := &sides[i]
		if !visible(p, s) {
			continue
		}
		if err := send(Change{Case: s.Case, Status: s.Status, Office: s.Office, Etag: book.Etag(s.Version, s.Rev), DeliveredAt: s.DeliveredAt}); err != nil {
			return err
		}
	}
	return nil
}
