package rpc

import (
	"context"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/todo"
)

// auditService is yipan.ledger.v1.AuditService: the access log, for auditors.
type auditService struct {
	ledgerv1.UnimplementedAuditServiceServer
	todo *todo.Todo
}

func (s *auditService) ListAccess(ctx context.Context, r *ledgerv1.ListAccessRequest) (*ledgerv1.ListAccessResponse, error) {
	q, err := accessRequest(r)
	if err != nil {
		return nil, err
	}
	events, next, err := s.todo.Access(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListAccessResponse{NextPageToken: next}
	for i := range events {
		resp.Events = append(resp.Events, accessMessage(&events[i]))
	}
	return resp, nil
}
