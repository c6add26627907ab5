package rpc

import (
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/todo"
)

// auditService is yipan.ledger.v1.AuditService.
type auditService struct {
	ledgerv1.UnimplementedAuditServiceServer
	todo *todo.Todo
}
