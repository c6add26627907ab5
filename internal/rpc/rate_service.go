package rpc

import (
	"context"

	"yipan/internal/desk"
	"yipan/internal/figures"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// rateService is yipan.rates.v1.RateService.
type rateService struct {
	ratesv1.UnimplementedRateServiceServer
	desk    *desk.Desk
	figures *figures.Figures
}

func (s *rateService) GetRates(ctx context.Context, r *ratesv1.GetRatesRequest) (*ratesv1.GetRatesResponse, error) {
	q, err := ratesRequest(r)
	if err != nil {
		return nil, err
	}
	period, rates, err := s.desk.Rates(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.GetRatesResponse{Period: period}
	for _, v := range rates {
		resp.Rates = append(resp.Rates, rateMessage(v))
	}
	return resp, nil
}
