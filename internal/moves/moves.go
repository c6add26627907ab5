// Package moves owns movements: leave, arrive, move on, return, transfer of the
// registration, change of name or number, death. Where a person is, is folded
// from the movements alone, so that nobody has two open residences. A movement
// opens the right notice by itself, in its own transaction, or stays in the
// office's book and says why; the person's open cases follow it. Movements are
// appended and taken back, never changed.
package moves

import (
	"log/slog"
	"time"

	"yipan/internal/book"
	"yipan/internal/desk"
	"yipan/internal/keys"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Config of the movements.
type Config struct {
	DB       *store.DB
	Book     *book.Book
	Keys     *keys.Files
	People   *people.People
	Desk     *desk.Desk
	Policies *policy.Set
	Now      func() time.Time
	Log      *slog.Logger
}

// Moves is where movements are registered. It is safe for concurrent use.
type Moves struct {
	*usher.Usher
	Config
}

// New returns the movements of a node.
func New(c Config) *Moves { return &Moves{Usher: usher.New(c.DB, c.Keys, c.Log), Config: c} }
