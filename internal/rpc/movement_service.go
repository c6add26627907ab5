package rpc

import (
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/moves"
)

// movementService is yipan.ledger.v1.MovementService.
type movementService struct {
	ledgerv1.UnimplementedMovementServiceServer
	moves *moves.Moves
}
