package desk

import (
	"context"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/store"
	"yipan/internal/usher"
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

// Pair pairs a notice with a person of the office's ledger: the one named, or
// the one with the notice's own document, who is registered where new.
func (d *Desk) Pair(ctx context.Context, p access.Principal, r PairRequest) (PairResult, error) {
	var out PairResult
	v := verb{method: "pair", access: access.CasePair, side: cases.SideReceiver, reads: true}
	v.make = func(ctx context.Context, tx *store.Tx, ch *change, bodies map[cases.ItemID]cases.Body) error {
		if s := ch.c.State.Status; s == cases.StatusRerouted || s == cases.StatusWithdrawn {
			return fault.Conflict("STATE_FORBIDS", "case %s is %s: it cannot be paired", ch.c.ID, s).Zh("案件已改派或撤回，不能再配对")
		}
		f := book.Fields(ch.c, bodies)
		if f == nil {
			return fault.Conflict("ERASED", "fields of case %s are erased", ch.c.ID).Zh("该案件的人员信息已删除，无法配对")
		}
		out.Registered = false
		if !r.Person.IsZero() {
			known, err := book.Knows(ctx, tx, r.Person)
			if err == nil && !known {
				return fault.NotFound("PERSON_NOT_FOUND", "no such person at this office").Zh("本单位没有该人员").On("person_id")
			}
			ch.person = r.Person
			return err
		}
		doc, _, err := ident.Parse(ident.Kind(f.DocumentKind), f.DocumentNumber)
		if err != nil {
			return usher.OnField(err, "person_id")
		}
		ids, added, err := d.People.FindOrAdd(ctx, tx, []people.Ref{{Office: ch.side.Office, Doc: doc, Fields: f}})
		if err != nil {
			return err
		}
		ch.person, out.Registered = ids[0], added[0]
		return nil
	}
	ch := &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r)}
	view, _, err := d.one(ctx, p, v, ch)
	out.Case, out.Person = view, ch.person
	if ch.repeated {
		out.Person = ch.side.Person
	}
	return out, err
}
