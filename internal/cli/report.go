package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// ReportCommand groups the commands on reports.
type ReportCommand struct {
	Remote
	Make  ReportMakeCommand  `cmd:"" help:"生成报表：Excel 工作簿或可打印网页|Make a report: a workbook, or a page to be printed"`
	Check ReportCheckCommand `cmd:"" help:"把手工填报的 Excel 报表与本节点的数核对|Compare a typed-in workbook with the node's own counts"`
}

var reportKinds = labels[ratesv1.ReportKind]{
	{ratesv1.ReportKind_REPORT_KIND_ANNUAL, "annual", "年报"},
	{ratesv1.ReportKind_REPORT_KIND_MONTHLY, "monthly", "月报"},
	{ratesv1.ReportKind_REPORT_KIND_OVERDUE, "overdue", "逾期清单"},
}

var reportFormats = labels[ratesv1.ReportFormat]{
	{ratesv1.ReportFormat_REPORT_FORMAT_XLSX, "xlsx", "工作簿"},
	{ratesv1.ReportFormat_REPORT_FORMAT_HTML, "html", "网页"},
}

// ReportMakeCommand makes a report as a file.
type ReportMakeCommand struct {
	Kind     string  `arg:"" help:"报表：annual（年报）、monthly（月报）、overdue（逾期清单）|Report: annual, monthly, overdue"`
	Area     string  `help:"区划（默认本账号的单位）|Area (default: the account's office)"`
	Period   string  `placeholder:"2006-01" help:"期间：2026、2026-11、2026-Q4（默认本月，年报为本统计年度）|Period: 2026, 2026-11, 2026-Q4 (default: this month, or the statistical year)"`
	Revision *uint32 `placeholder:"N" help:"定稿的第几版（默认最新）|Revision of the frozen month (default: the latest)"`
	Format   string  `default:"xlsx" help:"格式：xlsx、html|Format: xlsx, html"`
	Output   string  `short:"o" placeholder:"FILE" help:"写入的文件（- 为标准输出；默认用建议的文件名，不覆盖已有文件）|File to write (- is standard output; default: the suggested name, never over an existing file)"`
}

// Run writes the file.
func (c *ReportMakeCommand) Run(ctx context.Context, e *Env) error {
	kind, err := reportKinds.pick(e, e.T("报表", "report"), c.Kind)
	if err != nil {
		return err
	}
	format, err := reportFormats.pick(e, "--format", c.Format)
	if err != nil {
		return err
	}
	s, err := e.months()
	if err != nil {
		return err
	}
	resp, err := s.GetReport(ctx, &ratesv1.GetReportRequest{Kind: kind, Area: c.Area, Period: c.Period, Revision: c.Revision, Format: format})
	if err != nil {
		return err
	}
	if c.Output == "-" {
		_, err := e.Out.Write(resp.GetContent())
		return err
	}
	name, flags := c.Output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	if name == "" {
		name, flags = filepath.Base(resp.GetFileName()), os.O_WRONLY|os.O_CREATE|os.O_EXCL
	}
	if err := write(name, flags, resp.GetContent()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return usage(e, "无法写入 %s：没有这个目录，请先建立", "cannot write %s: no such folder", name)
		}
		return usage(e, "无法写入 %s：%v", "cannot write %s: %v", name, e.cause(err))
	}
	if e.JSON {
		return e.object(map[string]any{"file": name, "bytes": len(resp.GetContent()), "sha256": resp.GetDigest()})
	}
	e.say("已写入 %s（%d 字节，SHA-256 %s）", "Wrote %s (%d bytes, SHA-256 %s)", name, len(resp.GetContent()), resp.GetDigest())
	return nil
}

func write(name string, flags int, content []byte) error {
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		_ = f.Close() // the first error says more
		return err
	}
	return f.Close()
}
