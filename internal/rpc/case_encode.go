package rpc

import (
	"maps"
	"slices"

	"yipan/internal/cases"
	"yipan/internal/desk"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

func caseMessage(v desk.CaseView) *casesv1.Case {
	m := &casesv1.Case{
		CaseId:                idOf(v.ID),
		Kind:                  casesv1.Kind(v.Kind),
		Side:                  casesv1.Side(v.Side),
		Office:                areaOf(v.Office),
		Origin:                areaOf(v.X),
		Destination:           areaOf(v.Y),
		State:                 casesv1.State(v.Status),
		Round:                 v.Round,
		Waiting:               casesv1.Waiting(v.Waiting),
		Etag:                  v.Etag,
		OpenedAt:              instantOf(v.OpenedAt),
		DeliveredAt:           instantOf(v.DeliveredAt),
		DueAt:                 instantOf(v.DueAt),
		AnsweredAt:            instantOf(v.AnsweredAt),
		AssignedTo:            areaOf(v.Assigned),
		Subject:               v.Subject,
		Fields:                fieldsMessage(v.Fields),
		Answer:                answerMessage(v.Answer),
		Paired:                v.Paired,
		MayConfirm:            v.MayConfirm,
		Disputed:              v.Disputed,
		AnsweredOnOlderFields: v.OlderFields,
		WithdrawalCrossed:     v.Crossed,
		ParentCaseId:          idOf(v.Parent),
		Hops:                  v.Hops,
		NoNodeYet:             v.NoNodeYet,
		ExtendedDays:          v.Extended,
		ExtensionReasons:      v.Extensions,
	}
	for _, f := range v.Feedback {
		m.Feedback = append(m.Feedback, &casesv1.Feedback{OfferRound: f.OfferRound, Released: f.Released, Fields: f.Fields})
	}
	return m
}

func caseMessages(vs []desk.CaseView) []*casesv1.Case {
	ms := make([]*casesv1.Case, len(vs))
	for i, v := range vs {
		ms[i] = caseMessage(v)
	}
	return ms
}

func fieldsMessage(f *cases.Fields) *casesv1.Fields {
	if f == nil {
		return nil
	}
	return &casesv1.Fields{
		Name: f.Name, Document: f.DocumentNumber, Sex: f.Sex, BirthDate: dayOf(&f.Birth), Contact: f.Contact, ContactSafe: f.ContactSafe,
		EventDate: dayOf(&f.EventDay), Basis: basisMessage(f.Basis), ConfirmConsentId: idOf(f.Confirm.Consent),
		Request: f.Request, Certificate: f.Certificate,
	}
}

func basisMessage(b cases.Basis) *casesv1.Basis {
	if b.Kind == cases.BasisNone {
		return nil
	}
	return &casesv1.Basis{Kind: casesv1.BasisKind(b.Kind), ConsentId: idOf(b.Consent), Duty: b.Duty}
}

// answerMessage leaves the true reason out: it is write-only.
func answerMessage(a *cases.AnswerBody) *casesv1.Answer {
	if a == nil {
		return nil
	}
	return &casesv1.Answer{
		Outcome: casesv1.Outcome(a.Outcome), Area: areaOf(a.Area), DuplicateOf: idOf(a.DuplicateOf), Attempts: a.Attempts,
		Channels: a.Channels, ConflictFields: a.ConflictFields, Reason: a.Reason, Check: a.Check, Basis: basisMessage(a.Basis),
	}
}

func changeResult(i int, r desk.ChangeResult) *casesv1.ChangeResult {
	return &casesv1.ChangeResult{Index: int32(i), CaseId: idOf(r.Case), Etag: r.Etag, Error: itemError(r.Err), Warnings: r.Warnings}
}

func openResult(i int, r desk.OpenResult) *casesv1.OpenResult {
	m := &casesv1.OpenResult{Index: int32(i), Error: itemError(r.Err), Warnings: r.Warnings, RepeatedRequest: r.Repeated}
	if r.Err == nil {
		m.CaseId = idOf(r.Case)
	}
	return m
}

func traceMessage(t desk.Trace) *casesv1.TraceCaseResponse {
	m := &casesv1.TraceCaseResponse{Case: caseMessage(t.Case)}
	for _, e := range t.Events {
		m.Events = append(m.Events, &casesv1.Event{
			ItemId: idOf(e.Item), Kind: e.Kind.String(), Side: casesv1.Side(e.Side), Node: nodeOf(e.Node), Round: e.Round,
			RecordedAt: instantOf(e.RecordedAt), DeliveredAt: instantOf(e.DeliveredAt), Rejected: e.Rejected.String(),
			Revoked: e.Revoked, Erased: e.Erased,
		})
	}
	for _, w := range slices.Sorted(maps.Keys(t.Spent)) {
		m.SideTimes = append(m.SideTimes, &casesv1.SideTime{Waiting: casesv1.Waiting(w), Seconds: int64(t.Spent[w].Seconds())})
	}
	return m
}
