package rpc

import (
	"context"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/todo"
)

// todoService is yipan.ledger.v1.TodoService. Every method decodes, calls one
// verb and encodes.
type todoService struct {
	ledgerv1.UnimplementedTodoServiceServer
	todo *todo.Todo
}

func (s *todoService) ListTodos(ctx context.Context, r *ledgerv1.ListTodosRequest) (*ledgerv1.ListTodosResponse, error) {
	q, err := todosRequest(r)
	if err != nil {
		return nil, err
	}
	list, next, err := s.todo.List(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListTodosResponse{NextPageToken: next}
	for i := range list {
		resp.Todos = append(resp.Todos, todoMessage(&list[i]))
	}
	return resp, nil
}

func (s *todoService) CountTodos(ctx context.Context, r *ledgerv1.CountTodosRequest) (*ledgerv1.CountTodosResponse, error) {
	d := &decoder{}
	office := d.area("office", r.GetOffice())
	if d.err != nil {
		return nil, d.err
	}
	counts, err := s.todo.Counts(ctx, principal(ctx), office)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.CountTodosResponse{}
	for _, c := range counts {
		resp.Counts = append(resp.Counts, &ledgerv1.TodoCount{Kind: ledgerv1.TodoKind(c.Kind), N: c.N, More: c.More, Overdue: c.Overdue})
	}
	return resp, nil
}

func (s *todoService) AcknowledgeCase(ctx context.Context, r *ledgerv1.AcknowledgeCaseRequest) (*ledgerv1.AcknowledgeCaseResponse, error) {
	q, err := acknowledgeRequest(r)
	if err != nil {
		return nil, err
	}
	v, err := s.todo.Desk.AcknowledgeCase(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.AcknowledgeCaseResponse{Etag: v.Etag}, nil
}

func (s *todoService) PreviewAction(ctx context.Context, r *ledgerv1.PreviewActionRequest) (*ledgerv1.PreviewActionResponse, error) {
	q, err := previewRequest(r)
	if err != nil {
		return nil, err
	}
	plan, err := s.todo.Preview(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.PreviewActionResponse{PlanToken: plan.Token, Undoable: plan.Action.Undoable()}
	for _, c := range plan.Changes {
		resp.Changes = append(resp.Changes, &ledgerv1.PlannedChange{CaseId: idOf(c.Case), Etag: c.Etag, Subject: c.Subject, Change: c.Change, LeftOut: c.LeftOut})
	}
	return resp, nil
}

func (s *todoService) ApplyAction(ctx context.Context, r *ledgerv1.ApplyActionRequest) (*ledgerv1.ApplyActionResponse, error) {
	d := &decoder{}
	requestID, token := d.requestID(r.GetRequestId()), d.required("plan_token", r.GetPlanToken(), maxToken)
	if d.err != nil {
		return nil, d.err
	}
	id, done, err := s.todo.Apply(ctx, principal(ctx), requestID, token)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.ApplyActionResponse{ActionId: id, Changes: doneMessages(done)}, nil
}

func (s *todoService) UndoAction(ctx context.Context, r *ledgerv1.UndoActionRequest) (*ledgerv1.UndoActionResponse, error) {
	d := &decoder{}
	requestID, action := d.requestID(r.GetRequestId()), d.required("action_id", r.GetActionId(), maxToken)
	if d.err != nil {
		return nil, d.err
	}
	done, err := s.todo.Undo(ctx, principal(ctx), requestID, action)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.UndoActionResponse{Changes: doneMessages(done)}, nil
}
