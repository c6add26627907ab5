// Package remind owns reminders before deadlines: digests of what waits for an
// office, counts only, and the rota of who is on duty. It never ranks offices
// and never names a person or a case.
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
}

// Remind reminds. It is safe for concurrent use.
type Remind struct {
	*usher.Usher
	Config
}

// New returns the reminders of a node.
func New(c Config) *Remind { return &Remind{Usher: usher.New(c.DB, c.Keys, c.Log), Config: c} }
