package rpc

import (
	"yipan/internal/desk"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// outageService is yipan.rates.v1.OutageService.
type outageService struct {
	ratesv1.UnimplementedOutageServiceServer
	desk *desk.Desk
}
