// Package harness holds many nodes at once: sites that exchange parcels
// through a network of memory with weather, whole towns of real nodes, load,
// faults, and the invariants that must hold through all of it. It is for
// tests, the demo and the benchmark.
package harness

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/closing"
	"yipan/internal/desk"
	"yipan/internal/directory"
	"yipan/internal/exchange"
	"yipan/internal/figures"
	"yipan/internal/keys"
	"yipan/internal/moves"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/remind"
	"yipan/internal/seal"
	"yipan/internal/services"
	"yipan/internal/store"
	"yipan/internal/todo"
	"yipan/internal/wire"
)

// Site is one node without its doors and without a broker: database, book,
// desk and exchange. Parcels are carried by a World.
type Site struct {
	Node     cases.NodeID
	DB       *store.DB
	Keys     *keys.Files
	Journal  *keys.Journal
	Book     *book.Book
	Desk     *desk.Desk
	People   *people.People
	Moves    *moves.Moves
	Services *services.Services
	Todo     *todo.Todo
	Figures  *figures.Figures
	Closing  *closing.Closing
	Remind   *remind.Remind
	Exchange *exchange.Exchange
	// Skew is how far the site's clock is ahead of the world's.
	Skew time.Duration

	dir atomic.Pointer[directory.Directory]
}

// Directory returns the directory as the site knows it.
func (s *Site) Directory() *directory.Directory { return s.dir.Load() }

// World is sites, the authority that admits them, and the parcels between
// them.
type World struct {
	Authority *directory.Authority
	Key       seal.SigningKey
	Sites     []*Site
	Clock     *Clock
	Policies  *policy.Set
	Log       *slog.Logger

	mu  sync.Mutex
	Net []exchange.Parcel
	Dir string // where keys lie
}

// Clock is a clock that a test moves.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock begins at an instant.
func NewClock(t time.Time) *Clock { return &Clock{now: t} }

// Now returns the time, one millisecond later at each call, so that what
// happens later is later.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// NewWorld returns a world without sites whose keys lie below dir.
func NewWorld(dir string, start time.Time) (*World, error) {
	set, err := policy.NewSet(policy.Default())
	if err != nil {
		return nil, err
	}
	key := seal.NewSigningKey()
	return &World{
		Authority: directory.NewAuthority(key), Key: key, Clock: NewClock(start), Policies: set, Dir: dir,
		Log: slog.New(slog.DiscardHandler),
	}, nil
}

// AddSite admits a node that serves areas (its own alone where none are named)
// with a migrated database.
func (w *World) AddSite(db *store.DB, node area.Key, areas ...area.Key) (*Site, error) {
	if len(areas) == 0 {
		areas = []area.Key{node}
	}
	dir := filepath.Join(w.Dir, node.Short())
	k, err := keys.Create(dir, w.Clock.Now())
	if err != nil {
		return nil, err
	}
	j, err := keys.CreateJournal(filepath.Join(dir, "journal"))
	if err != nil {
		return nil, err
	}
	s := &Site{Node: cases.NodeID(node), Keys: k, Journal: j}
	if err := w.Admit(s, areas, 0); err != nil {
		return nil, err
	}
	s.dir.Store(w.Authority.Directory())
	w.Start(s, db)
	w.Sites = append(w.Sites, s)
	return s, w.Learn()
}

// Start gives a site a database as a process does that starts: whatever an
// earlier process remembered outside the database is gone.
func (w *World) Start(s *Site, db *store.DB) {
	now := func() time.Time { return w.Clock.Now().Add(s.Skew) }
	s.DB = db
	s.Book = book.New(s.Node, s.Keys, s.Journal, s.dir.Load, now)
	s.Exchange = exchange.New(exchange.Config{DB: db, Book: s.Book, Keys: s.Keys, Now: now, Log: w.Log, Journal: s.Journal})
	s.People = people.New(people.Config{DB: db, Book: s.Book, Keys: s.Keys, Now: now, Log: w.Log})
	s.Desk = desk.New(desk.Config{
		DB: db, Book: s.Book, People: s.People, Keys: s.Keys, Policies: w.Policies, Journal: s.Journal, Now: now, Log: w.Log, Version: "test", Name: "test",
		Rounds: s.Exchange.Start, SendAgain: s.Exchange.Resend, RoundTrip: s.Exchange.RoundTrip,
	})
	s.People.Registered, s.People.Edited, s.People.Changed = s.Desk.PairWaiting, s.Desk.Edited, s.Desk.Opened
	s.Moves = moves.New(moves.Config{DB: db, Book: s.Book, Keys: s.Keys, People: s.People, Desk: s.Desk, Policies: w.Policies, Now: now, Log: w.Log})
	s.Services = services.New(services.Config{DB: db, Book: s.Book, Keys: s.Keys, People: s.People, Desk: s.Desk, Policies: w.Policies, Now: now, Log: w.Log})
	s.Todo = todo.New(todo.Config{
		DB: db, Book: s.Book, Keys: s.Keys, People: s.People, Desk: s.Desk, Services: s.Services, Policies: w.Policies, Now: now, Log: w.Log,
	})
	s.Figures = figures.New(figures.Config{
		DB: db, Book: s.Book, Keys: s.Keys, People: s.People, Desk: s.Desk, Services: s.Services, Policies: w.Policies, Now: now, Log: w.Log,
	})
	s.Closing = closing.New(closing.Config{
		DB: db, Book: s.Book, Keys: s.Keys, Desk: s.Desk, Services: s.Services, Figures: s.Figures, Policies: w.Policies, Now: now, Log: w.Log,
		Send: func(ctx context.Context, out []closing.Outgoing) error {
			rs := make([]exchange.Report, len(out))
			for i, o := range out {
				rs[i] = exchange.Report(o)
			}
			return s.Exchange.SendReports(ctx, rs)
		},
		Ask: func(ctx context.Context, peer cases.NodeID) error { _, err := s.Exchange.Start(ctx, peer); return err },
	})
	s.Remind = remind.New(remind.Config{DB: db, Keys: s.Keys, Desk: s.Desk, Todo: s.Todo, Policies: w.Policies, Now: now, Log: w.Log})
}

// Forget gives a site an older directory, as a restored database does; LearnOne
// evaluates everything after it again.
func (s *Site) Forget(older *directory.Directory) { s.dir.Store(older) }

// Admit puts a claim of a site into the directory; previous is the serial of
// the entry that it replaces.
func (w *World) Admit(s *Site, areas []area.Key, previous uint64) error {
	req, err := directory.NewRequest(directory.Claim{
		Node: s.Node, Name: s.Node.String(), Areas: areas, Speaks: directory.Versions{Min: 1, Max: wire.Version}, Previous: previous,
		Keys: []directory.Key{
			directory.SignatureKey(directory.ParcelSigning, false, s.Keys.Signing().Public()),
			directory.SealingKey(false, s.Keys.Sealing().Public()),
		},
	}, s.Keys.Signing())
	if err != nil {
		return err
	}
	_, err = w.Authority.Admit(req, w.Clock.Now(), directory.Leave{Unsigned: true, Areas: areas})
	return err
}

// Learn gives every site the newest directory.
func (w *World) Learn() error {
	for _, s := range w.Sites {
		if err := w.LearnOne(s); err != nil {
			return err
		}
	}
	return nil
}

// LearnOne gives one site the newest directory and lets it re-evaluate rule T.
func (w *World) LearnOne(s *Site) error {
	old := s.dir.Swap(w.Authority.Directory())
	return s.Exchange.DirectoryChanged(context.Background(), old, s.dir.Load())
}

// Site returns the site of a node.
func (w *World) Site(n cases.NodeID) *Site {
	i := slices.IndexFunc(w.Sites, func(s *Site) bool { return s.Node == n })
	if i < 0 {
		return nil
	}
	return w.Sites[i]
}

// Clerk returns a principal of a role for offices.
func Clerk(role access.Role, offices ...area.Key) access.Principal {
	return access.Principal{ID: string(role) + "-test", Role: role, Offices: offices}
}

// Put hands parcels to the network.
func (w *World) Put(ps ...exchange.Parcel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Net = append(w.Net, ps...)
}

// Pump packs what a site owes to a peer and puts it on the network.
func (w *World) Pump(ctx context.Context, s *Site, to cases.NodeID) (int, error) {
	ps, _, err := s.Exchange.Pack(ctx, to)
	w.Put(ps...)
	return len(ps), err
}

// Deliver absorbs one parcel; its answers go onto the network.
func (w *World) Deliver(ctx context.Context, p exchange.Parcel) error {
	s := w.Site(p.To)
	if s == nil {
		return errors.New("no such site")
	}
	got, err := s.Exchange.Absorb(ctx, p.Bytes)
	w.Put(got.Answers...)
	return err
}

// Settle pumps and delivers until nothing is on its way and nothing is owed, at
// most rounds times.
func (w *World) Settle(ctx context.Context, rounds int) error {
	for range rounds {
		sent := 0
		for _, s := range w.Sites {
			for _, t := range w.Sites {
				if s != t {
					n, err := w.Pump(ctx, s, t.Node)
					if err != nil {
						return err
					}
					sent += n
				}
			}
		}
		if err := w.DeliverAll(ctx); err != nil {
			return err
		}
		if sent == 0 {
			return nil
		}
	}
	return nil
}

// DeliverAll delivers everything on the network, answers included.
func (w *World) DeliverAll(ctx context.Context) error {
	for {
		w.mu.Lock()
		ps := w.Net
		w.Net = nil
		w.mu.Unlock()
		if len(ps) == 0 {
			return nil
		}
		for _, p := range ps {
			if err := w.Deliver(ctx, p); err != nil {
				return err
			}
		}
	}
}

// State runs statement rounds between all sites until they agree, at most
// rounds times.
func (w *World) State(ctx context.Context, rounds int) error {
	for range rounds {
		for _, s := range w.Sites {
			for _, t := range w.Sites {
				if s != t {
					s.Exchange.Want(t.Node)
				}
			}
			ps, err := s.Exchange.Statements(ctx)
			if err != nil {
				return err
			}
			w.Put(ps...)
		}
		if err := w.DeliverAll(ctx); err != nil {
			return err
		}
		if err := w.Settle(ctx, 20); err != nil {
			return err
		}
	}
	return nil
}

// TempDir makes a folder for keys that only its owner can read.
func TempDir() (string, error) { return os.MkdirTemp("", "yipan-keys-") }
