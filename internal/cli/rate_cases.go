package cli

import (
	"context"
	"fmt"

	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

var parts = labels[ratesv1.Part]{
	{ratesv1.Part_PART_DENOMINATOR, "denominator", "分母"},
	{ratesv1.Part_PART_NUMERATOR, "numerator", "分子"},
	{ratesv1.Part_PART_MISSING, "missing", "在分母不在分子"},
	{ratesv1.Part_PART_EXCLUDED, "excluded", "不计入"},
	{ratesv1.Part_PART_UNRECEIPTED, "unreceipted", "未签收"},
}

// RatesCasesCommand lists the rounds behind a rate.
type RatesCasesCommand struct {
	Office      string `help:"本单位（账号只有一个单位时可省略）|Office of the account"`
	Period      string `placeholder:"2006-01" help:"期间（默认本月）|Period (default: this month)"`
	Kind        string `help:"案件类型（默认合计）|Kind of case (default: all together)"`
	Measure     string `default:"feedback" help:"feedback、feedback_on_time 或 verification|feedback, feedback_on_time or verification"`
	Side        string `help:"统计一方：opener、receiver（默认）|Side: opener, receiver (default)"`
	Part        string `default:"missing" help:"哪一部分：denominator 分母、numerator 分子、missing 在分母不在分子、excluded 不计入、unreceipted 未签收|Part: denominator, numerator, missing, excluded, unreceipted"`
	Counterpart string `help:"只看与该地区往来的件|Only cases with this area or below it"`
	PageSize    uint32 `default:"100" help:"每页条数，至多 500|Rounds of a page, at most 500"`
	PageToken   string `help:"上一页给出的续页标记|Token of the page before"`
}

// Run lists one page.
func (c *RatesCasesCommand) Run(ctx context.Context, e *Env) error {
	req := &ratesv1.ListRateCasesRequest{Office: c.Office, Period: c.Period, Counterpart: c.Counterpart, PageSize: c.PageSize, PageToken: c.PageToken}
	var err error
	if req.Kind, err = kinds.pick(e, "--kind", c.Kind); err != nil {
		return err
	}
	if req.Measure, err = measures.pick(e, "--measure", c.Measure); err != nil {
		return err
	}
	if req.Side, err = sides.pick(e, "--side", c.Side); err != nil {
		return err
	}
	if req.Part, err = parts.pick(e, "--part", c.Part); err != nil {
		return err
	}
	s, err := e.rates()
	if err != nil {
		return err
	}
	resp, err := s.ListRateCases(ctx, req)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("期间：%s，共 %d 件", "Period: %s, %d rounds", resp.GetPeriod(), resp.GetTotal())
	if len(resp.GetCases()) == 0 {
		e.say("没有这样的件（另一部分用 --part 查看）", "No such rounds (--part shows another part)")
		return nil
	}
	t := &table{head: []string{e.T("案件", "CASE"), e.T("轮次", "ROUND"), e.T("类型", "KIND"), e.T("对方", "COUNTERPART"), e.T("开立", "OPENED"),
		e.T("到期", "DUE"), e.T("答复", "ANSWERED"), e.T("情况", "STANDS")}, right: map[int]bool{1: true}}
	for _, r := range resp.GetCases() {
		t.add(r.GetCaseId(), itoa(int64(r.GetRound())), kinds.name(r.GetKind(), e.Lang), r.GetCounterpartName(), when(r.GetRoundAt()), until(r.GetDueAt()),
			when(r.GetAnsweredAt()), e.rateStanding(r)+e.extension(r))
	}
	if err := t.write(e.Out); err != nil {
		return err
	}
	if next := resp.GetNextPageToken(); next != "" {
		e.say("还有：--page-token %s", "More: --page-token %s", next)
	}
	return nil
}

func (e *Env) extension(r *ratesv1.RateCase) string {
	if r.GetExtendedDays() == 0 {
		return ""
	}
	return fmt.Sprintf(e.T("，停摆顺延 %d 天", ", put off by %d days"), r.GetExtendedDays())
}

func (e *Env) rateStanding(r *ratesv1.RateCase) string {
	switch {
	case r.GetExcluded() != "":
		return e.T(exclusions()[r.GetExcluded()], r.GetExcluded())
	case r.GetOnTime():
		return e.T("按时答复", "on time")
	case r.GetAnswered():
		return e.T("逾期答复", "late")
	case r.GetPending():
		return e.T("未到期", "pending")
	case r.GetOverdue() != "":
		return e.T("逾期，在"+overdueSides[r.GetOverdue()], "overdue at "+r.GetOverdue())
	}
	return e.T("未答复而终止", "ended unanswered")
}
