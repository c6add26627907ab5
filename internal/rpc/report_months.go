package rpc

import (
	"context"
	"encoding/hex"

	"yipan/internal/area"
	"yipan/internal/closing"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// ListMonths lists the months of an area.
func (s *reportService) ListMonths(ctx context.Context, r *ratesv1.ListMonthsRequest) (*ratesv1.ListMonthsResponse, error) {
	d := &decoder{}
	k := d.area("area", r.GetArea())
	if d.err != nil {
		return nil, d.err
	}
	months, err := s.closing.ListMonths(ctx, principal(ctx), k)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.ListMonthsResponse{}
	for i := range months {
		resp.Months = append(resp.Months, monthMessage(&months[i]))
	}
	return resp, nil
}

func monthMessage(m *closing.Month) *ratesv1.Month {
	out := &ratesv1.Month{
		Period: m.Period.String(), State: ratesv1.MonthState(m.State), At: instantOf(m.At), FrozenAt: instantOf(m.FrozenAt), Revision: m.Revision,
		Digest: hex.EncodeToString(m.Digest), Policy: m.Policy,
	}
	for _, k := range m.Missing {
		out.MissingPeers = append(out.MissingPeers, areaOf(k))
	}
	return out
}

// GetMonth gets a revision of a frozen month.
func (s *reportService) GetMonth(ctx context.Context, r *ratesv1.GetMonthRequest) (*ratesv1.GetMonthResponse, error) {
	d := &decoder{}
	k, period := d.area("area", r.GetArea()), d.text("period", r.GetPeriod(), maxWord)
	if d.err != nil {
		return nil, d.err
	}
	v, err := s.closing.GetMonth(ctx, principal(ctx), k, period, r.Revision)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.GetMonthResponse{Month: monthMessage(&v.Month), Cases: changedMessages(v.Rounds), Snapshot: v.Snapshot, Signature: v.Signature}
	if len(v.Signature) > 0 {
		resp.KeyId = v.KeyID[:]
	}
	for i := range v.Rates {
		resp.Rates = append(resp.Rates, rateMessage(&v.Rates[i]))
	}
	for _, c := range v.Changes {
		resp.Changes = append(resp.Changes, &ratesv1.Change{
			Measure: ratesv1.Measure(c.Measure), Area: areaOf(c.Area), NBefore: c.Before.N, DBefore: c.Before.D, N: c.Now.N, D: c.Now.D,
		})
	}
	return resp, nil
}

func changedMessages(rs []closing.ChangedRound) []*ratesv1.ChangedCase {
	var out []*ratesv1.ChangedCase
	for _, r := range rs {
		out = append(out, &ratesv1.ChangedCase{CaseId: r.Case.String(), Round: r.Round, Before: r.Before, Now: r.Now})
	}
	return out
}

// ListChildren says what the children of an area reported.
func (s *reportService) ListChildren(ctx context.Context, r *ratesv1.ListChildrenRequest) (*ratesv1.ListChildrenResponse, error) {
	d := &decoder{}
	k, period := d.area("area", r.GetArea()), d.text("period", r.GetPeriod(), maxWord)
	if d.err != nil {
		return nil, d.err
	}
	p, children, err := s.closing.ListChildren(ctx, principal(ctx), k, period)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.ListChildrenResponse{Period: p.String()}
	for i := range children {
		c := &children[i]
		m := &ratesv1.Child{
			Area: areaOf(c.Area), AreaName: area.FullName(c.Area), Reported: c.Reported, ReceivedAt: instantOf(c.ReceivedAt), AsOf: instantOf(c.AsOf),
			Basis: ratesv1.Basis(c.Basis), Revision: c.Revision, Here: c.Here,
		}
		for j := range c.Rates {
			m.Rates = append(m.Rates, rateMessage(&c.Rates[j]))
		}
		resp.Children = append(resp.Children, m)
	}
	return resp, nil
}

// CompareMonth says how two ends agree.
func (s *reportService) CompareMonth(ctx context.Context, r *ratesv1.CompareMonthRequest) (*ratesv1.CompareMonthResponse, error) {
	d := &decoder{}
	k, period := d.area("area", r.GetArea()), d.text("period", r.GetPeriod(), maxWord)
	if d.err != nil {
		return nil, d.err
	}
	p, peers, err := s.closing.CompareMonth(ctx, principal(ctx), k, period)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.CompareMonthResponse{Period: p.String()}
	for _, v := range peers {
		resp.Peers = append(resp.Peers, &ratesv1.PeerComparison{
			Node: areaOf(v.Peer), NodeName: v.Name, Shared: v.Shared, Differ: v.Differ, Received: v.Received, Cases: changedMessages(v.Rounds),
		})
	}
	return resp, nil
}
