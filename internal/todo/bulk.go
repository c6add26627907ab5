package todo

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Action is what is done to many entries at once. Numbers are those of the API.
type Action uint8

// The actions.
const (
	Acknowledge  Action = 1
	PairCertain  Action = 2 // with the one person who has the notice's document and name
	DistributeTo Action = 3 // the township that the notice's own address names
)

// kinds are those of the entries that an action fits.
func (a Action) kinds() []Kind {
	switch a {
	case Acknowledge:
		return []Kind{ReadAnswer, ReadFeedback, Correction, Reroute}
	case PairCertain:
		return []Kind{Pair}
	case DistributeTo:
		return []Kind{Distribute}
	}
	return nil
}

// needs is what p must be allowed besides access.TodoAct.
func (a Action) needs() access.Verb {
	switch a {
	case PairCertain:
		return access.CasePair
	case DistributeTo:
		return access.CaseDistribute
	}
	return access.TodoAct
}

// Undoable reports whether an action can be undone.
func (a Action) Undoable() bool { return a == Acknowledge || a == PairCertain }

const (
	planLasts = 15 * time.Minute // between preview and action
	undoLasts = 24 * time.Hour   // between action and undoing
	bulkKept  = 3 * 24 * time.Hour
)

// PreviewRequest asks what an action would do.
type PreviewRequest struct {
	Office  area.Key // 0: the caller's only one
	Action  Action
	Cases   []cases.CaseID // at most usher.MaxBatch; empty: the first that it fits
	Purpose string
}

// Planned is what would happen to one case.
type Planned struct {
	Case    cases.CaseID
	Etag    string
	Subject string // masked
	Change  string // Chinese
	LeftOut string // why, Chinese; empty: it is not
}

// Plan is what an action would do; Token names it for planLasts.
type Plan struct {
	Changes []Planned
	Token   string
	Action  Action
}

// Done is what happened to one case.
type Done struct {
	Case    cases.CaseID
	Etag    string
	Reason  string // code, where it was refused
	Message string // Chinese
}

// A step is one case of a plan as it is kept.
type step struct {
	Case     cases.CaseID
	Etag     string
	Before   desk.Seen      `json:",omitzero"` // Acknowledge
	Person   cases.PersonID `json:",omitzero"` // PairCertain
	Township area.Key       `json:",omitempty"`
	Done     *Done          `json:",omitempty"`
	Undone   *Done          `json:",omitempty"`
}

// A record is a bulk action as it is kept: the plan, who asked for it to be done
// and undone, and what happened.
type record struct {
	Steps     []step
	AppliedBy string    // request id; empty: not yet
	AppliedAt time.Time // zero: not to its end
	UndoneBy  string
	Undone    bool // to its end
}

func bulkAAD(id [16]byte) seal.AAD { return seal.AAD{Table: "bulk", Column: "sealed", Row: id[:]} }

func (t *Todo) seal(id [16]byte, r *record) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return t.Config.Keys.Data().Encrypt(bulkAAD(id), b), nil
}

func (t *Todo) open(b *store.Bulk) (r record, err error) {
	plain, err := t.Config.Keys.Data().Decrypt(bulkAAD(b.ID), b.Sealed)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(plain, &r)
}

// partID is the request id of a bulk action's change of one case, so that an
// action that broke off goes on where it was.
func partID(what string, bulk [16]byte, part []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s/%x/", what, bulk)
	h.Write(part)
	return what + "-" + hex.EncodeToString(h.Sum(nil)[:16])
}

// Preview says what an action would do to each case, and keeps it as a plan.
func (t *Todo) Preview(ctx context.Context, p access.Principal, r PreviewRequest) (Plan, error) {
	if r.Action.kinds() == nil {
		return Plan{}, fault.Invalid("BULK_ACTION", "unknown action %d", r.Action).Zh("请选择批量操作：签阅、配对或分发").On("action")
	}
	if err := usher.TooMany(len(r.Cases)); err != nil {
		return Plan{}, usher.OnField(err, "case_ids")
	}
	office, err := t.Office(ctx, p, access.TodoAct, r.Office, "office")
	if err != nil {
		return Plan{}, err
	}
	if err := t.Allow(ctx, p, r.Action.needs(), office); err != nil {
		return Plan{}, err
	}
	var plan Plan
	err = t.In(ctx, p, func(tx *store.Tx) error {
		plan = Plan{Action: r.Action}
		w, err := t.work(ctx, tx, p, office, r)
		if err != nil {
			return err
		}
		if err := t.decide(ctx, tx, w); err != nil {
			return err
		}
		b := store.Bulk{Office: office, Account: p.ID, Action: int16(r.Action), At: t.Now()}
		_, _ = rand.Read(b.ID[:])
		if b.Sealed, err = t.seal(b.ID, &record{Steps: w.steps}); err != nil {
			return err
		}
		plan.Changes, plan.Token = w.planned, hex.EncodeToString(b.ID[:])
		if err := tx.AddBulk(ctx, b, b.At.Add(-bulkKept)); err != nil {
			return err
		}
		return tx.LogAccess(ctx, store.Access{Principal: p, Office: office, Verb: access.TodoAct, Purpose: r.Purpose, Subjects: w.who})
	})
	return plan, err
}
