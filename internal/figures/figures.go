// Package figures owns what an office's work adds up to: the rates of DOMAIN
// section 4 as they are now, what lies behind a figure, on whose side time was
// spent, signs of hollow work, and the recount of everything from the items.
// What each rate counts is decided in rates alone; here it is added up.
//
// Invariants: every figure equals a full recount at the same instant; an office
// sees its own cases, whoever stands above it sees counts; nothing here selects
// or breaks down by what a person decided (SECURITY D3, D4).
package figures

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

// Config of the figures.
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

// Figures computes. It is safe for concurrent use.
type Figures struct {
	*usher.Usher
	Config

	kept kept
}

// New returns the figures of a node.
func New(c Config) *Figures { return &Figures{Usher: usher.New(c.DB, c.Keys, c.Log), Config: c} }
