package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/rates"
)

// RatesCommand prints rates of offices.
type RatesCommand struct {
	Remote
	Area       string   `help:"区划（默认本账号的全部单位）|Area (default: all offices of the account)"`
	Period     string   `placeholder:"2006-01" help:"期间：2026-11、2026-Q4、2026（默认本月）|Period: 2026-11, 2026-Q4, 2026 (default: this month)"`
	Kind       string   `help:"案件类型（默认合计）|Kind of case (default: all together)"`
	Measure    []string `help:"指标：certificate、verification、feedback、feedback_on_time（默认全部）|Measures (default: all)"`
	ByTownship bool     `help:"按乡镇（街道）分列|One row for each township"`
	Side       string   `help:"统计一方：opener、receiver（默认）|Side: opener, receiver (default)"`
}

// Run prints the rates.
func (c *RatesCommand) Run(ctx context.Context, e *Env) error {
	kind, err := kinds.pick(e, "--kind", c.Kind)
	if err != nil {
		return err
	}
	side, err := sides.pick(e, "--side", c.Side)
	if err != nil {
		return err
	}
	req := &ratesv1.GetRatesRequest{Area: c.Area, Period: c.Period, Kind: kind, ByTownship: c.ByTownship, Side: side}
	for _, word := range c.Measure {
		m, err := measures.pick(e, "--measure", word)
		if err != nil {
			return err
		}
		req.Measures = append(req.Measures, m)
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
	if len(resp.GetRates()) == 0 {
		e.say("没有数据", "Nothing to show")
		return nil
	}
	t := &table{head: []string{e.T("指标", "MEASURE"), e.T("地区", "AREA"), e.T("类型", "KIND"), e.T("分子 / 分母", "n / d"), "%",
		e.T("不计入", "EXCLUDED"), e.T("超期", "OVERDUE")}, right: map[int]bool{3: true, 4: true}}
	for _, r := range resp.GetRates() {
		if c.ByTownship && r.GetD() == 0 && len(r.GetExcluded()) == 0 {
			continue // most townships of a county have nothing in most periods
		}
		name, kind := r.GetAreaName(), kinds.name(r.GetKind(), e.Lang)
		if name == "" {
			name = place(r.GetArea())
		}
		if kind == "" {
			kind = e.T("合计", "all")
		}
		t.add(measures.name(r.GetMeasure(), e.Lang), name, kind, itoa(r.GetN())+" / "+itoa(r.GetD()), r.GetPercent(),
			e.counts(r.GetExcluded(), exclusions()), e.counts(r.GetOverdue(), overdueSides))
	}
	return t.write(e.Out)
}

var overdueSides = map[string]string{"origin": "开立方", "transport": "传送", "county": "县级", "residence": "接收方"}

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
