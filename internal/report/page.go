package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/figures"
	"yipan/internal/rates"
)

// A page is a report before it is written, the same for every format.
type page struct {
	title     string
	heads     []string // lines below the title
	draft     bool
	tables    []table
	notes     []string
	terms     []term // definitions
	signature []string
	footer    string
	at        time.Time
	landscape bool
	onePage   bool // the first table, with the signature, goes onto one sheet of paper
}

type table struct {
	name    string // of the sheet, and above the table where there are several
	columns []column
	rows    []row
}

type column struct {
	title string
	width float64 // in digits of the usual font; a Chinese character takes two
}

type row struct {
	cells   []cell
	strong  bool
	section bool // one cell over all columns
}

// A cell is text, a whole number, or hundredths.
type cell struct {
	text  string
	n     int64
	kind  cellKind
	right bool
}

type cellKind uint8

const (
	isText cellKind = iota
	isNumber
	isPercent // n is hundredths of a percent
)

type term struct{ name, text string }

func text(s string) cell  { return cell{text: s} }
func number(n int64) cell { return cell{n: n, kind: isNumber, right: true} }
func aside(s string) cell { return cell{text: s, right: true} }
func (c *cell) show() string {
	switch c.kind {
	case isNumber:
		return strconv.FormatInt(c.n, 10)
	case isPercent:
		return fmt.Sprintf("%d.%02d%%", c.n/100, c.n%100)
	}
	return c.text
}

// hidden is what stands where nothing may be shown.
const hidden = "*"

func count(g *figures.Figure) cell {
	switch {
	case g.Suppressed && g.N == 0:
		return aside(hidden)
	case g.Suppressed:
		return aside(strconv.FormatInt(g.N, 10) + hidden)
	}
	return number(g.N)
}

func percent(g *figures.Figure) cell {
	p := rates.Ratio{N: g.N, D: g.D}.Percent()
	if p == rates.None {
		return aside(p)
	}
	whole, part, _ := strings.Cut(p, ".")
	w, err := strconv.ParseInt(whole, 10, 64)
	h, err2 := strconv.ParseInt(part, 10, 64)
	if err != nil || err2 != nil || w > 1_000_000 {
		return aside(p + "%")
	}
	return cell{n: w*100 + h, kind: isPercent, right: true}
}

// of returns a rate as one cell: percentage above n / d.
func of(g *figures.Figure) cell {
	if g.Suppressed && g.D == 0 {
		return aside(hidden)
	}
	p := rates.Ratio{N: g.N, D: g.D}.Percent()
	if p != rates.None {
		p += "%"
	}
	if g.Suppressed {
		p += hidden
	}
	return aside(fmt.Sprintf("%s\n%d/%d", p, g.N, g.D))
}

func pageOf(d *Data) *page {
	name := area.FullName(d.Area)
	if name == "" {
		name = d.Area.Short()
	}
	p := &page{
		title: d.Kind.Zh(), draft: !d.Frozen, at: d.At,
		heads: []string{
			fmt.Sprintf("填报单位：%s（%s）", name, d.Area.Short()),
			"统计期间：" + d.Period.Label(),
			"数据截至：" + clock(d.At) + "（北京时间）",
		},
		signature: []string{"制表人：____________", "审核人：____________", "负责人：____________", "制表时间：" + clock(d.At)},
	}
	state := "状态：未定稿"
	p.footer = fmt.Sprintf("未定稿 · 数据截至 %s · 版式 %d", clock(d.At), Layout)
	if d.Frozen {
		state = fmt.Sprintf("状态：定稿，第 %d 版", d.Revision)
		p.footer = fmt.Sprintf("定稿第 %d 版 · 摘要 %s · 版式 %d", d.Revision, short(d.Digest), Layout)
	}
	if d.Policy != "" {
		state += "；政策版本：" + d.Policy
	}
	p.heads = append(p.heads, state)
	switch d.Kind {
	case figures.Annual:
		p.annual(d)
	case figures.Monthly:
		p.monthly(d)
	case figures.Overdue:
		p.overdue(d)
	}
	p.remark(d)
	p.heads = []string{p.heads[0] + "　　" + p.heads[1], p.heads[2] + "　　" + p.heads[3]}
	return p
}

func short(digest string) string { return digest[:min(16, len(digest))] }

// sections begin at a code.
var sections = map[string]string{
	"inflow": "一、流入人口", "outflow": "二、流出人口", "service.pregnancy_iud": "三、服务与来访",
	rates.Visits.String() + ".rate": "四、工作指标",
}

func (p *page) annual(d *Data) {
	t := table{name: "年度报表", columns: []column{{"项目", 38}, {"数值", 12}, {"分子", 12}, {"分母", 12}, {"百分比", 12}}}
	for i := range d.Figures {
		g := &d.Figures[i]
		if s := sections[g.Code]; s != "" {
			t.rows = append(t.rows, row{cells: []cell{text(s)}, section: true})
		}
		cells := []cell{text(g.Label), text(""), text(""), text(""), text("")}
		switch {
		case !g.Rate:
			cells[1] = count(g)
		case g.Suppressed && g.D == 0:
			cells[2], cells[3], cells[4] = aside(hidden), aside(hidden), aside(hidden)
		default:
			cells[2], cells[3], cells[4] = count(g), number(g.D), percent(g)
		}
		t.rows = append(t.rows, row{cells: cells})
	}
	p.tables = []table{t}
	p.onePage = true
	ref := civil.In(d.At)
	if !ref.Before(d.Period.To) {
		ref = d.Period.To.AddDays(-1)
	}
	p.notes = append(p.notes,
		fmt.Sprintf("流入、流出人数按统计期间内登记的流入、流出人员计，每人只计一次，已撤销的登记不计。年龄按 %s 计算；育龄为15至49周岁；已婚指初婚、再婚、复婚及未细分的已婚。", ref),
		"三查一治按统计期间内开始的轮次中已服务的人次计，孕情环情服务为其中的已婚育龄妇女；药具、来访按月份计。人员状况和服务以制表时的登记为准。")
	for _, m := range []rates.Measure{
		rates.Verification, rates.Certificate, rates.Visits, rates.FiledInTime, rates.Feedback, rates.FeedbackOnTime, rates.Checking,
		rates.Registration, rates.Offer, rates.Contraceptives, rates.FollowUp, rates.BirthNotice, rates.EffectiveContact, rates.Pairing, rates.Address, rates.ID, rates.Duplicate,
	} {
		p.define(m)
	}
}

func (p *page) define(m rates.Measure) { p.terms = append(p.terms, term{m.Zh(), m.Definition()}) }

// rowKey tells the rows of a table apart: a county's own office has the area of
// the sum.
type rowKey struct {
	area area.Key
	own  bool
}

func (k rowKey) name(sum area.Key, alone bool) string {
	switch {
	case k.own:
		return "本级"
	case k.area == sum && !alone:
		return "合计"
	}
	if i, ok := area.Lookup(k.area); ok {
		return i.Name
	}
	return k.area.Short()
}

func keyOf(g *figures.Figure) (rowKey, string) {
	code, own := strings.CutPrefix(g.Code, figures.Own)
	return rowKey{g.Area, own}, code
}

func (p *page) monthly(d *Data) {
	p.landscape = true
	t := table{name: "月报表", columns: []column{{"单位", 18}}}
	at := map[string]int{}
	index := map[rowKey]int{}
	for i := range d.Figures {
		g := &d.Figures[i]
		k, code := keyOf(g)
		c, ok := at[code]
		if !ok {
			c = len(t.columns)
			at[code] = c
			w := 8.5
			if g.Rate {
				w = 11
			}
			t.columns = append(t.columns, column{g.Label, w})
		}
		r, ok := index[k]
		if !ok {
			r = len(t.rows)
			index[k] = r
			t.rows = append(t.rows, row{cells: []cell{text("")}, strong: r == 0})
		}
		for len(t.rows[r].cells) <= c {
			t.rows[r].cells = append(t.rows[r].cells, text(""))
		}
		if g.Rate {
			t.rows[r].cells[c] = of(g)
		} else {
			t.rows[r].cells[c] = count(g)
		}
	}
	for k, r := range index {
		t.rows[r].cells[0] = text(k.name(d.Area, len(index) == 1))
	}
	p.tables = []table{t}
	p.notes = append(p.notes, "各率下为“分子/分母”。应反馈为本单位作为接收方在统计期间到期的轮次；逾期按截至时点在哪一方分列，传输时间不计入；对方未签收为本单位发出满三日仍未签收的件数，与统计期间无关。")
	for _, m := range []rates.Measure{rates.Feedback, rates.FeedbackOnTime, rates.FiledInTime, rates.Checking, rates.Pairing, rates.Verification, rates.Certificate} {
		p.define(m)
	}
}

func (p *page) overdue(d *Data) {
	t := table{name: "逾期汇总", columns: []column{{"单位", 22}, {"类别", 46}, {"件数", 10}, {"最长逾期（天）", 16}}}
	units := map[rowKey]bool{}
	for i := range d.Figures {
		k, _ := keyOf(&d.Figures[i])
		units[k] = true
	}
	for i := range d.Figures {
		g := &d.Figures[i]
		k, code := keyOf(g)
		if strings.HasSuffix(code, ".days") {
			continue
		}
		days := int64(0)
		if i+1 < len(d.Figures) {
			days = d.Figures[i+1].N
		}
		t.rows = append(t.rows, row{
			cells:  []cell{text(k.name(d.Area, len(units) == 1)), text(g.Label), number(g.N), number(days)},
			strong: k == rowKey{area: d.Area} && len(units) > 1,
		})
	}
	if len(t.rows) == 0 {
		t.rows = append(t.rows, row{cells: []cell{text("没有逾期未答复的件")}, section: true})
	}
	p.tables = []table{t}
	if len(d.Cases) > 0 {
		c := table{name: "逾期件", columns: []column{{"序号", 6}, {"案件编号", 36}, {"类型", 14}, {"轮次", 6}, {"等待方", 20}, {"到期日", 12}, {"逾期（天）", 10}}}
		for i := range d.Cases {
			o := &d.Cases[i]
			c.rows = append(c.rows, row{cells: []cell{
				number(int64(i + 1)), text(o.Case.String()), text(o.KindZh()), number(int64(o.Round)), text(o.WaitsZh()), text(o.Due.String()), number(int64(o.Days)),
			}})
		}
		p.tables = append(p.tables, c)
	}
	p.notes = append(p.notes, "逾期指统计期间内到期、截至时点仍无最终答复；“应由本单位答复”为本单位作为接收方，“等待对方答复”为本单位作为开立方。传输时间不计入任何一方。",
		"本清单只列件数、案件编号和时限，不含人员信息。")
	p.define(rates.Feedback)
}

// remark adds what every report says below its table.
func (p *page) remark(d *Data) {
	p.notes = append(p.notes, "百分比四舍五入，保留两位小数；分母为零时以“—”表示。各指标口径见后。")
	for i := range d.Figures {
		if d.Figures[i].Suppressed {
			p.notes = append(p.notes, "“*”为按规定不对本单位以外公布的数（小于5，或可由差额推出小于5）；数字后带“*”的，为只含已公布单位的合计。")
			break
		}
	}
	switch {
	case !d.Frozen:
		p.notes = append(p.notes, "本表未定稿，数字随登记和答复变动；统计月份定稿后以定稿为准。")
	case len(d.Missing) > 0:
		p.notes = append(p.notes, "定稿时下列对方节点的对帐尚未一致："+strings.Join(d.Missing, "、")+"；此后的更正以新版本公布。")
	default:
		p.notes = append(p.notes, "定稿时各对方节点的对帐均已一致；此后的更正以新版本公布。")
	}
	if d.Digest != "" {
		p.notes = append(p.notes, "定稿摘要："+d.Digest)
	}
}
