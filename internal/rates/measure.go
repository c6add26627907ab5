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
	// book. Numerator: those of them issued by report time, whenever. Only days are
	// known of a certificate: at an earlier instant counts what bears the day that
	// ended then, or one before.
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

	// FiledInTime 及时录入率 = movements recorded by the last day of filing in time /
	// movements recorded whose last day lies in the period, undone ones left out.
	// The day of recording decides. At an earlier instant what was recorded or
	// undone later was not. Erased and merged people's movements stay.
	FiledInTime Measure = 5

	// Checking 核实率 = notices answered with a recorded check (visit, call,
	// document) / notices answered, by the month of the answer, from the answering
	// office's own book. Any outcome is an answer. A notice counts once, in the
	// month of its latest answer and as that was checked; what became of it later
	// (disputed, closed, erased) changes nothing. Whole months only; the sum is
	// sealed and has no times, so that an earlier instant is counted as now.
	Checking Measure = 6

	// Registration 登记率 = people registered or having refused / people known to
	// have arrived: answered RESIDING or CONFIRMED, or registered locally. As they
	// are at the report, whatever the period: open files of people registered
	// elsewhere who live here (a case that we opened and that was CONFIRMED is of
	// one of them) / those, and notices answered RESIDING by this office that are
	// paired with no file. Not counted at all: a file that only a notice told of,
	// until an arrival is registered. A refusal to be registered is recorded
	// nowhere, so that it cannot count in n; somebody who refused and has no file
	// is in d only where a notice was answered RESIDING.
	Registration Measure = 7

	// Offer 服务告知率 = offered, refused or standing refusal, by the residence's
	// true reason / residents in the policy's scope. Not offered is never in n.
	// Period: the rounds (三查) whose last day lies in it and that have begun.
	// Numerator: asked, done, declined and standing refusal, from the round's sealed
	// sum (no times: an earlier instant is counted as now). Denominator: files of
	// the scope's sex and age that live here at the report (the same for each
	// round), without those recorded as not applicable, and never less than n,
	// because who was offered it and left stays counted.
	Offer Measure = 8

	// Contraceptives 药具 = supplied / asked for, in the months of the period (whole
	// ones), one a person and month; who was supplied asked. Sealed sums without
	// times. Erased people stay counted.
	Contraceptives Measure = 9

	// FollowUp 随访 = followed up / agreed to it, counted as Contraceptives.
	FollowUp Measure = 10

	// BirthNotice 通报率 = birth-service notices sent / consented to. Denominator:
	// consents to one whose last day of sending in time (policy, from the day of
	// the consent) lies in the period; withdrawn before one was sent, a consent
	// leaves both. Numerator: those after which such a case about the person was
	// opened, by report time. Erased people leave both. Consents never leave the
	// residence, so that the origin has no denominator.
	BirthNotice Measure = 11

	// EffectiveContact 有效联系率 = reached at least once in the 12 months before
	// the report (a "no" is a contact) / those who agreed to be contacted. From
	// the origin's contact log; a withdrawal leaves both, and so do the end of the
	// consent (ledger.PurposeContact) and an erasure. As at the report, whatever the
	// period; merged files are one person. At an earlier instant what was recorded
	// later is left out; of the log only the latest tries are kept (ledger.MaxTries).
	EffectiveContact Measure = 12

	// Pairing 配对率 = notices paired with a local person / notices received, by due
	// day; rounds that Feedback excludes are excluded.
	Pairing Measure = 13

	// Address 地址到村率 = files whose living address reaches the village / all open
	// files, as they are at the report. A file is open that is neither erased nor
	// merged into another, and whose person is neither gone nor dead; one that only
	// a notice told of is open too. Files carry no history of counts: an earlier
	// instant is counted as now. So for ID and Duplicate.
	Address Measure = 14

	// ID ID合格率 = files whose document passes its check or is confirmed / all open
	// files. The document is the one that the person is known by; none does not
	// pass, and kinds without a check digit pass by their form.
	ID Measure = 15

	// Duplicate 重复率 = files in an open duplicate proposal / all open files. Both
	// files of the proposal must be open; a file in several counts once.
	Duplicate Measure = 16

	// Visits 来访办结率 = visits settled within the limit / visits due in the period:
	// due is the policy's visit_days after the day on which the person first came,
	// and any result that closes settles, on the day that the record bears. One a
	// person and month. Whole months; sealed sums without times.
	Visits Measure = 17
)

// All lists the measures in the order in which a report shows them.
func All() []Measure {
	return []Measure{FiledInTime, Feedback, FeedbackOnTime, Checking, Verification, Certificate, Registration, Offer, Contraceptives, FollowUp,
		BirthNotice, EffectiveContact, Pairing, Address, ID, Duplicate, Visits}
}

var measures = [...]struct{ name, zh string }{
	Certificate:      {policy.RateCertificate, "办证率"},
	Verification:     {policy.RateVerification, "验证率"},
	Feedback:         {policy.RateFeedback, "反馈率"},
	FeedbackOnTime:   {policy.RateFeedbackOnTime, "及时反馈率"},
	FiledInTime:      {policy.RateFiledInTime, "及时录入率"},
	Checking:         {policy.RateChecking, "核实率"},
	Registration:     {policy.RateRegistration, "登记率"},
	Offer:            {policy.RateOffer, "服务告知率"},
	Contraceptives:   {policy.RateContraceptives, "药具发放率"},
	FollowUp:         {policy.RateFollowUp, "随访率"},
	BirthNotice:      {policy.RateBirthNotice, "通报率"},
	EffectiveContact: {policy.RateEffectiveContact, "有效联系率"},
	Pairing:          {policy.RatePairing, "配对率"},
	Address:          {policy.RateAddress, "地址到村率"},
	ID:               {policy.RateID, "ID合格率"},
	Duplicate:        {policy.RateDuplicate, "重复率"},
	Visits:           {policy.RateVisits, "来访办结率"},
}

// OfRounds reports whether the measure counts rounds of cases: rates over items
// that two ends share, the same at both.
func (m Measure) OfRounds() bool { return m == Verification || m == Feedback || m == FeedbackOnTime }

// Sensitive reports whether the measure is broken down by a service, a refusal
// or a consent: outside the owning office it is suppressed (SECURITY D3).
func (m Measure) Sensitive() bool {
	switch m {
	case Registration, Offer, Contraceptives, FollowUp, BirthNotice, EffectiveContact:
		return true
	}
	return false
}

// Known reports whether m is one of the measures.
func (m Measure) Known() bool { return m >= Certificate && m <= Visits }

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
