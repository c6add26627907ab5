package cli

import (
	"context"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

// FeedbackCommand records one offer of a round to one person. What it releases
// leaves at the round's end.
type FeedbackCommand struct {
	Remote
	Ref
	Round   uint32            `required:"" help:"三查轮次，如 20261|Offer round, for example 20261"`
	Result  string            `required:"" help:"结果：done、declined、standing_refusal、not_reached、not_applicable|Result: done, declined, standing_refusal, not_reached, not_applicable"`
	Date    string            `required:"" placeholder:"2006-01-02" help:"告知日期|Day of the offer"`
	Channel string            `help:"方式：visit、phone、message、letter、counter|Channel: visit, phone, message, letter, counter"`
	Finding map[string]string `placeholder:"NAME=VALUE" help:"检查结果，只留在本单位，除非本人同意提供|Findings; they stay here unless released"`
	Consent string            `placeholder:"ID" help:"据以提供字段的同意书编号；不写则不提供|Consent under which fields are released; without it none are"`
	Write
}

// Run records the offer.
func (c *FeedbackCommand) Run(ctx context.Context, e *Env) error {
	ref, err := c.resolve(ctx, e)
	if err != nil {
		return err
	}
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.RecordOffer(ctx, &casesv1.RecordOfferRequest{
		RequestId: c.id(), Ref: ref, OfferRound: c.Round, Result: c.Result, Date: c.Date,
		Channel: c.Channel, Findings: c.Finding, ConsentId: c.Consent,
	})
	return show(e, &c.Write, resp, err)
}
