package rpc

import (
	"yipan/internal/cases"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/services"
)

func contactInput(r *ledgerv1.RecordContactRequest) (services.ContactInput, error) {
	d := &decoder{}
	in := services.ContactInput{
		RequestID: d.requestID(r.GetRequestId()),
		Person:    requiredID(d, "person_id", r.GetPersonId(), cases.ParsePersonID),
		Purpose:   d.text("purpose", r.GetPurpose(), maxText),
	}
	c := d.in("contact")
	in.Date = c.day("date", r.GetContact().GetDate())
	in.Channel = c.required("channel", r.GetContact().GetChannel(), maxWord)
	in.Reached = r.GetContact().GetReached()
	d.merge(c)
	return in, d.err
}
