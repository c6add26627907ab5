package cli

import (
	"context"
	"strings"

	nodev1 "yipan/internal/gen/yipan/node/v1"
)

// DutyCommand groups the commands on the duty rota.
type DutyCommand struct {
	Remote
	List DutyListCommand `cmd:"" help:"值班表：每天谁值班、是否放假、有几件到期|The rota: who is on duty, days off, how much falls due"`
	Set  DutySetCommand  `cmd:"" help:"设置某天的值班人（不写账号即取消）|Set who is on duty on a day (no accounts: nobody)"`
}

// DutyListCommand lists the rota.
type DutyListCommand struct {
	Office string `help:"单位|Office"`
	From   string `placeholder:"2006-01-02" help:"起日（默认今天）|From (default: today)"`
	To     string `placeholder:"2006-01-02" help:"止日（默认 30 天后）|To (default: 30 days later)"`
	All    bool   `help:"也列出无人值班、不放假、无到期的日子|Also days on which there is nothing to say"`
}

// Run lists it.
func (c *DutyListCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.reminders()
	if err != nil {
		return err
	}
	resp, err := s.ListDuty(ctx, &nodev1.ListDutyRequest{Office: c.Office, From: c.From, To: c.To})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	t := &table{head: []string{e.T("日期", "DAY"), e.T("放假", "DAY OFF"), e.T("到期", "DUE"), e.T("值班", "ON DUTY")}, right: map[int]bool{2: true}}
	for _, d := range resp.GetDays() {
		if !c.All && len(d.GetAccounts()) == 0 && !d.GetDayOff() && d.GetDue() == 0 {
			continue
		}
		off := ""
		if d.GetDayOff() {
			off = e.T("休", "off")
		}
		t.add(d.GetDay(), off, itoa(d.GetDue()), strings.Join(d.GetAccounts(), e.T("、", ", ")))
	}
	if len(t.rows) == 0 {
		e.say("没有放假、值班或到期的日子", "No days off, no duty, nothing due")
		return nil
	}
	return t.write(e.Out)
}

// DutySetCommand sets a day.
type DutySetCommand struct {
	Day      string   `arg:"" help:"日期，如 2026-10-01|Day, like 2026-10-01"`
	Accounts []string `arg:"" optional:"" help:"值班账号|Accounts on duty"`
	Office   string   `help:"单位|Office"`
	Write
}

// Run sets it.
func (c *DutySetCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.reminders()
	if err != nil {
		return err
	}
	resp, err := s.SetDuty(ctx, &nodev1.SetDutyRequest{RequestId: c.id(), Office: c.Office, Day: c.Day, Accounts: c.Accounts})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	if len(c.Accounts) == 0 {
		e.say("%s 无人值班", "%s: nobody on duty", c.Day)
		return nil
	}
	e.say("%s 值班：%s", "%s on duty: %s", c.Day, strings.Join(c.Accounts, e.T("、", ", ")))
	return nil
}
