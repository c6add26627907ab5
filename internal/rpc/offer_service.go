package rpc

import (
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/services"
)

// offerService is yipan.ledger.v1.OfferService.
type offerService struct {
	ledgerv1.UnimplementedOfferServiceServer
	services *services.Services
}
