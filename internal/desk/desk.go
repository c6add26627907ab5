package desk

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/access"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/keys"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// MaxBatch is the most that one batch holds.
const MaxBatch = usher.MaxBatch

// Config of a desk.
type Config struct {
	DB         *store.DB
	Book       *book.Book
	People     *people.People
	Keys       *keys.Files
	Policies   *policy.Set
	Journal    *keys.Journal
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Version    string
	Name       string

	Wake            func()                                                   // something is owed
	Rounds          func(context.Context, cases.NodeID) (int, error)         // begin statement rounds; 0: with all peers
	SendAgain       func(context.Context, cases.NodeID, bool) (int64, error) // 0: to all peers; true: only count
	RoundTrip       func(cases.NodeID) time.Duration
	BrokerConnected func() bool
}

// Desk is where people's verbs are decided and recorded. It is safe for
// concurrent use.
type Desk struct {
	*usher.Usher
	Config
	watch   *watchers
	combine *combiner
	tokens  tokens
	served  atomic.Pointer[served]
}

// New returns the desk of a node.
func New(c Config) *Desk {
	d := &Desk{Usher: usher.New(c.DB, c.Keys, c.Log), Config: c, watch: newWatchers()}
	d.combine = newCombiner(d.openTogether)
	return d
}

// Authenticate finds whose bearer token secret is.
func (d *Desk) Authenticate(ctx context.Context, secret string) (access.Principal, error) {
	hash, err := seal.HashToken(secret)
	if err != nil {
		return access.Principal{}, fault.Denied("UNAUTHENTICATED", "token is malformed").Zh("令牌格式不正确，请重新登录")
	}
	now := d.Now()
	if p, ok := d.tokens.get(hash, now); ok {
		return p, nil
	}
	p, err := d.DB.PrincipalOf(ctx, hash)
	if err == nil {
		d.tokens.put(hash, p, now)
	}
	return p, err
}

// tokens remembers whose a token is for a moment, so that a burst of calls asks
// the database once. What is revoked stops working within tokenMemory.
type tokens struct {
	mu sync.Mutex
	m  map[[32]byte]remembered
}

type remembered struct {
	p     access.Principal
	until time.Time
}

const (
	tokenMemory  = 2 * time.Second
	tokensAtMost = 4096
)

func (t *tokens) get(hash [32]byte, now time.Time) (access.Principal, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.m[hash]
	return r.p, ok && now.Before(r.until)
}

func (t *tokens) put(hash [32]byte, p access.Principal, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil || len(t.m) >= tokensAtMost {
		t.m = map[[32]byte]remembered{}
	}
	t.m[hash] = remembered{p, now.Add(tokenMemory)}
}

func (d *Desk) wake() {
	if d.Wake != nil {
		d.Wake()
	}
}
