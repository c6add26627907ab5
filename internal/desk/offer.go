package desk

import (
	"context"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/store"
)

const standingRefusal = "STANDING_REFUSAL"

// StandingRefusal is the error of a service to a person who refused it once and
// for all. Whoever gets it learns that of the person: it is logged, and the request
// is kept as one that was done, so that nothing in the database tells
// the two apart (SECURITY D4, D13).
func StandingRefusal() error {
	return fault.Conflict(standingRefusal, "the person refused this service once and for all").
		Zh("本人已表示不再接受此项服务。请不要再询问；本人主动改变意愿的，先取消该意愿再登记").On("result")
}

// IsStandingRefusal reports whether err is StandingRefusal.
func IsStandingRefusal(err error) bool {
	f, ok := fault.As(err)
	return ok && f.Reason == standingRefusal
}

// Offer is an offer to the person of a case, as far as it concerns the case.
type Offer struct {
	RequestID string
	Ref       CaseRef
	// Hash is the digest of the request, Refused the one under which it is kept where
	// a standing refusal answers it.
	Hash, Refused [32]byte
	Wrong         error // what is wrong with the request whatever the case is
}

// RecordOffer lets record write, inside the transaction, what was offered to the
// person of a case whose residence was disclosed; origin is the area that feedback
// on the case would tell. Nothing leaves by it.
func (d *Desk) RecordOffer(ctx context.Context, p access.Principal, o Offer, record func(tx *store.Tx, person cases.PersonID, origin area.Key) error) (CaseView, error) {
	v := verb{method: "offer", access: access.CaseOffer, fold: fold.VerbFeedback, residence: true, wrong: o.Wrong}
	v.make = func(ctx context.Context, tx *store.Tx, ch *change, _ map[cases.ItemID]cases.Body) error {
		ok, err := d.Book.Disclosed(ctx, tx, ch.c)
		switch {
		case err != nil:
			return err
		case !ok:
			return fault.Conflict("NOT_DISCLOSED", "residence on case %s was not disclosed", ch.c.ID).Zh("该案件未确认在住，不记录三查")
		case ch.side.Person.IsZero():
			return fault.Conflict("NOT_PAIRED", "case %s is not paired", ch.c.ID).Zh("请先配对人员，再记录服务")
		}
		return record(tx, ch.side.Person, originOf(ch))
	}
	view, _, err := d.one(ctx, p, v, &change{requestID: o.RequestID, ref: o.Ref, hash: o.Hash, refused: o.Refused})
	return view, err
}

// originOf is the area that the residence's side, which is ch's, would tell.
func originOf(ch *change) area.Key {
	if ch.side.Side == cases.SideOpener {
		return ch.c.Y
	}
	return ch.c.X
}
