package rpc

import (
	"context"

	"yipan/internal/cases"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/services"
)

// contactService is yipan.ledger.v1.ContactService.
type contactService struct {
	ledgerv1.UnimplementedContactServiceServer
	services *services.Services
}

func (s *contactService) RecordContact(ctx context.Context, r *ledgerv1.RecordContactRequest) (*ledgerv1.RecordContactResponse, error) {
	in, err := contactInput(r)
	if err != nil {
		return nil, err
	}
	if err := s.services.RecordContact(ctx, principal(ctx), in); err != nil {
		return nil, err
	}
	return &ledgerv1.RecordContactResponse{}, nil
}

func (s *contactService) ListContacts(ctx context.Context, r *ledgerv1.ListContactsRequest) (*ledgerv1.ListContactsResponse, error) {
	d := &decoder{}
	who := requiredID(d, "person_id", r.GetPersonId(), cases.ParsePersonID)
	purpose := d.text("purpose", r.GetPurpose(), maxText)
	if d.err != nil {
		return nil, d.err
	}
	tries, agreed, err := s.services.ListContacts(ctx, principal(ctx), who, purpose)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListContactsResponse{Agreed: agreed}
	for _, t := range tries {
		resp.Contacts = append(resp.Contacts, &ledgerv1.ContactTry{Date: t.Date.String(), Channel: t.Channel, Reached: t.Reached, Account: t.By})
	}
	return resp, nil
}
