package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"yipan/internal/area"
	"yipan/internal/fault"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/rates"
)

// ErrNotRecounted says that kept figures are not what a full recount finds.
var ErrNotRecounted = fault.Internal("NOT_RECOUNTED", "demo: figures differ from a full recount").Zh("实时数字与全量重算不符")

func (p *place) reports(account string) ratesv1.ReportServiceClient {
	return ratesv1.NewReportServiceClient(p.conn(account))
}

// sayAnnual prints the report of 篇一, row by row, as the node computes it.
func (r *run) sayAnnual(ctx context.Context) error {
	resp, err := r.origin.reports(r.clerk()).GetReportFigures(ctx, &ratesv1.GetReportFiguresRequest{
		Kind: ratesv1.ReportKind_REPORT_KIND_ANNUAL, Area: r.spec.Origin.String(), Period: fmt.Sprintf("%04d", r.today.Year),
	})
	if err != nil {
		return fmt.Errorf("demo: annual report: %w", err)
	}
	r.say("—— %s %s 年度报表（篇一）——", "-- %s, annual report %s (report 1) --", area.FullName(r.spec.Origin), resp.GetPeriod())
	for _, f := range resp.GetFigures() {
		switch {
		case !f.GetRate():
			r.say("　　%s：%d", "    %s: %d", f.GetLabel(), f.GetN())
		case f.GetD() > 0:
			r.say("　　%s：%s", "    %s: %s", f.GetLabel(), rates.Ratio{N: f.GetN(), D: f.GetD()})
		}
	}
	if rem := r.result.Report.Remark; rem != "" && r.People == 0 {
		r.say("%s", "%s", rem)
	}
	return nil
}

// files are the reports that the demo makes.
var files = []struct {
	kind   ratesv1.ReportKind
	format ratesv1.ReportFormat
}{
	{ratesv1.ReportKind_REPORT_KIND_ANNUAL, ratesv1.ReportFormat_REPORT_FORMAT_XLSX},
	{ratesv1.ReportKind_REPORT_KIND_ANNUAL, ratesv1.ReportFormat_REPORT_FORMAT_HTML},
	{ratesv1.ReportKind_REPORT_KIND_MONTHLY, ratesv1.ReportFormat_REPORT_FORMAT_XLSX},
	{ratesv1.ReportKind_REPORT_KIND_MONTHLY, ratesv1.ReportFormat_REPORT_FORMAT_HTML},
	{ratesv1.ReportKind_REPORT_KIND_OVERDUE, ratesv1.ReportFormat_REPORT_FORMAT_XLSX},
}

// writeReports keeps the reports as files: the annual one of the origin
// township, the others of the residence county.
func (r *run) writeReports(ctx context.Context) error {
	dir := filepath.Join(r.Dir, "reports")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("demo: folder of the reports: %w", err)
	}
	var names []string
	for _, f := range files {
		req := &ratesv1.GetReportRequest{Kind: f.kind, Format: f.format, Period: r.month(), Area: r.residence.Area.String()}
		c := r.residence.reports(r.residence.operator)
		if f.kind == ratesv1.ReportKind_REPORT_KIND_ANNUAL {
			req.Area, req.Period = r.spec.Origin.String(), fmt.Sprintf("%04d", r.today.Year)
			c = r.origin.reports(r.clerk())
		}
		resp, err := c.GetReport(ctx, req)
		if err != nil {
			return fmt.Errorf("demo: make a report: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, resp.GetFileName()), resp.GetContent(), 0o600); err != nil {
			return fmt.Errorf("demo: keep a report: %w", err)
		}
		names = append(names, resp.GetFileName())
	}
	r.say("报表文件（%s）：%s", "reports as files (%s): %s", dir, strings.Join(names, r.t("、", ", ")))
	return nil
}

// sayWork prints what every township of the residence answers for.
func (r *run) sayWork(ctx context.Context) error {
	c := r.residence.rates(r.residence.operator)
	resp, err := c.GetRates(ctx, &ratesv1.GetRatesRequest{
		Period: r.month(), Area: r.residence.Area.String(), Breakdown: ratesv1.Breakdown_BREAKDOWN_TOWNSHIP, Kind: casesv1.Kind_KIND_OUTFLOW,
		Measures: []ratesv1.Measure{ratesv1.Measure_MEASURE_FEEDBACK, ratesv1.Measure_MEASURE_FEEDBACK_ON_TIME},
	})
	if err != nil {
		return fmt.Errorf("demo: rates by township: %w", err)
	}
	r.say("按乡镇（街道）：反馈率、及时反馈率、逾期", "by township: feedback rate, on-time feedback rate, overdue")
	type line struct{ all, inTime *ratesv1.Rate }
	lines := map[string]*line{}
	for _, v := range resp.GetRates() {
		l := lines[v.GetArea()]
		if l == nil {
			l = &line{}
			lines[v.GetArea()] = l
		}
		if v.GetMeasure() == ratesv1.Measure_MEASURE_FEEDBACK {
			l.all = v
		} else {
			l.inTime = v
		}
	}
	for _, v := range resp.GetRates() {
		l := lines[v.GetArea()]
		if l.all != v || v.GetD() == 0 || l.inTime == nil {
			continue
		}
		var over int64
		for _, n := range v.GetOverdue() {
			over += n
		}
		target := ""
		if v.GetTarget() != "" {
			target = r.t("，目标 ", ", target ") + v.GetTarget() + "%"
		}
		r.say("　　%s %s%s，%s，逾期 %d", "    %s %s%s, %s, overdue %d", v.GetAreaName(), rates.Ratio{N: v.GetN(), D: v.GetD()}, target,
			rates.Ratio{N: l.inTime.GetN(), D: l.inTime.GetD()}, over)
	}
	times, err := c.GetTimes(ctx, &ratesv1.GetTimesRequest{Period: r.month(), Area: r.residence.Area.String(), Kind: casesv1.Kind_KIND_OUTFLOW})
	if err != nil {
		return fmt.Errorf("demo: times: %w", err)
	}
	for _, t := range times.GetTimes() {
		for _, s := range t.GetSpent() {
			if s.GetN() > 0 {
				r.say("用时（%s）：%d 件，中位 %s，九成在 %s 内", "time spent (%s): %d rounds, median %s, nine in ten within %s", r.t(spentZh[s.GetSide()], s.GetSide()), s.GetN(),
					seconds(s.GetP50Seconds()), seconds(s.GetP90Seconds()))
			}
		}
	}
	for _, u := range times.GetUnreceipted() {
		r.say("未签收：%s %d 件", "not receipted: %s %d", u.GetNodeName(), u.GetN())
	}
	signals, err := c.ListSignals(ctx, &ratesv1.ListSignalsRequest{Area: r.residence.Area.String(), Period: r.month()})
	if err != nil {
		return fmt.Errorf("demo: signals: %w", err)
	}
	// The demo answers at machine speed, which is the very thing that the first
	// sign is about.
	counts := map[string]int{}
	for _, s := range signals.GetSignals() {
		counts[s.GetCode()]++
	}
	if len(counts) == 0 {
		r.say("无“走过场”迹象", "no sign of hollow work")
	}
	for _, code := range sorted(counts) {
		r.say("“走过场”迹象 %s：%d 个单位（演示程序以机器速度办件）", "sign of hollow work %s: %d offices (the demo works at a machine's speed)", code, counts[code])
	}
	return nil
}

var spentZh = map[string]string{"origin": "户籍地", "transport": "传输", "county": "县级待分发", "residence": "现居住地"}

func seconds(s float64) string {
	return (time.Duration(s*1000) * time.Millisecond).String()
}

func sorted(m map[string]int) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// recount counts everything again from the items, at every node.
func (r *run) recount(ctx context.Context) error {
	for _, p := range r.places() {
		resp, err := p.rates(p.admin).RecountRates(ctx, &ratesv1.RecountRatesRequest{})
		if err != nil {
			return fmt.Errorf("demo: recount of %s: %w", p.Folder, err)
		}
		r.say("%s 全量重算：%d 轮次、%d 个汇总数，不符 %d", "%s recounted from its items: %d rounds, %d sums, %d differences",
			area.FullName(p.Area), resp.GetRounds(), resp.GetSums(), resp.GetTotal())
		for _, d := range resp.GetDifferences() {
			r.say("　　%s %s %s：留存 %d，重算 %d", "    %s %s %s: kept %d, counted %d", d.GetWhat(), d.GetOffice(), d.GetKey(), d.GetKept(), d.GetCounted())
		}
		if resp.GetTotal() > 0 {
			return ErrNotRecounted
		}
	}
	return nil
}
