package rpc

import (
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/todo"
)

// todoService is yipan.ledger.v1.TodoService.
type todoService struct {
	ledgerv1.UnimplementedTodoServiceServer
	todo *todo.Todo
}
