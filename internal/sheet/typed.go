package sheet

import (
	"math/big"
	"regexp"
	"strings"
	"unicode"
)

// Typed is one value of a report that somebody typed.
type Typed struct {
	Sheet, At string // where it stands
	Row       string // the name before it in a table with a row for each office; else empty
	Code      string // which figure, as the API names it
	Label     string // as typed
	Text      string // as typed
	Part      Part
	Value     *big.Rat
	Fraction  bool // of a rate: written as a share of one or with a format that says so
	Decimals  int  // of the percentage, as typed: 2 of "97.19"
}

// Part says which number of a figure a value is.
type Part uint8

// The parts.
const (
	Count   Part = 0 // of a count
	Percent Part = 1 // of a rate
	PartN   Part = 2 // numerator of a rate
	PartD   Part = 3 // denominator of a rate
)

// roles are what a column or a cell says of the figure in its row.
type role uint8

const (
	roleValue role = iota
	roleN
	roleD
	rolePercent
)

var roleWords = map[string]role{
	"数值": roleValue, "数量": roleValue, "人数": roleValue, "件数": roleValue, "人次": roleValue, "合计": roleValue, "实绩": roleValue,
	"分子": roleN, "分母": roleD, "百分比": rolePercent, "比率": rolePercent, "比例": rolePercent, "率": rolePercent,
}

var labels = map[string]string{
	"流入": "inflow", "流入人口": "inflow", "流入人员": "inflow", "流入育龄妇女": "inflow.women", "育龄妇女": "inflow.women",
	"流出": "outflow", "流出人口": "outflow", "流出人员": "outflow", "已婚育龄妇女": "outflow.women", "流出已婚育龄妇女": "outflow.women",
	"应验证": "verification.due", "应验": "verification.due", "已验证": "verification.done", "已验": "verification.done",
	"验证率": "verification.rate", "流入验证率": "verification.rate",
	"应办": "certificate.asked", "应办证": "certificate.asked", "申请办证": "certificate.asked", "应": "certificate.asked",
	"已办": "certificate.issued", "已办证": "certificate.issued", "办证": "certificate.issued", "已": "certificate.issued",
	"办证率": "certificate.rate", "率": "certificate.rate",
	"孕情环情服务": "service.pregnancy_iud", "孕环情服务": "service.pregnancy_iud", "孕情环情": "service.pregnancy_iud",
	"三查一治": "service.three_checks", "三查一治服务": "service.three_checks", "三查服务": "service.three_checks", "三查": "service.three_checks",
	"药具发放": "service.contraceptives", "发放药具": "service.contraceptives", "药具": "service.contraceptives",
	"来访": "visits", "接待来访": "visits", "来访办结": "visits.settled", "办结来访": "visits.settled", "已办结": "visits.settled", "办结": "visits.settled",
	"来访办结率": "visits.rate", "办结率": "visits.rate", "及时录入率": "filed_in_time.rate", "信息录入率": "filed_in_time.rate",
	"反馈率": "feedback.rate", "信息反馈率": "feedback.rate", "及时反馈率": "feedback_on_time.rate", "核实率": "checking.rate", "登记率": "registration.rate",
	"服务告知率": "offer.rate", "综合服务率": "offer.rate", "药具发放率": "contraceptives.rate", "药具率": "contraceptives.rate", "随访率": "follow_up.rate",
	"通报率": "birth_notice.rate", "有效联系率": "effective_contact.rate", "配对率": "pairing.rate", "地址到村率": "address.rate", "id合格率": "id.rate", "重复率": "duplicate.rate",
	"应反馈": "feedback.due", "已反馈": "feedback.answered", "及时反馈": "feedback.on_time", "未到期": "pending",
	"逾期户籍地": "overdue.origin", "逾期县级待分发": "overdue.county", "逾期现居住地": "overdue.residence", "对方未签收": "unreceipted", "未签收": "unreceipted",
}

var (
	inBrackets = regexp.MustCompile(`[（(【\[][^）)】\]]*[）)】\]]`)
	numbering  = regexp.MustCompile(`^([0-9]+|[一二三四五六七八九十]+)[、.．]`)
	unitAfter  = regexp.MustCompile(`(总人数|人数|人次数|人次|件数|总数|证数|人|件|数)$`)
	sentence   = regexp.MustCompile(`^(\D+?)(?:为|是|达|达到|共|有|[:：])?([0-9][0-9,.]*[%％]?)(?:多|余)?(人次|人|件|份|例|次)?(?:以上)?$`)
)

// codeOf finds the figure that a label means. after is the code of the label
// before it, for "其中：育龄妇女".
func codeOf(label, after string) (string, bool) {
	s := strings.ToLower(strings.Map(narrow, label))
	s = inBrackets.ReplaceAllString(s, "")
	s = numbering.ReplaceAllString(strings.TrimSpace(s), "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("*_-—·.,，。：:；;、/%％“”\"'", r) {
			return -1
		}
		return r
	}, s)
	for _, p := range []string{"其中", "本年度", "本年", "今年", "全年", "本月", "本期", "全乡", "全镇", "共"} {
		s = strings.TrimPrefix(s, p)
	}
	for range 2 {
		if c, ok := labels[s]; ok {
			if c == "inflow.women" && strings.HasPrefix(after, "outflow") {
				c = "outflow.women"
			}
			return c, true
		}
		s = unitAfter.ReplaceAllString(s, "")
	}
	return "", false
}

func isRate(code string) bool { return strings.HasSuffix(code, ".rate") }

// typedNumber reads a number as people type it: full-width digits, thousands
// separators, units, a percent sign. decimals are those after the point.
func typedNumber(s string) (v *big.Rat, percent bool, decimals int, ok bool) {
	s = strings.Map(func(r rune) rune {
		r = narrow(r)
		if unicode.IsSpace(r) || r == ',' || r == '，' || r == '\'' || r == '’' {
			return -1
		}
		if r == '。' {
			return '.'
		}
		return r
	}, s)
	for _, u := range []string{"人次", "人", "件", "份", "例", "次"} {
		s = strings.TrimSuffix(s, u)
	}
	if t := strings.TrimSuffix(s, "%"); t != s {
		s, percent = t, true
	}
	if s == "" || len(s) > 40 || strings.Trim(s, "0123456789.") != "" || strings.Count(s, ".") > 1 {
		return nil, false, 0, false
	}
	if _, part, dot := strings.Cut(s, "."); dot {
		decimals = len(part)
	}
	v, ok = new(big.Rat).SetString(strings.TrimSuffix(s, "."))
	return v, percent, decimals, ok
}

// ReadReport finds the values of a report in a workbook that somebody typed: in
// two columns, in pairs beside each other, below a row of headings, or in
// sentences. What it does not know it passes over.
func ReadReport(tables []Table) []Typed {
	var out []Typed
	for _, t := range tables {
		r := reportReader{sheet: t.Name}
		for _, cells := range t.Rows {
			r.row(cells)
		}
		out = append(out, r.out...)
	}
	return out
}

type reportReader struct {
	sheet   string
	out     []Typed
	head    map[int]string // codes of the columns below a row of headings
	names   map[int]string // what stands in those headings
	roles   map[int]role   // what the columns say beside a label
	section string         // the code of the last label
}

func (r *reportReader) row(cells []Cell) {
	codes, roles, numbers := map[int]string{}, map[int]role{}, 0
	names := map[int]string{}
	for i := range cells {
		c := &cells[i]
		if _, _, _, ok := r.valueOf(c); ok {
			numbers++
			continue
		}
		if code, ok := codeOf(c.Text, r.section); ok {
			codes[c.Column], names[c.Column] = code, c.Text
		}
		if w, ok := roleWords[strings.Join(strings.Fields(c.Text), "")]; ok {
			roles[c.Column] = w
		}
	}
	switch {
	case numbers == 0 && len(codes) >= 2:
		r.head, r.names, r.roles = codes, names, nil
	case numbers == 0 && len(roles) >= 2:
		r.head, r.roles = nil, roles
	case numbers > 0 && r.head != nil && len(codes) == 0:
		r.below(cells)
	default:
		r.beside(cells)
	}
}

// below reads a row below headings; what stands before its first value names it.
func (r *reportReader) below(cells []Cell) {
	name := ""
	for i := range cells {
		c := &cells[i]
		code := r.head[c.Column]
		if code == "" {
			if name == "" && !c.Number {
				name = c.Text
			}
			continue
		}
		r.add(name, code, r.names[c.Column], roleValue, c)
	}
}

// beside reads labels with their values after them, and sentences.
func (r *reportReader) beside(cells []Cell) {
	code, label := "", ""
	for i := range cells {
		c := &cells[i]
		if _, _, _, ok := r.valueOf(c); ok {
			if code != "" {
				what := r.roles[c.Column]
				r.add("", code, label, what, c)
				if r.roles == nil {
					code = "" // one value to a label
				}
			}
			continue
		}
		if found, ok := codeOf(c.Text, r.section); ok {
			code, label, r.section = found, c.Text, found
			continue
		}
		if code = ""; !c.Number {
			r.sentences(c)
		}
	}
}

// sentences reads "流出3994人，已婚育龄妇女2295人".
func (r *reportReader) sentences(c *Cell) {
	for _, part := range strings.FieldsFunc(c.Text, func(q rune) bool { return strings.ContainsRune("，；。;！\n", q) }) {
		m := sentence.FindStringSubmatch(strings.Map(narrow, strings.TrimSpace(part)))
		if m == nil {
			continue
		}
		code, ok := codeOf(m[1], r.section)
		if !ok {
			continue
		}
		r.section = code
		r.add("", code, m[1], roleValue, &Cell{Row: c.Row, Column: c.Column, Text: m[2]})
	}
}

// valueOf reads a cell as a value.
func (r *reportReader) valueOf(c *Cell) (v *big.Rat, percent bool, decimals int, ok bool) {
	if !c.Number {
		// "97.26%\n1631/1677" is a percentage with its counts below.
		first, _, _ := strings.Cut(c.Text, " ")
		if v, percent, decimals, ok = typedNumber(c.Text); ok || !strings.Contains(c.Text, "/") {
			return v, percent, decimals, ok
		}
		v, percent, decimals, ok = typedNumber(first)
		return v, percent, decimals, ok && percent
	}
	v, ok = new(big.Rat).SetString(c.Text)
	if !ok {
		return nil, false, 0, false
	}
	if _, part, dot := strings.Cut(c.Text, "."); dot {
		decimals = len(part)
	}
	if c.Percent {
		return v.Mul(v, big.NewRat(100, 1)), true, 2, true
	}
	return v, false, decimals, true
}

func (r *reportReader) add(row, code, label string, what role, c *Cell) {
	v, percent, decimals, ok := r.valueOf(c)
	if !ok {
		return
	}
	t := Typed{Sheet: r.sheet, At: c.At(), Row: row, Code: code, Label: label, Text: c.Text, Value: v, Decimals: decimals}
	rate := isRate(code)
	switch {
	case rate && what == roleN:
		t.Part = PartN
	case rate && what == roleD:
		t.Part = PartD
	case rate:
		t.Part = Percent
		t.Fraction = !percent && v.Cmp(big.NewRat(1, 1)) <= 0 && v.Sign() > 0
	}
	if t.Part != Percent && (percent || !v.IsInt()) {
		return // no count
	}
	r.out = append(r.out, t)
}

var periodIn = regexp.MustCompile(`((?:19|20|21)[0-9]{2})\s*(?:年|统计年度)(?:\s*第?\s*([1-4一二三四])\s*季度|\s*([0-9]{1,2})\s*月)?`)

// PeriodIn finds the period that a typed report says it is about, as the API
// writes it, "2026", "2026-11" or "2026-Q4"; "" where it says none. A line that
// begins with 统计期间 goes before others.
func PeriodIn(tables []Table) string {
	best := ""
	for _, t := range tables {
		for _, cells := range t.Rows {
			for i := range cells {
				if cells[i].Number {
					continue
				}
				s := strings.Map(narrow, cells[i].Text)
				p := onePeriod(s)
				if p != "" && strings.Contains(s, "统计期间") {
					return p
				}
				if best == "" {
					best = p
				}
			}
		}
	}
	return best
}

func onePeriod(s string) string {
	m := periodIn.FindStringSubmatch(s)
	switch {
	case m == nil:
		return ""
	case m[2] != "":
		q := m[2]
		if i := strings.Index("一二三四", q); i >= 0 {
			q = string("1234"[i/len("一")])
		}
		return m[1] + "-Q" + q
	case m[3] != "":
		return m[1] + "-" + ("0" + m[3])[len(m[3])-1:]
	}
	return m[1]
}
