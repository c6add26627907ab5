package exchange

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
)

// Report is counts to be sent from an area of this node to another area. Its
// leg's case id follows from both areas and the period.
type Report struct {
	From, To area.Key
	Form     cases.ReportForm
	Period   string
	Content  []byte // at most 60 KiB
}

// SendReports writes reports as items, owed to the homes of both areas.
func (x *Exchange) SendReports(ctx context.Context, rs []Report) error {
	if len(rs) == 0 {
		return nil
	}
	return fault.Internal("REPORT", "not written yet")
}
