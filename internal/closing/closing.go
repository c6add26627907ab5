// Package closing owns what happens to a month when it is over: it is frozen at
// its instant, signed, revised in numbered steps when something came late,
// compared with the other end of its cases, and reported to the area above.
// What leaves the county is suppressed first (rates.Revise).
//
// Invariants: a frozen revision never changes, and is reproduced byte for byte;
// a later one says what differs; no snapshot holds a person.
package closing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/figures"
	"yipan/internal/keys"
	"yipan/internal/policy"
	"yipan/internal/services"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Outgoing is a REPORT to be sent from an area of this node to another area.
type Outgoing struct {
	From, To area.Key
	Form     cases.ReportForm
	Period   string // one leg holds the reports of one period
	Content  []byte // at most 60 KiB
}

// Config of the closing.
type Config struct {
	DB       *store.DB
	Book     *book.Book
	Keys     *keys.Files
	Desk     *desk.Desk
	Services *services.Services
	Figures  *figures.Figures
	Policies *policy.Set
	Now      func() time.Time
	Log      *slog.Logger

	// Send writes reports as items that the exchange carries.
	Send func(context.Context, []Outgoing) error
	// Ask begins a statement round with a peer.
	Ask func(context.Context, cases.NodeID) error

	// LiveEvery is how often at most a township reports an open month to the node
	// above it; 0: 15 minutes.
	LiveEvery time.Duration
	// ReviseEvery is how often at most a frozen month is counted anew after
	// something changed; 0: 10 minutes. Each is once a day.
	ReviseEvery time.Duration
}

// Closing closes months. It is safe for concurrent use.
type Closing struct {
	*usher.Usher
	Config

	mu    sync.Mutex
	asked map[cases.NodeID]time.Time // for a statement round
	told  map[area.Key]bool          // what was frozen is also reported upwards
}

// New returns the closing of a node.
func New(c Config) *Closing {
	if c.LiveEvery <= 0 {
		c.LiveEvery = 15 * time.Minute
	}
	if c.ReviseEvery <= 0 {
		c.ReviseEvery = 10 * time.Minute
	}
	return &Closing{
		Usher: usher.New(c.DB, c.Keys, c.Log), Config: c, asked: map[cases.NodeID]time.Time{}, told: map[area.Key]bool{},
	}
}
