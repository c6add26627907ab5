package rpc

import (
	"context"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/people"
)

// personService is yipan.ledger.v1.PersonService.
type personService struct {
	ledgerv1.UnimplementedPersonServiceServer
	people *people.People
}

func (s *personService) RegisterPerson(ctx context.Context, r *ledgerv1.RegisterPersonRequest) (*ledgerv1.RegisterPersonResponse, error) {
	q, err := registerPersonRequest(r)
	if err != nil {
		return nil, err
	}
	done, err := s.people.RegisterPerson(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.RegisterPersonResponse{Person: personMessage(done.File), Warnings: done.Warnings}
	for _, h := range done.Duplicates {
		resp.Duplicates = append(resp.Duplicates, hintMessage(h))
	}
	for _, id := range done.Paired {
		resp.PairedCaseIds = append(resp.PairedCaseIds, idOf(id))
	}
	return resp, nil
}

func (s *personService) GetPerson(ctx context.Context, r *ledgerv1.GetPersonRequest) (*ledgerv1.GetPersonResponse, error) {
	id, purpose, err := personAsked(r.GetPersonId(), r.GetPurpose())
	if err != nil {
		return nil, err
	}
	f, warnings, err := s.people.GetPerson(ctx, principal(ctx), id, purpose)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.GetPersonResponse{Person: personMessage(f), Warnings: warnings}, nil
}

func (s *personService) UpdatePerson(ctx context.Context, r *ledgerv1.UpdatePersonRequest) (*ledgerv1.UpdatePersonResponse, error) {
	q, err := updatePersonRequest(r)
	if err != nil {
		return nil, err
	}
	done, err := s.people.UpdatePerson(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.UpdatePersonResponse{Person: personMessage(done.File), Warnings: done.Warnings}
	for _, id := range done.Corrected {
		resp.CorrectedCaseIds = append(resp.CorrectedCaseIds, idOf(id))
	}
	for _, id := range done.Paired {
		resp.PairedCaseIds = append(resp.PairedCaseIds, idOf(id))
	}
	return resp, nil
}

func (s *personService) SearchPersons(ctx context.Context, r *ledgerv1.SearchPersonsRequest) (*ledgerv1.SearchPersonsResponse, error) {
	q, err := searchPersonsRequest(r)
	if err != nil {
		return nil, err
	}
	found, next, err := s.people.SearchPersons(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.SearchPersonsResponse{NextPageToken: next}
	for _, f := range found {
		resp.Persons = append(resp.Persons, summaryMessage(f))
	}
	return resp, nil
}

func (s *personService) GetPersonHistory(ctx context.Context, r *ledgerv1.GetPersonHistoryRequest) (*ledgerv1.GetPersonHistoryResponse, error) {
	id, purpose, err := personAsked(r.GetPersonId(), r.GetPurpose())
	if err != nil {
		return nil, err
	}
	events, err := s.people.History(ctx, principal(ctx), id, purpose)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.GetPersonHistoryResponse{}
	for _, e := range events {
		resp.Events = append(resp.Events, personEventMessage(e))
	}
	return resp, nil
}

func (s *personService) RestrictPerson(ctx context.Context, r *ledgerv1.RestrictPersonRequest) (*ledgerv1.RestrictPersonResponse, error) {
	requestID, id, keepers, err := restrictPersonRequest(r.GetRequestId(), r.GetPersonId(), r.GetKeepers())
	if err != nil {
		return nil, err
	}
	f, err := s.people.Restrict(ctx, principal(ctx), requestID, id, keepers)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.RestrictPersonResponse{Person: personMessage(f)}, nil
}

func (s *personService) UnrestrictPerson(ctx context.Context, r *ledgerv1.UnrestrictPersonRequest) (*ledgerv1.UnrestrictPersonResponse, error) {
	requestID, id, _, err := restrictPersonRequest(r.GetRequestId(), r.GetPersonId(), nil)
	if err != nil {
		return nil, err
	}
	f, err := s.people.Unrestrict(ctx, principal(ctx), requestID, id)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.UnrestrictPersonResponse{Person: personMessage(f)}, nil
}

func (s *personService) GetSlip(ctx context.Context, r *ledgerv1.GetSlipRequest) (*ledgerv1.GetSlipResponse, error) {
	id, how, err := personAsked(r.GetPersonId(), r.GetRecognisedBy())
	if err != nil {
		return nil, err
	}
	slip, err := s.people.GetSlip(ctx, principal(ctx), id, how)
	if err != nil {
		return nil, err
	}
	return slipMessage(slip), nil
}
