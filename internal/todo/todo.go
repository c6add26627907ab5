// Package todo owns the one list of everything that waits for an office (待办):
// computed from what is stored, never a table of its own, so that it cannot
// disagree with it. It orders by time left, counts by kind, and does bulk
// actions only as they were previewed. Nothing in it selects by what a person
// decided.
package todo

import (
	"log/slog"
	"time"

	"yipan/internal/book"
	"yipan/internal/desk"
	"yipan/internal/keys"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/services"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Config of the list.
type Config struct {
	DB       *store.DB
	Book     *book.Book
	Keys     *keys.Files
	People   *people.People
	Desk     *desk.Desk
	Services *services.Services
	Policies *policy.Set
	Now      func() time.Time
	Log      *slog.Logger
}

// Todo is the list of a node's offices. It is safe for concurrent use.
type Todo struct {
	*usher.Usher
	Config
}

// New returns the list.
func New(c Config) *Todo { return &Todo{Usher: usher.New(c.DB, c.Keys, c.Log), Config: c} }
