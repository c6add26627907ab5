package rpc

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/desk"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// outageService is yipan.rates.v1.OutageService.
type outageService struct {
	ratesv1.UnimplementedOutageServiceServer
	desk *desk.Desk
}

func (s *outageService) DeclareOutage(ctx context.Context, r *ratesv1.DeclareOutageRequest) (*ratesv1.DeclareOutageResponse, error) {
	d := &decoder{}
	req := desk.OutageRequest{
		RequestID: d.requestID(r.GetRequestId()), Area: d.requiredArea("area", r.GetArea()), From: d.instant("from", r.GetFrom()),
		To: d.instant("to", r.GetTo()), Reason: d.required("reason", r.GetReason(), maxText),
	}
	if d.err != nil {
		return nil, d.err
	}
	v, err := s.desk.DeclareOutage(ctx, principal(ctx), req)
	if err != nil {
		return nil, err
	}
	return &ratesv1.DeclareOutageResponse{Outage: outageMessage(v)}, nil
}

func (s *outageService) ListOutages(ctx context.Context, r *ratesv1.ListOutagesRequest) (*ratesv1.ListOutagesResponse, error) {
	d := &decoder{}
	k := d.area("area", r.GetArea())
	if d.err != nil {
		return nil, d.err
	}
	vs, err := s.desk.ListOutages(ctx, principal(ctx), k)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.ListOutagesResponse{}
	for _, v := range vs {
		resp.Outages = append(resp.Outages, outageMessage(v))
	}
	return resp, nil
}

func outageMessage(v desk.OutageView) *ratesv1.Outage {
	return &ratesv1.Outage{
		Id: idOf(v.ID), Area: areaOf(v.Area), AreaName: area.FullName(v.Area), From: instantOf(v.From), To: instantOf(v.To), Reason: v.Reason,
		Account: v.Account, DeclaredAt: instantOf(v.DeclaredAt), Rounds: v.Rounds, Days: v.Days,
	}
}
