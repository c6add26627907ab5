package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/rates"
)

// RatesCommand groups the commands on rates of offices.
type RatesCommand struct {
	Remote
	Show    RatesShowCommand    `cmd:"" default:"withargs" help:"各项指标（默认）|The rates (default)"`
	Cases   RatesCasesCommand   `cmd:"" help:"指标背后的逐件清单（仅本单位）|The cases behind a rate, for the owning office"`
	Times   RatesTimesCommand   `cmd:"" help:"各环节用时、未签收、迟到的答复|Whose time was spent, what is not receipted, late arrivals"`
	Recount RatesRecountCommand `cmd:"" help:"从原始记录全部重算并核对，不一致时退出码为 1|Count everything again and compare; exits 1 on any difference"`
}

// RatesShowCommand prints rates of offices.
type RatesShowCommand struct {
	Area        string   `help:"区划（默认本账号的全部单位）|Area (default: all offices of the account)"`
	Period      string   `placeholder:"2006-01" help:"期间：2026-11、2026-Q4、2026、year（统计年度至今），按天仅限本单位（默认本月）|Period: 2026-11, 2026-Q4, 2026, year (statistical year to date), days for the own office (default: this month)"`
	Kind        string   `help:"案件类型（默认合计）|Kind of case (default: all together)"`
	Measure     []string `help:"指标，如 feedback、feedback_on_time、certificate（默认全部）|Measures, such as feedback, feedback_on_time, certificate (default: all)"`
	ByTownship  bool     `help:"按乡镇（街道）分列|One row for each township"`
	By          string   `help:"分列：township、kind、counterpart|Rows: township, kind, counterpart"`
	Side        string   `help:"统计一方：opener、receiver（默认）|Side: opener, receiver (default)"`
	Counterpart string   `help:"只统计与该地区（县级或以上）往来的件|Only cases with this area, a county or above"`
	Trend       uint32   `help:"此前若干个月的趋势，至多 24|Months of trend before, at most 24"`
	Frozen      bool     `help:"已定稿月份的数字（按地区和月份）|The frozen figures of a month"`
	Definition  bool     `help:"同时列出口径|Say what each rate counts"`
}

var breakdowns = labels[ratesv1.Breakdown]{
	{ratesv1.Breakdown_BREAKDOWN_TOWNSHIP, "township", "乡镇"},
	{ratesv1.Breakdown_BREAKDOWN_KIND, "kind", "类型"},
	{ratesv1.Breakdown_BREAKDOWN_COUNTERPART, "counterpart", "对方地区"},
}

func (c *RatesShowCommand) request(e *Env) (*ratesv1.GetRatesRequest, error) {
	kind, err := kinds.pick(e, "--kind", c.Kind)
	if err != nil {
		return nil, err
	}
	side, err := sides.pick(e, "--side", c.Side)
	if err != nil {
		return nil, err
	}
	by, err := breakdowns.pick(e, "--by", c.By)
	if err != nil {
		return nil, err
	}
	req := &ratesv1.GetRatesRequest{
		Area: c.Area, Period: c.Period, Kind: kind, ByTownship: c.ByTownship, Side: side, Counterpart: c.Counterpart, Breakdown: by, Trend: c.Trend, Frozen: c.Frozen,
	}
	for _, word := range c.Measure {
		m, err := measures.pick(e, "--measure", word)
		if err != nil {
			return nil, err
		}
		req.Measures = append(req.Measures, m)
	}
	return req, nil
}

// Run prints the rates.
func (c *RatesShowCommand) Run(ctx context.Context, e *Env) error {
	req, err := c.request(e)
	if err != nil {
		return err
	}
	s, err := e.rates()
	if err != nil {
		return err
	}
	resp, err := s.GetRates(ctx, req)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("期间：%s", "Period: %s", resp.GetPeriod())
	rows, withheld := split(resp.GetRates(), req)
	if len(rows) > 0 {
		if err := e.rateTable(rows).write(e.Out); err != nil {
			return err
		}
	} else if len(withheld) == 0 {
		e.say("没有数据", "Nothing to show")
	}
	e.sayWithheld(withheld)
	if c.Definition {
		said := map[string]bool{}
		for _, r := range rows {
			if d := r.GetDefinition(); d != "" && !said[d] {
				said[d] = true
				e.say("%s", "%s", d)
			}
		}
	}
	return nil
}

// split takes out what is not published, of which a table would say nothing, and
// the townships that have nothing.
func split(all []*ratesv1.Rate, req *ratesv1.GetRatesRequest) (rows, withheld []*ratesv1.Rate) {
	townships := req.GetByTownship() || req.GetBreakdown() == ratesv1.Breakdown_BREAKDOWN_TOWNSHIP
	for _, r := range all {
		switch {
		case r.GetSuppressed():
			withheld = append(withheld, r)
		case townships && r.GetD() == 0 && len(r.GetExcluded()) == 0 && len(r.GetTrend()) == 0 && r.GetPending() == 0 && r.GetUnreceipted() == 0:
		default:
			rows = append(rows, r)
		}
	}
	return rows, withheld
}

// sayWithheld says what is not published, and why.
func (e *Env) sayWithheld(withheld []*ratesv1.Rate) {
	if len(withheld) == 0 {
		return
	}
	var names []string
	rows := map[string]int64{}
	for _, r := range withheld {
		n := measures.name(r.GetMeasure(), e.Lang)
		if rows[n]++; rows[n] == 1 {
			names = append(names, n)
		}
	}
	for i, n := range names {
		if rows[n] > 1 {
			names[i] = fmt.Sprintf(e.T("%s（%d 行）", "%s (%d rows)"), n, rows[n])
		}
	}
	e.say("不公布：%s（件数不足 5，公布会推知个人情况；本单位经办人可以查看）", "Suppressed: %s (counts below 5 would tell of persons; the owning office sees them)",
		strings.Join(names, e.T("、", ", ")))
}

// rateTable has a column for what some row has.
func (e *Env) rateTable(rows []*ratesv1.Rate) *table {
	some := func(has func(*ratesv1.Rate) bool) bool { return slices.ContainsFunc(rows, has) }
	peers := some(func(r *ratesv1.Rate) bool { return r.GetCounterpart() != "" })
	targets := some(func(r *ratesv1.Rate) bool { return r.GetTarget() != "" })
	pending := some(func(r *ratesv1.Rate) bool { return r.GetPending() > 0 })
	missed := some(func(r *ratesv1.Rate) bool { return r.GetUnreceipted() > 0 })
	extended := some(func(r *ratesv1.Rate) bool { return r.GetExtended() > 0 })
	trend := some(func(r *ratesv1.Rate) bool { return len(r.GetTrend()) > 0 })
	t := &table{right: map[int]bool{}}
	column := func(on, right bool, zh, en string) {
		if on {
			t.right[len(t.head)] = right
			t.head = append(t.head, e.T(zh, en))
		}
	}
	column(true, false, "指标", "MEASURE")
	areas := some(func(r *ratesv1.Rate) bool { return r.GetArea() != "" })
	overdue := some(func(r *ratesv1.Rate) bool { return len(r.GetOverdue()) > 0 })
	excluded := some(func(r *ratesv1.Rate) bool { return len(r.GetExcluded()) > 0 })
	column(areas, false, "地区", "AREA")
	column(true, false, "类型", "KIND")
	column(peers, false, "对方", "COUNTERPART")
	column(true, true, "分子 / 分母", "n / d")
	column(true, true, "%", "%")
	column(targets, true, "目标", "TARGET")
	column(pending, true, "未到期", "PENDING")
	column(missed, true, "未签收", "UNRECEIPTED")
	column(extended, true, "顺延", "EXTENDED")
	column(excluded, false, "不计入", "EXCLUDED")
	column(overdue, false, "逾期", "OVERDUE")
	column(trend, false, "此前各月", "MONTHS BEFORE")
	for _, r := range rows {
		name, kind := r.GetAreaName(), kinds.name(r.GetKind(), e.Lang)
		switch {
		case r.GetArea() == "":
			name = e.T("全部单位", "all offices")
		case name == "":
			name = place(r.GetArea())
		}
		if kind == "" {
			kind = e.T("合计", "all")
		}
		count, percent := itoa(r.GetN())+" / "+itoa(r.GetD()), r.GetPercent()
		if r.GetPartial() {
			count += e.T("（部分）", " (part)")
		}
		cells := []string{measures.name(r.GetMeasure(), e.Lang)}
		cell := func(on bool, s string) {
			if on {
				cells = append(cells, s)
			}
		}
		cell(areas, name)
		cell(true, kind)
		cell(peers, r.GetCounterpartName())
		cells = append(cells, count, percent)
		cell(targets, r.GetTarget())
		cell(pending, itoa(r.GetPending()))
		cell(missed, itoa(r.GetUnreceipted()))
		cell(extended, itoa(r.GetExtended()))
		cell(excluded, e.counts(r.GetExcluded(), exclusions()))
		cell(overdue, e.counts(r.GetOverdue(), overdueSides))
		var points []string
		for _, p := range r.GetTrend() {
			points = append(points, p.GetPeriod()+" "+p.GetPercent())
		}
		cell(trend, strings.Join(points, "  "))
		t.add(cells...)
	}
	return t
}

var overdueSides = map[string]string{"origin": "开立方", "transport": "传输", "county": "县级", "residence": "接收方"}

// exclusions are the Chinese words of the codes in Rate.excluded.
func exclusions() map[string]string {
	zh := map[string]string{}
	for c := rates.NotDelivered; c <= rates.OtherKind; c++ {
		zh[c.String()] = c.Zh()
	}
	return zh
}

func (e *Env) counts(m map[string]int64, zh map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		name := k
		if z := zh[k]; z != "" {
			name = e.T(z, k)
		}
		parts = append(parts, name+" "+itoa(m[k]))
	}
	return strings.Join(parts, e.T("、", ", "))
}
