package rpc

import (
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/policy"
)

// measures are the names of the API's measures inside.
var measures = map[ratesv1.Measure]string{
	ratesv1.Measure_MEASURE_CERTIFICATE:      policy.RateCertificate,
	ratesv1.Measure_MEASURE_VERIFICATION:     policy.RateVerification,
	ratesv1.Measure_MEASURE_FEEDBACK:         policy.RateFeedback,
	ratesv1.Measure_MEASURE_FEEDBACK_ON_TIME: policy.RateFeedbackOnTime,
}

func ratesRequest(r *ratesv1.GetRatesRequest) (desk.RatesRequest, error) {
	d := &decoder{}
	q := desk.RatesRequest{
		Area:       d.area("area", r.GetArea()),
		Period:     d.text("period", r.GetPeriod(), maxWord),
		Kind:       number(d, "kind", r.GetKind(), cases.BirthService),
		ByTownship: r.GetByTownship(),
		Side:       number(d, "side", r.GetSide(), cases.SideReceiver),
	}
	if len(r.GetMeasures()) > maxList {
		d.refuse("measures", "TOO_MANY", "has too many values", "项数过多")
		return q, d.err
	}
	for _, m := range r.GetMeasures() {
		name, ok := measures[m]
		if !ok {
			d.refuse("measures", "VALUE_UNKNOWN", "has an unknown value", "没有这项指标")
			break
		}
		q.Measures = append(q.Measures, name)
	}
	return q, d.err
}

func rateMessage(v desk.RateView) *ratesv1.Rate {
	m := &ratesv1.Rate{
		Area: areaOf(v.Area), AreaName: area.FullName(v.Area), Kind: casesv1.Kind(v.Kind), N: v.N, D: v.D, Percent: v.Percent,
		Excluded: v.Excluded, Overdue: v.Overdue,
	}
	for measure, name := range measures {
		if name == v.Measure {
			m.Measure = measure
		}
	}
	return m
}
