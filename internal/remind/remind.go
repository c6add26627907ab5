// Package remind owns reminders before deadlines: digests of what waits for an
// office, and the rota of who is on duty. A digest holds counts of one office's
// own work and days; it never names a person, a case or an account, never
// compares offices, and is the same whatever a person decided. It is computed as
// the to-do list is, without the persons who are restricted to keepers.
package remind

import (
	"context"
	"log/slog"
	"time"

	"yipan/internal/desk"
	"yipan/internal/keys"
	"yipan/internal/policy"
	"yipan/internal/store"
	"yipan/internal/todo"
	"yipan/internal/usher"
)

// Message is a digest on its way to an office.
type Message struct {
	Webhook, Email string // exactly one is set
	Key            string // of the office's day: the same at every try
	Subject        string // counts and the office's name
	Text           string // for e-mail
	JSON           []byte // for a webhook
}

// Config of the reminders.
type Config struct {
	DB       *store.DB
	Keys     *keys.Files
	Desk     *desk.Desk
	Todo     *todo.Todo
	Policies *policy.Set
	Now      func() time.Time
	Log      *slog.Logger

	// Deliver hands a message to the post; nil: this node sends none.
	Deliver func(context.Context, Message) error
	// Check judges a message's address before it is stored; nil: all are good.
	Check func(Message) error
}

// Remind reminds. It is safe for concurrent use.
type Remind struct {
	*usher.Usher
	Config
}

// New returns the reminders of a node.
func New(c Config) *Remind { return &Remind{Usher: usher.New(c.DB, c.Keys, c.Log), Config: c} }
