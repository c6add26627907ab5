package cli

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

// CaseImportCommand opens cases from a roster.
type CaseImportCommand struct {
	File     string `arg:"" help:"名册 CSV 文件（- 为标准输入）|The roster, CSV (- is standard input)"`
	Consents bool   `default:"true" negatable:"" help:"为写明同意核实的人查找已登记的同意书|Look up the recorded consents of those who agreed to be confirmed"`
	Batch    int    `default:"1000" help:"每批行数，至多 1000|Rows of a call, at most 1,000"`
	Errors   bool   `help:"把未办理的行写入 FILE.errors.csv|Write the refused rows to FILE.errors.csv"`
	DryRun   bool   `help:"只检查文件，不发送|Only check the file"`
}

const maxWarnings = 20 // on a terminal; all of them with --json or --errors

// rowReport is what is said about a row; one line with --json.
type rowReport struct {
	Line     int       `json:"line"`
	CaseID   string    `json:"caseId,omitempty"`
	Repeated bool      `json:"repeated,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
	Error    *rowError `json:"error,omitempty"`
}

type rowError struct {
	Reason  string `json:"reason"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

type importTotals struct {
	Rows     int `json:"rows"`
	Readable int `json:"readable"`
	Opened   int `json:"opened"`
	Repeated int `json:"repeated"`
	Refused  int `json:"refused"`
	Warned   int `json:"warned"`
}

// importing is one run of the command.
type importing struct {
	e       *Env
	refused []rowReport
	totals  importTotals
}

// Run reads the whole file, then sends it batch by batch. Rows that cannot be
// read are reported and the others sent.
func (c *CaseImportCommand) Run(ctx context.Context, e *Env) error {
	if c.Batch < 1 || c.Batch > maxRefs {
		return usage(e, "--batch 应为 1 到 1000", "--batch is 1 to 1,000")
	}
	if c.Errors && c.File == "-" {
		return usage(e, "--errors 需要文件名，不能从标准输入读取", "--errors needs a file name, not standard input")
	}
	entries, err := c.entries(e)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return usage(e, "%s 中没有数据行", "%s holds no rows", c.File)
	}
	run := &importing{e: e, totals: importTotals{Rows: len(entries)}}
	sendErr := c.send(ctx, run, entries)
	if err := run.finish(c); err != nil {
		return err
	}
	if sendErr != nil {
		return sendErr
	}
	return outcome(run.totals.Refused, run.totals.Rows)
}

func (c *CaseImportCommand) send(ctx context.Context, run *importing, entries []rosterEntry) error {
	var s casesv1.CaseServiceClient
	if !c.DryRun {
		var err error
		if s, err = run.e.cases(); err != nil {
			return err
		}
		if c.Consents {
			if err := run.link(ctx, entries); err != nil {
				return err
			}
		}
	}
	for start := 0; start < len(entries); {
		end := cut(entries, start, c.Batch)
		req := &casesv1.BatchOpenCasesRequest{}
		var sent []rosterEntry
		for _, r := range entries[start:end] {
			if r.request == nil || c.DryRun {
				if err := run.row(rowReport{Line: r.line, Warnings: r.warnings}, r.problem); err != nil {
					return err
				}
				continue
			}
			req.Requests, sent = append(req.Requests, r.request), append(sent, r)
		}
		if len(sent) > 0 {
			resp, err := s.BatchOpenCases(ctx, req)
			if err != nil {
				run.e.Note("中断于第 %d 行之前；重做同一文件不会重复开立", "stopped before line %d; the same file again opens nothing twice", sent[0].line)
				return err
			}
			if len(resp.GetResults()) != len(sent) {
				return fmt.Errorf("cli: %d results for %d rows", len(resp.GetResults()), len(sent))
			}
			for i, r := range resp.GetResults() {
				report := rowReport{Line: sent[i].line, CaseID: r.GetCaseId(), Repeated: r.GetRepeatedRequest(),
					Warnings: append(sent[i].warnings, r.GetWarnings()...)}
				if err := run.row(report, r.GetError()); err != nil {
					return err
				}
			}
		}
		start = end
		if !c.DryRun {
			run.e.Note("已发送 %d / %d 行：开立 %d，重复 %d，未办理 %d", "%d of %d rows: %d opened, %d repeated, %d refused",
				start, len(entries), run.totals.Opened, run.totals.Repeated, run.totals.Refused)
		}
	}
	return nil
}

// cut returns the end of the batch that begins at start: at most n rows, and
// well below the size of a message.
func cut(entries []rosterEntry, start, n int) int {
	bytes, end := 0, start
	for end < len(entries) && end-start < n {
		if r := entries[end].request; r != nil {
			bytes += proto.Size(r) + 8
		}
		if bytes > maxMessage*3/4 && end > start {
			break
		}
		end++
	}
	return end
}

// row reports and counts a row.
func (r *importing) row(report rowReport, problem *casesv1.ItemError) error {
	if problem != nil {
		report.Error = &rowError{Reason: problem.GetReason(), Field: problem.GetField(), Message: problem.GetMessage()}
		r.totals.Refused++
		r.refused = append(r.refused, report)
	} else if r.totals.Readable++; report.Repeated {
		r.totals.Repeated++
	} else if report.CaseID != "" {
		r.totals.Opened++
	}
	if len(report.Warnings) > 0 {
		r.totals.Warned++
	}
	if r.e.JSON {
		return r.e.object(report)
	}
	if problem != nil {
		r.e.Note("第 %d 行 未办理：%s", "line %d refused: %s", report.Line, r.e.itemError(problem))
	}
	if r.totals.Warned <= maxWarnings {
		for _, w := range report.Warnings {
			r.e.Note("第 %d 行 提醒：%s", "line %d note: %s", report.Line, plain(w))
		}
	}
	return nil
}

// finish writes the totals, and the file of errors where it is asked for.
func (r *importing) finish(c *CaseImportCommand) error {
	t := r.totals
	if c.Errors && len(r.refused) > 0 {
		name := strings.TrimSuffix(c.File, filepath.Ext(c.File)) + ".errors.csv"
		if err := r.writeErrors(name); err != nil {
			return fmt.Errorf("cli: %s: %w", name, err)
		}
		r.e.Note("未办理的行已写入 %s", "the refused rows are in %s", name)
	}
	if r.e.JSON {
		return r.e.object(map[string]importTotals{"summary": t})
	}
	if t.Warned > maxWarnings {
		r.e.Note("另有 %d 行有提醒，用 --json 查看", "%d more rows have notes; see them with --json", t.Warned-maxWarnings)
	}
	if c.DryRun {
		r.e.say("共 %d 行，可读 %d 行，有误 %d 行（试运行，未发送）", "%d rows, %d readable, %d not (dry run)", t.Rows, t.Readable, t.Refused)
		return nil
	}
	r.e.say("共 %d 行：新开立 %d，此前已开立 %d，未办理 %d", "%d rows: %d opened, %d stood already, %d refused", t.Rows, t.Opened, t.Repeated, t.Refused)
	return nil
}

// writeErrors writes line numbers and reasons, and nothing of the persons. The
// byte order mark lets Excel read Chinese.
func (r *importing) writeErrors(name string) (err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return usage(r.e, "无法写入 %s：%s", "cannot write %s: %s", name, r.e.cause(err))
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	if _, err := f.WriteString("\ufeff"); err != nil {
		return err
	}
	w := csv.NewWriter(f)
	head := []string{r.e.T("行号", "line"), r.e.T("原因", "reason"), r.e.T("字段", "field"), r.e.T("说明", "message")}
	if err := w.Write(head); err != nil {
		return err
	}
	for _, x := range r.refused {
		if err := w.Write([]string{strconv.Itoa(x.Line), x.Error.Reason, x.Error.Field, x.Error.Message}); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
