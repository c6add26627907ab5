package cli

import (
	"context"
	"time"

	"yipan/internal/fault"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// RatesTimesCommand says on whose side time was spent.
type RatesTimesCommand struct {
	Area       string `help:"区划（默认本账号的全部单位）|Area (default: all offices of the account)"`
	Period     string `placeholder:"2006-01" help:"期间（默认本月）|Period (default: this month)"`
	Kind       string `help:"案件类型（默认合计）|Kind of case (default: all together)"`
	ByTownship bool   `help:"按乡镇（街道）分列|One row for each township"`
	Side       string `help:"统计一方：opener、receiver（默认）|Side: opener, receiver (default)"`
}

// spentSides are the sides of Spent.side in Chinese.
var spentSides = map[string]string{"origin": "开立方", "transport": "传输", "county": "县级分发", "residence": "接收方"}

// Run prints the times.
func (c *RatesTimesCommand) Run(ctx context.Context, e *Env) error {
	kind, err := kinds.pick(e, "--kind", c.Kind)
	if err != nil {
		return err
	}
	side, err := sides.pick(e, "--side", c.Side)
	if err != nil {
		return err
	}
	s, err := e.rates()
	if err != nil {
		return err
	}
	resp, err := s.GetTimes(ctx, &ratesv1.GetTimesRequest{Area: c.Area, Period: c.Period, Kind: kind, Side: side, ByTownship: c.ByTownship})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("期间：%s", "Period: %s", resp.GetPeriod())
	t := &table{head: []string{e.T("地区", "AREA"), e.T("环节", "SIDE"), e.T("轮次", "ROUNDS"), e.T("中位", "MEDIAN"), e.T("九成以内", "90 %"), e.T("迟到答复", "LATE ARRIVALS")},
		right: map[int]bool{2: true, 3: true, 4: true, 5: true}}
	for _, v := range resp.GetTimes() {
		late := itoa(v.GetLateArrivals())
		for _, sp := range v.GetSpent() {
			if sp.GetN() == 0 {
				continue
			}
			name := v.GetAreaName()
			if name == "" {
				name = e.T("全部单位", "all offices")
			}
			t.add(name, e.T(spentSides[sp.GetSide()], sp.GetSide()), itoa(sp.GetN()), spentTime(e, sp.GetP50Seconds()), spentTime(e, sp.GetP90Seconds()), late)
			late = ""
		}
	}
	if len(t.rows) == 0 {
		e.say("没有数据", "Nothing to show")
	} else if err := t.write(e.Out); err != nil {
		return err
	}
	if len(resp.GetUnreceipted()) == 0 {
		return nil
	}
	u := &table{head: []string{e.T("接收节点", "NODE"), e.T("名称", "NAME"), e.T("未签收", "UNRECEIPTED"), e.T("最早发出", "OLDEST SENT")}, right: map[int]bool{2: true}}
	for _, v := range resp.GetUnreceipted() {
		name := v.GetNodeName()
		if v.GetNode() == "" {
			name = e.T("（尚无节点）", "(no node yet)")
		}
		u.add(v.GetNode(), name, itoa(v.GetN()), when(v.GetOldestAt()))
	}
	return u.write(e.Out)
}

func spentTime(e *Env, seconds float64) string {
	return span(time.Duration(seconds*float64(time.Second)), e.Lang)
}

// RatesRecountCommand counts everything again.
type RatesRecountCommand struct {
	Area string `help:"区划（默认全部）|Area (default: all)"`
}

var differences = map[string]string{"fold": "案件与其原始记录", "standing": "计数状态与案件", "sum": "汇总数与明细"}

// Run prints the differences; any of them is an error.
func (c *RatesRecountCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.rates()
	if err != nil {
		return err
	}
	resp, err := s.RecountRates(ctx, &ratesv1.RecountRatesRequest{Area: c.Area})
	if err != nil {
		return err
	}
	if e.JSON {
		if err := e.line(resp); err != nil {
			return err
		}
	} else {
		e.say("重新计数 %d 轮，核对 %d 个汇总数", "%d rounds counted again, %d sums compared", resp.GetRounds(), resp.GetSums())
	}
	if resp.GetTotal() == 0 {
		if !e.JSON {
			e.say("完全一致", "No difference")
		}
		return nil
	}
	if !e.JSON {
		t := &table{head: []string{e.T("不一致", "WHAT"), e.T("单位", "OFFICE"), e.T("案件", "CASE"), e.T("项", "KEY"), e.T("留存", "KEPT"), e.T("重算", "COUNTED")},
			right: map[int]bool{4: true, 5: true}}
		for _, d := range resp.GetDifferences() {
			t.add(e.T(differences[d.GetWhat()], d.GetWhat()), place(d.GetOffice()), d.GetCaseId(), d.GetKey(), itoa(d.GetKept()), itoa(d.GetCounted()))
		}
		if err := t.write(e.Out); err != nil {
			return err
		}
	}
	return fault.Conflict("RECOUNT_DIFFERS", "%d differences between figures and items", resp.GetTotal()).
		Zh("有 %d 处与原始记录不一致，请把以上内容交管理员", resp.GetTotal())
}
