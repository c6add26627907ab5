package rpc

import (
	"strings"

	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ledger"
	"yipan/internal/moves"
)

func movementRequest(r *ledgerv1.RegisterMovementRequest) (moves.Input, error) {
	d := &decoder{}
	if r.GetMovement() == nil {
		d.refuse("movement", "FIELD_REQUIRED", "is missing", "缺少流动内容")
		return moves.Input{}, d.err
	}
	in := d.in("movement")
	q := movementInput(in, r.GetMovement())
	q.RequestID = in.requestID(r.GetMovement().GetRequestId())
	return q, in.err
}

// movementRow reads one of a batch; its fields are named from the movement on.
func movementRow(m *ledgerv1.MovementInput) (moves.Input, error) {
	d := &decoder{}
	q := movementInput(d, m)
	q.RequestID = d.requestID(m.GetRequestId())
	return q, d.err
}

func movementInput(d *decoder, m *ledgerv1.MovementInput) moves.Input {
	q := moves.Input{
		Office: d.area("office", m.GetOffice()), Person: id(d, "person_id", m.GetPersonId(), cases.ParsePersonID),
		Kind: number(d, "kind", m.GetKind(), ledger.Death), From: d.area("from", m.GetFrom()), To: d.area("to", m.GetTo()),
		On: d.day("event_date", m.GetEventDate()), Basis: basis(d, m.GetBasis()),
		Confirm: id(d, "confirm_consent_id", m.GetConfirmConsentId(), cases.ParseConsentID), Objects: m.GetObjects(),
		Approval:          id(d, "approval_id", m.GetApprovalId(), cases.ParseItemID),
		CertificateAsked:  d.date("certificate_asked_on", m.GetCertificateAskedOn()),
		CertificateIssued: d.date("certificate_issued_on", m.GetCertificateIssuedOn()),
	}
	if m.GetProfile() != nil {
		f := profileInput(d, m.GetProfile())
		q.Profile = &f
	}
	return q
}

func acceptRequest(r *ledgerv1.AcceptNoticeRequest) (moves.Accept, error) {
	d := &decoder{}
	q := moves.Accept{
		RequestID: d.requestID(r.GetRequestId()),
		Ref:       desk.CaseRef{Case: d.caseID("case_id", r.GetCaseId()), Etag: d.required("etag", r.GetEtag(), maxWord)},
	}
	if r.GetMovement() != nil {
		in := d.in("movement")
		m := movementInput(in, r.GetMovement())
		q.Movement = &m
		d.merge(in)
	}
	return q, d.err
}

func undoRequest(r *ledgerv1.UndoMovementRequest) (moves.Undo, error) {
	d := &decoder{}
	q := moves.Undo{
		RequestID: d.requestID(r.GetRequestId()), Movement: requiredID(d, "movement_id", r.GetMovementId(), ledger.ParseMovementID),
		Reason: d.text("reason", r.GetReason(), maxText),
	}
	return q, d.err
}

// inMovement names the field of an error as the request does, whose movement
// stands in a member of its own.
func inMovement(err error) error {
	f, ok := fault.As(err)
	if !ok || f.Field == "" || strings.HasPrefix(f.Field, "movement.") {
		return err
	}
	c := *f
	return c.On("movement." + f.Field)
}

func movementMessage(m moves.Movement) *ledgerv1.Movement {
	if m.ID.IsZero() {
		return nil
	}
	return &ledgerv1.Movement{
		MovementId: idOf(m.ID), PersonId: idOf(m.Person), Office: areaOf(m.Office), Kind: ledgerv1.MovementKind(m.Kind),
		From: areaOf(m.From), To: areaOf(m.To), EventDate: m.On.String(), RecordedAt: instantOf(m.RecordedAt), Account: m.Account,
		DueDate: m.DueOn.String(), CaseId: idOf(m.Case), StayedBecause: m.Stayed, Undone: !m.UndoneAt.IsZero(),
	}
}

func followedMessages(list []ledger.NotedCase) []*ledgerv1.FollowedCase {
	var out []*ledgerv1.FollowedCase
	for _, c := range list {
		out = append(out, &ledgerv1.FollowedCase{CaseId: idOf(c.Case), Change: c.Change})
	}
	return out
}

func movementResult(r moves.Result) *ledgerv1.MovementResult {
	return &ledgerv1.MovementResult{
		Movement: movementMessage(r.Movement), Warnings: r.Warnings, Cases: followedMessages(r.Cases),
		ApprovalId: idOf(cases.ItemID(r.Approval)), RepeatedRequest: r.Repeated,
	}
}

// prefillMessage is a movement as it would be registered; the clerk adds the
// request id.
func prefillMessage(p moves.Prefill) *ledgerv1.PrefillNoticeResponse {
	in := p.Movement
	return &ledgerv1.PrefillNoticeResponse{
		PersonId: idOf(p.Person),
		Movement: &ledgerv1.MovementInput{
			Office: areaOf(in.Office), PersonId: idOf(in.Person), Profile: profileMessage(in.Profile), Kind: ledgerv1.MovementKind(in.Kind),
			From: areaOf(in.From), To: areaOf(in.To), EventDate: in.On.String(), Basis: &casesv1.Basis{},
		},
	}
}

func movementError(err error) *ledgerv1.MovementError {
	r := render(err)
	return &ledgerv1.MovementError{Reason: r.reason, Field: r.field, Message: r.chinese}
}
