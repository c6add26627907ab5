package services

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/store"
)

// OfferRequest records one offer of a round to the person of a case.
type OfferRequest struct {
	RequestID  string
	Ref        desk.CaseRef
	OfferRound uint32
	Result     string // done, declined, standing_refusal, not_reached, not_applicable
	Date       civil.Date
	Channel    string // visit, phone, message, letter, counter
	Findings   map[string]string
	Consent    cases.ConsentID // zero: nothing is released
}

func (r *OfferRequest) record() ledger.ServiceRecord {
	return ledger.ServiceRecord{Result: r.Result, Date: r.Date, Channel: r.Channel, Findings: r.Findings, Consent: r.Consent}
}

func (s *Services) checkOffer(r *OfferRequest) error {
	round, err := s.Policies.Round(policy.RoundNumber(r.OfferRound))
	if err != nil {
		return fault.Invalid("OFFER_ROUND", "the policy knows no offer round %d", r.OfferRound).Zh("没有这个三查轮次").On("offer_round")
	}
	now := s.Now()
	switch {
	case !round.Open(now):
		return fault.Conflict("ROUND_OVER", "offer round %d is not open now", r.OfferRound).Zh("该轮次不在办理期内").On("offer_round")
	case !slices.Contains(ledger.OfferResults(), r.Result):
		return fault.Invalid("OFFER_RESULT", "unknown result of an offer").Zh("结果只能是：done（已服务）、declined（谢绝）、standing_refusal（不再询问）、not_reached（未联系上）、not_applicable（不适用）").On("result")
	}
	rec := r.record()
	return checkRecord(ledger.ThreeChecks, &rec, civil.In(now))
}

// RecordOffer records the offer of a round (三查) to the person of a case.
// Nothing leaves by it: feedback leaves for all at the round's end.
func (s *Services) RecordOffer(ctx context.Context, p access.Principal, r OfferRequest) (desk.CaseView, error) {
	o := desk.Offer{RequestID: r.RequestID, Ref: r.Ref, Hash: s.HashOf(r), Wrong: s.checkOffer(&r)}
	o.Refused = s.HashOf(struct {
		Refused bool
		Offer   OfferRequest
	}{true, r})
	return s.Desk.RecordOffer(ctx, p, o, func(tx *store.Tx, person cases.PersonID, origin area.Key) error {
		e := entry{Person: person, Kind: ledger.ThreeChecks, Period: r.OfferRound, Record: r.record(), Origin: origin}
		e.Record.By, e.Record.At = p.ID, s.Now()
		done, err := s.recordAll(ctx, tx, []entry{e})
		if err != nil {
			return err
		}
		return done[0].Err
	})
}
