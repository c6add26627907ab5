package sheet

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
)

var (
	shapeScientific = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?[eE]\+?[0-9]+$`)
	shapePhone      = regexp.MustCompile(`^\+?[0-9]{2,6}(-?[0-9]{1,12}){1,3}$`)
	shapeDay        = regexp.MustCompile(`^([0-9]{4})(?:[-/.年])([0-9]{1,2})(?:[-/.月])([0-9]{1,2})日?$`)
	shapeDuty       = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
)

// A rowParser reads the cells of one row.
type rowParser struct {
	*parser
	line  int
	cells []string
	bad   bool
}

func (p *parser) row(line int, cells []string) {
	r := rowParser{parser: p, line: line, cells: cells}
	row := r.read()
	if r.bad {
		return
	}
	if key := row.Document.Match18(); key != "" {
		key = row.Kind.String() + key
		if first, twice := p.seen[key]; twice {
			r.refuse(colDocument, "ROSTER_TWICE", fmt.Sprintf("与第 %d 行是同一证件号码", first))
			return
		}
		p.seen[key] = line
	}
	p.rows = append(p.rows, row)
}

func (r *rowParser) refuse(c column, reason, text string) {
	r.bad = true
	r.problem(Problem{Line: r.line, Column: c.String(), Reason: reason, Text: text})
}

func (r *rowParser) read() RosterRow {
	if len(r.cells) > r.width && !blank(r.cells[r.width:]) {
		r.bad = true
		r.problem(Problem{Line: r.line, Reason: "ROSTER_CELLS", Text: "单元格多于表头，可能有未加引号的逗号"})
		return RosterRow{}
	}
	row := RosterRow{
		Line: r.line, Kind: word(r, colKind, wordsKind, cases.Outflow, "应为 流出 或 流入"),
		Name: r.name(), Document: r.document(), Sex: r.sex(), Birth: r.day(colBirth), Phone: r.phone(),
		PhoneSafe: word(r, colPhoneSafe, wordsYes, false, "应为 是 或 否"),
		EventDay:  r.day(colEventDay), Origin: r.area(colOrigin), Destination: r.area(colDestination),
		Basis:   r.basis(),
		Confirm: word(r, colConfirm, wordsYes, false, "应为 是 或 否"), ConsentVersion: r.plain(colConsentVersion),
		Marital: r.marital(), Asked: r.day(colAsked), Issued: r.day(colIssued),
	}
	if row.Confirm && row.ConsentVersion == "" {
		r.refuse(colConsentVersion, "ROSTER_CONSENT_VERSION", "同意核实为“是”时，须填写所签同意书的文本版本")
	}
	switch {
	case row.Issued.IsZero():
	case row.Asked.IsZero():
		r.refuse(colAsked, "ROSTER_ISSUED_UNASKED", "有发证日期而没有申请办证日期")
	case row.Issued.Before(row.Asked):
		r.refuse(colIssued, "ROSTER_ISSUED_BEFORE", "发证日期早于申请办证日期")
	}
	return row
}

// plain returns a cell without outer spaces and without what spreadsheets put
// around text (="…", a leading apostrophe). What is unreadable, far too long or
// missing is refused and empty.
func (r *rowParser) plain(c column) string {
	s, ok := r.cell(c)
	if ok && s == "" && columns[c].required {
		r.refuse(c, "ROSTER_CELL_EMPTY", "必填，不能为空")
	}
	return s
}

// cell is plain without refusing an empty cell; false: it refused.
func (r *rowParser) cell(c column) (string, bool) {
	i := r.at[c]
	if i < 0 || i >= len(r.cells) {
		return "", true
	}
	s := tidy(r.cells[i])
	if n := len(s); n >= 3 && strings.HasPrefix(s, `="`) && s[n-1] == '"' {
		s = tidy(s[2 : n-1])
	} else if strings.HasPrefix(s, "'") {
		s = tidy(s[1:])
	}
	switch {
	case strings.ContainsRune(s, utf8.RuneError):
		r.refuse(c, "ROSTER_ENCODING", "含有无法识别的字符，请检查文件编码")
		return "", false
	case utf8.RuneCountInString(s) > maxCell:
		r.refuse(c, "ROSTER_CELL_LONG", fmt.Sprintf("内容超过 %d 个字", maxCell))
		return "", false
	}
	return s, true
}

// tidy drops outer spaces and invisible characters and makes one space of line
// breaks and control characters.
func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\uFEFF' || r == '\u200B':
			return -1
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// narrow folds full-width ASCII (U+FF01..U+FF5E) and the ideographic space.
func narrow(r rune) rune {
	switch {
	case r >= 0xFF01 && r <= 0xFF5E:
		return r - 0xFEE0
	case r == 0x3000:
		return ' '
	}
	return r
}

// token returns a cell that holds a code or a word: narrow, without any space.
func (r *rowParser) token(c column) string {
	return strings.Map(func(q rune) rune {
		if q = narrow(q); unicode.IsSpace(q) {
			return -1
		}
		return q
	}, r.plain(c))
}

func word[T any](r *rowParser, c column, words map[string]T, none T, text string) T {
	s := r.token(c)
	if s == "" {
		return none
	}
	v, ok := words[strings.ToLower(s)]
	if !ok {
		r.refuse(c, "ROSTER_WORD", text)
		return none
	}
	return v
}

func (r *rowParser) name() string {
	s := r.plain(colName)
	if s != "" && ident.NormalizeName(s) == "" {
		r.refuse(colName, "ROSTER_CELL_EMPTY", "必填，不能为空")
	}
	return s
}

func (r *rowParser) document() ident.Doc {
	s, ok := r.cell(colDocument)
	if !ok {
		return ident.Doc{}
	}
	kind := ident.KindAuto
	if k, ok := ident.ParseKind(s); ok && k == ident.KindNone {
		kind, s = k, ""
	}
	d, warnings, err := ident.Parse(kind, s)
	if f, ok := fault.As(err); ok {
		r.refuse(colDocument, f.Reason, f.Text)
		return ident.Doc{}
	}
	for _, w := range warnings {
		r.problem(Problem{Line: r.line, Column: colDocument.String(), Reason: string(w.Code), Text: w.Text, Warning: true})
	}
	return d
}

func (r *rowParser) sex() ident.Sex {
	s := r.token(colSex)
	if s == "" {
		return ident.SexUnknown
	}
	v, ok := ident.ParseSex(s)
	if !ok {
		r.refuse(colSex, "ROSTER_WORD", "应为 男、女 或 GB/T 2261.1 代码")
	}
	return v
}

func (r *rowParser) marital() ident.Marital {
	s := r.token(colMarital)
	if s == "" {
		return 0
	}
	v, ok := ident.ParseMarital(s)
	if !ok {
		r.refuse(colMarital, "ROSTER_WORD", "应为 GB/T 2261.2 的名称或代码，如 未婚、初婚、21")
	}
	return v
}

// day reads what civil.Parse reads and the forms in which spreadsheets show a
// day: 2026/3/5, 2026.3.5, 2026年3月5日, each with a time 0:00 after it or not.
func (r *rowParser) day(c column) civil.Date {
	s := strings.TrimSpace(strings.Map(narrow, r.plain(c)))
	if s == "" {
		return civil.Date{}
	}
	for _, midnight := range []string{" 0:00", " 00:00", " 0:00:00", " 00:00:00"} {
		s = strings.TrimSuffix(s, midnight)
	}
	s = strings.Join(strings.Fields(s), "")
	if m := shapeDay.FindStringSubmatch(s); m != nil {
		s = m[1] + "-" + ("0" + m[2])[len(m[2])-1:] + "-" + ("0" + m[3])[len(m[3])-1:]
	}
	d, err := civil.Parse(s)
	if f, ok := fault.As(err); ok {
		r.refuse(c, f.Reason, f.Text)
	}
	return d
}

func (r *rowParser) phone() string {
	s := strings.Map(func(q rune) rune {
		if q == '—' || q == '–' || q == '‐' || q == '‑' {
			return '-'
		}
		return q
	}, r.token(colPhone))
	switch {
	case s == "":
	case shapeScientific.MatchString(s):
		r.refuse(colPhone, "ROSTER_NUMERIC", "号码被 Excel 按数值处理，请将单元格设为文本格式后重新录入")
	case len(s) > 24 || !shapePhone.MatchString(s):
		r.refuse(colPhone, "ROSTER_PHONE", "电话号码只能由数字、- 和开头的 + 组成，不少于 3 位")
	default:
		return s
	}
	return ""
}

func (r *rowParser) area(c column) area.Key {
	s := r.token(c)
	if s == "" {
		return 0 // required, so plain has said it
	}
	if shapeScientific.MatchString(s) {
		r.refuse(c, "ROSTER_NUMERIC", "行政区划代码被 Excel 按数值处理，请将单元格设为文本格式后重新录入，或只填 9 位")
		return 0
	}
	k, err := area.Parse(s)
	if f, ok := fault.As(err); ok {
		r.refuse(c, f.Reason, "应为行政区划代码：2、4、6、9 或 12 位数字（旧计生代码 15 位）")
		return 0
	}
	if _, known := area.Lookup(k.Cut(area.Township)); !known {
		r.refuse(c, "AREA_UNKNOWN", "没有这个行政区划代码")
		return 0
	}
	return k
}

func (r *rowParser) basis() cases.Basis {
	s := r.token(colBasis)
	if s == "" {
		return cases.Basis{}
	}
	if k, ok := wordsBasis[strings.ToLower(s)]; ok {
		return cases.Basis{Kind: k}
	}
	for _, p := range basisConsent {
		if id, ok := strings.CutPrefix(s, p); ok {
			if c, err := cases.ParseConsentID(id); err == nil && !c.IsZero() {
				return cases.Basis{Kind: cases.BasisConsent, Consent: c}
			}
			r.refuse(colBasis, "ROSTER_BASIS", "同意书编号应为 32 位十六进制数字")
			return cases.Basis{}
		}
	}
	for _, p := range basisDuty {
		if id, ok := strings.CutPrefix(s, p); ok {
			if shapeDuty.MatchString(id) {
				return cases.Basis{Kind: cases.BasisDuty, Duty: dutyPrefix + id}
			}
			r.refuse(colBasis, "ROSTER_BASIS", "政策职责的名称应由小写字母、数字和 - 组成")
			return cases.Basis{}
		}
	}
	r.refuse(colBasis, "ROSTER_BASIS", "应为 本人申请、同意书:编号 或 政策职责:名称（如 政策职责:joint-service）")
	return cases.Basis{}
}
