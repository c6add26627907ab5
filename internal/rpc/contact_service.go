package rpc

import (
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/services"
)

// contactService is yipan.ledger.v1.ContactService.
type contactService struct {
	ledgerv1.UnimplementedContactServiceServer
	services *services.Services
}
