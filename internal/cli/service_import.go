package cli

import (
	"context"
	"fmt"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/sheet"
)

// ServiceImportCommand records services from a CSV file.
type ServiceImportCommand struct {
	File   string `arg:"" help:"CSV 文件（- 为标准输入）：人员编号、服务类别、结果、日期、方式……|CSV file (- is standard input): person_id, kind, result, date, channel and more"`
	DryRun bool   `help:"只检查文件，不发送|Only check the file"`
}

// serviceReport is what is said about a row; one line with --json. It names
// nobody.
type serviceReport struct {
	Line     int       `json:"line"`
	Warnings []string  `json:"warnings,omitempty"`
	Error    *rowError `json:"error,omitempty"`
}

// Run reads the whole file, then sends it batch by batch. Rows that cannot be
// read are reported and the others sent.
func (c *ServiceImportCommand) Run(ctx context.Context, e *Env) error {
	f, err := e.open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, problems, err := sheet.ReadServices(f)
	if err != nil {
		return err
	}
	bad := map[int]bool{}
	for _, p := range problems {
		bad[p.Line] = true
		if err := e.serviceRow(serviceReport{Line: p.Line, Error: &rowError{Reason: p.Reason, Field: p.Column, Message: p.Text}}); err != nil {
			return err
		}
	}
	total, refused := len(rows)+len(bad), len(bad)
	if !c.DryRun {
		n, err := c.send(ctx, e, rows)
		if refused += n; err != nil {
			return err
		}
	}
	if e.JSON {
		if err := e.object(map[string]int{"rows": total, "refused": refused}); err != nil {
			return err
		}
	} else if c.DryRun {
		e.say("共 %d 行，可读 %d 行，有误 %d 行（试运行，未发送）", "%d rows, %d readable, %d not (dry run)", total, total-refused, refused)
	} else {
		e.say("共 %d 行：已登记 %d，未办理 %d", "%d rows: %d recorded, %d refused", total, total-refused, refused)
	}
	return outcome(refused, total)
}

// send records the rows and returns how many were refused.
func (c *ServiceImportCommand) send(ctx context.Context, e *Env, rows []sheet.ServiceRow) (refused int, err error) {
	s, err := e.offers()
	if err != nil {
		return 0, err
	}
	seen := map[string]int{}
	for start := 0; start < len(rows); start += maxRefs {
		part := rows[start:min(start+maxRefs, len(rows))]
		req := &ledgerv1.BatchRecordServicesRequest{}
		for _, r := range part {
			in := inputOf(r)
			id := contentID("svc-", in, 0)
			in.RequestId = id
			if n := seen[id]; n > 0 {
				in.RequestId = contentID("svc-", in, n)
			}
			seen[id]++
			req.Services = append(req.Services, in)
		}
		resp, err := s.BatchRecordServices(ctx, req)
		if err != nil {
			e.Note("中断于第 %d 行之前；重做同一文件不会重复登记", "stopped before line %d; the same file again records nothing twice", part[0].Line)
			return refused, err
		}
		if len(resp.GetRows()) != len(part) {
			return refused, fmt.Errorf("cli: %d results for %d rows", len(resp.GetRows()), len(part))
		}
		for i, r := range resp.GetRows() {
			report := serviceReport{Line: part[i].Line, Warnings: r.GetWarnings()}
			if r.GetReason() != "" {
				refused++
				report.Error = &rowError{Reason: r.GetReason(), Field: r.GetField(), Message: r.GetMessage()}
			}
			if err := e.serviceRow(report); err != nil {
				return refused, err
			}
		}
		e.Note("已发送 %d / %d 行", "%d of %d rows", start+len(part), len(rows))
	}
	return refused, nil
}

func inputOf(r sheet.ServiceRow) *ledgerv1.ServiceInput {
	in := &ledgerv1.ServiceInput{
		PersonId: r.Person, Kind: ledgerv1.ServiceKind(r.Kind), Result: r.Record.Result, Date: day(r.Record.Date), Channel: r.Record.Channel,
		Findings: r.Record.Findings, ConsentId: r.ConsentID, OwnProof: r.Record.OwnProof, Appointment: day(r.Record.Appointment),
	}
	if f := r.Record.Referral; f != nil {
		in.Referral = &ledgerv1.Referral{To: f.To, Date: day(f.Date), DoneDate: day(f.Done)}
	}
	return in
}

// serviceRow prints what is said about a row.
func (e *Env) serviceRow(r serviceReport) error {
	if e.JSON {
		return e.object(r)
	}
	if x := r.Error; x != nil {
		field := ""
		if x.Field != "" {
			path := x.Field
			if path == "period" {
				path = "service.period" // its round or month, no report's period
			}
			field = e.T("“"+e.fieldWord(path)+"”", x.Field+": ")
		}
		e.Note("第 %d 行 未办理：%s%s（%s）", "line %d refused: %s%s (%s)", r.Line, plain(field), plain(x.Message), x.Reason)
	}
	for _, w := range r.Warnings {
		e.Note("第 %d 行 提醒：%s", "line %d note: %s", r.Line, plain(w))
	}
	return nil
}
