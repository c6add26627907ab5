package rpc

import (
	"yipan/internal/cases"
	"yipan/internal/desk"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	"yipan/internal/services"
)

func openRequest(r *casesv1.OpenCaseRequest) (desk.OpenRequest, error) {
	d := &decoder{}
	q := desk.OpenRequest{
		RequestID:         d.requestID(r.GetRequestId()),
		Kind:              requiredNumber(d, "kind", r.GetKind(), cases.BirthService),
		Origin:            d.area("origin", r.GetOrigin()),
		Destination:       d.requiredArea("destination", r.GetDestination()),
		Urgent:            r.GetUrgent(),
		CertificateAsked:  d.date("certificate_asked_on", r.GetCertificateAskedOn()),
		CertificateIssued: d.date("certificate_issued_on", r.GetCertificateIssuedOn()),
		Approval:          [16]byte(id(d, "approval_id", r.GetApprovalId(), cases.ParseCaseID)),
	}
	q.Fields = fields(d, "fields", r.GetFields())
	return q, d.err
}

func fields(parent *decoder, name string, f *casesv1.Fields) desk.FieldsInput {
	if f == nil {
		parent.refuse(name, "FIELD_REQUIRED", "is missing", "缺少个人信息")
		return desk.FieldsInput{}
	}
	d := parent.in(name)
	defer parent.merge(d)
	in := desk.FieldsInput{
		Name:              d.text("name", f.GetName(), maxName),
		Document:          d.text("document", f.GetDocument(), maxWord),
		Sex:               f.GetSex(),
		Birth:             d.date("birth_date", f.GetBirthDate()),
		Contact:           d.text("contact", f.GetContact(), maxWord),
		ContactSafe:       f.GetContactSafe(),
		EventDay:          d.day("event_date", f.GetEventDate()),
		Basis:             basis(d, f.GetBasis()),
		DocumentConfirmed: f.GetDocumentConfirmed(),
		Confirm:           id(d, "confirm_consent_id", f.GetConfirmConsentId(), cases.ParseConsentID),
		Request:           d.text("request", f.GetRequest(), maxText),
		Certificate:       d.text("certificate", f.GetCertificate(), maxWord),
	}
	switch in.Sex {
	case 0, 1, 2, 9: // GB/T 2261.1
	default:
		d.refuse("sex", "SEX_CODE", "is no code of GB/T 2261.1", "性别代码应为 0、1、2 或 9")
	}
	return in
}

// basis reads a basis; whether it is enough, the desk says. Members that do not
// fit the kind are refused, because one of the two is a mistake.
func basis(parent *decoder, b *casesv1.Basis) desk.BasisInput {
	if b == nil {
		return desk.BasisInput{}
	}
	d := parent.in("basis")
	defer parent.merge(d)
	in := desk.BasisInput{
		Kind:    number(d, "kind", b.GetKind(), cases.BasisDuty),
		Consent: id(d, "consent_id", b.GetConsentId(), cases.ParseConsentID),
		Duty:    d.text("duty", b.GetDuty(), maxWord),
	}
	if b.GetConsentId() != "" && in.Kind != cases.BasisConsent {
		d.refuse("consent_id", "BASIS_MIXED", "is given with another kind of basis", "只有依据为同意书时才写同意书编号")
	}
	if in.Duty != "" && in.Kind != cases.BasisDuty {
		d.refuse("duty", "BASIS_MIXED", "is given with another kind of basis", "只有依据为政策职责时才写职责名称")
	}
	return in
}

func caseRef(parent *decoder, name string, r *casesv1.CaseRef) desk.CaseRef {
	d := parent.in(name)
	if name == "" {
		d = &decoder{}
	}
	defer parent.merge(d)
	return desk.CaseRef{Case: d.caseID("case_id", r.GetCaseId()), Etag: d.required("etag", r.GetEtag(), maxWord)}
}

func answerRequest(r *casesv1.AnswerCaseRequest) (desk.AnswerRequest, error) {
	d := &decoder{}
	q := desk.AnswerRequest{RequestID: d.requestID(r.GetRequestId()), Ref: caseRef(d, "ref", r.GetRef())}
	a := r.GetAnswer()
	if a == nil {
		d.refuse("answer", "FIELD_REQUIRED", "is missing", "缺少答复内容")
		return q, d.err
	}
	in := d.in("answer")
	q.Answer = desk.AnswerInput{
		Outcome:        requiredNumber(in, "outcome", a.GetOutcome(), cases.Received),
		Area:           in.area("area", a.GetArea()),
		DuplicateOf:    id(in, "duplicate_of", a.GetDuplicateOf(), cases.ParseCaseID),
		Attempts:       a.GetAttempts(),
		Channels:       in.words("channels", a.GetChannels()),
		ConflictFields: in.words("conflict_fields", a.GetConflictFields()),
		Reason:         in.text("reason", a.GetReason(), maxText),
		Check:          in.text("check", a.GetCheck(), maxWord),
		Basis:          basis(in, a.GetBasis()),
		TrueReason:     in.text("true_reason", a.GetTrueReason(), maxWord),
	}
	d.merge(in)
	return q, d.err
}

func getRequest(r *casesv1.GetCaseRequest) (desk.GetRequest, error) {
	d := &decoder{}
	q := desk.GetRequest{Case: d.caseID("case_id", r.GetCaseId()), Unmask: r.GetUnmask(), Purpose: d.text("purpose", r.GetPurpose(), maxText)}
	return q, d.err
}

func listRequest(r *casesv1.ListCasesRequest) (desk.ListRequest, error) {
	d := &decoder{}
	q := desk.ListRequest{
		Kind:        number(d, "kind", r.GetKind(), cases.BirthService),
		Side:        number(d, "side", r.GetSide(), cases.SideReceiver),
		Waiting:     number(d, "waiting", r.GetWaiting(), desk.WaitResidence),
		DueBefore:   d.instant("due_before", r.GetDueBefore()),
		Office:      d.area("office", r.GetOffice()),
		Counterpart: d.area("counterpart", r.GetCounterpart()),
		PageSize:    d.pageSize(r.GetPageSize(), 1_000),
		PageToken:   d.text("page_token", r.GetPageToken(), maxToken),
		Purpose:     d.text("purpose", r.GetPurpose(), maxText),
	}
	if len(r.GetStates()) > maxList {
		d.refuse("states", "TOO_MANY", "has too many values", "项数过多")
		return q, d.err
	}
	for _, s := range r.GetStates() {
		q.States = append(q.States, requiredNumber(d, "states", s, cases.StatusClosed))
	}
	return q, d.err
}

func correctRequest(r *casesv1.CorrectCaseRequest) (desk.CorrectRequest, error) {
	d := &decoder{}
	q := desk.CorrectRequest{RequestID: d.requestID(r.GetRequestId()), Ref: caseRef(d, "ref", r.GetRef())}
	q.Fields = fields(d, "fields", r.GetFields())
	return q, d.err
}

func rerouteRequest(r *casesv1.RerouteCaseRequest) (desk.RerouteRequest, error) {
	d := &decoder{}
	q := desk.RerouteRequest{
		RequestID: d.requestID(r.GetRequestId()), Ref: caseRef(d, "ref", r.GetRef()),
		Destination: d.requiredArea("destination", r.GetDestination()),
	}
	return q, d.err
}

// reasoned is the shape of withdraw, dispute, close and reopen.
type reasoned interface {
	GetRequestId() string
	GetRef() *casesv1.CaseRef
	GetReason() string
}

func changeRequest(r reasoned) (desk.ChangeRequest, error) {
	d := &decoder{}
	q := desk.ChangeRequest{
		RequestID: d.requestID(r.GetRequestId()), Ref: caseRef(d, "ref", r.GetRef()),
		Reason: d.text("reason", r.GetReason(), maxText),
	}
	return q, d.err
}

func offerRequest(r *casesv1.RecordOfferRequest) (services.OfferRequest, error) {
	d := &decoder{}
	q := services.OfferRequest{
		RequestID: d.requestID(r.GetRequestId()), Ref: caseRef(d, "ref", r.GetRef()), OfferRound: r.GetOfferRound(),
		Result:   d.required("result", r.GetResult(), maxWord),
		Date:     d.day("date", d.required("date", r.GetDate(), maxWord)),
		Channel:  d.text("channel", r.GetChannel(), maxWord),
		Findings: d.pairs("findings", r.GetFindings()),
		Consent:  id(d, "consent_id", r.GetConsentId(), cases.ParseConsentID),
	}
	return q, d.err
}
