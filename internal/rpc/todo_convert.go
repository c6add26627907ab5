package rpc

import (
	"yipan/internal/cases"
	"yipan/internal/desk"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/todo"
)

func todosRequest(r *ledgerv1.ListTodosRequest) (todo.Query, error) {
	d := &decoder{}
	q := todo.Query{
		Office: d.area("office", r.GetOffice()), PageSize: d.pageSize(r.GetPageSize(), todo.MaxPage),
		PageToken: d.text("page_token", r.GetPageToken(), maxToken), Purpose: d.text("purpose", r.GetPurpose(), maxText),
	}
	if len(r.GetKinds()) > maxList {
		d.refuse("kinds", "TOO_MANY", "has too many values", "项数过多")
		return q, d.err
	}
	for _, k := range r.GetKinds() {
		q.Kinds = append(q.Kinds, requiredNumber(d, "kinds", k, todo.Reroute))
	}
	return q, d.err
}

func todoMessage(e *todo.Entry) *ledgerv1.Todo {
	m := &ledgerv1.Todo{
		Kind: ledgerv1.TodoKind(e.Kind), Office: areaOf(e.Office), CaseId: idOf(e.Case), Etag: e.Etag, Subject: e.Subject, DueAt: instantOf(e.DueAt),
		Counterpart: areaOf(e.Counterpart), N: e.N, More: e.More, Refs: e.Refs,
	}
	if e.CaseKind.Known() {
		m.CaseKind = e.CaseKind.String()
	}
	return m
}

func acknowledgeRequest(r *ledgerv1.AcknowledgeCaseRequest) (desk.AcknowledgeRequest, error) {
	d := &decoder{}
	q := desk.AcknowledgeRequest{
		RequestID: d.requestID(r.GetRequestId()),
		Ref:       desk.CaseRef{Case: d.caseID("case_id", r.GetCaseId()), Etag: d.text("etag", r.GetEtag(), maxWord)},
	}
	return q, d.err
}

func previewRequest(r *ledgerv1.PreviewActionRequest) (todo.PreviewRequest, error) {
	d := &decoder{}
	q := todo.PreviewRequest{
		Office: d.area("office", r.GetOffice()), Action: requiredNumber(d, "action", r.GetAction(), todo.DistributeTo),
		Purpose: d.text("purpose", r.GetPurpose(), maxText),
	}
	if err := tooMany(len(r.GetCaseIds())); err != nil {
		d.fail("case_ids", err)
		return q, d.err
	}
	for _, s := range r.GetCaseIds() {
		q.Cases = append(q.Cases, d.caseID("case_ids", s))
	}
	return q, d.err
}

func doneMessages(done []todo.Done) []*ledgerv1.AppliedChange {
	var ms []*ledgerv1.AppliedChange
	for _, c := range done {
		ms = append(ms, &ledgerv1.AppliedChange{CaseId: idOf(c.Case), Etag: c.Etag, Reason: c.Reason, Message: c.Message})
	}
	return ms
}

func accessRequest(r *ledgerv1.ListAccessRequest) (todo.AuditQuery, error) {
	d := &decoder{}
	q := todo.AuditQuery{
		Office: d.area("office", r.GetOffice()), Account: d.text("account", r.GetAccount(), maxWord),
		Subject: id(d, "subject_id", r.GetSubjectId(), cases.ParsePersonID), Denied: r.GetDeniedOnly(),
		From: d.instant("from", r.GetFrom()), To: d.instant("to", r.GetTo()),
		PageSize: d.pageSize(r.GetPageSize(), todo.MaxAuditPage), PageToken: d.text("page_token", r.GetPageToken(), maxToken),
	}
	return q, d.err
}

func accessMessage(e *todo.AccessEvent) *ledgerv1.AccessEvent {
	m := &ledgerv1.AccessEvent{
		EventId: e.ID, At: instantOf(e.At), Account: e.Account, OnBehalf: e.OnBehalf, Office: areaOf(e.Office), Verb: e.Verb, Purpose: e.Purpose,
		N: int32(e.N), Denied: e.Denied,
	}
	for _, s := range e.Subjects {
		m.SubjectIds = append(m.SubjectIds, cases.PersonID(s).String())
	}
	return m
}
