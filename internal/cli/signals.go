package cli

import (
	"context"

	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// SignalsCommand prints signs of hollow work: of offices, never of persons.
type SignalsCommand struct {
	Remote
	Area   string `help:"区划（默认本账号的全部单位）|Area (default: all offices of the account)"`
	Period string `placeholder:"2006-01" help:"月份（默认本月）|Month (default: this month)"`
}

// Run prints the signs, with the numbers behind them.
func (c *SignalsCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.rates()
	if err != nil {
		return err
	}
	resp, err := s.ListSignals(ctx, &ratesv1.ListSignalsRequest{Area: c.Area, Period: c.Period})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("月份：%s", "Month: %s", resp.GetPeriod())
	if len(resp.GetSignals()) == 0 {
		e.say("没有发现走过场的迹象", "No signs of hollow work")
		return nil
	}
	t := &table{head: []string{e.T("单位", "OFFICE"), e.T("迹象", "SIGN"), e.T("件数 / 总数", "n / of"), e.T("判定规则", "RULE")}, right: map[int]bool{2: true}}
	for _, g := range resp.GetSignals() {
		name := g.GetOfficeName()
		if name == "" {
			name = place(g.GetOffice())
		}
		t.add(name, e.T(g.GetText(), g.GetCode()), itoa(g.GetN())+" / "+itoa(g.GetOf()), g.GetRule())
	}
	if err := t.write(e.Out); err != nil {
		return err
	}
	e.say("以上只是需要了解情况的线索，针对单位的工作，不是结论，也不针对个人", "These are reasons to look into an office's work; they judge nobody")
	return nil
}
