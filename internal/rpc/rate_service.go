package rpc

import (
	"context"
	"slices"

	"yipan/internal/cases"
	"yipan/internal/closing"
	"yipan/internal/fault"
	"yipan/internal/figures"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// rateService is yipan.rates.v1.RateService.
type rateService struct {
	ratesv1.UnimplementedRateServiceServer
	figures *figures.Figures
	closing *closing.Closing
}

func (s *rateService) GetRates(ctx context.Context, r *ratesv1.GetRatesRequest) (*ratesv1.GetRatesResponse, error) {
	q, err := ratesRequest(r, s.figures.ParsePeriod)
	if err != nil {
		return nil, err
	}
	var rows []figures.Row
	if r.GetFrozen() {
		rows, err = s.frozen(ctx, &q)
	} else {
		rows, err = s.figures.Rates(ctx, principal(ctx), q)
	}
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.GetRatesResponse{Period: q.Period.String()}
	for i := range rows {
		resp.Rates = append(resp.Rates, rateMessage(&rows[i]))
	}
	return resp, nil
}

// frozen returns a frozen month's figures. They are kept for an area as a whole.
func (s *rateService) frozen(ctx context.Context, q *figures.Query) ([]figures.Row, error) {
	if q.By != figures.ByNothing || q.Kind != 0 || q.Side != cases.SideNone || q.Counterpart != 0 || q.Trend != 0 {
		return nil, fault.Invalid("FROZEN_ONLY_WHOLE", "frozen figures are of a month and an area").
			Zh("已定稿的月份只能按地区和月份查看，不能再分列；请去掉其他条件").On("frozen")
	}
	m, err := s.closing.GetMonth(ctx, principal(ctx), q.Area, q.Period.String(), nil)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(m.Rates, func(r figures.Row) bool {
		return len(q.Measures) > 0 && !slices.Contains(q.Measures, r.Measure)
	}), nil
}

func (s *rateService) GetTimes(ctx context.Context, r *ratesv1.GetTimesRequest) (*ratesv1.GetTimesResponse, error) {
	g, err := ratesRequest(&ratesv1.GetRatesRequest{Area: r.GetArea(), Period: r.GetPeriod(), Kind: r.GetKind(), Side: r.GetSide()}, s.figures.ParsePeriod)
	if err != nil {
		return nil, err
	}
	q := figures.TimesQuery{Area: g.Area, Period: g.Period, Kind: g.Kind, Side: g.Side, ByTownship: r.GetByTownship()}
	times, unsigned, err := s.figures.Times(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.GetTimesResponse{Period: q.Period.String()}
	for i := range times {
		resp.Times = append(resp.Times, timesMessage(&times[i]))
	}
	for i := range unsigned {
		resp.Unreceipted = append(resp.Unreceipted, unsignedMessage(&unsigned[i]))
	}
	return resp, nil
}

func (s *rateService) RecountRates(ctx context.Context, r *ratesv1.RecountRatesRequest) (*ratesv1.RecountRatesResponse, error) {
	d := &decoder{}
	k := d.area("area", r.GetArea())
	if d.err != nil {
		return nil, d.err
	}
	got, err := s.figures.RecountFor(ctx, principal(ctx), k)
	if err != nil {
		return nil, err
	}
	return recountMessage(&got), nil
}
