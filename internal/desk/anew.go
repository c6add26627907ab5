package desk

import (
	"context"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/store"
)

// openAnew opens a case of its own towards another area with the fields of an
// earlier one; consents are checked anew.
func (d *Desk) openAnew(ctx context.Context, tx *store.Tx, ch *change, f cases.Fields, to area.Key, pol *policy.Policy) error {
	s := &ch.c.State
	for _, b := range []struct {
		basis   *cases.Basis
		purpose string
	}{{&f.Basis, ledger.PurposeNotice}, {&f.Confirm, ledger.PurposeConfirm}} {
		if b.basis.Kind != cases.BasisConsent {
			continue
		}
		live, err := d.Book.Live(ctx, tx, b.basis.Consent, b.purpose, to, d.Now())
		switch {
		case err != nil:
			return err
		case !live && b.purpose == ledger.PurposeNotice:
			return fault.Invalid("CONSENT_SCOPE", "the notice's consent does not reach %s", to).Zh("原同意书不适用于新的目的地，请先取得本人同意").On("destination")
		case !live:
			*b.basis = cases.Basis{}
		}
	}
	limit, err := pol.LimitFor(kindName(s.Kind, s.Urgent), ch.c.X, to)
	if err != nil {
		return err
	}
	c, leg := d.Book.New(cases.NewCaseID(d.Book.Self, ch.side.Office, "reroute/"+ch.requestID), ch.c.X, to)
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

// Pair pairs a notice with a person of the office's ledger: the one named, or
// the one with the notice's own document, who is registered where new.
func (d *Desk) Pair(ctx context.Context, p access.Principal, r PairRequest) (PairResult, error) {
	var out PairResult
	v := verb{method: "pair", access: access.CasePair, side: cases.SideReceiver, reads: true}
	v.make = func(ctx context.Context, tx *store.Tx, ch *change, bodies map[cases.ItemID]cases.Body) error {
		f := book.Fields(ch.c, bodies)
		if f == nil {
			return fault.Conflict("ERASED", "fields of case %s are erased", ch.c.ID).Zh("该案件的人员信息已删除，无法配对")
		}
		out.Registered = false
		if !r.Person.IsZero() {
			key, err := tx.PersonKey(ctx, r.Person)
			if fault.Is(err, fault.KindNotFound) || err == nil && key == nil {
				return fault.NotFound("PERSON_NOT_FOUND", "no such person at this office").Zh("本单位没有该人员").On("person_id")
			}
			ch.person = r.Person
			return err
		}
		doc, _, err := ident.Parse(ident.Kind(f.DocumentKind), f.DocumentNumber)
		if err != nil {
			return onField(err, "person_id")
		}
		ids, added, err := d.persons(ctx, tx, []personRef{{office: ch.side.Office, doc: doc, fields: f}})
		if err != nil {
			return err
		}
		ch.person, out.Registered = ids[0], added[0]
		return nil
	}
	ch := &change{requestID: r.RequestID, ref: r.Ref, hash: hashOf(r)}
	view, _, err := d.one(ctx, p, v, ch)
	out.Case, out.Person = view, ch.person
	if ch.repeated {
		out.Person = ch.side.Person
	}
	return out, err
}

// RecordOffer records the offer of a round (三查) to one person. Nothing leaves
// by it: feedback leaves for all at the round's end.
func (d *Desk) RecordOffer(ctx context.Context, p access.Principal, r OfferRequest) (CaseView, error) {
	if err := d.checkOffer(r); err != nil {
		return CaseView{}, err
	}
	v := verb{method: "offer", access: access.CaseOffer, fold: fold.VerbFeedback}
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
		return d.putOffer(ctx, tx, p, ch, r)
	}
	view, _, err := d.one(ctx, p, v, &change{requestID: r.RequestID, ref: r.Ref, hash: hashOf(r)})
	return view, err
}

func (d *Desk) putOffer(ctx context.Context, tx *store.Tx, p access.Principal, ch *change, r OfferRequest) error {
	if !r.Consent.IsZero() {
		held, err := d.Book.Consents(ctx, tx, []cases.ConsentID{r.Consent})
		if err != nil {
			return err
		}
		origin := ch.c.X
		if ch.side.Side == cases.SideOpener {
			origin = ch.c.Y
		}
		c, err := consent(held, r.Consent, ledger.PurposeFeedback, origin, d.Now(), "consent_id")
		if err != nil {
			return err
		}
		if c.Person != ch.side.Person {
			return fault.Invalid("CONSENT_PERSON", "consent %s is of another person", c.ID).Zh("该同意书不属于此人").On("consent_id")
		}
	}
	key, err := d.Book.PersonKey(ctx, tx, ch.side.Person)
	if err != nil {
		return err
	}
	sealed, err := book.SealOffer(key, ch.c.ID, r.OfferRound, &ledger.Offer{
		Result: r.Result, Date: r.Date, Channel: r.Channel, Findings: r.Findings, Consent: r.Consent, By: p.ID,
	})
	if err != nil {
		return err
	}
	ok, err := tx.PutOffer(ctx, store.Offer{Case: ch.c.ID, Office: ch.side.Office, Round: r.OfferRound, Person: ch.side.Person, Sealed: sealed})
	if err == nil && !ok {
		return fault.Conflict("ROUND_OVER", "offer round %d is over", r.OfferRound).Zh("该轮次已结束，结果已反馈").On("offer_round")
	}
	return err
}
