package desk

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/store"
)

func (d *Desk) checkOffer(r OfferRequest) error {
	round, err := d.Policies.Round(policy.RoundNumber(r.OfferRound))
	if err != nil {
		return fault.Invalid("OFFER_ROUND", "the policy knows no offer round %d", r.OfferRound).Zh("没有这个三查轮次").On("offer_round")
	}
	now := d.Now()
	switch {
	case !round.Open(now):
		return fault.Conflict("ROUND_OVER", "offer round %d is not open now", r.OfferRound).Zh("该轮次不在办理期内").On("offer_round")
	case !slices.Contains(ledger.OfferResults(), r.Result):
		return fault.Invalid("OFFER_RESULT", "unknown result of an offer").Zh("结果只能是：done（已服务）、declined（谢绝）、standing_refusal（不再询问）、not_reached（未联系上）、not_applicable（不适用）").On("result")
	}
	rec := r.record()
	return people.CheckService(ledger.ThreeChecks, &rec, civil.In(now))
}

func (r *OfferRequest) record() ledger.ServiceRecord {
	return ledger.ServiceRecord{Result: r.Result, Date: r.Date, Channel: r.Channel, Findings: r.Findings, Consent: r.Consent}
}

// RecordOffer records the offer of a round (三查) to the person of a case.
// Nothing leaves by it: feedback leaves for all at the round's end.
func (d *Desk) RecordOffer(ctx context.Context, p access.Principal, r OfferRequest) (CaseView, error) {
	v := verb{method: "offer", access: access.CaseOffer, fold: fold.VerbFeedback, residence: true, wrong: d.checkOffer(r)}
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
		e := people.ServiceEntry{Person: ch.side.Person, Kind: ledger.ThreeChecks, Period: r.OfferRound, Record: r.record(), Origin: originOf(ch)}
		e.Record.By, e.Record.At = p.ID, d.Now()
		done, err := d.People.RecordServices(ctx, tx, []people.ServiceEntry{e})
		if err != nil {
			return err
		}
		return done[0].Err
	}
	view, _, err := d.one(ctx, p, v, &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r)})
	return view, err
}

// originOf is the area that the residence's side, which is ch's, would tell.
func originOf(ch *change) area.Key {
	if ch.side.Side == cases.SideOpener {
		return ch.c.Y
	}
	return ch.c.X
}
