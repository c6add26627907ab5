package cli

import (
	"context"

	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// OutageCommand groups the commands on outages that a county signs for.
type OutageCommand struct {
	Remote
	Declare OutageDeclareCommand `cmd:"" help:"登记停摆（县级账号）：受影响案件的期限顺延，双方可见原因|Declare an outage (county accounts): dues are put off at both ends, with the reason"`
	List    OutageListCommand    `cmd:"" help:"列出已登记的停摆及顺延的件数|List outages, and how many rounds each put off"`
}

func (e *Env) outages() (ratesv1.OutageServiceClient, error) {
	c, err := e.Conn()
	return ratesv1.NewOutageServiceClient(c), err
}

// OutageDeclareCommand declares an outage.
type OutageDeclareCommand struct {
	Area   string `required:"" help:"停摆的县（市、区）或乡镇（街道）|County or township that could not work"`
	From   string `required:"" placeholder:"2006-01-02 15:04" help:"开始时间|Beginning"`
	To     string `required:"" placeholder:"2006-01-02 15:04" help:"结束时间（不晚于现在，最长 30 天；只写日期则到当天结束）|End (not in the future, at most 30 days; a date alone: the end of that day)"`
	Reason string `required:"" help:"原因，4 到 200 个字；会发给对方单位，不得含个人信息|Why, 4 to 200 characters; sent to the other offices, no personal data"`
	Write
}

// Run declares the outage.
func (c *OutageDeclareCommand) Run(ctx context.Context, e *Env) error {
	from, err := instant(e, "--from", c.From, false)
	if err != nil {
		return err
	}
	to, err := instant(e, "--to", c.To, true)
	if err != nil {
		return err
	}
	s, err := e.outages()
	if err != nil {
		return err
	}
	resp, err := s.DeclareOutage(ctx, &ratesv1.DeclareOutageRequest{RequestId: c.id(), Area: c.Area, From: from, To: to, Reason: c.Reason})
	if err != nil {
		return c.done(err)
	}
	o := resp.GetOutage()
	if e.JSON {
		return e.line(o)
	}
	e.say("已登记停摆 %s：%s，顺延 %d 件，每件至多 %d 天", "Outage %s declared: %s, %d rounds put off by at most %d days", o.GetId(), place(o.GetArea()), o.GetRounds(), o.GetDays())
	return nil
}

// OutageListCommand lists outages.
type OutageListCommand struct {
	Area string `help:"区划（默认本账号的全部单位）|Area (default: all offices of the account)"`
}

// Run lists the outages, the newest first.
func (c *OutageListCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.outages()
	if err != nil {
		return err
	}
	resp, err := s.ListOutages(ctx, &ratesv1.ListOutagesRequest{Area: c.Area})
	if err != nil {
		return err
	}
	if e.JSON {
		return lines(e, resp.GetOutages())
	}
	if len(resp.GetOutages()) == 0 {
		e.say("没有登记过停摆", "No outages")
		return nil
	}
	t := &table{head: []string{e.T("地区", "AREA"), e.T("开始", "FROM"), e.T("结束", "TO"), e.T("顺延件数", "ROUNDS"), e.T("至多天数", "DAYS"),
		e.T("原因", "REASON"), e.T("登记人", "ACCOUNT"), e.T("登记时间", "DECLARED")}, right: map[int]bool{3: true, 4: true}}
	for _, o := range resp.GetOutages() {
		t.add(place(o.GetArea()), when(o.GetFrom()), when(o.GetTo()), itoa(o.GetRounds()), itoa(int64(o.GetDays())), o.GetReason(), o.GetAccount(), when(o.GetDeclaredAt()))
	}
	return t.write(e.Out)
}
