package cli

import (
	"context"
	"encoding/hex"
	"strings"

	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// MonthCommand groups the commands on frozen months.
type MonthCommand struct {
	Remote
	List     MonthListCommand     `cmd:"" help:"列出各月：未结束、等待对方、已定稿|List months: open, waiting for peers, frozen"`
	Show     MonthShowCommand     `cmd:"" help:"查看已定稿的月份及其修订|Show a frozen month and what a revision changed"`
	Children MonthChildrenCommand `cmd:"" help:"下级是否已上报|What the areas below reported, and which did not"`
	Compare  MonthCompareCommand  `cmd:"" help:"与对方节点核对该月|Compare a month with the other ends of its cases"`
}

func (e *Env) months() (ratesv1.ReportServiceClient, error) {
	c, err := e.Conn()
	return ratesv1.NewReportServiceClient(c), err
}

// MonthListCommand lists months.
type MonthListCommand struct {
	Area string `help:"区划（默认本账号的单位）|Area (default: the account's)"`
}

// Run prints the months.
func (c *MonthListCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.months()
	if err != nil {
		return err
	}
	resp, err := s.ListMonths(ctx, &ratesv1.ListMonthsRequest{Area: c.Area})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	t := &table{head: []string{e.T("月份", "MONTH"), e.T("状态", "STATE"), e.T("定稿时间", "FROZEN AT"), e.T("修订", "REVISION"), e.T("缺少的对方", "MISSING PEERS")},
		right: map[int]bool{3: true}}
	for _, m := range resp.GetMonths() {
		frozen, revision := "", ""
		if m.GetState() == ratesv1.MonthState_MONTH_STATE_FROZEN {
			frozen, revision = when(m.GetFrozenAt()), itoa(int64(m.GetRevision()))
		}
		t.add(m.GetPeriod(), e.monthState(m.GetState()), frozen, revision, places(m.GetMissingPeers()))
	}
	return t.write(e.Out)
}

func (e *Env) monthState(s ratesv1.MonthState) string {
	switch s {
	case ratesv1.MonthState_MONTH_STATE_OPEN:
		return e.T("未结束", "open")
	case ratesv1.MonthState_MONTH_STATE_WAITING:
		return e.T("等待定稿", "waiting")
	case ratesv1.MonthState_MONTH_STATE_FROZEN:
		return e.T("已定稿", "frozen")
	}
	return ""
}

func places(keys []string) string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = place(k)
	}
	return strings.Join(out, " ")
}

// MonthShowCommand shows a frozen month.
type MonthShowCommand struct {
	Period   string  `arg:"" placeholder:"2006-01" help:"月份，如 2026-11|The month, 2026-11"`
	Area     string  `help:"区划（默认本账号的单位）|Area (default: the account's)"`
	Revision *uint32 `help:"修订号（默认最新）|Revision (default: the latest)"`
}

// Run prints the month.
func (c *MonthShowCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.months()
	if err != nil {
		return err
	}
	resp, err := s.GetMonth(ctx, &ratesv1.GetMonthRequest{Area: c.Area, Period: c.Period, Revision: c.Revision})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	m := resp.GetMonth()
	e.say("%s：修订 %d，%s 定稿，政策 %s", "%s: revision %d, frozen %s, policy %s", m.GetPeriod(), m.GetRevision(), when(m.GetFrozenAt()), m.GetPolicy())
	e.say("摘要：%s", "Digest: %s", m.GetDigest())
	if k := resp.GetKeyId(); len(k) > 0 {
		e.say("签名密钥：%s", "Signing key: %s", hex.EncodeToString(k))
	}
	if p := m.GetMissingPeers(); len(p) > 0 {
		e.say("定稿时缺少的对方：%s", "Peers missing when it was frozen: %s", places(p))
	}
	if err := e.figureTable(resp.GetRates()).write(e.Out); err != nil {
		return err
	}
	for _, ch := range resp.GetChanges() {
		e.say("修订：%s %d/%d → %d/%d", "Revised: %s %d/%d -> %d/%d", measures.name(ch.GetMeasure(), e.Lang), ch.GetNBefore(), ch.GetDBefore(), ch.GetN(), ch.GetD())
	}
	return e.changed(resp.GetCases())
}

// figureTable has a row for each figure.
func (e *Env) figureTable(rs []*ratesv1.Rate) *table {
	t := &table{head: []string{e.T("指标", "MEASURE"), e.T("地区", "AREA"), e.T("分子 / 分母", "n / d"), "%"}, right: map[int]bool{2: true, 3: true}}
	for _, r := range rs {
		n := itoa(r.GetN()) + " / " + itoa(r.GetD())
		percent := r.GetPercent()
		switch {
		case r.GetSuppressed():
			n, percent = e.T("不公布", "suppressed"), ""
		case r.GetPartial():
			n += e.T("（部分）", " (partial)")
		}
		name := r.GetAreaName()
		if name == "" {
			name = place(r.GetArea())
		}
		t.add(measures.name(r.GetMeasure(), e.Lang), name, n, percent)
	}
	return t
}

func (e *Env) changed(cs []*ratesv1.ChangedCase) error {
	if len(cs) == 0 {
		return nil
	}
	t := &table{head: []string{e.T("案件", "CASE"), e.T("轮次", "ROUND"), e.T("原为", "BEFORE"), e.T("现为", "NOW")}, right: map[int]bool{1: true}}
	for _, c := range cs {
		t.add(c.GetCaseId(), itoa(int64(c.GetRound())), e.roundCode(c.GetBefore()), e.roundCode(c.GetNow()))
	}
	return t.write(e.Out)
}

var roundCodes = map[string]string{"": "（无）", "ON_TIME": "及时答复", "LATE": "逾期答复", "PENDING": "未到期", "LAPSED": "未答复而终止", "OVERDUE": "逾期未答复"}

func (e *Env) roundCode(s string) string {
	if zh, ok := exclusions()[s]; ok && s != "" {
		return e.T(zh, s)
	}
	if zh, ok := roundCodes[s]; ok {
		if s == "" {
			s = "-"
		}
		return e.T(zh, s)
	}
	return s
}

// MonthChildrenCommand lists children.
type MonthChildrenCommand struct {
	Period string `arg:"" optional:"" placeholder:"2006-01" help:"月份（默认上月）|The month (default: last month)"`
	Area   string `help:"区划（默认本账号的单位）|Area (default: the account's)"`
	Rates  bool   `help:"同时列出各项指标|Also the figures"`
}

// Run prints the children.
func (c *MonthChildrenCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.months()
	if err != nil {
		return err
	}
	resp, err := s.ListChildren(ctx, &ratesv1.ListChildrenRequest{Area: c.Area, Period: c.Period})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("期间：%s", "Period: %s", resp.GetPeriod())
	if len(resp.GetChildren()) == 0 {
		e.say("没有下级地区", "There is no area below")
		return nil
	}
	t := &table{head: []string{e.T("地区", "AREA"), e.T("上报", "REPORTED"), e.T("截至", "AS OF"), e.T("修订", "REVISION")}, right: map[int]bool{3: true}}
	var all []*ratesv1.Rate
	for _, ch := range resp.GetChildren() {
		state := e.T("未上报", "no")
		switch {
		case ch.GetHere() && ch.GetReported():
			state = e.T("本节点，已定稿", "here, frozen")
		case ch.GetHere():
			state = e.T("本节点，未定稿", "here, not frozen")
		case ch.GetReported():
			state = e.T("已上报", "yes")
		case ch.GetAsOf() != nil:
			state = e.T("仅上报过程数", "while open")
		}
		asOf, revision := "", ""
		if ch.GetAsOf() != nil {
			asOf, revision = when(ch.GetAsOf()), itoa(int64(ch.GetRevision()))
		}
		name := ch.GetAreaName()
		if name == "" {
			name = place(ch.GetArea())
		}
		t.add(name, state, asOf, revision)
		all = append(all, ch.GetRates()...)
	}
	if err := t.write(e.Out); err != nil || !c.Rates {
		return err
	}
	if len(all) == 0 {
		e.say("还没有任何下级的数字：月份定稿或上报后才有", "No figures yet: they come when a month is frozen or reported")
		return nil
	}
	return e.figureTable(all).write(e.Out)
}

// MonthCompareCommand compares a month with other ends.
type MonthCompareCommand struct {
	Period string `arg:"" optional:"" placeholder:"2006-01" help:"月份（默认上月）|The month (default: last month)"`
	Area   string `help:"区划（默认本账号的单位）|Area (default: the account's)"`
}

// Run prints the comparison.
func (c *MonthCompareCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.months()
	if err != nil {
		return err
	}
	resp, err := s.CompareMonth(ctx, &ratesv1.CompareMonthRequest{Area: c.Area, Period: c.Period})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("期间：%s", "Period: %s", resp.GetPeriod())
	if len(resp.GetPeers()) == 0 {
		e.say("没有可核对的数：该月没有与其他节点的件，或尚未定稿", "Nothing to compare: no rounds with other nodes, or the month is not frozen")
		return nil
	}
	t := &table{head: []string{e.T("对方", "PEER"), e.T("共有轮次", "SHARED"), e.T("不一致", "DIFFER"), e.T("对方数据", "THEIRS")}, right: map[int]bool{1: true, 2: true}}
	for _, p := range resp.GetPeers() {
		name := p.GetNodeName()
		if name == "" {
			name = place(p.GetNode())
		}
		came := e.T("未到", "not come")
		if p.GetReceived() {
			came = e.T("已到", "come")
		}
		t.add(name, itoa(p.GetShared()), itoa(p.GetDiffer()), came)
	}
	if err := t.write(e.Out); err != nil {
		return err
	}
	for _, p := range resp.GetPeers() {
		if err := e.changed(p.GetCases()); err != nil {
			return err
		}
	}
	return nil
}
