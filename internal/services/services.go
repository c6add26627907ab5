// Package services owns what is offered to people at their residence: the three
// checks (三查) by offer round, and contraceptives, follow-up, entitlements and
// visits by month. What a person decided is sealed, in one size, and selects
// nothing; the open column says only that the period is closed (SECURITY D4).
// Sums live in one sealed row per office, kind and period. Feedback of a round
// leaves by the exchange, never from here.
package services

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

// Config of the services.
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

// Services is where services are recorded. It is safe for concurrent use.
type Services struct {
	*usher.Usher
	Config
}

// New returns the services of a node.
func New(c Config) *Services { return &Services{Usher: usher.New(c.DB, c.Keys, c.Log), Config: c} }
