// Package usher owns what every verb of people does before and after its own
// work: it authorises, records a denial, limits the transaction to the caller's
// offices and account, and makes a repeated request harmless. The rooms of the
// desk's floor embed it. It decides nothing about a case or a person.
package usher

import (
	"context"
	"encoding/json"
	"log/slog"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/fault"
	"yipan/internal/keys"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// MaxBatch is the most that one batch holds.
const MaxBatch = 1000

// Usher admits callers. It is safe for concurrent use.
type Usher struct {
	db   *store.DB
	keys *keys.Files
	log  *slog.Logger
}

// New returns the usher of a node.
func New(db *store.DB, k *keys.Files, log *slog.Logger) *Usher {
	return &Usher{db: db, keys: k, log: log}
}

// Allow checks that p may do v at office (0: at all), and records a denial in a
// transaction of its own.
func (u *Usher) Allow(ctx context.Context, p access.Principal, v access.Verb, office area.Key) error {
	err := access.Check(p, v, office)
	if err != nil {
		u.LogDenied(ctx, p, v, office)
	}
	return err
}

// LogDenied records a denial; one about no office stands under the caller's
// first, where the office's auditor finds it.
func (u *Usher) LogDenied(ctx context.Context, p access.Principal, v access.Verb, office area.Key) {
	if office == 0 {
		office = p.FirstOffice()
	}
	if err := u.db.LogDenied(ctx, store.Access{Principal: p, Office: office, Verb: v}); err != nil {
		u.log.Error("denial not recorded", "account", p.ID, "error", err)
	}
}

// Office is the office that p means by asked (0: the only one), held against
// v; what is foreign is logged as a denial.
func (u *Usher) Office(ctx context.Context, p access.Principal, v access.Verb, asked area.Key, field string) (area.Key, error) {
	o, err := p.Office(asked)
	if err == nil {
		return o, u.Allow(ctx, p, v, o)
	}
	if fault.Is(err, fault.KindDenied) {
		u.LogDenied(ctx, p, v, asked)
	}
	return 0, OnField(err, field)
}

// In runs fn in a transaction that sees what p may see, again where a
// concurrent request wrote the same row first; so fn must have no effects of
// its own.
func (u *Usher) In(ctx context.Context, p access.Principal, fn func(*store.Tx) error) error {
	err := u.db.InDeskAs(ctx, p.ID, p.Offices, fn)
	for range 2 {
		if !isDuplicate(err) {
			break
		}
		err = u.db.InDeskAs(ctx, p.ID, p.Offices, fn)
	}
	return err
}

// isDuplicate reports that somebody wrote the same row meanwhile; running the
// transaction again finds it.
func isDuplicate(err error) bool {
	f, ok := fault.As(err)
	return ok && f.Reason == store.ReasonDuplicate
}

// HashOf is a digest of a request's content, so that one request id stands for
// one request. It is keyed: whoever has only the database must not find out by
// trying what was asked, a person's answer or number among it. The key is the
// oldest one, so that a request repeated across a rotation is still the same.
func (u *Usher) HashOf(v any) [32]byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // requests are plain structs
	}
	k := u.keys.OldestIndex()
	lo, hi := seal.Index(k, 0, "request/1", string(b)), seal.Index(k, 0, "request/2", string(b))
	return [32]byte(append(lo[:], hi[:]...))
}

// Repeated reports whether the request was done before; another request under
// its id is a Conflict.
func (u *Usher) Repeated(ctx context.Context, tx *store.Tx, r store.Request) (bool, error) {
	done, err := tx.RequestsOf(ctx, r.Account, []string{r.RequestID})
	if err != nil {
		return false, err
	}
	old, ok := done[r.RequestID]
	if ok && (old.Method != r.Method || old.Hash != r.Hash) {
		return false, Reused()
	}
	return ok, nil
}

// Reused is the error of a request id that stands for another request.
func Reused() error {
	return fault.Conflict("REQUEST_ID_REUSED", "request id stands for another request").Zh("该请求编号已用于另一项操作，请换一个新的请求编号").On("request_id")
}

// CheckRequestID wants 8 to 64 characters.
func CheckRequestID(id string) error {
	if len(id) < 8 || len(id) > 64 {
		return fault.Invalid("REQUEST_ID", "request id has %d characters, 8 to 64 are needed", len(id)).
			Zh("请求编号应为 8 到 64 个字符").On("request_id")
	}
	return nil
}

// TooMany refuses a batch above MaxBatch.
func TooMany(n int) error {
	if n <= MaxBatch {
		return nil
	}
	return fault.Invalid("BATCH_TOO_LARGE", "batch of %d, at most %d", n, MaxBatch).Zh("一次最多 %d 条，本次有 %d 条，请分批提交", MaxBatch, n)
}

// OnField says which field of the request an error is about.
func OnField(err error, field string) error {
	if f, ok := fault.As(err); ok {
		c := *f
		return c.On(field)
	}
	return err
}
