package rpc

import (
	"context"

	"yipan/internal/cases"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/moves"
)

// movementService is yipan.ledger.v1.MovementService.
type movementService struct {
	ledgerv1.UnimplementedMovementServiceServer
	moves *moves.Moves
}

func (s *movementService) RegisterMovement(ctx context.Context, r *ledgerv1.RegisterMovementRequest) (*ledgerv1.RegisterMovementResponse, error) {
	q, err := movementRequest(r)
	if err != nil {
		return nil, err
	}
	res, err := s.moves.Register(ctx, principal(ctx), q)
	if err != nil {
		return nil, inMovement(err)
	}
	return &ledgerv1.RegisterMovementResponse{Result: movementResult(res)}, nil
}

// BatchRegisterMovements calls the moves once for the movements that can be read.
func (s *movementService) BatchRegisterMovements(ctx context.Context, r *ledgerv1.BatchRegisterMovementsRequest) (*ledgerv1.BatchRegisterMovementsResponse, error) {
	rows, err := batch(r.GetMovements(), movementRow, func(qs []moves.Input) ([]moves.Row, error) {
		return s.moves.RegisterMany(ctx, principal(ctx), qs)
	}, func(_ int, err error) moves.Row { return moves.Row{Err: err} })
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.BatchRegisterMovementsResponse{}
	for i, row := range rows {
		m := &ledgerv1.MovementRow{Index: int32(i)}
		if row.Err != nil {
			m.Error = movementError(row.Err)
		} else {
			m.Result = movementResult(row.Result)
		}
		resp.Rows = append(resp.Rows, m)
	}
	return resp, nil
}

func (s *movementService) PrefillNotice(ctx context.Context, r *ledgerv1.PrefillNoticeRequest) (*ledgerv1.PrefillNoticeResponse, error) {
	d := &decoder{}
	id, purpose := d.caseID("case_id", r.GetCaseId()), d.text("purpose", r.GetPurpose(), maxText)
	if d.err != nil {
		return nil, d.err
	}
	p, err := s.moves.Prefill(ctx, principal(ctx), id, purpose)
	if err != nil {
		return nil, err
	}
	return prefillMessage(p), nil
}

func (s *movementService) AcceptNotice(ctx context.Context, r *ledgerv1.AcceptNoticeRequest) (*ledgerv1.AcceptNoticeResponse, error) {
	q, err := acceptRequest(r)
	if err != nil {
		return nil, err
	}
	a, err := s.moves.Accept(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.AcceptNoticeResponse{Result: movementResult(a.Result), Etag: a.Etag}, nil
}

func (s *movementService) ListMovements(ctx context.Context, r *ledgerv1.ListMovementsRequest) (*ledgerv1.ListMovementsResponse, error) {
	d := &decoder{}
	id, purpose := requiredID(d, "person_id", r.GetPersonId(), cases.ParsePersonID), d.text("purpose", r.GetPurpose(), maxText)
	if d.err != nil {
		return nil, d.err
	}
	ms, err := s.moves.List(ctx, principal(ctx), id, purpose)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListMovementsResponse{}
	for _, m := range ms {
		resp.Movements = append(resp.Movements, movementMessage(m))
	}
	return resp, nil
}

func (s *movementService) UndoMovement(ctx context.Context, r *ledgerv1.UndoMovementRequest) (*ledgerv1.UndoMovementResponse, error) {
	q, err := undoRequest(r)
	if err != nil {
		return nil, err
	}
	res, err := s.moves.Undo(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.UndoMovementResponse{Movement: movementMessage(res.Movement), Cases: followedMessages(res.Cases), Warnings: res.Warnings}, nil
}

func (s *movementService) ApproveDestination(ctx context.Context, r *ledgerv1.ApproveDestinationRequest) (*ledgerv1.ApproveDestinationResponse, error) {
	d := &decoder{}
	request, approval := d.requestID(r.GetRequestId()), requiredID(d, "approval_id", r.GetApprovalId(), cases.ParseItemID)
	if d.err != nil {
		return nil, d.err
	}
	person, to, err := s.moves.Desk.ApproveDestination(ctx, principal(ctx), request, approval)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.ApproveDestinationResponse{PersonId: idOf(person), Destination: areaOf(to)}, nil
}
