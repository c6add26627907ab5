package rpc

import (
	"context"

	"yipan/internal/desk"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
)

// consentService is yipan.consent.v1.ConsentService: one person, one act.
type consentService struct {
	consentv1.UnimplementedConsentServiceServer
	desk *desk.Desk
}

func (s *consentService) RecordConsent(ctx context.Context, r *consentv1.RecordConsentRequest) (*consentv1.RecordConsentResponse, error) {
	q, err := consentRequest(r)
	if err != nil {
		return nil, err
	}
	c, err := s.desk.RecordConsent(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &consentv1.RecordConsentResponse{Consent: consentMessage(c), Warnings: c.Warnings}, nil
}

func (s *consentService) WithdrawConsent(ctx context.Context, r *consentv1.WithdrawConsentRequest) (*consentv1.WithdrawConsentResponse, error) {
	requestID, id, err := withdrawConsentRequest(r)
	if err != nil {
		return nil, err
	}
	c, changed, err := s.desk.WithdrawConsent(ctx, principal(ctx), requestID, id)
	if err != nil {
		return nil, err
	}
	resp := &consentv1.WithdrawConsentResponse{Consent: consentMessage(c)}
	for _, id := range changed {
		resp.CaseIds = append(resp.CaseIds, idOf(id))
	}
	return resp, nil
}

func (s *consentService) ListConsents(ctx context.Context, r *consentv1.ListConsentsRequest) (*consentv1.ListConsentsResponse, error) {
	q, err := consentsRequest(r)
	if err != nil {
		return nil, err
	}
	cs, err := s.desk.ListConsents(ctx, principal(ctx), q.office, q.who, q.purpose)
	if err != nil {
		return nil, err
	}
	resp := &consentv1.ListConsentsResponse{}
	for _, c := range cs {
		resp.Consents = append(resp.Consents, consentMessage(c))
	}
	return resp, nil
}
