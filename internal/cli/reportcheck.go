package cli

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"yipan/internal/area"
	"yipan/internal/fault"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/sheet"
)

// ReportCheckCommand compares a workbook that somebody typed with the node's own
// figures. It exits with 1 where something differs.
type ReportCheckCommand struct {
	File     string  `arg:"" help:"手工填报的工作簿（.xlsx；- 为标准输入）|The typed-in workbook (.xlsx; - is standard input)"`
	Area     string  `help:"区划（默认本账号的单位）|Area (default: the account's office)"`
	Period   string  `placeholder:"2006" help:"期间（默认按表中所写，没有则为本统计年度）|Period (default: the one that the file says, else the statistical year)"`
	Revision *uint32 `placeholder:"N" help:"与定稿的第几版核对（默认最新）|Revision of the frozen month to compare with (default: the latest)"`
}

// What is said of a value.
const (
	agrees   = "agrees"
	differs  = "differs"
	hidden   = "not_shown" // suppressed for the caller
	unknown  = "no_figure" // the node has no such figure for it
	unsound  = "unsound"   // differs from the file's own counts
	maxTries = 8           // revisions that are looked at
)

// checkLine is what is said of one value; one line with --json.
type checkLine struct {
	Sheet   string   `json:"sheet"`
	At      string   `json:"cell"`
	Row     string   `json:"row,omitempty"`
	Label   string   `json:"label"`
	Typed   string   `json:"typed"`
	Own     string   `json:"own,omitempty"`
	Verdict string   `json:"verdict"`
	Reasons []string `json:"reasons,omitempty"` // Chinese
}

// Run compares.
func (c *ReportCheckCommand) Run(ctx context.Context, e *Env) error {
	data, err := e.read(c.File)
	if err != nil {
		return err
	}
	tables, err := sheet.ReadWorkbook(data)
	if err != nil {
		return err
	}
	typed := sheet.ReadReport(tables)
	if len(typed) == 0 {
		return fault.Invalid("REPORT_EMPTY", "no known figure in the workbook").
			Zh("表中没有认得的项目（如 流出人数、已婚育龄妇女、应办证、已办证、办证率），请核对表头和文件").On("file")
	}
	s, err := e.months()
	if err != nil {
		return err
	}
	own := ownFigures{ctx: ctx, s: s, area: c.Area, period: c.Period, revision: c.Revision}
	if own.period == "" {
		own.period = sheet.PeriodIn(tables)
	}
	if err := own.load(typed); err != nil {
		return err
	}
	lines := own.check(typed)
	lines = append(lines, soundness(typed)...)
	return c.print(e, own.period, lines)
}

func (c *ReportCheckCommand) print(e *Env, period string, lines []checkLine) error {
	counts := map[string]int{}
	t := &table{head: []string{e.T("位置", "CELL"), e.T("项目", "FIGURE"), e.T("填报", "TYPED"), e.T("本节点", "OWN"), e.T("结论", "VERDICT"), e.T("可能的原因", "WHAT WOULD EXPLAIN IT")}}
	words := map[string]string{agrees: e.T("一致", agrees), differs: e.T("不符", differs), hidden: e.T("不予显示", hidden), unknown: e.T("本节点无此数", unknown), unsound: e.T("自相矛盾", unsound)}
	for _, l := range lines {
		counts[l.Verdict]++
		if e.JSON {
			if err := e.object(l); err != nil {
				return err
			}
			continue
		}
		label := l.Label
		if l.Row != "" {
			label = l.Row + " " + label
		}
		t.add(l.Sheet+"!"+l.At, label, l.Typed, l.Own, words[l.Verdict], strings.Join(l.Reasons, "；"))
	}
	wrong := counts[differs] + counts[unsound]
	if !e.JSON {
		e.say("期间：%s", "Period: %s", period)
		if err := t.write(e.Out); err != nil {
			return err
		}
		e.say("一致 %d 处，不符 %d 处，自相矛盾 %d 处，无法核对 %d 处", "%d agree, %d differ, %d contradict the file itself, %d cannot be compared",
			counts[agrees], counts[differs], counts[unsound], counts[hidden]+counts[unknown])
	}
	switch {
	case wrong > 0:
		return fault.Conflict("REPORT_DIFFERS", "%d values differ", wrong).Zh("填报的报表有 %d 处不符", wrong).On("file")
	case counts[agrees] == 0:
		return fault.Conflict("REPORT_UNCHECKED", "no value could be compared").Zh("没有一处可以核对：请用 --area、--period 指明单位和期间").On("file")
	}
	return nil
}

// figureKey is a figure of an area.
type figureKey struct{ area, code string }

type figureSet struct {
	name string // in Chinese, "2025 期间"
	of   map[figureKey]*ratesv1.Figure
}

// ownFigures are the node's.
type ownFigures struct {
	ctx      context.Context
	s        ratesv1.ReportServiceClient
	area     string
	period   string
	revision *uint32
	kinds    []ratesv1.ReportKind
	now      figureSet
	areas    []string    // in order, the one asked for first
	others   []figureSet // of other periods and revisions
	looked   bool
}

// get asks for the reports that may hold what was typed; a frozen revision need
// not hold each of them.
func (o *ownFigures) get(period string, revision *uint32) (figureSet, string, error) {
	set := figureSet{of: map[figureKey]*ratesv1.Figure{}}
	var missing error
	for _, kind := range o.kinds {
		resp, err := o.s.GetReportFigures(o.ctx, &ratesv1.GetReportFiguresRequest{Kind: kind, Area: o.area, Period: period, Revision: revision})
		if code, _ := codeOf(err); err != nil && code == codes.NotFound {
			missing = err
			continue
		}
		if err != nil {
			return set, "", err
		}
		period = resp.GetPeriod()
		for _, g := range resp.GetFigures() {
			k := figureKey{g.GetArea(), g.GetCode()}
			if set.of[k] == nil {
				set.of[k] = g
			}
			if !slices.Contains(o.areas, g.GetArea()) {
				o.areas = append(o.areas, g.GetArea())
			}
		}
	}
	if len(set.of) == 0 && missing != nil {
		return set, "", missing
	}
	return set, period, nil
}

// monthlyOnly are figures that only the monthly table has.
func monthlyOnly(t *sheet.Typed) bool {
	return t.Row != "" || strings.HasPrefix(t.Code, "overdue.") || slices.Contains([]string{"feedback.due", "feedback.answered", "feedback.on_time", "pending", "unreceipted"}, t.Code)
}

func (o *ownFigures) load(typed []sheet.Typed) error {
	o.kinds = []ratesv1.ReportKind{ratesv1.ReportKind_REPORT_KIND_ANNUAL}
	if slices.ContainsFunc(typed, func(t sheet.Typed) bool { return monthlyOnly(&t) }) {
		o.kinds = slices.Insert(o.kinds, 0, ratesv1.ReportKind_REPORT_KIND_MONTHLY)
	}
	set, period, err := o.get(o.period, o.revision)
	o.now, o.period = set, period
	return err
}

// figure finds the figure of a value, "" in a row for the area asked for.
func (o *ownFigures) figure(set *figureSet, t *sheet.Typed) *ratesv1.Figure {
	for i, a := range o.areas {
		if i == 0 && (t.Row == "" || isSum(t.Row)) || named(t.Row, a) {
			if g := set.of[figureKey{a, t.Code}]; g != nil {
				return g
			}
		}
	}
	return nil
}

func isSum(row string) bool {
	return slices.Contains([]string{"合计", "总计", "全县", "全县合计", "全市合计", "县合计", "小计"}, strings.Join(strings.Fields(row), ""))
}

// named reports whether a row is named as an area is: by its name, its full name
// or its code.
func named(row, code string) bool {
	k, err := area.Parse(code)
	if err != nil || row == "" {
		return false
	}
	row = strings.Join(strings.Fields(row), "")
	i, ok := area.Lookup(k)
	return row == k.Short() || ok && (row == i.Name || row == area.FullName(k))
}

func (o *ownFigures) check(typed []sheet.Typed) []checkLine {
	var out []checkLine
	for i := range typed {
		t := &typed[i]
		l := checkLine{Sheet: t.Sheet, At: t.At, Row: t.Row, Label: t.Label, Typed: typedText(t)}
		g := o.figure(&o.now, t)
		switch {
		case g == nil:
			l.Verdict = unknown
		case g.GetSuppressed():
			l.Verdict = hidden
		default:
			var ok bool
			ok, l.Reasons = judge(t, g)
			l.Own = shownFigure(t, g)
			if l.Verdict = agrees; !ok {
				l.Verdict = differs
				l.Reasons = append(l.Reasons, o.elsewhere(t)...)
			}
		}
		out = append(out, l)
	}
	return out
}

func ratioOf(g *ratesv1.Figure) rates.Ratio { return rates.Ratio{N: g.GetN(), D: g.GetD()} }

func shownFigure(t *sheet.Typed, g *ratesv1.Figure) string {
	switch t.Part {
	case sheet.Percent:
		return ratioOf(g).String()
	case sheet.PartD:
		return itoa(g.GetD())
	}
	return itoa(g.GetN())
}

// judge compares a value with a figure, and says what would explain a difference.
func judge(t *sheet.Typed, g *ratesv1.Figure) (bool, []string) {
	if t.Part != sheet.Percent {
		own := g.GetN()
		if t.Part == sheet.PartD {
			own = g.GetD()
		}
		d := new(big.Rat).Sub(t.Value, new(big.Rat).SetInt64(own))
		switch {
		case d.Sign() == 0:
			return true, nil
		case d.Sign() > 0:
			return false, []string{"比本节点多 " + d.RatString()}
		}
		return false, []string{"比本节点少 " + d.Neg(d).RatString()}
	}
	r := ratioOf(g)
	if r.D <= 0 {
		return false, []string{"本节点的分母为零，应写“—”"}
	}
	v := percentOf(t)
	if !t.Fraction && t.Decimals < 2 {
		exact := new(big.Rat).Mul(big.NewRat(r.N, r.D), big.NewRat(100, 1))
		if v.FloatString(t.Decimals) == exact.FloatString(t.Decimals) {
			return true, nil // as exact as it was written
		}
	}
	ok, near := r.Explain(v.FloatString(2))
	var why []string
	for _, n := range near {
		s := fmt.Sprintf("若为 %d/%d", n.N, n.D)
		if n.Ratio == r {
			s = fmt.Sprintf("%d/%d", n.N, n.D)
		}
		if n.Cut {
			s += " 并截去尾数（未四舍五入）"
		}
		why = append(why, s+" 则得 "+v.FloatString(2)+"%")
	}
	return ok, why
}

// typedText is a value as the workbook shows it: a cell of per cent holds a
// fraction.
func typedText(t *sheet.Typed) string {
	if t.Part == sheet.Percent && t.Fraction {
		return percentOf(t).FloatString(2) + "%"
	}
	return t.Text
}

// percentOf is a typed percentage as one.
func percentOf(t *sheet.Typed) *big.Rat {
	if t.Fraction {
		return new(big.Rat).Mul(t.Value, big.NewRat(100, 1))
	}
	return t.Value
}

// elsewhere says which other periods and revisions have the value. What cannot be
// asked for explains nothing.
func (o *ownFigures) elsewhere(t *sheet.Typed) []string {
	if !o.looked {
		o.looked = true
		if p, err := policy.ParsePeriod(o.period); err == nil {
			before := p.Previous()
			for _, q := range []policy.Period{before, before.Previous(), p.Next()} {
				if set, _, err := o.get(q.String(), nil); err == nil {
					set.name = "期间 " + q.String() + " "
					o.others = append(o.others, set)
				}
			}
		}
		for rev := range uint32(maxTries) {
			set, _, err := o.get(o.period, &rev)
			if code, _ := codeOf(err); err != nil && code == codes.NotFound {
				break
			} else if err == nil {
				set.name = fmt.Sprintf("定稿第 %d 版", rev)
				o.others = append(o.others, set)
			}
		}
	}
	var out []string
	for i := range o.others {
		g := o.figure(&o.others[i], t)
		if g == nil || g.GetSuppressed() || g.GetN() == 0 && g.GetD() == 0 {
			continue
		}
		if ok, _ := judge(t, g); ok {
			out = append(out, "与"+o.others[i].name+"的数相同（"+shownFigure(t, g)+"）")
		}
	}
	return out
}

// countsOf are the counts that a rate divides, by the codes of the annual report
// and the monthly table.
var countsOf = map[string][2]string{
	"certificate.rate": {"certificate.issued", "certificate.asked"}, "verification.rate": {"verification.done", "verification.due"},
	"feedback.rate": {"feedback.answered", "feedback.due"}, "feedback_on_time.rate": {"feedback.on_time", "feedback.due"},
}

// soundness compares each percentage with the counts beside it in the same file.
func soundness(typed []sheet.Typed) []checkLine {
	type place struct {
		sheet, row, code string
		part             sheet.Part
	}
	first := map[place]*sheet.Typed{}
	for i := range typed {
		t := &typed[i]
		k := place{t.Sheet, t.Row, t.Code, t.Part}
		if first[k] == nil {
			first[k] = t
		}
	}
	value := func(t *sheet.Typed, part sheet.Part, count string) (int64, bool) {
		v := first[place{t.Sheet, t.Row, t.Code, part}]
		if v == nil && count != "" {
			v = first[place{t.Sheet, t.Row, count, sheet.Count}]
		}
		if v == nil || !v.Value.Num().IsInt64() {
			return 0, false
		}
		return v.Value.Num().Int64(), true
	}
	var out []checkLine
	for i := range typed {
		t := &typed[i]
		if t.Part != sheet.Percent {
			continue
		}
		n, ok := value(t, sheet.PartN, countsOf[t.Code][0])
		d, ok2 := value(t, sheet.PartD, countsOf[t.Code][1])
		if !ok || !ok2 {
			continue
		}
		if ok, _ := judge(t, &ratesv1.Figure{N: n, D: d, Rate: true}); ok {
			continue
		}
		r := rates.Ratio{N: n, D: d}
		out = append(out, checkLine{
			Sheet: t.Sheet, At: t.At, Row: t.Row, Label: t.Label, Typed: typedText(t), Own: "（表内）" + r.String(), Verdict: unsound,
			Reasons: []string{r.Remark(percentOf(t).FloatString(2))},
		})
	}
	return out
}
