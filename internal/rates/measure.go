package rates

import (
	"yipan/internal/cases"
	"yipan/internal/policy"
)

// Measure is one rate.
type Measure uint8

// The rates. Numbers are those of the API.
//
// Period of all but Certificate: the one in which the round falls due, whether
// that day has come or not (policy.DueDay). "At report time" is the instant
// given to Classify: what was recorded later does not exist yet.
const (
	// Certificate 办证率 = certificates issued / certificates asked for.
	// Denominator: those asked for on a day of the period, from the office's own
	// book. Numerator: those of them issued by report time, whenever.
	Certificate Measure = 1

	// Verification 验证率 = certificate cases with a terminal answer at report
	// time / certificates shown, each shown one being a case opened by the
	// residence. Denominator and exclusions are those of Feedback, over
	// certificate cases.
	Verification Measure = 2

	// Feedback 反馈率 = rounds with a terminal answer at report time / rounds due
	// in the period, over outflow and inflow notices and assistance requests.
	// Excluded from both: rounds not delivered (they have no due), withdrawn or
	// closed unanswered by their due, or answered in time by MISROUTED with an
	// area (see Code). 三查 feedback is never in it.
	Feedback Measure = 3

	// FeedbackOnTime 及时反馈率 = rounds whose earliest terminal answer was recorded
	// at or before due / the denominator of Feedback.
	FeedbackOnTime Measure = 4
)

// All lists the measures in the order in which a report shows them.
func All() []Measure { return []Measure{Certificate, Verification, Feedback, FeedbackOnTime} }

var measures = [...]struct{ name, zh string }{
	Certificate:    {policy.RateCertificate, "办证率"},
	Verification:   {policy.RateVerification, "验证率"},
	Feedback:       {policy.RateFeedback, "反馈率"},
	FeedbackOnTime: {policy.RateFeedbackOnTime, "及时反馈率"},
}

// Known reports whether m is one of the measures.
func (m Measure) Known() bool { return m >= Certificate && m <= FeedbackOnTime }

// String returns the name that policies use, "feedback_on_time".
func (m Measure) String() string {
	if !m.Known() {
		return "unknown"
	}
	return measures[m].name
}

// Zh returns the Chinese name.
func (m Measure) Zh() string {
	if !m.Known() {
		return "未知指标"
	}
	return measures[m].zh
}

// ParseMeasure reads what String or Zh writes.
func ParseMeasure(s string) (Measure, bool) {
	for _, m := range All() {
		if s == m.String() || s == m.Zh() {
			return m, true
		}
	}
	return 0, false
}

// Of reports whether m counts rounds of cases of kind k. Certificate counts
// none: it reads Asked.
func (m Measure) Of(k cases.Kind) bool {
	switch m {
	case Verification:
		return k == cases.Certificate
	case Feedback, FeedbackOnTime:
		return k == cases.Outflow || k == cases.Inflow || k == cases.Assist
	}
	return false
}
