package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"yipan/internal/area"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/policy"
	"yipan/internal/rates"
)

// Report is 篇一's, computed again.
type Report struct {
	Certificates, Verified rates.Ratio
	Feedback, OnTime       rates.Ratio // of the residence, as receiver of outflow notices
	Remark                 string
}

// printed is the percentage that 篇一 prints beside its counts.
const printed = "97.19"

// measure asks a place for one rate of an area.
func (p *place) measure(ctx context.Context, account string, req *ratesv1.GetRatesRequest) (rates.Ratio, error) {
	resp, err := p.rates(account).GetRates(ctx, req)
	if err != nil {
		return rates.Ratio{}, fmt.Errorf("demo: rates of %s: %w", p.Folder, err)
	}
	var sum rates.Ratio
	for _, v := range resp.GetRates() {
		sum.N, sum.D = sum.N+v.GetN(), sum.D+v.GetD()
	}
	return sum, nil
}

// month is the period of the report: that in which the run began, also where
// it ends after midnight.
func (r *run) month() string { return policy.SpanMonth.Holding(r.today).String() }

// own asks for a rate of the origin township.
func (r *run) own(ctx context.Context, m ratesv1.Measure) (rates.Ratio, error) {
	return r.origin.measure(ctx, r.clerk(), &ratesv1.GetRatesRequest{Period: r.month(), Area: r.spec.Origin.String(), Measures: []ratesv1.Measure{m}})
}

// report prints the report.
func (r *run) report(ctx context.Context) error {
	rep := &r.result.Report
	var err error
	if rep.Certificates, err = r.own(ctx, ratesv1.Measure_MEASURE_CERTIFICATE); err != nil {
		return err
	}
	if rep.Verified, err = r.own(ctx, ratesv1.Measure_MEASURE_VERIFICATION); err != nil {
		return err
	}
	rep.Remark = rep.Certificates.Remark(printed)
	for _, say := range []func(context.Context) error{r.sayAnnual, r.sayRates, r.sayTrips, r.writeReports} {
		if err := say(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sayRates prints the rates of the residence, county and townships, and holds
// both ends of the same cases against each other.
func (r *run) sayRates(ctx context.Context) error {
	outflow := casesv1.Kind_KIND_OUTFLOW
	feedback, onTime := ratesv1.Measure_MEASURE_FEEDBACK, ratesv1.Measure_MEASURE_FEEDBACK_ON_TIME
	rep := &r.result.Report
	for _, m := range []struct {
		measure ratesv1.Measure
		to      *rates.Ratio
		zh, en  string
	}{
		{feedback, &rep.Feedback, "反馈率", "feedback rate"},
		{onTime, &rep.OnTime, "及时反馈率", "on-time feedback rate"},
	} {
		var received rates.Ratio
		for _, p := range []*place{r.residence, r.third} {
			got, err := p.measure(ctx, p.operator, &ratesv1.GetRatesRequest{Period: r.month(), Area: p.Area.String(), Kind: outflow, Measures: []ratesv1.Measure{m.measure}})
			if err != nil {
				return err
			}
			if p == r.residence {
				*m.to = got
			}
			received.N, received.D = received.N+got.N, received.D+got.D
			r.say("%s %s：%s", "%s %s: %s", area.FullName(p.Area), r.t(m.zh, m.en), got)
		}
		sent, err := r.origin.measure(ctx, r.clerk(), &ratesv1.GetRatesRequest{
			Period: r.month(), Area: r.spec.Origin.String(), Kind: outflow, Side: casesv1.Side_SIDE_OPENER, Measures: []ratesv1.Measure{m.measure},
		})
		if err != nil {
			return err
		}
		if sent != received {
			if !r.result.Conservation.Holds() {
				r.say("　　户籍地算得 %s，与对方不同", "    the origin computes %s, which is not the same", sent)
				continue // the check has said why
			}
			return fmt.Errorf("demo: %s is %s at the origin and %s at its receivers", m.en, sent, received)
		}
		r.say("　　户籍地对同一批案件算得 %s，两端相同", "    the origin computes %s for the same cases, equal at both ends", sent)
	}
	return r.sayWork(ctx)
}

// sayTrips prints what the nodes measured, and how long the newest cases were
// on their way.
func (r *run) sayTrips(ctx context.Context) error {
	for _, p := range r.places() {
		resp, err := p.exchange().ListPeers(ctx, &nodev1.ListPeersRequest{})
		if err != nil {
			return fmt.Errorf("demo: peers of %s: %w", p.Folder, err)
		}
		for _, peer := range resp.GetPeers() {
			if peer.GetRoundTripMs() > 0 {
				r.say("%s → %s：最近一次往返 %d 毫秒，已签收 %d 件，对帐补齐 %d 件", "%s → %s: last round trip %d ms, %d items settled, %d mended by statements",
					area.FullName(p.Area), peer.GetName(), peer.GetRoundTripMs(), peer.GetSettled(), peer.GetMended())
			}
		}
	}
	resp, err := r.origin.cases(r.clerk()).ListCases(ctx, &casesv1.ListCasesRequest{
		Side: casesv1.Side_SIDE_OPENER, Kind: casesv1.Kind_KIND_OUTFLOW, PageSize: 500, Purpose: "演示：用时",
	})
	if err != nil {
		return fmt.Errorf("demo: list cases: %w", err)
	}
	var took []time.Duration
	for _, c := range resp.GetCases() {
		if c.GetDeliveredAt() != nil && c.GetRound() == 1 {
			took = append(took, c.GetDeliveredAt().AsTime().Sub(c.GetOpenedAt().AsTime()))
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		r.say("从发出到对方签收（%d 件）：中位 %d 毫秒，最长 %d 毫秒", "from opening to the other node's signature (%d cases): median %d ms, longest %d ms",
			len(took), took[len(took)/2].Milliseconds(), took[len(took)-1].Milliseconds())
	}
	return nil
}

// tellEnd says how long the parts took.
func (r *run) tellEnd() {
	r.head("完成", "done")
	for _, p := range r.result.Phases {
		r.say("%6d 毫秒  %s", "%6d ms  %s", p.Took.Milliseconds(), p.Title)
	}
}
