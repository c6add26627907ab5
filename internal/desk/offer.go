package desk

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/ledger"
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
		return fault.Invalid("OFFER_RESULT", "unknown result of an offer").Zh("服务结果代码不正确").On("result")
	case r.Date.IsZero():
		return fault.Invalid("REQUIRED", "date is missing").Zh("请填写服务日期").On("date")
	case r.Date.After(civil.In(now)):
		return fault.Invalid("FUTURE_DATE", "date lies in the future").Zh("服务日期不能晚于今天").On("date")
	case !slices.Contains(ledger.Channels(), r.Channel):
		return fault.Invalid("CHANNEL_CODE", "unknown channel").Zh("联系方式代码不正确").On("channel")
	case r.Result != ledger.OfferDone && (len(r.Findings) > 0 || !r.Consent.IsZero()):
		return fault.Invalid("FINDINGS_UNEXPECTED", "findings or consent without a service done").Zh("只有已服务的才填写结果和同意书").On("findings")
	}
	for name, v := range r.Findings {
		switch {
		case !slices.Contains(ledger.Findings(), name):
			return fault.Invalid("FIELD_NAME", "no such finding").Zh("检查结果只能是三查项目：pregnancy、iud、reproductive_health").On("findings")
		case len(v) > ledger.MaxFinding:
			return fault.Invalid("TEXT_LENGTH", "finding has %d bytes, at most %d", len(v), ledger.MaxFinding).Zh("检查结果最多 %d 字", ledger.MaxFinding/3).On("findings")
		}
	}
	return nil
}

// RecordOffer records the offer of a round (三查) to one person. Nothing leaves
// by it: feedback leaves for all at the round's end.
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
		return d.putOffer(ctx, tx, p, ch, r)
	}
	view, _, err := d.one(ctx, p, v, &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r)})
	return view, err
}

func (d *Desk) putOffer(ctx context.Context, tx *store.Tx, p access.Principal, ch *change, r OfferRequest) error {
	// All consents of the person are locked, whatever was offered: a lock on one
	// would show the database which offer was accepted (SECURITY D4).
	held, err := d.consentsOf(ctx, tx, ch.side.Person)
	if err != nil {
		return err
	}
	if !r.Consent.IsZero() {
		origin := ch.c.X
		if ch.side.Side == cases.SideOpener {
			origin = ch.c.Y
		}
		if other, ok := held[r.Consent]; !ok || other.Person != ch.side.Person {
			if held, err = d.Book.Consents(ctx, tx, []cases.ConsentID{r.Consent}); err != nil {
				return err
			}
		}
		if _, err := consent(held, r.Consent, ch.side.Person, ledger.PurposeFeedback, origin, d.Now(), "consent_id"); err != nil {
			return err
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

// consentsOf reads all consents of a person and keeps them from being withdrawn
// until the transaction ends.
func (d *Desk) consentsOf(ctx context.Context, tx *store.Tx, person cases.PersonID) (map[cases.ConsentID]ledger.Consent, error) {
	rows, err := tx.ConsentsOf(ctx, person)
	if err != nil {
		return nil, err
	}
	ids := make([]cases.ConsentID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return d.Book.Consents(ctx, tx, ids)
}
