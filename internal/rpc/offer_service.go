package rpc

import (
	"context"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/services"
)

// offerService is yipan.ledger.v1.OfferService.
type offerService struct {
	ledgerv1.UnimplementedOfferServiceServer
	services *services.Services
}

func (s *offerService) ListOffersDue(ctx context.Context, r *ledgerv1.ListOffersDueRequest) (*ledgerv1.ListOffersDueResponse, error) {
	q, err := dueRequest(r)
	if err != nil {
		return nil, err
	}
	list, err := s.services.ListDue(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return dueMessage(list), nil
}

func (s *offerService) RecordService(ctx context.Context, r *ledgerv1.RecordServiceRequest) (*ledgerv1.RecordServiceResponse, error) {
	in, err := serviceInput("service.", r.GetService())
	if err != nil {
		return nil, err
	}
	v, warnings, err := s.services.Record(ctx, principal(ctx), in)
	if err != nil {
		return nil, within("service.", err)
	}
	return &ledgerv1.RecordServiceResponse{Record: serviceMessage(v), Warnings: warnings}, nil
}

// BatchRecordServices calls the services once for the rows that can be read.
func (s *offerService) BatchRecordServices(ctx context.Context, r *ledgerv1.BatchRecordServicesRequest) (*ledgerv1.BatchRecordServicesResponse, error) {
	rows := r.GetServices()
	read := func(m *ledgerv1.ServiceInput) (services.Input, error) { return serviceInput("", m) }
	results, err := batch(rows, read, func(ins []services.Input) ([]services.Result, error) {
		return s.services.RecordMany(ctx, principal(ctx), ins)
	}, func(_ int, err error) services.Result { return services.Result{Err: err} })
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.BatchRecordServicesResponse{}
	for i, x := range results {
		m := &ledgerv1.ServiceRow{Index: int32(i), PersonId: rows[i].GetPersonId(), Warnings: x.Warnings}
		if e := itemError(x.Err); e != nil {
			m.Reason, m.Field, m.Message = e.GetReason(), e.GetField(), e.GetMessage()
		}
		resp.Rows = append(resp.Rows, m)
	}
	return resp, nil
}

func (s *offerService) ListPersonServices(ctx context.Context, r *ledgerv1.ListPersonServicesRequest) (*ledgerv1.ListPersonServicesResponse, error) {
	id, purpose, err := personServicesRequest(r)
	if err != nil {
		return nil, err
	}
	records, refused, err := s.services.PersonServices(ctx, principal(ctx), id, purpose)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListPersonServicesResponse{}
	for _, v := range records {
		resp.Records = append(resp.Records, serviceMessage(v))
	}
	for _, k := range refused {
		resp.StandingRefusals = append(resp.StandingRefusals, ledgerv1.ServiceKind(k))
	}
	return resp, nil
}

func (s *offerService) SetStandingRefusal(ctx context.Context, r *ledgerv1.SetStandingRefusalRequest) (*ledgerv1.SetStandingRefusalResponse, error) {
	requestID, id, kind, err := standingRequest(r)
	if err != nil {
		return nil, err
	}
	if err := s.services.SetStandingRefusal(ctx, principal(ctx), requestID, id, kind, r.GetRefused()); err != nil {
		return nil, err
	}
	return &ledgerv1.SetStandingRefusalResponse{}, nil
}
