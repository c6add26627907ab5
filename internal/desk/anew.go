package desk

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/store"
)

// openAnew opens a case of its own towards another area with the fields of an
// earlier one; consents are checked anew.
func (d *Desk) openAnew(ctx context.Context, tx *store.Tx, ch *change, f cases.Fields, to area.Key, pol *policy.Policy) error {
	s := &ch.c.State
	if err := d.carry(ctx, tx, ch, &f, to); err != nil {
		return err
	}
	limit, err := pol.LimitFor(kindName(s.Kind, s.Urgent), ch.c.X, to)
	if err != nil {
		return err
	}
	c, leg := d.Book.New(rerouteID(d.Book.Self, ch), ch.c.X, to)
	if n, err := tx.InsertLegs(ctx, []store.Leg{leg}); err != nil {
		return err
	} else if n == 0 {
		return fault.Conflict(store.ReasonDuplicate, "case %s stands", c.ID).Zh("请求正在处理，请稍后重试")
	}
	c.Person = ch.side.Person
	h := cases.Head{
		Kind: cases.Open, Side: cases.SideOpener, Round: 1, CaseKind: s.Kind, Policy: pol.Digest, Urgent: s.Urgent,
		Limit: cases.Limit{Days: uint32(limit.Days), Working: limit.Working, Calendar: uint32(pol.Calendar)},
	}
	ch.entries = []book.Entry{{Case: c, Head: h, Body: cases.Body{Fields: &f}}}
	ch.fresh = c
	return nil
}

// rerouteID is the id of the case that a reroute opens.
func rerouteID(self cases.NodeID, ch *change) cases.CaseID {
	return cases.NewCaseID(self, ch.side.Office, "reroute/"+ch.requestID)
}
