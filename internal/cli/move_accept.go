package cli

import (
	"context"
	"strings"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

// CaseAcceptCommand accepts a received notice into the ledger.
type CaseAcceptCommand struct {
	Ref
	Show   bool   `help:"只显示将登记的内容（显示通报全部字段，另记日志）|Only show what would be registered (shows the notice's fields; logged apart)"`
	Day    string `placeholder:"2006-01-02" help:"到达或离开日期（默认按通报）|Day of arrival or departure (default: as in the notice)"`
	Person string `placeholder:"ID" help:"台帐中的人员编号（默认按已配对者或证件）|Person of the ledger (default: the paired one, or by the document)"`
	From   string `placeholder:"FILE" help:"从 JSON 文件读取更正后的流动内容（- 为标准输入）|Read the corrected movement from JSON (- is standard input)"`
	Purposed
	Write
}

// Run accepts the notice, or shows what that would register.
func (c *CaseAcceptCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.movements()
	if err != nil {
		return err
	}
	if c.Show {
		id, _, _ := strings.Cut(c.Case, "@")
		resp, err := s.PrefillNotice(ctx, &ledgerv1.PrefillNoticeRequest{CaseId: id, Purpose: c.Purpose})
		if err != nil {
			return err
		}
		if e.JSON {
			return e.line(resp)
		}
		return e.showPrefill(resp)
	}
	var in *ledgerv1.MovementInput
	switch {
	case c.From != "" && (c.Day != "" || c.Person != ""):
		return usage(e, "--from 不能与其他内容选项同时使用", "--from takes no other content flags beside it")
	case c.From != "":
		in = &ledgerv1.MovementInput{}
		if err := e.message(c.From, in); err != nil {
			return err
		}
	case c.Day != "" || c.Person != "":
		in = &ledgerv1.MovementInput{EventDate: c.Day, PersonId: c.Person}
	}
	ref, err := c.resolve(ctx, e)
	if err != nil {
		return err
	}
	resp, err := s.AcceptNotice(ctx, &ledgerv1.AcceptNoticeRequest{RequestId: c.id(), CaseId: ref.GetCaseId(), Etag: ref.GetEtag(), Movement: in})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.showResult(resp.GetResult())
	e.say("通报已转入台帐并配对", "The notice is in the ledger and paired")
	return nil
}

func (e *Env) showPrefill(resp *ledgerv1.PrefillNoticeResponse) error {
	in, f := resp.GetMovement(), resp.GetMovement().GetProfile()
	t := &table{}
	add := func(zh, en, v string) {
		if v != "" {
			t.add(e.T(zh, en), v)
		}
	}
	add("将登记", "registers", e.movementName(in.GetKind()))
	add("日期", "day", in.GetEventDate())
	add("来自", "from", place(in.GetFrom()))
	add("去往", "to", place(in.GetTo()))
	add("已配对人员", "paired with", resp.GetPersonId())
	add("姓名", "name", f.GetName())
	for _, d := range f.GetDocuments() {
		add("证件", "document", d.GetNumber())
	}
	add("出生日期", "birth date", f.GetBirthDate())
	add("户籍地", "registered", place(f.GetRegistered()))
	add("现居住地", "living", place(f.GetLiving()))
	for _, c := range f.GetContacts() {
		add("联系方式", "contact", c.GetValue())
	}
	return t.write(e.Out)
}
