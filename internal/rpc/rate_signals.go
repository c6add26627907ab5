package rpc

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/figures"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

func (s *rateService) ListSignals(ctx context.Context, r *ratesv1.ListSignalsRequest) (*ratesv1.ListSignalsResponse, error) {
	d := &decoder{}
	k := d.area("area", r.GetArea())
	period := d.period(r.GetPeriod(), s.figures.ParsePeriod)
	if d.err != nil {
		return nil, d.err
	}
	found, err := s.figures.Signals(ctx, principal(ctx), k, period)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.ListSignalsResponse{Period: period.String()}
	for i := range found {
		resp.Signals = append(resp.Signals, signalMessage(&found[i]))
	}
	return resp, nil
}

func signalMessage(f *figures.Found) *ratesv1.Signal {
	return &ratesv1.Signal{
		Code: f.Sign.String(), Text: f.Sign.Zh(), Rule: f.Sign.Rule(), Office: areaOf(f.Office), OfficeName: area.FullName(f.Office), N: f.N, Of: f.Of,
	}
}
