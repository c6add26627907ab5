package rpc

import (
	"yipan/internal/closing"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// reportService is yipan.rates.v1.ReportService.
type reportService struct {
	ratesv1.UnimplementedReportServiceServer
	closing *closing.Closing
}
