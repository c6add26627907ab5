package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/closing"
	"yipan/internal/figures"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/report"
)

// reportService is yipan.rates.v1.ReportService.
type reportService struct {
	ratesv1.UnimplementedReportServiceServer
	closing *closing.Closing
}

// asked is which report somebody asks for.
type asked struct {
	kind     figures.ReportKind
	area     area.Key
	period   string
	revision *uint32
}

func (d *decoder) report(kind ratesv1.ReportKind, area, period string, revision *uint32) asked {
	return asked{kind: requiredNumber(d, "kind", kind, figures.Overdue), area: d.area("area", area), period: d.text("period", period, maxWord), revision: revision}
}

// report reads the figures as the caller may see them.
func (s *reportService) report(ctx context.Context, r asked) (closing.ReportData, error) {
	p := principal(ctx)
	data, err := s.closing.Report(ctx, p, r.kind, r.area, r.period, r.revision)
	if err == nil {
		data.Figures = figures.ShownTo(p, r.kind, !data.Frozen(), data.Figures)
	}
	return data, err
}

func (s *reportService) GetReport(ctx context.Context, r *ratesv1.GetReportRequest) (*ratesv1.GetReportResponse, error) {
	d := &decoder{}
	q := d.report(r.GetKind(), r.GetArea(), r.GetPeriod(), r.Revision)
	format := number(d, "format", r.GetFormat(), report.HTML)
	if d.err != nil {
		return nil, d.err
	}
	if format == 0 {
		format = report.XLSX
	}
	data, err := s.report(ctx, q)
	if err != nil {
		return nil, err
	}
	file := report.Data{Kind: data.Kind, Area: data.Area, Period: data.Period, Frozen: data.Frozen(), Revision: data.Revision}
	render := func() ([]byte, error) {
		whole, err := s.dataOf(ctx, &data)
		if err != nil {
			return nil, err
		}
		return report.Make(&whole, format)
	}
	var content []byte
	if p := principal(ctx); data.Frozen() {
		content, err = s.closing.Kept(ctx, p, data.Key(p, uint8(format)), report.Layout, render)
	} else {
		content, err = render()
	}
	if err != nil {
		return nil, err
	}
	h := sha256.Sum256(content)
	return &ratesv1.GetReportResponse{Content: content, FileName: file.FileName(format), MediaType: format.MediaType(), Digest: hex.EncodeToString(h[:])}, nil
}

// dataOf adds what a file says beside the figures: the digest of a frozen month,
// and, of a draft for the owning office, the overdue cases themselves.
func (s *reportService) dataOf(ctx context.Context, r *closing.ReportData) (report.Data, error) {
	d := report.Data{
		Kind: r.Kind, Area: r.Area, Period: r.Period, At: r.At, Figures: r.Figures, Frozen: r.Frozen(), Revision: r.Revision, Policy: r.Policy,
	}
	for _, m := range r.Missing {
		d.Missing = append(d.Missing, peerName(m))
	}
	p := principal(ctx)
	switch {
	case d.Frozen:
		last := policy.SpanMonth.Holding(r.Period.To.AddDays(-1))
		m, err := s.closing.GetMonth(ctx, p, r.Area, last.String(), &r.Revision)
		if err != nil {
			return d, err
		}
		d.Digest = hex.EncodeToString(m.Digest)
	case r.Kind == figures.Overdue && access.Can(p, access.CaseRead, r.Area):
		var err error
		if d.Cases, err = s.closing.Figures.OverdueCases(ctx, p, r.Area, r.Period, r.At); err != nil {
			return d, err
		}
	}
	return d, nil
}

func peerName(node string) string {
	k, err := area.Parse(node)
	if err != nil {
		return node
	}
	if name := area.FullName(k); name != "" {
		return name
	}
	return k.Short()
}

func (s *reportService) GetReportFigures(ctx context.Context, r *ratesv1.GetReportFiguresRequest) (*ratesv1.GetReportFiguresResponse, error) {
	d := &decoder{}
	q := d.report(r.GetKind(), r.GetArea(), r.GetPeriod(), r.Revision)
	if d.err != nil {
		return nil, d.err
	}
	data, err := s.report(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &ratesv1.GetReportFiguresResponse{Period: data.Period.String()}
	for _, g := range data.Figures {
		m := &ratesv1.Figure{Code: g.Code, Label: g.Label, Area: areaOf(g.Area), N: g.N, D: g.D, Rate: g.Rate, Suppressed: g.Suppressed}
		if g.Rate && !(g.Suppressed && g.D == 0) {
			m.Percent = rates.Ratio{N: g.N, D: g.D}.Percent()
		}
		resp.Figures = append(resp.Figures, m)
	}
	return resp, nil
}
