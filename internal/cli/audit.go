package cli

import (
	"context"
	"strings"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

// AuditCommand groups the commands on the access log.
type AuditCommand struct {
	Remote
	List AuditListCommand `cmd:"" help:"查看访问日志，最新的在前（仅审计员）|List the access log, newest first (auditors only)"`
}

func (e *Env) audits() (ledgerv1.AuditServiceClient, error) {
	c, err := e.Conn()
	return ledgerv1.NewAuditServiceClient(c), err
}

// AuditListCommand lists events of the access log.
type AuditListCommand struct {
	Office    string `help:"只看此单位|Only of this office"`
	Account   string `help:"只看此账号|Only of this account"`
	Subject   string `placeholder:"ID" help:"只看涉及此人（或此未配对案件）的|Only about this person, or unpaired notice"`
	Denied    bool   `help:"只看被拒绝的|Only denials"`
	From      string `placeholder:"2006-01-02" help:"从何时起|From when"`
	To        string `placeholder:"2006-01-02" help:"到何时止|Until when"`
	PageSize  int32  `default:"100" help:"每页条数，至多 1000|Events of a page, at most 1,000"`
	PageToken string `help:"上一页给出的续页标记|Token of the page before"`
	All       bool   `help:"读完所有页|All pages"`
}

// Run lists the events, page after page with --all.
func (c *AuditListCommand) Run(ctx context.Context, e *Env) error {
	from, err := instant(e, "--from", c.From, false)
	if err != nil {
		return err
	}
	to, err := instant(e, "--to", c.To, true)
	if err != nil {
		return err
	}
	req := &ledgerv1.ListAccessRequest{
		Office: c.Office, Account: c.Account, SubjectId: c.Subject, DeniedOnly: c.Denied, From: from, To: to, PageSize: c.PageSize, PageToken: c.PageToken,
	}
	s, err := e.audits()
	if err != nil {
		return err
	}
	t := &table{head: []string{e.T("序号", "EVENT"), e.T("时间", "TIME"), e.T("账号", "ACCOUNT"), e.T("操作", "VERB"), e.T("目的", "PURPOSE"),
		e.T("人数", "N"), e.T("涉及人员", "SUBJECTS"), e.T("单位", "OFFICE"), e.T("备注", "REMARKS")}, right: map[int]bool{0: true, 5: true}}
	for {
		resp, err := s.ListAccess(ctx, req)
		if err != nil {
			return err
		}
		if e.JSON {
			if err := lines(e, resp.GetEvents()); err != nil {
				return err
			}
		}
		for _, ev := range resp.GetEvents() {
			t.add(e.accessRow(ev)...)
		}
		req.PageToken = resp.GetNextPageToken()
		if req.PageToken == "" || !c.All {
			break
		}
		e.Note("已读 %d 条……", "%d read …", len(t.rows))
	}
	if !e.JSON {
		if len(t.rows) == 0 {
			e.say("没有记录", "No events")
		} else if err := t.write(e.Out); err != nil {
			return err
		}
	}
	if req.PageToken != "" {
		e.Note("还有更早的记录：--page-token %s（或 --all）", "There is more: --page-token %s (or --all)", req.PageToken)
	}
	return nil
}

func (e *Env) accessRow(ev *ledgerv1.AccessEvent) []string {
	who := ev.GetAccount()
	if ev.GetOnBehalf() != "" {
		who += e.T("（代 ", " (for ") + ev.GetOnBehalf() + e.T("）", ")")
	}
	subjects := ev.GetSubjectIds()
	const some = 3
	more := ""
	if len(subjects) > some {
		subjects, more = subjects[:some], " …"
	}
	remark := ""
	if ev.GetDenied() {
		remark = e.T("被拒绝", "denied")
	}
	return []string{itoa(ev.GetEventId()), when(ev.GetAt()), who, e.codeWord(ev.GetVerb()), e.codeWord(ev.GetPurpose()), itoa(int64(ev.GetN())),
		strings.Join(subjects, " ") + more, place(ev.GetOffice()), remark}
}
