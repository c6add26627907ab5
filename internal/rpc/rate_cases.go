package rpc

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/figures"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/policy"
	"yipan/internal/rates"
)

func (s *rateService) ListRateCases(ctx context.Context, r *ratesv1.ListRateCasesRequest) (*ratesv1.ListRateCasesResponse, error) {
	q, err := rateCasesRequest(r, s.figures.ParsePeriod)
	if err != nil {
		return nil, err
	}
	l, err := s.figures.Cases(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.ListRateCasesResponse{Period: q.Period.String(), NextPageToken: l.Next, Total: l.Total}
	for i := range l.Rounds {
		resp.Cases = append(resp.Cases, rateCaseMessage(&l.Rounds[i]))
	}
	return resp, nil
}

func rateCasesRequest(r *ratesv1.ListRateCasesRequest, parse func(string) (policy.Period, error)) (figures.CasesQuery, error) {
	d := &decoder{}
	q := figures.CasesQuery{
		Office:      d.area("office", r.GetOffice()),
		Period:      d.period(r.GetPeriod(), parse),
		Kind:        number(d, "kind", r.GetKind(), cases.BirthService),
		Side:        number(d, "side", r.GetSide(), cases.SideReceiver),
		Part:        number(d, "part", r.GetPart(), figures.Unreceipted),
		Counterpart: d.area("counterpart", r.GetCounterpart()),
		PageSize:    int(min(r.GetPageSize(), 1<<20)), // more than a page is refused there
		PageToken:   d.text("page_token", r.GetPageToken(), maxToken),
	}
	if m := r.GetMeasure(); m != 0 {
		if !known(m) {
			d.refuse("measure", "VALUE_UNKNOWN", "has an unknown value", "没有这项指标")
		} else {
			q.Measure = rates.Measure(m)
		}
	}
	return q, d.err
}

func rateCaseMessage(b *figures.Behind) *ratesv1.RateCase {
	m := &ratesv1.RateCase{
		CaseId: b.Case.String(), Round: b.Round.Round, Kind: casesv1.Kind(b.Round.Kind), Side: casesv1.Side(b.Side),
		Counterpart: areaOf(b.Counterpart()), CounterpartName: area.FullName(b.Counterpart()),
		Excluded: b.Excluded.String(), Answered: b.Answered, OnTime: b.OnTime, Pending: b.Pending, ExtendedDays: b.Extended,
		RoundAt: instantOf(b.RoundAt), DeliveredAt: instantOf(b.Delivered), DueAt: instantOf(b.Due), AnsweredAt: instantOf(b.AnsweredAt), AnswerHeldAt: instantOf(b.AnswerHeld),
	}
	if b.Overdue != rates.WaitNobody {
		m.Overdue = b.Overdue.String()
	}
	return m
}
