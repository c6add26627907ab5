package desk

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/keys"
	"yipan/internal/policy"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// MaxBatch is the most that one batch holds.
const MaxBatch = 1000

// Config of a desk.
type Config struct {
	DB         *store.DB
	Book       *book.Book
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
	Config
	watch   *watchers
	combine *combiner
	tokens  tokens
	served  atomic.Pointer[served]
}

// New returns the desk of a node.
func New(c Config) *Desk {
	d := &Desk{Config: c, watch: newWatchers()}
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

// allow checks that p may do v at office at all, and records a denial in a
// transaction of its own.
func (d *Desk) allow(ctx context.Context, p access.Principal, v access.Verb, office area.Key) error {
	err := access.Check(p, v, office)
	if err != nil {
		d.logDenied(ctx, p, v, office)
	}
	return err
}

func (d *Desk) logDenied(ctx context.Context, p access.Principal, v access.Verb, office area.Key) {
	if err := d.DB.LogDenied(ctx, store.Access{Principal: p, Office: office, Verb: v}); err != nil {
		d.Log.Error("denial not recorded", "account", p.ID, "error", err)
	}
}

func checkRequestID(id string) error {
	if len(id) < 8 || len(id) > 64 {
		return fault.Invalid("REQUEST_ID", "request id has %d characters, 8 to 64 are needed", len(id)).
			Zh("请求编号应为 8 到 64 个字符").On("request_id")
	}
	return nil
}

func tooMany(n int) error {
	if n <= MaxBatch {
		return nil
	}
	return fault.Invalid("BATCH_TOO_LARGE", "batch of %d, at most %d", n, MaxBatch).Zh("一次最多 %d 条，本次有 %d 条，请分批提交", MaxBatch, n)
}

// office is the office that p means by asked, held against v; what is foreign
// is logged as a denial.
func (d *Desk) office(ctx context.Context, p access.Principal, v access.Verb, asked area.Key, field string) (area.Key, error) {
	o, err := p.Office(asked)
	if err == nil {
		return o, d.allow(ctx, p, v, o)
	}
	if fault.Is(err, fault.KindDenied) {
		d.logDenied(ctx, p, v, asked)
	}
	return 0, onField(err, field)
}

// hashOf is a digest of a request's content, so that one request id stands for
// one request. It is keyed: whoever has only the database must not find out by
// trying what was asked, a person's answer or number among it.
func (d *Desk) hashOf(v any) [32]byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // requests are plain structs
	}
	k := d.Keys.Index()
	lo, hi := seal.Index(k, 0, "request/1", string(b)), seal.Index(k, 0, "request/2", string(b))
	return [32]byte(append(lo[:], hi[:]...))
}

func (d *Desk) wake() {
	if d.Wake != nil {
		d.Wake()
	}
}

// isDuplicate reports that somebody wrote the same row meanwhile; running the
// transaction again finds it.
func isDuplicate(err error) bool {
	f, ok := fault.As(err)
	return ok && f.Reason == store.ReasonDuplicate
}

// inDesk runs fn in a transaction of the caller's offices, once more where a
// concurrent request got there first.
func (d *Desk) inDesk(ctx context.Context, offices []area.Key, fn func(*store.Tx) error) error {
	err := d.DB.InDesk(ctx, offices, fn)
	for range 2 {
		if !isDuplicate(err) {
			break
		}
		err = d.DB.InDesk(ctx, offices, fn)
	}
	return err
}
