package services

import (
	"slices"
	"unicode/utf8"

	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
)

// checkRecord refuses a record that is wrong whoever it is about. today is the
// last day that it may name as past.
func checkRecord(kind ledger.Service, r *ledger.ServiceRecord, today civil.Date) error {
	switch {
	case !kind.Known():
		return fault.Invalid("SERVICE_KIND", "unknown kind of service").Zh("服务类别代码不正确").On("kind")
	case !slices.Contains(ledger.ServiceResults(), r.Result):
		return fault.Invalid("OFFER_RESULT", "unknown result of an offer").Zh("结果只能是：asked（已申请）、done（已服务）、declined（谢绝）、standing_refusal（不再询问）、not_reached（未联系上）、not_applicable（不适用）").On("result")
	case r.Date.IsZero():
		return fault.Invalid("REQUIRED", "date is missing").Zh("请填写服务日期").On("date")
	case r.Date.After(today):
		return fault.Invalid("FUTURE_DATE", "date lies in the future").Zh("服务日期不能晚于今天").On("date")
	case !slices.Contains(ledger.Channels(), r.Channel):
		return fault.Invalid("CHANNEL_CODE", "unknown channel").Zh("方式只能是：visit（上门）、phone（电话）、message（短信）、letter（信函）、counter（窗口）").On("channel")
	case r.Result != ledger.OfferDone && (len(r.Findings) > 0 || !r.Consent.IsZero()):
		return fault.Invalid("FINDINGS_UNEXPECTED", "findings or consent without a service done").Zh("只有已服务的才填写结果和同意书").On("findings")
	case kind != ledger.ThreeChecks && (len(r.Findings) > 0 || !r.Consent.IsZero()):
		return fault.Invalid("FINDINGS_UNEXPECTED", "findings or consent of another service than the three checks").Zh("只有三查才填写检查结果和同意书").On("findings")
	case r.OwnProof && r.Result != ledger.OfferDone && r.Result != ledger.OfferNotApplicable:
		return fault.Invalid("OWN_PROOF", "own proof without a service done").Zh("本人出示自有证明的，结果应为已服务或不适用").On("own_proof")
	case r.OwnProof && len(r.Findings) > 0:
		return fault.Invalid("OWN_PROOF", "findings copied from the person's own proof").Zh("本人出示自有证明的，只记录已出示，不抄录其内容").On("findings")
	case !r.Appointment.IsZero() && r.Appointment.Before(r.Date):
		return fault.Invalid("DATE_ORDER", "appointment before the day of the service").Zh("预约日期不能早于服务日期").On("appointment")
	case r.Appointment.After(today.AddDays(366)):
		return fault.Invalid("DATE_ORDER", "appointment over a year ahead").Zh("预约日期不能晚于一年以后，请核对").On("appointment")
	}
	if err := checkReferral(r, today); err != nil {
		return err
	}
	for name, v := range r.Findings {
		switch {
		case !slices.Contains(ledger.Findings(), name):
			return fault.Invalid("FIELD_NAME", "no such finding").Zh("检查结果只能是三查项目：pregnancy、iud、reproductive_health").On("findings")
		case len(v) > ledger.MaxFinding:
			return fault.Invalid("TEXT_LENGTH", "finding has %d bytes, at most %d", len(v), ledger.MaxFinding).Zh("检查结果最多 %d 字", ledger.MaxFinding/3).On("findings")
		}
	}
	return nil
}

func checkReferral(r *ledger.ServiceRecord, today civil.Date) error {
	f := r.Referral
	switch {
	case f == nil:
		return nil
	case f.To == "":
		return fault.Invalid("REQUIRED", "referral without a place").Zh("请填写转介去向").On("referral.to")
	case utf8.RuneCountInString(f.To) > ledger.MaxReferral:
		return fault.Invalid("TEXT_LENGTH", "referral has more than %d characters", ledger.MaxReferral).Zh("转介去向最多 %d 字", ledger.MaxReferral).On("referral.to")
	case f.Date.IsZero():
		return fault.Invalid("REQUIRED", "referral without a date").Zh("请填写转介日期").On("referral.date")
	case f.Date.After(today):
		return fault.Invalid("FUTURE_DATE", "referral lies in the future").Zh("转介日期不能晚于今天").On("referral.date")
	case f.Done.IsZero():
		return nil
	case f.Done.After(today):
		return fault.Invalid("FUTURE_DATE", "referral done in the future").Zh("转介办结日期不能晚于今天").On("referral.done_date")
	case f.Done.Before(f.Date):
		return fault.Invalid("DATE_ORDER", "referral done before it was made").Zh("转介办结日期不能早于转介日期").On("referral.done_date")
	}
	return nil
}
